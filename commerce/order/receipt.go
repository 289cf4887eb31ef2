package order

import (
	"bytes"
	_ "embed"
	"html/template"
	"strings"

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
// refunds do not change it.
type Receipt struct {
	Number   string
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
	Note     string
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
	r := Receipt{Number: o.Receipt, Date: o.PaidAt.UTC().Format("2 January 2006"), Order: o.ID, Seller: o.Snapshot.Seller, Buyer: o.Email, BuyerVAT: o.Snapshot.VATID,
		Country: o.Snapshot.Tax.Country, Subtotal: o.Amount(o.Subtotal).String(), Total: o.Amount(o.Total).String(), Test: o.Env != licensing.Live,
		Note: "Paid in full. Delivered electronically at once, as agreed when ordering."}
	if o.Discount > 0 {
		r.Discount = money.New(-o.Discount, o.Currency).String()
	}
	if t := o.Snapshot.Tax; t.Mode == FixedTax {
		r.TaxLabel, r.Tax = strings.TrimSpace("Tax "+t.Country)+" "+t.Rate.String(), o.Amount(o.Tax).String()
		switch {
		case t.ReverseCharge:
			r.TaxLabel = "Tax"
			r.Note += " Reverse charge: the recipient owes the VAT (Article 196 of Directive 2006/112/EC)."
		case t.Inclusive:
			r.TaxLabel = "Including " + strings.ToLower(r.TaxLabel[:1]) + r.TaxLabel[1:]
		}
	}
	for _, l := range o.Snapshot.Lines {
		r.Lines = append(r.Lines, ReceiptLine{Name: l.Name(), Quantity: l.Quantity, Unit: o.Amount(l.Unit).String(), Total: o.Amount(l.Subtotal).String()})
	}
	return r
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
