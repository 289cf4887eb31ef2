package catalog

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Item is a product as the public sees it.
type Item struct {
	ID          string     `json:"id" doc:"Id of the product."`
	Slug        string     `json:"slug" doc:"Name in links."`
	Name        string     `json:"name" doc:"Name for people."`
	Description string     `json:"description" doc:"What it is, plain text."`
	Plans       []ItemPlan `json:"plans" doc:"What can be bought."`
	TrialDays   int64      `json:"trial_days,omitempty" doc:"How many days a trial of it lasts, which a customer starts by trial.start; absent when there is none, and in lists."`
}

// ItemPlan is a plan as the public sees it.
type ItemPlan struct {
	ID          string   `json:"id" doc:"Id of the plan, to be named at checkout."`
	Code        string   `json:"code" doc:"Name within the product."`
	Name        string   `json:"name" doc:"Name for people."`
	Description string   `json:"description" doc:"What it is, plain text."`
	Type        PlanType `json:"type" doc:"Kind of term." enum:"perpetual,timed,subscription,trial"`
	Prices      []Offer  `json:"prices" doc:"Price in each currency it is sold in."`
	Renews      bool     `json:"renews" doc:"Whether buying it can renew a license that it gave."`
}

// BrowseRequest asks for a page of the storefront.
type BrowseRequest struct {
	Query string   `query:"q" doc:"Words that must all stand in a product's name or description, at most 100 bytes, of which the first eight words count. White space alone is no search."`
	Type  PlanType `query:"type" doc:"Only products with a plan of this type." enum:"perpetual,timed,subscription,trial"`
	licensing.Page
}

// maxQuery is the longest text to search for, in bytes, and maxWords how many words of it count.
const (
	maxQuery = 100
	maxWords = 8
)

// Validate refuses searches that are too long and types that do not exist.
func (r BrowseRequest) Validate() error {
	e := licensing.Fail(licensing.Invalid, "invalid", "This cannot be searched for.")
	if len(strings.TrimSpace(r.Query)) > maxQuery || !utf8.ValidString(r.Query) || strings.ContainsRune(r.Query, 0) {
		return e.With("q", "must be text of at most %d bytes", maxQuery)
	}
	switch r.Type {
	case "", Perpetual, Timed, Subscription, Trial:
		return nil
	}
	return e.With("type", "must be perpetual, timed, subscription or trial")
}

// Browse lists active products with their active plans and current prices.
func (s *Service) Browse(ctx context.Context, r BrowseRequest) (licensing.List[Item], error) {
	if err := r.Validate(); err != nil {
		return licensing.List[Item]{}, err
	}
	words := strings.Fields(strings.ToLower(r.Query))
	read := func(ctx context.Context, at time.Time) (licensing.List[Item], time.Time, error) {
		products, err := s.Store.ListProducts(ctx, Filter{State: Active, Words: words[:min(len(words), maxWords)], Sells: r.Type}, r.Page)
		if err != nil {
			return licensing.List[Item]{}, time.Time{}, err
		}
		items, next, err := s.items(ctx, products.Items, at)
		return licensing.List[Item]{Items: items, Next: products.Next}, next, err
	}
	if len(words) > 0 { // as many searches as there are words: none is kept
		list, _, err := read(ctx, s.Clock.Now())
		return list, err
	}
	r.Query = ""
	return s.shelf.load(ctx, slot{list: r}, read)
}

// ShowRequest names one product of the storefront.
type ShowRequest struct {
	Slug string `path:"slug" doc:"Slug of the product."`
}

// Show returns one active product with what can be bought of it.
func (s *Service) Show(ctx context.Context, r ShowRequest) (Item, error) {
	list, err := s.shelf.load(ctx, slot{slug: r.Slug}, func(ctx context.Context, at time.Time) (licensing.List[Item], time.Time, error) {
		p, err := s.Store.ProductBySlug(ctx, r.Slug)
		if err == nil && p.State != Active {
			err = licensing.ErrNotFound
		}
		if err != nil {
			return licensing.List[Item]{}, time.Time{}, err
		}
		items, next, err := s.items(ctx, []Product{p}, at)
		if err == nil {
			items[0].TrialDays, err = s.trialDays(ctx, p.ID)
		}
		return licensing.List[Item]{Items: items}, next, err
	})
	if err != nil {
		return Item{}, err
	}
	return list.Items[0], nil
}

// trialDays is how long a trial of a product lasts, by its policy for trials; 0 when it has none.
func (s *Service) trialDays(ctx context.Context, product string) (int64, error) {
	policy, err := s.Policies.Policy(ctx, product, license.TrialPolicy)
	if notFound(err) {
		return 0, nil
	}
	var t license.Terms
	if err == nil {
		err = json.Unmarshal([]byte(policy.Terms), &t)
	}
	if err != nil || t.Type != doc.Trial {
		return 0, err
	}
	return max(1, t.Duration/license.Day), nil
}

// items is what the public sees of products at an instant, and when it sees something else without anybody changing anything.
func (s *Service) items(ctx context.Context, products []Product, at time.Time) (items []Item, next time.Time, err error) {
	if len(products) == 0 {
		return []Item{}, next, nil
	}
	ids := make([]string, len(products))
	for i, p := range products {
		ids[i] = p.ID
	}
	plans, err := s.Store.Plans(ctx, ids)
	if err != nil {
		return nil, next, err
	}
	plans = slices.DeleteFunc(plans, func(p Plan) bool { return p.State != Active })
	offers, next, err := s.offersAt(ctx, plans, at)
	if err != nil {
		return nil, next, err
	}
	out := make([]Item, len(products))
	for i, p := range products {
		out[i] = Item{ID: p.ID, Slug: p.Slug, Name: p.Name, Description: p.Description, Plans: []ItemPlan{}}
		for _, plan := range plans {
			if plan.ProductID == p.ID && len(offers[plan.ID]) > 0 {
				out[i].Plans = append(out[i].Plans, ItemPlan{ID: plan.ID, Code: plan.Code, Name: plan.Name, Description: plan.Description,
					Type: plan.Type, Prices: offers[plan.ID], Renews: plan.Renews()})
			}
		}
	}
	return out, next, nil
}

// Sellable is a plan with its product as checkout needs it.
type Sellable struct {
	Product Product
	Plan    Plan
	// Policies holds the policy of each license grant, by the text with which the grant names it.
	Policies map[string]Policy
}

// Sellable loads plans by id for a checkout, in the order of ids. A plan that does not exist, or is not on sale, is refused with
// kind [licensing.Conflict] and the code "not-for-sale".
func (s *Service) Sellable(ctx context.Context, ids []string) ([]Sellable, error) {
	out := make([]Sellable, len(ids))
	for i, id := range ids {
		plan, err := s.Store.Plan(ctx, id)
		if notFound(err) {
			return nil, notForSale(i)
		} else if err != nil {
			return nil, err
		}
		product, err := s.Store.Product(ctx, plan.ProductID)
		if err != nil {
			return nil, err
		}
		if plan.State != Active || product.State != Active {
			return nil, notForSale(i)
		}
		if plan.Type == Subscription { // published before it was refused
			return nil, notForSale(i).Because(ErrRecurs)
		}
		out[i] = Sellable{Product: product, Plan: plan, Policies: map[string]Policy{}}
		for _, g := range plan.Grants {
			if g.License == nil {
				continue
			}
			policy, err := s.Policies.Policy(ctx, product.ID, g.License.Policy)
			if err != nil {
				return nil, err
			}
			if err := g.License.issuable(policy, s.Clock.Now(), "/license"); err != nil { // the policy was changed since the plan was published
				return nil, notForSale(i).Because(err)
			}
			out[i].Policies[g.License.Policy] = policy
		}
	}
	return out, nil
}

func notForSale(line int) *licensing.Error {
	return licensing.Fail(licensing.Conflict, "not-for-sale", "A plan in the basket is not on sale (any more); look at the catalogue again.").
		With("/lines/"+itoa(line)+"/plan", "is not on sale")
}
