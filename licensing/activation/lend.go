package activation

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// LendRequest lends a device its floating seat until a date.
type LendRequest struct {
	ID    string    `path:"id" doc:"The activation."`
	Until time.Time `json:"until" doc:"The date; no later than the policy lets a device run offline."`
}

// Lend lets a device borrow its floating seat to a date, on behalf of the license's owner or of staff, as the device itself does by
// [Service.Borrow]. No lease changes by it: the device finds its seat borrowed with its next contact, and may go away then. The seat is
// nobody else's before the date, nor before a lease ends that the device may still use.
func (s *Service) Lend(ctx context.Context, r LendRequest) (View, error) {
	until := r.Until.UTC().Truncate(time.Second)
	return s.afar(ctx, r.ID, "activation.borrow", func(l *license.License, now time.Time) (time.Time, error) {
		return until, borrowable(l, until, now)
	})
}

// RecallRequest ends a borrowing early.
type RecallRequest struct {
	ID string `path:"id" doc:"The activation."`
}

// Recall ends the borrowing of a device's seat on behalf of the license's owner or of staff, as the device does by [Service.EndBorrow]. The
// device learns of it with its next contact, and has the seat until then as if it had not been lent: silence counts from its last contact, and a
// lease that it may still use keeps the seat. It succeeds where nothing was borrowed, and changes nothing then.
func (s *Service) Recall(ctx context.Context, r RecallRequest) (View, error) {
	return s.afar(ctx, r.ID, "activation.return", func(*license.License, time.Time) (time.Time, error) { return time.Time{}, nil })
}

// afar lends the seat of a device that is not calling, until what date says, and tells the audit trail.
func (s *Service) afar(ctx context.Context, id, action string, date func(*license.License, time.Time) (time.Time, error)) (View, error) {
	for range attempts {
		a, l, err := s.load(ctx, licensing.ActorFrom(ctx), id)
		if err != nil {
			return View{}, err
		}
		now, was := s.Clock.Now(), a.BorrowedUntil
		until, err := date(&l, now)
		switch {
		case a.State != Held:
			return View{}, ErrReleased
		case l.State != license.Active:
			return View{}, license.ErrState
		case err != nil:
			return View{}, err
		}
		a.BorrowedUntil = until
		if until.IsZero() && !was.After(now) { // there is nothing to call back
			return a.view(), nil
		}
		out := Loan{ID: a.ID, License: l.ID, Seq: a.Seq, Borrowed: until, Was: was, DiesAt: spanFor(&l.Terms, &a, a.LastSeenAt).diesAt}
		err = s.Tx.InTx(ctx, func(ctx context.Context) error {
			if lent, err := s.Lends.Lend(ctx, out); err != nil || !lent {
				return errOr(err, errNotTaken)
			}
			return s.Audit.Record(ctx, licensing.Event{Action: action, Target: a.ID, Product: l.ProductID,
				Detail: map[string]any{"license": l.ID, "until": optional(until), "afar": true}})
		})
		if !errors.Is(err, errNotTaken) {
			return a.view(), err
		}
	}
	return View{}, errBusy
}
