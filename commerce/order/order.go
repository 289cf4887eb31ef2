// Package order is what was sold. An [Order] freezes, when it is made, everything that a later change of the catalogue could blur:
// names, prices and their versions, grants with the terms of their policies, tax and discount ([Snapshot]). From then on only its
// state moves, and every move is a conditional update on the order's version, so that of many callers exactly one makes it.
//
// Money is kept in an append-only double-entry ledger ([Posting]); receipts carry gapless numbers and are rendered from the
// frozen order, byte for byte the same each time.
package order

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// State is where an order stands.
type State string

// The states. Parked orders wait for a person: what the payment provider says is not what was ordered.
const (
	Pending       State = "pending"        // no payment yet
	AwaitingFunds State = "awaiting_funds" // the buyer is done, the money is under way
	Paid          State = "paid"           // the money is here, the grants are queued or held back
	Fulfilled     State = "fulfilled"      // the money is here and the grants are given
	Refunded      State = "refunded"       // the whole money went back, by refunds or a lost dispute, the grants are revoked
	Closed        State = "closed"         // never paid: expired or failed
	Parked        State = "parked"
)

// TaxMode is how tax came to be.
type TaxMode string

// The tax modes.
const (
	NoTax    TaxMode = "none"
	FixedTax TaxMode = "fixed" // our own rate for the buyer's country
)

// Tax is what was decided about tax when the order was made.
type Tax struct {
	Mode      TaxMode           `json:"mode" doc:"none or fixed." enum:"none,fixed"`
	Country   string            `json:"country,omitempty" doc:"Country of the buyer, ISO 3166 two letters."`
	Rate      money.BasisPoints `json:"rate" doc:"Rate in hundredths of a percent."`
	Inclusive bool              `json:"inclusive" doc:"Whether the prices include the tax."`
	// ReverseCharge says that the buyer, a business, owes the tax itself.
	ReverseCharge bool `json:"reverse_charge,omitempty" doc:"The buyer, a business in another country, owes the tax itself; none was charged."`
}

// Grant is one thing that each unit of a line gives, as frozen. Kind says which members count. A renewal is given once for the line,
// whatever its quantity, which is how many terms it adds.
type Grant struct {
	Kind         string               `json:"kind"`
	Policy       string               `json:"policy,omitempty"`
	Terms        string               `json:"terms,omitempty"` // the policy's terms as they stood, JSON text
	Seats        *int64               `json:"seats,omitempty"`
	Entitlements map[string]doc.Value `json:"entitlements,omitempty"`
	Scopes       []string             `json:"scopes,omitempty"`
	RateCount    int64                `json:"rate_count,omitempty"`
	RatePeriod   int64                `json:"rate_period,omitempty"` // seconds
	Env          licensing.Env        `json:"env,omitempty"`
}

// The kinds of grant.
const (
	KindLicense = "license"
	KindAPIKey  = "apikey"
	KindRenewal = "renewal"
)

// Line is one line of an order, in minor units of the order's currency.
type Line struct {
	ID          string  `json:"id"` // "orl_…"
	N           int64   `json:"n"`  // from 1
	ProductID   string  `json:"product_id"`
	ProductSlug string  `json:"product_slug"`
	ProductName string  `json:"product_name"`
	KeyPrefix   string  `json:"key_prefix"`
	PlanID      string  `json:"plan_id"`
	PlanCode    string  `json:"plan_code"`
	PlanName    string  `json:"plan_name"`
	PlanType    string  `json:"plan_type"`
	PriceID     string  `json:"price_id"`
	Price       int64   `json:"price_version"`
	Unit        int64   `json:"unit"`
	Quantity    int64   `json:"quantity"`
	Subtotal    int64   `json:"subtotal"` // unit × quantity
	Discount    int64   `json:"discount"` // this line's part of the order's
	Tax         int64   `json:"tax"`
	Total       int64   `json:"total"` // what the buyer pays for the line
	Grants      []Grant `json:"grants"`
	// Renews is the license that the line renews, "" for a line that gives something new, and Hint the end of its key.
	Renews string `json:"renews,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// Units is how often the line gives its grants: once for each that is bought, or once for all terms of a renewal.
func (l Line) Units() int64 {
	if l.Renews != "" {
		return 1
	}
	return l.Quantity
}

// Name is how the line reads on receipts and payment pages.
func (l Line) Name() string { return l.ProductName + ": " + l.PlanName }

// Net is the line's part of the revenue: what is paid less the tax.
func (l Line) Net() int64 { return l.Total - l.Tax }

// Snapshot is what is frozen.
type Snapshot struct {
	Lines     []Line    `json:"lines"`
	Tax       Tax       `json:"tax"`
	VATID     string    `json:"vat_id,omitempty"`
	Buyer     string    `json:"buyer,omitempty"`       // name of the organisation that buys
	Seller    Seller    `json:"seller"`                // as receipts name it
	TermsAt   time.Time `json:"terms_at"`              // consent to the terms
	DeliverAt time.Time `json:"immediate_delivery_at"` // consent to immediate delivery
}

// Stray is money that arrived for an order and is not what was ordered. It pays for nothing and is no part of what was captured; the order waits for
// a person until all of it went back. Back is what did.
type Stray struct {
	Currency       money.Currency
	Received, Back int64
}

// Left is what did not go back.
func (s Stray) Left() int64 { return s.Received - s.Back }

// Gone reports whether there was some, and all of it went back.
func (s Stray) Gone() bool { return s.Received > 0 && s.Left() == 0 }

// Order is an order. Amounts are minor units of Currency.
type Order struct {
	ID          string // "ord_…"
	Owner       licensing.Owner
	Email       string
	Env         licensing.Env
	State       State
	Reason      string // why it is closed or parked, or why its grants are held back
	Currency    money.Currency
	Subtotal    int64
	Discount    int64
	Tax         int64
	Total       int64
	Captured    int64 // 0 or Total
	Refunded    int64
	Disputed    int64
	Stray       Stray
	Snapshot    Snapshot
	SecretHash  []byte // SHA-256 of the access code that lets a guest see the order
	Access      []byte // the code itself, sealed, for links in mail
	Version     int64  // counts transitions
	Session     string // the provider's ids, empty until known
	Intent      string
	Charge      string
	Receipt     string // number, empty before payment
	CreatedAt   time.Time
	UpdatedAt   time.Time
	ExpiresAt   time.Time // when an unpaid order closes
	CheckedAt   time.Time // when the provider was last asked
	PaidAt      time.Time
	FulfilledAt time.Time
	ResolvedAt  time.Time // when a person dealt with it after it was parked; Reason is what they said
}

// Resolved reports whether a person has dealt with the order after it was parked. It is closed then, or fulfilled when it was paid, whatever it gave.
func (o *Order) Resolved() bool { return !o.ResolvedAt.IsZero() }

// Licensee is in whose name the order's licenses are.
func (o *Order) Licensee() string {
	if o.Snapshot.Buyer != "" {
		return o.Snapshot.Buyer
	}
	return o.Email
}

// Amount is minor units of the order's currency.
func (o *Order) Amount(minor int64) money.Amount { return money.New(minor, o.Currency) }

// Event is a step in an order's life, for its timeline.
type Event struct {
	ID     string    `json:"id" doc:"Id of the event."`
	At     time.Time `json:"at" doc:"When it happened."`
	Kind   string    `json:"kind" doc:"What happened: created, session, paid, fulfilled, parked and so on."`
	Actor  string    `json:"actor" doc:"Who or what did it."`
	Detail string    `json:"detail" doc:"What else is to be said."`
}

// Filter narrows a list of orders; empty members do not.
type Filter struct {
	Owner   licensing.Owner
	State   State
	Product string
	Env     licensing.Env
	Email   string
	// ID and Receipt find one order, by its id and by the number of its receipt; Gave finds those that gave or renewed a license or key, by its id.
	ID      string
	Receipt string
	Gave    string
}

// Store keeps orders. Methods that write run in the caller's transaction. Not found is [licensing.ErrNotFound].
type Store interface {
	Add(ctx context.Context, o Order) error
	// Save writes what may change of o if the row still has version o.Version-1, and reports whether it did.
	Save(ctx context.Context, o Order) (bool, error)
	// Order loads without regard to the owner: for staff and jobs.
	Order(ctx context.Context, id string) (Order, error)
	OrderOf(ctx context.Context, id string, owner licensing.Owner) (Order, error)
	// OrderBySecret loads the order whose secret has the given hash.
	OrderBySecret(ctx context.Context, id string, hash []byte) (Order, error)
	List(ctx context.Context, f Filter, page licensing.Page) (licensing.List[Order], error)
	AddEvent(ctx context.Context, order string, e Event) error
	// Whole loads an order with its credit notes and its timeline, the oldest first, without regard to the owner: for staff.
	Whole(ctx context.Context, id string) (o Order, notes []Credit, timeline []Event, err error)
	// Post adds a posting to the ledger. It fails on one that is not balanced and on a source that was posted already.
	Post(ctx context.Context, p Posting) error
	// GiveReceipt takes the next number of a series for an order.
	GiveReceipt(ctx context.Context, order, series string, at time.Time) (number string, err error)
}
