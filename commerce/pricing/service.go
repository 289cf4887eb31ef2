package pricing

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// maxAmount is the dearest unit, in minor units: with the largest basket a total still fits easily.
const maxAmount = 1_000_000_000_000

// PriceView is a version of a price as staff sees it.
type PriceView struct {
	ID             string       `json:"id" doc:"Id of this version."`
	Plan           string       `json:"plan" doc:"Id of the plan."`
	Version        int64        `json:"version" doc:"Counts from 1 for each plan and currency."`
	Price          money.Amount `json:"price" doc:"What one unit costs."`
	Billing        string       `json:"billing" doc:"How often it is charged." enum:"one_time,month,year"`
	EffectiveFrom  time.Time    `json:"effective_from" doc:"From when it is charged, once approved."`
	State          State        `json:"state" doc:"Only approved versions are charged." enum:"proposed,approved,rejected"`
	ProposedBy     string       `json:"proposed_by" doc:"Who proposed it."`
	ProposedAt     time.Time    `json:"proposed_at" doc:"When it was proposed."`
	DecidedBy      string       `json:"decided_by,omitempty" doc:"Who approved or rejected it; absent for a first version, which needs nobody."`
	DecidedAt      *time.Time   `json:"decided_at,omitempty" doc:"When it was decided."`
	SingleOperator bool         `json:"single_operator,omitempty" doc:"The proposer approved alone, as a shop of one person may."`
	ArchivedAt     *time.Time   `json:"archived_at,omitempty" doc:"When the sale in this currency was ended."`
}

// SetPriceRequest sets the first price of a plan in a currency, or proposes the next version.
type SetPriceRequest struct {
	Plan          string       `path:"id" doc:"Id of the plan."`
	Price         money.Amount `json:"price" doc:"What one unit costs."`
	EffectiveFrom *time.Time   `json:"effective_from,omitempty" doc:"From when it is charged; at once unless said. Not in the past."`
}

// Validate implements the operation's check of form.
func (r SetPriceRequest) Validate() error {
	err := licensing.Fail(licensing.Invalid, "invalid-request", "The price breaks a rule; see the fields.")
	switch {
	case !r.Price.Currency.Valid():
		return err.With("/price/currency", "must be an ISO 4217 code in capital letters, for example EUR")
	case r.Price.Minor < 0 || r.Price.Minor > maxAmount:
		return err.With("/price/amount", "must be 0 to %d minor units", int64(maxAmount))
	}
	if _, stripe := money.ToStripe(r.Price); stripe != nil {
		return err.With("/price/amount", "cannot be charged exactly in %s: round it", r.Price.Currency)
	}
	return nil
}

// SetPrice sets a first price, in force at its instant without anybody else, or proposes a change, which needs approval.
func (s *Service) SetPrice(ctx context.Context, r SetPriceRequest) (PriceView, error) {
	if err := r.Validate(); err != nil {
		return PriceView{}, err
	}
	now := s.Clock.Now()
	from := now
	if r.EffectiveFrom != nil {
		if from = r.EffectiveFrom.UTC().Truncate(time.Microsecond); from.Before(now.Add(-time.Minute)) {
			return PriceView{}, licensing.Fail(licensing.Invalid, "invalid-request", "A price cannot take effect in the past.").With("/effective_from", "must not be in the past")
		}
	}
	var p Price
	err := s.inTx(ctx, func(ctx context.Context) (err error) {
		p, err = s.add(ctx, r.Plan, r.Price, OneTime, from)
		return err
	})
	if err != nil {
		return PriceView{}, err
	}
	return view(p), nil
}

// add stores the next version of a series within the caller's transaction.
func (s *Service) add(ctx context.Context, plan string, amount money.Amount, billing string, from time.Time) (Price, error) {
	product, versions, err := s.Store.Versions(ctx, plan)
	if err != nil {
		return Price{}, err
	}
	now, action := s.Clock.Now(), "price.set"
	p := Price{ID: s.IDs.New("prc"), PlanID: plan, Version: 1, Amount: amount, Billing: billing, EffectiveFrom: from,
		State: Approved, ProposedBy: licensing.ActorFrom(ctx).String(), ProposedAt: now, DecidedAt: now}
	for _, v := range versions {
		if v.Amount.Currency == amount.Currency && v.Billing == billing && v.Version >= p.Version {
			p.Version = v.Version + 1
			p.State, p.DecidedAt, action = Proposed, time.Time{}, "price.propose"
		}
	}
	switch ok, err := s.Store.AddPrice(ctx, p); {
	case err != nil:
		return Price{}, err
	case !ok:
		return Price{}, errVersionTaken
	}
	return p, s.Audit.Record(ctx, licensing.Event{Action: action, Target: p.ID, Product: product,
		Detail: map[string]any{"plan": plan, "version": p.Version, "price": amount, "effective_from": from}})
}

// SetImported sets the price of an import, in the caller's transaction; it implements the catalogue's Setter.
func (s *Service) SetImported(ctx context.Context, plan string, price money.Amount, recurring bool) (string, error) {
	if recurring {
		return "", licensing.Fail(licensing.Invalid, "invalid-request", "recurring prices cannot be imported; leave the price of a subscription plan empty")
	}
	if err := (SetPriceRequest{Price: price}).Validate(); err != nil {
		return "", err
	}
	_, versions, err := s.Store.Versions(ctx, plan)
	if err != nil {
		return "", err
	}
	now := s.Clock.Now()
	for _, v := range versions {
		if v.State == Proposed && v.Amount == price && v.Billing == OneTime {
			return "unchanged", nil
		}
	}
	if now, err := s.Current(ctx, plan, price.Currency, now); err == nil && now.Amount == price {
		return "unchanged", nil
	} else if err != nil && !errors.Is(err, ErrNoPrice) {
		return "", err
	}
	p, err := s.add(ctx, plan, price, OneTime, now)
	if p.State == Proposed {
		return "propose", err
	}
	return "create", err
}

// PriceRequest names one version of a price.
type PriceRequest struct {
	ID string `path:"id" doc:"Id of the price's version."`
}

// ApprovePrice puts a proposed version in force. Whoever proposed it may not, nor by another account of the same address, nor whoever made
// the token that did, except alone in a shop of one person: freshly
// signed in, ten minutes after the proposal or later.
func (s *Service) ApprovePrice(ctx context.Context, r PriceRequest) (PriceView, error) {
	actor := licensing.ActorFrom(ctx)
	return s.decide(ctx, r.ID, "price.approve", func(ctx context.Context, p *Price) error {
		same, err := s.samePerson(ctx, actor.String(), p.ProposedBy)
		if err != nil {
			return err
		}
		if same {
			if err := s.alone(actor, *p); err != nil {
				return err
			}
			p.SingleOperator = true
		}
		p.State = Approved
		return nil
	})
}

// samePerson reports whether one person stands behind two actors.
func (s *Service) samePerson(ctx context.Context, a, b string) (bool, error) {
	if a == b {
		return true, nil
	}
	first, err := s.Store.Person(ctx, a)
	if err != nil {
		return false, err
	}
	second, err := s.Store.Person(ctx, b)
	return first == second, err
}

// alone says whether the proposer may approve.
func (s *Service) alone(actor licensing.Actor, p Price) error {
	ready := p.ProposedAt.Add(OperatorDelay)
	switch {
	case !s.SingleOperator:
		return ErrSamePerson
	case !actor.Fresh && actor.Kind != licensing.CLI:
		return licensing.Fail(licensing.Forbidden, "fresh-sign-in-needed", "Sign in again to approve your own proposal.")
	case s.Clock.Now().Before(ready):
		return licensing.Fail(licensing.Conflict, "too-early", "You can approve your own proposal from %s; until then you can reject it.", ready.Format(time.RFC3339)).
			After(ready.Sub(s.Clock.Now()))
	}
	return nil
}

// RejectPrice ends a proposal; whoever made it may do so too.
func (s *Service) RejectPrice(ctx context.Context, r PriceRequest) (PriceView, error) {
	return s.decide(ctx, r.ID, "price.reject", func(_ context.Context, p *Price) error {
		p.State = Rejected
		return nil
	})
}

func (s *Service) decide(ctx context.Context, id, action string, choose func(context.Context, *Price) error) (PriceView, error) {
	var out Price
	err := s.inTx(ctx, func(ctx context.Context) error {
		p, err := s.Store.Price(ctx, id)
		if err != nil {
			return err
		}
		if p.State != Proposed {
			return ErrNotProposed
		}
		p.DecidedBy, p.DecidedAt = licensing.ActorFrom(ctx).String(), s.Clock.Now()
		if err := choose(ctx, &p); err != nil {
			return err
		}
		if p.State == Approved && p.EffectiveFrom.Before(p.DecidedAt) {
			p.EffectiveFrom = p.DecidedAt // never effective before it was approved
		}
		return s.write(ctx, &out, p, action, func(ctx context.Context) (bool, error) { return s.Store.Decide(ctx, p) })
	})
	if err != nil {
		return PriceView{}, err
	}
	return view(out), nil
}

// ArchivePrice ends the sale of the plan in the price's currency, until a later version is approved.
func (s *Service) ArchivePrice(ctx context.Context, r PriceRequest) (PriceView, error) {
	var out Price
	err := s.inTx(ctx, func(ctx context.Context) error {
		p, err := s.Store.Price(ctx, r.ID)
		if err != nil {
			return err
		}
		p.ArchivedAt = s.Clock.Now()
		return s.write(ctx, &out, p, "price.archive", func(ctx context.Context) (bool, error) { return s.Store.Archive(ctx, p) })
	})
	if err != nil {
		return PriceView{}, err
	}
	return view(out), nil
}

// write runs a conditional write of p and records it.
func (s *Service) write(ctx context.Context, out *Price, p Price, action string, do func(context.Context) (bool, error)) error {
	product, err := s.Store.PlanProduct(ctx, p.PlanID)
	if err != nil {
		return err
	}
	switch ok, err := do(ctx); {
	case err != nil:
		return err
	case !ok:
		return ErrNotProposed
	}
	*out = p
	return s.Audit.Record(ctx, licensing.Event{Action: action, Target: p.ID, Product: product,
		Detail: map[string]any{"plan": p.PlanID, "version": p.Version, "price": p.Amount, "single_operator": p.SingleOperator}})
}

// ListPricesRequest names a plan.
type ListPricesRequest struct {
	Plan string `path:"id" doc:"Id of the plan."`
}

// ListPrices returns every version of a plan's prices, newest first within a currency.
func (s *Service) ListPrices(ctx context.Context, r ListPricesRequest) (licensing.List[PriceView], error) {
	product, versions, err := s.Store.Versions(ctx, r.Plan)
	if err != nil {
		return licensing.List[PriceView]{}, err
	}
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Machine && a.Product != "" && a.Product != product {
		return licensing.List[PriceView]{}, licensing.ErrNotFound
	}
	out := licensing.List[PriceView]{Items: make([]PriceView, len(versions))}
	for i, v := range versions {
		out.Items[i] = view(v)
	}
	return out, nil
}

// ReadPrice answers the replay of an operation whose result is a price.
func (s *Service) ReadPrice(ctx context.Context, id, _ string) (PriceView, error) {
	p, err := s.Store.Price(ctx, id)
	return view(p), err
}

func view(p Price) PriceView {
	return PriceView{ID: p.ID, Plan: p.PlanID, Version: p.Version, Price: p.Amount, Billing: p.Billing, EffectiveFrom: p.EffectiveFrom, State: p.State,
		ProposedBy: p.ProposedBy, ProposedAt: p.ProposedAt, DecidedBy: p.DecidedBy, DecidedAt: pointer(p.DecidedAt), SingleOperator: p.SingleOperator,
		ArchivedAt: pointer(p.ArchivedAt)}
}

func pointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
