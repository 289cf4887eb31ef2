package payment_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestW20_AllDeliveriesLost guarantees that when no delivery ever comes, the sweeper finds each payment in the provider's list
// once, however often and by however many replicas it runs, and also when events lie on both sides of its cursor.
func TestW20_AllDeliveriesLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		s.box.Deliveries().Set(sandbox.Behaviour{Drop: true})
		for round := range 3 {
			c := s.paid(fmt.Sprintf("ord_%d", round), sandbox.CardSucceeds)
			s.deliver()
			e.Clock.Advance(time.Hour)
			for range 2 {
				s.everywhere(func(p *payment.Service) error { _, err := p.Sweep(t.Context()); return err })
			}
			s.work()
			if s.effects(c.ID) != 1 || s.effects("") != round+1 {
				t.Fatalf("round %d: %d effects, %d in all", round, s.effects(c.ID), s.effects(""))
			}
		}
		for _, row := range s.rows("") {
			if row.Origin != "sweep" || row.State != payment.Done {
				t.Errorf("row %+v", row)
			}
		}
	})
}

// TestLostJobs guarantees that an event whose job was lost is answered 200 all the same and is found by the sweeper, even while
// the provider's list cannot be read.
func TestLostJobs(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		s.lost = true
		c := s.paid("ord_1", sandbox.CardSucceeds)
		s.deliver()
		if got := s.answers(); got[200] != 1 || len(got) != 1 {
			t.Fatalf("answers %v", got)
		}
		if err := s.box.Faults().Add(sandbox.Fault{Kind: sandbox.BadGateway, Path: "/v1/events", Calls: -1}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(time.Minute)
		swept, err := s.replicas[0].Sweep(t.Context())
		if !errors.Is(err, payment.ErrUnknown) || swept.Processed != 1 || s.effects(c.ID) != 1 {
			t.Errorf("swept %+v, %v; %d effects", swept, err, s.effects(c.ID))
		}
	})
}

// TestF35_ProviderDown guarantees that events which arrive while the provider answers nothing stay queued for a day, lose and
// double nothing, and are applied when it is back, in whatever order they came.
func TestF35_ProviderDown(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		const orders = 12
		s.box.Deliveries().Set(sandbox.Behaviour{Reorder: orders, Copies: 1})
		for i := range orders {
			s.paid(fmt.Sprintf("ord_%02d", i), sandbox.CardSucceeds)
		}
		if err := s.box.Faults().Add(sandbox.Fault{Kind: sandbox.ServerError, Calls: -1}); err != nil {
			t.Fatal(err)
		}
		s.deliver()
		for range 24 {
			s.work()
			e.Clock.Advance(time.Hour)
		}
		if rows := s.rows(payment.Pending); len(rows) != orders || s.effects("") != 0 {
			t.Fatalf("%d pending, %d effects", len(rows), s.effects(""))
		}
		s.box.Faults().Clear()
		s.work()
		if rows := s.rows(payment.Done); len(rows) != orders || s.effects("") != orders {
			t.Errorf("%d done, %d effects", len(rows), s.effects(""))
		}
	})
}

// TestDeliveryFaults guarantees for each way in which deliveries go wrong that every payment has one effect in the end: copies,
// delays, reordering, lost and wrongly signed deliveries, replays fresh and stale.
func TestDeliveryFaults(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]sandbox.Behaviour{
		"duplicate": {Copies: 30}, "delay": {DelaySeconds: 600}, "reorder": {Reorder: 3}, "drop": {Drop: true}, "bad signature": {BadSignature: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, e storetest.Env) {
				s := newShop(t, e)
				s.box.Deliveries().Set(b)
				for i := range 3 {
					s.paid(fmt.Sprintf("ord_%d", i), sandbox.CardSucceeds)
				}
				s.deliver()
				s.work()
				e.Clock.Advance(time.Hour)
				s.deliver()
				s.everywhere(func(p *payment.Service) error { _, err := p.Sweep(t.Context()); return err })
				s.work()
				if n := s.effects(""); n != 3 || len(s.rows(payment.Done)) != 3 {
					t.Errorf("%d effects, %d done", n, len(s.rows(payment.Done)))
				}
				if got := s.answers(); b.BadSignature != (got[400] > 0) || b.Drop && len(got) != 0 || b.Copies == 30 && got[200] != 90 {
					t.Errorf("answers %v", got)
				}
			})
		})
	}
}

// TestReplay guarantees that recorded deliveries have no effect: within the window they are known already, later they are refused.
func TestReplay(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.paid("ord_1", sandbox.CardSucceeds)
		s.deliver()
		s.work()
		id := s.rows("")[0].ID
		for after, want := range map[time.Duration]int{0: 200, time.Minute: 200, 10 * time.Minute: 400} {
			e.Clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(after))
			if status, err := s.box.Deliveries().Replay(t.Context(), id); err != nil || status != want {
				t.Errorf("replayed after %s: %d, %v", after, status, err)
			}
			s.work()
		}
		if err := s.box.Deliveries().Resend(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		s.deliver()
		s.work()
		if n := s.effects(c.ID); n != 1 || len(s.rows("")) != 1 {
			t.Errorf("%d effects, %d rows", n, len(s.rows("")))
		}
	})
}
