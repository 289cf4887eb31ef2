package activation

import (
	"context"
	"errors"
	"fmt"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// ValidateRequest asks for the server's decision on a license: that of the credential, or, for staff and machine tokens, the
// one named.
type ValidateRequest struct {
	sdk.ValidateRequest
	License string `json:"license,omitempty" doc:"The license, for callers without a credential of its own."`
}

// Validate decides as a product would, from what the server knows now: state, seats and the last contact of the device or user.
// A credential or id of no license, and one that the caller may not see, are answered NOT_FOUND. What is known of licenses comes from memory,
// see [Service.Forget]: a change made on another replica is seen within two seconds. Staff only look: no term begins by it, and where they name neither
// device nor user the decision is the one that the license's view and pages tell, on a device whose activation is in order.
func (s *Service) Validate(ctx context.Context, r ValidateRequest) (sdk.ValidateResponse, error) {
	form := sdk.ActivateRequest{Device: r.Device, User: r.User, Version: r.Version}
	if err := checkForm(&form); err != nil {
		return sdk.ValidateResponse{}, err
	}
	actor := licensing.ActorFrom(ctx)
	id, looks := actor.License, actor.Kind == licensing.Staff || actor.Kind == licensing.CLI
	if actor.Kind != licensing.Holder {
		id = r.License
	}
	parts := partsOf(r.Device)
	seek := Seek{License: id, Subject: deviceKey(parts), Parts: parts}
	if r.User != "" {
		seek.User = userKey(r.User)
	}
	f, read, err := found{}, false, error(licensing.ErrNotFound)
	if id != "" {
		f, read, err = s.find(ctx, seek)
	}
	if err == nil && looks && !read { // what is remembered need not know of seats
		f.license, f.activation, err = s.Store.Find(ctx, seek)
	}
	if errors.Is(err, licensing.ErrNotFound) || err == nil && !visible(actor, &f.license) {
		return sdk.ValidateResponse{Decision: eval.Evaluate(eval.Input{Request: r.Evaluation(), Now: s.Clock.Now().Unix()})}, nil
	}
	if err != nil {
		return sdk.ValidateResponse{}, err
	}
	var d eval.Decision
	if looks {
		d, err = s.look(ctx, &f, &r)
		return sdk.ValidateResponse{Decision: d}, err
	}
	if read || !f.license.Waits() {
		if d, err = s.settle(ctx, f, &r); err != nil || read || !ofContact(&d) {
			return sdk.ValidateResponse{Decision: d}, err
		}
	}
	if f.license, f.activation, err = s.Store.Find(ctx, seek); err == nil {
		d, err = s.settle(ctx, f, &r)
	}
	return sdk.ValidateResponse{Decision: d}, err
}

// settle decides on what was found of a license.
func (s *Service) settle(ctx context.Context, f found, r *ValidateRequest) (eval.Decision, error) {
	l, err := f.license, error(nil)
	if l.Terms.ExpiryBasis == license.FromFirstValidation && l.State == license.Active {
		if l, err = s.Licenses.Start(ctx, l); err != nil {
			return eval.Decision{}, err
		}
	}
	used, err := s.overQuota(ctx, &l, r)
	if err != nil {
		return eval.Decision{}, err
	}
	return s.judge(&l, f.activation, r, used...), nil
}

// look is [Service.settle] for staff.
func (s *Service) look(ctx context.Context, f *found, r *ValidateRequest) (eval.Decision, error) {
	used, err := s.overQuota(ctx, &f.license, r)
	if err != nil || len(r.Device) > 0 || r.User != "" {
		return s.judge(&f.license, f.activation, r, used...), err
	}
	return s.Licenses.JudgeFor(&f.license, r.Evaluation(), s.Clock.Now(), used...), nil
}

// overQuota finds that a question about a meter asks for more than what is left of its quota. Asking for no number asks for one.
func (s *Service) overQuota(ctx context.Context, l *license.License, r *ValidateRequest) ([]eval.Finding, error) {
	m, metered := l.Terms.Meters[r.Entitlement]
	if !metered || s.Usage == nil {
		return nil, nil
	}
	used, err := s.Usage.Used(ctx, l, r.Entitlement)
	if err != nil || used+max(r.N, 1) <= m.Quota {
		return nil, err
	}
	return []eval.Finding{{Code: eval.QuotaExceeded, Effect: eval.Deny,
		Detail: fmt.Sprintf("The license includes %d of %s in a %s, %d are used, and %d was asked for.", m.Quota, r.Entitlement, m.Period, used, max(r.N, 1))}}, nil
}

// visible reports whether a caller without the license's own credential may ask about it.
func visible(a licensing.Actor, l *license.License) bool {
	return a.Kind != licensing.Machine || (a.Product == "" || a.Product == l.ProductID) && (a.Env == "" || a.Env == l.Env)
}

// judge evaluates a license with the lease that its activation has at the server.
func (s *Service) judge(l *license.License, a *Activation, r *ValidateRequest, known ...eval.Finding) eval.Decision {
	now := s.Clock.Now()
	in := eval.Input{
		License: s.Licenses.Claims(l), Request: r.Evaluation(), Now: now.Unix(), Known: known,
		Status: &eval.Status{Value: statusOf(l.State), IssuedAt: now.Unix()},
	}
	switch {
	case a == nil:
	case a.State == Held:
		device := a.Device
		if l.Terms.Seats.By == doc.ByUser {
			device = r.Device
		}
		in.Lease = s.claims(l, a, spanFor(&l.Terms, a, a.LastSeenAt), device, "")
	case l.Terms.Activation == doc.ActivationRequired:
		in.Known = append(in.Known, eval.Finding{Code: eval.ActivationReleased, Effect: eval.Deny, Detail: "The activation gave its seat back."})
	}
	if l.Crowded() {
		in.Known = append(in.Known, eval.Finding{Code: eval.TooManySeats, Effect: eval.Warn, Detail: "More seats are held than the license has."})
	}
	return eval.Evaluate(in)
}
