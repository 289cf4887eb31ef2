package support

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// View is a ticket in a list. Assignee and priority are shown to staff alone.
type View struct {
	ID           string     `json:"id" doc:"The ticket."`
	Number       string     `json:"number" doc:"Its number, for people." example:"7K2M9QXD"`
	Subject      string     `json:"subject" doc:"What it is about."`
	Status       Status     `json:"status" doc:"Where it stands; pending waits for the customer." enum:"open,pending,solved,closed"`
	Priority     Priority   `json:"priority,omitempty" doc:"How urgent it is; for staff." enum:"low,normal,high,urgent"`
	Owner        string     `json:"owner,omitempty" doc:"Customer or organisation whose ticket it is; absent for a guest's."`
	Email        string     `json:"email" doc:"Address of who asked."`
	Name         string     `json:"name,omitempty" doc:"Name of who asked."`
	Order        string     `json:"order,omitempty" doc:"The order it is about."`
	License      string     `json:"license,omitempty" doc:"The license it is about."`
	Product      string     `json:"product,omitempty" doc:"Id of the product it is about."`
	Assignee     string     `json:"assignee,omitempty" doc:"Person who answers; for staff."`
	FirstReplyAt *time.Time `json:"first_reply_at,omitempty" doc:"When staff first answered."`
	WaitingSince *time.Time `json:"waiting_since,omitempty" doc:"When the customer wrote the first message that is not answered yet."`
	Version      int64      `json:"version" doc:"Counts changes; changes by staff name it."`
	CreatedAt    time.Time  `json:"created_at" doc:"When it was opened."`
	UpdatedAt    time.Time  `json:"updated_at" doc:"When it last changed."`
}

// FileView is an attachment.
type FileView struct {
	ID     string `json:"id" doc:"The file; its bytes are at /v1/ticket-attachments/{id}."`
	Name   string `json:"name" doc:"Its name."`
	Type   string `json:"type" doc:"Media type, found by looking at its content; application/octet-stream for what is not known to be harmless."`
	Size   int64  `json:"size" doc:"Size in bytes."`
	SHA256 string `json:"sha256" doc:"SHA-256 of its content, in hex."`
}

// MessageView is a message. Texts are plain, never HTML.
type MessageView struct {
	ID       string     `json:"id" doc:"The message."`
	From     Author     `json:"from" doc:"Who wrote it." enum:"customer,staff,system"`
	Name     string     `json:"name,omitempty" doc:"Name of who wrote it, as it was then."`
	Internal bool       `json:"internal,omitempty" doc:"A note among staff, which no customer sees."`
	Body     string     `json:"body" doc:"The text, plain."`
	Original string     `json:"original,omitempty" doc:"What came by mail before quotes and signature were taken off; for staff."`
	Mail     bool       `json:"mail,omitempty" doc:"It came by mail."`
	At       time.Time  `json:"at" doc:"When it was written."`
	Files    []FileView `json:"files" doc:"Its attachments."`
}

// Thread is a ticket with its messages, oldest first.
type Thread struct {
	View
	Messages []MessageView `json:"messages" doc:"What was written, oldest first."`
}

func (t *Ticket) view(staff bool) View {
	v := View{ID: t.ID, Number: t.Number, Subject: t.Subject, Status: t.Status, Owner: string(t.Owner), Email: t.Email, Name: t.Name, Order: t.OrderID, License: t.LicenseID,
		Product: t.ProductID, Version: t.Row, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, FirstReplyAt: pointer(t.FirstReplyAt), WaitingSince: pointer(t.WaitingSince)}
	if staff {
		v.Priority, v.Assignee = t.Priority, t.Assignee
	}
	return v
}

func pointer(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

func (f *File) view() FileView {
	return FileView{ID: f.ID, Name: f.Name, Type: f.MediaType, Size: f.Size, SHA256: hex.EncodeToString(f.SHA256)}
}

func (m *Message) view(staff bool) MessageView {
	v := MessageView{ID: m.ID, From: m.From, Name: m.Name, Internal: m.Internal, Body: m.Body, Mail: m.Mail, At: m.At, Files: make([]FileView, len(m.Files))}
	if staff {
		v.Original = m.Original
	}
	for i := range m.Files {
		v.Files[i] = m.Files[i].view()
	}
	return v
}

// thread shows a ticket to staff, or to its customer: the query itself leaves notes out.
func (s *Service) thread(ctx context.Context, t Ticket, staff bool) (Thread, error) {
	messages, err := s.Threads.Messages(ctx, t.ID, staff)
	return viewThread(&t, messages, staff), err
}

func viewThread(t *Ticket, messages []Message, staff bool) Thread {
	out := Thread{View: t.view(staff), Messages: make([]MessageView, len(messages))}
	for i := range messages {
		out.Messages[i] = messages[i].view(staff)
	}
	return out
}

// show is thread for whoever calls. Who came by an access code sees what the customer sees.
func (s *Service) show(ctx context.Context, t Ticket, access string) (Thread, error) {
	return s.thread(ctx, t, access == "" && isStaff(licensing.ActorFrom(ctx)))
}

// Again answers a replay of an operation whose result is a ticket that the caller was let see.
func (s *Service) Again(ctx context.Context, id, _ string) (Thread, error) {
	t, err := s.Store.Ticket(ctx, id)
	if err != nil {
		return Thread{}, err
	}
	return s.show(ctx, t, "")
}

// CreateRequest asks for help.
type CreateRequest struct {
	Subject     string   `json:"subject" doc:"What it is about, one line of at most 200 characters." example:"The export stops half way"`
	Body        string   `json:"body" doc:"The question, plain text of at most 20000 characters."`
	Email       string   `json:"email,omitempty" doc:"Address to answer to; needed of who is not signed in." example:"ada@example.com"`
	Name        string   `json:"name,omitempty" doc:"Name to be addressed by, of who is not signed in; at most 100 characters."`
	Order       string   `json:"order,omitempty" doc:"One's own order that it is about; of who is signed in."`
	License     string   `json:"license,omitempty" doc:"One's own license that it is about; of who is signed in."`
	Attachments []string `json:"attachments,omitempty" doc:"Ids of files that were uploaded for it, at most ten."`
}

// Validate implements the check of requests.
func (r CreateRequest) Validate() error {
	return failing(checkFiles(checkPerson(checkBody(checkSubject(errTicket, r.Subject), r.Body), r.Name), r.Attachments))
}

// Created is the answer to a new ticket. It does not open the ticket: what leads a guest there goes to the mailbox.
type Created struct {
	ID      string `json:"id" doc:"The ticket."`
	Number  string `json:"number" doc:"Its number, for people." example:"7K2M9QXD"`
	Message string `json:"message" doc:"What happens next."`
}

func created(t *Ticket) Created {
	c := Created{ID: t.ID, Number: t.Number, Message: "We answer by mail to the address that you gave; the mail has a link to this ticket."}
	if t.Owner != "" {
		c.Message = "We answer here and by mail."
	}
	return c
}

// CreatedAgain answers a replay of Create.
func (s *Service) CreatedAgain(ctx context.Context, id, _ string) (Created, error) {
	t, err := s.Store.Ticket(ctx, id)
	return created(&t), err
}

// Create opens a ticket for a customer, or for a guest under an address. A mail confirms it; to a guest it brings the link. It repeats nothing of
// what was written, since anybody can write under anybody's address.
func (s *Service) Create(ctx context.Context, r CreateRequest) (Created, error) {
	t := Ticket{ID: s.IDs.New("tkt"), Subject: line(r.Subject)}
	p, c, signedIn, err := s.party(ctx)
	if err != nil {
		return Created{}, err
	}
	if signedIn {
		t.Owner, t.Requester, t.Email, t.Name = p.Owner, c.ID, c.Email, c.Name
	} else if err := s.guest(&t, r); err != nil {
		return Created{}, err
	}
	if err := s.linkTo(ctx, &t, p, r.Order, r.License); err != nil {
		return Created{}, err
	}
	if err := s.Switches.Check(ctx, licensing.SwitchSupport, t.ProductID); err != nil {
		return Created{}, err
	}
	if err := s.slowCreation(ctx, &t); err != nil {
		return Created{}, err
	}
	m := s.wrote(&t, clean(r.Body))
	err = s.add(ctx, &t, &m, r.Attachments, true)
	return created(&t), err
}

// guest fills in who asks without an account.
func (s *Service) guest(t *Ticket, r CreateRequest) (err error) {
	if r.Email == "" {
		return errTicket.With("/email", "is needed of who is not signed in")
	}
	if r.Order != "" || r.License != "" {
		return errTicket.With("/order", "sign in to name an order or license of yours")
	}
	if t.Email, err = s.Normal(r.Email); err != nil {
		return err
	}
	t.Name = line(r.Name)
	return s.openTo(t)
}

// openTo gives a guest's ticket an access code.
func (s *Service) openTo(t *Ticket) (err error) {
	code := newSecret()
	t.AccessHash = digest(code)
	t.Access, err = s.Seal.Seal([]byte(code), accessPlace(t.ID))
	return err
}

// linkTo links a ticket to an order and a license of the party's own.
func (s *Service) linkTo(ctx context.Context, t *Ticket, p Party, order, license string) error {
	product := ""
	for _, link := range []struct {
		id, field string
		into      *string
		own       func(context.Context, string, Party) (string, error)
	}{{order, "/order", &t.OrderID, s.Records.OwnOrder}, {license, "/license", &t.LicenseID, s.Records.OwnLicense}} {
		*link.into = link.id
		if link.id == "" {
			continue
		}
		of, err := link.own(ctx, link.id, p)
		if errors.Is(err, licensing.ErrNotFound) {
			return errTicket.With(link.field, "is not one of who asked")
		}
		if err != nil {
			return err
		}
		if of != "" {
			product = of
		}
	}
	t.ProductID = product
	return nil
}

// slowCreation counts new tickets by where they come from and by who asks. Staff who open one for somebody are not counted.
func (s *Service) slowCreation(ctx context.Context, t *Ticket) error {
	if isStaff(licensing.ActorFrom(ctx)) {
		return nil
	}
	if err := s.slow(ctx, "create-from", s.From(ctx), 20, time.Hour); err != nil {
		return err
	}
	if t.Owner != "" {
		return s.slow(ctx, "create-owner", string(t.Owner), 20, time.Hour)
	}
	return s.slow(ctx, "create-email", t.Email, 5, time.Hour)
}

// wrote is a message by who asked.
func (s *Service) wrote(t *Ticket, body string) Message {
	return Message{ID: s.IDs.New("tms"), TicketID: t.ID, From: FromCustomer, AuthorID: t.Requester, Name: t.Name, Body: body, At: s.Clock.Now()}
}

// add stores a new ticket with its first message. Told says whether the customer gets a mail that it has arrived.
func (s *Service) add(ctx context.Context, t *Ticket, m *Message, attach []string, told bool) error {
	t.Status, t.Priority, t.Row = Open, Normal, 1
	t.CreatedAt, t.UpdatedAt, t.WaitingSince = m.At, m.At, m.At
	for range retries {
		t.Number = newNumber()
		t.Search = t.searchable()
		st := step{message: m, attach: attach}
		var err error
		if st.mails, err = s.toAgents(ctx, t, m.ID, mailText(m.Body)); err != nil {
			return err
		}
		if told {
			mail, err := s.toCustomer(t, MailReceived, m.ID, 1)
			if err != nil {
				return err
			}
			mail.Topic = ""
			st.mails = append(st.mails, mail)
		}
		err = s.Tx.InTx(ctx, func(ctx context.Context) error { return s.store(ctx, t, st) })
		if !errors.Is(err, errNumber) {
			return err
		}
	}
	return errNumber
}

var errNumber = errors.New("support: the number is taken")

func (s *Service) store(ctx context.Context, t *Ticket, st step) error {
	added, err := s.Store.AddTicket(ctx, *t)
	if err != nil {
		return err
	}
	if !added {
		return errNumber
	}
	if err := s.Audit.Record(ctx, licensing.Event{Action: "ticket.create", Target: t.ID, Product: t.ProductID, Detail: map[string]any{"guest": t.Owner == "", "mail": st.message.Mail}}); err != nil {
		return err
	}
	return s.deliver(ctx, st)
}

// GetRequest names a ticket.
type GetRequest struct {
	ID     string `path:"id" doc:"The ticket."`
	Access string `query:"access" doc:"Access code of the mailed link; needed by guests."`
}

// Get returns a ticket with its messages. Customers and guests see no notes.
func (s *Service) Get(ctx context.Context, r GetRequest) (Thread, error) {
	if r.Access == "" && isStaff(licensing.ActorFrom(ctx)) {
		t, messages, err := s.Threads.Whole(ctx, r.ID)
		if err != nil {
			return Thread{}, err
		}
		return viewThread(&t, messages, true), nil
	}
	t, err := s.find(ctx, r.ID, r.Access)
	if err != nil {
		return Thread{}, err
	}
	return s.show(ctx, t, r.Access)
}

// ListRequest narrows the list. Customers see their own whatever they ask for, and only status counts.
type ListRequest struct {
	licensing.Page
	Status   Status   `query:"status" doc:"Only tickets in this status." enum:"open,pending,solved,closed"`
	Priority Priority `query:"priority" doc:"Only tickets of this priority; for staff." enum:"low,normal,high,urgent"`
	Assignee string   `query:"assignee" doc:"Only tickets of this person, by id; me, or unassigned; for staff."`
	Owner    string   `query:"owner" doc:"Only tickets of this customer or organisation; for staff."`
	Email    string   `query:"email" doc:"Only tickets asked from this address; for staff."`
	Q        string   `query:"q" doc:"Only tickets with all of these words in number, subject, name or address; for staff. The first eight words count. White space alone is no search."`
}

// List returns the tickets of the caller, newest first; to staff all tickets, those whose customer waits first.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	a := licensing.ActorFrom(ctx)
	staff := isStaff(a)
	var page licensing.List[Ticket]
	if staff {
		f := Filter{Status: r.Status, Priority: r.Priority, Assignee: r.Assignee, Owner: licensing.Owner(r.Owner), Email: r.Email, Words: words(r.Q)}
		switch {
		case r.Assignee == "me":
			f.Assignee = a.ID
		case r.Assignee == "unassigned":
			f.Assignee, f.Unassigned = "", true
		}
		var err error
		if page, err = s.Store.Tickets(ctx, f, r.Page); err != nil {
			return licensing.List[View]{}, err
		}
	} else {
		p, _, ok, err := s.party(ctx)
		if err != nil {
			return licensing.List[View]{}, err
		}
		if !ok {
			return licensing.List[View]{}, licensing.ErrNotFound
		}
		if page, err = s.Store.TicketsOf(ctx, p, r.Status, r.Page); err != nil {
			return licensing.List[View]{}, err
		}
	}
	out := licensing.List[View]{Items: make([]View, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].view(staff)
	}
	return out, nil
}

// QueueRequest asks how much there is to do.
type QueueRequest struct{}

// QueueView is how much there is to do.
type QueueView struct {
	Open          int64      `json:"open" doc:"Tickets that are open."`
	Pending       int64      `json:"pending" doc:"Tickets that wait for their customer."`
	Unassigned    int64      `json:"unassigned" doc:"Open tickets of nobody."`
	Waiting       int64      `json:"waiting" doc:"Tickets whose customer waits for an answer."`
	OldestWaiting *time.Time `json:"oldest_waiting_since,omitempty" doc:"Since when the one who waits longest waits; absent when nobody does."`
}

// Queue counts what there is to do.
func (s *Service) Queue(ctx context.Context, _ QueueRequest) (QueueView, error) {
	q, err := s.Store.Queue(ctx)
	return QueueView{Open: q.Open, Pending: q.Pending, Unassigned: q.Unassigned, Waiting: q.Waiting, OldestWaiting: pointer(q.OldestWaiting)}, err
}
