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

// Suspend pauses an active license. Its seats stay held; it is in force everywhere within two seconds, offline by the status
// list.
func (s *Service) Suspend(ctx context.Context, r StateRequest) (View, error) {
	return s.move(ctx, r, "license.suspend", Suspended, Active)
}

// Reinstate ends a suspension.
func (s *Service) Reinstate(ctx context.Context, r StateRequest) (View, error) {
	return s.move(ctx, r, "license.reinstate", Active, Suspended)
}

// Revoke ends a license for good: its token becomes invalid and every seat is given back.
func (s *Service) Revoke(ctx context.Context, r StateRequest) (View, error) {
	return s.move(ctx, r, "license.revoke", Revoked, Active, Suspended)
}

// move takes a license from one of the states to another.
func (s *Service) move(ctx context.Context, r StateRequest, action string, to State, from ...State) (View, error) {
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		l, err := s.load(ctx, r.ID)
		if err != nil {
			return err
		}
		return s.transition(ctx, &l, r.Reason, action, to, from)
	})
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, r.ID)
}

// transition does the change and its audit row, in the caller's transaction.
func (s *Service) transition(ctx context.Context, l *License, reason, action string, to State, from []State) error {
	at := s.Clock.Now()
	for _, was := range from {
		done, err := s.Store.SetState(ctx, l.ID, was, to, reason, at)
		if err != nil {
			return err
		}
		if done {
			return s.Audit.Record(ctx, licensing.Event{Action: action, Target: l.ID, Product: l.ProductID, Reason: reason,
				Detail: map[string]any{"from": was, "to": to}})
		}
	}
	return ErrState
}

// RevokeBySource revokes the license of a source, in the caller's transaction: for a refund or a lost dispute. It reports
// false when the source has no license or it was revoked already.
func (s *Service) RevokeBySource(ctx context.Context, src Source, reason string) (bool, error) {
	return s.moveBySource(ctx, src, reason, "license.revoke", Revoked, Active, Suspended)
}

// SuspendBySource suspends the license of a source, in the caller's transaction: for a dispute or a payment past due.
func (s *Service) SuspendBySource(ctx context.Context, src Source, reason string) (bool, error) {
	return s.moveBySource(ctx, src, reason, "license.suspend", Suspended, Active)
}

// ReinstateBySource ends a suspension, in the caller's transaction.
func (s *Service) ReinstateBySource(ctx context.Context, src Source, reason string) (bool, error) {
	return s.moveBySource(ctx, src, reason, "license.reinstate", Active, Suspended)
}

func (s *Service) moveBySource(ctx context.Context, src Source, reason, action string, to State, from ...State) (bool, error) {
	l, err := s.Store.LicenseFrom(ctx, src)
	if errors.Is(err, licensing.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = s.transition(ctx, &l, reason, action, to, from)
	if errors.Is(err, ErrState) {
		return false, nil
	}
	return err == nil, err
}
