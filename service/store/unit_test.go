package store_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// sealed is the environment's store with a master key.
func sealed(t *testing.T, e storetest.Env) *store.Store {
	t.Helper()
	key, err := seal.New(make([]byte, seal.Size))
	if err != nil {
		t.Fatal(err)
	}
	return e.Store.WithSeal(key)
}

// call is a mutating operation with an Idempotency-Key.
func call(ctx context.Context, key string) (context.Context, *licensing.Call) {
	c := &licensing.Call{Operation: "thing.create", Mutating: true, Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_1"}, IdempotencyKey: key, RequestHash: []byte(key + " hash")}
	return licensing.WithCall(ctx, c), c
}

// create does the operation: a change, its audit row and a secret shown once.
func create(ctx context.Context, s *store.Store, e storetest.Env, target string) error {
	recorder := audit.New(audit.Deps{Store: s.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	return s.InTx(ctx, func(ctx context.Context) error {
		if err := s.PutSetting(ctx, target, []byte("made")); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, "secret of "+target)
		return recorder.Record(ctx, licensing.Event{Action: "thing.create", Target: target})
	})
}

// Of many requests with one Idempotency-Key exactly one takes effect, whatever they race for; the rest learn that it has a result and
// can read it, secret included.
func TestC08_IdempotencyKeyOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := sealed(t, e)
		var done atomic.Int64
		var wg sync.WaitGroup
		for range 24 {
			wg.Go(func() {
				ctx, _ := call(t.Context(), "k1")
				switch err := create(ctx, s, e, e.IDs("thg")); {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, licensing.ErrIdempotent):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done.Load() != 1 {
			t.Fatalf("%d requests took effect", done.Load())
		}
		hash, id, secret, found, err := s.Find(t.Context(), "customer:cus_1", "thing.create", "k1")
		if err != nil || !found || !bytes.Equal(hash, []byte("k1 hash")) || secret != "secret of "+id {
			t.Fatalf("%q %q %q %v %v", hash, id, secret, found, err)
		}
		if v, err := s.Setting(t.Context(), id); err != nil || string(v) != "made" {
			t.Errorf("the result: %q, %v", v, err)
		}
		var rows int64
		if err := e.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit`).Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d audit rows, %v", rows, err)
		}
		for _, other := range [][3]string{{"customer:cus_2", "thing.create", "k1"}, {"customer:cus_1", "thing.delete", "k1"}, {"customer:cus_1", "thing.create", "k2"}} {
			if _, _, _, found, err := s.Find(t.Context(), other[0], other[1], other[2]); found || err != nil {
				t.Errorf("%v found somebody else's result, %v", other, err)
			}
		}
	})
}

// Two transactions of one request share its key: the first one's target is the result, the second adds its secret, and neither takes the
// other for another request.
func TestIdempotencyKeyOverTwoTransactions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := sealed(t, e)
		ctx, c := call(t.Context(), "k1")
		for _, target := range []string{"first", "second"} {
			if err := create(ctx, s, e, target); err != nil {
				t.Fatal(err)
			}
		}
		_, id, secret, found, err := s.Find(t.Context(), "customer:cus_1", "thing.create", "k1")
		if err != nil || !found || id != "first" || secret != "secret of second" || !c.KeyKept {
			t.Errorf("%q %q %v %v", id, secret, found, err)
		}
	})
}

// The secret shown once is sealed, can be shown again for ten minutes and no longer, and the key itself is forgotten after a day.
func TestQ01_SecretShownOnceIsSealedAndForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := sealed(t, e)
		ctx, _ := call(t.Context(), "k1")
		if err := create(ctx, s, e, "thing"); err != nil {
			t.Fatal(err)
		}
		column := func() (v []byte) {
			if err := e.DB.QueryRow(t.Context(), `SELECT secret FROM idempotency`).Scan(&v); err != nil {
				t.Fatal(err)
			}
			return v
		}
		if v := column(); len(v) == 0 || bytes.Contains(v, []byte("secret")) {
			t.Errorf("stored as %q", v)
		}
		look := func(want string) {
			t.Helper()
			if _, _, secret, found, err := s.Find(t.Context(), "customer:cus_1", "thing.create", "k1"); err != nil || !found || secret != want {
				t.Errorf("%q %v %v, want %q", secret, found, err, want)
			}
		}
		e.Clock.Advance(store.SecretKept - time.Microsecond)
		look("secret of thing")
		e.Clock.Advance(time.Microsecond)
		look("")
		if n, err := s.PurgeIdempotency(t.Context()); n != 0 || err != nil {
			t.Errorf("forgot %d keys, %v", n, err)
		}
		if v := column(); len(v) != 0 {
			t.Errorf("the secret is still there")
		}
		e.Clock.Advance(store.KeyKept)
		if n, err := s.PurgeIdempotency(t.Context()); n != 1 || err != nil {
			t.Errorf("forgot %d keys, %v", n, err)
		}
	})
}

// An operation whose audit row names no result cannot be replayed, and so does not commit under a key; a failed one leaves no key.
func TestIdempotencyNeedsAResult(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := sealed(t, e)
		for _, target := range []string{"", "thing"} {
			ctx, _ := call(t.Context(), "k1")
			stop := errors.New("stop")
			err := s.InTx(ctx, func(ctx context.Context) error {
				if err := create(ctx, s, e, target); err != nil || target == "" {
					return err
				}
				return stop
			})
			if err == nil {
				t.Errorf("target %q committed", target)
			}
		}
		if _, _, _, found, err := s.Find(t.Context(), "customer:cus_1", "thing.create", "k1"); found || err != nil {
			t.Errorf("a key stayed: %v", err)
		}
	})
}

// A transaction for several calls holds for each of them what one for a single call does: without an audit row of each, or when the
// Idempotency-Key of one is taken, nothing of any is kept; otherwise each has its row, its key and its secret.
func TestC08_JointTransaction(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := sealed(t, e)
		recorder := audit.New(audit.Deps{Store: s.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
		joint := func(audited int, keys ...string) ([]*licensing.Call, error) {
			calls, events := make([]*licensing.Call, len(keys)), make([]licensing.Event, len(keys))
			for i, key := range keys {
				_, calls[i] = call(t.Context(), key)
				calls[i].Secret = "secret of " + key
				events[i] = licensing.Event{Action: "thing.create", Target: "thg_" + key}
			}
			return calls, s.InTxFor(t.Context(), calls, func(ctx context.Context) error {
				return recorder.RecordFor(ctx, calls[:audited], events[:audited])
			})
		}
		nothing := func(what string, calls []*licensing.Call, err error) {
			t.Helper()
			var rows int64
			if scan := e.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM audit WHERE target LIKE 'thg_x%'`).Scan(&rows); scan != nil || rows != 0 || err == nil || calls[0].KeyKept {
				t.Errorf("%s: %d rows, kept %v, %v, %v", what, rows, calls[0].KeyKept, err, scan)
			}
		}
		calls, err := joint(1, "x1", "x2")
		nothing("a call without an audit row", calls, err)
		if calls, err = joint(2, "a", "b"); err != nil || !calls[0].KeyKept || !calls[1].KeyKept {
			t.Fatalf("%+v, %v", calls, err)
		}
		for _, key := range []string{"a", "b"} {
			hash, id, secret, found, err := s.Find(t.Context(), "customer:cus_1", "thing.create", key)
			if err != nil || !found || id != "thg_"+key || secret != "secret of "+key || string(hash) != key+" hash" {
				t.Errorf("%q %q %q %v %v", hash, id, secret, found, err)
			}
		}
		calls, err = joint(2, "x1", "b")
		nothing("a key that is taken", calls, err)
		calls, err = joint(2, "x1", "x1")
		nothing("a key that two have", calls, err)
		if !errors.Is(err, bulk.ErrUndone) {
			t.Error(err)
		}
		if err := s.InTx(t.Context(), func(ctx context.Context) error {
			return s.InTxFor(ctx, nil, func(context.Context) error { return nil })
		}); err == nil {
			t.Error("inside another transaction")
		}
	})
}
