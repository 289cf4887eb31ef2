package activation

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// Heartbeat renews a lease. It succeeds as long as the activation holds its seat, however late it comes. The newest seq
// survives: a lease that is behind, and is not merely the last one presented once more (a lost reply), shows that two
// machines use one activation, and is flagged.
func (s *Service) Heartbeat(ctx context.Context, r sdk.HeartbeatRequest) (sdk.HeartbeatResponse, error) {
	actor := licensing.ActorFrom(ctx)
	if actor.Kind != licensing.Device || actor.ID != r.ID {
		return sdk.HeartbeatResponse{}, licensing.ErrNotFound
	}
	presented, err := s.Verifier.VerifyLease(ctx, actor.Lease)
	if err != nil {
		return sdk.HeartbeatResponse{}, err
	}
	for range attempts {
		out, done, err := s.beat(ctx, presented, &r)
		if err != nil || done {
			return out, err
		}
	}
	return sdk.HeartbeatResponse{}, errBusy
}

// beat is one attempt: a read and a conditional write.
func (s *Service) beat(ctx context.Context, presented *doc.Lease, r *sdk.HeartbeatRequest) (out sdk.HeartbeatResponse, done bool, err error) {
	a, l, err := s.Store.Activation(ctx, r.ID)
	if notFound(err) {
		return out, false, ErrReleased
	}
	if err != nil {
		return out, false, err
	}
	if err := alive(&a, &l, presented, r); err != nil {
		return out, false, err
	}
	if l.Waits() { // the answer carries a decision, so it validates; and a seat that is in use was activated, if under another policy
		if l, err = s.Licenses.Start(ctx, l); err != nil {
			return out, false, err
		}
	}
	when, renewed, err := s.renew(ctx, &l, &a, presented)
	if err != nil || !renewed {
		return out, false, err
	}
	out, err = s.reply(ctx, &l, &a, when, presented, r)
	return out, err == nil, err
}

// renew advances the seq of a held activation at a contact, in a. It reports false when what the caller read is no longer so.
func (s *Service) renew(ctx context.Context, l *license.License, a *Activation, presented *doc.Lease) (span, bool, error) {
	return s.renewTo(ctx, l, a, presented, a.BorrowedUntil, "")
}

// renewTo is [Service.renew] with a seat that is borrowed until an instant from now on, or, when that is past, is not. lent is the license
// when the device asked for that.
func (s *Service) renewTo(ctx context.Context, l *license.License, a *Activation, presented *doc.Lease, borrowed time.Time, lent string) (span, bool, error) {
	now, was := s.Clock.Now(), a.BorrowedUntil
	if a.BorrowedUntil = borrowed; !borrowed.After(now) {
		a.BorrowedUntil = time.Time{}
	}
	when := spanFor(&l.Terms, a, now)
	r := Renewal{ID: a.ID, At: now, LeaseUntil: when.leaseUntil, DiesAt: when.diesAt, Borrowed: a.BorrowedUntil, Was: was, Lent: lent}
	if presented != nil {
		r.Presented, r.Watch = presented.Seq, l.Terms.Seats.By != doc.ByUser
		if r.Endless = presented.Expires == 0; !r.Endless {
			r.Shown = time.Unix(presented.Expires, 0).UTC()
		}
	}
	seq, err := s.Store.Renew(ctx, r)
	a.Seq = seq
	return when, err == nil && seq != 0, err
}

// reply signs the next lease of an activation that was renewed, for the device of the lease presented, and adds the license token if the
// device has an older one.
func (s *Service) reply(ctx context.Context, l *license.License, a *Activation, when span, presented *doc.Lease, r *sdk.HeartbeatRequest) (out sdk.HeartbeatResponse, err error) {
	device := a.Device
	if l.Terms.Seats.By == doc.ByUser {
		device = presented.Device // a user's seat serves each of the user's devices with its own lease
	}
	claims := s.claims(l, a, when, device, "")
	if out.Lease, err = s.sign(ctx, claims); err != nil {
		return out, err
	}
	if had := r.Token; had != l.Token.JTI && (had != "" || presented.Token != l.Token.JTI) {
		if out.License, err = s.Licenses.TokenText(ctx, l); err != nil {
			return out, err
		}
	}
	d := s.decide(l, claims, eval.Request{Product: l.ProductSlug, Env: string(l.Env), Version: r.Version, User: a.User, Device: deviceOr(r.Device, device)}, when.at)
	out.Decision = &d
	return out, nil
}

// alive refuses a heartbeat of an activation without a seat, of a license that is not active, or from another device.
func alive(a *Activation, l *license.License, presented *doc.Lease, r *sdk.HeartbeatRequest) error {
	switch {
	case l.State == license.Revoked:
		return ErrRevoked
	case a.State != Held, a.LicenseID != presented.License:
		return ErrReleased
	case l.State == license.Suspended:
		return ErrSuspended
	}
	if len(r.Device) > 0 && presented.Match > 0 {
		agree := int64(0)
		for component, digest := range presented.Device {
			if r.Device[component] == digest {
				agree++
			}
		}
		if agree < presented.Match {
			return ErrDevice
		}
	}
	return nil
}

func deviceOr(given, known map[string]string) map[string]string {
	if len(given) > 0 {
		return given
	}
	return known
}
