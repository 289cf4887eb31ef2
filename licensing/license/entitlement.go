package license

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mintreu/mintreu/sdk/doc"
)

// Limits of what a token can carry: a license token is at most 8 KiB.
const (
	maxCodes    = 64
	maxInt      = 1<<53 - 1 // what every JSON reader carries exactly
	maxTextSize = 128
	// maxFeatures is how many bytes of JSON the features of a license may take, together with their ends and the list of those
	// kept when degraded. What else license and lease say takes less than 3000 of the 5900 bytes that fit in 8 KiB.
	maxFeatures = 2800
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
		if s, ok := v.Text(); ok && (len(s) > maxTextSize || !utf8.ValidString(s)) {
			return fmt.Sprintf("%q: text longer than %d bytes or not UTF-8", k, maxTextSize)
		}
		if n, ok := v.Int(); ok && (n > maxInt || n < -maxInt) {
			return fmt.Sprintf("%q: the number is beyond ±(2^53-1)", k)
		}
	}
	return ""
}

// Fault names the first thing wrong with entitlements that somebody asks for, "" when all is well. Who has a feature is granted it, whatever its
// text is: so a text that means yes or no is refused, since "false" would do the opposite. What was promised before is issued as it is.
func (e Entitlements) Fault() string {
	if text := e.check(); text != "" {
		return text
	}
	for _, name := range slices.Sorted(maps.Keys(e)) {
		if text, ok := e[name].Text(); ok && (strings.EqualFold(text, "false") || strings.EqualFold(text, "true")) {
			return fmt.Sprintf("%q: the text %q would grant it; leave out what is not granted, and for a mere yes say true without quotes", name, text)
		}
	}
	return ""
}

// weight is how many bytes of JSON e takes in a token, with the ends of its entries and the list of those kept.
func (e Entitlements) weight(ends map[string]int64, keep []string) int {
	text, err := json.Marshal(e)
	if err != nil {
		return maxFeatures + 1
	}
	n := len(text)
	for name := range ends {
		n += len(name) + len(`"":253402300799,`)
	}
	for _, name := range keep {
		n += len(name) + len(`"",`)
	}
	return n
}

// over returns e with every entry of top laid over it.
func (e Entitlements) over(top Entitlements) Entitlements {
	out := make(Entitlements, len(e)+len(top))
	maps.Copy(out, e)
	maps.Copy(out, top)
	return out
}
