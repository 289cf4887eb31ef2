package activation

import (
	"context"
	"errors"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// attempts bounds how often a request looks again after others were faster.
const attempts = 8

// Activate gives the caller's device or user a seat. Asking again for the same device or user answers with the same
// activation, takes no second seat, and advances the seq of its lease. A key that is unknown, of another product, or of a
// license that is not active is answered with [ErrRefused], whichever it is.
func (s *Service) Activate(ctx context.Context, r sdk.ActivateRequest) (sdk.ActivateResponse, error) {
	if err := checkForm(&r); err != nil {
		return sdk.ActivateResponse{}, err
	}
	parts := partsOf(r.Device)
	seek := Seek{License: licensing.ActorFrom(ctx).License, Subject: deviceKey(parts), Parts: parts}
	if r.User != "" {
		seek.User = userKey(r.User)
	}
	for i := range attempts {
		out, done, err := s.attempt(ctx, seek, &r, i == 0)
		if err != nil || done {
			return out, err
		}
	}
	return sdk.ActivateResponse{}, errBusy
}

// attempt reads, and takes or renews: two round trips. done is false when what it read was no longer so; then look again. The first
// attempt of a request counts as one.
func (s *Service) attempt(ctx context.Context, seek Seek, r *sdk.ActivateRequest, first bool) (out sdk.ActivateResponse, done bool, err error) {
	l, a, err := s.Store.Find(ctx, seek)
	if notFound(err) {
		return out, false, ErrRefused
	}
	if err != nil {
		return out, false, err
	}
	if l.State != license.Active || l.ProductSlug != r.Product {
		return out, false, ErrRefused
	}
	switch a := licensing.ActorFrom(ctx); { // it may have changed hands, or its key, since that was looked up
	case a.Kind == licensing.Holder && (a.Owner != l.Owner || a.Line != l.Token.Line()):
		return out, false, ErrRefused
	case a.Kind == licensing.Customer && a.Owner != l.Owner:
		return out, false, licensing.ErrNotFound
	}
	if err := s.admits(&l, r); err != nil {
		return out, false, err
	}
	if l.Terms.Seats.By == doc.ByUser {
		seek.Subject, seek.Parts = seek.User, nil
	}
	if a != nil && a.byUser() != (l.Terms.Seats.By == doc.ByUser) { // from when its policy counted the other: the subject of none now
		a = nil
	}
	if a != nil && a.State == Held {
		if a.byUser() && l.Terms.Type == doc.Trial { // a further device of the user, perhaps
			if had, err := s.Store.TrialHad(ctx, trying(&l, r, s.Clock.Now())); err != nil || had {
				return out, false, errOr(err, ErrTrialUsed)
			}
		}
		return s.again(ctx, &l, a, r)
	}
	if err := s.Switches.Check(ctx, licensing.SwitchLicensing, l.ProductID); err != nil {
		return out, false, err
	}
	if first {
		if err := s.pace(ctx, &l); err != nil {
			return out, false, err
		}
	}
	return s.take(ctx, &l, a, seek, r)
}

// ActivateAgain answers a replay of Activate under its Idempotency-Key with the next lease of the activation it made.
func (s *Service) ActivateAgain(ctx context.Context, id, _ string) (sdk.ActivateResponse, error) {
	a, l, err := s.Store.Activation(ctx, id)
	if err != nil {
		return sdk.ActivateResponse{}, err
	}
	if a.State != Held || l.State != license.Active {
		return sdk.ActivateResponse{}, ErrReleased
	}
	r := sdk.ActivateRequest{Product: l.ProductSlug, Env: string(l.Env), Device: a.Device, User: a.User, Version: l.Terms.MaxVersion} // that of the product was looked at
	out, done, err := s.again(ctx, &l, &a, &r)
	if err == nil && !done {
		err = ErrReleased
	}
	return out, err
}

// admits refuses what no free seat would help: the wrong environment, a device that says too little, an expired license, a
// version that is not covered.
func (s *Service) admits(l *license.License, r *sdk.ActivateRequest) error {
	t := &l.Terms
	if t.Seats.By == doc.ByUser && r.User == "" {
		return ErrUser
	}
	if (t.Seats.By == doc.ByDevice || t.Type == doc.Trial) && int64(len(r.Device)) < t.Match {
		return errForm.With("/device", "at least %d components are needed", t.Match)
	}
	when := spanOf(t, s.Clock.Now())
	prospect := s.claims(l, &Activation{ID: "act_prospect", Seq: 1, User: r.User}, when, r.Device, "")
	d := s.decide(l, prospect, evaluation(r), when.at)
	if d.Allowed {
		return nil
	}
	for _, known := range refusals {
		if d.Code == known.code {
			return licensing.Fail(licensing.Forbidden, known.problem, "%s", d.Explanation)
		}
	}
	return licensing.Fail(licensing.Forbidden, "not-allowed", "%s", d.Explanation)
}

// refusals are the problems that decisions become when an activation is refused.
var refusals = []struct {
	code    eval.Code
	problem string
}{
	{eval.EnvironmentMismatch, sdk.CodeEnvironment}, {eval.Expired, sdk.CodeLicenseExpired},
	{eval.VersionNotCovered, sdk.CodeVersionNotCovered}, {eval.VersionRequired, sdk.CodeVersionNotCovered},
	{eval.DeviceMismatch, sdk.CodeDeviceMismatch}, {eval.UserRequired, sdk.CodeUserRequired},
}

func evaluation(r *sdk.ActivateRequest) eval.Request {
	return eval.Request{Product: r.Product, Env: r.Env, Version: r.Version, User: r.User, Device: r.Device}
}

// again answers a subject that holds a seat already with the next lease of its activation.
func (s *Service) again(ctx context.Context, l *license.License, a *Activation, r *sdk.ActivateRequest) (sdk.ActivateResponse, bool, error) {
	when, renewed, err := s.renew(ctx, l, a, nil)
	if err != nil || !renewed {
		return sdk.ActivateResponse{}, false, err
	}
	started, err := s.begin(ctx, l) // the first answer may have been cut off before the term began
	if err != nil {
		return sdk.ActivateResponse{}, false, err
	}
	return s.answer(ctx, &started, a, when, r)
}

// begin starts a term that waits for its first activation, once a seat is held.
func (s *Service) begin(ctx context.Context, l *license.License) (license.License, error) {
	if l.Terms.ExpiryBasis != license.FromFirstActivation {
		return *l, nil
	}
	return s.Licenses.Start(ctx, *l)
}

// take takes a seat for a subject that has none.
func (s *Service) take(ctx context.Context, l *license.License, last *Activation, seek Seek, r *sdk.ActivateRequest) (sdk.ActivateResponse, bool, error) {
	now := s.Clock.Now()
	when := spanOf(&l.Terms, now)
	t := Take{Seek: seek, Owner: l.Owner, ID: s.IDs.New("act"), ReplaceOldest: l.Terms.OverLimit == license.ReplaceOldest, Name: r.Name,
		Device: r.Device, User: r.User, At: now, LeaseUntil: when.leaseUntil, DiesAt: when.diesAt}
	a := &Activation{ID: t.ID, LicenseID: l.ID, Seq: 1, User: r.User, Device: r.Device}
	if last != nil && now.Sub(last.ReleasedAt) <= time.Duration(l.Terms.ReviveWithin)*time.Second && l.Terms.ReviveWithin > 0 && !license.ByTransfer(last.ReleasedBy) {
		t.Revive, t.ReviveSeq, a = last.ID, last.Seq, last
		a.Seq++
	}
	if l.Terms.Type == doc.Trial {
		t.Try = trying(l, r, time.Time{})
		if had, err := s.Store.TrialHad(ctx, t.Try); err != nil || had {
			return sdk.ActivateResponse{}, false, errOr(err, ErrTrialUsed)
		}
	}
	t.Event = licensing.Event{Action: "activation.create", Target: a.ID, Product: l.ProductID,
		Detail: map[string]any{"license": l.ID, "revived": t.Revive != ""}}
	t.Replaced = licensing.Event{Action: "activation.replace", Target: l.ID, Product: l.ProductID, Detail: map[string]any{"released_by": t.ID}}
	taken, err := s.seat(ctx, func(ctx context.Context) (bool, error) { return s.Store.TakeSeat(ctx, t) })
	if err != nil {
		return sdk.ActivateResponse{}, false, err
	}
	if !taken {
		if t.Try.Product != "" {
			if had, err := s.Store.TrialHad(ctx, t.Try); err != nil || had {
				return sdk.ActivateResponse{}, false, errOr(err, ErrTrialUsed)
			}
		}
		return sdk.ActivateResponse{}, false, s.whyNot(ctx, l, seek)
	}
	started, err := s.begin(ctx, l)
	if err != nil {
		return sdk.ActivateResponse{}, false, err
	}
	return s.answer(ctx, &started, a, when, r)
}

// trying is the trial that a license is, on the device that asks; from keep on, unless that is zero, it is noted to have it.
func trying(l *license.License, r *sdk.ActivateRequest, keep time.Time) Try {
	parts := partsOf(r.Device)
	return Try{Product: l.ProductID, Device: Seek{License: l.ID, Subject: deviceKey(parts), Parts: parts}, Keep: keep}
}

// seat lets the store take or free a seat, in its one round trip; the store writes the audit row. Under an Idempotency-Key it
// does so in a transaction that also keeps the key.
func (s *Service) seat(ctx context.Context, do func(ctx context.Context) (bool, error)) (done bool, err error) {
	if call := licensing.CallFrom(ctx); !call.Mutating || call.IdempotencyKey == "" {
		return do(ctx)
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if done, err = do(ctx); err != nil || !done {
			return errOr(err, errNotTaken)
		}
		return nil
	})
	if errors.Is(err, errNotTaken) {
		return false, nil
	}
	return done, err
}

// whyNot finds out why a seat was not taken: nil means that looking again is worth it.
func (s *Service) whyNot(ctx context.Context, l *license.License, seek Seek) error {
	freed, err := s.cull(ctx, l.ID)
	if err != nil || freed > 0 {
		return err
	}
	now, a, err := s.Store.Find(ctx, seek)
	switch {
	case err != nil:
		return err
	case a != nil && a.State == Held, now.State != license.Active:
		return nil // held meanwhile by the same subject, or the license is no longer active
	case now.SeatsMax >= 0 && now.SeatsUsed >= now.SeatsMax && now.Terms.OverLimit != license.ReplaceOldest,
		now.SeatsMax == 0, now.SeatsUsed > now.SeatsMax && now.SeatsMax >= 0:
		return ErrSeats
	case now.SeatsUsed == now.SeatsMax:
		free, err := s.Store.Replaceable(ctx, l.ID, s.Clock.Now())
		if err == nil && !free { // all of them are borrowed
			err = ErrSeats
		}
		return err
	}
	return nil
}

// answer signs the lease and collects the rest of the reply.
func (s *Service) answer(ctx context.Context, l *license.License, a *Activation, when span, r *sdk.ActivateRequest) (sdk.ActivateResponse, bool, error) {
	device := a.Device
	if l.Terms.Seats.By == doc.ByUser {
		device, a.User = r.Device, r.User
	}
	claims := s.claims(l, a, when, device, r.Nonce)
	lease, err := s.sign(ctx, claims)
	if err != nil {
		return sdk.ActivateResponse{}, false, err
	}
	token, err := s.Licenses.TokenText(ctx, l)
	if err != nil {
		return sdk.ActivateResponse{}, false, err
	}
	d := s.decide(l, claims, evaluation(r), when.at)
	return sdk.ActivateResponse{Activation: a.ID, License: token, Lease: lease, Decision: &d}, true, nil
}

// digest is the shape of a component's or user's digest.
var digest = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// nonce is the shape of what a lease carries back.
var nonce = regexp.MustCompile(`^[!-~]{0,128}$`)

// checkForm refuses a request that no lease could carry.
func checkForm(r *sdk.ActivateRequest) error {
	err, good := errForm, true
	bad := func(name, detail string, args ...any) { err, good = err.With(name, detail, args...), false }
	if len(r.Device) > license.MaxParts {
		bad("/device", "more than %d components", license.MaxParts)
	}
	for component, d := range r.Device {
		if !doc.ValidCode(component) || !digest.MatchString(d) {
			bad("/device", "a component must be a code and its digest base64url")
			break
		}
	}
	if r.User != "" && !digest.MatchString(r.User) {
		bad("/user", "must be a digest in base64url")
	}
	if len(r.Name) > 200 || !utf8.ValidString(r.Name) {
		bad("/name", "longer than 200 bytes")
	}
	if !nonce.MatchString(r.Nonce) {
		bad("/nonce", "must be at most 128 visible ASCII characters")
	}
	if len(r.Version) > 64 {
		bad("/version", "longer than 64 bytes")
	}
	if good {
		return nil
	}
	return err
}
