package order

import (
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// Limits of a basket. Together with the dearest price they keep every total far from the largest int64; MaxGrants, of all units
// together, keeps the transaction that gives them short.
const (
	MaxLines    = 20
	MaxQuantity = 100
	MaxGrants   = 200
)

// ErrTotal refuses a basket whose total cannot be expressed.
var ErrTotal = licensing.Fail(licensing.Invalid, "total-too-large", "The total is too large.")

// Settle computes every amount of an order from its lines' units and quantities, its discount and its tax: line subtotals; the
// discount divided among the lines by largest remainder; tax rounded half-up once a line, to what can be charged where it comes on top of the
// price; and the totals, which are the sums of their lines. It fails with [ErrTotal] on overflow.
func (o *Order) Settle(discount int64) error {
	subtotals := make([]int64, len(o.Snapshot.Lines))
	sum := money.Zero(o.Currency)
	for i := range o.Snapshot.Lines {
		l := &o.Snapshot.Lines[i]
		sub, err := o.Amount(l.Unit).Mul(l.Quantity)
		if err != nil {
			return ErrTotal.Because(err)
		}
		if sum, err = sum.Add(sub); err != nil {
			return ErrTotal.Because(err)
		}
		l.Subtotal, subtotals[i] = sub.Minor, sub.Minor
	}
	o.Subtotal, o.Discount, o.Tax, o.Total = sum.Minor, min(discount, sum.Minor), 0, 0
	if err := o.spread(subtotals); err != nil {
		return err
	}
	total := money.Zero(o.Currency)
	for i := range o.Snapshot.Lines {
		l := &o.Snapshot.Lines[i]
		if err := o.tax(l); err != nil {
			return ErrTotal.Because(err)
		}
		var err error
		if total, err = total.Add(o.Amount(l.Total)); err != nil {
			return ErrTotal.Because(err)
		}
		o.Tax += l.Tax
	}
	o.Total = total.Minor
	return nil
}

// spread divides the discount among the lines.
func (o *Order) spread(weights []int64) error {
	if o.Discount == 0 {
		return nil
	}
	parts, err := money.Split(o.Amount(o.Discount), weights)
	if err != nil {
		return ErrTotal.Because(err)
	}
	for i, p := range parts {
		o.Snapshot.Lines[i].Discount = p.Minor
	}
	return nil
}

// tax settles the tax and the total of a line.
func (o *Order) tax(l *Line) error {
	t := o.Snapshot.Tax
	price := o.Amount(l.Subtotal - l.Discount)
	l.Tax, l.Total = 0, price.Minor
	if t.Mode != FixedTax || t.Rate == 0 {
		return nil
	}
	if t.Inclusive {
		part, err := price.Included(t.Rate)
		l.Tax = part.Minor
		return err
	}
	part, err := price.ShareIn(t.Rate, o.Currency.Step()) // it is a line of the payment page, which takes no fraction of a step
	if err != nil {
		return err
	}
	total, err := price.Add(part)
	l.Tax, l.Total = part.Minor, total.Minor
	return err
}
