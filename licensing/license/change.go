package license

import (
	"context"
	"maps"
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
	ValidUntil   *time.Time   `json:"valid_until,omitempty" doc:"Commercial end. One that lies ahead ends the suspension of a license whose term was over, and no other."`
	UpdatesUntil *time.Time   `json:"updates_until,omitempty" doc:"Versions released until then are covered."`
	MaxVersion   *string      `json:"max_version,omitempty" doc:"Newest version covered; empty covers all."`
	Entitlements Entitlements `json:"entitlements,omitempty" doc:"Features to add or replace, by code."`
	Remove       []string     `json:"remove,omitempty" doc:"Codes of features to take away."`
	// EntUntil and Endless set and take away ends of single features.
	EntUntil map[string]time.Time `json:"ent_until,omitempty" doc:"When single features end, by code."`
	Endless  []string             `json:"endless,omitempty" doc:"Codes of features whose end is taken away."`
}

// Validate checks the form of the change.
func (r ChangeRequest) Validate() error {
	c := &checker{err: ErrChange}
	c.that(r.Reason != "" && len(r.Reason) <= 500, "/reason", "say why, in at most 500 bytes")
	c.that(r.Seats == nil || *r.Seats >= 0 && *r.Seats <= maxSeats, "/seats", "must be 0 to %d", maxSeats)
	c.that(r.ValidUntil == nil || r.ValidUntil.Unix() > 0, "/valid_until", "must lie after 1970")
	c.that(r.UpdatesUntil == nil || r.UpdatesUntil.Unix() > 0, "/updates_until", "must lie after 1970")
	c.that(r.MaxVersion == nil || *r.MaxVersion == "" || len(*r.MaxVersion) <= 64 && version.MatchString(*r.MaxVersion), "/max_version",
		"must be numbers with dots between them, like 2.5, in at most 64 bytes")
	for name, end := range r.EntUntil {
		c.that(end.Unix() > 0 && end.Year() <= 9000, "/ent_until/"+name, "must lie after 1970 and before the year 9001")
	}
	c.that(r.Licensee == nil || len(*r.Licensee) <= maxTextSize, "/licensee", "longer than %d bytes", maxTextSize)
	if msg := r.Entitlements.Fault(); msg != "" {
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
	if err := r.over(&l, s.now()); err != nil {
		return View{}, err
	}
	if err := l.signable(ErrChange); err != nil {
		return View{}, err
	}
	old := l.Token.JTI
	if err := s.redraw(ctx, &l); err != nil {
		return View{}, err
	}
	if err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		was, lifted, err := s.lift(ctx, &l, r.ValidUntil != nil)
		if err != nil {
			return err
		}
		if err := s.resave(ctx, &l, was, old); err != nil {
			return err
		}
		return s.Audit.Record(ctx, changed(&l, r.Reason, lifted))
	}); err != nil {
		return View{}, err
	}
	return s.view(ctx, l.ID)
}

// changed is the audit event of a license under other overrides.
func changed(l *License, reason string, lifted bool) licensing.Event {
	detail := map[string]any{"seats": l.Seats, "valid_until": optional(l.ValidUntil)}
	if lifted {
		detail["lapse"] = "lifted"
	}
	return licensing.Event{Action: "license.change", Target: l.ID, Product: l.ProductID, Reason: reason, Detail: detail}
}

// lift ends, in the caller's transaction, the suspension of a license whose term was over, where its end was moved and it lapses later now or never, as
// a renewal does. It returns the version of its row from then on, and whether there was such a suspension. What else suspends it stays.
func (s *Service) lift(ctx context.Context, l *License, moved bool) (was int64, lifted bool, err error) {
	at, _ := l.LapsesAt()
	if !moved || l.LapsedAt.IsZero() || !at.IsZero() && !at.After(l.UpdatedAt) {
		return l.Version, false, nil
	}
	was, err = s.revive(ctx, l, l)
	return was, err == nil, err
}

// over lays the change over l. A term that waits for its first use begins with the end that it is given, which no first use moves then.
func (r *ChangeRequest) over(l *License, now time.Time) error {
	if r.Licensee != nil {
		l.Licensee = *r.Licensee
	}
	if r.Seats != nil {
		l.Seats, l.SeatsMax = *r.Seats, l.Terms.SeatsMax(*r.Seats)
	}
	if r.ValidUntil != nil {
		l.ValidUntil = r.ValidUntil.UTC().Truncate(time.Second)
		l.StartedAt = earliest(l.StartedAt, now)
	}
	if r.UpdatesUntil != nil {
		l.UpdatesUntil = r.UpdatesUntil.UTC().Truncate(time.Second)
	}
	if r.MaxVersion != nil {
		l.cover(l.policyVersion(), *r.MaxVersion)
	}
	l.Entitlements = l.Entitlements.over(r.Entitlements)
	for _, name := range r.Remove {
		delete(l.Entitlements, name)
	}
	return r.ends(l)
}

// ends lays the ends of single features that the change names over those of l, whose features it has changed already.
func (r *ChangeRequest) ends(l *License) error {
	ends := maps.Clone(l.EntUntil)
	if ends == nil {
		ends = map[string]int64{}
	}
	for name, end := range r.EntUntil {
		ends[name] = end.Unix()
	}
	for _, name := range r.Endless {
		ends[name] = 0
	}
	for name := range ends {
		if _, has := l.Entitlements[name]; has {
			continue
		}
		if _, asked := r.EntUntil[name]; asked {
			return ErrChange.With("/ent_until/"+name, "names no feature of the license")
		}
		delete(ends, name)
	}
	l.EntUntil = ends
	return nil
}

// Start begins the term of a license that waits for its first activation or validation. It is safe to call at once and
// again: one call wins, and the others see what it did. The license is returned as it then stands.
func (s *Service) Start(ctx context.Context, l License) (License, error) {
	if !l.Waits() {
		return l, nil
	}
	started := l
	started.begin(s.now())
	// The term begins on behalf of whoever came first; it is nobody's request of its own.
	err := s.retoken(licensing.AsSystem(ctx, "license.start"), &started, licensing.Event{Action: "license.start"}, "")
	if err != nil && !isChanged(err) {
		return License{}, err
	}
	return s.Store.LicenseByID(ctx, l.ID)
}

// retoken saves l with a new token in place of its current one. l is as loaded, changed by the caller.
func (s *Service) retoken(ctx context.Context, l *License, e licensing.Event, secret string) error {
	old := l.Token.JTI
	if err := s.redraw(ctx, l); err != nil {
		return err
	}
	e.Target, e.Product = l.ID, l.ProductID
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.resave(ctx, l, l.Version, old); err != nil {
			return err
		}
		if secret != "" {
			licensing.KeepOnce(ctx, secret)
		}
		return s.Audit.Record(ctx, e)
	})
}

// redraw gives a license that the caller changed a new token. It signs, so it belongs before the transaction of [Service.resave].
func (s *Service) redraw(ctx context.Context, l *License) error {
	if l.State == Revoked {
		return ErrState
	}
	l.UpdatedAt = s.Clock.Now()
	return s.giveToken(ctx, l)
}

// resave stores, in the caller's transaction, a license that was redrawn: if its row still has version was and its token is still the
// old one, which ends.
func (s *Service) resave(ctx context.Context, l *License, was int64, old string) error {
	saved, err := s.Store.SaveLicense(ctx, *l, was)
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
	return nil
}
