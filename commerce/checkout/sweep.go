package checkout

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
)

const (
	// sinceSlack is by how much the provider's clock may be behind ours when an order's page is looked for.
	sinceSlack = 5 * time.Minute
	// sweepAfter is for how long an unfinished order is left to its webhook before the sweeper asks the provider; once it is older
	// than young it is asked about every sweepLate.
	sweepAfter = 30 * time.Second
	sweepLate  = 5 * time.Minute
	young      = 10 * time.Minute
	// sweepBatch is how many orders one sweep looks after.
	sweepBatch = 200
	// pollEvery is the least time between two questions to the provider that one order's buyer can cause.
	pollEvery = time.Second
)

// Applier returns what applies events of the payment provider to orders; the intake calls it for the kinds of object
// "checkout.session", "charge", "refund" and "dispute".
func (s *Service) Applier() *Applier { return &Applier{s} }

// Applier applies payment events. It is safe for concurrent use.
type Applier struct{ service *Service }

// Apply looks up the order that an event speaks of and asks the provider for its current state; what the event itself says does
// not matter. The function returned commits it, in the transaction that marks the event done; when the order was moved
// meanwhile that fails and the event is to be applied again. An object of no known order is [payment.ErrPending].
func (a *Applier) Apply(ctx context.Context, e payment.Event) (func(ctx context.Context) error, error) {
	id, err := a.order(ctx, e)
	if errors.Is(err, licensing.ErrNotFound) {
		return nil, payment.ErrPending
	}
	if err != nil {
		return nil, err
	}
	next, err := a.service.prepare(ctx, id)
	if errors.Is(err, licensing.ErrNotFound) {
		return nil, payment.ErrPending
	}
	if err != nil {
		return nil, err
	}
	if next.commit == nil {
		return func(context.Context) error { return nil }, nil
	}
	return next.commit, nil
}

// order finds the order of an event: the one it names, or the one whose session, payment intent or charge it speaks of.
func (a *Applier) order(ctx context.Context, e payment.Event) (string, error) {
	if e.Order != "" {
		return e.Order, nil
	}
	for _, object := range e.About() {
		id, err := a.service.Queue.ByPayment(ctx, object)
		if !errors.Is(err, licensing.ErrNotFound) {
			return id, err
		}
	}
	return "", licensing.ErrNotFound
}

// Sweep looks after orders that nothing else has looked after for a while: it asks the provider about those not finished, which
// finds payments whose webhook never came, closes what expired, and gives what was queued. It goes on after a failure and
// returns all of them joined, with the number of orders it looked at.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	now := s.Clock.Now()
	due, err := s.Queue.Due(ctx, Due{Soon: now.Add(-sweepAfter), Late: now.Add(-sweepLate), Young: now.Add(-young)}, sweepBatch)
	if err != nil {
		return 0, err
	}
	var failures []error
	for _, id := range due {
		touched, err := s.Queue.Touch(ctx, id, now, now.Add(-sweepAfter))
		if err == nil && touched {
			err = s.Fulfil(asSystem(ctx, "checkout.sweep"), id)
		}
		if err != nil {
			failures = append(failures, err)
			s.Log.WarnContext(ctx, "sweep: order left for the next time", "order", id, "error", err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return len(due), errors.Join(failures...)
}

// poll asks the provider about an order on behalf of whoever looks at it, at most once a second, and swallows failures: the page shows
// what is known.
func (s *Service) poll(ctx context.Context, id string) {
	now := s.Clock.Now()
	ctx = asSystem(ctx, "checkout.poll")
	touched, err := s.Queue.Touch(ctx, id, now, now.Add(-pollEvery))
	if err == nil && touched {
		err = s.Fulfil(ctx, id)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "poll: the payment provider could not be asked", "order", id, "error", err)
	}
}
