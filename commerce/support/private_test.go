package support_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// plain is a file that is taken as text.
const plain = "a log\n"

// Whoever names another's ticket or attachment, with or without an access code of his own, gets exactly the answer for nothing, and nothing
// of it changes. That holds between customers, between guests, and for staff who have no part in support.
func TestR11_AnothersTicketsAndAttachments(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		d.Actors.Know("Bearer fin", licensing.Actor{Kind: licensing.Staff, ID: "cus_own", Role: licensing.RoleFinance})
		d.Actors.Know("License lic", licensing.Actor{Kind: licensing.Holder, ID: "lic_1", Owner: "cus_bob"})
		bob := d.open("bob", object{})
		f := d.uploaded(bob.ID, "bob", "", "bob.log", plain)
		d.ok("POST", "/v1/tickets/"+bob.ID+"/replies", "bob", object{"body": "see the file", "attachments": []string{f.ID}}, nil)
		d.mail()
		guest := d.open("", object{"email": "guest@example.com"})
		code := access(t, to(d.mail(), "guest@example.com")[0])
		g := d.uploaded(guest.ID, "", code, "guest.log", plain)
		d.ok("POST", "/v1/tickets/"+guest.ID+"/replies", "", object{"access": code, "body": "see the file", "attachments": []string{g.ID}}, nil)
		other := d.open("", object{"email": "other@example.com"})
		theirs := access(t, to(d.mail(), "other@example.com")[0])
		before := fmt.Sprint(d.staff(bob.ID), d.staff(guest.ID))
		nothing, none := "tkt_00000000000070008000000000000000", "att_00000000000070008000000000000000"
		for _, c := range []struct{ as, code string }{{"ada", ""}, {"", ""}, {"fin", ""}, {"", theirs}, {"ada", theirs}, {"", code + "x"}, {"mta", ""}} {
			for _, victim := range []struct{ ticket, file string }{{bob.ID, f.ID}, {guest.ID, g.ID}} {
				for _, q := range []struct {
					method, path string
					body         any
				}{
					{"GET", "/v1/tickets/ID?access=" + c.code, nil}, {"POST", "/v1/tickets/ID/replies", object{"body": "b", "access": c.code}}, {"POST", "/v1/tickets/ID/close", object{"access": c.code}},
					{"POST", "/v1/tickets/ID/attachments?name=a.txt&access=" + c.code, plain}, {"GET", "/v1/ticket-attachments/FILE?access=" + c.code, nil},
				} {
					at := func(ticket, file string) answer {
						return d.do(q.method, strings.NewReplacer("ID", ticket, "FILE", file).Replace(q.path), c.as, q.body)
					}
					real, not := at(victim.ticket, victim.file), at(nothing, none)
					if real.StatusCode != http.StatusNotFound || stripped(real) != stripped(not) {
						t.Errorf("%s %s by %q with %q: %d %s\nnothing: %s", q.method, q.path, c.as, c.code, real.StatusCode, stripped(real), stripped(not))
					}
				}
			}
		}
		if a := d.do("POST", "/v1/tickets/"+other.ID+"/replies", "", object{"body": "b", "access": theirs, "attachments": []string{g.ID}}); a.code() != "attachment-unknown" {
			t.Errorf("another's file in a reply: %d %s", a.StatusCode, a.body)
		}
		if after := fmt.Sprint(d.staff(bob.ID), d.staff(guest.ID)); after != before {
			t.Errorf("changed:\n%s\n%s", before, after)
		}
		for _, a := range []answer{d.do("GET", "/v1/ticket-attachments/"+f.ID, "bob", nil), d.do("GET", "/v1/ticket-attachments/"+g.ID+"?access="+code, "", nil), d.do("GET", "/v1/ticket-attachments/"+f.ID, "sue", nil)} {
			if a.StatusCode != 200 || a.body != plain {
				t.Errorf("one's own: %d %s", a.StatusCode, a.body)
			}
		}
	})
}

// stripped is an answer without what differs from request to request.
func stripped(a answer) string {
	var p object
	if json.Unmarshal([]byte(a.body), &p) == nil {
		delete(p, "request_id")
	}
	return fmt.Sprint(a.StatusCode, a.Header.Get("Content-Type"), p)
}

// A note, its author and its attachment are in no answer and no mail that a customer or guest gets, whatever they do; a customer's export has
// none either.
func TestR11_NotesNeverLeak(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		const canary = "CANARY-7391"
		for _, who := range []string{"ada", ""} {
			th := d.open(who, object{"email": "guest@example.com"})
			code := ""
			if who == "" {
				code = access(t, to(d.mail(), "guest@example.com")[0])
			}
			at := "/v1/tickets/" + th.ID
			f := d.uploaded(th.ID, "sam", "", canary+".txt", canary)
			var noted support.Thread
			if a := d.ok("POST", at+"/notes", "sam", object{"body": canary, "attachments": []string{f.ID}}, &noted); !strings.Contains(a.body, canary) {
				t.Errorf("staff do not see their note: %s", a.body)
			}
			note := noted.Messages[1].ID
			d.ok("POST", at+"/answers", "sue", object{"version": 2, "body": "hello"}, nil)
			for _, a := range []answer{
				d.do("GET", at+"?access="+code, who, nil), d.do("POST", at+"/replies", who, object{"body": "b", "access": code}, "Idempotency-Key: 0123456789abcdef"+who),
				d.do("POST", at+"/replies", who, object{"body": "b", "access": code}, "Idempotency-Key: 0123456789abcdef"+who),
				d.do("POST", at+"/close", who, object{"access": code}), d.do("GET", "/v1/ticket-attachments/"+f.ID+"?access="+code, who, nil),
				d.do("GET", "/v1/tickets", "ada", nil), d.do("GET", "/v1/tickets?q="+canary, "ada", nil),
			} {
				if strings.Contains(a.body, canary) || strings.Contains(a.body, note) || strings.Contains(a.body, f.ID) || strings.Contains(a.body, "Sam") {
					t.Errorf("a note leaks: %d %s", a.StatusCode, a.body)
				}
			}
			if a := d.do("GET", "/v1/ticket-attachments/"+f.ID+"?access="+code, who, nil); a.StatusCode != 404 {
				t.Errorf("a note's file: %d", a.StatusCode)
			}
			for _, m := range d.mail() {
				if strings.Contains(m.Text+m.HTML+m.Subject, canary) {
					t.Errorf("a note is mailed to %s", m.To)
				}
			}
		}
		x, err := d.service.Export(t.Context(), "cus_ada")
		if text, _ := json.Marshal(x); err != nil || strings.Contains(string(text), canary) || len(x.Tickets) != 1 || len(x.Tickets[0].Messages) != 4 {
			t.Errorf("export %s, %v", text, err)
		}
	})
}

// A guest who has an account of the address finds the tickets that were asked from it; what is linked to a ticket is the asker's own.
func TestTicketsOfOnesAddressAndLinks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		th := d.open("", object{"email": "ada@example.com"})
		if got := d.listed("ada", ""); len(got) != 1 || got[0] != th.ID {
			t.Errorf("ada sees %v", got)
		}
		if got := d.listed("bob", ""); len(got) != 0 {
			t.Errorf("bob sees %v", got)
		}
		d.ok("POST", "/v1/tickets/"+th.ID+"/replies", "ada", object{"body": "it was me"}, nil)
		for i, owner := range []string{"ada", "bob"} {
			o := order.Order{ID: "ord_" + owner, Owner: licensing.Owner("cus_" + owner), Env: licensing.Test, State: order.Pending, Currency: "EUR", Access: []byte{1}, SecretHash: []byte{byte(i)}, Version: 1,
				CreatedAt: e.Clock.Now(), UpdatedAt: e.Clock.Now(), ExpiresAt: e.Clock.Now(), CheckedAt: e.Clock.Now()}
			if err := e.Store.Orders().Add(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		link := func(id, as string, version int, order string) answer {
			return d.do("PATCH", "/v1/tickets/"+id, as, object{"version": version, "order": order})
		}
		own := d.open("ada", object{"order": "ord_ada"})
		if own.Order != "ord_ada" {
			t.Errorf("%+v", own.View)
		}
		for _, id := range []string{own.ID, th.ID} {
			v := int(d.staff(id).Version)
			if a := link(id, "sue", v, "ord_bob"); a.StatusCode != 400 {
				t.Errorf("another's order: %d", a.StatusCode)
			}
			if a := link(id, "sue", v, "ord_ada"); a.StatusCode != 200 {
				t.Errorf("one's own order: %d %s", a.StatusCode, a.body)
			}
			if a := link(id, "sue", v+1, ""); a.StatusCode != 200 {
				t.Errorf("no order: %d %s", a.StatusCode, a.body)
			}
		}
	})
}

// What a person asked to be erased is gone: from rows, search, answers and, once swept, the file store. That there was a ticket, when, and the
// audit trail stay; other people's tickets are as they were.
func TestQ11_ErasedTickets(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		kept := d.open("bob", object{"subject": "Kept"})
		mine := d.open("ada", object{"subject": "Gone quux", "body": "private quux"})
		guest := d.open("", object{"subject": "Gone quux", "body": "private quux", "email": "ada@example.com", "name": "Quux Quux"})
		code := access(t, to(d.mail(), "ada@example.com")[1])
		f := d.uploaded(mine.ID, "ada", "", "quux.txt", "quux")
		d.ok("POST", "/v1/tickets/"+mine.ID+"/replies", "ada", object{"body": "quux", "attachments": []string{f.ID}}, nil)
		d.ok("POST", "/v1/tickets/"+mine.ID+"/notes", "sue", object{"body": "quux"}, nil)
		ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_ada"}})
		if err := d.Store.InTx(ctx, func(ctx context.Context) error { return d.service.Erase(ctx, "cus_ada") }); err != nil {
			t.Fatal(err)
		}
		if n := d.count(`SELECT count(*) FROM ticket WHERE subject || email || name || search || owner LIKE '%quux%' OR email LIKE 'ada%' OR search LIKE '%ada%' OR owner = 'cus_ada'`) +
			d.count(`SELECT count(*) FROM ticket_message WHERE body || original || author_name LIKE '%uux%'`) + d.count(`SELECT count(*) FROM ticket_attachment WHERE name LIKE '%quux%'`); n != 0 {
			t.Errorf("%d rows still tell", n)
		}
		for _, a := range []answer{d.do("GET", "/v1/tickets/"+mine.ID, "ada", nil), d.do("GET", "/v1/tickets/"+guest.ID+"?access="+code, "", nil), d.do("GET", "/v1/ticket-attachments/"+f.ID, "sue", nil)} {
			if a.StatusCode != 404 {
				t.Errorf("after erasure: %d %s", a.StatusCode, a.body)
			}
		}
		if got := d.staff(mine.ID); got.Status != support.Closed || !got.CreatedAt.Equal(mine.CreatedAt) || len(got.Messages) != 3 {
			t.Errorf("what is left: %+v", got)
		}
		if got := d.staff(kept.ID); got.Subject != "Kept" || got.Email != "bob@example.com" {
			t.Errorf("another's: %+v", got)
		}
		d.ok("POST", "/v1/tickets/"+mine.ID+"/answers", "sue", object{"version": d.staff(mine.ID).Version, "body": "to nobody"}, nil)
		if sent := d.mail(); len(to(sent, "")) != 0 {
			t.Errorf("mail to nobody: %+v", sent)
		}
		if len(d.blobs()) != 1 {
			t.Error("the file went before the transaction could fail")
		}
		d.Clock.Advance(time.Minute)
		if err := d.service.Sweep(t.Context()); err != nil || len(d.blobs()) != 0 {
			t.Errorf("%v, files left %v", err, d.blobs())
		}
	})
}
