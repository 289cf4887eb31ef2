package license

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// The kinds of a [RenewSpec]'s source.
const (
	RenewedByStaff   = "staff"
	RenewedByPayment = "payment"
	RenewedByOrder   = "order_line"
)

// RenewSpec says which license is renewed, why, and for how long. Source is what asks or pays, an invoice for example; it renews once.
// Until is the instant that is paid through; zero stands for Terms times the policy's duration, counted by its renewal_basis. Owner is who must
// own it, "" for whoever does.
type RenewSpec struct {
	License string
	Owner   licensing.Owner
	Source  Source
	Until   time.Time
	Terms   int64
	Reason  string
}

// Renewal is a license as it will be once it is renewed, signed and not stored.
type Renewal struct {
	ID      string
	Source  Source
	License License

	old    string // token that ends
	reason string
	before License
}

// ErrRenew refuses to renew what has no end; its fields may say more.
var ErrRenew = licensing.Fail(licensing.Conflict, "license-not-renewable", "The license has neither a term nor an end of updates that could be renewed.")

// ErrRenewOther refuses to renew what belongs to somebody else by now.
var ErrRenewOther = licensing.Fail(licensing.Conflict, "license-changed-hands", "The license has another owner by now.")

// ErrRenewForm refuses a renewal that is not well formed.
var ErrRenewForm = licensing.Fail(licensing.Invalid, "license-renewal", "The renewal is not well formed; see the fields.")

// renewable reports whether a renewal would give the license anything.
func (l *License) renewable() bool {
	return l.State != Revoked && (l.Terms.Type != doc.Perpetual || l.Terms.UpdatesFor > 0)
}

// Ends are the instants of a license that a renewal moves; zero stands for none.
type Ends struct {
	StartedAt    time.Time
	ValidUntil   time.Time
	UpdatesUntil time.Time
	TermAdded    int64 // seconds by which a term that waits was renewed
}

// Renewed is where the ends of a license under these terms lie once it is renewed at now: until an instant, or, when that is zero, by so
// many of its terms. Time is never taken away. It is what the service does, so whoever shows it first shows what then happens.
func (t *Terms) Renewed(e Ends, now, until time.Time, terms int64) (Ends, error) {
	if t.UpdatesFor > 0 && !e.UpdatesUntil.IsZero() {
		e.UpdatesUntil = later(e.UpdatesUntil, plus(t.from(e.UpdatesUntil, now), t.UpdatesFor*terms))
	}
	switch {
	case t.Type == doc.Perpetual:
		if !until.IsZero() {
			return e, ErrRenewForm.With("/until", "a perpetual license has no end; leave it out to renew its updates")
		}
	case !until.IsZero():
		e.StartedAt = earliest(e.StartedAt, now)
		e.ValidUntil = later(e.ValidUntil, until.UTC().Truncate(time.Second)) // payments may come out of order
	case t.Duration == 0:
		return e, ErrRenewForm.With("/until", "the policy has no duration; say until when it is paid")
	case e.StartedAt.IsZero() && t.Starts():
		e.TermAdded += t.Duration * terms
	default:
		e.ValidUntil = later(e.ValidUntil, plus(t.from(e.ValidUntil, now), t.Duration*terms))
	}
	return e, nil
}

// from is the instant that a renewal adds to, by the policy's basis.
func (t *Terms) from(end, now time.Time) time.Time {
	switch {
	case end.IsZero(), t.RenewalBasis == FromNow, t.RenewalBasis == FromNowIfExpired && now.After(end):
		return now
	}
	return end
}

// renew lengthens l: to until, or by terms of its policy.
func (l *License) renew(now, until time.Time, terms int64) error {
	if !l.renewable() {
		return ErrRenew
	}
	e, err := l.Terms.Renewed(Ends{l.StartedAt, l.ValidUntil, l.UpdatesUntil, l.TermAdded}, now, until, terms)
	if err != nil {
		return err
	}
	l.StartedAt, l.ValidUntil, l.UpdatesUntil, l.TermAdded = e.StartedAt, e.ValidUntil, e.UpdatesUntil, e.TermAdded
	return l.signable(ErrRenewForm)
}

// Renewed is where the ends of the license that is viewed lie once it is renewed at now, as [Terms.Renewed]; TermAdded counts from 0.
func (v *View) Renewed(now, until time.Time, terms int64) (Ends, error) {
	if !v.Renewable {
		return Ends{}, ErrRenew
	}
	e := Ends{}
	for to, from := range map[*time.Time]*time.Time{&e.StartedAt: v.StartedAt, &e.ValidUntil: v.ValidUntil, &e.UpdatesUntil: v.UpdatesUntil} {
		if from != nil {
			*to = *from
		}
	}
	return v.Terms.Renewed(e, now, until, terms)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// DraftRenewal renews and signs, and stores nothing; it belongs before the transaction of [Service.ApplyRenewal]. The license is the
// one named, whoever asks.
func (s *Service) DraftRenewal(ctx context.Context, spec RenewSpec) (*Renewal, error) {
	l, err := s.Store.LicenseByID(ctx, spec.License)
	if err != nil {
		return nil, err
	}
	return s.draftRenewal(ctx, l, spec)
}

func (s *Service) draftRenewal(ctx context.Context, l License, spec RenewSpec) (*Renewal, error) {
	if spec.Owner != "" && l.Owner != spec.Owner {
		return nil, ErrRenewOther
	}
	r := &Renewal{ID: s.IDs.New("ren"), Source: spec.Source, old: l.Token.JTI, reason: spec.Reason, before: l}
	if err := l.renew(s.now(), spec.Until, max(1, spec.Terms)); err != nil {
		return nil, err
	}
	if err := s.redraw(ctx, &l); err != nil {
		return nil, err
	}
	r.License = l
	return r, nil
}

// ApplyRenewal stores a renewal in the caller's transaction. It reports false, and changes nothing, when its source already renewed a
// license. [ErrChanged] and [ErrCollision] ask for a new draft. A license that was suspended because its term was over is good again.
func (s *Service) ApplyRenewal(ctx context.Context, r *Renewal) (bool, error) {
	added, err := s.Renewals.AddRenewal(ctx, r.kept(), r.License.UpdatedAt)
	if err != nil || !added {
		return false, err
	}
	was, err := s.revive(ctx, &r.before, &r.License)
	if err != nil {
		return false, err
	}
	if err := s.resave(ctx, &r.License, was, r.old); err != nil {
		return false, err
	}
	return true, s.Audit.Record(ctx, licensing.Event{Action: "license.renew", Target: r.License.ID, Product: r.License.ProductID, Reason: r.reason,
		Detail: map[string]any{"renewal": r.ID, "source": r.Source.Kind, "source_id": r.Source.ID, "valid_until": optional(r.License.ValidUntil),
			"was": optional(r.before.ValidUntil), "updates_until": optional(r.License.UpdatesUntil)}})
}

// RenewRequest renews a license by its policy's terms, or until a given instant.
type RenewRequest struct {
	ID     string     `path:"id" doc:"The license."`
	Reason string     `json:"reason" doc:"Why, for the audit trail."`
	Terms  int64      `json:"terms,omitempty" doc:"How many of its policy's terms to add; 1 unless said. The policy's renewal_basis says what they are added to."`
	Until  *time.Time `json:"until,omitempty" doc:"The new end, in place of terms; never earlier than the one it has."`
}

// Validate checks the form.
func (r RenewRequest) Validate() error {
	c := &checker{err: ErrRenewForm}
	c.that(r.Reason != "" && len(r.Reason) <= maxReason, "/reason", "say why, in at most %d bytes", maxReason)
	c.that(r.Terms >= 0 && r.Terms <= 100, "/terms", "must be 1 to 100")
	c.that(r.Until == nil || r.Terms == 0, "/until", "say either terms or until")
	c.that(r.Until == nil || r.Until.Unix() > 0, "/until", "must lie after 1970")
	return c.result()
}

// maxReason is the longest reason in bytes.
const maxReason = 500

// Renew renews a license on behalf of staff. The old token is invalid from then on; products get the new one with their next contact.
func (s *Service) Renew(ctx context.Context, r RenewRequest) (View, error) {
	if err := r.Validate(); err != nil {
		return View{}, err
	}
	l, err := s.load(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	spec := RenewSpec{License: l.ID, Source: Source{Kind: RenewedByStaff, ID: s.IDs.New("ask")}, Terms: r.Terms, Reason: r.Reason}
	if r.Until != nil {
		spec.Until = *r.Until
	}
	d, err := s.draftRenewal(ctx, l, spec)
	if err != nil {
		return View{}, err
	}
	if err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		_, err := s.ApplyRenewal(ctx, d)
		return err
	}); err != nil {
		return View{}, err
	}
	return s.view(ctx, l.ID)
}
