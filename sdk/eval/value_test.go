package eval_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/mintreu/mintreu/sdk/eval"
)

// values has what does not depend on the time: versions, features and amounts, users, devices, leases that do not fit, seats.
func values(t *testing.T) *vectors {
	v := base("Every value that a rule compares: versions, features and amounts, devices, users, leases that do not fit, seats and the clock.")
	v.versionCases(t)
	v.featureCases(t)
	v.deviceCases(t)
	v.userCases(t)
	v.leaseCases(t)
	v.knownCases(t)
	return v
}

func (v *vectors) versionCases(t *testing.T) {
	for i, c := range versions {
		want, does := []string(nil), "covers"
		if c.version == "" {
			want, does = []string{"VERSION_REQUIRED:deny"}, "needs to be told the version, not"
		} else if !c.want {
			want, does = []string{"VERSION_NOT_COVERED:deny"}, "does not cover"
		}
		v.add(t, vcase{Name: fmt.Sprintf("version-%02d", i+1), Says: fmt.Sprintf("A limit of %q %s %q.", c.limit, does, c.version), Now: noon,
			License: raw(m{"max_version": c.limit}), Request: m{"version": c.version}}, want...)
	}
	v.add(t, vcase{Name: "version-no-limit", Says: "Without a limit no version is looked at.", Now: noon, License: raw(m{"max_version": nil}), Request: m{"version": "two"}})
}

func (v *vectors) featureCases(t *testing.T) {
	over := []string{"QUOTA_EXCEEDED:deny"}
	for _, c := range []struct {
		feature string
		n       int64
		want    []string
	}{
		{"export", 0, nil}, {"export", 1, nil}, {"export", 1 << 40, nil}, {"export", -1, over}, {"tier", 0, nil}, {"tier", 5, nil}, {"tier", -1, over},
		{"projects", 0, nil}, {"projects", 1, nil}, {"projects", 24, nil}, {"projects", 25, nil}, {"projects", 26, over}, {"projects", 1<<53 - 1, over}, {"projects", -1, over},
		{"none", 0, nil}, {"none", 1, over}, {"none", -1, over}, {"debt", -1, over}, {"debt", -6, over}, {"debt", 0, over}, {"import", 0, []string{"ENTITLEMENT_MISSING:deny"}},
		{"Export", 0, []string{"ENTITLEMENT_MISSING:deny"}}, {"", 0, nil}, {"", 99, nil}, {"", -1, nil},
	} {
		ent := m{"ent": m{"none": 0, "debt": -5}}
		v.add(t, vcase{Name: fmt.Sprintf("feature-%s-%d", c.feature, c.n), Says: fmt.Sprintf("%d of the feature %q is asked for.", c.n, c.feature), Now: noon,
			License: raw(ent), Lease: raw(ent), Request: m{"entitlement": c.feature, "n": c.n}}, c.want...)
	}
	for _, c := range []struct {
		name, says, activation string
		license, lease         m
		want                   []string
	}{
		{"lease-adds", "An active device has what its lease says, not what the license says.", "required", m{"import": nil}, m{"import": true}, nil},
		{"lease-lacks", "What the license has and the lease has not is missing on an active device.", "required", m{"import": true}, m{"import": nil}, []string{"ENTITLEMENT_MISSING:deny"}},
		{"license-counts", "Without activation the license's features count, whatever a lease says.", "none", m{"import": nil}, m{"import": true}, []string{"ENTITLEMENT_MISSING:deny"}},
		{"license-has", "Without activation the license's features count.", "none", m{"import": true}, m{"import": nil}, nil},
	} {
		v.add(t, vcase{Name: "feature-" + c.name, Says: c.says, Now: noon, License: raw(m{"ent": c.license, "pol": m{"activation": c.activation}}), Lease: raw(m{"ent": c.lease}),
			Request: m{"entitlement": "import"}}, c.want...)
	}
}

// deviceCases has every number of components that agree beside every number that must.
func (v *vectors) deviceCases(t *testing.T) {
	names := []string{"machine", "disk", "network", "board"}
	for agree := 0; agree <= 4; agree++ {
		for match := 0; match <= 4; match++ {
			dev, asked := m{}, m{}
			for i, n := range names {
				dev[n], asked[n] = n+"-1", n+"-1"
				if i >= agree {
					asked[n] = n + "-2"
				}
			}
			want := []string(nil)
			if match > agree {
				want = []string{"DEVICE_MISMATCH:deny"}
			}
			v.add(t, vcase{Name: fmt.Sprintf("device-%d-of-%d", agree, match), Says: fmt.Sprintf("%d components agree and %d must.", agree, match), Now: noon,
				Lease: raw(m{"dev": dev, "match": match}), Request: m{"device": asked}}, want...)
		}
	}
	required := []string{"DEVICE_REQUIRED:deny"}
	for _, c := range []struct {
		name, says string
		lease      m
		request    m
		want       []string
	}{
		{"empty", "A request with no component names no device.", nil, m{"device": m{"machine": nil, "disk": nil, "network": nil}}, required},
		{"absent", "A request without a device, where two components must agree.", nil, m{"device": nil}, required},
		{"absent-unbound", "A lease that demands no component needs no device.", m{"match": 0}, m{"device": nil}, nil},
		{"absent-nobody", "A lease without components is bound to no device.", m{"dev": m{"machine": nil, "disk": nil, "network": nil}}, m{"device": nil}, nil},
		{"blank", "An empty digest agrees with nothing, not even with an empty one.", m{"dev": m{"machine": "", "disk": "", "network": ""}}, m{"device": m{"machine": "", "disk": "", "network": ""}}, []string{"DEVICE_MISMATCH:deny"}},
		{"swapped", "A digest counts only under its own component.", nil, m{"device": m{"machine": "d1", "disk": "m1", "network": "n2"}}, []string{"DEVICE_MISMATCH:deny"}},
		{"case", "Digests are compared byte by byte.", nil, m{"device": m{"machine": "M1", "disk": "D1"}}, []string{"DEVICE_MISMATCH:deny"}},
		{"more", "Components that the lease does not know do no harm.", nil, m{"device": m{"board": "b1", "tpm": "t1"}}, nil},
	} {
		k := vcase{Name: "device-" + c.name, Says: c.says, Now: noon, Request: c.request}
		if c.lease != nil {
			k.Lease = raw(c.lease)
		}
		v.add(t, k, c.want...)
	}
}

// userCases has seats by device and by user, with every user in the lease and in the request.
func (v *vectors) userCases(t *testing.T) {
	for _, by := range []string{"device", "user"} {
		for _, holds := range []string{"", "u1"} {
			for _, asks := range []string{"", "u1", "u2"} {
				want := []string(nil)
				switch {
				case by == "user" && holds == "":
					want = []string{"USER_MISMATCH:deny"}
				case holds == "" || holds == asks:
				case asks != "":
					want = []string{"USER_MISMATCH:deny"}
				case by == "user":
					want = []string{"USER_REQUIRED:deny"}
				}
				c := vcase{Name: fmt.Sprintf("user-by-%s-%s-%s", by, or(holds), or(asks)), Now: noon, License: raw(m{"seats": m{"by": by}}),
					Says: fmt.Sprintf("A %s takes the seat, the lease is of %s, the request of %s.", by, or(holds), or(asks))}
				lease, request := m{}, m{}
				if holds != "" {
					lease["usr"] = holds
				}
				if asks != "" {
					request["user"] = asks
				}
				c.Lease, c.Request = raw(lease), request
				v.add(t, c, want...)
			}
		}
	}
}

func or(user string) string {
	if user == "" {
		return "nobody"
	}
	return user
}

// leaseCases has leases that rest on something else than the license at hand, one claim at a time.
func (v *vectors) leaseCases(t *testing.T) {
	for _, c := range []struct {
		name, says string
		license    m
		lease      m
		fits       bool
	}{
		{"issuer", "The lease is of another issuer.", nil, m{"iss": "https://other.example.com"}, false},
		{"product", "The lease is of another product.", nil, m{"aud": "player"}, false},
		{"environment", "The lease is of another environment.", nil, m{"env": "test"}, false},
		{"license", "The lease is of another license.", nil, m{"sub": "lic_2"}, false},
		{"token", "The lease rests on another token of the license.", nil, m{"tok": "tok_2"}, false},
		{"endless", "The lease has no end although the product is to stop.", nil, m{"exp": nil}, false},
		{"endless-degrade", "The lease has no end although the product is to degrade.", m{"pol": m{"then": "degrade"}}, m{"exp": nil}, false},
		{"endless-advisory", "The lease has no end, as an advisory policy allows.", m{"pol": m{"then": "advisory"}}, m{"exp": nil}, true},
		{"longest", "The lease is as long as the policy allows.", nil, m{"exp": t0 + 21*day}, true},
		{"too-long", "The lease is a second longer than the policy allows.", nil, m{"exp": t0 + 21*day + 1}, false},
		{"too-fresh", "The lease is fresh for a second longer than the policy allows.", m{"pol": m{"then": "advisory"}}, m{"exp": nil, "fresh_until": t0 + 21*day + 1}, false},
		{"freshest", "The lease is fresh for as long as the policy allows.", m{"pol": m{"then": "advisory"}}, m{"exp": nil, "fresh_until": t0 + 21*day}, true},
	} {
		k := vcase{Name: "lease-" + c.name, Says: c.says, Now: noon, Lease: raw(c.lease)}
		if c.license != nil {
			k.License = raw(c.license)
		}
		want := []string(nil)
		if !c.fits {
			want = []string{"ACTIVATION_REQUIRED:deny"}
		}
		v.add(t, k, want...)
		ignored, _ := json.Marshal(compose(c.license, m{"pol": m{"activation": "none"}}))
		k.Name, k.Says, k.License = k.Name+"-ignored", "Where no activation is needed: "+c.says, ignored
		v.add(t, k)
	}
}

// knownCases has what the caller alone can know.
func (v *vectors) knownCases(t *testing.T) {
	for _, code := range severities[:len(severities)-1] {
		for _, effect := range []string{"deny", "warn"} {
			c := vcase{Name: "known-" + slug(code) + "-" + effect, Now: noon, Says: "The caller knows of " + code + ", which is a " + effect + ".",
				Known: []eval.Finding{{Code: eval.Code(code), Effect: effect, Detail: "as the caller says"}}}
			if code == "LEASE_EXPIRED" && effect == "warn" {
				continue // its mode depends on the policy, not on the finding
			}
			v.add(t, c, code+":"+effect)
		}
	}
	both := []eval.Finding{{Code: eval.Expired, Effect: "warn"}, {Code: eval.Expired, Effect: "deny"}, {Code: eval.Expired, Effect: "warn"}, {Code: eval.Expired, Effect: "deny"}}
	v.add(t, vcase{Name: "known-twice", Says: "Of findings with one code the denials come first.", Now: noon, Known: both}, "EXPIRED:deny", "EXPIRED:deny", "EXPIRED:warn", "EXPIRED:warn")
	v.add(t, vcase{Name: "known-twice-in-order", Says: "Of findings with one code the denial stays first.", Now: noon, Known: both[1:3]}, "EXPIRED:deny", "EXPIRED:warn")
	v.add(t, vcase{Name: "none", Says: "There is no license.", Now: noon, License: raw(nil), Lease: raw(nil)}, "NOT_FOUND:deny")
	v.add(t, vcase{Name: "none-with-a-lease", Says: "A lease without a license is nothing.", Now: noon, License: raw(nil)}, "NOT_FOUND:deny")
	v.add(t, vcase{Name: "bits-3", Says: "A status without a meaning suspends.", Now: noon, Status: &eval.Status{Value: 3, IssuedAt: noon}}, "SUSPENDED:deny")
	v.add(t, vcase{Name: "bits-0", Says: "A status of 0 is good.", Now: noon, Status: &eval.Status{Value: 0, IssuedAt: noon}})
}
