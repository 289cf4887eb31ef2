package order

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// TestC04_TenThousandBaskets guarantees that the totals of ten thousand random baskets, with discount and tax of each mode and currencies of each kind, are those of unbounded
// arithmetic and can be charged; that lines always sum to the totals; and that the postings of sale and partial refunds balance and cancel out.
func TestC04_TenThousandBaskets(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10_000) {
		r := rand.New(rand.NewPCG(seed, 4))
		o := &Order{ID: "ord_1", Currency: []money.Currency{"EUR", "JPY", "KWD", "MGA", "UGX"}[r.IntN(5)]}
		step := o.Currency.Step()
		o.Snapshot.Tax = Tax{Mode: FixedTax, Country: "DE", Rate: money.BasisPoints(r.Int64N(3001)), Inclusive: r.IntN(2) == 0}
		for i := range 1 + r.IntN(MaxLines) {
			o.Snapshot.Lines = append(o.Snapshot.Lines, Line{N: int64(i + 1), ProductID: string(rune('a' + r.IntN(3))),
				Unit: amount(r) / step * step, Quantity: 1 + r.Int64N(MaxQuantity)})
		}
		discount := amount(r) / step * step
		if err := o.Settle(discount); err != nil {
			t.Fatal(err)
		}
		var subtotal, discounts, tax, total int64
		for _, l := range o.Snapshot.Lines {
			if l.Subtotal != l.Unit*l.Quantity {
				t.Fatalf("line of %d × %d is %d", l.Unit, l.Quantity, l.Subtotal)
			}
			price := l.Subtotal - l.Discount
			want := reference(price, int64(o.Snapshot.Tax.Rate), 10_000*step) * step
			if o.Snapshot.Tax.Inclusive {
				want = reference(price, int64(o.Snapshot.Tax.Rate), 10_000+int64(o.Snapshot.Tax.Rate))
			}
			if l.Tax != want || l.Discount < 0 || price < 0 {
				t.Fatalf("tax of %d is %d, want %d", price, l.Tax, want)
			}
			subtotal, discounts, tax, total = subtotal+l.Subtotal, discounts+l.Discount, tax+l.Tax, total+l.Total
		}
		if _, err := money.ToStripe(o.Amount(o.Total)); err != nil {
			t.Fatalf("a total of %s cannot be charged", o.Amount(o.Total))
		}
		if !o.Snapshot.Tax.Inclusive {
			if _, err := money.ToStripe(o.Amount(o.Tax)); err != nil {
				t.Fatalf("tax of %s cannot be charged", o.Amount(o.Tax))
			}
		}
		if subtotal != o.Subtotal || discounts != o.Discount || o.Discount != min(discount, subtotal) || tax != o.Tax || total != o.Total {
			t.Fatalf("lines sum to %d %d %d %d, the order says %d %d %d %d", subtotal, discounts, tax, total, o.Subtotal, o.Discount, o.Tax, o.Total)
		}
		cancelOut(t, r, o)
	}
}

// amount is a random amount, small ones as often as large ones.
func amount(r *rand.Rand) int64 { return r.Int64N(1_000_000_000_000) >> r.IntN(40) }

// cancelOut posts the sale and refunds of it in steps, and checks that everything balances and nothing is left at the end.
func cancelOut(t *testing.T, r *rand.Rand, o *Order) {
	t.Helper()
	sale, ok := o.Sale(time.Time{})
	if !ok {
		return
	}
	left := map[string]int64{}
	add := func(p Posting) {
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		for _, l := range p.Legs {
			left[l.Account] += l.Amount.Minor
		}
	}
	add(sale)
	for before := int64(0); before < o.Total; {
		after := before + max(1, o.Total/7) + r.Int64N(o.Total)
		after = min(after, o.Total)
		p, err := o.Refund(before, after, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := o.Credit(before, after, time.Time{})
		if err != nil || c.Tax < 0 || c.Tax > c.Amount() {
			t.Fatalf("tax of %d in a refund of %d, %v", c.Tax, c.Amount(), err)
		}
		add(p)
		before = after
	}
	for account, minor := range left {
		if minor != 0 {
			t.Fatalf("%s is left with %d", account, minor)
		}
	}
}

func reference(a, b, c int64) int64 {
	n := new(big.Int).Mul(big.NewInt(2*a), big.NewInt(b))
	n.Add(n, big.NewInt(c)).Quo(n, big.NewInt(2*c))
	return n.Int64()
}

// TestC04_OverflowIsRefused guarantees that a total that does not fit is an error and never a small number.
func TestC04_OverflowIsRefused(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]Line{
		{{Unit: math.MaxInt64, Quantity: 2}}, {{Unit: math.MaxInt64, Quantity: 1}, {Unit: 1, Quantity: 1}},
	} {
		o := Order{Currency: "EUR", Snapshot: Snapshot{Lines: lines}}
		if err := o.Settle(0); !errors.Is(err, ErrTotal) {
			t.Errorf("total %d, %v", o.Total, err)
		}
	}
	o := Order{Currency: "EUR", Snapshot: Snapshot{Lines: []Line{{Unit: math.MaxInt64, Quantity: 1}}, Tax: Tax{Mode: FixedTax, Rate: 1900}}}
	if err := o.Settle(0); !errors.Is(err, ErrTotal) {
		t.Errorf("total %d, %v", o.Total, err)
	}
}

// TestUnbalancedPostingRefused guarantees that a posting must balance in each currency by itself.
func TestUnbalancedPostingRefused(t *testing.T) {
	t.Parallel()
	eur, usd := money.New(5, "EUR"), money.New(-5, "USD")
	for name, p := range map[string]Posting{
		"one leg":        {Source: "s", Order: "o", Legs: []Leg{{Cash, eur}}},
		"off by one":     {Source: "s", Order: "o", Legs: []Leg{{Cash, eur}, {Revenue("p"), money.New(-4, "EUR")}}},
		"two currencies": {Source: "s", Order: "o", Legs: []Leg{{Cash, eur}, {Revenue("p"), usd}}},
		"no account":     {Source: "s", Order: "o", Legs: []Leg{{"", eur}, {Revenue("p"), money.New(-5, "EUR")}}},
		"no source":      {Order: "o", Legs: []Leg{{Cash, eur}, {Revenue("p"), money.New(-5, "EUR")}}},
		"zero":           {Source: "s", Order: "o", Legs: []Leg{{Cash, money.Zero("EUR")}, {Revenue("p"), money.Zero("EUR")}}},
	} {
		if err := p.Check(); !errors.Is(err, ErrUnbalanced) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var update = flag.Bool("update", false, "write the golden files")

// sample is a paid order with everything that a receipt can show.
func sample() Order {
	o := Order{ID: "ord_0190a6f0c5b87c2ab0f14d5c6e7f8091", Email: "ada.lovelace@example.com", Env: licensing.Live, Currency: "EUR", Receipt: "2026-000042",
		PaidAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	o.Snapshot.VATID = "DE123456789"
	o.Snapshot.Tax = Tax{Mode: FixedTax, Country: "DE", Rate: 1900}
	o.Snapshot.Lines = []Line{
		{ProductName: "Editor", PlanName: "Professional, perpetual", Unit: 123450, Quantity: 12},
		{ProductName: "Résumé Ελλάδα Москва <b>&", PlanName: strings.Repeat("a rather long name of a plan ", 4), Unit: 999, Quantity: 1},
	}
	if err := o.Settle(5000); err != nil {
		panic(err)
	}
	o.Snapshot.Seller = Seller{Name: "Example Software GmbH", Address: []string{"Beispielstraße 1", "10115 Berlin", "Germany"}, VATID: "DE999999999", Email: "billing@example.com"}
	return o
}

// TestReceiptIsAlwaysTheSame guarantees that a receipt's page and PDF are byte for byte the same each time and as they were when this was
// written, and that a buyer's text cannot become markup.
func TestReceiptIsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	o := sample()
	for name, render := range map[string]func(Receipt) ([]byte, error){"receipt.html": Receipt.HTML, "receipt.pdf": Receipt.PDF} {
		first, err := render(NewReceipt(o))
		if err != nil {
			t.Fatal(err)
		}
		second, err := render(NewReceipt(o))
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s differs between two renderings: %v", name, err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, first, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(first, want) {
			t.Errorf("%s is not the golden file (run with -update and look at it): %v", name, err)
		}
		if bytes.Contains(first, []byte("<b>&")) {
			t.Errorf("%s holds the product's markup", name)
		}
	}
}

// TestReceiptOfManyLinesHasManyPages guarantees that the longest order and words without a break still make a PDF.
func TestReceiptOfManyLinesHasManyPages(t *testing.T) {
	t.Parallel()
	o := sample()
	o.Snapshot.Lines = nil
	for range MaxLines {
		o.Snapshot.Lines = append(o.Snapshot.Lines, Line{ProductName: strings.Repeat("W", 120), PlanName: strings.Repeat("я", 60), Unit: 1_000_000_000_000, Quantity: MaxQuantity})
	}
	if err := o.Settle(0); err != nil {
		t.Fatal(err)
	}
	pdf, err := NewReceipt(o).PDF()
	if err != nil || bytes.Count(pdf, []byte("/Type /Page\n")) < 2 {
		t.Errorf("%d pages, %v", bytes.Count(pdf, []byte("/Type /Page\n")), err)
	}
}

// TestReverseCharge guarantees that only a business of another country of the Union, with a VAT id of that country, pays no tax, and that
// its receipt says who owes it.
func TestReverseCharge(t *testing.T) {
	t.Parallel()
	rules := TaxRules{Mode: FixedTax, Home: "DE", Rates: map[string]money.BasisPoints{"DE": 1900, "FR": 2000, "GR": 2400, "CH": 810}}
	for _, c := range []struct {
		country, vat string
		home         string
		rate         money.BasisPoints
		reverse      bool
	}{
		{"FR", "", "DE", 2000, false},
		{"FR", "FRXX999999999", "DE", 0, true},
		{"GR", "EL999999999", "DE", 0, true},
		{"DE", "DE999999999", "DE", 1900, false}, // at home tax is paid
		{"CH", "CHE123456789", "DE", 810, false}, // not of the Union
		{"FR", "FRXX999999999", "", 2000, false}, // nobody said where the shop is
		{"FR", "FRXX999999999", "CH", 2000, false},
	} {
		rules.Home = c.home
		if tax, err := rules.For(c.country, c.vat); err != nil || tax.Rate != c.rate || tax.ReverseCharge != c.reverse {
			t.Errorf("%+v: %+v, %v", c, tax, err)
		}
	}
	rules.Home = "DE"
	for _, vat := range []string{"DE999999999", "FR1", "GR999999999"} {
		if tax, err := rules.For("FR", vat); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%s for a buyer in FR: %+v, %v", vat, tax, err)
		}
	}
	o := sample()
	o.Snapshot.Tax = Tax{Mode: FixedTax, Country: "FR", ReverseCharge: true, Inclusive: true}
	if err := o.Settle(0); err != nil || o.Tax != 0 {
		t.Fatalf("tax %d, %v", o.Tax, err)
	}
	if page, err := NewReceipt(o).HTML(); err != nil || !bytes.Contains(page, []byte("Reverse charge")) {
		t.Errorf("the receipt does not say who owes the tax: %v", err)
	}
}

// TestC13_TaxOfSmallRefunds guarantees that the tax within partial refunds never has the other sign, however small they are and however many
// products the order has, that many of them together give back exactly the tax, and that ledger and credit notes say the same.
func TestC13_TaxOfSmallRefunds(t *testing.T) {
	t.Parallel()
	for _, nets := range [][]int64{{6, 6}, {600, 600, 1}, {3, 2, 1}, {1, 1, 1, 1}, {997, 5, 3}} {
		o := &Order{ID: "ord_1", Currency: "JPY", Snapshot: Snapshot{Tax: Tax{Mode: FixedTax, Country: "JP", Rate: 1667}}}
		for i, net := range nets {
			o.Snapshot.Lines = append(o.Snapshot.Lines, Line{N: int64(i + 1), ProductID: string(rune('a' + i)), Unit: net, Quantity: 1})
		}
		if err := o.Settle(0); err != nil {
			t.Fatal(err)
		}
		for _, step := range []int64{1, 2, 7} {
			credited, posted := int64(0), int64(0)
			for before := int64(0); before < o.Total; before = min(before+step, o.Total) {
				after := min(before+step, o.Total)
				c, err := o.Credit(before, after, time.Time{})
				if err != nil || c.Tax < 0 || c.Tax > c.Amount() {
					t.Fatalf("%v: from %d to %d the tax is %d, %v", nets, before, after, c.Tax, err)
				}
				p, err := o.Refund(before, after, time.Time{})
				if err != nil || p.Check() != nil {
					t.Fatal(err, p.Check())
				}
				for _, l := range p.Legs {
					if l.Account == TaxAccount("JP") {
						posted += l.Amount.Minor
					}
				}
				if credited += c.Tax; credited != posted {
					t.Fatalf("%v: up to %d, %d of tax are credited and %d posted", nets, after, credited, posted)
				}
			}
			if credited != o.Tax {
				t.Errorf("%v: credited %d of %d", nets, credited, o.Tax)
			}
		}
	}
}
