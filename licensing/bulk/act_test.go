package bulk_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// M13: an action on many licenses whose process dies and that is cancelled midway tells exactly how many it changed, and goes on where it stopped; each
// license has one row of it in the trail, the run its own. Another number of licenses than was looked at refuses the action.
func TestM13_ActionInterrupted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		if _, err := w.IssueMany(w.ctx, bulk.IssueManyRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}, Count: 330}); err != nil {
			t.Fatal(err)
		}
		w.work(t)
		r := bulk.ActRequest{Action: "revoke", Search: bulk.Search{Owner: reseller}, Count: 329, Reason: "end of beta"}
		if _, err := w.Act(w.ctx, r); !errors.Is(err, bulk.ErrCount) {
			t.Errorf("with another number: %v", err)
		}
		r.Count = 330
		run, err := w.Act(w.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		tx := w.Service.Tx
		w.Service.Tx = &dying{Transactor: tx, after: 2}
		job, _ := w.jobs.take()
		if err := w.run(t.Context(), job); !errors.Is(err, errDied) {
			t.Fatalf("it lives: %v", err)
		}
		w.Service.Tx = tx
		v, err := w.Cancel(w.ctx, bulk.MoveRequest{ID: run.ID, Reason: "wait"})
		if n := w.number(t, `SELECT count(*) FROM license WHERE state = 'revoked'`); err != nil || v.Done != n || n == 0 || n == 330 {
			t.Fatalf("%+v with %d revoked, %v", v, n, err)
		}
		if _, err := w.Resume(w.ctx, bulk.MoveRequest{ID: run.ID, Reason: "go on"}); err != nil {
			t.Fatal(err)
		}
		w.crowd(t, job)
		run = w.get(t, run.ID)
		if n := w.number(t, `SELECT count(*) FROM license WHERE state = 'revoked'`); run.Done != 330 || run.State != "done" || n != 330 {
			t.Errorf("%+v with %d revoked", run, n)
		}
		if n := w.number(t, `SELECT count(*) FROM audit WHERE action = 'license.revoke'`); n != 330 {
			t.Errorf("%d rows in the trail", n)
		}
		w.sound(t)
	})
}

// Each action does to every license what the single operation does: states, ends, features, with a new token where the token says so. What stands like
// that already is unchanged, what cannot be done has its reason.
func TestAct_Kinds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		end := w.Clock.Now().Add(100 * 24 * time.Hour).Truncate(time.Second)
		rows := make([]bulk.RowSpec, 5)
		rows[0].ValidUntil = &end
		if _, err := w.IssueMany(w.ctx, bulk.IssueManyRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}, Rows: rows}); err != nil {
			t.Fatal(err)
		}
		w.work(t)
		list, err := w.licenses.List(w.ctx, license.ListRequest{})
		if err != nil {
			t.Fatal(err)
		}
		one := license.StateRequest{ID: list.Items[1].ID, Reason: "x"}
		if _, err := w.licenses.Revoke(w.ctx, one); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			r                       bulk.ActRequest
			done, unchanged, failed int64
		}{
			{bulk.ActRequest{Action: "suspend", Count: 5}, 4, 0, 1},
			{bulk.ActRequest{Action: "suspend", Count: 4, Search: bulk.Search{State: "suspended"}}, 0, 4, 0},
			{bulk.ActRequest{Action: "reinstate", Count: 4, Search: bulk.Search{State: "suspended"}}, 4, 0, 0},
			{bulk.ActRequest{Action: "extend", Count: 4, Search: bulk.Search{State: "active"}, Days: 30}, 1, 3, 0},
			{bulk.ActRequest{Action: "entitle", Count: 5, Entitlements: license.Entitlements{"level": doc.Int(3)}}, 4, 0, 1},
			{bulk.ActRequest{Action: "entitle", Count: 4, Search: bulk.Search{State: "active"}, Entitlements: license.Entitlements{"level": doc.Int(3)}}, 0, 4, 0},
		} {
			c.r.Reason = "all of them"
			if err := c.r.Validate(); err != nil {
				t.Fatal(err)
			}
			run, err := w.Act(w.ctx, c.r)
			if err != nil {
				t.Fatalf("%s: %v", c.r.Action, err)
			}
			w.work(t)
			if run = w.get(t, run.ID); run.Done != c.done || run.Unchanged != c.unchanged || run.Failed != c.failed || run.State != "done" {
				t.Errorf("%s: %+v", c.r.Action, run)
			}
		}
		if n := w.number(t, `SELECT count(*) FROM license WHERE valid_until = $1`, end.Add(30*24*time.Hour)); n != 1 {
			t.Errorf("%d licenses were extended", n)
		}
		if n := w.number(t, `SELECT count(*) FROM license WHERE entitlements LIKE '%level%'`); n != 4 {
			t.Errorf("%d licenses have the feature", n)
		}
		w.sound(t)
	})
}

// Actions that say too little or too much are refused.
func TestAct_Form(t *testing.T) {
	t.Parallel()
	for field, r := range map[string]bulk.ActRequest{
		"/action":       {Action: "delete", Count: 1, Reason: "x"},
		"/reason":       {Action: "suspend", Count: 1},
		"/count":        {Action: "suspend", Reason: "x"},
		"/days":         {Action: "extend", Count: 1, Reason: "x"},
		"/entitlements": {Action: "entitle", Count: 1, Reason: "x"},
	} {
		var e *licensing.Error
		if err := r.Validate(); !errors.As(err, &e) || e.Fields[0].Name != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
