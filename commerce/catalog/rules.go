package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/license"
)

// Limits of form.
const (
	maxName        = 120
	maxDescription = 8000
	maxGrants      = 8
	maxScopes      = 32
	maxSeats       = 1_000_000
	maxRate        = 1_000_000_000
	maxRatePeriod  = 31 * 24 * 3600
)

var (
	slugShape   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	prefixShape = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,7}$`)
)

// checker gathers the fields that break a rule, so that a caller learns of all at once.
type checker struct{ err *licensing.Error }

func newChecker() *checker {
	return &checker{licensing.Fail(licensing.Invalid, "invalid-request", "The request breaks a rule; see the fields.")}
}

func (c *checker) that(ok bool, name, detail string, args ...any) {
	if !ok {
		c.err = c.err.With(name, detail, args...)
	}
}

func (c *checker) result() error {
	if len(c.err.Fields) == 0 {
		return nil
	}
	return c.err
}

func (c *checker) slug(name, v string) {
	c.that(len(v) <= 64 && slugShape.MatchString(v), name, "must be 1 to 64 of a-z, 0-9 and single hyphens between them, for example photo-editor")
}

// line checks a one-line text for people; longText one that may have line breaks.
func (c *checker) line(name, v string) {
	c.that(strings.TrimSpace(v) != "" && len(v) <= maxName && printable(v, ""), name, "must be 1 to %d bytes of printable text on one line", maxName)
}

func (c *checker) longText(name, v string) {
	c.that(len(v) <= maxDescription && printable(v, "\n\t"), name, "must be at most %d bytes of printable text", maxDescription)
}

func (c *checker) purpose(name string, v Purpose) {
	c.that(v == Revenue || v == Retention || v == Distribution, name, "must be revenue, retention or distribution")
}

func (c *checker) prefix(name, v string) {
	c.that(prefixShape.MatchString(v), name, "must be 2 to 8 capital letters and digits, the first a letter, for example MINT")
}

func (c *checker) planType(name string, v PlanType) {
	c.that(v == Perpetual || v == Timed || v == Subscription || v == Trial, name, "must be perpetual, timed, subscription or trial")
}

func (c *checker) grants(name string, grants []Grant) {
	c.that(len(grants) <= maxGrants, name, "must be at most %d grants", maxGrants)
	for i, g := range grants {
		at := fmt.Sprintf("%s/%d", name, i)
		c.that((g.License == nil) != (g.APIKey == nil), at, "must have exactly one of license and api_key")
		if l := g.License; l != nil {
			c.that(l.Policy != "" && len(l.Policy) <= 64 && printable(l.Policy, ""), at+"/license/policy", "must be the code or the id of a policy")
			c.that(l.Seats == nil || *l.Seats > 0 && *l.Seats <= maxSeats, at+"/license/seats", "must be 1 to %d", maxSeats)
			fault := license.Entitlements(l.Entitlements).Fault() // what package license would not issue must not be for sale
			c.that(fault == "", at+"/license/entitlements", "%s", fault)
		}
		if k := g.APIKey; k != nil {
			c.apiKey(at+"/api_key", k)
		}
	}
}

func (c *checker) apiKey(at string, k *APIKeyGrant) {
	c.that(len(k.Scopes) <= maxScopes, at+"/scopes", "must be at most %d", maxScopes)
	for i, s := range k.Scopes { // what package apikey would not issue must not be for sale
		c.that(apikey.ValidScope(s), at+"/scopes", "%q: must be noun or noun:verb of a-z, 0-9, _ . and -", s)
		c.that(!slices.Contains(k.Scopes[:i], s), at+"/scopes", "%q: stands there twice", s)
	}
	c.that(k.RateCount > 0 && k.RateCount <= maxRate, at+"/rate_count", "must be 1 to %d", maxRate)
	c.that(k.RatePeriod > 0 && k.RatePeriod <= maxRatePeriod, at+"/rate_period", "must be 1 to %d seconds", maxRatePeriod)
	rate := apikey.Limit{Count: k.RateCount, Seconds: k.RatePeriod, Burst: k.RateCount}.Rate()
	c.that(rate.Validate() == nil, at+"/rate_count", "must be at most one for each microsecond of rate_period")
	c.that(k.Environment == "" || k.Environment.Valid(), at+"/environment", "must be live or test")
}

// printable reports whether v is valid UTF-8 without control characters other than those allowed, and without the characters
// that turn the direction of text.
func printable(v, allowed string) bool {
	if !utf8.ValidString(v) {
		return false
	}
	for _, r := range v {
		if (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) && !strings.ContainsRune(allowed, r) {
			return false
		}
	}
	return true
}
