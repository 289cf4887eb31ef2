package payment_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestIntentKeepsItsKey guarantees that a call keeps one key through crashes, repeats and unknown outcomes, that only a refusal
// begins a new epoch, and that a confirmed call stays confirmed.
func TestIntentKeepsItsKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		ctx := t.Context()
		s := payment.NewIntents(e.Store.PaymentIntents(), e.Clock.Now)
		reserve := func() payment.Intent {
			t.Helper()
			var i payment.Intent
			err := e.Store.InTx(ctx, func(ctx context.Context) (err error) { i, err = s.Reserve(ctx, "session", "ord_1"); return err })
			if err != nil {
				t.Fatal(err)
			}
			return i
		}
		if _, err := s.Newest(ctx, "session", "ord_1"); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("nothing reserved: %v", err)
		}
		i := reserve()
		if i.Key() != "mintreu:session:ord_1:0" || i.State != payment.Reserved {
			t.Fatalf("reserved %+v", i)
		}
		var keys []string
		call := func(object string, err error) error {
			return s.Run(ctx, reserve(), func(_ context.Context, key string) (string, error) { keys = append(keys, key); return object, err })
		}
		if err := call("", fmt.Errorf("lost: %w", payment.ErrUnknown)); !errors.Is(err, payment.ErrUnknown) {
			t.Error(err)
		}
		if got := reserve(); got.State != payment.Unknown {
			t.Errorf("after a lost answer %+v", got)
		}
		if err := call("", fmt.Errorf("no: %w", payment.ErrRefused)); !errors.Is(err, payment.ErrRefused) {
			t.Error(err)
		}
		if err := call("", errors.New("who knows")); err == nil {
			t.Error("an error was swallowed")
		}
		if err := call("cs_1", nil); err != nil {
			t.Error(err)
		}
		if want := "[mintreu:session:ord_1:0 mintreu:session:ord_1:0 mintreu:session:ord_1:1 mintreu:session:ord_1:1]"; fmt.Sprint(keys) != want {
			t.Errorf("keys %v", keys)
		}
		done := reserve()
		if done.State != payment.Confirmed || done.Object != "cs_1" || done.Epoch != 1 {
			t.Errorf("confirmed %+v", done)
		}
		if err := errors.Join(s.Confirm(ctx, done, "cs_2"), s.Refuse(ctx, done, "no")); err != nil {
			t.Error(err)
		}
		if got := reserve(); got.Object != "cs_1" || got.State != payment.Confirmed {
			t.Errorf("a settled call changed: %+v", got)
		}
	})
}

// TestIntentRace guarantees that callers who reserve the same call at once all get the same key.
func TestIntentRace(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := payment.NewIntents(e.Store.PaymentIntents(), e.Clock.Now)
		var mu sync.Mutex
		keys := map[string]bool{}
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				err := e.Store.InTx(t.Context(), func(ctx context.Context) error {
					i, err := s.Reserve(ctx, "session", "ord_1")
					mu.Lock()
					defer mu.Unlock()
					keys[i.Key()] = true
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(keys) != 1 {
			t.Errorf("keys %v", keys)
		}
	})
}

// TestIntentOutcomeKept guarantees that the outcome of a call is recorded although its caller has gone.
func TestIntentOutcomeKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := payment.NewIntents(e.Store.PaymentIntents(), e.Clock.Now)
		i, err := s.Reserve(t.Context(), "session", "ord_1")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := s.Run(ctx, i, func(context.Context, string) (string, error) { cancel(); return "cs_1", nil }); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Newest(t.Context(), "session", "ord_1"); err != nil || got.State != payment.Confirmed {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestIntentStuck guarantees that calls whose outcome is open are listed for the sweeper once they are old enough, and no others.
func TestIntentStuck(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		ctx := t.Context()
		s := payment.NewIntents(e.Store.PaymentIntents(), e.Clock.Now)
		for _, row := range []string{"a", "b", "c", "d"} {
			i, err := s.Reserve(ctx, "session", row)
			if err != nil {
				t.Fatal(err)
			}
			switch row {
			case "b":
				_ = s.Run(ctx, i, func(context.Context, string) (string, error) { return "", payment.ErrUnknown }) // the error is the point
			case "c":
				err = s.Confirm(ctx, i, "cs_c")
			}
			if err != nil {
				t.Fatal(err)
			}
			e.Clock.Advance(time.Minute)
		}
		if _, err := s.Reserve(ctx, "refund", "e"); err != nil {
			t.Fatal(err)
		}
		stuck, err := s.Stuck(ctx, "session", e.Clock.Now().Add(-2*time.Minute), 10)
		if err != nil || len(stuck) != 2 || stuck[0].Row != "a" || stuck[1].Row != "b" || stuck[1].State != payment.Unknown {
			t.Errorf("stuck %+v, %v", stuck, err)
		}
	})
}
