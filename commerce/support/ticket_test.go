package support_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A guest asks, is led to his ticket by mail alone, gets the answer by mail, answers on the page, and is told that it is solved; staff are
// told whenever he writes. What confirms the arrival repeats nothing of what was written, since anybody may write under his address.
func TestGuestBothWays(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		a := d.ok("POST", "/v1/tickets", "", object{"subject": "Buy pills", "body": "at evil.example", "email": " Guest@Example.com ", "name": "Gus"}, nil)
		if strings.Contains(a.body, "access") {
			t.Errorf("the answer leads to the ticket: %s", a.body)
		}
		sent := d.mail()
		received := to(sent, "guest@example.com")
		if len(received) != 1 || len(to(sent, "sue@example.com")) != 1 || len(to(sent, "sam@example.com")) != 1 || len(sent) != 3 {
			t.Fatalf("mails %+v", sent)
		}
		if m := received[0]; strings.Contains(m.Text+m.HTML+m.Subject, "pills") || strings.Contains(m.Text+m.HTML, "evil.example") {
			t.Errorf("the mail repeats what was written: %s", m.Text)
		}
		if m := to(sent, "sue@example.com")[0]; !strings.Contains(m.Text, "at evil.example") || !strings.Contains(m.Text, "https://shop.example/admin/tickets/tkt_") || accessIn.MatchString(m.Text) {
			t.Errorf("to staff: %s", m.Text)
		}
		code := access(t, received[0])
		id := accessIn.FindStringSubmatch(received[0].Text)[1]
		var th support.Thread
		d.ok("GET", "/v1/tickets/"+id+"?access="+code, "", nil, &th)
		if th.Status != support.Open || len(th.Messages) != 1 || th.Messages[0].Body != "at evil.example" || th.Priority != "" {
			t.Errorf("%+v", th)
		}
		d.ok("POST", "/v1/tickets/"+id+"/answers", "sue", object{"version": 1, "body": "Here is how:\n\n  one\n  two"}, &th)
		if th.Assignee != "cus_sue" || th.Status != support.Pending {
			t.Errorf("after the answer: %+v", th.View)
		}
		sent = d.mail()
		if len(sent) != 1 || sent[0].To != "guest@example.com" || !strings.Contains(sent[0].Text, "Here is how:\n\none\ntwo\n") || access(t, sent[0]) != code || !strings.Contains(sent[0].Subject, "["+th.Number+"]") {
			t.Fatalf("the answer's mail: %+v", sent)
		}
		d.ok("POST", "/v1/tickets/"+id+"/replies", "", object{"access": code, "body": "Thank you!"}, &th)
		if th.Status != support.Open || len(th.Messages) != 3 || th.Messages[1].Name != "Sue" || th.Messages[2].From != support.FromCustomer {
			t.Errorf("after the reply: %+v", th)
		}
		if sent = d.mail(); len(sent) != 1 || sent[0].To != "sue@example.com" {
			t.Errorf("the assignee alone is told: %+v", sent)
		}
		d.ok("PATCH", "/v1/tickets/"+id, "sam", object{"version": 3, "status": "solved", "assignee": "cus_sam"}, nil)
		if sent = d.mail(); len(sent) != 1 || sent[0].To != "guest@example.com" || !strings.Contains(sent[0].Text, "is solved") {
			t.Errorf("of the end: %+v", sent)
		}
		d.ok("PATCH", "/v1/tickets/"+id, "sam", object{"version": 4, "assignee": "cus_sue"}, nil)
		if sent = d.mail(); len(sent) != 1 || sent[0].To != "sue@example.com" || !strings.Contains(sent[0].Subject, "is yours") {
			t.Errorf("of being given it: %+v", sent)
		}
	})
}

// Status, first_reply_at and waiting_since after each course of events. Each step is a minute after the one before; the ticket is opened
// at minute 0. -1 stands for none.
func TestWaitingAndFirstReply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		for _, c := range []struct {
			steps          string
			status         support.Status
			first, waiting int
		}{
			{"", support.Open, -1, 0},
			{"reply", support.Open, -1, 0},
			{"note", support.Open, -1, 0},
			{"priority", support.Open, -1, 0},
			{"answer", support.Pending, 1, -1},
			{"reply answer", support.Pending, 2, -1},
			{"answer reply", support.Open, 1, 2},
			{"answer reply reply reply", support.Open, 1, 2},
			{"answer reply note", support.Open, 1, 2},
			{"answer reply answer", support.Pending, 1, -1},
			{"answer note", support.Pending, 1, -1},
			{"answer:solved", support.Solved, 1, -1},
			{"answer:open", support.Open, 1, -1},
			{"answer:solved reply", support.Open, 1, 2},
			{"set:solved", support.Solved, -1, -1},
			{"set:solved reply", support.Open, -1, 2},
			{"set:pending", support.Pending, -1, 0},
			{"close", support.Closed, -1, -1},
			{"answer close reply", support.Open, 1, 3},
		} {
			start := d.Clock.Now()
			th := d.open("ada", object{})
			for step := range strings.FieldsSeq(c.steps) {
				d.Clock.Advance(time.Minute)
				d.step(th.ID, step)
			}
			got := d.staff(th.ID)
			minute := func(at *time.Time) int {
				if at == nil {
					return -1
				}
				return int(at.Sub(start) / time.Minute)
			}
			if got.Status != c.status || minute(got.FirstReplyAt) != c.first || minute(got.WaitingSince) != c.waiting {
				t.Errorf("%q: %s, first %d, waiting %d; want %+v", c.steps, got.Status, minute(got.FirstReplyAt), minute(got.WaitingSince), c)
			}
			d.Clock.Advance(time.Hour)
		}
	})
}

// step does one thing to a ticket of ada's.
func (d *desk) step(id, what string) {
	d.t.Helper()
	at, what, to := "/v1/tickets/"+id, what, ""
	what, to, _ = strings.Cut(what, ":")
	v := d.staff(id).Version
	switch what {
	case "reply":
		d.ok("POST", at+"/replies", "ada", object{"body": "more"}, nil)
	case "note":
		d.ok("POST", at+"/notes", "sam", object{"body": "note"}, nil)
	case "priority":
		d.ok("PATCH", at, "sam", object{"version": v, "priority": "high"}, nil)
	case "answer":
		body := object{"version": v, "body": "so"}
		if to != "" {
			body["status"] = to
		}
		d.ok("POST", at+"/answers", "sue", body, nil)
	case "set":
		d.ok("PATCH", at, "sue", object{"version": v, "status": to}, nil)
	case "close":
		d.ok("POST", at+"/close", "ada", object{}, nil)
	default:
		d.t.Fatal(what)
	}
}

// Of many answers that staff give at once to the same version one is taken and the others are told to look again; what customers write at the
// same time is all kept, none twice; and notes too.
func TestAnswersAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		th := d.open("ada", object{})
		at := "/v1/tickets/" + th.ID
		var mu sync.Mutex
		codes := map[string]int{}
		var wg sync.WaitGroup
		run := func(kind, path, as string, body object) {
			wg.Go(func() {
				a := d.do("POST", at+path, as, body)
				mu.Lock()
				defer mu.Unlock()
				codes[fmt.Sprint(kind, " ", a.StatusCode, " ", a.code())]++
			})
		}
		for i := range 6 {
			run("answer", "/answers", []string{"sue", "sam"}[i%2], object{"version": th.Version, "body": fmt.Sprint("answer ", i)})
		}
		wg.Wait()
		if codes["answer 200 "] != 1 || codes["answer 409 ticket-changed"] != 5 {
			t.Errorf("answers: %v", codes)
		}
		for i := range 4 {
			run("reply", "/replies", "ada", object{"body": fmt.Sprint("reply ", i)})
			run("note", "/notes", "sam", object{"body": fmt.Sprint("note ", i)})
		}
		wg.Wait()
		if codes["reply 200 "] != 4 || codes["note 200 "] != 4 {
			t.Errorf("replies and notes: %v", codes)
		}
		got := d.staff(th.ID)
		bodies := map[string]int{}
		for _, m := range got.Messages {
			bodies[m.Body[:5]]++
		}
		if len(got.Messages) != 10 || bodies["answe"] != 1 || bodies["reply"] != 4 || bodies["note "] != 4 || got.Version != 10 {
			t.Errorf("%d messages, version %d: %v", len(got.Messages), got.Version, bodies)
		}
		if n := d.count(`SELECT count(*) FROM audit WHERE target = $1`, th.ID); n != 10 {
			t.Errorf("%d audit rows", n)
		}
	})
}

// Whatever is sent twice with the same Idempotency-Key is done once; the replay of a guest's creation shows what the first answer showed and
// nothing that came later.
func TestSentTwiceDoneOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		twice := func(path, as string, body object) string {
			t.Helper()
			key := "Idempotency-Key: " + strings.Repeat("k", 10) + strings.ReplaceAll(path, "/", "-")
			one, two := d.do("POST", path, as, body, key), d.do("POST", path, as, body, key)
			if one.StatusCode > 299 || two.StatusCode != one.StatusCode || two.body != one.body {
				t.Errorf("%s: %d %s, then %d %s", path, one.StatusCode, one.body, two.StatusCode, two.body)
			}
			body["body"] = "another"
			if a := d.do("POST", path, as, body, key); a.StatusCode != http.StatusUnprocessableEntity {
				t.Errorf("%s with another body: %d", path, a.StatusCode)
			}
			return one.body
		}
		guest := object{"subject": "S", "body": "B", "email": "guest@example.com"}
		var c support.Created
		if err := json.Unmarshal([]byte(twice("/v1/tickets", "", guest)), &c); err != nil {
			t.Fatal(err)
		}
		at := "/v1/tickets/" + c.ID
		twice(at+"/answers", "sue", object{"version": 1, "body": "CANARY"})
		twice(at+"/notes", "sue", object{"body": "CANARY"})
		code := access(t, to(d.mail(), "guest@example.com")[0])
		twice(at+"/replies", "", object{"body": "thanks", "access": code})
		if n := len(d.staff(c.ID).Messages); n != 4 {
			t.Errorf("%d messages", n)
		}
		guest["body"] = "B"
		if a := d.do("POST", "/v1/tickets", "", guest, "Idempotency-Key: kkkkkkkkkk-v1-tickets"); a.StatusCode != 201 || strings.Contains(a.body, "CANARY") {
			t.Errorf("replayed later: %d %s", a.StatusCode, a.body)
		}
	})
}

// The queue shows those whose customer waits, the longest first, then the others, the newest first; pages join without gap or repeat; filters
// narrow; the counts agree.
func TestQueueOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		var ids []string
		kinds := []string{"ILLO", "LULU", "OLIO", "IULI", "ULOO", "OOLU", "IOUO", "LULI"} // letters that no number has
		for i := range 8 {
			ids = append(ids, d.open([]string{"ada", "bob"}[i%2], object{"subject": "Fault " + kinds[i] + " of 50%"}).ID)
			d.Clock.Advance(time.Minute)
		}
		for _, i := range []int{0, 3, 5} {
			d.step(ids[i], "answer")
		}
		want := []string{ids[1], ids[2], ids[4], ids[6], ids[7], ids[5], ids[3], ids[0]}
		for _, limit := range []int{1, 2, 3, 5, 8, 100} {
			if got := d.listed("sue", fmt.Sprintf("limit=%d", limit)); !slices.Equal(got, want) {
				t.Errorf("by %d: %v\nwant %v", limit, got, want)
			}
		}
		d.ok("PATCH", "/v1/tickets/"+ids[2], "sue", object{"version": 1, "priority": "urgent", "assignee": "cus_sam", "subject": "Fault 2, urgent"}, nil)
		for query, want := range map[string][]string{
			"status=pending": {ids[5], ids[3], ids[0]}, "priority=urgent": {ids[2]}, "assignee=cus_sam": {ids[2]}, "assignee=me": {ids[5], ids[3], ids[0]},
			"assignee=unassigned": {ids[1], ids[4], ids[6], ids[7]}, "owner=cus_bob&status=pending": {ids[5], ids[3]}, "email=ada@example.com&status=pending": {ids[0]},
			"q=fault+uloo": {ids[4]}, "q=50%25+FAULT+luli": {ids[7]}, "q=bob+olio": nil, "q=bob+oolu": {ids[5]}, "q=%25": {ids[1], ids[4], ids[6], ids[7], ids[5], ids[3], ids[0]}, "q=_": nil, "q=+": want, "q=%5C": nil,
			"q=" + d.staff(ids[6]).Number: {ids[6]},
		} {
			got := d.listed("sue", query)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		if got := d.listed("ada", "limit=3&owner=cus_bob&assignee=me"); !slices.Equal(got, []string{ids[6], ids[4], ids[2], ids[0]}) {
			t.Errorf("ada sees %v", got)
		}
		var q support.QueueView
		d.ok("GET", "/v1/ticket-queue", "aud", nil, &q)
		if q.Open != 5 || q.Pending != 3 || q.Waiting != 5 || q.Unassigned != 4 || !q.OldestWaiting.Equal(*d.staff(ids[1]).WaitingSince) {
			t.Errorf("%+v", q)
		}
	})
}

// listed are the ids of all pages of a list.
func (d *desk) listed(as, query string) (ids []string) {
	d.t.Helper()
	cursor := ""
	for {
		var page licensing.List[support.View]
		d.ok("GET", "/v1/tickets?"+query+cursor, as, nil, &page)
		for _, v := range page.Items {
			ids = append(ids, v.ID)
		}
		if page.Next == "" {
			return ids
		}
		cursor = "&cursor=" + page.Next
	}
}

// The support switch stops what customers write, by page and by mail; reading, the FAQ and the answers of staff go on.
func TestSupportSwitchedOff(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	th := d.open("ada", object{})
	d.ok("POST", "/v1/faq-articles", "sue", object{"slug": "a", "title": "A", "body": "a", "published": true}, nil)
	d.Off.Turn(licensing.SwitchSupport, true)
	at := "/v1/tickets/" + th.ID
	mail := object{"from": "ada@example.com", "text": "x", "message_id": "<1@x>"}
	for _, c := range []struct {
		method, path, as string
		body             any
		want             int
	}{
		{"POST", "/v1/tickets", "ada", object{"subject": "s", "body": "b"}, 503}, {"POST", "/v1/tickets", "", object{"subject": "s", "body": "b", "email": "g@example.com"}, 503},
		{"POST", at + "/replies", "ada", object{"body": "b"}, 503}, {"POST", at + "/attachments?name=a.txt", "ada", "text", 503}, {"POST", "/v1/support/inbound", "mta", mail, 503},
		{"GET", at, "ada", nil, 200}, {"GET", "/v1/tickets", "ada", nil, 200}, {"GET", "/v1/faq", "", nil, 200}, {"GET", "/v1/faq/a", "", nil, 200},
		{"POST", at + "/answers", "sue", object{"version": 1, "body": "b"}, 200}, {"POST", at + "/notes", "sue", object{"body": "b"}, 200}, {"POST", at + "/attachments?name=a.txt", "sue", "text", 201},
	} {
		if a := d.do(c.method, c.path, c.as, c.body); a.StatusCode != c.want || c.want == 503 && (a.code() != "switched-off" || a.Header.Get("Retry-After") == "") {
			t.Errorf("%s %s as %q: %d %s, want %d", c.method, c.path, c.as, a.StatusCode, a.body, c.want)
		}
	}
}

// New tickets are counted by address and by where they come from; too many wait, and it ends by itself. Staff are not counted.
func TestCreationIsThrottled(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	ask := func(as, email string) int {
		return d.do("POST", "/v1/tickets", as, object{"subject": "s", "body": "b", "email": email}).StatusCode
	}
	for i := range 6 {
		if got, want := ask("", "same@example.com"), []int{201, 429}[i/5]; got != want {
			t.Errorf("guest's %d: %d", i, got)
		}
	}
	for i := range 14 { // the place has 20, of which 6 are spent
		if got := ask("", fmt.Sprintf("g%d@example.com", i)); got != 201 {
			t.Errorf("another guest's %d: %d", i, got)
		}
	}
	if got := ask("", "late@example.com"); got != 429 {
		t.Errorf("one too many from one place: %d", got)
	}
	for range 25 {
		if got := ask("sue", "onbehalf@example.com"); got != 201 {
			t.Errorf("staff: %d", got)
		}
	}
	d.Clock.Advance(time.Hour)
	if got := ask("", "late@example.com"); got != 201 {
		t.Errorf("an hour later: %d", got)
	}
}

// What is not right is refused with the name of each field; text is kept without control characters and otherwise as it was.
func TestTicketsAreChecked(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	for _, c := range []struct {
		as, field string
		body      object
	}{
		{"ada", "/subject", object{"subject": " ", "body": "b"}}, {"ada", "/subject", object{"subject": "a\r\nBcc: x@example.com", "body": "b"}}, {"ada", "/subject", object{"subject": strings.Repeat("ä", 201), "body": "b"}},
		{"ada", "/body", object{"subject": "s", "body": " \n\t"}}, {"ada", "/body", object{"subject": "s", "body": strings.Repeat("ä", 20_001)}},
		{"", "/email", object{"subject": "s", "body": "b"}}, {"", "/email", object{"subject": "s", "body": "b", "email": "a@example.com\r\nBcc: b@example.com"}},
		{"", "/name", object{"subject": "s", "body": "b", "email": "a@example.com", "name": "See http://evil.example"}}, {"", "/name", object{"subject": "s", "body": "b", "email": "a@example.com", "name": "A\nB"}},
		{"", "/order", object{"subject": "s", "body": "b", "email": "ada@example.com", "order": "ord_1"}}, {"ada", "/order", object{"subject": "s", "body": "b", "order": "ord_1"}},
		{"ada", "/license", object{"subject": "s", "body": "b", "license": "lic_1"}}, {"ada", "/attachments", object{"subject": "s", "body": "b", "attachments": make([]string, 11)}},
	} {
		if a := d.do("POST", "/v1/tickets", c.as, c.body); a.StatusCode != 400 || !strings.Contains(a.body, c.field) {
			t.Errorf("%v: %d %s", c.body, a.StatusCode, a.body)
		}
	}
	th := d.open("ada", object{"subject": " A  subject ", "body": "\r\nline one\r\n\tline \x1b[31mtwo\x07\u2028{{.}} <b> %s\n"})
	if th.Subject != "A subject" || th.Messages[0].Body != "line one\n\tline [31mtwo\n{{.}} <b> %s" {
		t.Errorf("%q %q", th.Subject, th.Messages[0].Body)
	}
	for _, body := range []object{{"version": 0, "status": "open"}, {"version": 1, "assignee": "cus_ada"}, {"version": 1, "assignee": "cus_aud"}, {"version": 1, "assignee": "cus_none"}, {"version": 1, "license": "lic_1"}, {"version": 1, "subject": "a\nb"}} {
		if a := d.do("PATCH", "/v1/tickets/"+th.ID, "sue", body); a.StatusCode != 400 {
			t.Errorf("update %v: %d %s", body, a.StatusCode, a.body)
		}
	}
	if a := d.do("POST", "/v1/tickets/"+th.ID+"/answers", "aud", object{"version": 1, "body": "b"}); a.StatusCode != 403 {
		t.Errorf("the auditor answered: %d", a.StatusCode)
	}
	if a := d.do("POST", "/v1/tickets/"+th.ID+"/close", "ada", object{}); a.StatusCode != 200 {
		t.Errorf("close: %d", a.StatusCode)
	}
	if a := d.do("POST", "/v1/tickets/"+th.ID+"/close", "ada", object{}); a.code() != "ticket-closed" {
		t.Errorf("close again: %d %s", a.StatusCode, a.body)
	}
}
