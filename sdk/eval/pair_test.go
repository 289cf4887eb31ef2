package eval_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/eval"
)

// fault is one thing wrong with an otherwise good license, and the finding it makes. Two faults that touch the same fact cannot be had at once.
type fault struct {
	finding string
	what    string // as in "the license is revoked"
	touches string // facts, separated by spaces
	license m
	lease   m
	none    bool // no lease at all
	request m
	status  *eval.Status
}

// faults have every code that documents and requests can make. CLOCK_ROLLBACK, ACTIVATION_RELEASED, TOO_MANY_SEATS and NOT_FOUND come from
// outside the documents.
var faults = []fault{
	{finding: "REVOKED:deny", what: "the status list says revoked", touches: "bit", status: &eval.Status{Value: 1, IssuedAt: t0}},
	{finding: "SUSPENDED:deny", what: "the status list says suspended", touches: "bit", status: &eval.Status{Value: 2, IssuedAt: t0}},
	{finding: "PRODUCT_REQUIRED:deny", what: "the request names no product", touches: "product", request: m{"product": nil}},
	{finding: "PRODUCT_MISMATCH:deny", what: "the request is of another product", touches: "product", request: m{"product": "player"}},
	{finding: "ENVIRONMENT_MISMATCH:deny", what: "the request is of the test environment", touches: "env", request: m{"env": "test"}},
	{finding: "NOT_YET_VALID:deny", what: "the license begins in 61 seconds", touches: "nbf", license: m{"nbf": noon + 61}},
	{finding: "EXPIRED:deny", what: "the license has expired", touches: "term", license: m{"valid_until": noon, "exp": noon, "pol": m{"expiry_grace": 0}}},
	{finding: "EXPIRED:warn", what: "the license has expired and is maintained", touches: "term", license: m{"valid_until": noon, "exp": nil, "pol": m{"expired": "maintain", "expiry_grace": 0}}},
	{finding: "VERSION_REQUIRED:deny", what: "the request names no version", touches: "version", request: m{"version": nil}},
	{finding: "VERSION_NOT_COVERED:deny", what: "the version is beyond what is covered", touches: "version", request: m{"version": "3.0"}},
	{finding: "ACTIVATION_REQUIRED:deny", what: "there is no lease", touches: "device user lease", none: true},
	{finding: "DEVICE_REQUIRED:deny", what: "the request names no device", touches: "device", request: m{"device": nil}},
	{finding: "DEVICE_MISMATCH:deny", what: "the device is another", touches: "device", request: m{"device": m{"machine": "m2", "disk": "d2"}}},
	{finding: "USER_REQUIRED:deny", what: "the seat is a user's and the request names none", touches: "user", license: m{"seats": m{"by": "user"}}, lease: m{"usr": "u1"}},
	{finding: "USER_MISMATCH:deny", what: "the user is another", touches: "user", lease: m{"usr": "u1"}, request: m{"user": "u2"}},
	{finding: "LEASE_EXPIRED:deny", what: "the lease has ended", touches: "lease", lease: m{"iat": noon - 21*day, "fresh_until": noon - 14*day, "recheck_at": noon - 20*day, "exp": noon}},
	{finding: "LEASE_EXPIRED:warn", what: "the lease has ended and only degrades", touches: "lease", license: m{"pol": m{"then": "degrade", "keep": []string{"projects"}}},
		lease: m{"iat": noon - 21*day, "fresh_until": noon - 14*day, "recheck_at": noon - 20*day, "exp": noon}},
	{finding: "STATUS_STALE:deny", what: "no fresh status list is at hand and one is required", touches: "age", license: m{"pol": m{"status": "require", "status_max_age": 0}}},
	{finding: "STATUS_STALE:warn", what: "no fresh status list is at hand", touches: "age", license: m{"pol": m{"status_max_age": 0}}},
	{finding: "ENTITLEMENT_MISSING:deny", what: "the feature is not included", touches: "feature amount", request: m{"entitlement": "import"}},
	{finding: "ENTITLEMENT_EXPIRED:deny", what: "the feature has ended", touches: "feature", license: m{"ent_until": m{"projects": noon}}, lease: m{"ent_until": m{"projects": noon}}, request: m{"entitlement": "projects"}},
	{finding: "QUOTA_EXCEEDED:deny", what: "more is wanted than the feature has", touches: "amount", request: m{"entitlement": "projects", "n": 26}},
	{finding: "LEASE_STALE:warn", what: "the lease is stale", touches: "lease", lease: m{"iat": noon - 7*day, "fresh_until": noon, "recheck_at": noon - 6*day, "exp": noon + 14*day}},
	{finding: "IN_GRACE:warn", what: "the lease is in its grace time", touches: "lease", lease: m{"iat": noon - 14*day, "fresh_until": noon - 7*day, "recheck_at": noon - 13*day, "exp": noon + 7*day}},
	{finding: "IN_GRACE:warn", what: "the license is in its grace time", touches: "term", license: m{"valid_until": noon, "exp": noon + 7*day}},
	{finding: "EXPIRING_SOON:warn", what: "the license ends soon", touches: "term nbf", license: m{"valid_until": noon + 100, "exp": noon + 100 + 7*day}},
}

// pairs has every two findings at once: by facts where documents can have both, and as findings that the caller knows of for all others.
func pairs(t *testing.T) *vectors {
	v := base("Every two findings at once. All are reported, the most severe denial decides, and a warning never hides one.")
	had := map[string]bool{}
	for i, a := range faults {
		v.add(t, a.alone(), a.finding)
		for _, b := range faults[i+1:] {
			if slices.ContainsFunc(strings.Fields(a.touches), func(f string) bool { return slices.Contains(strings.Fields(b.touches), f) }) {
				continue
			}
			had[code(a.finding)+code(b.finding)] = true
			v.add(t, a.and(b).alone(), a.finding, b.finding)
		}
	}
	for i, a := range severities[:len(severities)-1] {
		for _, b := range severities[i+1 : len(severities)-1] {
			if had[a+b] {
				continue
			}
			c := vcase{Name: "known-" + slug(a) + "-and-" + slug(b), Says: "The caller knows of " + a + " and " + b + "; both are told, the more severe first.", Now: noon,
				Known: []eval.Finding{{Code: eval.Code(b), Effect: "deny"}, {Code: eval.Code(a), Effect: "deny"}}}
			if a == "NOT_FOUND" {
				c.License, c.Lease = raw(nil), raw(nil)
			}
			v.add(t, c, a+":deny", b+":deny")
		}
	}
	return v
}

// and is both faults at once.
func (f fault) and(g fault) fault {
	g.what = f.what + ", and " + g.what
	g.license, g.lease, g.request = compose(f.license, g.license), compose(f.lease, g.lease), compose(f.request, g.request)
	g.none = f.none || g.none
	if g.status == nil {
		g.status = f.status
	}
	return g
}

// alone is the case with just this fault.
func (f fault) alone() vcase {
	c := vcase{Name: slug(f.what), Says: sentence(f.what), Now: noon, Request: f.request, Status: f.status}
	if f.license != nil {
		c.License = raw(f.license)
	}
	if f.none {
		c.Lease = raw(nil)
	} else if f.lease != nil {
		c.Lease = raw(f.lease)
	}
	return c
}

// compose is the merge patch that does what a does and then what b does.
func compose(a, b m) m {
	if a == nil {
		return b
	}
	out := maps.Clone(a)
	for k, v := range b {
		if p, ok := v.(m); ok {
			have, _ := out[k].(m)
			v = compose(have, p)
		}
		out[k] = v
	}
	return out
}

func code(finding string) string { c, _, _ := strings.Cut(finding, ":"); return c }

// slug makes a name of a sentence.
func slug(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }), "-")
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
