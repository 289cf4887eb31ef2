package apikey_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// held lists the ids of all that is open, page by page, for an actor.
func (r *rig) held(t *testing.T, a licensing.Actor, q apikey.HoldsRequest) (ids []string) {
	t.Helper()
	for q.Limit = 2; ; {
		list, err := r.OpenHolds(as(t, a), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		for _, h := range list.Items {
			if h.AskedAt.IsZero() || !h.EndsAt.After(h.AskedAt) || h.SettledAt != nil {
				t.Errorf("%+v", h)
			}
			ids = append(ids, h.ID)
		}
		if q.Cursor = list.Next; q.Cursor == "" {
			return ids
		}
	}
}

// TestR04_ReservationsOfTheReach: what is reserved and not settled is listed, the newest first, page by page and each once, to its owner, whatever
// another he names, to staff by key or owner, and to a machine token of the product; what is settled or was given back is not.
func TestR04_ReservationsOfTheReach(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		one, oneText := r.issue(t, limited)
		two, twoText := r.issue(t, limited)
		_, others := r.issue(t, func(c *apikey.CreateRequest) { limited(c); c.Owner, c.Product = "cus_b", "prd_b" })
		var want []string // newest first
		for i := range 7 {
			text := []string{oneText, twoText}[i%2]
			want = append([]string{r.reserve(t, text, 2).Reservation.ID}, want...)
		}
		other := r.reserve(t, others, 2).Reservation.ID
		owns := customer("cus_a")
		of := func(n int) (out []string) { // those of the n-th key
			for i, id := range want {
				if (len(want)-1-i)%2 == n {
					out = append(out, id)
				}
			}
			return out
		}
		for what, c := range map[string]struct {
			as   licensing.Actor
			q    apikey.HoldsRequest
			want []string
		}{
			"the owner's":                 {owns, apikey.HoldsRequest{}, want},
			"the owner's of a key":        {owns, apikey.HoldsRequest{Key: one}, of(0)},
			"the owner who names another": {owns, apikey.HoldsRequest{Owner: "cus_b"}, nil},
			"another of that key":         {customer("cus_b"), apikey.HoldsRequest{Key: one}, nil},
			"another's":                   {customer("cus_b"), apikey.HoldsRequest{}, []string{other}},
			"staff, of an owner":          {admin, apikey.HoldsRequest{Owner: "cus_a"}, want},
			"staff, of a key":             {admin, apikey.HoldsRequest{Key: two}, of(1)},
			"staff, of nothing":           {admin, apikey.HoldsRequest{Key: "key_none"}, nil},
			"a token of the product":      {licensing.Actor{Kind: licensing.Machine, Product: "prd_b"}, apikey.HoldsRequest{Owner: "cus_b"}, []string{other}},
			"a token of another":          {licensing.Actor{Kind: licensing.Machine, Product: "prd_a"}, apikey.HoldsRequest{Owner: "cus_b"}, nil},
			"a token of test":             {licensing.Actor{Kind: licensing.Machine, Env: licensing.Test}, apikey.HoldsRequest{Owner: "cus_a"}, nil},
		} {
			if got := r.held(t, c.as, c.q); !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, want %q", what, got, c.want)
			}
		}
		if _, err := r.OpenHolds(as(t, admin), apikey.HoldsRequest{}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("of nobody: %v", err)
		}
		if _, err := r.settle(t, want[0], 1); err != nil {
			t.Fatal(err)
		}
		if got := r.held(t, owns, apikey.HoldsRequest{}); !slices.Equal(got, want[1:]) {
			t.Errorf("after one was settled: %q", got)
		}
		e.Clock.Advance(time.Minute)
		if _, err := r.EndHolds(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.held(t, owns, apikey.HoldsRequest{}); got != nil {
			t.Errorf("after all have ended: %q", got)
		}
	})
}

// TestA21_Released: what is released comes back whole and once, with who did it and why in the audit trail; work that goes on under it cannot be
// settled then, one that was settled cannot be released, and neither what is out of reach.
func TestA21_Released(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, limited)
		first, second := r.reserve(t, text, 20).Reservation, r.reserve(t, text, 10).Reservation
		r.stands(t, "reserved", id, 20, 50, 70)
		release := func(a licensing.Actor, id string) (apikey.HoldView, error) {
			return r.Release(as(t, a), apikey.ReleaseRequest{ID: id, Reason: "the worker died"})
		}
		for who, a := range map[string]licensing.Actor{"another": customer("cus_b"), "a token of another product": {Kind: licensing.Machine, Product: "prd_b"}, "nobody": {Kind: licensing.Anonymous}} {
			_, err := release(a, first.ID)
			fails(t, who, err, licensing.ErrNotFound)
		}
		for range 2 {
			if v, err := release(admin, first.ID); err != nil || v.Used != 0 || v.SettledAt == nil {
				t.Fatalf("%+v, %v", v, err)
			}
		}
		r.stands(t, "released", id, 40, 70, 90)
		var trail int64
		if err := e.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE action = 'reservation.release' AND target = $1 AND reason = 'the worker died'`, first.ID).Scan(&trail); err != nil || trail != 1 {
			t.Errorf("%d rows in the audit trail, %v", trail, err)
		}
		_, err := r.settle(t, first.ID, 3)
		fails(t, "settled after it was released", err, apikey.ErrHoldSettled)
		if _, err := r.settle(t, second.ID, 4); err != nil {
			t.Fatal(err)
		}
		_, err = release(admin, second.ID)
		fails(t, "released after it was settled", err, apikey.ErrHoldSettled)
		r.stands(t, "in the end", id, 46, 76, 96)
	})
}

// TestA21_ReleasedOrSettled: of those who release and settle one reservation at once one wins, and what stands is what the winner said.
func TestA21_ReleasedOrSettled(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		two.Service.Limiter = one.limiter // replicas share their counters
		id, text := one.issue(t, limited)
		spent := int64(0)
		for range 6 {
			h := one.reserve(t, text, 5).Reservation
			var settled, released atomic.Int64
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					by := []*rig{one, two}[i%2]
					var err error
					if i < 4 {
						if _, err = by.settle(t, h.ID, 3); err == nil {
							settled.Add(1)
						}
					} else if _, err = by.Release(as(t, admin), apikey.ReleaseRequest{ID: h.ID}); err == nil {
						released.Add(1)
					}
					if err != nil && !errors.Is(err, apikey.ErrHoldSettled) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if settled.Load()+released.Load() != 4 || settled.Load() != 0 && released.Load() != 0 {
				t.Fatalf("%d settled it and %d released it", settled.Load(), released.Load())
			}
			if settled.Load() > 0 {
				spent += 3
			}
			one.stands(t, "after a round", id, 50-spent, 80-spent, 100-spent)
		}
	})
}
