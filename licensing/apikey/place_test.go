package apikey_test

import (
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestOwnKeysNeverGiveTwice: whoever ends a key that he made and makes another gets what the plan gives to one key: credits and the counters of
// its own limits go on where they stood, whether the one before was revoked or its owner let it expire, also where a reservation of it is
// settled later. A place that nobody took yet begins anew, and so does the plan of another key that was bought.
func TestOwnKeysNeverGiveTwice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.plan(t, apikey.PutTemplateRequest{Most: 2, Credits: &apikey.CreditsSpec{Balance: 7},
			Limits: []apikey.Limit{{Name: "monthly", Count: 10, Every: licensing.Monthly}, {Name: "calls", Count: 9, Seconds: 3600}}})
		owner := as(t, customer("cus_a"))
		again := func(ends *time.Time) apikey.CreateResponse {
			t.Helper()
			out, err := r.Create(owner, apikey.CreateRequest{Plan: "pln_a", Name: "ci", ExpiresAt: ends})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		revoke := func(id string) {
			t.Helper()
			if _, err := r.Revoke(owner, apikey.RevokeRequest{ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		spend := func(text string, cost int64) apikey.VerifyResult {
			t.Helper()
			return r.verify(t, apikey.VerifyCheck{Key: text, Cost: &cost})
		}
		first := again(nil)
		if got := spend(first.Secret, 4); got.Code != apikey.Valid || got.Credits.Remaining != 3 {
			t.Fatalf("%+v", got)
		}
		revoke(first.Key.ID)
		second := again(nil) // in the place that nobody took
		if got := spend(second.Secret, 5); got.Code != apikey.Valid || got.Credits.Remaining != 2 {
			t.Fatalf("%+v", got)
		}
		soon := e.Clock.Now().Add(time.Minute)
		third := again(&soon) // in the place of the first
		if got := spend(third.Secret, 1); got.Code != apikey.Valid || got.Credits.Remaining != 2 || got.Limits[0].Remaining != 5 || got.Limits[1].Remaining != 4 {
			t.Fatalf("a key in the place of one that spent 4 of 7: %+v", got)
		}
		held := r.reserve(t, third.Secret, 2).Reservation
		e.Clock.Advance(time.Minute - time.Second)
		r.poll(t)
		revoke(third.Key.ID)
		fourth := again(nil)
		expect(t, "all of it spent or reserved", spend(fourth.Secret, 1).Code, apikey.NoCredits)
		if _, err := r.settle(t, held.ID, 1); err != nil {
			t.Fatal(err)
		}
		r.Invalidate(fourth.Key.ID) // and what was refused a moment ago
		expect(t, "what came back", spend(fourth.Secret, 1).Code, apikey.Valid)
		for range 20 {
			revoke(fourth.Key.ID)
			fourth = again(nil)
			if got := spend(fourth.Secret, 1); got.Code != apikey.NoCredits || got.Credits.Remaining != 0 {
				t.Fatalf("ended and made again: %+v", got)
			}
		}
		_, err := r.Create(owner, apikey.CreateRequest{Plan: "pln_a", Name: "ci"})
		fails(t, "more than the plan allows", err, apikey.ErrKeysUsedUp)
	})
}
