package sdk_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// unattended is a policy of licenses that need no activation.
func unattended(status string) *doc.Policy {
	pol := sdktest.Policy()
	pol.Activation, pol.Status, pol.StatusMaxAge = doc.ActivationNone, status, 40*sdktest.Day
	return &pol
}

// install gives a client the token of a key, and no seat.
func install(t testing.TB, c *sdk.Client, token string) eval.Decision {
	t.Helper()
	if err := c.Refresh(context.Background()); err != nil { // Install asks nobody, and a token brings no keys along
		t.Fatal(err)
	}
	d, err := c.Install(context.Background(), token)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// lengthen renews a license by so much from now on, as the server does.
func lengthen(s *sdktest.Server, key string, by time.Duration) (until int64) {
	until = s.Clock.Now().Add(by).Unix()
	s.Change(key, func(l *doc.License) { l.Expires, l.ValidUntil = l.Expires+until-l.ValidUntil, until })
	return until
}

// A license that was installed as a token alone, without a key and without a seat, is renewed again and again: the product gets each new token by
// the one at hand, however many renewals it missed, and asks no more than it needs to. That the server is away changes nothing before its end.
func TestRenewByToken(t *testing.T) {
	t.Parallel()
	for _, status := range []string{doc.StatusRequire, doc.StatusWarn, doc.StatusOff} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			s := server(t)
			c := client(t, s)
			key := s.Issue(sdktest.Spec{Product: "editor", Policy: unattended(status), Type: doc.Timed, ValidFor: 30 * day})
			install(t, c, s.Token(key))
			expect(t, check(t, c), true, eval.Valid)
			for range 3 {
				s.Clock.Advance(20 * day)
				lengthen(s, key, 25*day) // renewed twice before anybody looks
				until := lengthen(s, key, 30*day)
				if status == doc.StatusOff { // nobody told that the token at hand is out of use; its end is near
					s.Clock.Advance(5 * day)
				}
				expect(t, check(t, c), true, eval.Valid)
				if l := c.License(); l.ValidUntil != until {
					t.Fatalf("valid until %d, want the renewed %d", l.ValidUntil, until)
				}
				before := s.Requests()
				if expect(t, check(t, c), true, eval.Valid); s.Requests() != before {
					t.Errorf("%d requests without need", s.Requests()-before)
				}
			}
			if n := s.Seats(key); n != 0 {
				t.Errorf("%d seats are taken", n)
			}
			s.Fail(sdktest.Down)
			for s.Clock.Now().Unix() < c.License().ValidUntil-sdktest.Day {
				s.Clock.Advance(day / 2)
				if d := check(t, c); !d.Allowed {
					t.Fatalf("away: %s", d.Code)
				}
			}
			s.Fail(sdktest.None)
			s.Clock.Advance(20 * day)
			expect(t, check(t, c), false, eval.Expired)
			until := lengthen(s, key, 30*day)
			s.Clock.Advance(2 * time.Hour) // it waits an hour at most
			if expect(t, check(t, c), true, eval.Valid); c.License().ValidUntil != until {
				t.Error("what was renewed after its end was not fetched")
			}
		})
	}
}

// What is answered instead of a token changes nothing: not its loss, not nonsense, not a forgery, not a refusal. When all is well again, so is
// the license.
func TestRenewByToken_BadAnswers(t *testing.T) {
	t.Parallel()
	for _, fault := range []sdktest.Fault{sdktest.Down, sdktest.LostReply, sdktest.TornReply, sdktest.Garbage, sdktest.Error, sdktest.Forged, sdktest.Redirect} {
		s := server(t)
		c := client(t, s)
		key := s.Issue(sdktest.Spec{Product: "editor", Policy: unattended(doc.StatusOff), Type: doc.Timed, ValidFor: 30 * day})
		install(t, c, s.Token(key))
		s.Clock.Advance(31 * day)
		until := lengthen(s, key, 30*day)
		s.Fail(fault)
		for range 5 {
			expect(t, check(t, c), false, eval.Expired)
			s.Clock.Advance(time.Minute)
		}
		s.Fail(sdktest.None)
		s.Clock.Advance(2 * time.Hour)
		if expect(t, check(t, c), true, eval.Valid); c.License().ValidUntil != until {
			t.Errorf("fault %d: not the renewed license", fault)
		}
	}
}

// Whoever is not to have what follows is answered with a refusal, and says what he knew before: that the license is out of use, or at its end. He
// asks again ever more seldom, and what he says never turns into a refusal of another kind.
func TestRenewByToken_Refused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status string
		do     func(s *sdktest.Server, key string)
		want   eval.Code
	}{
		"another key":         {doc.StatusRequire, func(s *sdktest.Server, key string) { s.Reissue(key) }, eval.Revoked},
		"another key, silent": {doc.StatusOff, func(s *sdktest.Server, key string) { s.Reissue(key) }, eval.Expired},
		"revoked":             {doc.StatusRequire, func(s *sdktest.Server, key string) { s.Revoke(key) }, eval.Revoked},
		"revoked, silent":     {doc.StatusOff, func(s *sdktest.Server, key string) { s.Revoke(key) }, eval.Expired},
		"suspended":           {doc.StatusRequire, func(s *sdktest.Server, key string) { s.Suspend(key) }, eval.Suspended},
		"suspended, renewed": {doc.StatusRequire, func(s *sdktest.Server, key string) {
			s.Suspend(key)
			lengthen(s, key, 90*day)
		}, eval.Suspended},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := server(t)
			p := client(t, s)
			key := s.Issue(sdktest.Spec{Product: "editor", Policy: unattended(c.status), Type: doc.Timed, ValidFor: 30 * day})
			install(t, p, s.Token(key))
			c.do(s, key)
			s.Clock.Advance(31 * day)
			expect(t, check(t, p), false, c.want)
			before, hours := s.Requests(), 24
			for range hours * 12 {
				s.Clock.Advance(5 * time.Minute)
				expect(t, check(t, p), false, c.want)
			}
			if n := s.Requests() - before; n < 2 || n > 5*hours {
				t.Errorf("%d requests in %d hours", n, hours)
			}
		})
	}
}

// answering lets a client through to the server but for its question after the current token, which is answered by somebody else.
func answering(s *sdktest.Server, answer func(w http.ResponseWriter)) sdk.Option {
	return sdk.WithHTTPClient(&http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path != sdk.PathToken {
			return http.DefaultTransport.RoundTrip(r)
		}
		w := httptest.NewRecorder()
		answer(w)
		return w.Result(), nil
	})})
}

// An older token of the license, one of another license, one of another product and one of the other environment never take the place of the one
// at hand, though each is signed and was good once.
func TestL09_NoOlderOrForeignTokenIsAdopted(t *testing.T) {
	t.Parallel()
	s := server(t)
	spec := sdktest.Spec{Product: "editor", Policy: unattended(doc.StatusOff), Type: doc.Timed, ValidFor: 30 * day}
	key, others := s.Issue(spec), []string{s.Token(s.Issue(spec))}
	older := s.Token(key)
	spec.Product = "viewer"
	others = append(others, s.Token(s.Issue(spec)))
	spec.Product, spec.Env = "editor", doc.EnvTest
	others = append(others, s.Token(s.Issue(spec)), older, "", "null", older+"x")
	s.Clock.Advance(day)
	lengthen(s, key, 30*day)
	for i, text := range others {
		c := client(t, s, answering(s, func(w http.ResponseWriter) { json.NewEncoder(w).Encode(sdk.TokenResponse{License: text}) }))
		install(t, c, s.Token(key))
		at := s.Clock.Now()
		s.Clock.Advance(29 * day)
		want := c.License().TokenID
		for range 4 {
			expect(t, check(t, c), true, eval.ExpiringSoon)
			s.Clock.Advance(2 * time.Hour)
		}
		if got := c.License().TokenID; got != want {
			t.Errorf("answer %d: token %s took the place of %s", i, got, want)
		}
		s.Clock.Set(at)
	}
}

// A server of the version before does not know the question: whatever its mux says, the product goes on by what it has, and still gets status
// lists and keys.
func TestRenewByToken_ServerBefore(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404, 405} {
		s := server(t)
		var asked atomic.Int64
		c := client(t, s, answering(s, func(w http.ResponseWriter) {
			asked.Add(1)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(sdk.Problem{Title: "No", Status: status, Code: "forbidden"})
		}))
		install(t, c, s.Token(s.Issue(sdktest.Spec{Product: "editor", Policy: unattended(doc.StatusRequire), Type: doc.Timed, ValidFor: 40 * day})))
		s.Clock.Advance(34 * day)
		for range 5 * 6 {
			expect(t, check(t, c), true, eval.ExpiringSoon)
			s.Clock.Advance(4 * time.Hour)
		}
		if n := asked.Load(); n < 5 || n > 10 {
			t.Errorf("status %d: asked %d times in 5 days, want about one a day", status, n)
		}
	}
}

// Of the processes of a product that share its state, and of those that run one after the other, all have what one of them has fetched, none
// writes an older license over it, and while the license allows they ask together no oftener than one of them.
func TestRenewByToken_ProcessesShareTheState(t *testing.T) {
	t.Parallel()
	s := server(t)
	store := sdk.WithStore(new(sdk.MemoryStore))
	a, b := client(t, s, store), client(t, s, store)
	key := s.Issue(sdktest.Spec{Product: "editor", Policy: unattended(doc.StatusOff), Type: doc.Timed, ValidFor: 30 * day})
	install(t, a, s.Token(key))
	expect(t, check(t, b), true, eval.Valid)
	s.Clock.Advance(25 * day)
	before := s.Requests()
	for range 20 {
		for _, c := range []*sdk.Client{a, b, client(t, s, store)} {
			expect(t, check(t, c), true, eval.ExpiringSoon)
		}
		s.Clock.Advance(2 * time.Minute)
	}
	if n := s.Requests() - before; n != 2 {
		t.Errorf("%d requests of three processes in 40 minutes, want one for the token and one for the keys", n)
	}
	until := lengthen(s, key, 60*day)
	s.Clock.Advance(day)
	expect(t, check(t, a), true, eval.Valid)
	for i, c := range []*sdk.Client{b, a, client(t, s, store)} {
		s.Clock.Advance(2 * time.Minute)
		if expect(t, check(t, c), true, eval.Valid); c.License().ValidUntil != until {
			t.Errorf("process %d has the license until %d", i, c.License().ValidUntil)
		}
	}
}

// After the key that signed it was revoked, a license that needs no activation is fetched anew by its old token and takes no seat for it.
func TestJ47_RenewByTokenTakesNoSeat(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor", Policy: unattended(doc.StatusRequire)})
	install(t, c, s.Token(key))
	expect(t, check(t, c), true, eval.Valid)
	s.RotateKey(true)
	s.Clock.Advance(41 * day)
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, check(t, c), true, eval.Valid)
	if n := s.Seats(key); n != 0 {
		t.Errorf("%d seats are taken", n)
	}
}

// A license that goes over to a policy with activation takes a seat when its new token comes.
func TestRenewByToken_IntoActivation(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor", Policy: unattended(doc.StatusRequire)})
	install(t, c, s.Token(key))
	s.Clock.Advance(day)
	s.Change(key, func(l *doc.License) { l.Pol.Activation = doc.ActivationRequired })
	expect(t, check(t, c), true, eval.Valid)
	if n := s.Seats(key); n != 1 || c.Lease() == nil {
		t.Errorf("%d seats are taken, lease %v", n, c.Lease())
	}
}

// Run gets the renewed token by itself and tells that the license is good again.
func TestRun_RenewsByToken(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor", Policy: unattended(doc.StatusOff), Type: doc.Timed, ValidFor: 30 * day})
	install(t, c, s.Token(key))
	events := make(chan sdk.Event, 8)
	go c.Run(t.Context(), events)
	for _, step := range []struct {
		after time.Duration
		do    func()
		want  sdk.EventKind
	}{
		{25 * day, func() {}, sdk.ExpiringSoon},
		{6 * day, func() {}, sdk.Expired},
		{3 * time.Hour, func() { lengthen(s, key, 30*day) }, sdk.Recovered},
	} {
		step.do()
		s.Clock.Advance(step.after)
		select {
		case e := <-events:
			if e.Kind != step.want {
				t.Fatalf("got %s (%+v), want %s", e.Kind, e.Decision, step.want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no event %s", step.want)
		}
	}
}
