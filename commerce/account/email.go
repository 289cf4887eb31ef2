package account

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
)

// NormalEmail is the form of an address by which accounts are unique: without surrounding space, in lower case. It
// returns an error of kind [licensing.Invalid] for what cannot be a mailbox: not one @, over 254 bytes, control or other
// invisible characters, a display name, a domain without a dot.
func NormalEmail(text string) (string, error) {
	bad := licensing.Fail(licensing.Invalid, "invalid", "The e-mail address cannot be used.").With("/email", "must be an address like name@example.com")
	text = strings.TrimSpace(text)
	if len(text) == 0 || len(text) > 254 || !utf8.ValidString(text) {
		return "", bad
	}
	for _, r := range text {
		if unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`<>()[]\,;:"`, r) {
			return "", bad
		}
	}
	addr, err := mail.ParseAddress(text)
	if err != nil || addr.Name != "" || addr.Address != text {
		return "", bad
	}
	local, domain, _ := strings.Cut(text, "@")
	if len(local) > 64 || strings.Contains(domain, "@") || !strings.Contains(domain, ".") || strings.HasSuffix(domain, ".") || strings.HasPrefix(domain, ".") {
		return "", bad
	}
	return strings.ToLower(text), nil
}
