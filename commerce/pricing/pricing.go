// Package pricing keeps what plans cost. A [Price] is never edited: a change is the next version, effective from an instant, and
// needs a second person, who approves what the first proposed. The first price of a plan in a currency needs none.
//
// A shop run by one person says so in its configuration; then the proposer may approve alone, freshly signed in and not before
// ten minutes have passed, and the price says for good that it was so.
package pricing

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// State is where a version of a price stands.
type State string

// The states. Only approved versions are ever charged.
const (
	Proposed State = "proposed"
	Approved State = "approved"
	Rejected State = "rejected"
)

// OneTime is the billing of a price that is paid once.
const OneTime = "one_time"

// OperatorDelay is how long a proposal waits before the person who made it may approve it alone.
const OperatorDelay = 10 * time.Minute

// Price is a version of what a unit of a plan costs in a currency.
type Price struct {
	ID             string // "prc_…"
	PlanID         string
	Version        int64 // counts from 1 for each plan, currency and billing
	Amount         money.Amount
	Billing        string
	EffectiveFrom  time.Time
	State          State
	ProposedBy     string // actor
	ProposedAt     time.Time
	DecidedBy      string // actor; empty for a first version, which needs nobody
	DecidedAt      time.Time
	SingleOperator bool // the proposer approved alone
	ArchivedAt     time.Time
}

// Key names the series that a version belongs to.
type Key struct {
	PlanID   string
	Currency money.Currency
	Billing  string
}

// Store keeps prices. Writes feed the change feed.
type Store interface {
	// Person names who stands behind an actor: of a machine token the one who made it, of an account its address without what is
	// behind a plus sign, so that two accounts of one person have one name. An actor that is not known stands for itself.
	Person(ctx context.Context, actor string) (string, error)
	// PlanProduct returns the product of a plan, or [licensing.ErrNotFound].
	PlanProduct(ctx context.Context, plan string) (product string, err error)
	// AddPrice stores a version and reports false when that version exists already.
	AddPrice(ctx context.Context, p Price) (bool, error)
	// Decide approves or rejects a version that is proposed, and reports whether it was.
	Decide(ctx context.Context, p Price) (bool, error)
	// Archive ends a version that is approved at p.ArchivedAt, and reports whether it changed anything.
	Archive(ctx context.Context, p Price) (bool, error)
	Price(ctx context.Context, id string) (Price, error)
	// Versions returns every version of a plan's prices, newest first within a series, and the plan's product; [licensing.ErrNotFound]
	// when there is no such plan.
	Versions(ctx context.Context, plan string) (product string, all []Price, err error)
	// Current returns the approved version of a series with the latest effective instant not after at, whether archived or not.
	Current(ctx context.Context, k Key, at time.Time) (Price, error)
}

// Failures that callers can tell apart.
var (
	ErrNoPrice      = licensing.Fail(licensing.Conflict, "no-price", "The plan is not sold in this currency.")
	ErrSamePerson   = licensing.Fail(licensing.Forbidden, "second-person-needed", "A changed price is approved by somebody else than who proposed it.")
	ErrNotProposed  = licensing.Fail(licensing.Conflict, "wrong-state", "The price is decided already.")
	errVersionTaken = licensing.Fail(licensing.Conflict, "changed-meanwhile", "Another price was set at the same time; look and try again.")
)

// Deps is what a [Service] needs. SingleOperator says that one person runs the shop.
type Deps struct {
	Store          Store
	Clock          licensing.Clock
	IDs            licensing.IDs
	Tx             licensing.Transactor
	Audit          licensing.Auditor
	SingleOperator bool
	// Changed is called after each transaction that may have changed a price, for what this replica keeps of them; nil for nobody.
	Changed func()
}

// Service keeps prices. It is safe for concurrent use.
type Service struct{ Deps }

// NewService returns a Service over d.
func NewService(d Deps) *Service { return &Service{d} }

// inTx runs fn in a transaction and then tells of it.
func (s *Service) inTx(ctx context.Context, fn func(ctx context.Context) error) error {
	if s.Changed != nil {
		defer s.Changed()
	}
	return s.Tx.InTx(ctx, fn)
}

// Current returns the price of a plan in a currency at an instant; [ErrNoPrice] when it has none or the sale in that currency was
// ended.
func (s *Service) Current(ctx context.Context, plan string, currency money.Currency, at time.Time) (Price, error) {
	p, err := s.Store.Current(ctx, Key{plan, currency, OneTime}, at)
	switch {
	case errors.Is(err, licensing.ErrNotFound):
		return Price{}, ErrNoPrice
	case err != nil:
		return Price{}, err
	case !p.ArchivedAt.IsZero() && !p.ArchivedAt.After(at):
		return Price{}, ErrNoPrice
	}
	return p, nil
}
