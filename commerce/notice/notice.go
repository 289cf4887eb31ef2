// Package notice tells people by mail what happened: a purchase with its keys, a payment that takes time, a sign-up, something
// about their account's security.
//
// [Service.Queue] writes a row in the transaction of the change, once for a (template, subject, epoch) however often the change
// is replayed, and a job. After the commit [Service.Send] fills the template and hands the mail to a [Sender]. It is sent at
// least once; the Message-ID is made of the row's id, so that the rare second copy is recognised as one. What a message
// holds may be secret (a key, a link that sets a password): it is sealed at rest and erased once the mail is handed over.
package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Message is what to tell whom. Subject is the id of the object it is about; with Template and Epoch it names the message, of
// which there is never a second.
type Message struct {
	Template string
	Subject  string
	Epoch    int64
	To       string // one bare address
	Lang     string // "" is English
	Data     Data
}

// Data is what templates may show. Every text is shown as it is, on one line.
type Data struct {
	Name    string `json:"name,omitempty"`    // of the person
	Order   string `json:"order,omitempty"`   // id of the order
	Total   string `json:"total,omitempty"`   // "12.00 EUR"
	Receipt string `json:"receipt,omitempty"` // number of the receipt
	// Link is where to go: the order's page, the page that sets a password. It may be secret.
	Link  string `json:"link,omitempty"`
	Until string `json:"until,omitempty"` // when the link ends
	// Note is a sentence of its own: what happened to the account.
	Note string `json:"note,omitempty"`
	// Organisation and Role are what an invite is for.
	Organisation string `json:"organisation,omitempty"`
	Role         string `json:"role,omitempty"` // "an admin"
	// Ticket is a ticket's number, Topic what it is about, Lines what was written in it.
	Ticket string   `json:"ticket,omitempty"`
	Topic  string   `json:"topic,omitempty"`
	Lines  []string `json:"lines,omitempty"`
	Items  []Item   `json:"items,omitempty"`
}

// Item is one thing that was bought.
type Item struct {
	Name string `json:"name"`           // of the product and plan
	Kind string `json:"kind"`           // "license", "apikey"
	Key  string `json:"key,omitempty"`  // the license key or API key; empty when it is shown on the order's page only
	Note string `json:"note,omitempty"` // how to start with it
	Link string `json:"link,omitempty"` // where it is; may be secret
}

// State is where a notice is.
type State string

// The states of a notice.
const (
	Pending State = "pending"
	Sent    State = "sent"
	Failed  State = "failed" // for good; the reason is in LastError
)

// Notice is one row of the outbox. Data is sealed.
type Notice struct {
	ID        string
	Template  string
	Subject   string
	Epoch     int64
	To        string
	Lang      string
	Data      []byte
	State     State
	Attempts  int64
	LastError string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Store keeps the outbox. AddNotice reports false when there is one of the same template, subject and epoch. EndNotice moves a
// pending one to its end and erases its data when it was sent. Due lists pending ones untouched since an instant.
type Store interface {
	AddNotice(ctx context.Context, n Notice) (added bool, err error)
	Notice(ctx context.Context, id string) (Notice, error)
	EndNotice(ctx context.Context, id string, to State, reason string, at time.Time) error
	TouchNotice(ctx context.Context, id, reason string, at time.Time) error
	DueNotices(ctx context.Context, before time.Time, limit int) ([]string, error)
	Outbox
}

// Mail is a filled-in message. MessageID is stable over attempts and has no angle brackets.
type Mail struct {
	ID        string
	MessageID string
	From      string
	To        string
	Subject   string
	HTML      string
	Text      string
	At        time.Time
}

// Sender hands mail over. An error that wraps [ErrRefused] is for good; any other is tried again. The same mail may come twice, with the
// same MessageID.
type Sender interface {
	Send(ctx context.Context, m Mail) error
}

// ErrRefused says that a mail will never be taken.
var ErrRefused = errors.New("notice: the mail was refused for good")

// JobSend is the kind of the job that sends one notice; its arguments are [JobArgs].
const JobSend = "notice.send"

// JobArgs are the arguments of [JobSend].
type JobArgs struct {
	ID string `json:"id"`
}

// Expand completes a message's data when it is sent, outside of any transaction: what is secret or only known by then.
type Expand func(ctx context.Context, subject string, d Data) (Data, error)

// Deps are what a [Service] needs. From is the sender, "Shop <shop@example.com>"; Shop names it in texts; BaseURL has no slash at its end.
// Expand is by template and may be nil. Tx and Audit serve [Service.Retry].
type Deps struct {
	Store   Store
	Jobs    licensing.Enqueuer
	Seal    licensing.Sealer
	Sender  Sender
	Clock   licensing.Clock
	IDs     licensing.IDs
	Tx      licensing.Transactor
	Audit   licensing.Auditor
	Logger  *slog.Logger
	From    string
	Shop    string
	BaseURL string
	Expand  map[string]Expand
}

// Service queues and sends. It is safe for concurrent use.
type Service struct {
	Deps
	templates map[string]*pair
	domain    string
}

// New makes a Service. It fails when From is no address or a template cannot be read.
func New(d Deps) (*Service, error) {
	from, err := mail.ParseAddress(d.From)
	if err != nil {
		return nil, fmt.Errorf("notice: the sender %q is no address: %w", d.From, err)
	}
	templates, err := load()
	if err != nil {
		return nil, err
	}
	for name := range d.Expand {
		if templates[name] == nil {
			return nil, fmt.Errorf("notice: there is no template %q to expand", name)
		}
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	return &Service{Deps: d, templates: templates, domain: domain}, nil
}

var errAddress = licensing.Fail(licensing.Invalid, "invalid-request", "This is not an e-mail address that can be used.")

// address checks that to is one bare address and nothing else.
func address(to string) error {
	a, err := mail.ParseAddress(to)
	if err != nil || a.Address != to || a.Name != "" || len(to) > 254 || strings.ContainsAny(to, "\r\n\t <>,;") {
		return errAddress
	}
	return nil
}

// IDOf is the id of the notice whose mail has the Message-ID, given without angle brackets; false for one that is not ours.
func (s *Service) IDOf(messageID string) (string, bool) {
	id, domain, _ := strings.Cut(messageID, "@")
	return id, domain == s.domain && strings.HasPrefix(id, "ntc_")
}

// erased is how the pseudonym ends that stands where the address of a person stood who was erased.
const erased = "@erased.invalid"

// Queue writes the message into the outbox, in the transaction in ctx. A message that was queued before, by its template, subject and
// epoch, is left as it is; one to somebody who was erased is none.
func (s *Service) Queue(ctx context.Context, m Message) error {
	if s.templates[m.Template] == nil {
		return fmt.Errorf("notice: there is no template %q", m.Template)
	}
	if m.Subject == "" {
		return errors.New("notice: a message about nothing")
	}
	if err := address(m.To); err != nil {
		return err
	}
	if strings.HasSuffix(m.To, erased) {
		return nil
	}
	plain, err := json.Marshal(m.Data)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	n := Notice{
		ID: s.IDs.New("ntc"), Template: m.Template, Subject: m.Subject, Epoch: m.Epoch, To: m.To, Lang: m.Lang,
		State: Pending, CreatedAt: now, UpdatedAt: now,
	}
	if n.Data, err = s.Seal.Seal(plain, place(n.ID)); err != nil {
		return err
	}
	added, err := s.Store.AddNotice(ctx, n)
	if err != nil || !added {
		return err
	}
	return s.enqueue(ctx, n.ID)
}

func place(id string) string { return "notice/" + id + "/data" }

func (s *Service) enqueue(ctx context.Context, id string) error {
	return s.Jobs.Enqueue(ctx, licensing.Job{Kind: JobSend, Unique: id, Args: JobArgs{ID: id}})
}

// Handle is the handler of [JobSend].
func (s *Service) Handle(ctx context.Context, args json.RawMessage) error {
	var a JobArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return err
	}
	return s.Send(ctx, a.ID)
}

// Send fills in and hands over one notice, unless it has been. An error means that it should be tried again.
func (s *Service) Send(ctx context.Context, id string) error {
	n, err := s.Store.Notice(ctx, id)
	if err != nil || n.State != Pending {
		return err
	}
	m, err := s.compose(ctx, n)
	if err == nil {
		err = s.Sender.Send(ctx, m)
	}
	now := s.Clock.Now()
	switch {
	case err == nil:
		return s.Store.EndNotice(ctx, id, Sent, "", now)
	case errors.Is(err, ErrRefused):
		s.Logger.ErrorContext(ctx, "a mail was refused for good", "notice", id, "template", n.Template, "about", n.Subject, "error", err)
		return s.Store.EndNotice(ctx, id, Failed, line(err.Error()), now)
	}
	return errors.Join(err, s.Store.TouchNotice(ctx, id, line(err.Error()), now))
}

func (s *Service) compose(ctx context.Context, n Notice) (Mail, error) {
	plain, err := s.Seal.Open(n.Data, place(n.ID))
	if err != nil {
		return Mail{}, err
	}
	var d Data
	if err := json.Unmarshal(plain, &d); err != nil {
		return Mail{}, err
	}
	if expand := s.Expand[n.Template]; expand != nil {
		if d, err = expand(ctx, n.Subject, d); err != nil {
			return Mail{}, err
		}
	}
	m, err := s.fill(n.Template, n.Lang, d)
	m.ID, m.MessageID, m.From, m.To, m.At = n.ID, n.ID+"@"+s.domain, s.From, n.To, n.CreatedAt
	return m, err
}

// sweepAfter is how long a pending notice is left to its job before the sweeper makes a new one.
const sweepAfter = 15 * time.Minute

// Sweep gives pending notices whose job was lost a new one, and erases what failed ones wanted to say when they have not been tried
// again for a month. It runs every few minutes.
func (s *Service) Sweep(ctx context.Context) error {
	ids, err := s.Store.DueNotices(ctx, s.Clock.Now().Add(-sweepAfter), 500)
	if err != nil {
		return err
	}
	if err := s.Store.ForgetFailed(ctx, s.Clock.Now().Add(-failedFor)); err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.enqueue(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
