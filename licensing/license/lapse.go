package license

import (
	"context"
	"errors"

	"github.com/mintreu/mintreu/licensing"
)

// ReasonExpired is the reason of a license that lapsed; one suspended for it is good again when it is renewed.
const ReasonExpired = "Its term is over."

// lapseBatch is how many licenses are looked at at once.
const lapseBatch = 200

// errNotDue rolls a lapse back: the license was renewed or changed meanwhile.
var errNotDue = errors.New("license: it lapses later or never")

// Lapse does to licenses what their terms say of their end: it revokes those whose policy revokes on expiry, and suspends
// subscriptions that are no longer paid for; none is revoked while a dispute has a renewal of it taken back. It reports how many. A job runs it; it is safe to run anywhere, at once and again.
func (s *Service) Lapse(ctx context.Context) (int, error) {
	ctx = licensing.AsSystem(ctx, "license.lapse")
	total := 0
	for {
		due, err := s.Store.DueToLapse(ctx, s.Clock.Now(), lapseBatch)
		if err != nil || len(due) == 0 {
			return total, err
		}
		for i := range due {
			lapsed, err := s.lapse(ctx, &due[i])
			if err != nil {
				return total, err
			}
			if lapsed {
				total++
			}
		}
		if len(due) < lapseBatch {
			return total, nil
		}
	}
}

// lapse ends one license. It looks at the row again once it holds it, so that a renewal at the same time wins or waits.
func (s *Service) lapse(ctx context.Context, l *License) (bool, error) {
	now := s.Clock.Now()
	if at, _ := l.LapsesAt(); at.IsZero() || at.After(now) { // its row was written before its end was known
		_, err := s.Store.SaveLicense(ctx, *l, l.Version)
		return false, err
	}
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		_, to := l.LapsesAt()
		done, err := s.Store.SetState(ctx, Turn{ID: l.ID, Revoke: to == Revoked, By: ByLapse, On: true, Only: Active, Reason: ReasonExpired, At: now})
		if err != nil {
			return err
		}
		held, err := s.Store.LicenseByID(ctx, l.ID)
		if err != nil {
			return err
		}
		if at, again := held.LapsesAt(); !done || at.IsZero() || at.After(now) || again != to {
			return errNotDue
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "license.lapse", Target: l.ID, Product: l.ProductID, Reason: ReasonExpired,
			Detail: map[string]any{"from": Active, "to": to}})
	})
	if errors.Is(err, errNotDue) {
		return false, nil
	}
	return err == nil, err
}
