package insight

import (
	"context"
	"slices"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
)

// Holdings reads what an owner has.
type Holdings interface {
	// Holdings reads, in one statement, one row more than each limit, newest first, where there is one. A key is active only if it has not
	// ended at now. Products are named by their ids alone.
	Holdings(ctx context.Context, owner licensing.Owner, now time.Time, limits Limits) (Held, error)
	// ProductNames returns what products are called in the catalogue now, by id; it leaves out those that there are not.
	ProductNames(ctx context.Context, ids []string) (map[string]string, error)
}

// Limits is how many rows of each kind are looked at.
type Limits struct{ Licenses, Keys, Orders int }

// Held is what an owner has. Of a license it holds what a judgement needs.
type Held struct {
	Licenses []license.License
	Keys     []KeyBrief
	Orders   []OrderBrief
}

// MineRequest asks for what the caller has.
type MineRequest struct{}

// Mine is what a customer or an organisation has, at a glance.
type Mine struct {
	Licenses   Tally          `json:"licenses" doc:"Licenses; in order are those with which something works."`
	Devices    int64          `json:"devices" doc:"Devices and users that hold a seat of these licenses."`
	Keys       Tally          `json:"keys" doc:"API keys; in order are the active ones."`
	Orders     Tally          `json:"orders" doc:"Orders; in order are those that gave what was ordered."`
	Recent     []OrderBrief   `json:"recent_orders" doc:"The five newest orders."`
	Unpaid     []OrderBrief   `json:"unpaid_orders" doc:"Orders that wait for their payment."`
	Attention  []LicenseBrief `json:"attention" doc:"Licenses that want something of their owner: they have ended or will soon, are suspended or crowded."`
	Unrevealed []KeyBrief     `json:"unrevealed_keys" doc:"Active API keys whose text nobody has looked at."`
}

// Tally counts things of one kind.
type Tally struct {
	Count   int64 `json:"count" doc:"How many there are."`
	InOrder int64 `json:"in_order" doc:"How many of them are in order."`
	More    bool  `json:"more" doc:"Whether there are more, which were not looked at."`
}

// LicenseBrief is a license in a line.
type LicenseBrief struct {
	ID          string        `json:"id" doc:"The license."`
	Product     string        `json:"product" doc:"Slug of the product."`
	ProductID   string        `json:"-"`
	ProductName string        `json:"product_name,omitempty" doc:"Name of the product."`
	Env         licensing.Env `json:"env" doc:"Environment." enum:"live,test"`
	Decision    eval.Decision `json:"decision" doc:"What a product decides on a device that holds a seat, or on a new one while none does."`
	ValidUntil  *time.Time    `json:"valid_until,omitempty" doc:"Commercial end."`
	EndsAt      *time.Time    `json:"ends_at,omitempty" doc:"When the license stops everything by itself, its grace time included."`
}

// OrderBrief is an order in a line.
type OrderBrief struct {
	ID        string        `json:"id" doc:"The order."`
	State     string        `json:"state" doc:"Where it stands." enum:"pending,awaiting_funds,paid,fulfilled,refunded,closed,parked"`
	Env       licensing.Env `json:"environment" doc:"Environment." enum:"live,test"`
	Lines     []LineBrief   `json:"lines" doc:"What was bought."`
	Total     money.Amount  `json:"total" doc:"What was to be paid."`
	Refunded  money.Amount  `json:"refunded" doc:"What went back."`
	Receipt   string        `json:"receipt,omitempty" doc:"Number of the receipt."`
	CreatedAt time.Time     `json:"created_at" doc:"When it was made."`
}

// LineBrief is what a line of an order was for.
type LineBrief struct {
	Name     string `json:"name" doc:"Name as it was when it was ordered."`
	Quantity int64  `json:"quantity" doc:"Units."`
}

// KeyBrief is an API key in a line.
type KeyBrief struct {
	ID          string        `json:"id" doc:"The key."`
	Name        string        `json:"name,omitempty" doc:"Name its owner gave it."`
	ProductID   string        `json:"-"`
	ProductName string        `json:"product_name,omitempty" doc:"Name of the product."`
	Env         licensing.Env `json:"env" doc:"Environment." enum:"live,test"`
	Active      bool          `json:"active" doc:"Whether it works."`
	Order       string        `json:"order,omitempty" doc:"Order that gave it."`
	Unrevealed  bool          `json:"unrevealed,omitempty" doc:"Whether its text waits to be shown."`
}

// recent is how many orders are shown.
const recent = 5

// lookedAt is how many rows of each kind count.
var lookedAt = Limits{Licenses: 100, Keys: 100, Orders: 20}

// Mine tells a customer, or whoever acts for an organisation, what there is and what wants attention.
func (s *Service) Mine(ctx context.Context, _ MineRequest) (Mine, error) {
	actor := licensing.ActorFrom(ctx)
	if actor.Kind != licensing.Customer || actor.Owner == "" {
		return Mine{}, licensing.ErrNotFound
	}
	now := s.Clock.Now()
	held, err := s.Holdings.Holdings(ctx, actor.Owner, now, lookedAt)
	if err != nil {
		return Mine{}, err
	}
	m := Mine{Recent: []OrderBrief{}, Unpaid: []OrderBrief{}, Attention: []LicenseBrief{}, Unrevealed: []KeyBrief{}}
	held.Licenses, m.Licenses = tally(held.Licenses, lookedAt.Licenses)
	held.Keys, m.Keys = tally(held.Keys, lookedAt.Keys)
	held.Orders, m.Orders = tally(held.Orders, lookedAt.Orders)
	s.licenses(&m, held.Licenses, now)
	for _, k := range held.Keys {
		if k.Active {
			m.Keys.InOrder++
			if k.Unrevealed && k.Order != "" {
				m.Unrevealed = append(m.Unrevealed, k)
			}
		}
	}
	for _, o := range held.Orders {
		switch {
		case o.State == "fulfilled":
			m.Orders.InOrder++
		case o.State == "pending" && o.Total.Minor > 0:
			m.Unpaid = append(m.Unpaid, o)
		}
	}
	m.Recent = append(m.Recent, held.Orders[:min(recent, len(held.Orders))]...)
	return m, s.name(ctx, &m)
}

// name names the products of what wants attention. Most customers' overviews show none, and so ask nothing more.
func (s *Service) name(ctx context.Context, m *Mine) error {
	var ids []string
	for i := range m.Attention {
		ids = append(ids, m.Attention[i].ProductID)
	}
	for i := range m.Unrevealed {
		ids = append(ids, m.Unrevealed[i].ProductID)
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	names, err := s.Holdings.ProductNames(ctx, slices.Compact(ids))
	if err != nil {
		return err
	}
	for i := range m.Attention {
		m.Attention[i].ProductName = names[m.Attention[i].ProductID]
	}
	for i := range m.Unrevealed {
		m.Unrevealed[i].ProductName = names[m.Unrevealed[i].ProductID]
	}
	return nil
}

// tally counts what is looked at of rows of which one more than that was read.
func tally[T any](rows []T, limit int) ([]T, Tally) {
	n := min(limit, len(rows))
	return rows[:n], Tally{Count: int64(n), More: len(rows) > n}
}

func (s *Service) licenses(m *Mine, held []license.License, now time.Time) {
	for i := range held {
		l := &held[i]
		m.Devices += l.SeatsUsed
		d := s.Judge(l, now)
		if d.Allowed {
			m.Licenses.InOrder++
		}
		if !attention(&d) {
			continue
		}
		b := LicenseBrief{ID: l.ID, Product: l.ProductSlug, ProductID: l.ProductID, Env: l.Env, Decision: d}
		if until := l.ValidUntil; !until.IsZero() {
			b.ValidUntil = &until
		}
		if end := l.HardEnd(); !end.IsZero() {
			b.EndsAt = &end
		}
		m.Attention = append(m.Attention, b)
	}
}

// attention reports whether a license wants something of its owner. That no device uses it yet is no trouble, and what was revoked is over.
func attention(d *eval.Decision) bool {
	switch d.Code {
	case eval.Valid, eval.Revoked:
		return false
	case eval.ActivationRequired:
		return len(d.Findings) > 1
	}
	return true
}
