package support

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Deps is what a [Service] is made of. All members but Log, From and Own are required.
type Deps struct {
	Store    Store
	Threads  Threads
	Files    Files
	Records  Records
	Library  Library
	People   People
	Notices  Notices
	Blobs    Blobs
	Seal     licensing.Sealer
	Throttle Throttle
	Clock    licensing.Clock
	IDs      licensing.IDs
	Tx       licensing.Transactor
	Audit    licensing.Auditor
	Switches licensing.Switches
	// Normal is the form of an e-mail address by which it is compared, or an error of kind [licensing.Invalid].
	Normal func(email string) (string, error)
	// BaseURL is where customers reach the service, without a slash at its end.
	BaseURL string
	// Own is the address that our own mail comes from; mail from it is never taken for a customer's.
	Own string
	Log *slog.Logger
	// From tells where a request comes from, as attempts are counted; "" if not known.
	From func(ctx context.Context) string
}

// Bounds.
const (
	maxMessages = 500
	maxAttached = 10
	// retries is how often a customer's change is put on top of somebody else's.
	retries = 12
)

// Service answers for tickets and the FAQ. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.From == nil {
		d.From = func(context.Context) string { return "" }
	}
	return &Service{d}
}

// isStaff reports whether a caller sees every ticket, notes included.
func isStaff(a licensing.Actor) bool {
	switch a.Kind {
	case licensing.CLI, licensing.System:
		return true
	case licensing.Staff:
		switch a.Role {
		case licensing.RoleOwner, licensing.RoleAdmin, licensing.RoleSupport, licensing.RoleAuditor:
			return true
		}
	}
	return false
}

// answers reports whether people of a role answer tickets, so that one can be assigned to them.
func answers(r licensing.Role) bool {
	return r == licensing.RoleOwner || r == licensing.RoleAdmin || r == licensing.RoleSupport
}

// party is the caller as a customer; false for everybody else.
func (s *Service) party(ctx context.Context) (Party, Contact, bool, error) {
	a := licensing.ActorFrom(ctx)
	if a.Kind != licensing.Customer || a.Owner == "" {
		return Party{}, Contact{}, false, nil
	}
	c, err := s.People.Contact(ctx, a.ID)
	if err != nil {
		return Party{}, c, false, err
	}
	return Party{Owner: a.Owner, Email: c.Email}, c, true, nil
}

// find loads a ticket for whoever calls: by its access code, as its customer, or by id alone for staff. Everything else is
// [licensing.ErrNotFound].
func (s *Service) find(ctx context.Context, id, access string) (Ticket, error) {
	if access != "" {
		return s.Store.TicketByAccess(ctx, id, digest(access))
	}
	if isStaff(licensing.ActorFrom(ctx)) {
		return s.Store.Ticket(ctx, id)
	}
	p, _, ok, err := s.party(ctx)
	if err != nil {
		return Ticket{}, err
	}
	if !ok {
		return Ticket{}, licensing.ErrNotFound
	}
	return s.Store.TicketOf(ctx, id, p)
}

// step is what a change does beside changing the ticket.
type step struct {
	message *Message // to be added, nil for none
	attach  []string // files for it
	mails   []Mail
	event   licensing.Event // its target is the ticket
}

// change loads a ticket, lets edit change it, and writes all of it in one transaction. When version is not 0 the ticket must have it; otherwise
// the change is made again on top of whatever happened meanwhile.
func (s *Service) change(ctx context.Context, load func(context.Context) (Ticket, error), version int64, edit func(ctx context.Context, t *Ticket) (step, error)) (Ticket, error) {
	for range retries {
		t, err := load(ctx)
		switch {
		case err != nil:
			return t, err
		case version != 0 && t.Row != version:
			return t, ErrChanged
		}
		st, err := edit(ctx, &t)
		if err != nil {
			return t, err
		}
		t.Row++
		err = s.Tx.InTx(ctx, func(ctx context.Context) error { return s.commit(ctx, t, st) })
		if !errors.Is(err, ErrChanged) || version != 0 {
			return t, err
		}
	}
	return Ticket{}, ErrChanged
}

func (s *Service) commit(ctx context.Context, t Ticket, st step) error {
	ok, err := s.Store.SaveTicket(ctx, t)
	if err != nil {
		return err
	}
	if !ok {
		return ErrChanged
	}
	st.event.Target, st.event.Product = t.ID, t.ProductID
	if err := s.Audit.Record(ctx, st.event); err != nil {
		return err
	}
	return s.deliver(ctx, st)
}

// deliver adds the message of a step with its files, and queues its mails.
func (s *Service) deliver(ctx context.Context, st step) error {
	if m := st.message; m != nil {
		added, err := s.Threads.AddMessage(ctx, *m)
		if err != nil {
			return err
		}
		if !added {
			return errSeen
		}
		for _, id := range st.attach {
			ok, err := s.Files.TakeFile(ctx, id, uploader(ctx), m.TicketID, m.ID)
			if err != nil {
				return err
			}
			if !ok {
				return ErrAttachment
			}
		}
	}
	for _, m := range st.mails {
		if err := s.Notices.Queue(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// errSeen says that a mail became a message before.
var errSeen = errors.New("support: the mail is known already")

// uploader names who uploads a file or attaches it. Guests are one; what keeps their files apart is the ticket, or an id that nobody else knows.
func uploader(ctx context.Context) string {
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Customer || isStaff(a) {
		return a.String()
	}
	return string(licensing.Anonymous)
}

// me is the caller as the author of a message.
func (s *Service) me(ctx context.Context) (Contact, error) {
	a := licensing.ActorFrom(ctx)
	if a.Kind != licensing.Staff && a.Kind != licensing.Customer {
		return Contact{ID: a.String()}, nil
	}
	return s.People.Contact(ctx, a.ID)
}

// slow counts an attempt and refuses when there were too many. A key that is not known is not counted.
func (s *Service) slow(ctx context.Context, what, key string, count int64, period time.Duration) error {
	if key == "" {
		return nil
	}
	wait, err := s.Throttle.Allow(ctx, "support:"+what+":"+key, count, period)
	if err == nil && wait > 0 {
		err = ErrSlow.After(wait)
	}
	return err
}

func digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func newSecret() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// newNumber draws a ticket's number: 40 bits in Crockford's alphabet, which has no letters that look like digits.
func newNumber() string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return string(b)
}

func accessPlace(id string) string { return "ticket/" + id + "/access" }

// link is the page of a ticket for who asked; a guest's holds the access code, so it goes into mail to him and nowhere else.
func (s *Service) link(t *Ticket) (string, error) {
	at := s.BaseURL + "/tickets/" + t.ID
	if t.Access == nil {
		return at, nil
	}
	code, err := s.Seal.Open(t.Access, accessPlace(t.ID))
	if err != nil {
		return "", err
	}
	return at + "?access=" + url.QueryEscape(string(code)), nil
}

// toCustomer makes a mail to who asked.
func (s *Service) toCustomer(t *Ticket, template, about string, epoch int64) (Mail, error) {
	link, err := s.link(t)
	return Mail{Template: template, About: about, Epoch: epoch, To: t.Email, Name: t.Name, Number: t.Number, Topic: t.Subject, Link: link}, err
}

// toAgents makes a mail to who is to answer: the assignee, or everybody whose task it is. About is one id for all of them, so the epoch tells
// them apart.
func (s *Service) toAgents(ctx context.Context, t *Ticket, about string, text []string) ([]Mail, error) {
	agents, err := s.agentsOf(ctx, t)
	out := make([]Mail, 0, len(agents))
	who := t.Name
	if who == "" {
		who = t.Email
	}
	for i, a := range agents {
		out = append(out, Mail{Template: MailCustomerReplied, About: about, Epoch: int64(i + 1), To: a.Email, Name: who, Number: t.Number, Topic: t.Subject,
			Text: text, Link: s.BaseURL + "/admin/tickets/" + t.ID})
	}
	return out, err
}

func (s *Service) agentsOf(ctx context.Context, t *Ticket) ([]Contact, error) {
	all, err := s.People.Agents(ctx)
	if err != nil {
		return nil, err
	}
	var support []Contact
	for _, c := range all {
		if c.ID == t.Assignee {
			return []Contact{c}, nil
		}
		if c.Role == licensing.RoleSupport {
			support = append(support, c)
		}
	}
	if len(support) > 0 {
		return support, nil
	}
	return all, nil
}
