package bulk_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A license issued by hand is good at once, its key is found, and the same reference again answers with the same license and no key. A machine
// token of another environment issues nothing.
func TestIssue_One(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		seats := int64(7)
		r := bulk.IssueRequest{From: w.from(), Whom: bulk.Whom{Email: "Ada@Example.com"}, What: bulk.What{Licensee: "Ada", Seats: &seats, Reference: "order 17"}}
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		first, err := w.IssueOne(w.ctx, r)
		if err != nil || first.Key == "" || first.Seats != 7 || first.SourceKind != license.FromGrant || !strings.HasPrefix(first.Key, "EDIT-") {
			t.Fatalf("%+v, %v", first, err)
		}
		holder, err := w.licenses.ByCredential(t.Context(), first.Key)
		if err != nil || holder.License != first.ID {
			t.Errorf("the key finds %+v, %v", holder, err)
		}
		again, err := w.IssueOne(w.ctx, r)
		if err != nil || again.ID != first.ID || again.Key != "" || !again.Existing {
			t.Errorf("%+v, %v", again, err)
		}
		if n := w.number(t, `SELECT count(*) FROM customer WHERE email = 'ada@example.com'`); n != 1 {
			t.Errorf("%d customers", n)
		}
		_, err = w.IssueOne(w.as(licensing.Actor{Kind: licensing.Machine, ID: "mtk_a", Env: licensing.Test}, t.Context()), r)
		is(t, err, "forbidden")
		_, err = w.IssueOne(w.as(licensing.Actor{Kind: licensing.Machine, ID: "mtk_a", Product: "prod_other"}, t.Context()), r)
		is(t, err, "bulk-form")
		r.Owner, r.Email = "cus_00000000000070008000000000000009", ""
		_, err = w.IssueOne(w.ctx, r)
		is(t, err, "no-such-owner")
		w.sound(t)
	})
}

// A bulk issue makes each license once with everything a single one has: signed token, its own place in a status list, sealed key, audit row and
// source; and rows that name somebody reach them.
func TestIssue_Many(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		rows := make([]bulk.RowSpec, 230)
		for i := range rows {
			rows[i].Reference = fmt.Sprint("unit ", i)
			if i%10 == 0 {
				rows[i].Email = fmt.Sprintf("reader-%d@example.com", i%20)
			}
		}
		end := w.Clock.Now().Add(24 * time.Hour).Truncate(time.Second)
		rows[3].ValidUntil = &end
		rows[4].Entitlements = license.Entitlements{"big": doc.Text(strings.Repeat("x", 100))}
		past := w.Clock.Now().Add(-24 * time.Hour)
		rows[5].ValidUntil = &past // ends before it is issued
		rows[6].Licensee = "=1+1"
		r := bulk.IssueManyRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}, Rows: rows}
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		run, err := w.IssueMany(w.ctx, r)
		if err != nil || run.State != "running" || run.Total != 230 {
			t.Fatalf("%+v, %v", run, err)
		}
		_, err = w.Keys(w.ctx, bulk.RunRequest{ID: run.ID})
		is(t, err, "run-running")
		w.work(t)
		if run = w.get(t, run.ID); run.State != "done" || run.Done != 229 || run.Failed != 1 || run.EndedAt == nil {
			t.Fatalf("%+v", run)
		}
		w.sound(t)
		for what, n := range map[string]int64{
			`SELECT count(*) FROM license WHERE source_kind = 'grant'`:      229,
			`SELECT count(*) FROM license WHERE owner = '` + reseller + `'`: 206,
			`SELECT count(*) FROM license_token WHERE current`:              229,
			`SELECT count(*) FROM audit WHERE action = 'license.issue'`:     229,
			`SELECT count(*) FROM audit WHERE action = 'run.start'`:         1,
			`SELECT count(*) FROM audit WHERE action = 'run.done'`:          1,
			`SELECT count(*) FROM customer WHERE email LIKE 'reader-%'`:     2,
			`SELECT count(*) FROM bulk_run WHERE input IS NOT NULL`:         0,
			`SELECT count(DISTINCT id) FROM change WHERE kind = 'license'`:  1, // which stands for all that are new
		} {
			if got := w.number(t, what); got != n {
				t.Errorf("%s: %d, want %d", what, got, n)
			}
		}
		failures, err := w.Rows(w.ctx, bulk.RowsRequest{ID: run.ID, Outcome: "failed"})
		if err != nil || len(failures.Items) != 1 || failures.Items[0].Row != 6 || !strings.Contains(failures.Items[0].Problem, "valid_until") {
			t.Errorf("%+v, %v", failures, err)
		}
		w.fetches(t, run.ID)
	})
}

// fetches takes the keys of a run of which row 7 has a formula for a licensee, once.
func (w *world) fetches(t *testing.T, run string) {
	t.Helper()
	keys, err := w.Keys(w.ctx, bulk.RunRequest{ID: run})
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(keys.CSV)).ReadAll()
	if err != nil || len(records) != 230 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records[1:] {
		holder, err := w.licenses.ByCredential(t.Context(), r[6])
		if err != nil || holder.License != r[2] {
			t.Fatalf("%v: %+v, %v", r, holder, err)
		}
	}
	if got := records[6][5]; got != "'=1+1" {
		t.Errorf("the licensee is written %q", got)
	}
	if got := records[1]; got[4] != "reader-0@example.com" || got[1] != "unit 0" {
		t.Errorf("the first row is %q", got)
	}
	_, err = w.Keys(w.ctx, bulk.RunRequest{ID: run})
	is(t, err, "keys-taken")
	again, err := w.KeysAgain(w.ctx, run, "taken")
	if err != nil || again.CSV != keys.CSV {
		t.Errorf("a replay differs: %v", err)
	}
	_, err = w.KeysAgain(w.ctx, run, "")
	is(t, err, "keys-taken")
}

var errDied = errors.New("the process died")

// dying is a queue whose process dies in the middle of a batch: what the transaction wrote is undone.
type dying struct {
	licensing.Transactor
	mu    sync.Mutex
	after int
}

// InTx implements [licensing.Transactor].
func (d *dying) InTx(ctx context.Context, fn func(context.Context) error) error {
	return d.Transactor.InTx(ctx, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.after--; d.after == 0 {
			return errDied
		}
		return nil
	})
}

// M13, for issuing: a run whose process dies before each of its commits in turn, that several workers pick up at once, that is cancelled and resumed, issues
// each row exactly once; what is told of it when it is cancelled is exactly what there is. The same references in a second run make nothing.
func TestM13_IssueInterrupted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		tx := w.Service.Tx
		rows := make([]bulk.RowSpec, 1210)
		for i := range rows {
			rows[i].Reference = fmt.Sprint("unit ", i)
		}
		r := bulk.IssueManyRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}, Rows: rows}
		run, err := w.IssueMany(w.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		w.Service.Tx = &dying{Transactor: tx, after: 2}
		job, _ := w.jobs.take()
		if err := w.run(t.Context(), job); !errors.Is(err, errDied) {
			t.Fatalf("it lives: %v", err)
		}
		w.Service.Tx = tx
		if run = w.get(t, run.ID); run.Position == 0 || run.Position >= run.Total || run.Done != w.number(t, `SELECT count(*) FROM license`) {
			t.Fatalf("%+v", run)
		}
		v, err := w.Cancel(w.ctx, bulk.MoveRequest{ID: run.ID, Reason: "a mistake"})
		if err != nil || v.State != "cancelled" || v.Done != w.number(t, `SELECT count(*) FROM license`) {
			t.Fatalf("%+v, %v", v, err)
		}
		if err := w.run(t.Context(), job); err != nil || w.get(t, run.ID).Position != v.Position {
			t.Errorf("a cancelled run went on: %v", err)
		}
		if _, err := w.Cancel(w.ctx, bulk.MoveRequest{ID: run.ID}); !errors.Is(err, bulk.ErrOver) {
			t.Errorf("cancelled twice: %v", err)
		}
		if _, err := w.Resume(w.ctx, bulk.MoveRequest{ID: run.ID, Reason: "none"}); err != nil {
			t.Fatal(err)
		}
		w.crowd(t, job)
		if run = w.get(t, run.ID); run.State != "done" || run.Done != 1210 || w.number(t, `SELECT count(*) FROM license`) != 1210 {
			t.Errorf("%+v with %d licenses", run, w.number(t, `SELECT count(*) FROM license`))
		}
		second, err := w.IssueMany(w.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		w.work(t)
		if second = w.get(t, second.ID); second.Unchanged != 1210 || second.Done != 0 {
			t.Errorf("the same references again: %+v", second)
		}
		w.sound(t)
	})
}

// crowd has four workers go on with a run at once.
func (w *world) crowd(t *testing.T, job licensing.Job) {
	t.Helper()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := w.run(t.Context(), job); err != nil {
				t.Errorf("a worker: %v", err)
			}
		})
	}
	wg.Wait()
	w.work(t)
}

// The position is what keeps two workers from the same rows: one that does not look at it while it holds the run issues rows without a reference
// twice.
func TestIssue_PlantedWithoutPosition(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	run, err := w.IssueMany(w.ctx, bulk.IssueManyRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}, Count: 50})
	if err != nil {
		t.Fatal(err)
	}
	before, err := w.Env.Store.Runs().Run(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	job, _ := w.jobs.take()
	if err := w.run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	w.Service.Store = stuck{w.Service.Store, before}
	err = w.run(t.Context(), job)
	if err == nil && w.number(t, `SELECT count(*) FROM bulk_row`) == 50 {
		t.Error("a worker that believes the run to be at its start did no harm, so the test of the position proves nothing")
	}
}

// stuck is a store whose run never moves.
type stuck struct {
	bulk.Store
	at bulk.Run
}

// Run implements [bulk.Store].
func (s stuck) Run(context.Context, string) (bulk.Run, error) { return s.at, nil }

// HoldRun implements [bulk.Store].
func (s stuck) HoldRun(context.Context, string) (bulk.Run, error) { return s.at, nil }

// While licensing is switched off nothing is issued and a run waits; it goes on by itself when the switch is on again.
func TestIssue_SwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	r := bulk.IssueManyRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}, Count: 10}
	run, err := w.IssueMany(w.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	w.killed.Set(true)
	if _, err := w.IssueMany(w.ctx, r); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("a run started while licensing is off: %v", err)
	}
	job, _ := w.jobs.take()
	if err := w.run(t.Context(), job); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("it worked while licensing is off: %v", err)
	}
	w.killed.Set(false)
	w.Clock.Advance(time.Minute)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.work(t)
	if run = w.get(t, run.ID); run.Done != 10 || run.State != "done" {
		t.Errorf("%+v", run)
	}
}

// Requests that no run could be made of are refused, with the field that is wrong.
func TestIssue_Form(t *testing.T) {
	t.Parallel()
	minus := int64(-1)
	good := bulk.From{Policy: "pol_00000000000070008000000000000001", Reason: "x"}
	for field, r := range map[string]bulk.IssueManyRequest{
		"/policy":             {From: bulk.From{Policy: "x", Reason: "x"}, Whom: bulk.Whom{Owner: reseller}, Count: 1},
		"/reason":             {From: bulk.From{Policy: good.Policy}, Whom: bulk.Whom{Owner: reseller}, Count: 1},
		"/count":              {From: good, Whom: bulk.Whom{Owner: reseller}, Count: 10_001},
		"/owner":              {From: good, Count: 1},
		"/email":              {From: good, Whom: bulk.Whom{Owner: reseller, Email: "a@example.com"}, Count: 1},
		"/rows/1/reference":   {From: good, Whom: bulk.Whom{Owner: reseller}, Rows: []bulk.RowSpec{{What: bulk.What{Reference: "a"}}, {What: bulk.What{Reference: "a"}}}},
		"/rows/0/owner":       {From: good, Rows: []bulk.RowSpec{{}}},
		"/rows/0/seats":       {From: good, Whom: bulk.Whom{Owner: reseller}, Rows: []bulk.RowSpec{{What: bulk.What{Seats: &minus}}}},
		"/rows/0/licensee":    {From: good, Whom: bulk.Whom{Owner: reseller}, Rows: []bulk.RowSpec{{What: bulk.What{Licensee: "a\nb"}}}},
		"/rows/0/valid_until": {From: good, Whom: bulk.Whom{Owner: reseller}, Rows: []bulk.RowSpec{{What: bulk.What{ValidUntil: &time.Time{}}}}},
	} {
		var e *licensing.Error
		if err := r.Validate(); !errors.As(err, &e) || len(e.Fields) == 0 || e.Fields[0].Name != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
