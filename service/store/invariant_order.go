package store

import (
	"context"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// recovery is how long a paid order may be without its grants: a crash and its clean-up fit in it.
const recovery = time.Minute

// OrderViolations checks what must hold of orders, their grants, the ledger and receipts, at any time, on a live database:
//
//	INV1    each paid unit has exactly the grants of its frozen plan, and each paid renewal renewed its license once
//	INV2    no order is paid for more than a minute without its grants, unless their switch is off or the payment is disputed
//	        and what it gave is held back exactly while its payment is disputed
//	INV6    no more goes back than came in, and what is paid came in whole; what came in and is not what was ordered waits for a person until it went back
//	LEDGER  every posting is balanced and in its order's currency, and the ledger says of each order and its tax what the order says
//	RECEIPT numbers have no gap, every paid order has one, and no other
//	CREDIT  numbers of credit notes have no gap, and the notes of an order sum to what was refunded of it, with no more tax than was paid
func (s *Store) OrderViolations(ctx context.Context, now time.Time) ([]Violation, error) {
	var out []Violation
	for _, check := range []func(context.Context, time.Time) ([]Violation, error){
		s.grantViolations, s.strayGrants, s.lateGrants, s.ledgerViolations, s.moneyViolations, s.strayMoney, s.taxViolations, s.receiptViolations, s.creditViolations,
	} {
		found, err := check(ctx, now)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// grantViolations walks all orders that were fulfilled and compares what they gave with what was frozen.
func (s *Store) grantViolations(ctx context.Context, _ time.Time) ([]Violation, error) {
	var out []Violation
	for after := ""; ; {
		rows, err := s.db.Query(ctx, `SELECT `+orderColumns+` FROM orders WHERE id > $1 AND state IN ('fulfilled', 'refunded') ORDER BY id LIMIT 500`, after)
		page, err := db.Collect(rows, err, scanOrder)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, o := range page {
			found, err := s.grantsOf(ctx, o)
			// The order may have moved between the two questions; what is wrong is so of an order that did not.
			for moved := true; err == nil && len(found) > 0 && moved; {
				var now order.Order
				if now, err = s.Orders().Order(ctx, o.ID); err != nil {
					break
				}
				if moved = now.Version != o.Version; moved {
					o = now
					found, err = s.grantsOf(ctx, o)
				}
			}
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
		after = page[len(page)-1].ID
	}
}

// object is a license or API key that an order gave. held says that a dispute of its payment holds it back.
type object struct {
	source, id, state string
	env               licensing.Env
	held              bool
}

func (s *Store) grantsOf(ctx context.Context, o order.Order) ([]Violation, error) {
	given := map[string]object{}
	for kind, sql := range map[string]string{
		order.KindLicense: `SELECT g.source, l.id, l.state, l.env, l.state <> 'revoked' AND l.disputed_at IS NOT NULL FROM order_grant g JOIN license l ON l.id = g.object_id AND l.source_kind = 'order_unit' AND l.source_id = g.source
			WHERE g.order_id = $1 AND g.kind = 'license'`,
		order.KindAPIKey: `SELECT g.source, k.id, CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN ` + stoppedKey + ` THEN 'suspended' ELSE 'active' END, k.env, k.revoked_at IS NULL AND k.disputed_at IS NOT NULL
			FROM order_grant g JOIN api_key k ON k.id = g.object_id AND k.source_kind = 'order_unit' AND k.source_id = g.source WHERE g.order_id = $1 AND g.kind = 'apikey'`,
		order.KindRenewal: `SELECT g.source, l.id, CASE WHEN r.undone_at IS NULL THEN 'active' ELSE 'revoked' END, l.env, r.undone_at IS NOT NULL FROM order_renewal g
			JOIN license_renewal r ON r.source_kind = 'order_line' AND r.source_id = g.source AND r.license_id = g.license_id JOIN license l ON l.id = g.license_id WHERE g.order_id = $1`,
	} {
		rows, err := s.db.Query(ctx, sql, o.ID)
		objects, err := db.Collect(rows, err, func(row db.Row) (v object, err error) {
			err = row.Scan(&v.source, &v.id, &v.state, &v.env, &v.held)
			return v, err
		})
		if err != nil {
			return nil, err
		}
		for _, v := range objects {
			given[kind+" "+v.source] = v
		}
	}
	return compareGrants(o, given), nil
}

// compareGrants says what an order gave too much, too little or wrongly. An order refunded before it gave anything gives nothing.
func compareGrants(o order.Order, given map[string]object) []Violation {
	var out []Violation
	add := func(text string, args ...any) {
		out = append(out, Violation{"INV1", o.ID, fmt.Sprintf(text, args...)})
	}
	wanted := 0
	for _, l := range o.Snapshot.Lines {
		for unit := int64(1); unit <= l.Units(); unit++ {
			for n, g := range l.Grants {
				wanted++
				source := fmt.Sprintf("%s/%d/%d", l.ID, unit, n+1)
				v, ok := given[g.Kind+" "+source]
				switch {
				case !ok && o.State == order.Fulfilled && !o.Resolved():
					add("unit %s has no %s", source, g.Kind)
				case ok && o.State == order.Refunded && v.state == "active":
					add("%s of the refunded unit %s is still active", v.id, source)
				case ok && o.Disputed > 0 && v.state == "active":
					add("%s of unit %s is active, and its payment is disputed", v.id, source)
				case ok && o.State == order.Fulfilled && !o.Resolved() && o.Disputed == 0 && v.held:
					add("%s of unit %s is held back, and its payment is not disputed", v.id, source)
				case ok && o.Env == licensing.Test && v.env != licensing.Test:
					add("%s is live, the payment was a test", v.id)
				}
			}
		}
	}
	if len(given) > wanted {
		add("gave %d grants, its frozen plans have %d", len(given), wanted)
	}
	return out
}

// strayGrants finds licenses and keys that name an order unit as their source which gave nothing, and renewals that name a line which gave
// none, or that count although the line took them back, or the other way round.
func (s *Store) strayGrants(ctx context.Context, _ time.Time) ([]Violation, error) {
	rows, err := s.db.Query(ctx, `SELECT id, source_id FROM license l WHERE source_kind = 'order_unit'
			AND NOT EXISTS (SELECT 1 FROM order_grant g WHERE g.source = l.source_id AND g.object_id = l.id)
		UNION ALL SELECT id, source_id FROM api_key k WHERE source_kind = 'order_unit'
			AND NOT EXISTS (SELECT 1 FROM order_grant g WHERE g.source = k.source_id AND g.object_id = k.id)
		UNION ALL SELECT license_id, source_id FROM license_renewal r WHERE source_kind = 'order_line'
			AND NOT EXISTS (SELECT 1 FROM order_renewal g WHERE g.source = r.source_id AND g.license_id = r.license_id AND (g.state = 'active') = (r.undone_at IS NULL))
		UNION ALL SELECT g.license_id, g.source FROM order_renewal g JOIN orders o ON o.id = g.order_id WHERE o.paid_at IS NULL
		UNION ALL SELECT g.object_id, g.source FROM order_grant g JOIN orders o ON o.id = g.order_id WHERE o.paid_at IS NULL`)
	return db.Collect(rows, err, func(row db.Row) (v Violation, err error) {
		var source string
		err = row.Scan(&v.Object, &source)
		v.Invariant, v.Text = "INV1", "names the order unit "+source+", which was not paid or gave something else"
		return v, err
	})
}

// lateGrants finds paid orders that wait for their grants without a reason.
func (s *Store) lateGrants(ctx context.Context, now time.Time) ([]Violation, error) {
	rows, err := s.db.Query(ctx, `SELECT id, reason FROM orders o WHERE state = 'paid' AND disputed = 0 AND paid_at < $1
		AND NOT EXISTS (SELECT 1 FROM kill_switch k WHERE k.name IN ('licensing', 'api') AND (k.is_off OR k.at > $1)
			AND (k.product = '' OR k.product IN (SELECT product_id FROM order_line l WHERE l.order_id = o.id)))`, now.Add(-recovery))
	return db.Collect(rows, err, func(row db.Row) (v Violation, err error) {
		var reason string
		err = row.Scan(&v.Object, &reason)
		v.Invariant, v.Text = "INV2", "is paid and has no grants; last known: "+reason
		return v, err
	})
}

func (s *Store) ledgerViolations(ctx context.Context, _ time.Time) ([]Violation, error) {
	rows, err := s.db.Query(ctx, `SELECT source, currency, CAST(SUM(amount) AS bigint) FROM ledger_entry GROUP BY source, currency HAVING SUM(amount) <> 0
		UNION ALL SELECT e.source, e.currency, CAST(SUM(e.amount) AS bigint) FROM ledger_entry e JOIN orders o ON o.id = e.order_id WHERE e.amount > 0
				AND e.currency <> CASE WHEN e.account IN ('stray:stripe', 'stray:owed') THEN o.stray_currency ELSE o.currency END
			GROUP BY e.source, e.currency`)
	return db.Collect(rows, err, func(row db.Row) (v Violation, err error) {
		var currency string
		var off int64
		err = row.Scan(&v.Object, &currency, &off)
		v.Invariant, v.Text = "LEDGER", fmt.Sprintf("is off by %d %s, or has them for an order in another currency", off, currency)
		return v, err
	})
}

// moneyViolations compares each order with the ledger: what is in cash and in dispute is what the order captured and gave back.
func (s *Store) moneyViolations(ctx context.Context, _ time.Time) ([]Violation, error) {
	rows, err := s.db.Query(ctx, `SELECT o.id, o.captured, o.refunded, o.disputed,
			CAST(COALESCE(SUM(CASE WHEN e.account = 'cash:stripe' THEN e.amount ELSE 0 END), 0) AS bigint) AS cash,
			CAST(COALESCE(SUM(CASE WHEN e.account = 'disputed:stripe' THEN e.amount ELSE 0 END), 0) AS bigint) AS held
		FROM orders o LEFT JOIN ledger_entry e ON e.order_id = o.id GROUP BY o.id, o.captured, o.refunded, o.disputed, o.paid_at, o.total
		HAVING o.refunded + o.disputed > o.captured OR o.captured <> CASE WHEN o.paid_at IS NULL THEN 0 ELSE o.total END
			OR o.captured - o.refunded - o.disputed <> COALESCE(SUM(CASE WHEN e.account = 'cash:stripe' THEN e.amount ELSE 0 END), 0)
			OR o.disputed <> COALESCE(SUM(CASE WHEN e.account = 'disputed:stripe' THEN e.amount ELSE 0 END), 0)`)
	return db.Collect(rows, err, func(row db.Row) (v Violation, err error) {
		var captured, refunded, disputed, cash, held int64
		err = row.Scan(&v.Object, &captured, &refunded, &disputed, &cash, &held)
		v.Invariant, v.Text = "INV6", fmt.Sprintf("captured %d, refunded %d, disputed %d; the ledger has %d in cash and %d in dispute", captured, refunded, disputed, cash, held)
		return v, err
	})
}

// strayMoney compares what arrived for each order and is not what was ordered with the ledger, and demands that a person is told of it.
func (s *Store) strayMoney(ctx context.Context, _ time.Time) ([]Violation, error) {
	rows, err := s.db.Query(ctx, `SELECT o.id, o.state, o.stray, o.stray_back, CAST(COALESCE(e.held, 0) AS bigint) FROM orders o
		LEFT JOIN (SELECT order_id, SUM(amount) AS held FROM ledger_entry WHERE account = 'stray:stripe' GROUP BY order_id) e ON e.order_id = o.id
		WHERE o.stray_back > o.stray OR o.stray - o.stray_back <> COALESCE(e.held, 0) OR o.stray > o.stray_back AND o.state <> 'parked' AND o.resolved_at IS NULL`)
	return db.Collect(rows, err, func(row db.Row) (v Violation, err error) {
		var state string
		var received, back, held int64
		err = row.Scan(&v.Object, &state, &received, &back, &held)
		v.Invariant, v.Text = "INV6", fmt.Sprintf("is %s; of %d that arrived and is not what was ordered %d went back, and the ledger has %d", state, received, back, held)
		return v, err
	})
}

// taxViolations compares the tax that the ledger has of each order with the order's, less what its credit notes gave back.
func (s *Store) taxViolations(ctx context.Context, _ time.Time) ([]Violation, error) {
	rows, err := s.db.Query(ctx, `SELECT o.id, o.tax, CAST(COALESCE(n.tax, 0) AS bigint), CAST(COALESCE(e.tax, 0) AS bigint) FROM orders o
		LEFT JOIN (SELECT order_id, SUM(tax) AS tax FROM credit_note GROUP BY order_id) n ON n.order_id = o.id
		LEFT JOIN (SELECT order_id, SUM(amount) AS tax FROM ledger_entry WHERE account LIKE 'tax:%' GROUP BY order_id) e ON e.order_id = o.id
		WHERE COALESCE(e.tax, 0) <> COALESCE(n.tax, 0) - CASE WHEN o.paid_at IS NULL THEN 0 ELSE o.tax END`)
	return db.Collect(rows, err, func(row db.Row) (v Violation, err error) {
		var tax, credited, posted int64
		err = row.Scan(&v.Object, &tax, &credited, &posted)
		v.Invariant, v.Text = "LEDGER", fmt.Sprintf("has tax of %d, of which %d was credited; the ledger has %d", tax, credited, posted)
		return v, err
	})
}

func (s *Store) receiptViolations(ctx context.Context, _ time.Time) ([]Violation, error) {
	rows, err := s.db.Query(ctx, `SELECT c.series, c.last, COUNT(r.number), COALESCE(MAX(r.seq), 0) FROM receipt_counter c LEFT JOIN receipt r ON r.series = c.series
		GROUP BY c.series, c.last HAVING COUNT(r.number) <> c.last OR COALESCE(MAX(r.seq), 0) <> c.last`)
	out, err := db.Collect(rows, err, func(row db.Row) (v Violation, err error) {
		var last, count, highest int64
		err = row.Scan(&v.Object, &last, &count, &highest)
		v.Invariant, v.Text = "RECEIPT", fmt.Sprintf("the counter is at %d, there are %d receipts, the highest is %d", last, count, highest)
		return v, err
	})
	if err != nil {
		return nil, err
	}
	rows, err = s.db.Query(ctx, `SELECT o.id, 'is paid and has no receipt' FROM orders o
			WHERE o.paid_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.order_id = o.id AND r.number = o.receipt)
		UNION ALL SELECT r.number, 'is a receipt of an order that is not paid, or has another' FROM receipt r JOIN orders o ON o.id = r.order_id
			WHERE o.paid_at IS NULL OR o.receipt <> r.number
		UNION ALL SELECT DISTINCT r.series, 'is a series of receipts that nobody counts' FROM receipt r
			WHERE NOT EXISTS (SELECT 1 FROM receipt_counter c WHERE c.series = r.series)`)
	without, err := db.Collect(rows, err, func(row db.Row) (Violation, error) {
		v := Violation{Invariant: "RECEIPT"}
		return v, row.Scan(&v.Object, &v.Text)
	})
	return append(out, without...), err
}
