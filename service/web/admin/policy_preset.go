package admin

import (
	"fmt"
	"strings"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/web/ui"
)

// preset is a kind of license that shops sell, as terms to start a policy from.
type preset struct {
	Code, Name string
	What       string // when one chooses it
	Terms      license.Terms
}

// presets are those to start from, the most usual first.
func presets() []preset {
	devices := func(n int64) license.Seats { return license.Seats{N: n, By: doc.ByDevice} }
	return []preset{
		{"perpetual", "Perpetual", "Bought once and used for good, on three devices, with a year of updates.",
			license.Terms{Type: doc.Perpetual, Seats: devices(3), UpdatesFor: 365 * days, ReviveWithin: 30 * days}},
		{"subscription", "Subscription", "Works as long as it is paid, with three days to mend a payment that failed.",
			license.Terms{Type: doc.Subscription, Seats: devices(3), ExpiryGrace: 3 * days, ReviveWithin: 30 * days}},
		{"timed", "For a year", "Paid for one year. Versions that were out by its end go on working.",
			license.Terms{Type: doc.Timed, Duration: 365 * days, RenewalBasis: "from_now_if_expired", Expired: doc.ExpiredMaintain, Seats: devices(3), ReviveWithin: 30 * days}},
		{"floating", "Floating", "Ten seats for a team of any size: a device that is silent for a day gives its seat to another.",
			license.Terms{Type: doc.Subscription, Seats: license.Seats{N: 10, By: doc.ByDevice, Floating: true}, ExpiryGrace: 3 * days, Recheck: 15 * minute, Fresh: 2 * hour, Stale: 12 * hour, Grace: 10 * hour, DeadAfter: days}},
		{"node-locked", "Node-locked", "One machine, recognised strictly, that may be offline for a year: plants, laboratories, kiosks.",
			license.Terms{Type: doc.Perpetual, Seats: devices(1), Match: 3, Recheck: 30 * days, Fresh: 180 * days, Stale: 150 * days, Grace: 36 * days, Status: doc.StatusOff,
				Transfer: license.Transfer{Allowed: true, Limit: 1, Period: 365 * days, Approval: true}}},
		{"named", "Named users", "Five people who sign in to your product, on as many devices as each likes.",
			license.Terms{Type: doc.Subscription, Seats: license.Seats{N: 5, By: doc.ByUser}, ExpiryGrace: 3 * days}},
		{"trial", "Trial", "Thirty days to try, from the first start on, then the product stops.",
			license.Terms{Type: doc.Trial, Duration: 30 * days, ExpiryBasis: license.FromFirstActivation, Seats: devices(1), Recheck: 12 * hour, Fresh: 2 * days, Stale: days, Grace: days}},
	}
}

// presetOf is a preset by its code, the first by any other.
func presetOf(code string) preset {
	all := presets()
	for _, p := range all {
		if p.Code == code {
			return p
		}
	}
	return all[0]
}

// policyWords says in sentences what terms come to.
func policyWords(t license.Terms) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	from := map[string]string{license.FromFirstActivation: " from the first activation", license.FromFirstValidation: " from the first validation"}[t.ExpiryBasis]
	switch t.Type {
	case doc.Perpetual:
		add("Bought once, good for ever.")
	case doc.Subscription:
		add("Good as long as it is paid.")
	case doc.Trial:
		add("A trial of %s%s.", spanWords(t.Duration), from)
	default:
		add("Good for %s%s.", spanWords(t.Duration), from)
	}
	if t.Type != doc.Perpetual {
		after := map[string]string{doc.ExpiredRestrict: "the product stops", doc.ExpiredRevoke: "the license is revoked", doc.ExpiredMaintain: "versions out by then go on", doc.ExpiredAllow: "everything goes on"}[t.Expired]
		if t.ExpiryGrace > 0 {
			add("When it is over it works %s more; then %s.", spanWords(t.ExpiryGrace), after)
		} else {
			add("When it is over, %s.", after)
		}
	}
	if t.UpdatesFor > 0 {
		add("Updates that come out within %s.", spanWords(t.UpdatesFor))
	}
	if t.MaxVersion != "" {
		add("Versions up to %s.", t.MaxVersion)
	}
	seats := ui.Plural(t.Seats.N, t.Seats.By, t.Seats.By+"s") + " at a time"
	switch {
	case t.OveragePercent < 0:
		add("Any number of %ss; %s are expected.", t.Seats.By, ui.Number(t.Seats.N))
	case t.OveragePercent > 0:
		add("%s, and up to %s with a warning.", seats, ui.Number(t.SeatsMax(t.Seats.N)))
	case t.OverLimit == license.ReplaceOldest:
		add("%s; one more takes the place of the oldest.", seats)
	default:
		add("%s; one more is refused.", seats)
	}
	if t.Seats.Floating || t.DeadAfter > 0 {
		add("Who is silent for %s gives the seat back.", spanWords(t.DeadAfter))
	}
	if t.Activation != doc.ActivationRequired {
		add("No activation: whoever has the key may use it, anywhere.")
		return out
	}
	add("The product asks again every %s.", strings.TrimPrefix(spanWords(t.Recheck), "1 "))
	offline := "Offline it works " + spanWords(t.Fresh)
	if t.Stale > 0 {
		offline += ", then " + spanWords(t.Stale) + " with a warning"
	}
	if t.Grace > 0 {
		offline += ", then " + spanWords(t.Grace) + " in grace"
	}
	add("%s: %s in all. Then %s.", offline, spanWords(t.Fresh+t.Stale+t.Grace), map[string]string{doc.ThenStop: "it stops", doc.ThenDegrade: "it works with fewer features", doc.ThenAdvisory: "it goes on, and says so"}[t.Then])
	return out
}
