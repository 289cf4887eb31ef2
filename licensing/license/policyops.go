package license

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// ErrPolicyCode refuses a second policy with the same code in a product.
var ErrPolicyCode = licensing.Fail(licensing.Conflict, "policy-code-taken", "The product already has a policy with this code.")

// PolicyView is a policy as staff see it.
type PolicyView struct {
	ID        string    `json:"id" doc:"The policy."`
	ProductID string    `json:"product_id" doc:"The product it is for."`
	Code      string    `json:"code" doc:"Its code, unique in the product."`
	Name      string    `json:"name" doc:"Its name."`
	Terms     Terms     `json:"terms" doc:"What it grants and demands."`
	Version   int64     `json:"version" doc:"Grows with every change; licenses keep the terms they were issued with."`
	CreatedAt time.Time `json:"created_at" doc:"When it was made."`
	UpdatedAt time.Time `json:"updated_at" doc:"When it last changed."`
}

func (p *Policy) view() PolicyView {
	return PolicyView{ID: p.ID, ProductID: p.ProductID, Code: p.Code, Name: p.Name, Terms: p.Terms, Version: p.Version,
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}

// CreatePolicyRequest makes a policy. Terms left out take their defaults.
type CreatePolicyRequest struct {
	ProductID string `json:"product_id" doc:"The product it is for."`
	Code      string `json:"code" doc:"Its code, unique in the product: 1 to 64 of a-z, 0-9, _ . -"`
	Name      string `json:"name" doc:"Its name."`
	Terms     Terms  `json:"terms" doc:"What it grants and demands."`
}

// Validate checks the form and the terms.
func (r CreatePolicyRequest) Validate() error {
	c := &checker{err: ErrPolicy}
	c.that(licensing.ValidID("prod", r.ProductID), "/product_id", "must be a product's id")
	c.that(code.MatchString(r.Code), "/code", "must be 1 to 64 of a-z, 0-9, _ . -")
	c.that(r.Name != "" && len(r.Name) <= 200, "/name", "must be 1 to 200 bytes")
	if err := c.result(); err != nil {
		return err
	}
	return r.Terms.WithDefaults().Validate()
}

// CreatePolicy makes a policy.
func (s *Service) CreatePolicy(ctx context.Context, r CreatePolicyRequest) (PolicyView, error) {
	if err := r.Validate(); err != nil {
		return PolicyView{}, err
	}
	if !licensing.ActorFrom(ctx).Reaches(r.ProductID) {
		return PolicyView{}, licensing.ErrNotFound
	}
	now := s.Clock.Now()
	p := Policy{ID: s.IDs.New("pol"), ProductID: r.ProductID, Code: r.Code, Name: r.Name, Terms: r.Terms.WithDefaults(),
		Version: 1, CreatedAt: now, UpdatedAt: now}
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Policies.AddPolicy(ctx, p); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "policy.create", Target: p.ID, Product: p.ProductID,
			Detail: map[string]any{"code": p.Code}})
	})
	if err != nil {
		return PolicyView{}, err
	}
	return p.view(), nil
}

// PolicyAgain answers a replay of an operation whose result is the policy with the given id.
func (s *Service) PolicyAgain(ctx context.Context, id, _ string) (PolicyView, error) {
	return s.GetPolicy(ctx, PolicyRequest{ID: id})
}

// PolicyRequest names a policy.
type PolicyRequest struct {
	ID string `path:"id" doc:"The policy."`
}

// GetPolicy returns a policy.
func (s *Service) GetPolicy(ctx context.Context, r PolicyRequest) (PolicyView, error) {
	p, err := s.policy(ctx, r.ID)
	if err != nil {
		return PolicyView{}, err
	}
	return p.view(), nil
}

// policy is the one door by which operations reach a policy by id.
func (s *Service) policy(ctx context.Context, id string) (Policy, error) {
	p, err := s.Policies.Policy(ctx, id)
	if err == nil && !licensing.ActorFrom(ctx).Reaches(p.ProductID) {
		return Policy{}, licensing.ErrNotFound
	}
	return p, err
}

// KnownPolicy is a policy as the last two seconds knew it: what licenses are issued from. Nobody may change what it points to.
func (s *Service) KnownPolicy(ctx context.Context, id string) (Policy, error) {
	p, err := s.policies.Get(ctx, id, s.Policies.Policy)
	if err == nil && !licensing.ActorFrom(ctx).Reaches(p.ProductID) {
		return Policy{}, licensing.ErrNotFound
	}
	return p, err
}

// ForgetPolicy drops what is kept of a policy; the change feed calls it for "policy", with "" for all.
func (s *Service) ForgetPolicy(id string) { s.policies.Forget(id) }

// ListPoliciesRequest narrows and pages a list of policies.
type ListPoliciesRequest struct {
	licensing.Page
	Product string `query:"product" doc:"Only those of this product (its id)."`
}

// ListPolicies returns policies, newest first; a machine token that is narrowed to a product sees that product's alone.
func (s *Service) ListPolicies(ctx context.Context, r ListPoliciesRequest) (licensing.List[PolicyView], error) {
	if actor := licensing.ActorFrom(ctx); actor.Kind == licensing.Machine && actor.Product != "" {
		r.Product = actor.Product
	}
	page, err := s.Policies.ListPolicies(ctx, r.Product, r.Page)
	if err != nil {
		return licensing.List[PolicyView]{}, err
	}
	out := licensing.List[PolicyView]{Items: make([]PolicyView, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].view()
	}
	return out, nil
}

// ChangePolicyRequest replaces a policy's name and terms, for licenses issued from now on.
type ChangePolicyRequest struct {
	ID      string `path:"id" doc:"The policy."`
	Version int64  `json:"version" doc:"The version that was looked at; another one refuses the change."`
	Name    string `json:"name" doc:"Its name."`
	Terms   Terms  `json:"terms" doc:"What it grants and demands."`
}

// Validate checks the form and the terms.
func (r ChangePolicyRequest) Validate() error {
	if r.Name == "" || len(r.Name) > 200 {
		return ErrPolicy.With("/name", "must be 1 to 200 bytes")
	}
	return r.Terms.WithDefaults().Validate()
}

// ChangePolicy changes a policy. Licenses already issued keep their terms.
func (s *Service) ChangePolicy(ctx context.Context, r ChangePolicyRequest) (PolicyView, error) {
	if err := r.Validate(); err != nil {
		return PolicyView{}, err
	}
	p := Policy{ID: r.ID, Name: r.Name, Terms: r.Terms.WithDefaults(), UpdatedAt: s.Clock.Now()}
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		if _, err := s.policy(ctx, r.ID); err != nil {
			return err
		}
		saved, err := s.Policies.SavePolicy(ctx, p, r.Version)
		if err != nil {
			return err
		}
		if !saved {
			return ErrChanged
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "policy.change", Target: r.ID, Detail: map[string]any{"was": r.Version}})
	})
	if err != nil {
		return PolicyView{}, err
	}
	s.ForgetPolicy(r.ID)
	return s.GetPolicy(ctx, PolicyRequest{ID: r.ID})
}

func isChanged(err error) bool { return errors.Is(err, ErrChanged) }
