package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
)

// inFlight is how long a call to open a page may still be under way at the provider, and so how long an attempt that nobody has heard of
// keeps its key.
const inFlight = time.Minute

// openPage opens the payment page of a pending order. The provider is called outside of any transaction and always with the key of
// the attempt. When an attempt may have been made before, or its outcome is unknown, the provider is first asked for what it has. It
// remembers a failure of its own under the key for a day, so an attempt that is known to have left nothing is followed by a new one,
// with a key of its own. Should its page turn up after all, nobody has seen its address, so nobody can pay it.
func (s *Service) openPage(ctx context.Context, o order.Order, again bool) error {
	in, err := s.Sessions.LastSession(ctx, o.ID)
	if err != nil || in.State != Opening {
		return err
	}
	page, err := payment.Session{}, payment.ErrNoObject
	if again {
		page, err = s.findPage(ctx, o)
	}
	if errors.Is(err, payment.ErrNoObject) {
		if err := s.mayOpen(ctx, o); err != nil {
			return err
		}
		if again && s.Clock.Now().Sub(in.CreatedAt) >= inFlight {
			if in, err = s.renew(ctx, in); err != nil {
				return err
			}
		}
		page, err = s.callOpen(ctx, o, in)
	}
	if errors.Is(err, payment.ErrRefused) {
		return errors.Join(ErrRefused.Because(err), s.abandon(ctx, o, "the payment provider refused the order"))
	}
	if err != nil {
		return ErrTryAgain.Because(err)
	}
	return s.confirm(ctx, o.ID, in, page)
}

// callOpen makes the call of an attempt. An outcome that is unknown is looked up; when there is nothing the next attempt is prepared.
func (s *Service) callOpen(ctx context.Context, o order.Order, in Session) (payment.Session, error) {
	page, err := s.Gateway.OpenSession(ctx, s.sessionRequest(o, in))
	if !errors.Is(err, payment.ErrUnknown) {
		return page, err
	}
	found, lookup := s.findPage(ctx, o)
	if lookup == nil {
		return found, nil
	}
	if errors.Is(lookup, payment.ErrNoObject) {
		_, renewal := s.renew(ctx, in)
		err = errors.Join(err, renewal)
	}
	return payment.Session{}, err
}

func (s *Service) findPage(ctx context.Context, o order.Order) (payment.Session, error) {
	return s.Gateway.FindSession(ctx, o.ID, o.CreatedAt.Add(-sinceSlack))
}

// renew adds the attempt that follows one which left nothing, unless somebody has by now, and returns the newest.
func (s *Service) renew(ctx context.Context, in Session) (Session, error) {
	next := in
	next.Epoch++
	next.CreatedAt = s.Clock.Now()
	err := s.Tx.InTx(asSystem(ctx, "checkout.attempt"), func(ctx context.Context) error {
		added, err := s.Sessions.AddSession(ctx, next)
		if err != nil || !added {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "order.attempt", Target: in.Order, Detail: map[string]any{"epoch": next.Epoch}})
	})
	if err != nil {
		return in, err
	}
	return s.Sessions.LastSession(ctx, in.Order)
}

// abandon closes an order that nobody can pay any more, and frees its plans for the next one.
func (s *Service) abandon(ctx context.Context, o order.Order, reason string) error {
	w := outcome{order: o, over: true}
	w.move(order.Closed, reason, "closed")
	err := s.Tx.InTx(asSystem(ctx, "checkout.abandon"), func(ctx context.Context) error { return s.commit(ctx, o, w, nil, nil, payment.Session{}) })
	if errors.Is(err, errLost) {
		return nil // somebody else moved it first, and knows better
	}
	return err
}

// mayOpen refuses to open a page while payments are off, and so late that the provider would not take the attempt's expiry: such an
// order is closed, because it never had a page.
func (s *Service) mayOpen(ctx context.Context, o order.Order) error {
	if s.Clock.Now().After(o.CreatedAt.Add(s.Open / 3)) {
		return errors.Join(ErrOver, s.abandon(ctx, o, "no payment page was opened in time"))
	}
	if err := s.Switches.Check(ctx, licensing.SwitchPayments, ""); err != nil {
		return err
	}
	for _, l := range o.Snapshot.Lines {
		if err := s.Switches.Check(ctx, licensing.SwitchPayments, l.ProductID); err != nil {
			return err
		}
	}
	return nil
}

// confirm writes down which page the provider opened, unless somebody else has by now. Only the newest attempt is confirmed: the page
// of an older one stays unseen.
func (s *Service) confirm(ctx context.Context, id string, in Session, page payment.Session) error {
	in.ID, in.URL, in.State = page.ID, page.URL, Open
	for range attempts {
		switch err := s.confirmOnce(ctx, id, in, page); {
		case errors.Is(err, errConfirmed):
			return nil
		case !errors.Is(err, errLost):
			return err
		}
	}
	return ErrTryAgain.Because(errLost)
}

// errConfirmed says that another request with the same Idempotency-Key, or a sweep, wrote the page down first: there is nothing to commit.
var errConfirmed = errors.New("checkout: the page is confirmed already")

func (s *Service) confirmOnce(ctx context.Context, id string, in Session, page payment.Session) error {
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Queue.Hold(ctx, id); err != nil { // the order first, as by whoever moves it
			return err
		}
		ok, err := s.Sessions.ConfirmSession(ctx, in)
		if err != nil {
			return err
		}
		if !ok {
			return errConfirmed
		}
		o, err := s.Orders.Order(ctx, id)
		if err != nil {
			return err
		}
		if o.Session == "" {
			o.Session, o.UpdatedAt = page.ID, s.Clock.Now()
			o.Version++
			switch ok, err := s.Orders.Save(ctx, o); {
			case err != nil:
				return err
			case !ok:
				return errLost
			}
		}
		if err := s.note(ctx, o.ID, "session", page.ID); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "order.session", Target: o.ID, Detail: map[string]any{"session": page.ID, "epoch": in.Epoch}})
	})
}

func (s *Service) sessionRequest(o order.Order, in Session) payment.SessionRequest {
	return payment.SessionRequest{Key: fmt.Sprintf("mintreu:session:%s:%d", o.ID, in.Epoch), Order: o.ID, Email: o.Email, Lines: pageLines(o),
		Discount: o.Amount(o.Discount), SuccessURL: in.Success, CancelURL: in.Cancel, ExpiresAt: in.ExpiresAt}
}

// pageLines are the lines of an order as the payment page shows them. Tax on top of the prices is a line of its own, so that the
// page's total is the order's.
func pageLines(o order.Order) []payment.Line {
	lines := make([]payment.Line, 0, len(o.Snapshot.Lines)+1)
	for _, l := range o.Snapshot.Lines {
		lines = append(lines, payment.Line{Name: l.Name(), Unit: o.Amount(l.Unit), Quantity: l.Quantity})
	}
	if t := o.Snapshot.Tax; o.Tax > 0 && !t.Inclusive {
		lines = append(lines, payment.Line{Name: "Tax " + t.Country + " " + t.Rate.String(), Unit: o.Amount(o.Tax), Quantity: 1})
	}
	return lines
}

// closePage ends an order that its customer has given up for another one: its payment page is closed at the provider, and then the
// order is brought to what the provider says.
func (s *Service) closePage(ctx context.Context, o order.Order) error {
	if o.State == order.Pending && o.Session == "" {
		page, err := s.findPage(ctx, o)
		switch {
		case errors.Is(err, payment.ErrNoObject):
			return s.abandon(ctx, o, "the customer ordered something else")
		case err != nil:
			return err
		}
		o.Session = page.ID
	}
	if o.State == order.Pending {
		if _, err := s.Gateway.ExpireSession(ctx, o.Session); err != nil {
			return err
		}
	}
	return s.Fulfil(asSystem(ctx, "checkout.replace"), o.ID)
}
