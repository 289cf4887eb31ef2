package order

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// Deps is what a [Service] needs.
type Deps struct {
	Store   Store
	Credits Credits
}

// Service lets people read orders. What changes them is package checkout's. It is safe for concurrent use.
type Service struct{ Deps }

// NewService returns a Service over d.
func NewService(d Deps) *Service { return &Service{d} }

// View is an order as its buyer and staff see it.
type View struct {
	ID          string          `json:"id" doc:"Id of the order."`
	Owner       licensing.Owner `json:"owner" doc:"Whose order it is."`
	Email       string          `json:"email" doc:"Where license and receipt went."`
	Env         licensing.Env   `json:"environment" doc:"Payments in test mode make test objects." enum:"live,test"`
	State       State           `json:"state" doc:"Where it stands." enum:"pending,awaiting_funds,paid,fulfilled,refunded,closed,parked"`
	Reason      string          `json:"reason,omitempty" doc:"Why it is closed, parked or held back, or how a person dealt with it after it was parked."`
	Lines       []LineView      `json:"lines" doc:"What was bought, as it was when it was ordered."`
	Tax         Tax             `json:"tax_rule" doc:"How tax was decided."`
	Subtotal    money.Amount    `json:"subtotal" doc:"Sum of the lines before discount and tax."`
	Discount    money.Amount    `json:"discount" doc:"Discount on the whole order."`
	TaxAmount   money.Amount    `json:"tax" doc:"Tax within the total."`
	Total       money.Amount    `json:"total" doc:"What was to be paid."`
	Refunded    money.Amount    `json:"refunded" doc:"What went back."`
	Disputed    money.Amount    `json:"disputed" doc:"What the buyer's bank holds back in a dispute."`
	Stray       *money.Amount   `json:"stray,omitempty" doc:"Money that arrived and is not what was ordered. It pays for nothing and is to go back."`
	StrayBack   *money.Amount   `json:"stray_back,omitempty" doc:"What of that went back."`
	Receipt     string          `json:"receipt,omitempty" doc:"Number of the receipt."`
	CreditNotes []CreditView    `json:"credit_notes,omitempty" doc:"Credit notes over what went back, oldest first; only for one order."`
	CreatedAt   time.Time       `json:"created_at" doc:"When it was made."`
	PaidAt      *time.Time      `json:"paid_at,omitempty" doc:"When the money arrived."`
	FulfilledAt *time.Time      `json:"fulfilled_at,omitempty" doc:"When the grants were given."`
	ResolvedAt  *time.Time      `json:"resolved_at,omitempty" doc:"When a person dealt with it after it was parked."`
	Timeline    []Event         `json:"timeline,omitempty" doc:"What happened, oldest first; only for one order, and only for staff."`
}

// LineView is a line of an order.
type LineView struct {
	Product  string       `json:"product" doc:"Slug of the product."`
	Plan     string       `json:"plan" doc:"Code of the plan."`
	Name     string       `json:"name" doc:"Name as it was when it was ordered."`
	Price    string       `json:"price" doc:"Version of the price that was charged."`
	Quantity int64        `json:"quantity" doc:"Units."`
	Unit     money.Amount `json:"unit" doc:"Price of one unit."`
	Subtotal money.Amount `json:"subtotal" doc:"Unit times quantity."`
	Discount money.Amount `json:"discount" doc:"This line's part of the discount."`
	Tax      money.Amount `json:"tax" doc:"Tax of the line."`
	Total    money.Amount `json:"total" doc:"What the line cost."`
}

// ListRequest asks for a page of orders. Customers see their own, whatever they ask for.
type ListRequest struct {
	licensing.Page
	Owner   licensing.Owner `query:"owner,omitempty" doc:"Only orders of this customer or organisation."`
	State   State           `query:"state,omitempty" doc:"Only orders in this state." enum:"pending,awaiting_funds,paid,fulfilled,refunded,closed,parked"`
	Product string          `query:"product,omitempty" doc:"Only orders with this product, by id."`
	Email   string          `query:"email,omitempty" doc:"Only orders with this address."`
	Query   string          `query:"q,omitempty" doc:"Find by what is at hand: the id of an order, of a license or of an API key, the number of a receipt, or an e-mail address. White space alone is no search." example:"2026-000042"`
}

// search sets the member of f that the text of a search can mean.
func (f *Filter) search(text string) {
	switch text = strings.TrimSpace(text); {
	case text == "":
	case strings.Contains(text, "@"):
		f.Email = strings.ToLower(text)
	case strings.HasPrefix(text, "ord_"):
		f.ID = text
	case strings.HasPrefix(text, "lic_"), strings.HasPrefix(text, "key_"):
		f.Gave = text
	default:
		f.Receipt = strings.ToUpper(text)
	}
}

// List returns orders, newest first.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	f := Filter{Owner: r.Owner, State: r.State, Product: r.Product, Email: r.Email}
	f.search(r.Query)
	switch actor := licensing.ActorFrom(ctx); {
	case actor.Kind == licensing.Machine:
		if actor.Product != "" && f.Product != "" && f.Product != actor.Product {
			return licensing.List[View]{}, licensing.ErrNotFound
		}
		f.Env = actor.Env
		if actor.Product != "" {
			f.Product = actor.Product
		}
	case !staff(actor) && actor.Owner == "":
		return licensing.List[View]{}, licensing.ErrNotFound
	case !staff(actor):
		f.Owner = actor.Owner
	}
	list, err := s.Store.List(ctx, f, r.Page)
	out := licensing.List[View]{Items: make([]View, 0, len(list.Items)), Next: list.Next}
	for i := range list.Items {
		out.Items = append(out.Items, view(&list.Items[i]))
	}
	return out, err
}

// GetRequest names one order.
type GetRequest struct {
	ID string `path:"id" doc:"Id of the order."`
}

// Get returns an order; its timeline is for staff alone.
func (s *Service) Get(ctx context.Context, r GetRequest) (View, error) {
	actor := licensing.ActorFrom(ctx)
	if !staff(actor) {
		if actor.Owner == "" {
			return View{}, licensing.ErrNotFound
		}
		o, err := s.Store.OrderOf(ctx, r.ID, actor.Owner)
		if err != nil {
			return View{}, err
		}
		notes, err := s.Credits.Credits(ctx, o.ID)
		v := view(&o)
		v.CreditNotes = CreditViews(&o, notes)
		return v, err
	}
	o, notes, timeline, err := s.Store.Whole(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	if !within(actor, &o) {
		return View{}, licensing.ErrNotFound
	}
	v := view(&o)
	v.CreditNotes, v.Timeline = CreditViews(&o, notes), timeline
	return v, nil
}

// Read answers the replay of an operation whose result is an order.
func (s *Service) Read(ctx context.Context, id, _ string) (View, error) {
	return s.Get(ctx, GetRequest{ID: id})
}

// staff reports whether the actor may see any order. Which roles, the operation has checked.
func staff(a licensing.Actor) bool {
	return a.Kind == licensing.Staff || a.Kind == licensing.CLI || a.Kind == licensing.Machine
}

// within reports whether an order lies within what a machine token is narrowed to.
func within(a licensing.Actor, o *Order) bool {
	if a.Env != "" && a.Env != o.Env {
		return false
	}
	return a.Product == "" || slices.ContainsFunc(o.Snapshot.Lines, func(l Line) bool { return l.ProductID == a.Product })
}

// Show is an order as its buyer and staff see it.
func Show(o *Order) View { return view(o) }

func view(o *Order) View {
	v := View{ID: o.ID, Owner: o.Owner, Email: o.Email, Env: o.Env, State: o.State, Reason: o.Reason, Tax: o.Snapshot.Tax, Lines: []LineView{},
		Subtotal: o.Amount(o.Subtotal), Discount: o.Amount(o.Discount), TaxAmount: o.Amount(o.Tax), Total: o.Amount(o.Total),
		Refunded: o.Amount(o.Refunded), Disputed: o.Amount(o.Disputed), Receipt: o.Receipt, CreatedAt: o.CreatedAt,
		PaidAt: instant(o.PaidAt), FulfilledAt: instant(o.FulfilledAt), ResolvedAt: instant(o.ResolvedAt)}
	if o.Stray.Received != 0 {
		received, back := money.New(o.Stray.Received, o.Stray.Currency), money.New(o.Stray.Back, o.Stray.Currency)
		v.Stray, v.StrayBack = &received, &back
	}
	for _, l := range o.Snapshot.Lines {
		v.Lines = append(v.Lines, LineView{Product: l.ProductSlug, Plan: l.PlanCode, Name: l.Name(), Price: l.PriceID, Quantity: l.Quantity, Unit: o.Amount(l.Unit),
			Subtotal: o.Amount(l.Subtotal), Discount: o.Amount(l.Discount), Tax: o.Amount(l.Tax), Total: o.Amount(l.Total)})
	}
	return v
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
