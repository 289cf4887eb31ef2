package license

import (
	"context"
	"errors"

	"github.com/mintreu/mintreu/licensing"
)

// ErrState refuses a step that the license's state does not allow.
var ErrState = licensing.Fail(licensing.Conflict, "license-state", "The license is not in a state that allows this.")

// StateRequest names a license and says why its state changes.
type StateRequest struct {
	ID     string `path:"id" doc:"The license."`
	Reason string `json:"reason" doc:"Why, for the audit trail and the holder's support."`
}

// Validate demands a reason.
func (r StateRequest) Validate() error {
	if r.Reason == "" || len(r.Reason) > 500 {
		return licensing.Fail(licensing.Invalid, "reason", "Say why, in at most 500 bytes.").With("/reason", "required")
	}
	return nil
}

// ErrDisputed refuses to end a suspension that a dispute of the payment makes.
var ErrDisputed = licensing.Fail(licensing.Conflict, "license-disputed", "The license is suspended because its payment is disputed. It is good again by itself when the dispute ends for you.")

// Suspend pauses a license on behalf of staff, whatever else suspends it. Its seats stay held; it is in force everywhere within two seconds, offline
// by the status list.
func (s *Service) Suspend(ctx context.Context, r StateRequest) (View, error) {
	return s.move(ctx, r, s.suspend)
}

// Reinstate ends what Suspend began, or the suspension at the end of a term. That of a dispute stays, and is refused with [ErrDisputed] where it is
// the only one.
func (s *Service) Reinstate(ctx context.Context, r StateRequest) (View, error) {
	return s.move(ctx, r, s.reinstate)
}

// Revoke ends a license for good: its token becomes invalid and every seat is given back.
func (s *Service) Revoke(ctx context.Context, r StateRequest) (View, error) {
	return s.move(ctx, r, s.revoke)
}

// move changes the state of a license.
func (s *Service) move(ctx context.Context, r StateRequest, do func(ctx context.Context, l *License, reason string) error) (View, error) {
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		l, err := s.load(ctx, r.ID)
		if err != nil {
			return err
		}
		return do(ctx, &l, r.Reason)
	})
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, r.ID)
}

func (s *Service) suspend(ctx context.Context, l *License, reason string) error {
	return s.transition(ctx, l, "license.suspend", Turn{By: ByStaff, On: true, Reason: reason})
}

func (s *Service) reinstate(ctx context.Context, l *License, reason string) error {
	var turns []Turn
	if !l.HeldAt.IsZero() {
		turns = append(turns, Turn{By: ByStaff, Reason: reason})
	}
	if !l.LapsedAt.IsZero() {
		turns = append(turns, Turn{By: ByLapse, Reason: reason})
	}
	if len(turns) == 0 && l.State == Suspended {
		return ErrDisputed
	}
	return s.transition(ctx, l, "license.reinstate", turns...)
}

func (s *Service) revoke(ctx context.Context, l *License, reason string) error {
	return s.transition(ctx, l, "license.revoke", Turn{Revoke: true, Reason: reason})
}

// transition does changes and their audit row, in the caller's transaction. It fails with [ErrState] when there is nothing to change.
func (s *Service) transition(ctx context.Context, l *License, action string, turns ...Turn) error {
	changed := false
	for _, t := range turns {
		t.ID, t.At = l.ID, s.Clock.Now()
		done, err := s.Store.SetState(ctx, t)
		if err != nil {
			return err
		}
		changed = changed || done
	}
	if !changed {
		return ErrState
	}
	now, err := s.Store.LicenseByID(ctx, l.ID)
	if err != nil {
		return err
	}
	return s.Audit.Record(ctx, licensing.Event{Action: action, Target: l.ID, Product: l.ProductID, Reason: turns[0].Reason,
		Detail: map[string]any{"from": l.State, "to": now.State}})
}

// RevokeBySource revokes the license of a source, in the caller's transaction: for a refund or a lost dispute. It reports
// false when the source has no license or it was revoked already.
func (s *Service) RevokeBySource(ctx context.Context, src Source, reason string) (bool, error) {
	return s.bySource(ctx, src, "license.revoke", Turn{Revoke: true, Reason: reason})
}

// SuspendBySource suspends the license of a source for a dispute of its payment, in the caller's transaction, whatever staff do with it meanwhile. It
// reports false when there is none, or its payment was disputed already.
func (s *Service) SuspendBySource(ctx context.Context, src Source, reason string) (bool, error) {
	return s.bySource(ctx, src, "license.dispute", Turn{By: ByDispute, On: true, Reason: reason})
}

// ReinstateBySource ends what SuspendBySource began, in the caller's transaction, and nothing that somebody else did.
func (s *Service) ReinstateBySource(ctx context.Context, src Source, reason string) (bool, error) {
	return s.bySource(ctx, src, "license.dispute-end", Turn{By: ByDispute, Reason: reason})
}

func (s *Service) bySource(ctx context.Context, src Source, action string, t Turn) (bool, error) {
	l, err := s.Store.LicenseFrom(ctx, src)
	if errors.Is(err, licensing.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = s.transition(ctx, &l, action, t)
	if errors.Is(err, ErrState) {
		return false, nil
	}
	return err == nil, err
}
