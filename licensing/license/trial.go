package license

import (
	"context"
	"errors"
	"slices"
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
	// TrialsHad returns which of the subjects had one of a product.
	TrialsHad(ctx context.Context, productID string, subjects []string) (map[string]bool, error)
}

var (
	// ErrTrialUsed refuses a second trial of a product to a customer or organisation.
	ErrTrialUsed = licensing.Fail(licensing.Conflict, sdk.CodeTrialUsed, "You had a trial of this product. Buy it to go on.")
	// ErrTrialGiven refuses to give a second trial of a product to a customer or organisation.
	ErrTrialGiven = licensing.Fail(licensing.Conflict, sdk.CodeTrialUsed, "The customer or organisation had a trial of this product, and there is one for each. Give a license that is no trial.")
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

// noteTrial notes, in the caller's transaction, that the owner of a license that was issued had a trial by it, if it is one. Who is given one by hand
// must have had none; what was bought and what another system gave stands. Trials of the other environment are nobody's.
func (s *Service) noteTrial(ctx context.Context, l *License) error {
	if l.Terms.Type != doc.Trial || l.Source.Kind == FromTrial || l.Env != s.Env {
		return nil
	}
	first, err := s.Trials.AddTrial(ctx, l.ProductID, string(l.Owner), l.ID, l.CreatedAt)
	if err == nil && !first && l.Source.Kind == FromGrant {
		err = ErrTrialGiven
	}
	return err
}

// firstTrials takes those of the specs to be drafted away whose owner had a trial before, or has one of an earlier spec, and says so in out.
func (s *Service) firstTrials(ctx context.Context, specs []IssueSpec, of []Policy, todo []int, out []Drafted) ([]int, error) {
	owners := map[string][]string{} // of trials, by product
	tries := func(i int) bool {
		t := &of[i].Terms
		if specs[i].Terms != nil {
			t = specs[i].Terms
		}
		return t.Type == doc.Trial && specs[i].Source.Kind == FromGrant && specs[i].Env == s.Env
	}
	for _, i := range todo {
		if tries(i) {
			owners[specs[i].ProductID] = append(owners[specs[i].ProductID], string(specs[i].Owner))
		}
	}
	had := map[string]map[string]bool{}
	for product, subjects := range owners {
		var err error
		if had[product], err = s.Trials.TrialsHad(ctx, product, subjects); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(todo, func(i int) bool {
		if !tries(i) {
			return false
		}
		product, owner := had[specs[i].ProductID], string(specs[i].Owner)
		if product[owner] {
			out[i].Err = ErrTrialGiven
			return true
		}
		product[owner] = true
		return false
	}), nil
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
