package sdk_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

const day = 24 * time.Hour

func server(t testing.TB) *sdktest.Server {
	s := sdktest.NewServer()
	t.Cleanup(s.Close)
	return s
}

// client is a client of the product editor on the device "device 1", unless
// options say otherwise.
func client(t testing.TB, s *sdktest.Server, options ...sdk.Option) *sdk.Client {
	t.Helper()
	c, err := sdk.New(s.Config("editor"), append(s.Options(), options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func activate(t testing.TB, c *sdk.Client, key string) eval.Decision {
	t.Helper()
	d, err := c.Activate(context.Background(), key)
	if err != nil {
		t.Fatalf("activate: %v", err)
	}
	return d
}

func check(t testing.TB, c *sdk.Client) eval.Decision {
	t.Helper()
	d, err := c.Check(context.Background())
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	return d
}

func expect(t testing.TB, d eval.Decision, allowed bool, code eval.Code) {
	t.Helper()
	if d.Allowed != allowed || d.Code != code {
		t.Fatalf("got allowed=%v %s (%s), want allowed=%v %s", d.Allowed, d.Code, d.Explanation, allowed, code)
	}
}

var features = map[string]doc.Value{"export": doc.On(), "projects": doc.Int(25), "tier": doc.Text("gold")}

// A license once activated is checked without any network, until the lengths of
// its policy are over, one after the other and to the second.
func TestCheck_OfflineTimeline(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	expect(t, activate(t, c, s.Issue(sdktest.Spec{Product: "editor", Ent: features})), true, eval.Valid)
	s.Fail(sdktest.Down)
	for _, step := range []struct {
		at      time.Duration
		allowed bool
		code    eval.Code
	}{
		{7*day - time.Second, true, eval.Valid},
		{7 * day, true, eval.LeaseStale},
		{11*day - time.Second, true, eval.LeaseStale},
		{11 * day, true, eval.InGrace},
		{14*day - time.Second, true, eval.InGrace},
		{14 * day, false, eval.LeaseExpired},
	} {
		s.Clock.Set(sdktest.Start.Add(step.at))
		expect(t, check(t, c), step.allowed, step.code)
		if c.Allowed("export") != step.allowed {
			t.Fatalf("after %v Allowed is %v", step.at, !step.allowed)
		}
	}
	s.Fail(sdktest.None)
	s.Clock.Advance(300 * day)
	expect(t, check(t, c), true, eval.Valid) // a heartbeat succeeds however late
	if !c.Allowed("export") || c.Limit("projects") != 25 || c.Limit("export") != sdk.Unlimited ||
		c.Limit("nothing") != 0 || c.Allowed("nothing") || c.Text("tier") != "gold" {
		t.Fatal("entitlements are not those of the license")
	}
}

// Check calls the server when contact is due and not before.
func TestCheck_HeartbeatWhenDue(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor"}))
	before := s.Requests()
	s.Clock.Advance(day - time.Second)
	check(t, c)
	if n := s.Requests() - before; n != 0 || c.Lease().Seq != 1 {
		t.Fatalf("%d requests before contact was due", n)
	}
	s.Clock.Advance(time.Second)
	check(t, c)
	if n := s.Requests() - before; n != 2 || c.Lease().Seq != 2 { // a heartbeat, and the keyset once a day
		t.Fatalf("%d requests and seq %d when contact was due", n, c.Lease().Seq)
	}
}

// Where a license may not go long without a proof that it is not revoked, the
// lease is renewed in time for it, however late its own contact would be due.
func TestCheck_RenewsTheProofInTime(t *testing.T) {
	t.Parallel()
	s := server(t)
	pol := sdktest.Policy()
	pol.Recheck, pol.Status, pol.StatusMaxAge = 5*24*3600, doc.StatusRequire, 24*3600
	c := client(t, s)
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor", Policy: &pol}))
	for seq := int64(2); seq < 5; seq++ {
		s.Clock.Advance(day)
		expect(t, check(t, c), true, eval.Valid)
		if c.Lease().Seq != seq {
			t.Fatalf("seq %d, want %d", c.Lease().Seq, seq)
		}
	}
	s.Fail(sdktest.Down)
	s.Clock.Advance(day)
	expect(t, check(t, c), false, eval.StatusStale)
}

// Two processes of a product share one state: what one renews, the other uses.
func TestCheck_ProcessesShareTheState(t *testing.T) {
	t.Parallel()
	s := server(t)
	store := sdk.WithStore(new(sdk.MemoryStore))
	a, b := client(t, s, store), client(t, s, store)
	expect(t, check(t, b), false, eval.ActivationRequired)
	activate(t, a, s.Issue(sdktest.Spec{Product: "editor"}))
	expect(t, check(t, b), true, eval.Valid)
	for range 3 {
		s.Clock.Advance(day)
		check(t, a)
		before := s.Requests()
		expect(t, check(t, b), true, eval.Valid)
		if s.Requests() != before || b.Lease().Seq != a.Lease().Seq {
			t.Fatalf("%d further requests, seq %d and %d", s.Requests()-before, a.Lease().Seq, b.Lease().Seq)
		}
		a, b = b, a
	}
	if err := a.Deactivate(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(day)
	expect(t, check(t, b), false, eval.ActivationRequired)
}

// A new token of the license arrives with the heartbeat.
func TestCheck_NewTokenArrives(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	s.Change(key, func(l *doc.License) { l.Ent = features })
	if c.Allowed("export") {
		t.Fatal("entitled before contact")
	}
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
	if !c.Allowed("export") {
		t.Fatal("not entitled after contact")
	}
}

// What the server refuses is a decision, not an error; garbage instead of an
// answer is an error, not a decision.
func TestActivate_RefusalsAreDecisions(t *testing.T) {
	t.Parallel()
	s := server(t)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	other := s.Issue(sdktest.Spec{Product: "player"})
	trying := s.Issue(sdktest.Spec{Product: "editor", Env: doc.EnvTest})
	c := client(t, s)
	expect(t, check(t, c), false, eval.ActivationRequired)
	expect(t, activate(t, c, "MINT-00000-00000-00000-00000-00000-00000"), false, eval.NotFound)
	expect(t, activate(t, c, "not a key\r\nX: y"), false, eval.NotFound)
	expect(t, activate(t, c, other), false, eval.NotFound)
	expect(t, activate(t, c, trying), false, eval.EnvironmentMismatch)
	for _, f := range []sdktest.Fault{sdktest.Down, sdktest.Garbage, sdktest.Error, sdktest.Forged} {
		s.Fail(f)
		if d, err := c.Activate(context.Background(), key); err == nil || d.Allowed {
			t.Fatalf("fault %d: %+v", f, d)
		}
	}
	s.Fail(sdktest.None)
	expect(t, activate(t, c, strings.ToLower(strings.ReplaceAll(key, "-", " - "))), true, eval.Valid)
	second := client(t, s, sdk.WithDevice(sdktest.Device("device 2")))
	expect(t, activate(t, second, key), false, eval.TooManySeats)
	s.Suspend(key) // why a license gives no seat is told to those who have one
	expect(t, activate(t, second, key), false, eval.NotFound)
	s.Revoke(key)
	expect(t, activate(t, second, key), false, eval.NotFound)
}

// A lost answer and a retry take one seat; giving it back frees it.
func TestActivate_LostReplyTakesOneSeat(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor", Seats: 2})
	s.FailTimes(sdktest.LostReply, 1)
	if _, err := c.Activate(context.Background(), key); err == nil {
		t.Fatal("no error without an answer")
	}
	expect(t, activate(t, c, key), true, eval.Valid)
	expect(t, activate(t, c, key), true, eval.Valid)
	if n := s.Seats(key); n != 1 {
		t.Fatalf("%d seats taken", n)
	}
	s.Fail(sdktest.Down)
	if err := c.Deactivate(context.Background()); err == nil {
		t.Fatal("deactivated without the server")
	}
	expect(t, check(t, c), true, eval.Valid)
	s.Fail(sdktest.None)
	if err := c.Deactivate(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := s.Seats(key); n != 0 || c.Allowed("export") {
		t.Fatalf("%d seats taken after deactivation", n)
	}
	expect(t, check(t, c), false, eval.ActivationRequired)
	if err := c.Deactivate(context.Background()); err != nil {
		t.Fatalf("second deactivation: %v", err)
	}
}

// A seat released by somebody else is taken again if it is still free, and lost
// if it is not.
func TestCheck_SeatReleasedElsewhere(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	s.Release(key)
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
	s.Release(key)
	activate(t, client(t, s, sdk.WithDevice(sdktest.Device("device 2"))), key)
	s.Clock.Advance(day)
	expect(t, check(t, c), false, eval.TooManySeats)
	if c.Allowed("export") {
		t.Fatal("allowed without a seat")
	}
	s.Release(key)
	s.Clock.Advance(time.Hour)
	expect(t, check(t, c), true, eval.Valid)
}

// Revocation and suspension reach the product with the next contact.
func TestCheck_RevokedAndSuspended(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	s.Suspend(key)
	s.Clock.Advance(day)
	expect(t, check(t, c), false, eval.Suspended)
	s.Reinstate(key)
	s.Clock.Advance(time.Hour)
	expect(t, check(t, c), true, eval.Valid)
	s.Revoke(key)
	s.Clock.Advance(day)
	expect(t, check(t, c), false, eval.Revoked)
}

// A policy without activation is watched over by the status list.
func TestCheck_StatusListWithoutActivation(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	pol := sdktest.Policy()
	pol.Activation, pol.Status, pol.StatusMaxAge = doc.ActivationNone, doc.StatusRequire, 2*sdktest.Day
	key := s.Issue(sdktest.Spec{Product: "editor", Policy: &pol})
	if err := c.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	d, err := c.Install(context.Background(), s.Token(key))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, d, true, eval.Valid)
	expect(t, check(t, c), true, eval.Valid)
	s.Suspend(key)
	s.Clock.Advance(2 * time.Hour)
	expect(t, check(t, c), false, eval.Suspended)
	s.Reinstate(key)
	s.Clock.Advance(2 * time.Hour)
	expect(t, check(t, c), true, eval.Valid)
	s.Fail(sdktest.Down)
	s.Clock.Advance(3 * day)
	expect(t, check(t, c), false, eval.StatusStale)
}

// Without any network a license file is enough; a file without the lease that
// its policy needs is not.
func TestInstall_LicenseFile(t *testing.T) {
	t.Parallel()
	s := server(t)
	key := s.Issue(sdktest.Spec{Product: "editor", Ent: features})
	online := client(t, s)
	activate(t, online, key)
	file := doc.File{License: s.Token(key), Keyset: s.Keyset()}
	s.Fail(sdktest.Down)
	install := func(f doc.File) eval.Decision {
		text, err := doc.EncodeFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := client(t, s).Install(context.Background(), text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	expect(t, install(file), false, eval.ActivationRequired)
	lease := *online.Lease()
	lease.Nonce = "" // it answers nobody's request
	file.Lease = sdktest.Sign(sdktest.Key("signing 1"), &lease)
	expect(t, install(file), true, eval.Valid)
	file.Lease = sdktest.Sign(sdktest.Key("forger"), &lease)
	text, _ := doc.EncodeFile(file)
	if _, err := client(t, s).Install(context.Background(), text); !errors.Is(err, doc.ErrUnknownKey) {
		t.Fatalf("forged lease: %v", err)
	}
}

// A test license is refused unless the client is configured for it, and then a
// live one is.
func TestVerify_EnvironmentAndCache(t *testing.T) {
	t.Parallel()
	s := server(t)
	live, trying := s.Token(s.Issue(sdktest.Spec{Product: "editor"})), s.Token(s.Issue(sdktest.Spec{Product: "editor", Env: doc.EnvTest}))
	cfg := sdk.Config{BaseURL: s.URL(), Product: "editor", Keys: []string{doc.FormatPublicKey(sdktest.Public(sdktest.Key("signing 1")))}}
	for env, good := range map[string]string{"": live, doc.EnvTest: trying} {
		cfg.Env = env
		c, err := sdk.New(cfg, s.Options()...)
		if err != nil {
			t.Fatal(err)
		}
		first, err := c.Verify(good)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.Verify(good); err != nil || again != first {
			t.Fatalf("verified twice: %v", err)
		}
		for _, token := range []string{live, trying} {
			if _, err := c.Verify(token); token != good && !errors.Is(err, doc.ErrEnv) {
				t.Fatalf("env %q: %v", env, err)
			}
		}
		c.Close()
		if _, err := c.Verify(good); !errors.Is(err, sdk.ErrClosed) {
			t.Fatalf("after close: %v", err)
		}
	}
	if s.Requests() != 0 {
		t.Fatal("Verify used the network")
	}
}

// A cached token ends when the token does.
func TestVerify_CacheKeepsTheEnd(t *testing.T) {
	t.Parallel()
	s := server(t)
	token := s.Token(s.Issue(sdktest.Spec{Product: "editor", ValidFor: day}))
	c := client(t, s)
	if err := c.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		at   time.Duration
		want error
	}{{0, nil}, {day + 59*time.Second, nil}, {day + 60*time.Second, doc.ErrExpired}, {-61 * time.Second, doc.ErrNotYetValid}} {
		s.Clock.Set(sdktest.Start.Add(step.at))
		if _, err := c.Verify(token); !errors.Is(err, step.want) {
			t.Fatalf("after %v: %v, want %v", step.at, err, step.want)
		}
	}
}

// A license that needs no activation was activated by its key all the same. Its renewal makes the token at hand invalid, and the client
// gets the new one by itself; that its seat was released, or its server is away, does not stop it.
func TestCheck_RenewedWithoutActivation(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]string{"watched": doc.StatusRequire, "not watched": doc.StatusOff} {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			c := client(t, s)
			pol := sdktest.Policy()
			pol.Activation, pol.Status, pol.StatusMaxAge = doc.ActivationNone, status, 40*sdktest.Day
			key := s.Issue(sdktest.Spec{Product: "editor", Policy: &pol, Type: doc.Timed, ValidFor: 30 * day})
			activate(t, c, key)
			expect(t, check(t, c), true, eval.Valid)
			for range 3 { // each renewal makes the one before invalid
				s.Clock.Advance(20 * day)
				until := s.Clock.Now().Add(30 * day).Unix()
				s.Change(key, func(l *doc.License) { l.Expires, l.ValidUntil = l.Expires+until-l.ValidUntil, until })
				expect(t, check(t, c), true, eval.Valid)
				if got := c.License().ValidUntil; got != until {
					t.Fatalf("valid until %d, want the renewed %d", got, until)
				}
			}
			before := s.Requests()
			expect(t, check(t, c), true, eval.Valid)
			if n := s.Requests() - before; n != 0 {
				t.Errorf("%d requests without need", n)
			}
			s.Fail(sdktest.Down)
			s.Clock.Advance(20 * day)
			expect(t, check(t, c), true, eval.Valid)
			s.Fail(sdktest.None)
			s.Release(key)
			s.Clock.Advance(day)
			expect(t, check(t, c), true, eval.Valid)
			if c.Lease() != nil {
				t.Error("the lease of the seat that is gone is kept")
			}
		})
	}
}

// Who types a key that no license has is told so in words for people, and nothing of headers and credentials.
func TestActivate_AWrongKeyIsToldToPeople(t *testing.T) {
	t.Parallel()
	srv := sdktest.NewServer()
	defer srv.Close()
	c, err := sdk.New(srv.Config("editor"), srv.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d, err := c.Activate(t.Context(), srv.Issue(sdktest.Spec{Product: "editor"})+"X")
	if err != nil || d.Allowed || d.Code != eval.NotFound || strings.Contains(d.Explanation, "Authorization") || !strings.Contains(d.Explanation, "check the key") {
		t.Errorf("%v, %s: %s", err, d.Code, d.Explanation)
	}
}
