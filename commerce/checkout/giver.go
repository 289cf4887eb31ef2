package checkout

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/license"
)

// LicenseIssuer is what fulfilment needs of package license.
type LicenseIssuer interface {
	Draft(ctx context.Context, spec license.IssueSpec) (*license.Draft, error)
	Issue(ctx context.Context, d *license.Draft) (bool, error)
	SuspendBySource(ctx context.Context, s license.Source, reason string) (bool, error)
	ReinstateBySource(ctx context.Context, s license.Source, reason string) (bool, error)
	RevokeBySource(ctx context.Context, s license.Source, reason string) (bool, error)
	DraftRenewal(ctx context.Context, spec license.RenewSpec) (*license.Renewal, error)
	ApplyRenewal(ctx context.Context, r *license.Renewal) (bool, error)
	DraftReversal(ctx context.Context, source license.Source, back bool, reason string) (*license.Reversal, error)
	ApplyReversal(ctx context.Context, r *license.Reversal) (bool, error)
}

// KeyIssuer is what fulfilment needs of package apikey.
type KeyIssuer interface {
	Draft(ctx context.Context, spec apikey.IssueSpec) (*apikey.Draft, error)
	Issue(ctx context.Context, d *apikey.Draft) (bool, error)
	Dispute(ctx context.Context, r apikey.RevokeRequest) (apikey.RevokeResponse, error)
	EndDispute(ctx context.Context, r apikey.RevokeRequest) (apikey.RevokeResponse, error)
	Revoke(ctx context.Context, r apikey.RevokeRequest) (apikey.RevokeResponse, error)
}

var (
	_ LicenseIssuer = (*license.Service)(nil)
	_ KeyIssuer     = (*apikey.Service)(nil)
)

// NewGivers returns the givers of licenses and API keys, by kind of grant.
func NewGivers(licenses LicenseIssuer, keys KeyIssuer) map[string]Giver {
	return map[string]Giver{order.KindLicense: &licenseGiver{licenses}, order.KindAPIKey: &keyGiver{keys}, order.KindRenewal: &renewalGiver{licenses}}
}

type licenseGiver struct{ issuer LicenseIssuer }

func licenseSource(source string) license.Source {
	return license.Source{Kind: license.FromOrderUnit, ID: source}
}

func (g *licenseGiver) Draft(ctx context.Context, u Unit) (Draft, error) {
	var terms license.Terms
	if err := json.Unmarshal([]byte(u.Grant.Terms), &terms); err != nil {
		return Draft{}, fmt.Errorf("frozen terms of policy %s: %w", u.Grant.Policy, err)
	}
	d, err := g.issuer.Draft(ctx, license.IssueSpec{Source: licenseSource(u.Source), ProductID: u.Line.ProductID, ProductSlug: u.Line.ProductSlug,
		KeyPrefix: u.Line.KeyPrefix, PlanID: u.Line.PlanID, PlanCode: u.Line.PlanCode, PolicyID: u.Grant.Policy, Owner: u.Owner, Env: u.Env, Licensee: u.Licensee,
		Terms: &terms, Seats: u.Grant.Seats, Entitlements: u.Grant.Entitlements})
	if err != nil {
		return Draft{}, err
	}
	return Draft{Object: d.License.ID, Secret: d.Key, Hint: d.License.KeyHint,
		Issue: func(ctx context.Context) (bool, error) { return g.issuer.Issue(ctx, d) }}, nil
}

func (g *licenseGiver) Suspend(ctx context.Context, given Given, reason string) error {
	_, err := g.issuer.SuspendBySource(ctx, licenseSource(given.Source), reason)
	return err
}

func (g *licenseGiver) Reinstate(ctx context.Context, given Given, reason string) error {
	_, err := g.issuer.ReinstateBySource(ctx, licenseSource(given.Source), reason)
	return err
}

func (g *licenseGiver) Revoke(ctx context.Context, given Given, reason string) error {
	_, err := g.issuer.RevokeBySource(ctx, licenseSource(given.Source), reason)
	return err
}

type keyGiver struct{ issuer KeyIssuer }

func (g *keyGiver) Draft(ctx context.Context, u Unit) (Draft, error) {
	d, err := g.issuer.Draft(ctx, apikey.IssueSpec{Source: apikey.Source{Kind: apikey.FromOrderUnit, ID: u.Source}, Owner: u.Owner, ProductID: u.Line.ProductID,
		PlanID: u.Line.PlanID, PlanCode: u.Line.PlanCode, Env: u.Env, Name: cutName(u.Line.Name()), Scopes: u.Grant.Scopes,
		Limits: []apikey.Limit{{Name: "rate", Count: u.Grant.RateCount, Seconds: u.Grant.RatePeriod}}})
	if err != nil {
		return Draft{}, err
	}
	return Draft{Object: d.Key.ID, Secret: d.Text.Full, Hint: d.Text.Hint,
		Issue: func(ctx context.Context) (bool, error) { return g.issuer.Issue(ctx, d) }}, nil
}

// cutName keeps a key's name within what package apikey allows, without cutting a character in two.
func cutName(name string) string {
	const longest = 100
	for i := range name {
		if i > longest-4 && len(name) > longest {
			return name[:i]
		}
	}
	return name
}

func (g *keyGiver) Suspend(ctx context.Context, given Given, reason string) error {
	return done(g.issuer.Dispute(asFulfilment(ctx), apikey.RevokeRequest{ID: given.Object, Reason: reason}))
}

func (g *keyGiver) Reinstate(ctx context.Context, given Given, reason string) error {
	return done(g.issuer.EndDispute(asFulfilment(ctx), apikey.RevokeRequest{ID: given.Object, Reason: reason}))
}

func (g *keyGiver) Revoke(ctx context.Context, given Given, reason string) error {
	return done(g.issuer.Revoke(asFulfilment(ctx), apikey.RevokeRequest{ID: given.Object, Reason: reason}))
}

// done takes a key that is no longer live for one that needs no more change.
func done(_ apikey.RevokeResponse, err error) error {
	if licensing.KindOf(err) == licensing.Conflict {
		return nil
	}
	return err
}

// asFulfilment acts for the system, whoever set the fulfilment off: what a payment does to keys is not the caller's own deed.
func asFulfilment(ctx context.Context) context.Context { return asSystem(ctx, "checkout.fulfil") }
