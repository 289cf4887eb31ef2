package notice_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/mail"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestF33_RefusedMailIsSentAgain: staff see what waits and what was refused, and why. A mail that was refused can be sent again, one that
// waits sent at once, each under the Message-ID it had; one that was sent, or failed a month ago, cannot. What it says is erased then.
func TestF33_RefusedMailIsSentAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e, func(d *notice.Deps) {
			d.Tx, d.Audit = e.Store, audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
		})
		ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_1", Role: licensing.RoleSupport}})
		r.queue(t, purchase())
		id := r.outbox.jobs[0].Args.(notice.JobArgs).ID
		list := func(q notice.ListRequest) []notice.View {
			t.Helper()
			page, err := r.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			return page.Items
		}
		if got := list(notice.ListRequest{State: notice.Pending}); len(got) != 1 || got[0].ID != id || got[0].To != "ada@example.com" || got[0].About != "ord_1" {
			t.Errorf("waiting: %+v", got)
		}
		if v, err := r.Retry(ctx, notice.RetryRequest{ID: id}); err != nil || v.State != notice.Pending || len(r.outbox.jobs) != 2 || r.outbox.jobs[1].Unique == r.outbox.jobs[0].Unique {
			t.Errorf("at once: %+v, %v, jobs %+v", v, err, r.outbox.jobs)
		}
		r.sender.err = errors.Join(notice.ErrRefused, errors.New("550 no such user"))
		if err := r.Send(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if got := list(notice.ListRequest{State: notice.Failed, To: "ada@example.com"}); len(got) != 1 || got[0].Error == "" || got[0].Attempts != 1 {
			t.Errorf("refused: %+v", got)
		}
		if v, err := r.Retry(ctx, notice.RetryRequest{ID: id, Reason: "the address works now"}); err != nil || v.State != notice.Pending {
			t.Fatalf("again: %+v, %v", v, err)
		}
		r.sender.err = nil
		if err := r.Send(t.Context(), id); err != nil || len(r.sender.sent) != 1 || r.sender.sent[0].MessageID != id+"@example.com" {
			t.Fatalf("sent %+v, %v", r.sender.sent, err)
		}
		if _, err := r.Retry(ctx, notice.RetryRequest{ID: id}); !errors.Is(err, notice.ErrOver) {
			t.Errorf("a sent one: %v", err)
		}

		old := purchase()
		old.Epoch = 2
		r.queue(t, old)
		id = r.outbox.jobs[len(r.outbox.jobs)-1].Args.(notice.JobArgs).ID
		r.sender.err = notice.ErrRefused
		if err := r.Send(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(31 * 24 * time.Hour)
		if err := r.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := e.Store.Notices().Notice(t.Context(), id); err != nil || len(n.Data) != 0 {
			t.Errorf("after a month %d bytes are left, %v", len(n.Data), err)
		}
		if _, err := r.Retry(ctx, notice.RetryRequest{ID: id}); !errors.Is(err, notice.ErrOver) {
			t.Errorf("an erased one: %v", err)
		}
		if _, err := r.Retry(ctx, notice.RetryRequest{ID: "ntc_none"}); licensing.KindOf(err) != licensing.NotFound {
			t.Errorf("one of nothing: %v", err)
		}
	})
}

// One kept mail is read by its id, and a mail that is not kept does not exist.
func TestKeptMailById(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e, nil)
		m := notice.Mail{ID: "ntc_1", MessageID: "ntc_1@example.com", From: "a@example.com", To: "b@example.com", Subject: "Hello", HTML: "<p>Hi</p>", Text: "Hi", At: e.Clock.Now()}
		kept := r.store.Mails()
		if err := kept.KeepMail(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		s := &mail.Service{Store: kept}
		if v, err := s.Get(t.Context(), mail.GetRequest{ID: "ntc_1"}); err != nil || v.HTML != m.HTML || v.Text != m.Text || v.Subject != m.Subject {
			t.Errorf("kept: %+v, %v", v, err)
		}
		if _, err := s.Get(t.Context(), mail.GetRequest{ID: "ntc_2"}); licensing.KindOf(err) != licensing.NotFound {
			t.Errorf("not kept: %v", err)
		}
	})
}
