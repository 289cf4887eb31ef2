package license

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Kept is a renewal as it was stored: what it moved, and by how much. Zero times mean none.
type Kept struct {
	ID      string
	License string
	Source  Source
	// Was are the ends before it and Gave those after it. Added is how many seconds it gave to the term, which a gap between the old end and
	// now is no part of, and AddedUpdates to the updates.
	Was, Gave           Ends
	Added, AddedUpdates int64
	UndoneAt            time.Time
}

// kept is the renewal that brought a license from one state to the next at an instant.
func (r *Renewal) kept() Kept {
	b, l := &r.before, &r.License
	k := Kept{ID: r.ID, License: l.ID, Source: r.Source, Was: b.ends(), Gave: l.ends()}
	now := l.UpdatedAt.UTC().Truncate(time.Second)
	k.AddedUpdates = added(b.UpdatesUntil, l.UpdatesUntil, b.Terms.from(b.UpdatesUntil, now))
	if k.Added = l.TermAdded - b.TermAdded; k.Added == 0 {
		k.Added = added(b.ValidUntil, l.ValidUntil, b.Terms.from(b.ValidUntil, now))
	}
	return k
}

func (l *License) ends() Ends { return Ends{l.StartedAt, l.ValidUntil, l.UpdatesUntil, l.TermAdded} }

// added is how many seconds an end was moved by, counted from what it was moved from.
func added(was, is, from time.Time) int64 {
	if !is.After(was) {
		return 0
	}
	return max(0, is.Unix()-later(was, from).Unix())
}

// moved is an end without what a renewal added to it or, when that is given back, with it. An end that nothing else moved meanwhile is put to
// what it was; any other one keeps whatever moved it.
func moved(is, from, to time.Time, by int64) time.Time {
	switch {
	case is.IsZero() || by == 0:
		return is
	case is.Equal(from) && !to.IsZero():
		return to
	}
	return plus(is, by)
}

// unrenew takes what a renewal gave from l or, with back, gives it again.
func (l *License) unrenew(k *Kept, back bool) {
	from, to, term, updates := k.Gave, k.Was, -k.Added, -k.AddedUpdates
	if back {
		from, to, term, updates = k.Was, k.Gave, k.Added, k.AddedUpdates
	}
	if l.StartedAt.IsZero() && l.Terms.Starts() {
		l.TermAdded = max(0, l.TermAdded+term)
	} else {
		l.ValidUntil = moved(l.ValidUntil, from.ValidUntil, to.ValidUntil, term)
	}
	l.UpdatesUntil = moved(l.UpdatesUntil, from.UpdatesUntil, to.UpdatesUntil, updates)
	first := l.CreatedAt.UTC().Truncate(time.Second).Add(time.Second) // the earliest end that a token can have
	for _, end := range []*time.Time{&l.ValidUntil, &l.UpdatesUntil} {
		if !end.IsZero() {
			*end = later(*end, first)
		}
	}
}

// Reversal is a license without what one renewal gave it, or with it again, signed and not stored.
type Reversal struct {
	renewal Kept
	back    bool
	License License

	before License
	reason string
}

// DraftReversal takes what a source's renewal gave from its license, or gives it again with back, and signs, and stores nothing; it belongs
// before the transaction of [Service.ApplyReversal]. Whatever else moved the ends since stays. The license is the renewed one, whoever owns it.
func (s *Service) DraftReversal(ctx context.Context, source Source, back bool, reason string) (*Reversal, error) {
	k, err := s.Renewals.RenewalBy(ctx, source)
	if err != nil {
		return nil, err
	}
	l, err := s.Store.LicenseByID(ctx, k.License)
	if err != nil {
		return nil, err
	}
	r := &Reversal{renewal: k, back: back, License: l, before: l, reason: reason}
	if k.UndoneAt.IsZero() == back || l.State == Revoked { // nothing to do, or nothing to do it to
		return r, nil
	}
	r.License.unrenew(&k, back)
	return r, s.redraw(ctx, &r.License)
}

// ApplyReversal stores a reversal in the caller's transaction. It reports false, and changes nothing, when the renewal was reversed so already.
// [ErrChanged] and [ErrCollision] ask for a new draft.
func (s *Service) ApplyReversal(ctx context.Context, r *Reversal) (bool, error) {
	now := s.Clock.Now()
	turned, err := s.Renewals.TurnRenewal(ctx, r.renewal.ID, !r.back, now)
	if err != nil || !turned {
		return false, err
	}
	l := &r.License
	if r.before.State != Revoked {
		if l.Token.JTI == r.before.Token.JTI { // the draft found it reversed
			return false, ErrChanged
		}
		was, err := r.before.Version, error(nil)
		if r.back && l.ValidUntil.After(now) {
			if was, err = s.revive(ctx, &r.before, l); err != nil {
				return false, err
			}
		}
		if err := s.resave(ctx, l, was, r.before.Token.JTI); err != nil {
			return false, err
		}
	}
	action := "license.unrenew"
	if r.back {
		action = "license.renew"
	}
	return true, s.Audit.Record(ctx, licensing.Event{Action: action, Target: l.ID, Product: l.ProductID, Reason: r.reason,
		Detail: map[string]any{"renewal": r.renewal.ID, "source": r.renewal.Source.Kind, "source_id": r.renewal.Source.ID, "valid_until": optional(l.ValidUntil),
			"was": optional(r.before.ValidUntil), "updates_until": optional(l.UpdatesUntil)}})
}

// revive ends the suspension of a license whose term was over, in the caller's transaction, and returns the version of its row from then on. What
// else suspends it stays.
func (s *Service) revive(ctx context.Context, before, after *License) (int64, error) {
	if before.LapsedAt.IsZero() {
		return before.Version, nil
	}
	back, err := s.Store.SetState(ctx, Turn{ID: after.ID, By: ByLapse, At: after.UpdatedAt})
	if err == nil && !back {
		err = ErrChanged
	}
	return before.Version + 1, err
}
