package sandbox_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// everyStore runs body on each implementation of sandbox.Store.
func everyStore(t *testing.T, body func(t *testing.T, s sandbox.Store)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		body(t, sandbox.NewMemory())
	})
	storetest.Each(t, func(t *testing.T, e storetest.Env) { body(t, e.Store.Sandbox()) })
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestStoreWrites guarantees that writes are all or none, that a record changed meanwhile is a conflict, and that of many
// writers of one revision exactly one wins.
func TestStoreWrites(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, s sandbox.Store) {
		ctx := t.Context()
		a := sandbox.Record{Kind: "x", ID: "a", At: noon, Data: []byte(`{"n":1}`)}
		b := sandbox.Record{Kind: "x", ID: "b", At: noon, Due: noon, Ref: "r", Data: []byte(`{}`)}
		if err := s.Write(ctx, []sandbox.Record{a}); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(ctx, []sandbox.Record{b, a}); !errors.Is(err, sandbox.ErrConflict) {
			t.Fatalf("a second insert gave %v", err)
		}
		if _, err := s.Get(ctx, "x", "b"); !errors.Is(err, sandbox.ErrMissing) {
			t.Fatalf("half of a failed write stayed: %v", err)
		}
		if _, err := s.Get(ctx, "y", "a"); !errors.Is(err, sandbox.ErrMissing) {
			t.Fatalf("found under another kind: %v", err)
		}
		var won atomic.Int64
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				next := a
				next.Rev, next.Data = 1, fmt.Appendf(nil, `{"n":%d}`, i)
				if err := s.Write(ctx, []sandbox.Record{next}); err == nil {
					won.Add(1)
				} else if !errors.Is(err, sandbox.ErrConflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		got, err := s.Get(ctx, "x", "a")
		if err != nil || won.Load() != 1 || got.Rev != 2 || !got.At.Equal(noon) || !got.Due.IsZero() {
			t.Errorf("%d writers won, the record is %+v, %v", won.Load(), got, err)
		}
		gone := sandbox.Record{Kind: "x", ID: "nobody", Rev: 3, At: noon, Data: []byte(`{}`)}
		if err := s.Write(ctx, []sandbox.Record{gone}); !errors.Is(err, sandbox.ErrConflict) {
			t.Errorf("changing what is not there gave %v", err)
		}
	})
}

// TestStoreLists guarantees order, filters and cursor of a listing, and the order of what is due.
func TestStoreLists(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, s sandbox.Store) {
		ctx := t.Context()
		var all []sandbox.Record
		for i := range 10 {
			r := sandbox.Record{Kind: "x", ID: fmt.Sprintf("id%d", i), At: noon.Add(time.Duration(i/2) * time.Second), Data: []byte(`{}`)}
			if i%3 == 0 {
				r.Ref, r.Due = "three", noon.Add(-time.Duration(i)*time.Minute)
			}
			all = append(all, r)
		}
		if err := s.Write(ctx, append(all, sandbox.Record{Kind: "y", ID: "other", At: noon, Data: []byte(`{}`)})); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			q    sandbox.Query
			want string
		}{
			"all":    {sandbox.Query{Limit: 100}, "[id9 id8 id7 id6 id5 id4 id3 id2 id1 id0]"},
			"limit":  {sandbox.Query{Limit: 3}, "[id9 id8 id7]"},
			"after":  {sandbox.Query{Limit: 3, After: &all[7]}, "[id6 id5 id4]"},
			"ref":    {sandbox.Query{Limit: 100, Ref: "three"}, "[id9 id6 id3 id0]"},
			"window": {sandbox.Query{Limit: 100, Since: noon.Add(time.Second), Until: noon.Add(2 * time.Second)}, "[id5 id4 id3 id2]"},
			"all of": {sandbox.Query{Limit: 2, Since: noon, Until: noon.Add(3 * time.Second), After: &all[5], Ref: "three"}, "[id3 id0]"},
			"behind": {sandbox.Query{Limit: 100, Until: noon, After: &all[9]}, "[id1 id0]"},
		} {
			c.q.Kind = "x"
			got, err := s.List(ctx, c.q)
			if err != nil || fmt.Sprint(names(got)) != c.want {
				t.Errorf("%s: %v, %v", name, names(got), err)
			}
		}
		if due, err := s.Due(ctx, noon.Add(-time.Minute), 2); err != nil || fmt.Sprint(names(due)) != "[id9 id6]" {
			t.Errorf("due: %v, %v", names(due), err)
		}
	})
}

func names(records []sandbox.Record) (out []string) {
	for _, r := range records {
		out = append(out, r.ID)
	}
	return out
}

// TestRestart guarantees that a server started anew on the same store knows its sessions, keys and undelivered events.
func TestRestart(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, s sandbox.Store) {
		hook := newHook(t)
		before := newBox(t, sandbox.Config{Store: s, WebhookURL: hook.url})
		made := before.must("POST", "/v1/checkout/sessions", session, "Idempotency-Key", "k1")
		id := made["id"].(string)
		if status, _, _ := before.page(id, form("a@example.com", sandbox.CardSucceeds)); status != 303 {
			t.Fatalf("paying answered %d", status)
		}
		after := newBox(t, sandbox.Config{Store: s, WebhookURL: hook.url})
		if again := after.must("POST", "/v1/checkout/sessions", session, "Idempotency-Key", "k1"); again["id"] != id {
			t.Errorf("the key made %v", again["id"])
		}
		if got := after.must("GET", "/v1/checkout/sessions/"+id, ""); got["payment_status"] != "paid" {
			t.Errorf("the session is %v", got)
		}
		var both sync.WaitGroup
		for _, b := range []*box{before, after} { // two servers on one store share the work
			both.Go(func() {
				if _, err := b.Flush(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if got := hook.types(); len(got) != 3 {
			t.Errorf("delivered %v", got)
		}
	})
}
