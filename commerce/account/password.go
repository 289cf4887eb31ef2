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

// common are passwords that lists of breaches lead with and that pass the length rule, in lower case.
var common = map[string]bool{
	"1234567890": true, "12345678910": true, "123456789a": true, "qwertyuiop": true, "1q2w3e4r5t": true, "password12": true, "password123": true,
	"password1234": true, "passw0rd123": true, "iloveyou12": true, "qwerty12345": true, "qwerty123456": true, "1qaz2wsx3edc": true, "q1w2e3r4t5y6": true,
	"zaq12wsxcde3": true, "0987654321": true, "9876543210": true, "abcdefghij": true, "abcd1234567": true, "welcome123": true, "letmein1234": true,
	"administrator": true, "admin12345": true, "changeme123": true, "basketball": true, "football123": true, "unknown123": true, "1111111111": true,
	"0000000000": true, "1234512345": true, "1122334455": true, "asdfghjkl1": true, "asdfghjkl123": true, "qwertyuiop1": true, "superman123": true,
}

// checkPassword refuses passwords that are too short or too long, hold a NUL or bytes that are not text, repeat one
// character, are on the short list of the commonest, or are the e-mail address itself.
func checkPassword(password, email string) error {
	bad := licensing.Fail(licensing.Invalid, "password", "Choose another password.")
	lower := strings.ToLower(password)
	local, _, _ := strings.Cut(email, "@")
	switch {
	case len(password) < minPassword || len(password) > maxPassword:
		return bad.With("/password", "must have %d to %d bytes", minPassword, maxPassword)
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return bad.With("/password", "must be text without NUL characters")
	case common[lower] || strings.Count(lower, lower[:1]) == len(lower):
		return bad.With("/password", "is among the first that attackers try")
	case email != "" && (lower == email || lower == local):
		return bad.With("/password", "must not be the e-mail address")
	}
	return nil
}
