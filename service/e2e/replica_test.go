package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	sdkdevice "github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/pay/sandbox"
)

// everywhere is how long a change may take to be in force on every replica.
const everywhere = 2 * time.Second

// within checks that every replica comes to answer as wanted within two seconds of a change, and stays so.
func (s *site) within(t *testing.T, what string, ask func(a *app.App) (int, error), want int) {
	t.Helper()
	var wg sync.WaitGroup
	for i, a := range s.replicas {
		wg.Go(func() {
			var status int
			var err error
			if late := soon(func() bool { status, err = ask(a); return status == want }); late > 0 {
				t.Errorf("%s: replica %d answers %d (%v) after %v, want %d within %v", what, i, status, err, late, want, everywhere)
			}
		})
	}
	wg.Wait()
	for i, a := range s.replicas {
		if status, err := ask(a); status != want {
			t.Errorf("%s: replica %d went back to %d (%v)", what, i, status, err)
		}
	}
}

// slack is how late a replica may be on a machine that does other things too, besides what a question takes there.
const slack = 500 * time.Millisecond

// soon asks until a change that was just made is in force. It returns 0 then, or how long after the change a question was put that should have
// found it and did not: one that began when the time was over, and the longest question's time besides, since who answers that slowly also learns
// of changes slowly.
func soon(ok func() bool) (late time.Duration) {
	changed, longest := time.Now(), time.Duration(0)
	for {
		began := time.Now()
		if ok() {
			return 0
		}
		if longest = max(longest, time.Since(began)); began.Sub(changed) > everywhere+slack+longest {
			return began.Sub(changed)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// What comes in time is not late, also when the answer to a question put in time comes later; what never comes is.
func TestSoon(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	if late := soon(func() bool { return time.Since(begin) > everywhere/2 }); late != 0 {
		t.Errorf("half the time is late by %v", late)
	}
	if late := soon(func() bool { time.Sleep(everywhere + 2*slack); return true }); late != 0 {
		t.Errorf("a slow answer to a question put at once is late by %v", late)
	}
	if late := soon(func() bool { return false }); late < everywhere+slack {
		t.Errorf("never is late by %v", late)
	}
}

// ask makes a GET request with a credential to one replica.
func ask(t *testing.T, at, credential string) func(*app.App) (int, error) {
	return func(a *app.App) (int, error) {
		status, _, err := fetch(t.Context(), http.MethodGet, a.LocalURL()+at, http.Header{"Authorization": {"Bearer " + credential}}, nil)
		return status, err
	}
}

// buys tries to order at one replica.
func (s *site) buys(t *testing.T) func(*app.App) (int, error) {
	return func(a *app.App) (int, error) {
		status, _, err := fetch(t.Context(), http.MethodPost, a.LocalURL()+"/v1/checkouts", nil, s.newPurchase(1).basket())
		return status, err
	}
}

// flip presses or releases a kill switch at the first replica.
func (s *site) flip(t *testing.T, name, product string, off bool) {
	t.Helper()
	in := map[string]any{"off": off, "reason": "a test of the switch"}
	if product != "" {
		in["product_id"] = product
	}
	if err := operate(t.Context(), s.replicas[0], http.MethodPut, "/v1/switches/"+name, in, nil); err != nil {
		t.Fatal(err)
	}
}

// A kill switch pressed at one replica is in force at both within two seconds, for all products and for one; it survives a restart,
// lets what is under way go on, and releases as fast.
func TestM11_KillSwitchOnBothReplicas(t *testing.T) {
	t.Parallel()
	s := newReplicas(t, siteOptions{})
	for _, product := range []string{"", s.product.product} {
		paid := s.order(t, 1)
		s.flip(t, "payments", product, true)
		s.within(t, "payments off", s.buys(t), http.StatusServiceUnavailable)
		if err := paid.pay(t.Context(), sandbox.CardSucceeds); err != nil {
			t.Fatal(err)
		}
		s.bought(t, paid) // the intake and the fulfilment of what was ordered go on
		s.stop()
		s.start(t)
		s.start(t)
		s.within(t, "payments off after a restart", s.buys(t), http.StatusServiceUnavailable)
		s.flip(t, "payments", product, false)
		s.within(t, "payments on", s.buys(t), http.StatusCreated)
	}
	s.sound(t)
}

// While licensing is switched off, a paid order waits with its grants queued, and gets exactly them when the switch is released.
func TestM11_LicensingOffQueuesGrants(t *testing.T) {
	t.Parallel()
	s := newReplicas(t, siteOptions{sweep: time.Second})
	s.flip(t, "licensing", "", true)
	s.flip(t, "payments", "", true) // changes come into force in their order: where payments are off, licensing is
	s.within(t, "payments off", s.buys(t), http.StatusServiceUnavailable)
	s.flip(t, "payments", "", false)
	s.within(t, "payments on", s.buys(t), http.StatusCreated)
	p := s.pays(t, 2, sandbox.CardSucceeds)
	s.becomes(t, p, "paid")
	s.exactly(t, p, account{Receipts: 1, Cash: 2 * unitPrice})
	s.flip(t, "licensing", "", false)
	eventually(t, "the buyer has what was queued", 2*time.Minute, func() bool {
		c, err := p.look(t.Context())
		return err == nil && c.State == "fulfilled"
	})
	s.bought(t, p)
}

// issue makes an API key by hand with a limit of so many calls an hour.
func (s *site) issue(t *testing.T, calls int64, degraded string) (id, secret string) {
	t.Helper()
	return s.issueWith(t, map[string]any{"limits": []any{map[string]any{"name": "rate", "count": calls, "seconds": 3600, "degraded": degraded}}})
}

// issueWith is issue with more members of the request.
func (s *site) issueWith(t *testing.T, more map[string]any) (id, secret string) {
	t.Helper()
	p := s.pays(t, 1, sandbox.CardSucceeds)
	s.bought(t, p)
	var owner string
	if err := s.rows.QueryRow(t.Context(), `SELECT owner FROM orders WHERE id = $1`, p.id).Scan(&owner); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Key    struct{ ID string }
		Secret string
	}
	in := map[string]any{"owner": owner, "product": s.product.product, "env": "test", "name": "by hand", "scopes": []string{"notes:read"}}
	maps.Copy(in, more)
	s.must(t, http.MethodPost, "/v1/keys", in, &out)
	return out.Key.ID, out.Secret
}

// An API key revoked at one replica is refused at both within two seconds, though both had it in memory.
func TestA09_RevokedOnBothReplicas(t *testing.T) {
	t.Parallel()
	s := newReplicas(t, siteOptions{})
	id, secret := s.issue(t, 1_000_000, "closed")
	authorize := ask(t, "/v1/keys/authorize?env=test", secret)
	s.within(t, "a good key", authorize, http.StatusOK)
	if err := operate(t.Context(), s.replicas[0], http.MethodPost, "/v1/keys/"+id+"/revoke", map[string]any{"reason": "leaked"}, nil); err != nil {
		t.Fatal(err)
	}
	s.within(t, "a revoked key", authorize, http.StatusUnauthorized)
}

// Of three times as many calls as the limit allows, made at once over two replicas, exactly the limit is admitted; the rest is
// answered 429 with the time to wait.
func TestA13_LimitSharedExactly(t *testing.T) {
	t.Parallel()
	s := newReplicas(t, siteOptions{})
	const limit = 40
	_, secret := s.issue(t, limit, "closed")
	type answer struct {
		status int
		retry  string
	}
	answers := make([]answer, 3*limit)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			<-start
			at := s.replicas[i%2].LocalURL() + "/v1/keys/authorize?env=test"
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+secret)
			res, err := browser.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			answers[i] = answer{res.StatusCode, res.Header.Get("Retry-After")}
			_ = res.Body.Close() // only the header matters
		})
	}
	close(start)
	wg.Wait()
	count := map[int]int{}
	for _, a := range answers {
		count[a.status]++
		if a.status == http.StatusTooManyRequests && a.retry == "" {
			t.Error("a refusal does not say when to try again")
		}
	}
	if count[http.StatusOK] != limit || count[http.StatusTooManyRequests] != 2*limit {
		t.Errorf("answers by status: %v; want %d of 200 and %d of 429", count, limit, 2*limit)
	}
}

// With Redis killed kill switches still work within two seconds, the path goes on to its end, and a limit admits at most twice
// what it says; when Redis is back, empty, it counts again.
func TestF26_RedisKilled(t *testing.T) {
	t.Parallel()
	redis := limittest.OwnRedis(t)
	s := newReplicas(t, siteOptions{redis: redis.URL})
	const limit = 10
	_, open := s.issue(t, limit, "open")
	_, closed := s.issue(t, limit, "closed")
	s.within(t, "a good key", ask(t, "/v1/keys/authorize?env=test", closed), http.StatusOK)
	redis.Kill(t)

	admitted := 0
	for i := range 4 * limit {
		status, err := ask(t, "/v1/keys/authorize?env=test", open)(s.replicas[i%2])
		switch {
		case err != nil:
			t.Error(err)
		case status == http.StatusOK:
			admitted++
		case status != http.StatusTooManyRequests:
			t.Errorf("without Redis an open limit answers %d", status)
		}
	}
	if admitted == 0 || admitted > 2*limit { // INV7: in a window in which Redis was lost
		t.Errorf("without Redis a limit of %d admitted %d", limit, admitted)
	}
	s.within(t, "a closed limit", ask(t, "/v1/keys/authorize?env=test", closed), http.StatusTooManyRequests)

	eventually(t, "the metrics say that counters are away", time.Minute, func() bool {
		_, _ = ask(t, "/v1/keys/authorize?env=test", open)(s.replicas[0])
		w := httptest.NewRecorder()
		s.replicas[0].OpsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return strings.Contains(w.Body.String(), "mintreu_limit_counters_away 1")
	})
	s.flip(t, "payments", "", true)
	s.within(t, "payments off", s.buys(t), http.StatusServiceUnavailable)
	s.flip(t, "payments", "", false)
	s.within(t, "payments on", s.buys(t), http.StatusCreated)
	s.wholePath(t)

	redis.Start(t)
	s.within(t, "a closed limit after Redis is back", ask(t, "/v1/keys/authorize?env=test", closed), http.StatusOK)
}

// wholePath buys, activates through the SDK and checks offline.
func (s *site) wholePath(t *testing.T) {
	t.Helper()
	p := s.pays(t, 1, sandbox.CardSucceeds)
	s.bought(t, p)
	c, err := p.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := ""
	for _, g := range c.Grants {
		if g.Kind == "license" {
			key = g.Key
		}
	}
	roots, err := s.replicas[0].Roots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := sdk.New(sdk.Config{BaseURL: s.url, Product: s.product.slug, Env: "test", Roots: roots}, sdk.WithStore(&sdk.MemoryStore{}),
		sdk.WithDevice(sdkdevice.Fingerprint{"machine": "4c4c4544-0043", "disk": "S4EWNX0M", "mac": "02:42:ac:11:00:02"}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if d, err := client.Activate(t.Context(), key); err != nil || !d.Allowed || !client.Allowed("export") {
		t.Errorf("the activation: %+v (%v)", d, err)
	}
}

// The role of a person whose session is open is changed at one replica; both end the session within two seconds, and the next has the new role alone.
func TestR07_RoleTakenFromAnOpenSession(t *testing.T) {
	t.Parallel()
	s := newReplicas(t, siteOptions{})
	const email, password = "grace@shop.example", "a long enough password 7"
	var person struct{ ID string }
	s.must(t, http.MethodPost, "/v1/staff", map[string]any{"email": email, "role": "finance", "password": password}, &person)
	signIn := func() string {
		t.Helper()
		status, text, err := fetch(t.Context(), http.MethodPost, s.url+"/v1/sessions", nil, map[string]any{"email": email, "password": password})
		if err != nil || status != http.StatusCreated {
			t.Fatalf("signing in answered %d %s (%v)", status, text, err)
		}
		var session struct{ Token string }
		decode(t, text, &session)
		return session.Token
	}
	orders := ask(t, "/v1/orders", signIn())
	s.within(t, "finance reads orders", orders, http.StatusOK)
	if err := operate(t.Context(), s.replicas[0], http.MethodPut, "/v1/staff/"+person.ID+"/role", map[string]any{"role": "catalogue", "reason": "moved"}, nil); err != nil {
		t.Fatal(err)
	}
	s.within(t, "the session of before reads orders", orders, http.StatusUnauthorized)
	s.within(t, "catalogue reads orders", ask(t, "/v1/orders", signIn()), http.StatusForbidden)
}

// Two replicas that start on an empty database at the same moment both serve, with one master key, one keyring and one schema.
func TestF31_TwoReplicasStartAtOnce(t *testing.T) {
	t.Parallel()
	s := newReplicas(t, siteOptions{})
	s.stop()
	empty := emptyPostgres(t)
	key := filepath.Join(shortDir(t), "master.key")
	roots := make([]string, 2)
	var wg sync.WaitGroup
	for i := range roots {
		c := s.config
		c.PostgresURL, c.MasterKeyFile, c.DataDir = empty, key, shortDir(t)
		wg.Go(func() {
			found, err := firstStart(t.Context(), c)
			if err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
			roots[i] = found
		})
	}
	wg.Wait()
	if roots[0] == "" || roots[0] != roots[1] {
		t.Errorf("the replicas know the roots %q", roots)
	}
}

// firstStart starts a replica, asks it whether it is ready, and ends it.
func firstStart(ctx context.Context, c app.Config) (root string, err error) {
	a, err := app.New(ctx, c, app.Options{Listen: true})
	if err != nil {
		return "", err
	}
	defer a.Close()
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		stop()
		if e := <-ended; err == nil {
			err = e
		}
	}()
	status := 0
	if !limittest.Eventually(2*time.Minute, func() bool {
		status, _, err = fetch(ctx, http.MethodGet, a.LocalURL()+"/readyz", nil, nil)
		return status == http.StatusOK
	}) {
		return "", fmt.Errorf("readiness is %d (%w)", status, err)
	}
	found, err := a.Roots(ctx)
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("roots %q: %w", found, err)
	}
	return url.QueryEscape(found[0]), nil
}
