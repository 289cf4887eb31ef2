package activation

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
)

var (
	// ErrNotFloating refuses to lend a seat that its device has for good anyway.
	ErrNotFloating = licensing.Fail(licensing.Conflict, sdk.CodeNotFloating, "The license's seats do not float, so there is nothing to borrow: the device keeps its seat.")
	errUntil       = licensing.Fail(licensing.Invalid, "borrow-until", "A seat cannot be borrowed until then; see the fields.")
)

// Borrow keeps the caller's floating seat until a date: its lease is fresh until then, nobody replaces it, and it is free then although
// the device says nothing. The date lies no further away than the policy lets a device run offline. Borrowing again moves the date.
// The seat is exact: it is not free before every lease that was given for it has ended, and the next heartbeat, which shows that the
// borrowed lease arrived, puts the earlier ones out of use.
func (s *Service) Borrow(ctx context.Context, r sdk.BorrowRequest) (sdk.HeartbeatResponse, error) {
	until := time.Unix(r.Until, 0).UTC()
	return s.lend(ctx, r.ID, "activation.borrow", func(l *license.License, now time.Time) (time.Time, error) {
		return until, borrowable(l, until, now)
	})
}

// borrowable refuses an instant to which a seat cannot be borrowed now.
func borrowable(l *license.License, until, now time.Time) error {
	switch latest := now.Truncate(time.Second).Add(l.Terms.OfflineMax()); {
	case !l.Terms.Seats.Floating:
		return ErrNotFloating
	case !until.After(now):
		return errUntil.With("/until", "is past")
	case until.After(latest):
		return errUntil.With("/until", "is later than the license lets a device run offline, %s", latest.Format(time.RFC3339))
	}
	return nil
}

// EndBorrow ends a borrowing before its date: the device goes on with a lease like any other. It succeeds where nothing was borrowed.
func (s *Service) EndBorrow(ctx context.Context, r sdk.ReturnRequest) (sdk.HeartbeatResponse, error) {
	return s.lend(ctx, r.ID, "activation.return", func(*license.License, time.Time) (time.Time, error) { return time.Time{}, nil })
}

// lend renews the caller's activation with the seat borrowed until what date says, and tells the audit trail.
func (s *Service) lend(ctx context.Context, id, action string, date func(*license.License, time.Time) (time.Time, error)) (sdk.HeartbeatResponse, error) {
	actor := licensing.ActorFrom(ctx)
	if actor.Kind != licensing.Device || actor.ID != id {
		return sdk.HeartbeatResponse{}, licensing.ErrNotFound
	}
	presented, err := s.Verifier.VerifyLease(ctx, actor.Lease)
	if err != nil {
		return sdk.HeartbeatResponse{}, err
	}
	for range attempts {
		a, l, err := s.Store.Activation(ctx, id)
		if notFound(err) {
			err = ErrReleased
		}
		if err == nil {
			err = alive(&a, &l, presented, &sdk.HeartbeatRequest{})
		}
		if err != nil {
			return sdk.HeartbeatResponse{}, err
		}
		until, err := date(&l, s.Clock.Now())
		if err != nil {
			return sdk.HeartbeatResponse{}, err
		}
		when, renewed, err := s.lent(ctx, &l, &a, presented, until, action)
		if err != nil {
			return sdk.HeartbeatResponse{}, err
		}
		if renewed {
			return s.reply(ctx, &l, &a, when, presented, &sdk.HeartbeatRequest{})
		}
	}
	return sdk.HeartbeatResponse{}, errBusy
}

// lent is the one transaction of lend.
func (s *Service) lent(ctx context.Context, l *license.License, a *Activation, presented *doc.Lease, until time.Time, action string) (when span, renewed bool, err error) {
	after := *a
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		next := *a // the transaction may run twice
		if when, renewed, err = s.renewTo(ctx, l, &next, presented, until, l.ID); err != nil || !renewed {
			return errOr(err, errNotTaken)
		}
		after = next
		return s.Audit.Record(ctx, licensing.Event{Action: action, Target: a.ID, Product: l.ProductID,
			Detail: map[string]any{"license": l.ID, "until": optional(next.BorrowedUntil)}})
	})
	if errors.Is(err, errNotTaken) {
		return when, false, nil
	}
	*a = after
	return when, renewed, err
}

// LendAgain answers a replay of Borrow and EndBorrow with the next lease, borrowed or not as the seat now is.
func (s *Service) LendAgain(ctx context.Context, id, _ string) (sdk.HeartbeatResponse, error) {
	return s.Heartbeat(ctx, sdk.HeartbeatRequest{ID: id})
}
