package support

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Exported is what the helpdesk holds of a person, for the person.
type Exported struct {
	Tickets []Thread `json:"tickets" doc:"Every ticket with what was written in it, notes among staff excepted."`
}

// own is a person as a party. The address counts only once the person has shown it to be theirs, which is for the caller to know.
func (s *Service) own(ctx context.Context, owner licensing.Owner) (Party, error) {
	c, err := s.People.Contact(ctx, string(owner))
	return Party{Owner: owner, Email: c.Email}, err
}

// Export returns everything that the helpdesk holds of a person: their tickets, and those asked as a guest from their address. Attachments are
// named, and fetched one by one.
func (s *Service) Export(ctx context.Context, owner licensing.Owner) (Exported, error) {
	out := Exported{Tickets: []Thread{}}
	p, err := s.own(ctx, owner)
	if err != nil {
		return out, err
	}
	tickets, err := s.Records.AllOf(ctx, p)
	if err != nil {
		return out, err
	}
	for _, t := range tickets {
		thread, err := s.thread(ctx, t, false)
		if err != nil {
			return out, err
		}
		out.Tickets = append(out.Tickets, thread)
	}
	return out, nil
}

// Erase empties a person's tickets of everything personal: names, addresses, subjects, texts and files. What is left is that there was a ticket,
// when it was opened and when it was answered. It must be called before the person's own row is emptied, and joins the caller's
// transaction; the sweeper removes the files.
func (s *Service) Erase(ctx context.Context, owner licensing.Owner) error {
	p, err := s.own(ctx, owner)
	if err != nil {
		return err
	}
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		tickets, err := s.Records.AllOf(ctx, p)
		if err != nil {
			return err
		}
		now := s.Clock.Now()
		for _, t := range tickets {
			if err := s.Records.Forget(ctx, t.ID, now, now.Add(-keptFor-time.Minute)); err != nil {
				return err
			}
			if err := s.Audit.Record(ctx, licensing.Event{Action: "ticket.erase", Target: t.ID}); err != nil {
				return err
			}
		}
		return nil
	})
}
