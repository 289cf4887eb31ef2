package doc

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
)

// A license key is a prefix and six groups of five characters of Crockford's
// base32, such as MINT-8K3ZQ-V0N5R-…: 28 random characters (140 bits) and two
// that check them.
//
// The check is the first ten bits, as two characters, of the SHA-256 of
// "mintreu license key:" followed by the prefix, "-" and the 28 characters
// without dashes. It only catches slips: it lets a form say "please look again"
// without asking the server, for 1023 of 1024 wrong keys.
const (
	crockford  = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	keyRandom  = 28
	keyLength  = 30
	keyGroup   = 5
	checkLabel = "mintreu license key:"
)

// DefaultKeyPrefix is the prefix of products that have none of their own.
const DefaultKeyPrefix = "MINT"

// ValidKeyPrefix reports whether s can be a prefix: 1 to 10 upper-case letters
// and digits, the first a letter.
func ValidKeyPrefix(s string) bool {
	if len(s) == 0 || len(s) > 10 || s[0] < 'A' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if (s[i] < 'A' || s[i] > 'Z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// NewLicenseKey makes a license key from 28 bytes of random, which must be a
// cryptographic source such as crypto/rand.Reader.
func NewLicenseKey(prefix string, random io.Reader) (string, error) {
	if !ValidKeyPrefix(prefix) {
		return "", fmt.Errorf("license key prefix %q is not 1 to 10 upper-case letters and digits", prefix)
	}
	var body [keyRandom]byte
	if _, err := io.ReadFull(random, body[:]); err != nil {
		return "", fmt.Errorf("read random: %w", err)
	}
	for i, b := range body {
		body[i] = crockford[b&31] // 32 divides 256: no character is likelier
	}
	return formatKey(prefix, string(body[:])+keyCheck(prefix, string(body[:]))), nil
}

// NormalizeLicenseKey returns the canonical spelling of a license key typed by
// a person and true, or s itself and false when it has not the shape of one or
// its check characters are wrong. It forgives case, spaces, missing or wrongly
// placed dashes after the prefix, O for 0, and I or L for 1. A key of another
// shape, such as an imported one, is meant byte for byte as it is.
func NormalizeLicenseKey(s string) (string, bool) {
	if len(s) > 128 {
		return s, false
	}
	prefix, rest, ok := strings.Cut(strings.ToUpper(strings.TrimSpace(s)), "-")
	prefix = strings.TrimSpace(prefix)
	if !ok || !ValidKeyPrefix(prefix) {
		return s, false
	}
	body := make([]byte, 0, keyLength)
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch c {
		case ' ', '-', '\t':
			continue
		case 'O':
			c = '0'
		case 'I', 'L':
			c = '1'
		}
		if strings.IndexByte(crockford, c) < 0 || len(body) == keyLength {
			return s, false
		}
		body = append(body, c)
	}
	if len(body) != keyLength || keyCheck(prefix, string(body[:keyRandom])) != string(body[keyRandom:]) {
		return s, false
	}
	return formatKey(prefix, string(body)), true
}

func keyCheck(prefix, body string) string {
	sum := sha256.Sum256([]byte(checkLabel + prefix + "-" + body))
	return string([]byte{crockford[sum[0]>>3], crockford[sum[0]<<2&31|sum[1]>>6]})
}

func formatKey(prefix, body string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for i := 0; i < len(body); i += keyGroup {
		b.WriteByte('-')
		b.WriteString(body[i : i+keyGroup])
	}
	return b.String()
}
