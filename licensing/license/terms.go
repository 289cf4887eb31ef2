package license

import (
	"math"
	"regexp"
	"slices"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// ErrPolicy refuses terms that contradict themselves; its fields say where.
var ErrPolicy = licensing.Fail(licensing.Invalid, "policy-invalid", "The policy contradicts itself; see the fields.")

// code is the shape of entitlement, meter and policy codes (documents.md).
var code = regexp.MustCompile(`^[a-z0-9_.-]{1,64}$`)

// version is the shape of a newest version covered; one of another shape would cover nothing.
var version = regexp.MustCompile(`^v?[0-9]+(\.[0-9]+)*$`)

// maxSeats bounds what a license may promise, so that overage arithmetic cannot overflow.
const maxSeats = math.MaxInt32

// Validate reports every rule the terms break, as one [licensing.Error] with a field each. It expects defaults filled in.
func (t Terms) Validate() error {
	c := &checker{err: ErrPolicy}
	t.words(c)
	t.spans(c)
	t.seating(c)
	t.features(c)
	return c.result()
}

func (t Terms) words(c *checker) {
	c.oneOf("type", t.Type, doc.Perpetual, doc.Timed, doc.Subscription, doc.Trial)
	c.oneOf("expiry_basis", t.ExpiryBasis, FromCreation, FromFirstActivation, FromFirstValidation)
	c.oneOf("renewal_basis", t.RenewalBasis, FromExpiry, FromNow, FromNowIfExpired)
	c.oneOf("expired", t.Expired, doc.ExpiredRestrict, doc.ExpiredRevoke, doc.ExpiredMaintain, doc.ExpiredAllow)
	c.oneOf("seats/by", t.Seats.By, doc.ByDevice, doc.ByUser)
	c.oneOf("over_limit", t.OverLimit, Reject, ReplaceOldest)
	c.oneOf("activation", t.Activation, doc.ActivationNone, doc.ActivationRequired)
	c.oneOf("then", t.Then, doc.ThenStop, doc.ThenDegrade, doc.ThenAdvisory)
	c.oneOf("status", t.Status, doc.StatusOff, doc.StatusWarn, doc.StatusRequire)
	if t.Transfer.Allowed {
		c.oneOf("transfer/expiry", t.Transfer.Expiry, KeepExpiry, ResetExpiry)
		c.that(t.Type != doc.Trial, "transfer/allowed", "a trial stays with whom it was given to")
		c.that(t.Transfer.Limit == 0 || t.Transfer.Period > 0, "transfer/period", "a limit needs the period that it counts in")
	}
	c.that(t.MaxVersion == "" || len(t.MaxVersion) <= 64 && version.MatchString(t.MaxVersion), "max_version",
		"must be numbers with dots between them, like 2.5, in at most 64 bytes")
}

func (t Terms) spans(c *checker) {
	for name, n := range map[string]int64{
		"duration": t.Duration, "expiry_grace": t.ExpiryGrace, "updates_for": t.UpdatesFor, "recheck": t.Recheck, "fresh": t.Fresh,
		"stale": t.Stale, "grace": t.Grace, "revive_within": t.ReviveWithin, "dead_after": t.DeadAfter,
		"status_max_age": t.StatusMaxAge, "transfer/limit": t.Transfer.Limit, "transfer/period": t.Transfer.Period,
	} {
		c.that(n >= 0 && n <= maxSpan, name, "is negative or longer than 200 years")
	}
	c.that(t.Fresh+t.Stale+t.Grace <= maxSpan, "grace", "makes more than 200 years offline, together with fresh and stale")
	switch t.Type {
	case doc.Perpetual:
		c.that(t.Duration == 0, "duration", "a perpetual license has none")
	case doc.Timed, doc.Trial:
		c.that(t.Duration > 0, "duration", "a %s license needs one", t.Type)
	}
	c.that(t.Type != doc.Trial || t.Activation == doc.ActivationRequired, "activation",
		"a trial is one for each device, so a device must hold a seat: required")
	c.that(t.ExpiryBasis == FromCreation || t.Activation == doc.ActivationRequired, "expiry_basis",
		"a term that starts later than at creation needs activation: required")
	c.that(t.ExpiryBasis == FromCreation || t.Type == doc.Timed || t.Type == doc.Trial, "expiry_basis",
		"only a timed or trial license starts later than at creation")
	if t.Activation == doc.ActivationRequired {
		c.that(t.Fresh > 0, "fresh", "a lease must be fresh for some time")
		c.that(t.Recheck > 0 && t.Recheck < t.Fresh, "recheck", "must be less than fresh, so that a renewal comes in time")
	}
	c.that(t.Status == doc.StatusOff || t.StatusMaxAge > 0, "status_max_age", "must be set when status lists count")
}

func (t Terms) seating(c *checker) {
	c.that(t.Seats.N >= 0 && t.Seats.N <= maxSeats, "seats/n", "must be 0 to %d", maxSeats)
	c.that(t.OveragePercent >= -1 && t.OveragePercent <= 10_000, "overage_percent", "must be -1 to 10000")
	c.that(t.Match >= 1 && t.Match <= MaxParts, "match", "must be 1 to %d", MaxParts)
	if t.Seats.Floating {
		c.that(t.DeadAfter > 0 && seconds(t.DeadAfter) >= t.OfflineMax(), "dead_after",
			"a floating seat must be held at least as long as a device may run offline (%d seconds)", t.Fresh+t.Stale+t.Grace)
		c.that(t.Then != doc.ThenAdvisory, "then", "a floating seat whose lease never ends cannot be counted")
	}
}

func (t Terms) features(c *checker) {
	if err := t.Entitlements.Fault(); err != "" {
		c.that(false, "entitlements", "%s", err)
	}
	for name, n := range t.EntitledFor {
		_, ok := t.Entitlements[name]
		c.that(ok, "entitled_for/"+name, "names no entitlement")
		c.that(n > 0 && n <= maxSpan, "entitled_for/"+name, "must be a positive number of seconds")
	}
	granted := Entitlements((&License{Entitlements: t.Entitlements, Terms: t}).Granted())
	c.that(granted.weight(t.EntitledFor, t.Keep) <= maxFeatures, "entitlements", "take more than the %d bytes that fit in a license", maxFeatures)
	for _, name := range t.Keep {
		_, ok := t.Entitlements[name]
		c.that(ok, "keep", "%q names no entitlement", name)
	}
	c.that(len(t.Meters) <= maxCodes, "meters", "more than %d", maxCodes)
	for name, m := range t.Meters {
		c.that(code.MatchString(name), "meters", "%q is not a code", name)
		c.that(m.Quota >= 0 && m.Quota <= maxInt, "meters/"+name, "the quota is negative or beyond 2^53-1")
		_, both := t.Entitlements[name]
		c.that(!both, "meters/"+name, "is also the code of an entitlement")
		c.oneOf("meters/"+name+"/period", m.Period, "day", "week", "month", "year", "term")
	}
}

// checker gathers the fields that break a rule.
type checker struct {
	err    *licensing.Error
	broken bool
}

func (c *checker) that(ok bool, name, detail string, args ...any) {
	if !ok {
		c.err, c.broken = c.err.With(name, detail, args...), true
	}
}

func (c *checker) oneOf(name, value string, words ...string) {
	c.that(slices.Contains(words, value), name, "must be one of %v", words)
}

func (c *checker) result() error {
	if !c.broken {
		return nil
	}
	slices.SortFunc(c.err.Fields, func(a, b licensing.Field) int {
		if a.Name != b.Name {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}
		return 0
	})
	return c.err
}
