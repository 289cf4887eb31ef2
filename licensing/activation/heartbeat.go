package activation

import (
	"context"

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
	if l.Terms.ExpiryBasis == license.FromFirstValidation { // the answer carries a decision: it validates
		if l, err = s.Licenses.Start(ctx, l); err != nil {
			return out, false, err
		}
	}
	byUser := l.Terms.Seats.By == doc.ByUser
	when := spanOf(&l.Terms, s.Clock.Now())
	seq, err := s.Store.Renew(ctx, Renewal{ID: a.ID, Presented: presented.Seq, Watch: !byUser, At: s.Clock.Now(),
		LeaseUntil: when.leaseUntil, DiesAt: when.diesAt})
	if err != nil || seq == 0 {
		return out, false, err
	}
	a.Seq = seq
	device := a.Device
	if byUser {
		device = presented.Device // a user's seat serves each of the user's devices with its own lease
	}
	claims := s.claims(&l, &a, when, device, "")
	if out.Lease, err = s.sign(ctx, claims); err != nil {
		return out, false, err
	}
	if had := r.Token; had != l.Token.JTI && (had != "" || presented.Token != l.Token.JTI) {
		if out.License, err = s.Licenses.TokenText(ctx, &l); err != nil {
			return out, false, err
		}
	}
	d := s.decide(&l, claims, eval.Request{Product: l.ProductSlug, Env: string(l.Env), Version: r.Version, User: a.User, Device: deviceOr(r.Device, device)}, when.at)
	out.Decision = &d
	return out, true, nil
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
