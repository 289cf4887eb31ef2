package eval_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/eval"
)

var update = flag.Bool("update", false, "write the generated vectors")

const (
	t0   = int64(1800000000) // start of the generated license and of its lease
	day  = int64(24 * 3600)
	noon = t0 + 3600 // when nothing is wrong with them
)

// severities are the codes of the specification in its order, written down here once more: the order is a promise.
var severities = strings.Fields(`NOT_FOUND REVOKED SUSPENDED PRODUCT_REQUIRED PRODUCT_MISMATCH ENVIRONMENT_MISMATCH CLOCK_ROLLBACK NOT_YET_VALID EXPIRED
	VERSION_REQUIRED VERSION_NOT_COVERED ACTIVATION_REQUIRED ACTIVATION_RELEASED DEVICE_REQUIRED DEVICE_MISMATCH USER_REQUIRED USER_MISMATCH LEASE_EXPIRED
	STATUS_STALE ENTITLEMENT_MISSING ENTITLEMENT_EXPIRED TOO_MANY_SEATS QUOTA_EXCEEDED LEASE_STALE IN_GRACE EXPIRING_SOON VALID`)

// Where every generated case starts: a license with all that a license can have, in its first days, active on a device.
func base(about string) *vectors {
	ent := m{"export": true, "projects": 25, "tier": "gold"}
	return &vectors{About: about,
		License: m{"iss": "https://licenses.example.com", "aud": "editor", "sub": "lic_1", "jti": "tok_1", "iat": t0, "nbf": t0, "exp": t0 + 373*day, "env": "live",
			"type": "timed", "plan": "pro", "cus": "cus_1", "valid_until": t0 + 366*day, "max_version": "2", "seats": m{"n": 5, "by": "device", "floating": false}, "ent": ent,
			"pol": m{"expired": "restrict", "expiry_grace": 7 * day, "activation": "required", "match": 2, "recheck": day, "fresh": 7 * day, "stale": 7 * day,
				"grace": 7 * day, "then": "stop", "status": "warn", "status_max_age": 30 * day},
			"status": m{"status_list": m{"idx": 7, "uri": "https://licenses.example.com/v1/status/1"}}},
		Lease: m{"iss": "https://licenses.example.com", "aud": "editor", "sub": "lic_1", "jti": "lse_1", "iat": t0, "exp": t0 + 21*day, "env": "live", "act": "act_1",
			"tok": "tok_1", "seq": 1, "dev": m{"machine": "m1", "disk": "d1", "network": "n1"}, "match": 2, "recheck_at": t0 + day, "fresh_until": t0 + 7*day, "ent": ent},
		Request: m{"product": "editor", "version": "2.1.0", "device": m{"machine": "m1", "disk": "d1", "network": "n1"}}}
}

// add appends a case whose findings are known from how it was made; the instant of the next change is the one thing it takes from Evaluate.
func (v *vectors) add(t *testing.T, c vcase, findings ...string) {
	t.Helper()
	slices.SortStableFunc(findings, func(a, b string) int { return rank(a) - rank(b) })
	c.Want = want{Allowed: true, Mode: "full", Code: "VALID", Findings: append([]string{}, findings...)}
	first := slices.IndexFunc(findings, func(f string) bool { return !strings.HasSuffix(f, ":warn") })
	if first >= 0 {
		c.Want.Allowed, c.Want.Mode = false, "none"
	} else if len(findings) > 0 {
		first = 0
	}
	if first >= 0 {
		code, _, _ := strings.Cut(findings[first], ":")
		c.Want.Code = eval.Code(code)
	}
	in := v.input(t, &c)
	if c.Want.Allowed && slices.Contains(findings, "LEASE_EXPIRED:warn") {
		c.Want.Mode = map[string]string{"degrade": "degraded", "advisory": "advisory"}[in.License.Pol.Then]
	}
	c.Want.RecheckAt = eval.Evaluate(in).RecheckAt
	v.Cases = append(v.Cases, c)
}

// rank orders findings: by severity, a denial before a warning.
func rank(finding string) int {
	code, effect, _ := strings.Cut(finding, ":")
	n := 2 * slices.Index(severities, code)
	if effect == "warn" {
		n++
	}
	return n
}

func raw(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// text writes the file with one case a line.
func (v *vectors) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n \"about\": %s,\n \"license\": %s,\n \"lease\": %s,\n \"request\": %s,\n \"cases\": [\n", raw(v.About), raw(v.License), raw(v.Lease), raw(v.Request))
	for i, c := range v.Cases {
		end := ",\n"
		if i == len(v.Cases)-1 {
			end = "\n"
		}
		fmt.Fprintf(&b, "  %s%s", raw(c), end)
	}
	b.WriteString(" ]\n}\n")
	return b.Bytes()
}

// The generated files are what their tables make of them: -update writes them anew. What they expect is known from how each case is made, not
// from what Evaluate answers.
func TestVectors_Generated(t *testing.T) {
	t.Parallel()
	if got := func() (s []string) {
		for _, c := range eval.Codes() {
			s = append(s, string(c))
		}
		return s
	}(); !reflect.DeepEqual(got, severities) {
		t.Fatalf("the order of severity changed: %v", got)
	}
	for name, v := range map[string]*vectors{"generated-pair.json": pairs(t), "generated-time.json": boundaries(t), "generated-value.json": values(t)} {
		path := filepath.Join("../testdata/vectors/eval", name)
		if *update {
			if err := os.WriteFile(path, v.text(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, v.text()) {
			t.Errorf("%s is not what the tables make: run this test with -update", name)
		}
	}
}
