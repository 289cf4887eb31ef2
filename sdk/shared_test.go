package sdk_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// What one process of a product did to the shared state, another does not undo when it saves: a seat that was borrowed stays so, one that was given
// back is given back, although for the other no contact was due.
func TestCheck_ProcessesDoNotUndoEachOther(t *testing.T) {
	t.Parallel()
	s := server(t)
	store := sdk.WithStore(new(sdk.MemoryStore))
	a, b := client(t, s, store), client(t, s, store)
	activate(t, a, s.Issue(sdktest.Spec{Product: "editor", Floating: true}))
	expect(t, check(t, b), true, eval.Valid)
	if d, err := a.Borrow(t.Context(), s.Clock.Now().Add(10*day)); err != nil || !d.Allowed {
		t.Fatal(d, err)
	}
	s.Clock.Advance(2 * time.Minute)
	expect(t, check(t, b), true, eval.Valid)
	later := client(t, s, store)
	if expect(t, check(t, later), true, eval.Valid); !later.Lease().Borrowed || later.Lease().Seq != a.Lease().Seq {
		t.Errorf("the other process wrote its older lease over the borrowed one: %+v", later.Lease())
	}
	if d, err := b.EndBorrow(t.Context()); err != nil || !d.Allowed {
		t.Fatal(d, err)
	}
	if err := a.Deactivate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(2 * time.Minute)
	expect(t, check(t, b), false, eval.ActivationRequired)
	expect(t, check(t, client(t, s, store)), false, eval.ActivationRequired)
}

// That a status list is not there, for once, says nothing of the license: it is not taken for a refusal of it, and the product goes on as its
// policy says.
func TestCheck_MissingStatusListIsNoRefusal(t *testing.T) {
	t.Parallel()
	s := server(t)
	target, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	var missing atomic.Bool
	through := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if missing.Load() && strings.HasPrefix(r.URL.Path, sdk.PathStatus) {
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.WriteString(`{"title":"Not Found","status":404,"code":"not-found"}`)
			return w.Result(), nil
		}
		r.URL.Host = target.Host
		return http.DefaultTransport.RoundTrip(r)
	})}
	pol := sdktest.Policy()
	pol.Activation, pol.Status, pol.StatusMaxAge = doc.ActivationNone, doc.StatusWarn, 2*24*3600
	c := client(t, s, sdk.WithHTTPClient(through))
	expect(t, activate(t, c, s.Issue(sdktest.Spec{Product: "editor", Policy: &pol})), true, eval.Valid)
	missing.Store(true)
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
	s.Clock.Advance(2 * day)
	expect(t, check(t, c), true, eval.StatusStale)
	missing.Store(false)
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A text that is longer than any license is refused before anything reads all of it, also by a client that remembers verified tokens.
func TestJ39_ClientRefusesLongTextsUnread(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	for range 12 {
		key := s.Issue(sdktest.Spec{Product: "editor", Seats: 2})
		activate(t, c, key)
		if _, err := c.Verify(s.Token(key)); err != nil {
			t.Fatal(err)
		}
	}
	long, least := strings.Repeat("A", 64<<20), time.Hour
	for range 9 { // the fastest counts: others may need the processor
		began := time.Now()
		if _, err := c.Verify(long); !errors.Is(err, doc.ErrTooLong) {
			t.Fatal(err)
		}
		least = min(least, time.Since(began))
	}
	if least >= time.Millisecond {
		t.Errorf("64 MiB were refused in %v", least)
	}
}

// A device that was away for so long that its seat was freed and its license renewed, which gives that another token, is given a seat again by
// itself, after a restart too: nobody types the key once more. When the seats are taken it is told so.
func TestCheck_SeatLostAndLicenseRenewed(t *testing.T) {
	t.Parallel()
	s := server(t)
	key := s.Issue(sdktest.Spec{Product: "editor", Floating: true, ValidFor: 30 * day})
	store := sdk.WithStore(new(sdk.MemoryStore))
	first := client(t, s, store)
	activate(t, first, strings.ToLower(key))
	renew := func(l *doc.License) { l.ValidUntil += sdktest.Day * 30; l.Expires += sdktest.Day * 30 }
	for range 3 {
		s.Release(key)
		s.Change(key, renew)
		s.Clock.Advance(25 * day)
		c := client(t, s, store)
		if d := check(t, c); !d.Allowed || s.Seats(key) != 1 {
			t.Fatalf("%s (%s), %d seats", d.Code, d.Explanation, s.Seats(key))
		}
	}
	s.Release(key)
	s.Change(key, renew)
	s.Clock.Advance(25 * day)
	activate(t, client(t, s, sdk.WithDevice(sdktest.Device("device 2"))), key)
	if d := check(t, client(t, s, store)); d.Allowed || !d.Has(eval.TooManySeats) || d.Has(eval.NotFound) {
		t.Errorf("without a free seat: %+v", d.Findings)
	}
}
