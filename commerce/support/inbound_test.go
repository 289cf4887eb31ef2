package support_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// in passes a mail on and returns the ticket that it is in.
func (d *desk) in(body object) support.Received {
	d.t.Helper()
	var out support.Received
	if body["text"] == nil {
		body["text"] = "By mail."
	}
	d.ok("POST", "/v1/support/inbound", "mta", body, &out)
	return out
}

// A mail is a reply when it answers one of ours or bears the ticket's number, and comes from the address that the ticket is answered to. Anything
// else becomes a ticket of its own, which tells nobody of another.
func TestMailBecomesReplyOrTicket(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		th := d.open("ada", object{"subject": "Export"})
		ours := "<" + to(d.mail(), "ada@example.com")[0].MessageID + ">"
		d.ok("PATCH", "/v1/tickets/"+th.ID, "sue", object{"version": 1, "status": "solved"}, nil)
		solved := "<" + d.mail()[0].MessageID + ">"
		number := "[" + th.Number + "]"
		n := 0
		for name, c := range map[string]struct {
			mail  object
			reply bool
		}{
			"answer":                        {object{"from": "Ada <ADA@example.com>", "in_reply_to": ours}, true},
			"answer to the note of its end": {object{"from": "ada@example.com", "in_reply_to": solved}, true},
			"answer further down":           {object{"from": "ada@example.com", "in_reply_to": "<x@y>", "references": []string{"<z@y>", ours, "<q@y>"}}, true},
			"number in the subject":         {object{"from": "ada@example.com", "subject": "Re: " + number + " Export"}, true},
			"from somebody else":            {object{"from": "eve@example.com", "in_reply_to": ours, "subject": "Re: " + number}, false},
			"from a look-alike":             {object{"from": `"ada@example.com" <eve@example.com>`, "subject": number}, false},
			"number without brackets":       {object{"from": "ada@example.com", "subject": th.Number}, false},
			"unknown number":                {object{"from": "ada@example.com", "subject": "[00000000]"}, false},
			"our id at another's domain":    {object{"from": "ada@example.com", "in_reply_to": strings.Replace(ours, "@shop", "@evil", 1)}, false},
			"no such id of ours":            {object{"from": "ada@example.com", "in_reply_to": "<ntc_00000000000070008000000000000000@shop.example>"}, false},
			"nothing of ours":               {object{"from": "ada@example.com", "subject": "Another thing"}, false},
		} {
			n++
			c.mail["message_id"] = fmt.Sprintf("<%d@mail.example>", n)
			out := d.in(c.mail)
			if got := out.Ticket == th.ID; out.Result != "taken" || got != c.reply {
				t.Errorf("%s: %+v", name, out)
			}
			if got := d.staff(out.Ticket); !c.reply && (got.Owner != "" || len(got.Messages) != 1 || !got.Messages[0].Mail) {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if got := d.staff(th.ID); len(got.Messages) != 5 || got.Status != support.Open || got.Messages[4].Name != "Ada" {
			t.Errorf("the ticket: %+v", got)
		}
	})
}

// The same mail is taken once, one after the other and at once, with and without an Idempotency-Key.
func TestMailIsTakenOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		th := d.open("ada", object{})
		for i, mail := range []object{{"from": "new@example.com", "subject": "New", "text": "x", "message_id": "<a@x>"}, {"from": "ada@example.com", "subject": "[" + th.Number + "]", "text": "x", "message_id": " b@x "}} {
			var mu sync.Mutex
			got := map[string]int{}
			var wg sync.WaitGroup
			for j := range 6 {
				wg.Go(func() {
					var headers []string
					if j%2 == 0 {
						headers = []string{fmt.Sprintf("Idempotency-Key: key-%d-%d", i, j)}
					}
					a := d.do("POST", "/v1/support/inbound", "mta", mail, headers...)
					mu.Lock()
					defer mu.Unlock()
					got[fmt.Sprint(a.StatusCode, a.body)]++
				})
			}
			wg.Wait()
			if len(got) != 1 || !strings.Contains(fmt.Sprint(got), "200{") {
				t.Errorf("%v", got)
			}
		}
		if n := d.count(`SELECT count(*) FROM ticket`); n != 2 || len(d.staff(th.ID).Messages) != 2 {
			t.Errorf("%d tickets, %d messages", n, len(d.staff(th.ID).Messages))
		}
	})
}

// What a machine answers and what we ourselves sent opens no ticket and gets no answer, so that two machines cannot write to each other for
// ever.
func TestMachinesMailIsLeftAside(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	th := d.open("ada", object{})
	d.mail()
	for _, mail := range []object{
		{"from": "ada@example.com", "subject": "[" + th.Number + "]", "message_id": "<1@x>", "auto_submitted": "auto-replied"},
		{"from": "robot@example.com", "message_id": "<2@x>", "auto_submitted": "Auto-Generated"}, {"from": "Shop <HELP@shop.example>", "message_id": "<3@x>"},
	} {
		if out := d.in(mail); out.Result != "ignored" || out.Ticket != "" {
			t.Errorf("%v: %+v", mail, out)
		}
	}
	if n := d.count(`SELECT count(*) FROM ticket`); n != 1 || len(d.staff(th.ID).Messages) != 1 || len(d.mail()) != 0 {
		t.Error("something came of it")
	}
	if out := d.in(object{"from": "ada@example.com", "subject": "[" + th.Number + "]", "message_id": "<4@x>", "auto_submitted": "no"}); out.Ticket != th.ID {
		t.Errorf("by hand: %+v", out)
	}
}

// Line breaks, headers, escape sequences and templates in From, Subject and text of a mail stay text: no further recipient, header, log line
// or markup comes of them.
func TestI14_I15_M09_HostileMail(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		for i, mail := range []object{
			{"from": "Eve\r\nBcc: all@example.com <eve@example.com>"}, {"from": "a@example.com, b@example.com"}, {"from": "eve"}, {"from": ""}, {"from": "eve@localhost"}, {"from": "<eve@example.com>\nx"},
		} {
			mail["message_id"], mail["text"] = fmt.Sprintf("<bad%d@x>", i), "x"
			a := d.do("POST", "/v1/support/inbound", "mta", mail)
			if a.StatusCode == http.StatusBadRequest {
				continue
			}
			if i != 5 { // what follows the address on a line of its own is refused too, or dropped
				t.Errorf("%v: %d %s", mail, a.StatusCode, a.body)
			}
		}
		const template = `{{.Link}} ${7*7} %s%n <script>alert(1)</script>`
		out := d.in(object{"from": `"<b>Eve</b>" <eve@example.com>`, "subject": "A\r\nBcc: all@example.com\x1b[31m " + template + "\u202e", "text": template + "\r\n.\r\nBcc: all@example.com\x1b[2J", "message_id": "<1@x>\r\nX: y"})
		th := d.staff(out.Ticket)
		if strings.ContainsAny(th.Subject, "\r\n\x1b\u202e") || !strings.Contains(th.Subject, template) || th.Name != "" {
			t.Errorf("subject %q, name %q", th.Subject, th.Name)
		}
		if body := th.Messages[0].Body; strings.ContainsAny(body, "\r\x1b") || !strings.HasPrefix(body, template) {
			t.Errorf("body %q", body)
		}
		d.ok("POST", "/v1/tickets/"+th.ID+"/answers", "sue", object{"version": 1, "body": template + "\n.\nBcc: all@example.com"}, nil)
		for _, m := range d.mail() {
			if strings.ContainsAny(m.Subject, "\r\n\x1b\u202e") || strings.ContainsAny(m.To+m.From, "\r\n") || strings.Contains(m.HTML, "<script>") || strings.Contains(m.Text, "\r") {
				t.Errorf("mail to %s: %q %s", m.To, m.Subject, m.HTML)
			}
			if m.To == "eve@example.com" && strings.HasPrefix(m.Subject, "Re:") && !strings.Contains(m.Text, template) {
				t.Errorf("the answer is not as it was written: %s", m.Text)
			}
		}
		if trail := d.count(`SELECT count(*) FROM audit WHERE detail LIKE '%eve%' OR detail LIKE '%Bcc%'`); trail != 0 {
			t.Error("the audit trail has what was written")
		}
		if log := d.Log.String(); strings.Contains(log, "eve@example.com") || strings.Contains(log, "Bcc") {
			t.Errorf("the log has what was written: %s", log)
		}
	})
}

// Signature and quoted text at the end are taken off, and what came is kept beside it for staff; quotes with answers between them stay, and what
// would be empty stays whole.
func TestQuotesAndSignatures(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	th := d.open("ada", object{})
	for i, c := range []struct{ text, want string }{
		{"Thanks!", "Thanks!"},
		{"Thanks!\n-- \nAda\nAcme Inc.", "Thanks!"},
		{"Thanks!\n\nOn Mon, 1 Mar 2027 at 09:00, Shop <help@shop.example> wrote:\n> Hello\n>\n> it is in the menu\n", "Thanks!"},
		{"Danke!\n\nAm 01.03.27 um 09:00 schrieb Shop:\n> Hallo", "Danke!"},
		{"Merci\n\nLe lun. 1 mars 2027 à 09:00, Shop <help@shop.example> a\nécrit :\n> bonjour", "Merci"},
		{"Thanks\n\nOn Mon, 1 Mar 2027 at 09:00, Shop\n<help@shop.example> wrote:\n\n> Hello", "Thanks"},
		{"> where is it?\nIn the menu.\n> which?\nThe first.", "> where is it?\nIn the menu.\n> which?\nThe first."},
		{"> quoted only", "> quoted only"},
		{"-- \nonly a signature", "-- \nonly a signature"},
		{"a list:\n-- one\n-- two", "a list:\n-- one\n-- two"},
		{"On Monday I wrote:\nnothing quoted", "On Monday I wrote:\nnothing quoted"},
		{"5 > 3\nand so on", "5 > 3\nand so on"},
	} {
		d.Clock.Advance(60e9 * 2)
		d.in(object{"from": "ada@example.com", "subject": "[" + th.Number + "]", "text": c.text, "message_id": fmt.Sprintf("<%d@x>", i)})
		m := d.staff(th.ID).Messages[i+1]
		whole := strings.TrimSpace(c.text)
		if m.Body != c.want || (m.Original != "") != (c.want != whole) || m.Original != "" && m.Original != whole {
			t.Errorf("%q: %q, original %q", c.text, m.Body, m.Original)
		}
	}
	var mine support.Thread
	if a := d.ok("GET", "/v1/tickets/"+th.ID, "ada", nil, &mine); strings.Contains(a.body, `"original"`) {
		t.Error("the customer is shown the original")
	}
}
