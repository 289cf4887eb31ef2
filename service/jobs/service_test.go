package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/jobs"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestStaffMoveJobs guarantees that staff see the jobs, the newest first and page by page, that a retry runs a discarded one again,
// that a cancelled one never runs, and that what has ended or does not exist cannot be moved. Each move is audited with its reason.
func TestStaffMoveJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRunner(t, jobs.Config{Driver: e.DB.(jobs.Driver)})
		var mended atomic.Bool
		handle(t, r, "mend", func(context.Context, json.RawMessage) error {
			if mended.Load() {
				return nil
			}
			return errors.New("the wheel is off")
		}, jobs.Options{MaxAttempts: 1})
		handle(t, r, "later", func(context.Context, json.RawMessage) error { return nil }, jobs.Options{})
		s := &jobs.Service{Runner: r, Tx: e.Store, Audit: audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})}
		ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_1", Role: licensing.RoleAdmin}})

		enqueue(t, t.Context(), r, licensing.Job{Kind: "mend", Args: map[string]string{"id": "x_1"}})
		enqueue(t, t.Context(), r, licensing.Job{Kind: "later", At: time.Now().Add(24 * time.Hour)})
		start(t, r)
		awaitState(t, e.DB, "mend", "discarded")
		list, err := s.List(t.Context(), jobs.ListRequest{State: "discarded", Kind: "mend"})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("the discarded jobs are %+v, %v", list, err)
		}
		mend := list.Items[0]
		if mend.Error != "the wheel is off" || string(mend.Args) == "null" || mend.FinalizedAt == nil {
			t.Errorf("the discarded job is %+v", mend)
		}
		page, err := s.List(t.Context(), jobs.ListRequest{Page: licensing.Page{Limit: 1}})
		if err != nil || len(page.Items) != 1 || page.Items[0].Kind != "later" || page.Next == "" {
			t.Fatalf("the first page is %+v, %v", page, err)
		}
		later := page.Items[0]
		page, err = s.List(t.Context(), jobs.ListRequest{Page: licensing.Page{Limit: 1, Cursor: page.Next}})
		if err != nil || len(page.Items) != 1 || page.Items[0].Kind != "mend" || page.Next != "" {
			t.Fatalf("the second page is %+v, %v", page, err)
		}

		if v, err := s.Cancel(ctx, jobs.Request{ID: later.ID, Reason: "not wanted"}); err != nil || v.State != "cancelled" {
			t.Fatalf("cancelled: %+v, %v", v, err)
		}
		if _, err := s.Cancel(ctx, jobs.Request{ID: later.ID}); !errors.Is(err, jobs.ErrOver) {
			t.Errorf("cancelled twice: %v", err)
		}
		mended.Store(true)
		if _, err := s.Retry(ctx, jobs.Request{ID: mend.ID, Reason: "mended"}); err != nil {
			t.Fatal(err)
		}
		awaitState(t, e.DB, "mend", "completed")
		if _, err := s.Retry(ctx, jobs.Request{ID: mend.ID}); !errors.Is(err, jobs.ErrOver) {
			t.Errorf("retried what is done: %v", err)
		}
		for _, move := range []func(context.Context, jobs.Request) (jobs.View, error){s.Retry, s.Cancel} {
			if _, err := move(ctx, jobs.Request{ID: 1 << 40}); licensing.KindOf(err) != licensing.NotFound {
				t.Errorf("moved a job of nothing: %v", err)
			}
		}
		trail, err := e.Store.Audit().ListAudit(t.Context(), audit.Filter{}, licensing.Page{})
		if err != nil || len(trail.Items) != 2 || trail.Items[0].Action != "job.retry" || trail.Items[0].Reason != "mended" || trail.Items[1].Action != "job.cancel" {
			t.Errorf("the trail is %+v, %v", trail, err)
		}
	})
}
