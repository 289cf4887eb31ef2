package payment_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// history is a provider that only lists events, oldest first.
type history struct {
	payment.Gateway
	events []payment.Event
	calls  int
	fails  int // the call that fails, from 1
}

var errAway = errors.New("away")

// Events implements that part of payment.Gateway, in whole seconds as the provider counts.
func (h *history) Events(_ context.Context, since time.Time, limit int) ([]payment.Event, error) {
	if h.calls++; h.calls == h.fails {
		return nil, errAway
	}
	i := slices.IndexFunc(h.events, func(e payment.Event) bool { return !e.Created.Before(since.Truncate(time.Second)) })
	if i < 0 {
		return nil, nil
	}
	return h.events[i:min(i+limit, len(h.events))], nil
}

// Enqueue implements licensing.Enqueuer.
func (h *history) Enqueue(context.Context, licensing.Job) error { return nil }

// TestW20_LongHistory guarantees that a walk takes thousands of events in portions, gets past more than a portion within one
// second, goes on where it was when the provider went away half-way, and stores each event once.
func TestW20_LongHistory(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		h := &history{fails: 3}
		for i := range 2300 {
			second := i
			if i >= 600 && i < 1800 {
				second = 600 // 1200 events within one second
			}
			h.events = append(h.events, payment.Event{
				ID: fmt.Sprintf("evt_%04d", i), Type: "payout.paid", ObjectKind: "payout", APIVersion: "2023-10-16", Raw: []byte("{}"),
				Created: e.Clock.Now().Add(-2 * time.Hour).Add(time.Duration(second) * time.Second),
			})
		}
		s := payment.New(payment.Deps{Store: e.Store.Payments(), Gateway: h, APIVersion: "2023-10-16", Clock: e.Clock.Now, Tx: e.Store, Jobs: h})
		first, err := s.Sweep(t.Context())
		if !errors.Is(err, errAway) || first.Found == 0 || first.Found == 2300 {
			t.Fatalf("first sweep %+v, %v", first, err)
		}
		second, err := s.Sweep(t.Context())
		if err != nil || first.Found+second.Found != 2300 {
			t.Fatalf("second sweep %+v after %+v, %v", second, first, err)
		}
		b, err := s.Backlog(t.Context())
		if err != nil || b.Pending != 2300 {
			t.Errorf("backlog %+v, %v", b, err)
		}
		before := h.calls
		if third, err := s.Sweep(t.Context()); err != nil || third.Found != 0 || h.calls != before+1 {
			t.Errorf("third sweep %+v in %d calls, %v", third, h.calls-before, err)
		}
		e.Clock.Advance(time.Minute)
		if fourth, err := s.Sweep(t.Context()); err != nil || fourth.Processed != 500 {
			t.Errorf("fourth sweep %+v, %v", fourth, err)
		}
	})
}
