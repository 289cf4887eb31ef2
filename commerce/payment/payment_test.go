package payment_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestPaidOnce guarantees the plain path: a payment is delivered, stored, applied once, and its row says so.
func TestPaidOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.paid("ord_1", sandbox.CardSucceeds)
		s.deliver()
		if b, err := s.replicas[0].Backlog(t.Context()); err != nil || b.Pending != 1 || b.Parked != 0 || b.Lag(e.Clock.Now().Add(time.Minute)) != time.Minute {
			t.Errorf("before the work: %+v, %v", b, err)
		}
		s.work()
		rows := s.rows("")
		if s.effects(c.ID) != 1 || len(rows) != 1 || rows[0].State != payment.Done || rows[0].SettledAt == nil || rows[0].Order != "ord_1" || rows[0].Origin != "delivery" {
			t.Fatalf("%d effects, rows %+v", s.effects(c.ID), rows)
		}
		one, err := s.replicas[0].Inspect(t.Context(), payment.InspectRequest{ID: rows[0].ID})
		if err != nil || !strings.Contains(one.Body, c.ID) {
			t.Errorf("inspected %+v, %v", one, err)
		}
		if b, err := s.replicas[0].Backlog(t.Context()); err != nil || b != (payment.Backlog{}) {
			t.Errorf("after the work: %+v, %v", b, err)
		}
	})
}

// TestW08_SameEventInParallel guarantees that one event, delivered 64 times at once to two replicas and processed by both over
// and over, has one effect, and that every delivery is answered 200.
func TestW08_SameEventInParallel(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		s.box.Deliveries().Set(sandbox.Behaviour{Drop: true})
		c := s.paid("ord_1", sandbox.CardSucceeds)
		s.deliver()
		body := event("evt_1", c.ID, "2023-10-16")
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				if status := s.send(body); status != 200 {
					t.Errorf("a delivery was answered %d", status)
				}
				s.everywhere(func(p *payment.Service) error { return p.Process(t.Context(), "evt_1") })
			})
		}
		all.Wait()
		s.work()
		if n := s.effects(c.ID); n != 1 || len(s.rows("")) != 1 {
			t.Errorf("%d effects, %d rows", n, len(s.rows("")))
		}
	})
}

// TestEffectAndMarkTogether guarantees that an effect which fails leaves the event pending and no trace, and that it is tried
// again later, not at once.
func TestEffectAndMarkTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		fail := true
		for _, p := range s.replicas {
			p.Handle("checkout.session", applier(func(ctx context.Context, ev payment.Event) (func(context.Context) error, error) {
				commit, err := s.Apply(ctx, ev)
				if err != nil || !fail {
					return commit, err
				}
				return func(ctx context.Context) error { return errors.Join(commit(ctx), errors.New("after the effect")) }, nil
			}))
		}
		c := s.paid("ord_1", sandbox.CardSucceeds)
		s.deliver()
		s.work()
		rows := s.rows(payment.Pending)
		if s.effects("") != 0 || len(rows) != 1 || rows[0].Attempts == 0 || !strings.Contains(rows[0].Reason, "after the effect") {
			t.Fatalf("%d effects, rows %+v", s.effects(""), rows)
		}
		fail = false
		if err := s.replicas[0].Process(t.Context(), rows[0].ID); err != nil || s.effects("") != 0 {
			t.Errorf("tried again at once: %d effects, %v", s.effects(""), err)
		}
		e.Clock.Advance(time.Minute)
		s.work()
		if s.effects(c.ID) != 1 {
			t.Errorf("%d effects", s.effects(c.ID))
		}
	})
}

type applier func(context.Context, payment.Event) (func(context.Context) error, error)

func (a applier) Apply(ctx context.Context, e payment.Event) (func(context.Context) error, error) {
	return a(ctx, e)
}

// TestW14_W15_ForeignDelivery guarantees that a rightly signed delivery of the other mode or another account is answered 400, is
// not stored, and raises an alert.
func TestW14_W15_ForeignDelivery(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		body := string(event("evt_1", "cs_test_1", "2023-10-16"))
		for i, other := range []string{strings.Replace(body, `"livemode":false`, `"livemode":true`, 1), strings.Replace(body, `"livemode"`, `"account":"acct_other","livemode"`, 1)} {
			if status := s.send([]byte(other)); status != 400 || s.alerted("payment-event-foreign") != i+1 {
				t.Errorf("answered %d with %d alerts: %s", status, s.alerted("payment-event-foreign"), other)
			}
		}
		if rows := s.rows(""); len(rows) != 0 {
			t.Errorf("stored %+v", rows)
		}
	})
}

// TestW16_UnknownSession guarantees that an event of an object nobody knows is answered 200 and kept with growing pauses, takes
// effect as soon as the object is known, and is parked with an alert when that never happens.
func TestW16_UnknownSession(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		s.box.Deliveries().Set(sandbox.Behaviour{Drop: true})
		known := s.paid("ord_1", sandbox.CardSucceeds)
		s.deliver()
		blind := true
		s.before = func(payment.Event) error {
			if blind {
				return payment.ErrPending
			}
			return nil
		}
		for id, object := range map[string]string{"evt_early": known.ID, "evt_never": "cs_test_nobody"} {
			if status := s.send(event(id, object, "2023-10-16")); status != 200 {
				t.Fatalf("answered %d", status)
			}
		}
		for range 5 {
			s.work()
			e.Clock.Advance(time.Minute)
		}
		if rows := s.rows(payment.Pending); len(rows) != 2 || rows[0].Attempts < 3 || rows[0].Attempts > 20 {
			t.Fatalf("rows %+v", rows)
		}
		s.mu.Lock()
		blind = false
		s.mu.Unlock()
		e.Clock.Advance(20 * time.Minute)
		s.work()
		if s.effects(known.ID) != 1 || s.effects("") != 1 {
			t.Errorf("%d effects", s.effects(""))
		}
		for range 75 {
			e.Clock.Advance(time.Hour)
			s.work()
		}
		rows := s.rows(payment.Parked)
		if len(rows) != 1 || rows[0].ID != "evt_never" || rows[0].Reason != "unknown-object" || s.alerted("payment-event-parked") != 1 {
			t.Errorf("parked %+v, alerts %v", rows, s.alerts)
		}
	})
}

// TestW22_OtherVersionParked guarantees that an event of another API version is stored, answered 200, parked with an alert and an
// audit row, never applied, and parked again when a person retries it.
func TestW22_OtherVersionParked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		s.box.Deliveries().Set(sandbox.Behaviour{Drop: true})
		c := s.paid("ord_1", sandbox.CardSucceeds)
		s.deliver()
		if status := s.send(event("evt_new", c.ID, "2026-01-01.future")); status != 200 {
			t.Fatalf("answered %d", status)
		}
		s.work()
		rows := s.rows(payment.Parked)
		if len(rows) != 1 || rows[0].Reason != "api-version" || s.effects("") != 0 || s.alerted("payment-event-parked") != 1 || s.audited("payment_event.park") != 1 {
			t.Fatalf("rows %+v, alerts %v", rows, s.alerts)
		}
		again, err := s.replicas[0].Retry(t.Context(), payment.RetryRequest{ID: "evt_new", Reason: "trying"})
		if err != nil || again.State != payment.Pending || s.audited("payment_event.retry") != 1 {
			t.Fatalf("retried %+v, %v", again, err)
		}
		if _, err := s.replicas[0].Retry(t.Context(), payment.RetryRequest{ID: "evt_new", Reason: "trying"}); !errors.Is(err, payment.ErrNotParked) {
			t.Errorf("retried twice: %v", err)
		}
		if _, err := s.replicas[0].Retry(t.Context(), payment.RetryRequest{ID: "evt_none", Reason: "trying"}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("retried nothing: %v", err)
		}
		s.work()
		if rows := s.rows(payment.Parked); len(rows) != 1 || s.effects("") != 0 {
			t.Errorf("after the retry: %+v", rows)
		}
	})
}

// audited counts audit rows of an action.
func (s *shop) audited(action string) (n int) {
	s.t.Helper()
	if err := s.env.DB.QueryRow(s.t.Context(), `SELECT count(*) FROM audit WHERE action = $1`, action).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// TestParkedByApplier guarantees that what an applier hands to a person is parked with its reason, and that a retry applies it
// once the cause is gone; that ignored events are recorded; and that a panic is a failure like any other.
func TestParkedByApplier(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		answer := payment.Park("amount-differs")
		s.before = func(payment.Event) error { return answer }
		c := s.paid("ord_1", sandbox.CardSucceeds)
		s.deliver()
		s.work()
		rows := s.rows(payment.Parked)
		if len(rows) != 1 || rows[0].Reason != "amount-differs" || s.effects("") != 0 {
			t.Fatalf("rows %+v", rows)
		}
		answer = nil
		if _, err := s.replicas[0].Retry(t.Context(), payment.RetryRequest{ID: rows[0].ID, Reason: "order corrected"}); err != nil {
			t.Fatal(err)
		}
		s.work()
		if s.effects(c.ID) != 1 {
			t.Errorf("%d effects after the retry", s.effects(c.ID))
		}
		answer = payment.ErrIgnored
		s.paid("ord_2", sandbox.CardSucceeds)
		s.deliver()
		s.work()
		s.send([]byte(strings.Replace(string(event("evt_9", "po_1", "2023-10-16")), `"object":"checkout.session"`, `"object":"payout"`, 1)))
		s.work()
		if rows := s.rows(payment.Ignored); len(rows) != 2 || s.effects("") != 1 {
			t.Errorf("ignored %+v", rows)
		}
		s.before = func(payment.Event) error { panic("poison") }
		s.paid("ord_3", sandbox.CardSucceeds)
		s.deliver()
		s.work()
		if rows := s.rows(payment.Pending); len(rows) != 1 || !strings.Contains(rows[0].Reason, "poison") {
			t.Errorf("pending %+v", rows)
		}
	})
}

// TestListPages guarantees that the inbox is listed newest first, page by page, each event once, also by state.
func TestListPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		for i := range 7 {
			s.send(event(fmt.Sprintf("evt_%d", i), "cs_test_1", "2023-10-16"))
			if i%2 == 0 {
				e.Clock.Advance(time.Second) // others share an instant
			}
		}
		var got []string
		page := licensing.Page{Limit: 3}
		for {
			list, err := s.replicas[0].List(t.Context(), payment.ListRequest{Page: page, State: "pending"})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range list.Items {
				got = append(got, v.ID)
			}
			if page.Cursor = list.Next; page.Cursor == "" {
				break
			}
		}
		if want := "evt_6 evt_5 evt_4 evt_3 evt_2 evt_1 evt_0"; strings.Join(got, " ") != want {
			t.Errorf("listed %v", got)
		}
		if rows := s.rows(payment.Parked); len(rows) != 0 {
			t.Errorf("listed %+v as parked", rows)
		}
	})
}
