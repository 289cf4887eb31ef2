package license

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Reissued is a license with its new key.
type Reissued struct {
	View
	Key string `json:"key" doc:"The new license key; the old one is good no longer." secret:"once"`
}

// Reissue gives a license a new key and a new token, for a key that leaked. Activations keep their seats; the old key is
// unknown from now on, and the old token invalid in the status list.
func (s *Service) Reissue(ctx context.Context, r StateRequest) (Reissued, error) {
	l, err := s.load(ctx, r.ID)
	if err != nil {
		return Reissued{}, err
	}
	key, err := s.giveKey(&l)
	if err != nil {
		return Reissued{}, err
	}
	if err := s.retoken(ctx, &l, licensing.Event{Action: "license.reissue", Reason: r.Reason}, key); err != nil {
		return Reissued{}, err
	}
	v, err := s.view(ctx, l.ID)
	return Reissued{View: v, Key: key}, err
}

// ReissueAgain answers a replay of Reissue.
func (s *Service) ReissueAgain(ctx context.Context, id, secret string) (Reissued, error) {
	v, err := s.view(ctx, id)
	return Reissued{View: v, Key: secret}, err
}

// ErrChange refuses a change that no license could carry; its fields say why.
var ErrChange = licensing.Fail(licensing.Invalid, "license-change", "The change is not well formed; see the fields.")

// ChangeRequest overrides what the policy froze. Absent members stay as they are.
type ChangeRequest struct {
	ID           string       `path:"id" doc:"The license."`
	Reason       string       `json:"reason" doc:"Why, for the audit trail."`
	Licensee     *string      `json:"licensee,omitempty" doc:"Name shown to the user."`
	Seats        *int64       `json:"seats,omitempty" doc:"Seats promised; those held beyond a lower number stay until released."`
	ValidUntil   *time.Time   `json:"valid_until,omitempty" doc:"Commercial end."`
	Entitlements Entitlements `json:"entitlements,omitempty" doc:"Features to add or replace, by code."`
	Remove       []string     `json:"remove,omitempty" doc:"Codes of features to take away."`
}

// Validate checks the form of the change.
func (r ChangeRequest) Validate() error {
	c := &checker{err: ErrChange}
	c.that(r.Reason != "" && len(r.Reason) <= 500, "/reason", "say why, in at most 500 bytes")
	c.that(r.Seats == nil || *r.Seats >= 0 && *r.Seats <= maxSeats, "/seats", "must be 0 to %d", maxSeats)
	c.that(r.ValidUntil == nil || r.ValidUntil.Unix() > 0, "/valid_until", "must lie after 1970")
	c.that(r.Licensee == nil || len(*r.Licensee) <= maxTextSize, "/licensee", "longer than %d bytes", maxTextSize)
	if msg := r.Entitlements.check(); msg != "" {
		c.that(false, "/entitlements", "%s", msg)
	}
	return c.result()
}

// Change lays overrides over a license. It makes a new token: the old one is invalid from now on, and products get the new
// one with their next heartbeat.
func (s *Service) Change(ctx context.Context, r ChangeRequest) (View, error) {
	if err := r.Validate(); err != nil {
		return View{}, err
	}
	l, err := s.load(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	if r.Licensee != nil {
		l.Licensee = *r.Licensee
	}
	if r.Seats != nil {
		l.Seats, l.SeatsMax = *r.Seats, l.Terms.SeatsMax(*r.Seats)
	}
	if r.ValidUntil != nil {
		l.ValidUntil = r.ValidUntil.UTC().Truncate(time.Second)
	}
	l.Entitlements = l.Entitlements.over(r.Entitlements)
	for _, name := range r.Remove {
		delete(l.Entitlements, name)
	}
	if err := l.signable(ErrChange); err != nil {
		return View{}, err
	}
	if err := s.retoken(ctx, &l, licensing.Event{Action: "license.change", Reason: r.Reason,
		Detail: map[string]any{"seats": l.Seats, "valid_until": optional(l.ValidUntil)}}, ""); err != nil {
		return View{}, err
	}
	return s.view(ctx, l.ID)
}

// Start begins the term of a license that waits for its first activation or validation. It is safe to call at once and
// again: one call wins, and the others see what it did. The license is returned as it then stands.
func (s *Service) Start(ctx context.Context, l License) (License, error) {
	if !l.StartedAt.IsZero() || !l.Terms.Starts() {
		return l, nil
	}
	started := l
	started.StartedAt = s.now()
	started.ValidUntil = started.StartedAt.Add(seconds(l.Terms.Duration))
	// The term begins on behalf of whoever came first; it is nobody's request of its own.
	err := s.retoken(licensing.AsSystem(ctx, "license.start"), &started, licensing.Event{Action: "license.start"}, "")
	if err != nil && !isChanged(err) {
		return License{}, err
	}
	return s.Store.LicenseByID(ctx, l.ID)
}

// retoken saves l with a new token in place of its current one. l is as loaded, changed by the caller.
func (s *Service) retoken(ctx context.Context, l *License, e licensing.Event, secret string) error {
	if l.State == Revoked {
		return ErrState
	}
	old := l.Token.JTI
	if err := s.giveToken(ctx, l); err != nil {
		return err
	}
	l.UpdatedAt = s.Clock.Now()
	e.Target, e.Product = l.ID, l.ProductID
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		saved, err := s.Store.SaveLicense(ctx, *l, l.Version)
		if err != nil {
			return err
		}
		if !saved {
			return ErrChanged
		}
		replaced, err := s.Tokens.ReplaceToken(ctx, old, l.Token)
		if err != nil {
			return err
		}
		if !replaced {
			return ErrChanged
		}
		if secret != "" {
			licensing.KeepOnce(ctx, secret)
		}
		return s.Audit.Record(ctx, e)
	})
}
