package apikey_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestA02_GuessesAreThrottled: who sends well-formed texts that do not exist reaches the database a hundred times, then ten times a
// second, and is told to wait; a key that is in use goes on from the very same address, and its owner comes through from any other.
// The addresses of one IPv6 network count as one.
func TestA02_GuessesAreThrottled(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	_, warm := r.issue(t, nil)
	_, cold := r.issue(t, nil)
	guess := func(from string) apikey.VerifyResult {
		t.Helper()
		text, err := r.Format().New(licensing.Live, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.verify(t, apikey.VerifyCheck{Key: text.Full, IP: from})
	}
	expect(t, "warm", r.verify(t, apikey.VerifyCheck{Key: warm, IP: "192.0.2.1"}).Code, apikey.Valid)
	for network, address := range map[string]func(i int) string{
		"IPv4": func(int) string { return "192.0.2.1" },
		"IPv6": func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) },
	} {
		r.store.reads.Store(0)
		limited := 0
		for i := range 2000 {
			switch got := guess(address(i)); {
			case got.Code == apikey.RateLimited && got.RetryAfter > 0 && got.KeyID == "":
				limited++
			case got.Code != apikey.NotFound:
				t.Fatalf("%s: %+v", network, got)
			}
		}
		if n := r.store.reads.Load(); n != 100 || limited != 1900 {
			t.Errorf("%s: %d reads, %d refusals", network, n, limited)
		}
		if _, err := r.ByCredential(t.Context(), cold, netip.MustParseAddr(address(7))); licensing.KindOf(err) != licensing.TooMany {
			t.Errorf("%s: a key that is not known here, from the guesser's address: %v", network, err)
		}
	}
	expect(t, "the key in use, from the guesser's address", r.verify(t, apikey.VerifyCheck{Key: warm, IP: "192.0.2.1"}).Code, apikey.Valid)
	expect(t, "the other key, from elsewhere", r.verify(t, apikey.VerifyCheck{Key: cold, IP: "198.51.100.1"}).Code, apikey.Valid)
	r.store.reads.Store(0)
	r.Clock.Advance(time.Second)
	r.poll(t)
	for range 100 {
		guess("192.0.2.1")
	}
	if n := r.store.reads.Load(); n != 10 {
		t.Errorf("%d reads in the second after, want 10", n)
	}
}

// TestA02_NoLockoutByAGuesser: while somebody guesses at keys from an address, without end, the keys that were in use from that address go on
// beyond the time for which their records are believed; one that is revoked meanwhile is refused all the same.
func TestA02_NoLockoutByAGuesser(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	_, good := r.issue(t, nil)
	id, ended := r.issue(t, nil)
	use := func(text string) apikey.Code {
		t.Helper()
		return r.verify(t, apikey.VerifyCheck{Key: text, IP: "192.0.2.1"}).Code
	}
	r.poll(t) // which tells of both
	expect(t, "before", use(good), apikey.Valid)
	expect(t, "before", use(ended), apikey.Valid)
	for minute := range 3 {
		for range 200 {
			text, err := r.Format().New(licensing.Live, nil)
			if err != nil {
				t.Fatal(err)
			}
			use(text.Full)
		}
		expect(t, fmt.Sprintf("in minute %d of the guesses", minute), use(good), apikey.Valid)
		for range 31 { // a replica that hears of changes all the time
			r.Clock.Advance(2 * time.Second)
			r.poll(t)
		}
	}
	for range 200 {
		text, _ := r.Format().New(licensing.Live, nil)
		use(text.Full)
	}
	expect(t, "in the end", use(good), apikey.Valid)
	if _, err := r.Revoke(as(t, admin), apikey.RevokeRequest{ID: id}); err != nil {
		t.Fatal(err)
	}
	if code := use(ended); code == apikey.Valid {
		t.Error("a revoked key goes on")
	}
}
