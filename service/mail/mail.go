// Package mail hands mail over: to an SMTP server ([SMTP]), or to a table of the database ([Kept]), where an installation without
// a mail server keeps it for its owner to read. Both implement notice.Sender.
package mail

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/failpoint"
)

// Body is what is sealed of a kept mail.
type Body struct {
	HTML string `json:"html"`
	Text string `json:"text"`
}

// Store keeps mail in the database, each once by its id, bodies sealed.
type Store interface {
	KeepMail(ctx context.Context, m notice.Mail) error
	ListMail(ctx context.Context, to string, page licensing.Page) (licensing.List[notice.Mail], error)
	// MailByID returns [licensing.ErrNotFound] when no such mail is kept.
	MailByID(ctx context.Context, id string) (notice.Mail, error)
}

// Kept keeps mail instead of sending it.
type Kept struct{ Store Store }

var _ notice.Sender = Kept{}

// Send implements [notice.Sender].
func (k Kept) Send(ctx context.Context, m notice.Mail) error {
	if err := k.Store.KeepMail(ctx, m); err != nil {
		return err
	}
	failpoint.Hit("mail-handed-over")
	return nil
}

// Service shows the kept mail.
type Service struct{ Store Store }

// ListRequest asks for a page of the kept mail.
type ListRequest struct {
	licensing.Page
	To string `query:"to" doc:"Only mail to this address." example:"ada@example.com"`
}

// View is one kept mail.
type View struct {
	ID        string    `json:"id" doc:"Id of the mail."`
	MessageID string    `json:"message_id" doc:"Its Message-ID."`
	From      string    `json:"from" doc:"Its sender."`
	To        string    `json:"to" doc:"Its recipient."`
	Subject   string    `json:"subject" doc:"Its subject."`
	Text      string    `json:"text" doc:"Its text form."`
	HTML      string    `json:"html" doc:"Its HTML form."`
	At        time.Time `json:"at" doc:"When it was written."`
}

// List returns a page of the kept mail, the newest first.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	list, err := s.Store.ListMail(ctx, r.To, r.Page)
	out := licensing.List[View]{Items: make([]View, 0, len(list.Items)), Next: list.Next}
	for _, m := range list.Items {
		out.Items = append(out.Items, view(m))
	}
	return out, err
}

func view(m notice.Mail) View {
	return View{ID: m.ID, MessageID: m.MessageID, From: m.From, To: m.To, Subject: m.Subject, Text: m.Text, HTML: m.HTML, At: m.At}
}

// GetRequest names a kept mail.
type GetRequest struct {
	ID string `path:"id" doc:"Id of the mail."`
}

// Get returns one kept mail.
func (s *Service) Get(ctx context.Context, r GetRequest) (View, error) {
	m, err := s.Store.MailByID(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	return view(m), nil
}
