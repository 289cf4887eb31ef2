package help

import (
	"net/http"
	"net/url"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// desk are the staff's pages of tickets.
func (p *pages) desk() []site.Page {
	return []site.Page{
		{Name: "page.admin_tickets", Pattern: "GET /admin/tickets", For: site.Staff, Serve: p.queue},
		{Name: "page.admin_ticket", Pattern: "GET /admin/tickets/{id}", For: site.Staff, Serve: p.work},
		{Name: "page.admin_ticket_answer", Pattern: "POST /admin/tickets/{id}/answer", For: site.Staff, Serve: p.answer, Limit: maxUpload},
		{Name: "page.admin_ticket_note", Pattern: "POST /admin/tickets/{id}/note", For: site.Staff, Serve: p.note},
		{Name: "page.admin_ticket_change", Pattern: "POST /admin/tickets/{id}/change", For: site.Staff, Serve: p.change},
	}
}

// queued is what the queue shows.
type queued struct {
	Counts support.QueueView
	List   licensing.List[support.View]
	Filter support.ListRequest
}

// next is the address of the following page of the queue.
func (q queued) next() string {
	if q.List.Next == "" {
		return ""
	}
	return "/admin/tickets?" + url.Values{"q": {q.Filter.Q}, "status": {string(q.Filter.Status)}, "priority": {string(q.Filter.Priority)},
		"assignee": {q.Filter.Assignee}, "cursor": {q.List.Next}}.Encode()
}

func (p *pages) queue(v *site.Visit) error {
	f := v.Filter()
	q := queued{Filter: support.ListRequest{Q: v.Query("q"), Status: support.Status(v.Query("status")), Priority: support.Priority(v.Query("priority")),
		Assignee: v.Query("assignee"), Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 50}}}
	var err error
	if q.Counts, err = p.ops.Queue.Call(v.Ctx(), support.QueueRequest{}); err != nil {
		return err
	}
	q.List, err = p.ops.List.Call(v.Ctx(), q.Filter)
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	return v.Render(http.StatusOK, queuePage(v.Frame("Tickets"), f, q))
}

// desked is what the page of a ticket shows to staff. Each of its three forms has its own place for what is wrong.
type desked struct {
	ticketView
	Answer, Note, Change *ui.Form
	Canned               []support.CannedView
	Staff                []account.StaffView
}

func (p *pages) work(v *site.Visit) error { return p.showWork(v, desked{}, v.Query("canned")) }

// showWork answers with the page of a ticket; canned is the reply to begin the answer with.
func (p *pages) showWork(v *site.Visit, d desked, canned string) error {
	thread, err := p.ops.Get.Call(v.Ctx(), support.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	d.Thread = thread
	for _, f := range []**ui.Form{&d.Answer, &d.Note, &d.Change} {
		if *f == nil {
			*f = &ui.Form{Values: url.Values{}, Once: v.Form().Once}
		}
	}
	list, err := p.ops.Canned.Call(v.Ctx(), support.CannedListRequest{Page: licensing.Page{Limit: 100}, Ticket: thread.ID})
	if err != nil && licensing.KindOf(err) != licensing.Forbidden { // who may only read answers nothing
		return err
	}
	d.Canned = list.Items // with the placeholders filled in
	staff, err := p.ops.Staff.Call(v.Ctx(), account.ListStaffRequest{})
	if err != nil && licensing.KindOf(err) != licensing.Forbidden { // support may assign to itself alone
		return err
	}
	d.Staff = staff.Items
	for _, c := range d.Canned {
		if c.ID == canned {
			d.Answer.Default("body", c.Body)
		}
	}
	d.Change.Default("status", string(thread.Status))
	d.Change.Default("priority", string(thread.Priority))
	d.Change.Default("assignee", thread.Assignee)
	return v.Show(workPage(v.Frame(thread.Subject), d))
}

// assignees are the choices of who answers: nobody, oneself, whoever answers now, and the staff as far as the visitor may see it.
func (d desked) assignees(me string) []ui.Option {
	out := []ui.Option{{Value: "", Name: "Nobody"}, {Value: me, Name: "Me"}}
	known := map[string]bool{me: true, "": true}
	for _, s := range d.Staff {
		if !known[s.ID] {
			known[s.ID] = true
			out = append(out, ui.Option{Value: s.ID, Name: s.Email})
		}
	}
	if a := d.Thread.Assignee; !known[a] {
		out = append(out, ui.Option{Value: a, Name: "As it is"})
	}
	return out
}

func (p *pages) answer(v *site.Visit) error {
	f := v.Form()
	files, err := p.take(v, v.Param("id"), "")
	if err == nil {
		_, err = p.ops.Answer.Call(v.Ctx(), support.AnswerRequest{ID: v.Param("id"), Version: f.Int("version", 0), Body: f.Text("body"),
			Status: support.Status(f.Text("status")), Attachments: files})
	}
	if err == nil {
		return v.Go("/admin/tickets/"+v.Param("id"), "good", "The answer is on its way.")
	}
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	return p.showWork(v, desked{Answer: f}, "")
}

func (p *pages) note(v *site.Visit) error {
	f := v.Form()
	_, err := p.ops.Note.Call(v.Ctx(), support.NoteRequest{ID: v.Param("id"), Body: f.Text("body")})
	if err == nil {
		return v.Go("/admin/tickets/"+v.Param("id"), "good", "The note is kept. No customer sees it.")
	}
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	return p.showWork(v, desked{Note: f}, "")
}

func (p *pages) change(v *site.Visit) error {
	f := v.Form()
	status, priority, assignee := support.Status(f.Text("status")), support.Priority(f.Text("priority")), f.Text("assignee")
	_, err := p.ops.Update.Call(v.Ctx(), support.UpdateRequest{ID: v.Param("id"), Version: f.Int("version", 0), Status: &status, Priority: &priority, Assignee: &assignee})
	if err == nil {
		return v.Go("/admin/tickets/"+v.Param("id"), "good", "The ticket is changed.")
	}
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	return p.showWork(v, desked{Change: f}, "")
}

// whyAccess leads staff to why the customer of a ticket has access or not, by the nearest thing that the ticket names.
func whyAccess(license, order, email string) string {
	for _, by := range [][2]string{{"license", license}, {"order", order}, {"email", email}} {
		if by[1] != "" {
			return "/admin/access?" + by[0] + "=" + url.QueryEscape(by[1])
		}
	}
	return "/admin/access"
}
