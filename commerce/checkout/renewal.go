package checkout

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// ErrNoRenewal refuses a line that renews what it cannot; its field says why.
var ErrNoRenewal = licensing.Fail(licensing.Conflict, "no-renewal", "The license cannot be renewed by buying this plan; see the field.")

// freezeRenewal makes a line one that renews the caller's license, which the plan gave, by so many of its own terms as are bought. Whoever
// else's license it is, and whatever a guest names, is answered as what is not there.
func (s *Service) freezeRenewal(ctx context.Context, o *order.Order, line *order.Line, id, field string, plan catalog.Plan) error {
	if licensing.ActorFrom(ctx).Kind != licensing.Customer {
		return licensing.ErrNotFound
	}
	l, err := s.Licenses.Get(ctx, license.GetRequest{ID: id})
	if err != nil {
		return err
	}
	refuse := func(why string) error { return ErrNoRenewal.With(field, "%s", why) }
	switch {
	case l.ProductID != line.ProductID || l.Plan != plan.Code:
		return refuse("is a license of another plan")
	case !plan.Renews():
		return refuse("the plan gives more than a license, or is paid for otherwise")
	case l.HeldAt != nil || l.DisputedAt != nil:
		return refuse("is suspended")
	case licensing.Env(l.Env) != grantEnv(*o, order.Grant{Env: licensing.Env(l.Env)}):
		return refuse("is live, and payments are in test mode")
	case !longer(&l, o.CreatedAt, line.Quantity):
		return refuse("would not be valid for longer")
	}
	line.Renews, line.Hint, line.PlanName = l.ID, l.KeyHint, line.PlanName+", renewal of …"+l.KeyHint
	line.Grants = []order.Grant{{Kind: order.KindRenewal, Policy: l.Policy, Env: licensing.Env(l.Env)}}
	return nil
}

// longer reports whether so many terms, counted from an instant, would make a license valid for longer, or its updates.
func longer(l *license.View, at time.Time, terms int64) bool {
	to, err := l.Renewed(at, time.Time{}, terms)
	if err != nil {
		return false
	}
	grows := func(was *time.Time, is time.Time) bool { return !is.IsZero() && (was == nil || is.After(*was)) }
	return to.TermAdded > 0 || grows(l.ValidUntil, to.ValidUntil) || grows(l.UpdatesUntil, to.UpdatesUntil)
}

// renewalGiver renews the license of a line.
type renewalGiver struct{ issuer LicenseIssuer }

func renewalSource(source string) license.Source {
	return license.Source{Kind: license.RenewedByOrder, ID: source}
}

func (g *renewalGiver) Draft(ctx context.Context, u Unit) (Draft, error) {
	r, err := g.issuer.DraftRenewal(ctx, license.RenewSpec{License: u.Line.Renews, Owner: u.Owner, Source: renewalSource(u.Source), Terms: u.Line.Quantity, Reason: "bought with line " + u.Line.ID})
	if err != nil {
		return Draft{}, err
	}
	return Draft{Object: u.Line.Renews, Hint: u.Line.Hint, Issue: func(ctx context.Context) (bool, error) { return g.issuer.ApplyRenewal(ctx, r) }}, nil
}

// Reverse implements [Reverser]: it takes exactly this renewal back, or gives it again.
func (g *renewalGiver) Reverse(ctx context.Context, given Given, back bool, reason string) (func(ctx context.Context) error, error) {
	r, err := g.issuer.DraftReversal(ctx, renewalSource(given.Source), back, reason)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := g.issuer.ApplyReversal(ctx, r)
		return err
	}, nil
}

// errReversed is what the ways of other givers answer: a renewal is taken back by [renewalGiver.Reverse] alone.
var errReversed = errors.New("checkout: a renewal is reversed, not changed in place")

func (g *renewalGiver) Suspend(context.Context, Given, string) error   { return errReversed }
func (g *renewalGiver) Reinstate(context.Context, Given, string) error { return errReversed }
func (g *renewalGiver) Revoke(context.Context, Given, string) error    { return errReversed }
