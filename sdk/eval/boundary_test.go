package eval_test

import (
	"testing"

	"github.com/mintreu/mintreu/sdk/eval"
)

// boundary is an instant at which an answer changes.
type boundary struct {
	name, says    string
	at            int64
	license       m
	lease         m
	none          bool // no lease
	request       m
	status        *eval.Status
	before, after []string
}

// boundaries has every instant of the specification's rules: a second before it, at it, and a second after. Instants are half-open: what holds
// until t holds at t-1 and no longer at t.
func boundaries(t *testing.T) *vectors {
	v := base("Every instant at which an answer changes: a second before it, at it, and a second after.")
	for _, b := range append(append(terms(), leases()...), others()...) {
		for _, d := range []struct {
			by   int64
			name string
			says string
			want []string
		}{{-1, "-a-second-before", "A second before the instant: ", b.before}, {0, "-at-it", "At the instant: ", b.after}, {1, "-a-second-after", "A second after the instant: ", b.after}} {
			c := vcase{Name: b.name + d.name, Says: d.says + b.says + ".", Now: b.at + d.by, Request: b.request, Status: b.status}
			if b.license != nil {
				c.License = raw(b.license)
			}
			if b.none {
				c.Lease = raw(nil)
			} else if b.lease != nil {
				c.Lease = raw(b.lease)
			}
			v.add(t, c, d.want...)
		}
	}
	return v
}

// until is a license without activation and status list, with a commercial end and another pol.
func until(end int64, pol m) m {
	p := m{"activation": "none", "status": "off"}
	l := m{"valid_until": end, "exp": end + 7*day}
	if g, ok := pol["expiry_grace"].(int64); ok {
		l["exp"] = end + g
	}
	if e := pol["expired"]; e == "maintain" || e == "allow" {
		l["exp"] = nil
	}
	l["pol"] = compose(p, pol)
	return l
}

func terms() []boundary {
	end := t0 + 366*day
	out := []boundary{
		{name: "begin", says: "a license begins, 60 seconds of skew allowed", at: t0 - 60, license: until(end, nil), before: []string{"NOT_YET_VALID:deny"}},
		{name: "begin-later", says: "a license issued for later begins", at: t0 + 9*day - 60, license: compose(until(end, nil), m{"nbf": t0 + 9*day}), before: []string{"NOT_YET_VALID:deny"}},
		{name: "soon", says: "seven days are left of a year", at: end - 7*day, license: until(end, nil), after: []string{"EXPIRING_SOON:warn"}},
		{name: "soon-for-28-days", says: "a quarter of 28 days is seven days", at: t0 + 21*day, license: until(t0+28*day, nil), after: []string{"EXPIRING_SOON:warn"}},
		{name: "soon-for-3-days", says: "a quarter is left of three days", at: t0 + 3*day - 3*day/4, license: until(t0+3*day, nil), after: []string{"EXPIRING_SOON:warn"}},
		{name: "end-with-lease", says: "the term ends while a fresh lease is at hand", at: t0 + 3*day, license: m{"valid_until": t0 + 3*day, "exp": t0 + 10*day},
			before: []string{"EXPIRING_SOON:warn"}, after: []string{"IN_GRACE:warn"}},
		{name: "end-of-subscription-grace", says: "a subscription that was not paid loses its 72 hours", at: end + 3*day, license: compose(until(end, m{"expiry_grace": 3 * day}), m{"type": "subscription"}),
			none: true, before: []string{"IN_GRACE:warn"}, after: []string{"EXPIRED:deny"}},
	}
	for _, expired := range []string{"restrict", "revoke", "maintain", "allow"} {
		last := []string{"EXPIRED:deny"}
		if expired == "maintain" || expired == "allow" {
			last = []string{"EXPIRED:warn"}
		}
		out = append(out,
			boundary{name: expired + "-end", says: "the term ends and grace begins, expired is " + expired, at: end, license: until(end, m{"expired": expired, "expiry_grace": 7 * day}),
				before: []string{"EXPIRING_SOON:warn"}, after: []string{"IN_GRACE:warn"}},
			boundary{name: expired + "-end-of-grace", says: "the grace time ends, expired is " + expired, at: end + 7*day, license: until(end, m{"expired": expired, "expiry_grace": 7 * day}),
				before: []string{"IN_GRACE:warn"}, after: last},
			boundary{name: expired + "-end-without-grace", says: "the term ends without grace, expired is " + expired, at: end, license: until(end, m{"expired": expired, "expiry_grace": int64(0)}),
				before: []string{"EXPIRING_SOON:warn"}, after: last})
	}
	return out
}

func leases() []boundary {
	stale, grace := []string{"LEASE_STALE:warn"}, []string{"IN_GRACE:warn"}
	ended, tolerated := []string{"LEASE_EXPIRED:deny"}, []string{"LEASE_EXPIRED:warn"}
	pol := func(p m) m { return m{"pol": p} }
	return []boundary{
		{name: "recheck", says: "contact is due, which changes nothing", at: t0 + day},
		{name: "fresh", says: "the lease gets stale", at: t0 + 7*day, after: stale},
		{name: "stale", says: "the grace time of the lease begins", at: t0 + 14*day, before: stale, after: grace},
		{name: "lease-end-stop", says: "the lease ends and the product stops", at: t0 + 21*day, before: grace, after: ended},
		{name: "lease-end-degrade", says: "the lease ends and the product degrades", at: t0 + 21*day, license: pol(m{"then": "degrade", "keep": []string{"export"}}), before: grace, after: tolerated},
		{name: "lease-end-advisory", says: "the lease ends and the product is only told", at: t0 + 21*day, license: pol(m{"then": "advisory"}), lease: m{"exp": nil}, before: grace, after: tolerated},
		{name: "fresh-without-stale", says: "a lease without a stale time goes into grace", at: t0 + 7*day, license: pol(m{"stale": 0}), lease: m{"exp": t0 + 14*day}, after: grace},
		{name: "stale-without-grace", says: "a lease without a grace time ends after its stale time", at: t0 + 14*day, license: pol(m{"grace": 0}), lease: m{"exp": t0 + 14*day}, before: stale, after: ended},
		{name: "fresh-alone", says: "a lease with neither stale nor grace time ends", at: t0 + 7*day, license: pol(m{"stale": 0, "grace": 0}), lease: m{"exp": t0 + 7*day}, after: ended},
		{name: "short-lease", says: "a lease cut short ends when it says", at: t0 + 10*day, lease: m{"exp": t0 + 10*day}, before: stale, after: ended},
		{name: "short-lease-fresh", says: "a lease cut short while fresh ends when it says", at: t0 + 7*day, lease: m{"exp": t0 + 7*day}, after: ended},
		{name: "borrowed-lease", says: "a borrowed lease is fresh to its last second", at: t0 + 21*day, lease: m{"borrowed": true, "fresh_until": t0 + 21*day}, after: ended},
		{name: "answered-lease", says: "a lease brought by hand is fresh to its last second", at: t0 + 20*day, lease: m{"fresh_until": t0 + 20*day, "exp": t0 + 20*day, "nonce": "n1"}, after: ended},
		{name: "second-lease", says: "a renewed lease counts from the later contact", at: t0 + 12*day, lease: m{"seq": 2, "iat": t0 + 5*day, "recheck_at": t0 + 6*day, "fresh_until": t0 + 12*day, "exp": t0 + 26*day}, after: stale},
	}
}

func others() []boundary {
	aged := func(status string, activation string) m {
		return m{"pol": m{"status": status, "status_max_age": 2 * day, "activation": activation}}
	}
	warned, denied := []string{"STATUS_STALE:warn"}, []string{"STATUS_STALE:deny"}
	return []boundary{
		{name: "status-token", says: "the token itself is proof for two days", at: t0 + 2*day, license: aged("warn", "none"), none: true, after: warned},
		{name: "status-token-required", says: "the token itself is proof for two days, and proof is required", at: t0 + 2*day, license: aged("require", "none"), none: true, after: denied},
		{name: "status-lease", says: "a lease is proof too", at: t0 + 6*day, license: aged("require", "required"), lease: m{"iat": t0 + 4*day, "recheck_at": t0 + 5*day, "fresh_until": t0 + 11*day, "exp": t0 + 25*day}, after: denied},
		{name: "status-lease-of-another", says: "a lease that rests on another token is no proof", at: t0 + 2*day, license: aged("warn", "none"), lease: m{"tok": "tok_0", "iat": t0 + day}, after: warned},
		{name: "status-list", says: "a list is proof for two days", at: t0 + 5*day, license: aged("require", "none"), none: true, status: &eval.Status{IssuedAt: t0 + 3*day, Expires: t0 + 9*day}, after: denied},
		{name: "status-list-end", says: "a list is proof until its own end", at: t0 + 4*day, license: aged("require", "none"), none: true, status: &eval.Status{IssuedAt: t0 + 3*day, Expires: t0 + 4*day}, after: denied},
		{name: "status-list-without-end", says: "a list without an end is proof for two days", at: t0 + 5*day, license: aged("warn", "none"), none: true, status: &eval.Status{IssuedAt: t0 + 3*day}, after: warned},
		{name: "status-off", says: "an old list matters nothing where the policy does not look", at: t0 + 5*day, license: aged("off", "none"), none: true, status: &eval.Status{IssuedAt: t0 + 3*day, Expires: t0 + 4*day}},
		{name: "status-revoked-old", says: "a revocation holds however old its list", at: t0 + 5*day, license: aged("warn", "none"), none: true, status: &eval.Status{Value: 1, IssuedAt: t0 + 3*day},
			before: []string{"REVOKED:deny"}, after: []string{"REVOKED:deny", "STATUS_STALE:warn"}},
		{name: "feature-end", says: "a feature of a license without activation ends", at: t0 + 3*day, license: compose(until(t0+366*day, nil), m{"ent_until": m{"export": t0 + 3*day}}), none: true,
			request: m{"entitlement": "export"}, after: []string{"ENTITLEMENT_EXPIRED:deny"}},
		{name: "feature-end-in-lease", says: "a feature of an active device ends when its lease says", at: t0 + 3*day, license: m{"ent_until": m{"export": t0 + 9*day}}, lease: m{"ent_until": m{"export": t0 + 3*day}},
			request: m{"entitlement": "export"}, after: []string{"ENTITLEMENT_EXPIRED:deny"}},
		{name: "feature-end-of-another", says: "the end of a feature nobody asks for changes nothing", at: t0 + 3*day, lease: m{"ent_until": m{"export": t0 + 3*day}}, request: m{"entitlement": "projects", "n": 25}},
		{name: "feature-degraded", says: "a feature that is not kept stops with the lease", at: t0 + 21*day, license: m{"pol": m{"then": "degrade", "keep": []string{"export"}}}, request: m{"entitlement": "projects"},
			before: []string{"IN_GRACE:warn"}, after: []string{"LEASE_EXPIRED:warn", "ENTITLEMENT_MISSING:deny"}},
		{name: "feature-kept", says: "a feature that is kept goes on after the lease", at: t0 + 21*day, license: m{"pol": m{"then": "degrade", "keep": []string{"export"}}}, request: m{"entitlement": "export"},
			before: []string{"IN_GRACE:warn"}, after: []string{"LEASE_EXPIRED:warn"}},
	}
}
