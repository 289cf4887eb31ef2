// Package credential is the text of the opaque credentials that Mintreu issues (API keys and machine tokens), the digest
// under which they are stored, and the bounded cache through which they are looked up.
//
// A text has a fixed length: prefix "_" live|test "_" 10 characters of id "_" 22 characters of secret, 6 of checksum, all of
// the alphabet 0-9A-Za-z. The checksum is CRC-32/IEEE over everything before it, in base 62, big-endian, padded with zeros: a
// typo or a flood of invented texts dies before any lookup, and one regular expression finds leaked ones.
//
// Only the SHA-256 of the whole text is kept: 130 random bits need no slow hash.
package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/mintreu/mintreu/licensing"
)

const (
	alphabet  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	idLen     = 10
	secretLen = 22
	sumLen    = 6
	envLen    = 4
)

// Format is the form of one kind of credential. The prefix is 2 to 8 characters of a-z and 0-9.
type Format struct{ Prefix string }

// Validate reports a prefix outside 2 to 8 characters of a-z and 0-9.
func (f Format) Validate() error {
	if len(f.Prefix) < 2 || len(f.Prefix) > 8 {
		return fmt.Errorf("credential: prefix %q must have 2 to 8 characters", f.Prefix)
	}
	for _, c := range []byte(f.Prefix) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return fmt.Errorf("credential: prefix %q must be of a-z and 0-9", f.Prefix)
		}
	}
	return nil
}

// Len is the length of every text of the format, in bytes.
func (f Format) Len() int { return len(f.Prefix) + 1 + envLen + 1 + idLen + 1 + secretLen + sumLen }

// Pattern is a regular expression that matches every text of the format, for secret scanners.
func (f Format) Pattern() string {
	return fmt.Sprintf(`\b%s_(live|test)_[0-9A-Za-z]{%d}_[0-9A-Za-z]{%d}\b`, f.Prefix, idLen, secretLen+sumLen)
}

// Text is one credential in clear. It is shown once and never stored.
type Text struct {
	Env licensing.Env
	// Hint is the id inside the text, for people and logs; it opens nothing.
	Hint string
	// Full is the secret itself.
	Full string
}

// String hides the secret, so that a text that slips into a log or a message shows its hint alone.
func (t Text) String() string { return "credential " + t.Hint }

// GoString hides the secret from %#v.
func (t Text) GoString() string { return t.String() }

// New makes a text from random, or from crypto/rand if it is nil.
func (f Format) New(env licensing.Env, random io.Reader) (Text, error) {
	if err := f.Validate(); err != nil {
		return Text{}, err
	}
	if !env.Valid() {
		return Text{}, fmt.Errorf("credential: environment %q", env)
	}
	if random == nil {
		random = rand.Reader
	}
	id, err := draw(random, idLen)
	if err != nil {
		return Text{}, err
	}
	secret, err := draw(random, secretLen)
	if err != nil {
		return Text{}, err
	}
	body := f.Prefix + "_" + string(env) + "_" + id + "_" + secret
	return Text{Env: env, Hint: id, Full: body + checksum(body)}, nil
}

// Parse checks form and checksum of a text, without any lookup. A text that passes need not exist.
func (f Format) Parse(s string) (Text, bool) {
	if len(s) != f.Len() || !strings.HasPrefix(s, f.Prefix+"_") {
		return Text{}, false
	}
	rest := s[len(f.Prefix)+1:]
	env := licensing.Env(rest[:envLen])
	if !env.Valid() || rest[envLen] != '_' || rest[envLen+1+idLen] != '_' {
		return Text{}, false
	}
	id, tail := rest[envLen+1:envLen+1+idLen], rest[envLen+2+idLen:]
	if !alphanumeric(id) || !alphanumeric(tail) {
		return Text{}, false
	}
	body, sum := s[:len(s)-sumLen], s[len(s)-sumLen:]
	if subtle.ConstantTimeCompare([]byte(checksum(body)), []byte(sum)) != 1 {
		return Text{}, false
	}
	return Text{Env: env, Hint: id, Full: s}, true
}

// The shortest and longest text of another system's credential, in bytes.
const (
	MinForeign = 16
	MaxForeign = 512
)

// Foreign reports whether a text may be a credential that another system made: visible ASCII of a sane length that is not of the length and
// prefix of f, whose texts have a checksum.
func (f Format) Foreign(s string) bool {
	if len(s) < MinForeign || len(s) > MaxForeign || len(s) == f.Len() && strings.HasPrefix(s, f.Prefix+"_") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Random draws n characters of the alphabet from random, or from crypto/rand if it is nil: 5.95 bits each.
func Random(random io.Reader, n int) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	return draw(random, n)
}

// draw takes n characters of the alphabet, each equally likely: bytes of 248 and above are thrown away.
func draw(random io.Reader, n int) (string, error) {
	out := make([]byte, 0, n)
	var buf [64]byte
	for len(out) < n {
		if _, err := io.ReadFull(random, buf[:]); err != nil {
			return "", fmt.Errorf("credential: random source: %w", err)
		}
		for _, b := range buf {
			if b < 248 && len(out) < n {
				out = append(out, alphabet[b%62])
			}
		}
	}
	return string(out), nil
}

func checksum(body string) string {
	v := crc32.ChecksumIEEE([]byte(body))
	var out [sumLen]byte
	for i := sumLen - 1; i >= 0; i-- {
		out[i] = alphabet[v%62]
		v /= 62
	}
	return string(out[:])
}

func alphanumeric(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// Digest is the SHA-256 of a text.
type Digest [sha256.Size]byte

// HeadLen is the number of leading bytes of a digest that lookups are indexed by.
const HeadLen = 16

// Sum is the digest of a text.
func Sum(text string) Digest { return sha256.Sum256([]byte(text)) }

// Head is the part of the digest that is indexed.
func (d Digest) Head() []byte { return d[:HeadLen] }

// Equal compares with a stored hash in constant time.
func (d Digest) Equal(stored []byte) bool { return subtle.ConstantTimeCompare(d[:], stored) == 1 }
