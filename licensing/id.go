package licensing

import "strings"

// IDs makes identifiers: the prefix and "_" followed by a UUIDv7 in 32 lower-case hex digits, so that ids sort by age, have a
// fixed length and mean the same under every collation. It is injected and safe for concurrent use.
type IDs func(prefix string) string

// New makes an identifier with the given prefix, for example New("lic").
func (f IDs) New(prefix string) string { return f(prefix) }

// ValidID reports whether id is prefix + "_" + 32 lower-case hex digits.
func ValidID(prefix, id string) bool {
	rest, ok := strings.CutPrefix(id, prefix+"_")
	if !ok || len(rest) != 32 {
		return false
	}
	for i := 0; i < len(rest); i++ {
		if c := rest[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
