package order

import (
	"context"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
)

// Credit is a credit note: the document of a change in what was refunded of an order. It corrects the order's receipt, which stays as it is.
// A refund that failed takes back what was credited: its note is over a negative amount. Notes are never changed.
type Credit struct {
	Number  string // "C2026-000001", "CT2026-…" for test orders
	Order   string
	Receipt string // number of the receipt that it corrects
	Version int64  // the order's version that it belongs to: an order has one note for each change
	Before  int64  // refunded in all before it, in minor units of the order's currency
	After   int64  // refunded in all with it
	Tax     int64  // tax within the amount, of the amount's sign
	At      time.Time
}

// Amount is what was credited, in minor units; negative when a refund failed.
func (c Credit) Amount() int64 { return c.After - c.Before }

// Credits keeps credit notes. GiveCredit runs in the caller's transaction.
type Credits interface {
	// GiveCredit writes a note under the next number of a series. It fails with [ErrCredited] when the order has one of this version.
	GiveCredit(ctx context.Context, c Credit, series string) (number string, err error)
	// Credits lists the notes of an order, oldest first.
	Credits(ctx context.Context, order string) ([]Credit, error)
	// Credit finds a note of an order by its number, or fails with [licensing.ErrNotFound].
	Credit(ctx context.Context, order, number string) (Credit, error)
}

// Credit makes the note, without its number and its receipt's, of what was refunded going from before to after, both counted from the beginning.
// Its tax is what [Order.Refund] takes back of the tax, so that many partial refunds together undo exactly the receipt's.
func (o *Order) Credit(before, after int64, at time.Time) (Credit, error) {
	c := Credit{Order: o.ID, Version: o.Version + 1, Before: before, After: after, At: at}
	was, err := o.taxWithin(before)
	if err != nil {
		return Credit{}, err
	}
	is, err := o.taxWithin(after)
	c.Tax = is - was
	return c, err
}

// taxWithin is the part of the tax in what was refunded.
func (o *Order) taxWithin(refunded int64) (int64, error) {
	_, split, err := o.backTo(refunded)
	if err != nil || o.Tax == 0 {
		return 0, err
	}
	return split[len(split)-1], nil // the tax comes last
}

// CreditSeries is the run of numbers that a credit note belongs to: its year, apart for test orders.
func CreditSeries(o Order, at time.Time) string { return "C" + series(o, at) }

// NewCreditNote makes the document of a credit note from the note and the frozen order, the same for ever.
func NewCreditNote(o Order, c Credit) Receipt {
	amount := o.Amount(c.Amount())
	d := document(o, c.Number, c.At)
	d.Title, d.Corrects, d.TotalLabel, d.Total = "Credit note", c.Receipt, "Total credited", amount.String()
	name := "Refund of a part of receipt "
	d.Note = "Refunded to the means of payment that was used. The receipt itself stays as it is."
	switch {
	case c.Amount() < 0:
		name = "Refund that failed, of receipt "
		d.Note = "A refund did not reach its recipient. This note takes back what was credited for it."
	case c.Amount() == o.Total:
		name = "Refund of receipt "
	}
	net := amount
	if !o.Snapshot.Tax.Inclusive {
		net.Minor -= c.Tax
	}
	d.Lines = []ReceiptLine{{Name: name + c.Receipt, Quantity: 1, Unit: net.String(), Total: net.String()}}
	d.Subtotal = net.String()
	d.tax(o, c.Tax)
	return d
}

// CreditView is a credit note as buyer and staff see it.
type CreditView struct {
	Number  string       `json:"number" doc:"Number of the credit note."`
	Receipt string       `json:"receipt" doc:"Number of the receipt that it corrects."`
	Amount  money.Amount `json:"amount" doc:"What was credited; negative when a refund failed and the credit was taken back."`
	Tax     money.Amount `json:"tax" doc:"Tax within the amount."`
	At      time.Time    `json:"at" doc:"When it was made."`
	HTML    string       `json:"html" doc:"Path of the note as a page; add &access=<access code>."`
	PDF     string       `json:"pdf" doc:"Path of the note as PDF; add &access=<access code>."`
}

// CreditViews are the credit notes of an order.
func CreditViews(o *Order, notes []Credit) []CreditView {
	var out []CreditView
	for _, c := range notes {
		at := func(format string) string {
			return fmt.Sprintf("/v1/checkouts/%s/credit-note.%s?number=%s", o.ID, format, c.Number)
		}
		out = append(out, CreditView{Number: c.Number, Receipt: c.Receipt, Amount: o.Amount(c.Amount()), Tax: o.Amount(c.Tax), At: c.At, HTML: at("html"), PDF: at("pdf")})
	}
	return out
}
