package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const day = 24 * time.Hour

// fails wants an error that is want.
func fails(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// An owner offers a license to an address; who signed in with that address, and nobody else, takes it over by the mailed link, once. Then
// the old key is good no longer, both sides are told, the address is forgotten, and the audit trail knows of it without an address.
func TestGiveAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(false))
		ada, bob, eve := w.person(t, "ada@example.com", licensing.Customer), w.person(t, "bob@example.com", licensing.Customer), w.person(t, "eve@example.com", licensing.Customer)
		d := w.give(t, ada, "line/1/1")
		q, err := w.Ask(ada, transfer.AskRequest{ID: d.License.ID, Email: " Bob@Example.com "})
		if err != nil || q.State != "offered" || q.Side != "from" || q.Email != "bob@example.com" || q.From != "" {
			t.Fatalf("asked: %+v, %v", q, err)
		}
		told, token := w.post.take()
		if !slices.Equal(told, []string{"offered bob@example.com", "offered ada@example.com"}) {
			t.Errorf("told %q", told)
		}
		shown, err := w.Show(t.Context(), transfer.TokenRequest{Token: token})
		if err != nil || shown.By != "Ada" || shown.Email != "bob@example.com" || shown.Approval || shown.Product != "editor, pro" {
			t.Errorf("shown %+v, %v", shown, err)
		}
		_, err = w.Accept(eve, transfer.TokenRequest{Token: token})
		fails(t, "accepted by somebody else", err, transfer.ErrAddress)
		_, err = w.Accept(ada, transfer.TokenRequest{Token: token})
		fails(t, "accepted by the owner", err, transfer.ErrAddress)
		if w.owner(t, d.License.ID) != d.License.Owner {
			t.Error("the license moved before it was accepted")
		}
		got, err := w.Accept(bob, transfer.TokenRequest{Token: token})
		if err != nil || got.State != "done" || got.Side != "to" || got.KeyHint != "" {
			t.Fatalf("accepted: %+v, %v", got, err)
		}
		if told, _ := w.post.take(); !slices.Equal(told, []string{"given ada@example.com", "got bob@example.com"}) {
			t.Errorf("told %q", told)
		}
		if now := w.owner(t, d.License.ID); now != licensing.ActorFrom(bob).Owner {
			t.Errorf("it is %s's", now)
		}
		if a, err := w.licenses.ByCredential(w.staff, d.Key); err != nil || a.License != "" {
			t.Errorf("the old key speaks for %q, %v", a.License, err)
		}
		for who, ctx := range map[string]context.Context{"ada": ada, "bob": bob, "sue": w.staff} {
			v, err := w.Get(ctx, transfer.GetRequest{ID: q.ID})
			if err != nil || v.State != "done" || v.Email != "" || v.Open || who != "sue" && (v.From != "" || v.To != "" || v.KeyHint != "") {
				t.Errorf("%s sees %+v, %v", who, v, err)
			}
		}
		_, err = w.Accept(bob, transfer.TokenRequest{Token: token})
		fails(t, "accepted twice", err, transfer.ErrOver)
		_, err = w.Show(t.Context(), transfer.TokenRequest{Token: token})
		fails(t, "shown once used", err, transfer.ErrOver)
		if w.audited(t, "transfer.ask") != 1 || w.audited(t, "transfer.accept") != 1 || w.audited(t, "license.transfer") != 1 {
			t.Error("the audit trail lacks a step")
		}
		var n int
		if err := e.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE detail LIKE '%@example.com%' OR reason LIKE '%@example.com%'`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d audit rows name an address, %v", n, err)
		}
	})
}

// Where the policy wants an approval the license stays until the shop says yes, with a reason, told to both sides; a no leaves it (M05):
// what is over cannot be approved, and nobody decides on a transfer of his own, also not by another account of his address.
func TestM05_ApprovalByAnother(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(true))
		w.post.staff = []transfer.Person{{Email: "sue@shop.example"}}
		ada, bob := w.person(t, "ada@example.com", licensing.Customer), w.person(t, "bob@example.com", licensing.Customer)
		d := w.give(t, ada, "line/1/1")
		accepted := func() string {
			t.Helper()
			q, token := w.ask(t, ada, d.License.ID, "bob@example.com")
			v, err := w.Accept(bob, transfer.TokenRequest{Token: token})
			if err != nil || v.State != "accepted" || !v.Open {
				t.Fatalf("accepted: %+v, %v", v, err)
			}
			if told, _ := w.post.take(); !slices.Equal(told, []string{"accepted ada@example.com", "accepted bob@example.com", "waiting sue@shop.example"}) {
				t.Errorf("told %q", told)
			}
			return q.ID
		}
		id := accepted()
		yes := transfer.DecideRequest{ID: id, Reason: "they sold the company"}
		if w.owner(t, d.License.ID) != d.License.Owner {
			t.Error("it moved before the approval")
		}
		_, err := w.Approve(ada, yes)
		fails(t, "approved by its owner", err, licensing.ErrNotFound)
		_, err = w.Approve(w.staff, transfer.DecideRequest{ID: id})
		if licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("approved without a reason: %v", err)
		}
		for _, own := range []string{"ada+shop@example.com", "bob+work@example.com"} {
			_, err = w.Approve(w.person(t, own, licensing.Staff), yes)
			fails(t, "approved by "+own, err, transfer.ErrOwn)
			_, err = w.Decline(w.person(t, strings.Replace(own, "+", "+2", 1), licensing.Staff), yes)
			fails(t, "declined by "+own, err, transfer.ErrOwn)
		}
		if v, err := w.Decline(w.staff, transfer.DecideRequest{ID: id, Reason: "not by your contract"}); err != nil || v.State != "declined" || v.From == "" {
			t.Fatalf("declined: %+v, %v", v, err)
		}
		if told, _ := w.post.take(); !slices.Equal(told, []string{"declined ada@example.com", "declined bob@example.com"}) {
			t.Errorf("told %q", told)
		}
		if v, err := w.Get(ada, transfer.GetRequest{ID: id}); err != nil || v.Reason != "not by your contract" || v.DecidedBy != "" {
			t.Errorf("the owner sees %+v, %v", v, err)
		}
		_, err = w.Approve(w.staff, yes)
		fails(t, "approved once declined", err, transfer.ErrState)
		late := accepted()
		e.Clock.Advance(14 * day)
		_, err = w.Approve(w.staff, transfer.DecideRequest{ID: late, Reason: "late"})
		fails(t, "approved too late", err, transfer.ErrState)
		if w.owner(t, d.License.ID) != d.License.Owner {
			t.Error("it moved without an approval")
		}
		id = accepted()
		if v, err := w.Approve(w.staff, transfer.DecideRequest{ID: id, Reason: "the contract allows it"}); err != nil || v.State != "done" || v.DecidedBy == "" {
			t.Fatalf("approved: %+v, %v", v, err)
		}
		if told, _ := w.post.take(); !slices.Equal(told, []string{"given ada@example.com", "got bob@example.com"}) {
			t.Errorf("told %q", told)
		}
		if now := w.owner(t, d.License.ID); now != licensing.ActorFrom(bob).Owner {
			t.Errorf("it is %s's", now)
		}
	})
}

// An open request is taken back by the owner alone and lapses by itself; then nothing comes of its link, and another can be asked for. A
// license has one at a time, and one that staff moved elsewhere meanwhile is its new owner's to give.
func TestCancelledAndLapsed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(false))
		ada, bob := w.person(t, "ada@example.com", licensing.Customer), w.person(t, "bob@example.com", licensing.Customer)
		d := w.give(t, ada, "line/1/1")
		q, token := w.ask(t, ada, d.License.ID, "bob@example.com")
		_, err := w.Ask(ada, transfer.AskRequest{ID: d.License.ID, Email: "eve@example.com"})
		fails(t, "a second one", err, transfer.ErrOpen)
		_, err = w.Cancel(bob, transfer.CancelRequest{ID: q.ID})
		fails(t, "cancelled by the other", err, licensing.ErrNotFound)
		if v, err := w.Cancel(ada, transfer.CancelRequest{ID: q.ID}); err != nil || v.State != "cancelled" {
			t.Fatalf("cancelled: %+v, %v", v, err)
		}
		if told, _ := w.post.take(); !slices.Equal(told, []string{"cancelled ada@example.com", "cancelled bob@example.com"}) {
			t.Errorf("told %q", told)
		}
		_, err = w.Accept(bob, transfer.TokenRequest{Token: token})
		fails(t, "accepted once cancelled", err, transfer.ErrOver)
		_, err = w.Cancel(ada, transfer.CancelRequest{ID: q.ID})
		fails(t, "cancelled twice", err, transfer.ErrState)

		q, token = w.ask(t, ada, d.License.ID, "bob@example.com")
		e.Clock.Advance(7 * day)
		_, err = w.Accept(bob, transfer.TokenRequest{Token: token})
		fails(t, "accepted too late", err, transfer.ErrOver)
		if n, err := w.Lapse(t.Context()); n != 1 || err != nil {
			t.Errorf("%d lapsed, %v", n, err)
		}
		if n, err := w.Lapse(t.Context()); n != 0 || err != nil {
			t.Errorf("%d lapsed twice, %v", n, err)
		}
		if told, _ := w.post.take(); !slices.Equal(told, []string{"lapsed ada@example.com"}) || w.state(t, q.ID) != "lapsed" || w.audited(t, "transfer.lapse") != 1 {
			t.Errorf("told %q", told)
		}

		q, _ = w.ask(t, ada, d.License.ID, "eve@example.com")
		if _, err := w.licenses.Transfer(w.staff, license.TransferRequest{ID: d.License.ID, To: string(licensing.ActorFrom(bob).Owner), Reason: "by letter"}); err != nil {
			t.Fatal(err)
		}
		w.ask(t, bob, d.License.ID, "eve@example.com")
		if got := w.state(t, q.ID); got != "lapsed" {
			t.Errorf("the request of who owns it no more is %s", got)
		}
	})
}

// What the policy, the state of the license, a kill switch or a limit forbids cannot be asked for, nor what is not one's own; too many mails
// to strangers are not sent; and what somebody asked for ends when he speaks for the owner no more.
func TestRefusals(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(false))
		ada, bob := w.person(t, "ada@example.com", licensing.Customer), w.person(t, "bob@example.com", licensing.Customer)
		d := w.give(t, ada, "line/1/1")
		ask := func(ctx context.Context, email string) error {
			_, err := w.Ask(ctx, transfer.AskRequest{ID: d.License.ID, Email: email})
			return err
		}
		fails(t, "another's license", ask(bob, "eve@example.com"), licensing.ErrNotFound)
		if err := ask(ada, "nobody"); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("no address: %v", err)
		}
		q, token := w.ask(t, ada, d.License.ID, "bob@example.com")
		w.killed.Set(true)
		_, err := w.Accept(bob, transfer.TokenRequest{Token: token})
		if licensing.KindOf(err) != licensing.Unavailable {
			t.Errorf("accepted while switched off: %v", err)
		}
		if _, err := w.Cancel(ada, transfer.CancelRequest{ID: q.ID}); err != nil {
			t.Errorf("cancelling while switched off: %v", err)
		}
		if err := ask(ada, "bob@example.com"); licensing.KindOf(err) != licensing.Unavailable {
			t.Errorf("asked while switched off: %v", err)
		}
		w.killed.Set(false)

		_, token = w.ask(t, ada, d.License.ID, "bob@example.com")
		if _, err := w.licenses.Suspend(w.staff, license.StateRequest{ID: d.License.ID, Reason: "a dispute"}); err != nil {
			t.Fatal(err)
		}
		_, err = w.Accept(bob, transfer.TokenRequest{Token: token})
		fails(t, "accepted while suspended", err, license.ErrTransfer)
		fails(t, "asked while suspended", ask(ada, "eve@example.com"), license.ErrTransfer)
		if _, err := w.licenses.Reinstate(w.staff, license.StateRequest{ID: d.License.ID, Reason: "won"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Accept(bob, transfer.TokenRequest{Token: token}); err != nil {
			t.Fatal(err)
		}
		_, token = w.ask(t, bob, d.License.ID, "ada@example.com")
		if _, err := w.Accept(ada, transfer.TokenRequest{Token: token}); err != nil {
			t.Fatal(err)
		}
		fails(t, "asked a third time where two are allowed", ask(ada, "eve@example.com"), license.ErrTransferLimit)

		e.Clock.Advance(40 * day)
		_, token = w.ask(t, ada, d.License.ID, "bob@example.com")
		if _, err := e.DB.Exec(t.Context(), `UPDATE customer SET disabled_at = $1 WHERE email = 'ada@example.com'`, e.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		_, err = w.Accept(bob, transfer.TokenRequest{Token: token})
		fails(t, "of somebody who was shut out since", err, transfer.ErrOver)
		_, err = w.Show(t.Context(), transfer.TokenRequest{Token: token})
		fails(t, "shown of somebody who was shut out", err, transfer.ErrOver)
	})
}

// One person cannot have strangers mailed without an end, and no address gets more than a few mails in an hour, whoever sends them.
func TestMailsArePaced(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(false))
		ada := w.person(t, "ada@example.com", licensing.Customer)
		d := w.give(t, ada, "line/1/1")
		sent := func(ctx context.Context, address func(i int) string) (n int) {
			t.Helper()
			for i := range 20 {
				q, err := w.Ask(ctx, transfer.AskRequest{ID: d.License.ID, Email: address(i)})
				if err != nil {
					fails(t, "one mail too many", err, transfer.ErrPace)
					return n
				}
				n++
				if _, err := w.Cancel(ctx, transfer.CancelRequest{ID: q.ID}); err != nil {
					t.Fatal(err)
				}
			}
			return n
		}
		if n := sent(ada, func(int) string { return "bob@example.com" }); n != 5 {
			t.Errorf("one address got %d offers", n)
		}
		e.Clock.Advance(2 * time.Hour)
		if n := sent(ada, func(i int) string { return fmt.Sprintf("person%d@example.com", i) }); n != 10 {
			t.Errorf("%d strangers got one", n)
		}
	})
}

// R02: a request is nobody's but its two sides' to see, to list and to end; another's id answers as that of nothing.
func TestR02_OthersRequests(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(true))
		ada, bob, eve := w.person(t, "ada@example.com", licensing.Customer), w.person(t, "bob@example.com", licensing.Customer), w.person(t, "eve@example.com", licensing.Customer)
		q, token := w.ask(t, ada, w.give(t, ada, "line/1/1").License.ID, "bob@example.com")
		sees := func(ctx context.Context) (n int) {
			list, err := w.List(ctx, transfer.ListRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return len(list.Items)
		}
		if sees(ada) != 1 || sees(bob) != 0 || sees(eve) != 0 || sees(w.staff) != 1 {
			t.Error("an offer is seen by the wrong people")
		}
		if _, err := w.Accept(bob, transfer.TokenRequest{Token: token}); err != nil {
			t.Fatal(err)
		}
		if sees(bob) != 1 || sees(eve) != 0 {
			t.Error("an accepted one is seen by the wrong people")
		}
		for _, id := range []string{q.ID, "trq_00000000000070008000000000000000"} {
			_, err := w.Get(eve, transfer.GetRequest{ID: id})
			fails(t, "read by somebody else", err, licensing.ErrNotFound)
			_, err = w.Cancel(eve, transfer.CancelRequest{ID: id})
			fails(t, "cancelled by somebody else", err, licensing.ErrNotFound)
			_, err = w.Decline(eve, transfer.DecideRequest{ID: id, Reason: "no"})
			fails(t, "declined by a customer", err, licensing.ErrNotFound)
		}
		if _, err := w.List(ada, transfer.ListRequest{State: "king"}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("no state: %v", err)
		}
	})
}
