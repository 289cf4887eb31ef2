package order

import (
	"bytes"
	_ "embed"
	"html/template"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// Seller is who sells, as receipts name it.
type Seller struct {
	Name    string   `json:"name"`
	Address []string `json:"address,omitempty"`
	VATID   string   `json:"vat_id,omitempty"`
	Email   string   `json:"email,omitempty"`
}

// Receipt is what a receipt says. Everything comes from the frozen order, so the same order gives the same receipt for ever;
// refunds do not change it. A credit note is the same kind of document under another title: see [NewCreditNote].
type Receipt struct {
	Title    string // "Receipt" or "Credit note"
	Number   string
	Corrects string // number of the receipt that a credit note corrects
	Date     string
	Order    string
	Seller   Seller
	Buyer    string
	BuyerVAT string
	Country  string
	Lines    []ReceiptLine
	Subtotal string
	Discount string // empty when there was none
	TaxLabel string // empty without tax
	Tax      string
	Total    string
	Test     bool

	TotalLabel string
	Note       string
}

// ReceiptLine is a line of a receipt.
type ReceiptLine struct {
	Name     string
	Quantity int64
	Unit     string
	Total    string
}

// NewReceipt makes the receipt of a paid order.
func NewReceipt(o Order) Receipt {
	r := document(o, o.Receipt, o.PaidAt)
	r.Title, r.TotalLabel, r.Subtotal, r.Total = "Receipt", "Total paid", o.Amount(o.Subtotal).String(), o.Amount(o.Total).String()
	r.Note = "Paid in full. Delivered electronically at once, as agreed when ordering."
	if o.Discount > 0 {
		r.Discount = money.New(-o.Discount, o.Currency).String()
	}
	r.tax(o, o.Tax)
	for _, l := range o.Snapshot.Lines {
		r.Lines = append(r.Lines, ReceiptLine{Name: l.Name(), Quantity: l.Quantity, Unit: o.Amount(l.Unit).String(), Total: o.Amount(l.Subtotal).String()})
	}
	return r
}

// document is what every document of an order says.
func document(o Order, number string, at time.Time) Receipt {
	buyer := o.Email
	if o.Snapshot.Buyer != "" {
		buyer = o.Snapshot.Buyer + " (" + o.Email + ")"
	}
	return Receipt{Number: number, Date: at.UTC().Format("2 January 2006"), Order: o.ID, Seller: o.Snapshot.Seller, Buyer: buyer, BuyerVAT: o.Snapshot.VATID,
		Country: o.Snapshot.Tax.Country, Test: o.Env != licensing.Live}
}

// tax says how much tax there is, in minor units, and why.
func (r *Receipt) tax(o Order, minor int64) {
	t := o.Snapshot.Tax
	if t.Mode != FixedTax {
		return
	}
	r.TaxLabel, r.Tax = strings.TrimSpace("Tax "+t.Country)+" "+t.Rate.String(), o.Amount(minor).String()
	switch {
	case t.ReverseCharge:
		r.TaxLabel = "Tax"
		r.Note += " Reverse charge: the recipient owes the VAT (Article 196 of Directive 2006/112/EC)."
	case t.Inclusive:
		r.TaxLabel = "Including " + strings.ToLower(r.TaxLabel[:1]) + r.TaxLabel[1:]
	}
}

// Series is the run of numbers that an order's receipt belongs to: a year, apart for test orders.
func Series(o Order) string { return series(o, o.PaidAt) }

func series(o Order, at time.Time) string {
	year := at.UTC().Format("2006")
	if o.Env != licensing.Live {
		return "T" + year
	}
	return year
}

//go:embed receipt.html
var receiptPage string

var receiptTemplate = template.Must(template.New("receipt").Parse(receiptPage))

// HTML renders the receipt as a page that stands alone: no script, no request to anywhere.
func (r Receipt) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := receiptTemplate.Execute(&b, r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
