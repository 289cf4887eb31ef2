package order

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestCreditNoteIsAlwaysTheSame guarantees that a credit note's page and PDF are byte for byte the same each time and as they were when this
// was written, and that a buyer's text cannot become markup.
func TestCreditNoteIsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	o := sample()
	at := time.Date(2026, 4, 2, 12, 0, 0, 0, time.UTC)
	for file, span := range map[string][2]int64{"credit": {0, 500000}, "credit_failed": {500000, 0}} {
		c, err := o.Credit(span[0], span[1], at)
		if err != nil {
			t.Fatal(err)
		}
		c.Number, c.Receipt = "C2026-000007", o.Receipt
		for name, render := range map[string]func(Receipt) ([]byte, error){file + ".html": Receipt.HTML, file + ".pdf": Receipt.PDF} {
			first, err := render(NewCreditNote(o, c))
			if err != nil {
				t.Fatal(err)
			}
			second, err := render(NewCreditNote(o, c))
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
		}
	}
}

// TestCreditNoteReadsAsItIs guarantees the words and sums of notes with tax on top, with tax within the price, and of the whole receipt.
func TestCreditNoteReadsAsItIs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 4, 2, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		inclusive            bool
		after                int64
		subtotal, tax, total string
		line, label          string
	}{
		"a part, tax on top":       {false, 1190, "10.00 EUR", "1.90 EUR", "11.90 EUR", "Refund of a part of receipt 2026-000042", "Tax DE 19 %"},
		"a part, tax in the price": {true, 1190, "11.90 EUR", "1.90 EUR", "11.90 EUR", "Refund of a part of receipt 2026-000042", "Including tax DE 19 %"},
		"all":                      {false, 2380, "20.00 EUR", "3.80 EUR", "23.80 EUR", "Refund of receipt 2026-000042", "Tax DE 19 %"},
	} {
		o := sample()
		unit := int64(2000)
		if c.inclusive {
			unit = 2380
		}
		o.Snapshot.Lines = []Line{{ProductName: "Editor", PlanName: "Pro", Unit: unit, Quantity: 1}}
		o.Snapshot.Tax.Inclusive = c.inclusive
		if err := o.Settle(0); err != nil {
			t.Fatal(err)
		}
		note, err := o.Credit(0, c.after, at)
		if err != nil {
			t.Fatal(err)
		}
		note.Number, note.Receipt = "C2026-000001", o.Receipt
		d := NewCreditNote(o, note)
		if d.Subtotal != c.subtotal || d.Tax != c.tax || d.Total != c.total || d.Lines[0].Name != c.line || d.TaxLabel != c.label || d.Corrects != o.Receipt || d.Date != "2 April 2026" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestINV6_CreditNotesSumToTheReceipt guarantees, for any baskets and any refunds, partial, failed and again, that an order's credit notes sum to
// what was refunded, that their tax is what the ledger took back of the tax and never exceeds the receipt's, and that a whole refund undoes
// exactly the receipt's tax.
func TestINV6_CreditNotesSumToTheReceipt(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 16))
	for range 400 {
		o := sample()
		o.Snapshot.Tax.Inclusive = r.IntN(2) == 0
		o.Snapshot.Lines = nil
		for range 1 + r.IntN(4) {
			o.Snapshot.Lines = append(o.Snapshot.Lines, Line{ProductID: string(rune('a' + r.IntN(3))), Unit: 1 + r.Int64N(5000), Quantity: 1 + r.Int64N(3)})
		}
		if err := o.Settle(0); err != nil {
			t.Fatal(err)
		}
		o.Captured = o.Total
		var credited, tax, ledger int64
		at := o.PaidAt
		for step := range 12 {
			after := r.Int64N(o.Total + 1)
			if step == 11 {
				after = o.Total
			}
			if after == o.Refunded {
				continue
			}
			c, err := o.Credit(o.Refunded, after, at)
			if err != nil {
				t.Fatal(err)
			}
			p, err := o.Refund(o.Refunded, after, at)
			if err != nil || p.Check() != nil {
				t.Fatal(err, p.Check())
			}
			for _, l := range p.Legs {
				if l.Account == TaxAccount("DE") {
					ledger += l.Amount.Minor
				}
			}
			credited, tax, o.Refunded = credited+c.Amount(), tax+c.Tax, after
			o.Version++
			if credited != o.Refunded || tax != ledger || tax < 0 || tax > o.Tax {
				t.Fatalf("credited %d of %d, tax %d, in the ledger %d, of %d", credited, o.Refunded, tax, ledger, o.Tax)
			}
		}
		if tax != o.Tax {
			t.Fatalf("a whole refund credits %d of the tax %d", tax, o.Tax)
		}
	}
}
