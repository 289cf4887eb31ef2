package license

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
)

// TrialPolicy is the code of the policy that a product's trials are issued under, where it has one of type trial: customers may start
// those themselves.
const TrialPolicy = "trial"

// TrialProduct is what issuing a trial needs to know of a product.
type TrialProduct struct {
	ID, Slug, KeyPrefix string
	OnSale              bool
}

// Trials keeps who had a trial. AddTrial runs in the caller's transaction and reports false, storing nothing, when the customer or
// organisation had one of the product. That a device has one alone is for the seats to see.
type Trials interface {
	TrialProduct(ctx context.Context, slug string) (TrialProduct, error)
	AddTrial(ctx context.Context, productID, subject, licenseID string, at time.Time) (bool, error)
}

var (
	// ErrTrialUsed refuses a second trial of a product to a customer or organisation.
	ErrTrialUsed = licensing.Fail(licensing.Conflict, sdk.CodeTrialUsed, "You had a trial of this product. Buy it to go on.")
	// ErrNoTrial refuses a trial of a product that offers none.
	ErrNoTrial = licensing.Fail(licensing.NotFound, "no-trial", "This product offers no trial.")
)

// TrialRequest asks for a trial of a product.
type TrialRequest struct {
	Product string `json:"product" doc:"Slug of the product." example:"editor"`
}

// StartTrial issues a trial license to the customer, or the organisation that he acts for: one of a product for each, ever, also when
// they ask at once, and for the person as well as for the organisation. The key is shown as that of any license.
func (s *Service) StartTrial(ctx context.Context, r TrialRequest) (View, error) {
	actor := licensing.ActorFrom(ctx)
	if actor.Kind != licensing.Customer || actor.Owner == "" {
		return View{}, licensing.ErrNotFound
	}
	p, policy, err := s.offered(ctx, r.Product)
	if err != nil {
		return View{}, err
	}
	for range 3 {
		d, err := s.Draft(ctx, IssueSpec{Source: Source{Kind: FromTrial, ID: p.ID + "/" + string(actor.Owner)}, ProductID: p.ID, ProductSlug: p.Slug,
			KeyPrefix: p.KeyPrefix, PolicyID: policy.ID, Owner: actor.Owner, Env: s.Env})
		if err != nil {
			return View{}, err
		}
		err = s.Tx.InTx(ctx, func(ctx context.Context) error { return s.issueTrial(ctx, d, actor) })
		if errors.Is(err, ErrCollision) {
			continue
		}
		if err != nil {
			return View{}, err
		}
		return s.view(ctx, d.License.ID)
	}
	return View{}, ErrCollision
}

// issueTrial stores a trial and who had it.
func (s *Service) issueTrial(ctx context.Context, d *Draft, actor licensing.Actor) error {
	issued, err := s.Issue(ctx, d)
	if err == nil && !issued {
		err = ErrTrialUsed
	}
	if err != nil {
		return err
	}
	subjects := []string{string(actor.Owner)}
	if actor.ID != subjects[0] {
		subjects = append(subjects, actor.ID)
	}
	for _, subject := range subjects {
		first, err := s.Trials.AddTrial(ctx, d.License.ProductID, subject, d.License.ID, d.License.CreatedAt)
		if err != nil {
			return err
		}
		if !first {
			return ErrTrialUsed
		}
	}
	return nil
}

// offered is a product on sale and the policy of its trials.
func (s *Service) offered(ctx context.Context, slug string) (TrialProduct, Policy, error) {
	p, err := s.Trials.TrialProduct(ctx, slug)
	if errors.Is(err, licensing.ErrNotFound) || err == nil && !p.OnSale {
		err = ErrNoTrial
	}
	page := licensing.Page{Limit: 100}
	for err == nil {
		var list licensing.List[Policy]
		if list, err = s.Policies.ListPolicies(ctx, p.ID, page); err != nil {
			break
		}
		for _, policy := range list.Items {
			if policy.Code == TrialPolicy && policy.Terms.Type == doc.Trial {
				return p, policy, nil
			}
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			err = ErrNoTrial
		}
	}
	return p, Policy{}, err
}
