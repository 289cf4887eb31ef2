// Package access answers why somebody has access, or has not: the chain from a payment over the order and what it granted to the kill
// switches and limits that stand before its use, each link with its state, a sentence, what to do, and where it is found. It also tells what
// happened to a license, from the audit trail and what the modules wrote down.
//
// It reads what the other modules wrote and decides as they do: a license by package sdk/eval, a key by its state, a switch by the same
// reader that refuses calls, a limit by its own counter, which is looked at and not spent. It changes nothing and takes two round trips.
package access

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/explain"
	"github.com/mintreu/mintreu/licensing/license"
)

// most is how many licenses, keys and orders are explained at once, the newest of each.
const most = 20

// Ask is what a [Store] is asked for. Owner narrows everything to what belongs to one, empty for staff; of the others Product may stand
// beside any, and otherwise exactly one is set or none.
type Ask struct {
	Owner    licensing.Owner
	License  string
	Key      string
	Order    string
	Customer string // with the organisations that the customer belongs to
	Email    string // the same, by e-mail address
	Hint     string // the last characters of a license key, or the name of an API key within its text
	Product  string // id or slug
	Limit    int
	Now      time.Time
}

// Order is a payment with its order. Zero times mean never.
type Order struct {
	ID                                            string
	Owner                                         licensing.Owner
	Env                                           licensing.Env
	State, Reason                                 string
	Currency                                      money.Currency
	Total, Captured, Refunded, Disputed           int64
	CreatedAt, UpdatedAt, ExpiresAt, PaidAt, Done time.Time
	ResolvedAt                                    time.Time // when a person dealt with it after it was parked
}

func (o *Order) amount(minor int64) string { return money.New(minor, o.Currency).String() }

// Line is a product within an order.
type Line struct{ Order, ProductID, Slug, Name, Plan string }

// Given is what an order gave: the license or key with the id Object.
type Given struct {
	Order, Kind, Object string
	At                  time.Time
}

// Key is an API key with the slug of its product and the name within its current text.
type Key struct {
	apikey.Key
	Slug, Hint string
}

// Moved is the last time that a license changed hands.
type Moved struct {
	License  string
	From, To licensing.Owner
	At       time.Time
}

// Product is the product that was asked for.
type Product struct{ ID, Slug, Name, State string }

// Facts is what is known. Orders has those that gave a license or key here as well as those asked for, which Asked names.
type Facts struct {
	Product  *Product
	Licenses []license.License
	Keys     []Key
	Orders   []Order
	Asked    []string
	Lines    []Line
	Given    []Given
	Moved    []Moved
	Disabled []licensing.Owner // owners whose account is disabled
	More     bool              // there is more than Ask.Limit
}

// Store reads the facts, in two round trips.
type Store interface {
	Facts(ctx context.Context, a Ask) (Facts, error)
}

// Off is a switch that is off; Product is "" when it is for all.
type Off struct {
	Switch  licensing.Switch
	Product string
	Reason  string
	Until   *time.Time
}

// Deps is what a [Service] needs. All are required.
type Deps struct {
	Store   Store
	History History
	Clock   licensing.Clock
	Decide  func(l *license.License) license.View
	// Look tells how the limits of keys stand and spends nothing.
	Look func(ctx context.Context, keys []*apikey.Key) ([][]apikey.LimitState, error)
	// Used tells what was counted of each quota of licenses in the present period, by license and meter, as they are decided on with.
	Used func(ctx context.Context, ls []*license.License) (map[string]map[string]int64, error)
	Off  func() []Off
}

// Service explains. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service { return &Service{d} }

// Chain is how one license, key or order stands, from the payment to its use.
type Chain struct {
	Kind        string          `json:"kind" doc:"What it is about: an order stands for itself while it has given nothing; none is a product of which nothing is there." enum:"license,key,order,none"`
	ID          string          `json:"id,omitempty" doc:"Its id."`
	Name        string          `json:"name" doc:"What it is called." example:"License …7F3QX"`
	Product     string          `json:"product" doc:"Slug of the product; empty when an order has several."`
	ProductName string          `json:"product_name" doc:"Name of the product."`
	Plan        string          `json:"plan,omitempty" doc:"Code of the plan."`
	Env         string          `json:"env,omitempty" doc:"Environment." enum:"live,test"`
	Owner       licensing.Owner `json:"owner,omitempty" doc:"The customer or organisation it belongs to."`
	Allowed     bool            `json:"allowed" doc:"Whether it gives access now."`
	Title       string          `json:"title" doc:"How it stands, in a word or two."`
	Text        string          `json:"text" doc:"How it stands, in a sentence: that of the first step that blocks, else of the first that warns."`
	Do          string          `json:"do,omitempty" doc:"What to do about it."`
	Steps       []explain.Step  `json:"steps" doc:"The chain, always these five in this order: payment, order, grant, switch, limit."`

	at time.Time
}

// Explanation is the answer.
type Explanation struct {
	Allowed bool      `json:"allowed" doc:"Whether anything of it gives access now."`
	Text    string    `json:"text" doc:"The answer in a sentence."`
	Do      string    `json:"do,omitempty" doc:"What to do."`
	At      time.Time `json:"at" doc:"The instant that it speaks of."`
	Chains  []Chain   `json:"chains" doc:"What there is, the newest first, at most twenty of each kind."`
	More    bool      `json:"more" doc:"There is more than is told; ask by license, key, order or product."`
}
