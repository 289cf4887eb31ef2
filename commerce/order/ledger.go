package order

import (
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
)

// Leg is one side of a posting. Debits are positive, credits negative.
type Leg struct {
	Account string
	Amount  money.Amount
}

// Posting is a set of legs that belong together. Source is its natural key: the same source is posted once.
type Posting struct {
	Source string
	Order  string
	At     time.Time
	Legs   []Leg
}

// The accounts. Revenue and tax have one for each product and country.
const (
	Cash     = "cash:stripe"
	Disputed = "disputed:stripe"
	// What arrived and is not what was ordered is at the provider, and owed to who paid it.
	StrayCash = "stray:stripe"
	StrayOwed = "stray:owed"
)

// Revenue is the account of a product's sales.
func Revenue(product string) string { return "revenue:" + product }

// TaxAccount is the account of tax owed in a country.
func TaxAccount(country string) string {
	if country == "" {
		country = "none"
	}
	return "tax:" + country
}

// Failures of postings.
var (
	ErrUnbalanced = errors.New("order: posting is not balanced")
	ErrPosted     = errors.New("order: source is posted already")
	ErrCredited   = errors.New("order: this change has a credit note already")
)

// Check reports [ErrUnbalanced] unless the legs sum to zero in every currency, and refuses an empty posting or source and legs
// without an account or an amount.
func (p Posting) Check() error {
	if p.Source == "" || p.Order == "" || len(p.Legs) < 2 {
		return fmt.Errorf("%w: %q has %d legs", ErrUnbalanced, p.Source, len(p.Legs))
	}
	sums := map[money.Currency]money.Amount{}
	for _, l := range p.Legs {
		if l.Account == "" || l.Amount.Minor == 0 || !l.Amount.Currency.Valid() {
			return fmt.Errorf("%w: %q has a leg without account, amount or currency", ErrUnbalanced, p.Source)
		}
		sum, ok := sums[l.Amount.Currency]
		if !ok {
			sum = money.Zero(l.Amount.Currency)
		}
		sum, err := sum.Add(l.Amount)
		if err != nil {
			return err
		}
		sums[l.Amount.Currency] = sum
	}
	for c, sum := range sums {
		if sum.Minor != 0 {
			return fmt.Errorf("%w: %q is off by %s", ErrUnbalanced, p.Source, sum)
		}
		_ = c
	}
	return nil
}

// income is how the order's total divides between the revenue of its products and the tax, in the order of its lines.
func (o *Order) income() ([]string, []int64) {
	var accounts []string
	var parts []int64
	add := func(account string, minor int64) {
		for i, a := range accounts {
			if a == account {
				parts[i] += minor
				return
			}
		}
		accounts, parts = append(accounts, account), append(parts, minor)
	}
	for _, l := range o.Snapshot.Lines {
		add(Revenue(l.ProductID), l.Net())
	}
	if o.Tax != 0 {
		add(TaxAccount(o.Snapshot.Tax.Country), o.Tax)
	}
	return accounts, parts
}

// Sale is the posting of the money's arrival; ok is false when there was none to post (a total of zero).
func (o *Order) Sale(at time.Time) (p Posting, ok bool) {
	if o.Total == 0 {
		return Posting{}, false
	}
	p = Posting{Source: "order/" + o.ID + "/sale", Order: o.ID, At: at, Legs: []Leg{{Cash, o.Amount(o.Total)}}}
	accounts, parts := o.income()
	for i, a := range accounts {
		if parts[i] != 0 {
			p.Legs = append(p.Legs, Leg{a, o.Amount(-parts[i])})
		}
	}
	return p, true
}

// Refund is the posting that takes what was refunded from before to after, both counted from the beginning; after is the smaller one
// when a refund failed. It takes revenue and tax back in the proportion in which they came, so that many partial refunds together
// undo exactly the sale. Its source names the order's next version, which is the one that the posting belongs to.
func (o *Order) Refund(before, after int64, at time.Time) (Posting, error) {
	accounts, was, err := o.backTo(before)
	if err != nil {
		return Posting{}, err
	}
	_, is, err := o.backTo(after)
	if err != nil {
		return Posting{}, err
	}
	p := Posting{Source: fmt.Sprintf("order/%s/refund/%d", o.ID, o.Version+1), Order: o.ID, At: at, Legs: []Leg{{Cash, o.Amount(before - after)}}}
	for i, a := range accounts {
		if d := is[i] - was[i]; d != 0 {
			p.Legs = append(p.Legs, Leg{a, o.Amount(d)})
		}
	}
	return p, nil
}

// backTo is what a refund of so much in all takes back from each account of the income. The tax is divided from the rest first: of two parts
// neither shrinks while the whole grows, so that no refund gives tax a sign of its own; of three and more one can, by largest remainder.
func (o *Order) backTo(refunded int64) ([]string, []int64, error) {
	accounts, parts := o.income()
	net := len(parts)
	if o.Tax != 0 {
		net--
	}
	halves, err := money.Split(o.Amount(refunded), []int64{o.Total - o.Tax, o.Tax})
	if err != nil {
		return nil, nil, err
	}
	out := make([]int64, len(parts))
	if o.Total > o.Tax {
		split, err := money.Split(halves[0], parts[:net])
		if err != nil {
			return nil, nil, err
		}
		for i, a := range split {
			out[i] = a.Minor
		}
	}
	if o.Tax != 0 {
		out[net] = halves[1].Minor
	}
	return accounts, out, nil
}

// Dispute is the posting that moves disputed money away from the cash account (delta > 0) or back to it. Its source names the order's
// next version.
func (o *Order) Dispute(delta int64, at time.Time) Posting {
	return Posting{Source: fmt.Sprintf("order/%s/dispute/%d", o.ID, o.Version+1), Order: o.ID, At: at,
		Legs: []Leg{{Cash, o.Amount(-delta)}, {Disputed, o.Amount(delta)}}}
}

// StrayPosting is the posting of money that is not what was ordered: it arrived (delta > 0) or went back, in its own currency. Its source names the
// order's next version.
func (o *Order) StrayPosting(delta int64, c money.Currency, at time.Time) Posting {
	return Posting{Source: fmt.Sprintf("order/%s/stray/%d", o.ID, o.Version+1), Order: o.ID, At: at,
		Legs: []Leg{{StrayCash, money.New(delta, c)}, {StrayOwed, money.New(-delta, c)}}}
}
