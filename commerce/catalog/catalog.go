// Package catalog is what a shop sells: a [Product] with its life cycle and its declared purpose, its plans, and what one unit
// of a [Plan] grants its buyer. What a plan costs is kept apart, in package pricing: the catalogue only asks for current prices
// through [Offers], for the storefront and for the rule that a plan without a price cannot be published.
//
// A product lives draft → active → sunset → retired. Only active plans of active products are sold. A sunset product keeps its
// customers and takes no new ones; a retired one is history. Nothing is deleted: orders name products and plans for good.
package catalog

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Purpose is what a product is for; the portfolio report ranks products within their purpose.
type Purpose string

// The purposes.
const (
	Revenue      Purpose = "revenue"
	Retention    Purpose = "retention"
	Distribution Purpose = "distribution"
)

// State is where a product or a plan stands in its life.
type State string

// The states. A product is draft, active, sunset or retired; a plan is draft, active or archived.
const (
	Draft    State = "draft"
	Active   State = "active"
	Sunset   State = "sunset"
	Retired  State = "retired"
	Archived State = "archived"
)

// PlanType is the kind of term that a plan sells.
type PlanType string

// The types of plan.
const (
	Perpetual    PlanType = "perpetual"
	Timed        PlanType = "timed"
	Subscription PlanType = "subscription"
	Trial        PlanType = "trial"
)

// Product is one thing for sale. Slug names it in links, tokens and imports and never changes once the product was active.
type Product struct {
	ID          string // "prod_…"
	Slug        string
	Name        string
	Description string
	Purpose     Purpose
	KeyPrefix   string // first group of its license keys
	State       State
	Version     int64 // counts changes; a write names the version it saw
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Plan is one way to buy a product. Code names it within the product.
type Plan struct {
	ID          string // "plan_…"
	ProductID   string
	Code        string
	Name        string
	Description string
	Type        PlanType
	State       State
	Grants      []Grant
	Version     int64
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Renews reports whether buying the plan can renew a license that it gave: it gives one license and nothing besides, for a price that is paid
// once.
func (p *Plan) Renews() bool {
	return len(p.Grants) == 1 && p.Grants[0].License != nil && p.Type != Subscription && p.Type != Trial
}

// Grant is one thing that each unit of a plan gives: exactly one member is set.
type Grant struct {
	License *LicenseGrant `json:"license,omitempty" doc:"A license under a policy of the product."`
	APIKey  *APIKeyGrant  `json:"api_key,omitempty" doc:"An API key."`
}

// LicenseGrant gives a license.
type LicenseGrant struct {
	Policy       string               `json:"policy" doc:"Code or id of a policy of the product."`
	Seats        *int64               `json:"seats,omitempty" doc:"Seats instead of the policy's."`
	Entitlements map[string]doc.Value `json:"entitlements,omitempty" doc:"Features laid over the policy's."`
}

// APIKeyGrant gives an API key with one rate limit.
type APIKeyGrant struct {
	Scopes      []string      `json:"scopes,omitempty" doc:"What the key may be used for."`
	RateCount   int64         `json:"rate_count" doc:"Calls admitted in a period."`
	RatePeriod  int64         `json:"rate_period" doc:"The period in seconds."`
	Environment licensing.Env `json:"environment,omitempty" doc:"live unless said; a test payment makes a test key whatever is said here." enum:"live,test"`
}

// Offer is the current price of a plan in one currency.
type Offer struct {
	Plan   string       `json:"-" doc:"The plan."`
	ID     string       `json:"id" doc:"Version of the price; send it as price to be sure that this is what is charged."`
	Price  money.Amount `json:"price" doc:"Price of one unit."`
	Period string       `json:"billing" doc:"How often it is charged." enum:"one_time,month,year"`
}

// Filter narrows a list of products; empty members do not.
type Filter struct {
	State State
	Slug  string
	// Words must all stand in the name or the description, whatever their case.
	Words []string
	// Sells keeps products with an active plan of the type.
	Sells PlanType
}

// Store keeps products and plans. Writes feed the change feed. Not found is [licensing.ErrNotFound]; a slug or code that is taken
// is [ErrTaken].
type Store interface {
	AddProduct(ctx context.Context, p Product) error
	// SaveProduct writes p if the row still has version p.Version-1, and reports whether it did.
	SaveProduct(ctx context.Context, p Product) (bool, error)
	Product(ctx context.Context, id string) (Product, error)
	// Whole returns a product with its plans, in the order of their codes.
	Whole(ctx context.Context, id string) (Product, []Plan, error)
	ProductBySlug(ctx context.Context, slug string) (Product, error)
	ListProducts(ctx context.Context, f Filter, page licensing.Page) (licensing.List[Product], error)
	AddPlan(ctx context.Context, p Plan) error
	// SavePlan writes p if the row still has version p.Version-1, and reports whether it did.
	SavePlan(ctx context.Context, p Plan) (bool, error)
	Plan(ctx context.Context, id string) (Plan, error)
	// Plans returns the plans of the products, in the order of their codes.
	Plans(ctx context.Context, products []string) ([]Plan, error)
}

// Offers tells what plans cost now.
type Offers interface {
	// Offers returns the prices in force at an instant, by plan and currency, and the next instant at which one of the plans
	// takes or loses a price without anybody changing anything; zero when there is none.
	Offers(ctx context.Context, plans []string, at time.Time) (offers []Offer, next time.Time, err error)
}

// Policy is what the catalogue needs to know of a license policy.
type Policy struct {
	ID    string
	Terms string // the terms as JSON text, to be frozen on an order
}

// Policies finds the policies that license grants name, by id or by code, among those of the product;
// [licensing.ErrNotFound] if there is none.
type Policies interface {
	Policy(ctx context.Context, product, ref string) (Policy, error)
}

// Failures that callers can tell apart.
var (
	ErrTaken   = licensing.Fail(licensing.Conflict, "name-taken", "Another object already has this slug or code; choose another.")
	ErrChanged = licensing.Fail(licensing.Conflict, "changed-meanwhile", "The object was changed meanwhile; read it again and repeat the change.")
	ErrState   = licensing.Fail(licensing.Conflict, "wrong-state", "The object's state does not allow this.")
)

// Deps is what a [Service] needs.
type Deps struct {
	Store    Store
	Offers   Offers
	Policies Policies
	Prices   Setter
	Clock    licensing.Clock
	IDs      licensing.IDs
	Tx       licensing.Transactor
	Audit    licensing.Auditor
	// FeedAlive reports whether changes made elsewhere arrive and [Service.Forget] is called for them; while it says no, the
	// storefront reads the database each time. Nil means that it always does.
	FeedAlive func() bool
}

// Service keeps the catalogue. It is safe for concurrent use.
type Service struct {
	Deps
	shelf shelf
}

// NewService returns a Service over d.
func NewService(d Deps) *Service {
	return &Service{Deps: d, shelf: shelf{clock: d.Clock, alive: d.FeedAlive}}
}
