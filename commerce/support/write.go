package support

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// asked notes that the customer wrote: the ticket is open again, and waits since the first message that nobody answered.
func (t *Ticket) asked(at time.Time) {
	t.Status = Open
	if t.WaitingSince.IsZero() {
		t.WaitingSince = at
	}
}

// answered notes a public answer of staff, after which the ticket stands at to.
func (t *Ticket) answered(at time.Time, to Status) {
	t.Status, t.WaitingSince = to, time.Time{}
	if t.FirstReplyAt.IsZero() {
		t.FirstReplyAt = at
	}
}

// ReplyRequest adds a message of the customer.
type ReplyRequest struct {
	ID          string   `path:"id" doc:"The ticket."`
	Access      string   `json:"access,omitempty" doc:"Access code of the mailed link; needed by guests."`
	Body        string   `json:"body" doc:"The message, plain text of at most 20000 characters."`
	Attachments []string `json:"attachments,omitempty" doc:"Ids of files that were uploaded for it, at most ten."`
}

// Validate implements the check of requests.
func (r ReplyRequest) Validate() error {
	return failing(checkFiles(checkBody(errTicket, r.Body), r.Attachments))
}

// asCustomer finds a ticket as its customer or guest would: staff have their own way to write.
func (s *Service) asCustomer(ctx context.Context, id, access string) (Ticket, error) {
	if access == "" && isStaff(licensing.ActorFrom(ctx)) {
		return Ticket{}, licensing.ErrNotFound
	}
	return s.find(ctx, id, access)
}

// Reply adds a message of the customer, which opens the ticket again.
func (s *Service) Reply(ctx context.Context, r ReplyRequest) (Thread, error) {
	load := func(ctx context.Context) (Ticket, error) { return s.asCustomer(ctx, r.ID, r.Access) }
	t, err := load(ctx)
	if err != nil {
		return Thread{}, err
	}
	if err := s.Switches.Check(ctx, licensing.SwitchSupport, t.ProductID); err != nil {
		return Thread{}, err
	}
	if err := s.slow(ctx, "reply", t.ID, 60, time.Hour); err != nil {
		return Thread{}, err
	}
	m := s.wrote(&t, clean(r.Body))
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Customer && a.ID != t.Requester { // another member of the organisation
		c, err := s.People.Contact(ctx, a.ID)
		if err != nil {
			return Thread{}, err
		}
		m.AuthorID, m.Name = c.ID, c.Name
	}
	if t, err = s.replied(ctx, load, &m, r.Attachments); err != nil {
		return Thread{}, err
	}
	return s.show(ctx, t, r.Access)
}

// replied adds a message of the customer on top of whatever happened meanwhile.
func (s *Service) replied(ctx context.Context, load func(context.Context) (Ticket, error), m *Message, attach []string) (Ticket, error) {
	return s.change(ctx, load, 0, func(ctx context.Context, t *Ticket) (step, error) {
		if err := s.room(ctx, t); err != nil {
			return step{}, err
		}
		t.asked(m.At)
		t.UpdatedAt = m.At
		mails, err := s.toAgents(ctx, t, m.ID, mailText(m.Body))
		return step{message: m, attach: attach, mails: mails, event: licensing.Event{Action: "ticket.reply", Detail: map[string]any{"message": m.ID, "mail": m.Mail}}}, err
	})
}

// room refuses a message too many.
func (s *Service) room(ctx context.Context, t *Ticket) error {
	n, err := s.Threads.CountMessages(ctx, t.ID)
	if err == nil && n >= maxMessages {
		err = ErrFull
	}
	return err
}

// CloseRequest closes one's own ticket.
type CloseRequest struct {
	ID     string `path:"id" doc:"The ticket."`
	Access string `json:"access,omitempty" doc:"Access code of the mailed link; needed by guests."`
}

// Close ends a ticket for its customer. Writing in it opens it again.
func (s *Service) Close(ctx context.Context, r CloseRequest) (Thread, error) {
	load := func(ctx context.Context) (Ticket, error) { return s.asCustomer(ctx, r.ID, r.Access) }
	now := s.Clock.Now()
	t, err := s.change(ctx, load, 0, func(_ context.Context, t *Ticket) (step, error) {
		if t.Status == Closed {
			return step{}, ErrClosed
		}
		t.Status, t.WaitingSince, t.UpdatedAt = Closed, time.Time{}, now
		return step{message: s.said(t, "Closed by the customer.", now), event: licensing.Event{Action: "ticket.close"}}, nil
	})
	if err != nil {
		return Thread{}, err
	}
	return s.show(ctx, t, r.Access)
}

// said is a message of the system, seen by all.
func (s *Service) said(t *Ticket, text string, at time.Time) *Message {
	return &Message{ID: s.IDs.New("tms"), TicketID: t.ID, From: FromSystem, Body: text, At: at}
}

// AnswerRequest answers a customer.
type AnswerRequest struct {
	ID          string   `path:"id" doc:"The ticket."`
	Version     int64    `json:"version" doc:"Version of the ticket that was looked at."`
	Body        string   `json:"body" doc:"The answer, plain text of at most 20000 characters."`
	Status      Status   `json:"status,omitempty" doc:"Where the ticket stands afterwards; pending unless said." enum:"open,pending,solved,closed"`
	Attachments []string `json:"attachments,omitempty" doc:"Ids of files that were uploaded for it, at most ten."`
}

func checkVersion(err *licensing.Error, v int64) *licensing.Error {
	if v < 1 {
		return err.With("/version", "must be the version of the ticket that was looked at")
	}
	return err
}

func checkStatus(err *licensing.Error, st Status) *licensing.Error {
	if !slices.Contains([]Status{"", Open, Pending, Solved, Closed}, st) {
		return err.With("/status", "must be open, pending, solved or closed")
	}
	return err
}

// Validate implements the check of requests.
func (r AnswerRequest) Validate() error {
	return failing(checkStatus(checkVersion(checkFiles(checkBody(errTicket, r.Body), r.Attachments), r.Version), r.Status))
}

// Answer adds a public answer of staff and mails it to who asked.
func (s *Service) Answer(ctx context.Context, r AnswerRequest) (Thread, error) {
	me, err := s.me(ctx)
	if err != nil {
		return Thread{}, err
	}
	to := r.Status
	if to == "" {
		to = Pending
	}
	now := s.Clock.Now()
	m := Message{ID: s.IDs.New("tms"), TicketID: r.ID, From: FromStaff, AuthorID: me.ID, Name: me.Name, Body: clean(r.Body), At: now}
	t, err := s.change(ctx, s.byID(r.ID), r.Version, func(ctx context.Context, t *Ticket) (step, error) {
		if err := s.room(ctx, t); err != nil {
			return step{}, err
		}
		t.answered(now, to)
		t.UpdatedAt = now
		if t.Assignee == "" && answers(me.Role) {
			t.Assignee = me.ID
		}
		st := step{message: &m, attach: r.Attachments, event: licensing.Event{Action: "ticket.answer", Detail: map[string]any{"message": m.ID, "status": to}}}
		if t.Email == "" { // erased: there is nobody to write to
			return st, nil
		}
		mail, err := s.toCustomer(t, MailReply, m.ID, 1)
		mail.Text = mailText(m.Body)
		if to == Solved || to == Closed {
			mail.Note = "We think that this is solved. If it is not, just answer."
		}
		st.mails = []Mail{mail}
		return st, err
	})
	if err != nil {
		return Thread{}, err
	}
	return s.thread(ctx, t, true)
}

// byID loads by id alone, for staff.
func (s *Service) byID(id string) func(context.Context) (Ticket, error) {
	return func(ctx context.Context) (Ticket, error) { return s.Store.Ticket(ctx, id) }
}

// NoteRequest adds a note.
type NoteRequest struct {
	ID          string   `path:"id" doc:"The ticket."`
	Body        string   `json:"body" doc:"The note, plain text of at most 20000 characters."`
	Attachments []string `json:"attachments,omitempty" doc:"Ids of files that were uploaded for it, at most ten."`
}

// Validate implements the check of requests.
func (r NoteRequest) Validate() error {
	return failing(checkFiles(checkBody(errTicket, r.Body), r.Attachments))
}

// Note adds a note that only staff see. It changes neither the status nor how long the customer has waited.
func (s *Service) Note(ctx context.Context, r NoteRequest) (Thread, error) {
	me, err := s.me(ctx)
	if err != nil {
		return Thread{}, err
	}
	m := Message{ID: s.IDs.New("tms"), TicketID: r.ID, From: FromStaff, AuthorID: me.ID, Name: me.Name, Internal: true, Body: clean(r.Body), At: s.Clock.Now()}
	t, err := s.change(ctx, s.byID(r.ID), 0, func(ctx context.Context, t *Ticket) (step, error) {
		t.UpdatedAt = m.At
		return step{message: &m, attach: r.Attachments, event: licensing.Event{Action: "ticket.note", Detail: map[string]any{"message": m.ID}}}, s.room(ctx, t)
	})
	if err != nil {
		return Thread{}, err
	}
	return s.thread(ctx, t, true)
}

// UpdateRequest changes what stands around the messages. Absent members stay as they are.
type UpdateRequest struct {
	ID       string    `path:"id" doc:"The ticket."`
	Version  int64     `json:"version" doc:"Version of the ticket that was looked at."`
	Status   *Status   `json:"status,omitempty" doc:"Where it stands." enum:"open,pending,solved,closed"`
	Priority *Priority `json:"priority,omitempty" doc:"How urgent it is." enum:"low,normal,high,urgent"`
	Assignee *string   `json:"assignee,omitempty" doc:"Id of the person who answers; empty for nobody."`
	Subject  *string   `json:"subject,omitempty" doc:"What it is about, one line of at most 200 characters."`
	Order    *string   `json:"order,omitempty" doc:"Order of who asked that it is about; empty for none."`
	License  *string   `json:"license,omitempty" doc:"License of who asked that it is about; empty for none."`
}

// Validate implements the check of requests.
func (r UpdateRequest) Validate() error {
	err := checkVersion(errTicket, r.Version)
	if r.Subject != nil {
		err = checkSubject(err, *r.Subject)
	}
	if r.Status != nil {
		err = checkStatus(err, *r.Status)
	}
	if r.Status != nil && *r.Status == "" {
		err = err.With("/status", "must not be empty")
	}
	if r.Priority != nil && !slices.Contains([]Priority{Low, Normal, High, Urgent}, *r.Priority) {
		err = err.With("/priority", "must be low, normal, high or urgent")
	}
	return failing(err)
}

// Update changes status, priority, assignee, subject and links. Who asked is told when it is solved, an assignee when somebody else gives it to
// them.
func (s *Service) Update(ctx context.Context, r UpdateRequest) (Thread, error) {
	assignee, err := s.assignee(ctx, r.Assignee)
	if err != nil {
		return Thread{}, err
	}
	t, err := s.change(ctx, s.byID(r.ID), r.Version, func(ctx context.Context, t *Ticket) (step, error) {
		was := *t
		if err := s.apply(ctx, t, r); err != nil {
			return step{}, err
		}
		t.UpdatedAt, t.Search = s.Clock.Now(), t.searchable()
		mails, err := s.tellOf(ctx, &was, t, assignee)
		return step{mails: mails, event: licensing.Event{Action: "ticket.update", Detail: difference(&was, t)}}, err
	})
	if err != nil {
		return Thread{}, err
	}
	return s.thread(ctx, t, true)
}

// assignee is who a ticket is to be given to; the zero Contact for nobody.
func (s *Service) assignee(ctx context.Context, id *string) (Contact, error) {
	if id == nil || *id == "" {
		return Contact{}, nil
	}
	c, err := s.People.Contact(ctx, *id)
	if errors.Is(err, licensing.ErrNotFound) || err == nil && !answers(c.Role) {
		return Contact{}, errTicket.With("/assignee", "must be somebody of the staff who answers tickets")
	}
	return c, err
}

func (s *Service) apply(ctx context.Context, t *Ticket, r UpdateRequest) error {
	if r.Status != nil {
		t.Status = *r.Status
		if t.Status == Solved || t.Status == Closed {
			t.WaitingSince = time.Time{}
		}
	}
	if r.Priority != nil {
		t.Priority = *r.Priority
	}
	if r.Assignee != nil {
		t.Assignee = *r.Assignee
	}
	if r.Subject != nil {
		t.Subject = line(*r.Subject)
	}
	if r.Order == nil && r.License == nil {
		return nil
	}
	order, license := t.OrderID, t.LicenseID
	if r.Order != nil {
		order = *r.Order
	}
	if r.License != nil {
		license = *r.License
	}
	p := Party{Owner: t.Owner}
	if t.Owner == "" {
		p.Email = t.Email
	}
	return s.linkTo(ctx, t, p, order, license)
}

// tellOf makes the mails of an update.
func (s *Service) tellOf(ctx context.Context, was, t *Ticket, assignee Contact) ([]Mail, error) {
	var mails []Mail
	if t.Status == Solved && was.Status != Solved && t.Email != "" {
		m, err := s.toCustomer(t, MailSolved, t.ID, t.Row+1)
		if err != nil {
			return nil, err
		}
		mails = append(mails, m)
	}
	if assignee.ID != "" && assignee.ID != was.Assignee && assignee.ID != licensing.ActorFrom(ctx).ID {
		mails = append(mails, Mail{Template: MailAssigned, About: t.ID, Epoch: t.Row + 1, To: assignee.Email, Name: assignee.Name, Number: t.Number, Topic: t.Subject,
			Link: s.BaseURL + "/admin/tickets/" + t.ID})
	}
	return mails, nil
}

// difference is what an update changed, for the audit trail: without what people wrote.
func difference(was, t *Ticket) map[string]any {
	out := map[string]any{}
	for name, pair := range map[string][2]string{"status": {string(was.Status), string(t.Status)}, "priority": {string(was.Priority), string(t.Priority)},
		"assignee": {was.Assignee, t.Assignee}, "order": {was.OrderID, t.OrderID}, "license": {was.LicenseID, t.LicenseID}} {
		if pair[0] != pair[1] {
			out[name] = pair[1]
		}
	}
	if was.Subject != t.Subject {
		out["subject"] = "changed"
	}
	return out
}
