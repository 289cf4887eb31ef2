package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	fingerprint "github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/pay/sandbox"
)

// sold is a license that somebody bought, as its product sees it.
type sold struct {
	*site
	id, key, env string
	roots        []string
}

// sells has n licenses bought and paid.
func (s *site) sells(t *testing.T, n int) []*sold {
	t.Helper()
	s.bought(t, s.pays(t, int64(n), sandbox.CardSucceeds))
	roots, err := s.replicas[0].Roots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Items []struct{ ID, Env string } }
	s.must(t, http.MethodGet, "/v1/licenses?limit=100", nil, &list)
	if len(list.Items) != n {
		t.Fatalf("%d licenses, want %d", len(list.Items), n)
	}
	var out []*sold
	for _, l := range list.Items {
		var shown struct{ Key string }
		s.must(t, http.MethodPost, "/v1/licenses/"+l.ID+"/reveal", nil, &shown)
		out = append(out, &sold{site: s, id: l.ID, key: shown.Key, env: l.Env, roots: roots})
	}
	return out
}

// on is the product on one of the customer's devices.
func (l *sold) on(t *testing.T, name string) *sdk.Client {
	t.Helper()
	c, err := sdk.New(sdk.Config{BaseURL: l.url, Product: l.product.slug, Env: l.env, Roots: l.roots},
		sdk.WithStore(new(sdk.MemoryStore)), sdk.WithClock(l.clock), sdk.WithDeviceName(name),
		sdk.WithDevice(fingerprint.Fingerprint{fingerprint.Machine: name + " machine", fingerprint.Disk: name + " disk"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// activates asks for a seat and expects an answer.
func (l *sold) activates(t *testing.T, c *sdk.Client, want eval.Code) {
	t.Helper()
	d, err := c.Activate(t.Context(), l.key)
	says(t, "activate", d, err, want)
}

// checks asks the product and expects an answer.
func checks(t *testing.T, c *sdk.Client, want eval.Code) {
	t.Helper()
	d, err := c.Check(t.Context())
	says(t, "check", d, err, want)
	if c.Allowed("export") != d.Allowed {
		t.Errorf("the feature is allowed %t, the product %t", c.Allowed("export"), d.Allowed)
	}
}

func says(t *testing.T, what string, d eval.Decision, err error, want eval.Code) {
	t.Helper()
	if err != nil || d.Code != want {
		t.Fatalf("%s: %s (%s), want %s: %v", what, d.Code, d.Explanation, want, err)
	}
}

// held is how many seats the service counts.
func (l *sold) held(t *testing.T) int64 {
	t.Helper()
	return number(t, l.rows, `SELECT count(*) FROM activation WHERE license_id = $1 AND state = 'held'`, l.id)
}

// does runs an operation on the license as staff.
func (l *sold) does(t *testing.T, verb string) {
	t.Helper()
	l.must(t, http.MethodPost, "/v1/licenses/"+l.id+"/"+verb, map[string]any{"reason": "test"}, nil)
}

// The SDK against the service, as products meet it: seats, lost answers, suspension and revocation, a rotation of keys, and life without
// the service.
func TestSDK_AgainstTheService(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		l := s.sells(t, 5)
		l[0].seatsRunOut(t)
		l[1].losesAnswers(t)
		l[2].isPausedAndEnded(t)
		l[3].outlivesRotation(t)
		s.sound(t)
		l[4].outlivesTheService(t)
	})
}

// S01: three devices get the three seats, a fourth none until one of them leaves; its decision says why.
func (l *sold) seatsRunOut(t *testing.T) {
	var first *sdk.Client
	for _, name := range []string{"a", "b", "c"} {
		c := l.on(t, name)
		if first == nil {
			first = c
		}
		l.activates(t, c, eval.Valid)
	}
	late := l.on(t, "d")
	l.activates(t, late, eval.TooManySeats)
	if late.Allowed("export") {
		t.Error("a device without a seat is allowed")
	}
	if err := first.Deactivate(t.Context()); err != nil {
		t.Fatal(err)
	}
	checks(t, first, eval.ActivationRequired)
	l.activates(t, late, eval.Valid)
	if got := l.held(t); got != seats {
		t.Errorf("%d seats are held, want %d", got, seats)
	}
}

// S02: an answer that gets lost after the service gave the seat, and the retry, cost one seat; so does a lost renewal.
func (l *sold) losesAnswers(t *testing.T) {
	c := l.on(t, "a")
	l.balancer.loses(func(r *http.Response) bool { return strings.HasPrefix(r.Request.URL.Path, sdk.PathActivations) })
	if _, err := c.Activate(t.Context(), l.key); err == nil {
		t.Error("the answer was lost and there is no error")
	}
	l.balancer.loses(nil)
	l.activates(t, c, eval.Valid)
	before := c.Lease()
	l.clock.Forward(25 * time.Hour)
	l.balancer.loses(func(r *http.Response) bool { return strings.HasSuffix(r.Request.URL.Path, sdk.PathHeartbeat) })
	checks(t, c, eval.Valid)
	if c.Lease() != before {
		t.Error("the renewal was lost and there is a new lease")
	}
	l.balancer.loses(nil)
	l.clock.Forward(time.Hour)
	checks(t, c, eval.Valid)
	if now := c.Lease(); now.Seq <= before.Seq+1 || now.Activation != before.Activation || now.IssuedAt <= before.IssuedAt {
		t.Errorf("renewed from %d of %s to %d of %s", before.Seq, before.Activation, now.Seq, now.Activation)
	}
	if got := l.held(t); got != 1 {
		t.Errorf("%d seats are held, want 1", got)
	}
	if n := number(t, l.rows, `SELECT count(*) FROM activation WHERE license_id = $1 AND forked_at IS NOT NULL`, l.id); n != 0 {
		t.Error("a lost answer was taken for a clone")
	}
}

// J46: a suspended license is refused at the next contact and good again afterwards, on the same seat; a revoked one is refused for good.
func (l *sold) isPausedAndEnded(t *testing.T) {
	c := l.on(t, "a")
	l.activates(t, c, eval.Valid)
	for _, step := range []struct {
		verb string
		want eval.Code
	}{{"suspend", eval.Suspended}, {"reinstate", eval.Valid}, {"revoke", eval.Revoked}} {
		l.does(t, step.verb)
		l.clock.Forward(25 * time.Hour)
		checks(t, c, step.want)
	}
	if got := l.held(t); got != 0 {
		t.Errorf("%d seats of a revoked license are held", got)
	}
	l.clock.Forward(25 * time.Hour)
	checks(t, c, eval.Revoked)
	l.activates(t, l.on(t, "b"), eval.NotFound)
}

// J48: the key that signs changes between a renewal and the next check. What the old one signed stays good, online and
// offline; the new one's documents are good without anybody changing the product.
func (l *sold) outlivesRotation(t *testing.T) {
	c, offline := l.on(t, "a"), l.on(t, "b")
	l.activates(t, c, eval.Valid)
	l.activates(t, offline, eval.Valid)
	token := signedBy(t, l)
	l.must(t, http.MethodPost, "/v1/signing-keys/rotate", map[string]any{"reason": "test"}, nil)
	checks(t, c, eval.Valid)
	eventually(t, "the new key signs at every replica", time.Minute, func() bool {
		for range 2 * len(l.replicas) {
			if signedBy(t, l) == token {
				return false
			}
		}
		return true
	})
	l.clock.Forward(25 * time.Hour)
	checks(t, c, eval.Valid)
	if c.Lease().Seq != 2 {
		t.Errorf("seq %d, want 2", c.Lease().Seq)
	}
	if err := offline.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d, err := offline.Evaluate(t.Context(), "export", 0); err != nil || !d.Allowed {
		t.Errorf("what the retired key signed: %+v %v", d, err)
	}
}

// signedBy is the header of the license's token as it is served now, which names its key.
func signedBy(t *testing.T, l *sold) string {
	t.Helper()
	var out struct{ Token string }
	l.must(t, http.MethodGet, "/v1/licenses/"+l.id+"/token", nil, &out)
	head, _, _ := strings.Cut(out.Token, ".")
	return head
}

// With the service gone the product runs for as long as its policy says, and says how it stands.
func (l *sold) outlivesTheService(t *testing.T) {
	c := l.on(t, "a")
	l.activates(t, c, eval.Valid)
	l.stop()
	for _, step := range []struct {
		days int
		want eval.Code
	}{{6, eval.Valid}, {2, eval.StatusStale}, {7, eval.StatusStale}, {7, eval.LeaseExpired}} {
		l.clock.Forward(time.Duration(step.days) * 24 * time.Hour)
		checks(t, c, step.want)
	}
	if c.Allowed("export") {
		t.Error("allowed beyond its lease")
	}
}
