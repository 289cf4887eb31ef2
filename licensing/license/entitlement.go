package license

import (
	"fmt"
	"maps"

	"github.com/mintreu/mintreu/sdk/doc"
)

// Limits of what a token can carry: a license token is at most 8 KiB.
const (
	maxCodes    = 64
	maxTextSize = 128
	// MaxParts is how many components of a device are kept and compared.
	MaxParts = 8
)

// Entitlements are features by code: a mere yes, a whole number or a text.
type Entitlements map[string]doc.Value

// check names the first thing wrong, "" when all is well.
func (e Entitlements) check() string {
	if len(e) > maxCodes {
		return fmt.Sprintf("more than %d", maxCodes)
	}
	for k, v := range e {
		if !code.MatchString(k) {
			return fmt.Sprintf("%q is not a code: 1 to 64 of a-z, 0-9, _ . -", k)
		}
		if v.IsZero() {
			return fmt.Sprintf("%q: must be true, a whole number or a text", k)
		}
		if s, ok := v.Text(); ok && len(s) > maxTextSize {
			return fmt.Sprintf("%q: text longer than %d bytes", k, maxTextSize)
		}
	}
	return ""
}

// over returns e with every entry of top laid over it.
func (e Entitlements) over(top Entitlements) Entitlements {
	out := make(Entitlements, len(e)+len(top))
	maps.Copy(out, e)
	maps.Copy(out, top)
	return out
}
