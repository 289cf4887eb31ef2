package account

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"github.com/mintreu/mintreu/licensing"
)

// The cost of a password: 19 MiB, two passes, one lane.
var passwordParams = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// The length of a password in bytes.
const (
	minPassword = 10
	maxPassword = 256
)

// hasher hashes passwords, a bounded number at a time, so that a flood of sign-ins takes time and not memory.
type hasher struct {
	slots chan struct{}
	// decoy is a hash of nothing anybody knows, compared where there is no account.
	decoy string
}

func newHasher(concurrency int) (*hasher, error) {
	if concurrency < 1 {
		concurrency = 2
	}
	unknown, err := newSecret(nil)
	if err != nil {
		return nil, err
	}
	h := &hasher{slots: make(chan struct{}, concurrency)}
	h.decoy, err = argon2id.CreateHash(unknown, passwordParams)
	return h, err
}

// enter waits for a slot or for the caller to give up.
func (h *hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) leave() { <-h.slots }

// hash is the argon2id hash of a password that [checkPassword] let pass.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	return argon2id.CreateHash(password, passwordParams)
}

// compare reports whether the password is that of the hash. An empty hash costs the same and never matches.
func (h *hasher) compare(ctx context.Context, password, hash string) (bool, error) {
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	real := hash != ""
	if !real {
		hash = h.decoy
	}
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	return match && real, err
}

// checkPassword refuses passwords that are too short or too long, hold a NUL or bytes that are not text, are [weak], or are the
// e-mail address with little more.
func checkPassword(password, email string) error {
	bad := licensing.Fail(licensing.Invalid, "password", "Choose another password.")
	lower := strings.ToLower(password)
	local, _, _ := strings.Cut(email, "@")
	switch {
	case len(password) < minPassword || len(password) > maxPassword:
		return bad.With("/password", "must have %d to %d bytes", minPassword, maxPassword)
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return bad.With("/password", "must be text without NUL characters")
	case weak(password):
		return bad.With("/password", "is of a kind that attackers try first; three or four words that do not belong together are better")
	case email != "" && (strings.Contains(lower, email) || len(local) > 2 && strings.Contains(lower, local) && len(lower)-len(local) <= 4):
		return bad.With("/password", "must not be the e-mail address, nor that with a little more")
	}
	return nil
}
