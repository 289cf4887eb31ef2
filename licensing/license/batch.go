package license

import (
	"context"
	"maps"
)

// Move takes a license to a state in the caller's transaction, as Suspend, Reinstate and Revoke do. It reports false when it is so already, [ErrState]
// when it cannot come to it, and [ErrDisputed] when a dispute suspends it.
func (s *Service) Move(ctx context.Context, id string, to State, reason string) (bool, error) {
	l, err := s.load(ctx, id)
	if err != nil {
		return false, err
	}
	do, there := s.suspend, !l.HeldAt.IsZero() && l.State == Suspended
	switch to {
	case Active:
		do, there = s.reinstate, l.State == Active
	case Revoked:
		do, there = s.revoke, l.State == Revoked
	}
	if there {
		return false, nil
	}
	err = do(ctx, &l, reason)
	return err == nil, err
}

// PrepareChange is the part of Change that belongs before the transaction; what it returns is the rest, for the caller's transaction. That
// reports false, having done nothing, when the license is already as asked, [ErrState] when it is revoked, and [ErrChanged] or
// [ErrCollision] when something else happened meanwhile, after which the transaction is to be given up and all of it done again.
func (s *Service) PrepareChange(ctx context.Context, r ChangeRequest) (commit func(ctx context.Context) (bool, error), err error) {
	was, err := s.load(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return s.prepareChange(ctx, was, r)
}

// PrepareExtension is PrepareChange that adds so many days to the end that the license has, which no renewal at the same time gets lost by. One
// without an end stays as it is.
func (s *Service) PrepareExtension(ctx context.Context, id string, days int64, reason string) (commit func(ctx context.Context) (bool, error), err error) {
	was, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	r := ChangeRequest{ID: id, Reason: reason}
	if !was.ValidUntil.IsZero() {
		end := was.ValidUntil.Add(seconds(days * Day))
		r.ValidUntil = &end
	}
	return s.prepareChange(ctx, was, r)
}

// prepareChange is PrepareChange of a license as it was loaded.
func (s *Service) prepareChange(ctx context.Context, was License, r ChangeRequest) (commit func(ctx context.Context) (bool, error), err error) {
	l := was
	if err := r.over(&l, s.now()); err != nil {
		return nil, err
	}
	same := l.Licensee == was.Licensee && l.Seats == was.Seats && l.ValidUntil.Equal(was.ValidUntil) && maps.Equal(l.Entitlements, was.Entitlements)
	if was.State == Revoked || same {
		return func(context.Context) (bool, error) {
			if was.State == Revoked {
				return false, ErrState
			}
			return false, nil
		}, nil
	}
	if err := l.signable(ErrChange); err != nil {
		return nil, err
	}
	if err := s.giveToken(ctx, &l); err != nil {
		return nil, err
	}
	l.UpdatedAt = s.Clock.Now()
	return func(ctx context.Context) (bool, error) {
		version, lifted, err := s.lift(ctx, &l, r.ValidUntil != nil)
		if err != nil {
			return false, err
		}
		saved, err := s.Store.SaveLicense(ctx, l, version)
		if err == nil && saved {
			saved, err = s.Tokens.ReplaceToken(ctx, was.Token.JTI, l.Token)
		}
		switch {
		case err != nil:
			return false, err
		case !saved:
			return false, ErrChanged
		}
		return true, s.Audit.Record(ctx, changed(&l, r.Reason, lifted))
	}, nil
}
