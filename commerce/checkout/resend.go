package checkout

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
)

// ResendRequest asks for the links to one's orders.
type ResendRequest struct {
	Email string `json:"email" doc:"E-mail address that the orders were made with." example:"ada@example.com"`
}

// Validate refuses what is no e-mail address.
func (r ResendRequest) Validate() error {
	if !validEmail(r.Email) {
		return licensing.Fail(licensing.Invalid, "invalid", "The e-mail address cannot be used.").With("/email", "must be an address like name@example.com")
	}
	return nil
}

// ResendResponse is the same whether anything was ever bought with the address.
type ResendResponse struct {
	Message string `json:"message" doc:"What happens next."`
}

const resent = "If something was bought with this address, a message with links to the orders and their keys is on its way to it."

// resendEvery is how often the links are mailed to an address at most.
const resendEvery = 15 * time.Minute

// Resend mails the links to a buyer's orders to the address they were made with. It answers the same for an address that never
// bought anything, and mails once in a quarter of an hour however often it is asked.
func (s *Service) Resend(ctx context.Context, r ResendRequest) (ResendResponse, error) {
	if err := r.Validate(); err != nil {
		return ResendResponse{}, err
	}
	if from := s.From(ctx); from != "" {
		wait, err := s.Throttle.Allow(ctx, "checkout:resend:from:"+from, 20, time.Hour)
		if err != nil {
			return ResendResponse{}, err
		}
		if wait > 0 {
			return ResendResponse{}, ErrSlowDown.After(wait)
		}
	}
	owner, err := s.Buyers.Known(ctx, r.Email)
	if err != nil && !errors.Is(err, licensing.ErrNotFound) {
		return ResendResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if owner != "" {
			epoch := s.Clock.Now().Truncate(resendEvery).Unix()
			if err := s.Notices.Queue(ctx, Notice{Template: "license", Order: string(owner), Email: r.Email, Epoch: epoch}); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "order.resend", Target: string(owner)})
	})
	return ResendResponse{Message: resent}, err
}

// ResendAgain answers a replay of Resend.
func (s *Service) ResendAgain(context.Context, string, string) (ResendResponse, error) {
	return ResendResponse{Message: resent}, nil
}

// Linked is an order as the mail with the links names it.
type Linked struct {
	Name string // of its first line
	At   time.Time
	Link string
}

// maxLinked is how many orders a mail leads to, the newest.
const maxLinked = 20

// Links are a buyer's newest orders that gave something, with the links that open them. It is for the mail alone.
func (s *Service) Links(ctx context.Context, owner licensing.Owner) ([]Linked, error) {
	orders, err := s.Orders.List(ctx, order.Filter{Owner: owner}, licensing.Page{Limit: maxLinked})
	if err != nil {
		return nil, err
	}
	var out []Linked
	for i := range orders.Items {
		o := &orders.Items[i]
		if o.State != order.Fulfilled && o.State != order.Paid || len(o.Snapshot.Lines) == 0 {
			continue
		}
		link, err := s.Link(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, Linked{Name: o.Snapshot.Lines[0].Name(), At: o.CreatedAt, Link: link})
	}
	return out, nil
}
