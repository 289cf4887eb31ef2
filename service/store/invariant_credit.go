package store

import (
	"context"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/service/db"
)

// creditViolations checks the numbers of credit notes, and the notes of each order against the order.
func (s *Store) creditViolations(ctx context.Context, _ time.Time) ([]Violation, error) {
	rows, err := s.db.Query(ctx, `SELECT c.series, c.last, COUNT(n.number), COALESCE(MAX(n.seq), 0) FROM credit_note_counter c LEFT JOIN credit_note n ON n.series = c.series
		GROUP BY c.series, c.last HAVING COUNT(n.number) <> c.last OR COALESCE(MAX(n.seq), 0) <> c.last`)
	out, err := db.Collect(rows, err, func(row db.Row) (v Violation, err error) {
		var last, count, highest int64
		err = row.Scan(&v.Object, &last, &count, &highest)
		v.Invariant, v.Text = "CREDIT", fmt.Sprintf("the counter is at %d, there are %d credit notes, the highest is %d", last, count, highest)
		return v, err
	})
	if err != nil {
		return nil, err
	}
	rows, err = s.db.Query(ctx, `SELECT DISTINCT n.series FROM credit_note n WHERE NOT EXISTS (SELECT 1 FROM credit_note_counter c WHERE c.series = n.series)`)
	uncounted, err := db.Collect(rows, err, func(row db.Row) (Violation, error) {
		v := Violation{Invariant: "CREDIT", Text: "is a series of credit notes that nobody counts"}
		return v, row.Scan(&v.Object)
	})
	if err != nil {
		return nil, err
	}
	out = append(out, uncounted...)
	rows, err = s.db.Query(ctx, `SELECT o.id, o.refunded, o.tax, o.receipt, CAST(COALESCE(SUM(n.refunded_after - n.refunded_before), 0) AS bigint),
			CAST(COALESCE(SUM(n.tax), 0) AS bigint), COALESCE(MAX(CASE WHEN n.receipt <> o.receipt THEN n.receipt END), o.receipt)
		FROM orders o LEFT JOIN credit_note n ON n.order_id = o.id GROUP BY o.id, o.refunded, o.tax, o.receipt
		HAVING COALESCE(SUM(n.refunded_after - n.refunded_before), 0) <> o.refunded OR COALESCE(SUM(n.tax), 0) < 0 OR COALESCE(SUM(n.tax), 0) > o.tax
			OR MAX(CASE WHEN n.receipt <> o.receipt THEN n.receipt END) IS NOT NULL`)
	wrong, err := db.Collect(rows, err, func(row db.Row) (v Violation, err error) {
		var refunded, tax, credited, creditedTax int64
		var receipt, corrects string
		err = row.Scan(&v.Object, &refunded, &tax, &receipt, &credited, &creditedTax, &corrects)
		v.Invariant = "CREDIT"
		v.Text = fmt.Sprintf("refunded %d of receipt %s with tax %d; its credit notes are over %d with tax %d and correct %s", refunded, receipt, tax, credited, creditedTax, corrects)
		return v, err
	})
	return append(out, wrong...), err
}
