package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// key issues an API key and returns its id and text.
func (w *world) key(t *testing.T, r apikey.CreateRequest) (id, text string) {
	t.Helper()
	if r.Owner == "" {
		r.Owner = reseller
	}
	if r.Product == "" {
		r.Product = product
	}
	out, err := w.keys.Create(w.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return out.Key.ID, out.Secret
}

// code is what verification says of a key.
func (w *world) code(t *testing.T, text string) apikey.Code {
	t.Helper()
	out, err := w.keys.Verify(w.ctx, apikey.VerifyRequest{VerifyCheck: apikey.VerifyCheck{Key: text}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Code
}

// actKeys runs an action on keys to its end.
func (w *world) actKeys(t *testing.T, r bulk.ActKeysRequest) bulk.RunView {
	t.Helper()
	r.Reason = "they left"
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	out, err := w.ActKeys(w.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	w.work(t)
	return w.get(t, out.Run.ID)
}

// keysInterrupted revokes n keys of the reseller by a run whose process dies in its second batch, that is cancelled, resumed, and then picked up by
// several workers at once, and says what does not add up: between what the run tells and what is revoked, or between that and the trail.
func (w *world) keysInterrupted(t *testing.T, n int64) error {
	t.Helper()
	out, err := w.ActKeys(w.ctx, bulk.ActKeysRequest{Action: "revoke", Search: apikey.Search{Owner: reseller}, Reason: "they left", Count: n})
	if err != nil {
		t.Fatal(err)
	}
	tx := w.Service.Tx
	w.Service.Tx = &dying{Transactor: tx, after: 2}
	job, _ := w.jobs.take()
	if err := w.run(t.Context(), job); !errors.Is(err, errDied) {
		return fmt.Errorf("it lives, or died of something else: %w", err)
	}
	w.Service.Tx = tx
	revoked := func() int64 { return w.number(t, `SELECT count(*) FROM api_key WHERE revoked_at IS NOT NULL`) }
	v, err := w.Cancel(w.ctx, bulk.MoveRequest{ID: out.Run.ID, Reason: "wait"})
	if err != nil {
		t.Fatal(err)
	}
	if got := revoked(); v.Done != got || got == 0 || got == n {
		return fmt.Errorf("cancelled: %+v with %d revoked", v, got)
	}
	if _, err := w.Resume(w.ctx, bulk.MoveRequest{ID: out.Run.ID, Reason: "go on"}); err != nil {
		t.Fatal(err)
	}
	w.crowd(t, job)
	if run := w.get(t, out.Run.ID); run.Done != n || run.State != "done" || run.About != "key" || revoked() != n {
		return fmt.Errorf("%+v with %d revoked", run, revoked())
	}
	if got := w.number(t, `SELECT count(*) FROM audit WHERE action = 'key.revoke' AND detail LIKE $1`, "%"+out.Run.ID+"%"); got != n {
		return fmt.Errorf("%d rows in the trail", got)
	}
	if rows, err := w.Rows(w.ctx, bulk.RowsRequest{ID: out.Run.ID}); err != nil || rows.Items[0].Key == "" || rows.Items[0].License != "" {
		return fmt.Errorf("the first row is %+v, %w", rows.Items[0], err)
	}
	return nil
}

// M13: an action on many API keys whose process dies and that is cancelled midway tells exactly how many it changed, and goes on where it stopped. Each
// key has one row of it in the trail, which names the run.
func TestM13_KeyActionInterrupted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		const n = 120
		for i := range n {
			w.key(t, apikey.CreateRequest{Name: fmt.Sprint(i)})
		}
		other, text := w.key(t, apikey.CreateRequest{Owner: "cus_other"})
		r := bulk.ActKeysRequest{Action: "revoke", Search: apikey.Search{Owner: reseller}, DryRun: true}
		if out, err := w.ActKeys(w.ctx, r); err != nil || out.Count != n || out.Run != nil {
			t.Fatalf("dry run: %+v, %v", out, err)
		}
		r.DryRun, r.Reason, r.Count = false, "they left", n-1
		if _, err := w.ActKeys(w.ctx, r); !errors.Is(err, bulk.ErrCount) {
			t.Errorf("with another number: %v", err)
		}
		if err := w.keysInterrupted(t, n); err != nil {
			t.Error(err)
		}
		if code := w.code(t, text); code != apikey.Valid {
			t.Errorf("%s of somebody else is %s", other, code)
		}
	})
}

// beside is a store of keys that revokes each in a transaction of its own, beside that of the run.
type beside struct {
	apikey.Store
	own context.Context
}

// RevokeKey implements [apikey.Store].
func (b beside) RevokeKey(_ context.Context, id string, r apikey.Reach, at time.Time) (changed bool, err error) {
	done := make(chan struct{})
	go func() { // or the database finds out itself
		defer close(done)
		changed, err = b.Store.RevokeKey(b.own, id, r, at)
	}()
	<-done
	return changed, err
}

// The test above finds a run that does not change the keys in the transaction that keeps its place: it waits for that one in vain, which holds them.
func TestActKeys_PlantedBesideTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Postgres(t))
	own, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	deps := w.keys.Deps
	deps.Store = beside{deps.Store, own}
	keys, err := apikey.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	w.Service.APIKeys = keys
	const n = 120
	for i := range n {
		w.key(t, apikey.CreateRequest{Name: fmt.Sprint(i)})
	}
	if w.keysInterrupted(t, n) == nil {
		t.Error("a run that changes keys beside its own transaction was not found out")
	}
}

// Each action does to every key what staff do with one, on each selection that there is; what stands like that already is unchanged, what cannot come
// to it has its reason, and what was cached of a key is dropped when its batch commits.
func TestActKeys_Kinds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		a, text := w.key(t, apikey.CreateRequest{Name: "ci", Plan: "pro", Member: "cus_m"})
		b, _ := w.key(t, apikey.CreateRequest{Name: "ci", Env: licensing.Test})
		c, _ := w.key(t, apikey.CreateRequest{Name: "gone"})
		own, _ := w.key(t, apikey.CreateRequest{Name: "own"})
		if _, err := w.keys.Revoke(w.ctx, apikey.RevokeRequest{ID: c}); err != nil {
			t.Fatal(err)
		}
		as := w.as(licensing.Actor{Kind: licensing.Customer, ID: reseller, Owner: reseller}, t.Context())
		if _, err := w.keys.Disable(as, apikey.RevokeRequest{ID: own}); err != nil {
			t.Fatal(err)
		}
		if code := w.code(t, text); code != apikey.Valid {
			t.Fatal(code)
		}
		for _, step := range []struct {
			r                       bulk.ActKeysRequest
			done, unchanged, failed int64
		}{
			{bulk.ActKeysRequest{Action: "suspend", Count: 3, Search: apikey.Search{IDs: []string{a, b, c}}}, 2, 0, 1},
			{bulk.ActKeysRequest{Action: "suspend", Count: 1, Search: apikey.Search{Plan: "pro"}}, 0, 1, 0},
			{bulk.ActKeysRequest{Action: "reinstate", Count: 3, Search: apikey.Search{State: apikey.Disabled}}, 2, 0, 1},
			{bulk.ActKeysRequest{Action: "reinstate", Count: 2, Search: apikey.Search{Name: "ci"}}, 0, 2, 0},
			{bulk.ActKeysRequest{Action: "suspend", Count: 1, Search: apikey.Search{Member: "cus_m", State: apikey.Active}}, 1, 0, 0},
			{bulk.ActKeysRequest{Action: "revoke", Count: 1, Search: apikey.Search{Env: licensing.Test, Product: product}}, 1, 0, 0},
			{bulk.ActKeysRequest{Action: "revoke", Count: 2, Search: apikey.Search{State: apikey.Revoked}}, 0, 2, 0},
		} {
			if run := w.actKeys(t, step.r); run.Done != step.done || run.Unchanged != step.unchanged || run.Failed != step.failed || run.State != "done" {
				t.Errorf("%+v: %+v", step.r, run)
			}
		}
		if code := w.code(t, text); code != apikey.SwitchedOff {
			t.Errorf("a suspended key is %s", code)
		}
		if n := w.number(t, `SELECT count(*) FROM audit WHERE action IN ('key.disable', 'key.enable', 'key.revoke') AND operation = 'bulk.work'`); n != 6 {
			t.Errorf("%d rows of what was changed in the trail, want 6", n)
		}
	})
}

// A machine token acts on the keys of its product and environment alone, and sees and moves the runs about what it has the scope for: neither those of
// another product, nor those about licenses.
func TestActKeys_Machine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.key(t, apikey.CreateRequest{Env: licensing.Test})
		w.key(t, apikey.CreateRequest{})
		w.key(t, apikey.CreateRequest{Env: licensing.Test, Product: "prod_other"})
		token := licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Scopes: []string{"keys:write"}, Product: product, Env: licensing.Test}
		ctx := w.as(token, t.Context())
		if out, err := w.ActKeys(ctx, bulk.ActKeysRequest{Action: "suspend", Search: apikey.Search{Product: "prod_other"}, DryRun: true}); err != nil || out.Count != 0 {
			t.Errorf("of another product: %+v, %v", out, err)
		}
		out, err := w.ActKeys(ctx, bulk.ActKeysRequest{Action: "suspend", Count: 1, Reason: "x"})
		if err != nil {
			t.Fatal(err)
		}
		w.work(t)
		if run, err := w.GetRun(ctx, bulk.RunRequest{ID: out.Run.ID}); err != nil || run.Done != 1 {
			t.Errorf("its own run: %+v, %v", run, err)
		}
		issued, err := w.IssueMany(w.ctx, bulk.IssueManyRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}, Count: 1})
		if err != nil {
			t.Fatal(err)
		}
		for name, other := range map[string]licensing.Actor{
			"of another product": {Kind: licensing.Machine, Scopes: token.Scopes, Product: "prod_other"}, "of the live keys": {Kind: licensing.Machine, Scopes: token.Scopes, Env: licensing.Live},
			"for licenses": {Kind: licensing.Machine, Scopes: []string{"licenses:issue"}},
		} {
			ctx := w.as(other, t.Context())
			if _, err := w.Cancel(ctx, bulk.MoveRequest{ID: out.Run.ID, Reason: "x"}); !errors.Is(err, licensing.ErrNotFound) {
				t.Errorf("a token %s: %v", name, err)
			}
			list, err := w.ListRuns(ctx, bulk.ListRequest{About: "key"})
			if err != nil || len(list.Items) != 0 {
				t.Errorf("a token %s lists %+v, %v", name, list.Items, err)
			}
		}
		wide := w.as(licensing.Actor{Kind: licensing.Machine, Scopes: token.Scopes}, t.Context())
		if _, err := w.GetRun(wide, bulk.RunRequest{ID: issued.ID}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("a run about licenses: %v", err)
		}
		if list, err := w.ListRuns(wide, bulk.ListRequest{}); err != nil || len(list.Items) != 1 || list.Items[0].About != "key" {
			t.Errorf("lists %+v, %v", list.Items, err)
		}
	})
}

// Actions on keys that say too little or too much are refused.
func TestActKeys_Form(t *testing.T) {
	t.Parallel()
	for field, r := range map[string]bulk.ActKeysRequest{
		"/action":     {Action: "extend", Count: 1, Reason: "x"},
		"/reason":     {Action: "suspend", Count: 1},
		"/count":      {Action: "suspend", Reason: "x"},
		"/search/ids": {Action: "suspend", Count: 1, Reason: "x", Search: apikey.Search{IDs: []string{"lic_1"}}},
	} {
		var e *licensing.Error
		if err := r.Validate(); !errors.As(err, &e) || e.Fields[0].Name != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	many := bulk.ActKeysRequest{Action: "suspend", DryRun: true, Search: apikey.Search{IDs: make([]string, apikey.MaxNamed+1)}}
	if many.Validate() == nil {
		t.Error("names more keys than it may")
	}
}
