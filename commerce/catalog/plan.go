package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// CreatePlanRequest describes a new plan of a product, which starts as a draft.
type CreatePlanRequest struct {
	Product     string   `path:"id" doc:"Id of the product."`
	Code        string   `json:"code" doc:"Name within the product; cannot change once the plan was active." example:"pro"`
	Name        string   `json:"name" doc:"Name for people."`
	Description string   `json:"description,omitempty" doc:"What it is, plain text."`
	Type        PlanType `json:"type" doc:"Kind of term. Subscriptions can be drafted, and are not sold yet." enum:"perpetual,timed,subscription,trial"`
	Grants      []Grant  `json:"grants" doc:"What one unit gives its buyer."`
}

// PlanView is a plan as staff sees it.
type PlanView struct {
	ID          string    `json:"id" doc:"Id of the plan."`
	Product     string    `json:"product" doc:"Id of the product."`
	Code        string    `json:"code" doc:"Name within the product."`
	Name        string    `json:"name" doc:"Name for people."`
	Description string    `json:"description" doc:"What it is, plain text."`
	Type        PlanType  `json:"type" doc:"Kind of term." enum:"perpetual,timed,subscription,trial"`
	State       State     `json:"state" doc:"Where it stands in its life." enum:"draft,active,archived"`
	Grants      []Grant   `json:"grants" doc:"What one unit gives its buyer."`
	Prices      []Offer   `json:"prices" doc:"Prices in force now."`
	Version     int64     `json:"version" doc:"Counts changes."`
	CreatedAt   time.Time `json:"created_at" doc:"When it was made."`
	UpdatedAt   time.Time `json:"updated_at" doc:"When it last changed."`
}

func checkPlan(p Plan) error {
	c := newChecker()
	c.slug("/code", p.Code)
	c.line("/name", p.Name)
	c.longText("/description", p.Description)
	c.planType("/type", p.Type)
	c.grants("/grants", p.Grants)
	return c.result()
}

// CreatePlan makes a draft.
func (s *Service) CreatePlan(ctx context.Context, r CreatePlanRequest) (PlanView, error) {
	now := s.Clock.Now()
	p := Plan{ID: s.IDs.New("plan"), ProductID: r.Product, Code: r.Code, Name: r.Name, Description: r.Description, Type: r.Type,
		State: Draft, Grants: r.Grants, Version: 1, CreatedAt: now, UpdatedAt: now}
	if err := checkPlan(p); err != nil {
		return PlanView{}, err
	}
	err := s.inTx(ctx, func(ctx context.Context) error {
		product, err := s.Store.Product(ctx, r.Product)
		if err != nil {
			return err
		}
		if err := reach(ctx, product.ID); err != nil {
			return err
		}
		if product.State == Retired {
			return ErrState.With("state", "the product is retired")
		}
		if err := s.Store.AddPlan(ctx, p); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "plan.create", Target: p.ID, Product: product.ID, Detail: map[string]any{"code": p.Code}})
	})
	if err != nil {
		return PlanView{}, err
	}
	return viewPlan(p, nil), nil
}

// PlanRequest names one plan.
type PlanRequest struct {
	ID string `path:"id" doc:"Id of the plan."`
}

// GetPlan returns a plan with its current prices.
func (s *Service) GetPlan(ctx context.Context, r PlanRequest) (PlanView, error) {
	return s.ReadPlan(ctx, r.ID, "")
}

// ReadPlan answers the replay of an operation whose result is a plan.
func (s *Service) ReadPlan(ctx context.Context, id, _ string) (PlanView, error) {
	p, err := s.Store.Plan(ctx, id)
	if err != nil {
		return PlanView{}, err
	}
	if err := reach(ctx, p.ProductID); err != nil {
		return PlanView{}, err
	}
	offers, err := s.offers(ctx, []Plan{p})
	if err != nil {
		return PlanView{}, err
	}
	return viewPlan(p, offers[p.ID]), nil
}

// UpdatePlanRequest changes what is given and leaves the rest.
type UpdatePlanRequest struct {
	ID          string   `path:"id" doc:"Id of the plan."`
	Code        *string  `json:"code,omitempty" doc:"New code; only while the plan is a draft."`
	Name        *string  `json:"name,omitempty" doc:"New name."`
	Description *string  `json:"description,omitempty" doc:"New description."`
	Grants      *[]Grant `json:"grants,omitempty" doc:"New grants, for orders from now on."`
	Version     *int64   `json:"version,omitempty" doc:"The version that was read; the change is refused when the plan has another by now."`
}

// UpdatePlan changes a plan. Past orders keep the grants they were made with.
func (s *Service) UpdatePlan(ctx context.Context, r UpdatePlanRequest) (PlanView, error) {
	return s.changePlan(ctx, r.ID, "plan.update", r.Version, func(ctx context.Context, p *Plan) error {
		if r.Code != nil && *r.Code != p.Code && p.State != Draft {
			return licensing.Fail(licensing.Conflict, "code-fixed", "The code cannot change once the plan was active.")
		}
		set(&p.Code, r.Code)
		set(&p.Name, r.Name)
		set(&p.Description, r.Description)
		set(&p.Grants, r.Grants)
		if err := checkPlan(*p); err != nil {
			return err
		}
		if p.State == Active {
			return s.sellable(ctx, *p)
		}
		return nil
	})
}

// PublishPlan offers a plan for sale: draft or archived → active. It must grant something, every policy it names must exist,
// and it must have a price.
func (s *Service) PublishPlan(ctx context.Context, r PlanRequest) (PlanView, error) {
	return s.changePlan(ctx, r.ID, "plan.publish", nil, func(ctx context.Context, p *Plan) error {
		if p.State == Active {
			return ErrState.With("state", "is active already")
		}
		if p.Type == Subscription {
			return ErrRecurs
		}
		offers, err := s.offers(ctx, []Plan{*p})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(offers[p.ID], func(o Offer) bool { return o.Period == "one_time" }) {
			return licensing.Fail(licensing.Conflict, "no-price", "Give the plan a price that is in force before it is published.")
		}
		p.State = Active
		return s.sellable(ctx, *p)
	})
}

// ArchivePlan ends the sale of a plan: active → archived.
func (s *Service) ArchivePlan(ctx context.Context, r PlanRequest) (PlanView, error) {
	return s.changePlan(ctx, r.ID, "plan.archive", nil, func(_ context.Context, p *Plan) error {
		if p.State != Active {
			return ErrState.With("state", "is %s; must be active", p.State)
		}
		p.State = Archived
		return nil
	})
}

// ErrRecurs refuses to sell a subscription: prices are paid once, and its buyers would be charged once for what is to recur.
var ErrRecurs = licensing.Fail(licensing.Conflict, "subscriptions-not-sold",
	"Subscriptions cannot be sold yet: every price is charged once. Sell a timed plan, whose license is renewed by buying it again, or keep this plan a draft.")

// sellable checks what must hold of a plan while it is on sale: whatever it grants can be issued to who pays for it.
func (s *Service) sellable(ctx context.Context, p Plan) error {
	if p.Type == Subscription {
		return ErrRecurs
	}
	if len(p.Grants) == 0 {
		return licensing.Fail(licensing.Conflict, "no-grants", "A plan on sale must grant at least one license or API key.")
	}
	for i, g := range p.Grants {
		if g.License == nil {
			continue
		}
		policy, err := s.Policies.Policy(ctx, p.ProductID, g.License.Policy)
		if notFound(err) {
			return licensing.Fail(licensing.Conflict, "no-policy", "A license grant names a policy that the product does not have.").
				With(fmt.Sprintf("/grants/%d/license/policy", i), "%q is neither the code nor the id of a policy of this product", g.License.Policy)
		}
		if err == nil {
			err = g.License.issuable(policy, s.Clock.Now(), fmt.Sprintf("/grants/%d/license", i))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// issuable refuses a grant of which no license could be issued under a policy as it is now, naming what is wrong below at.
func (g *LicenseGrant) issuable(p Policy, now time.Time, at string) error {
	var t license.Terms
	if err := json.Unmarshal([]byte(p.Terms), &t); err != nil {
		return fmt.Errorf("terms of policy %s: %w", p.ID, err)
	}
	var why *licensing.Error
	err := license.Promise(t, g.Seats, g.Entitlements, now)
	if !errors.As(err, &why) {
		return err
	}
	out := licensing.Fail(licensing.Conflict, "not-issuable", "No license could be issued for this grant under its policy; change the grant or the policy.")
	for _, f := range why.Fields {
		out = out.With(at+"/"+strings.TrimPrefix(f.Name, "/"), "%s", f.Detail)
	}
	return out
}

func (s *Service) changePlan(ctx context.Context, id, action string, saw *int64, change func(context.Context, *Plan) error) (PlanView, error) {
	var out Plan
	err := s.inTx(ctx, func(ctx context.Context) error {
		p, err := s.Store.Plan(ctx, id)
		if err != nil {
			return err
		}
		if err := reach(ctx, p.ProductID); err != nil {
			return err
		}
		if saw != nil && *saw != p.Version {
			return ErrChanged
		}
		if err := change(ctx, &p); err != nil {
			return err
		}
		p.Version++
		p.UpdatedAt = s.Clock.Now()
		switch ok, err := s.Store.SavePlan(ctx, p); {
		case err != nil:
			return err
		case !ok:
			return ErrChanged
		}
		out = p
		return s.Audit.Record(ctx, licensing.Event{Action: action, Target: p.ID, Product: p.ProductID, Detail: map[string]any{"state": p.State, "version": p.Version}})
	})
	if err != nil {
		return PlanView{}, err
	}
	return s.ReadPlan(ctx, out.ID, "")
}

// offers returns the prices in force, by plan.
func (s *Service) offers(ctx context.Context, plans []Plan) (map[string][]Offer, error) {
	offers, _, err := s.offersAt(ctx, plans, s.Clock.Now())
	return offers, err
}

// offersAt returns the prices in force at an instant, by plan, and when they become others by themselves.
func (s *Service) offersAt(ctx context.Context, plans []Plan, at time.Time) (offers map[string][]Offer, next time.Time, err error) {
	ids := make([]string, len(plans))
	for i, p := range plans {
		ids[i] = p.ID
	}
	list, next, err := s.Offers.Offers(ctx, ids, at)
	offers = make(map[string][]Offer, len(plans))
	for _, o := range list {
		offers[o.Plan] = append(offers[o.Plan], o)
	}
	return offers, next, err
}

func viewPlan(p Plan, offers []Offer) PlanView {
	return PlanView{ID: p.ID, Product: p.ProductID, Code: p.Code, Name: p.Name, Description: p.Description, Type: p.Type, State: p.State,
		Grants: append([]Grant{}, p.Grants...), Prices: append([]Offer{}, offers...), Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}

func viewPlans(plans []Plan, offers map[string][]Offer) []PlanView {
	out := make([]PlanView, len(plans))
	for i, p := range plans {
		out[i] = viewPlan(p, offers[p.ID])
	}
	return out
}
