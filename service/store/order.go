package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

type orders struct{ *Store }

var _ order.Store = (*orders)(nil)

// Orders returns the orders' Store.
func (s *Store) Orders() order.Store { return &orders{s} }

const orderColumns = `id, owner, email, env, state, reason, currency, subtotal, discount, tax, total, captured, refunded, disputed, snapshot, secret_hash,
	access, version, session, intent, charge, receipt, created_at, updated_at, expires_at, checked_at, paid_at, fulfilled_at, stray, stray_back, stray_currency, resolved_at`

func scanOrder(row db.Row) (o order.Order, err error) {
	var snapshot string
	var paid, fulfilled, resolved *time.Time
	err = row.Scan(&o.ID, &o.Owner, &o.Email, &o.Env, &o.State, &o.Reason, &o.Currency, &o.Subtotal, &o.Discount, &o.Tax, &o.Total, &o.Captured, &o.Refunded,
		&o.Disputed, &snapshot, &o.SecretHash, &o.Access, &o.Version, &o.Session, &o.Intent, &o.Charge, &o.Receipt, &o.CreatedAt, &o.UpdatedAt, &o.ExpiresAt, &o.CheckedAt,
		&paid, &fulfilled, &o.Stray.Received, &o.Stray.Back, &o.Stray.Currency, &resolved)
	if err != nil {
		return o, missing(err)
	}
	o.PaidAt, o.FulfilledAt, o.ResolvedAt = instant(paid), instant(fulfilled), instant(resolved)
	return o, json.Unmarshal([]byte(snapshot), &o.Snapshot)
}

func (s *orders) Add(ctx context.Context, o order.Order) error {
	snapshot, err := json.Marshal(o.Snapshot)
	if err != nil {
		return err
	}
	batch := []db.Statement{{SQL: `INSERT INTO orders (` + orderColumns + `, contents) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
		$20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)`, Args: []any{o.ID, string(o.Owner), o.Email, string(o.Env), string(o.State), o.Reason, string(o.Currency), o.Subtotal, o.Discount, o.Tax, o.Total,
		o.Captured, o.Refunded, o.Disputed, string(snapshot), o.SecretHash, o.Access, o.Version, o.Session, o.Intent, o.Charge, o.Receipt, o.CreatedAt, o.UpdatedAt,
		o.ExpiresAt, o.CheckedAt, nullable(o.PaidAt), nullable(o.FulfilledAt), o.Stray.Received, o.Stray.Back, string(o.Stray.Currency), nullable(o.ResolvedAt), contentsOf(o.Snapshot.Lines)}}}
	for _, l := range o.Snapshot.Lines {
		batch = append(batch, db.Statement{SQL: `INSERT INTO order_line (id, order_id, n, product_id, plan_id, price_id, quantity, unit) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			Args: []any{l.ID, o.ID, l.N, l.ProductID, l.PlanID, l.PriceID, l.Quantity, l.Unit}})
	}
	if _, err := s.db.Batch(ctx, batch); err != nil {
		return err
	}
	failpoint.Hit("order-row")
	return nil
}

func (s *orders) Save(ctx context.Context, o order.Order) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE orders SET state = $2, reason = $3, captured = $4, refunded = $5, disputed = $6, session = $7, intent = $8, charge = $9,
		updated_at = $10, paid_at = $11, fulfilled_at = $12, version = $13, stray = $15, stray_back = $16, stray_currency = $17, resolved_at = $18 WHERE id = $1 AND version = $14`,
		o.ID, string(o.State), o.Reason, o.Captured, o.Refunded, o.Disputed, o.Session, o.Intent, o.Charge, o.UpdatedAt, nullable(o.PaidAt), nullable(o.FulfilledAt), o.Version, o.Version-1,
		o.Stray.Received, o.Stray.Back, string(o.Stray.Currency), nullable(o.ResolvedAt))
	return n > 0, err
}

func (s *orders) Order(ctx context.Context, id string) (order.Order, error) {
	return scanOrder(s.db.QueryRow(ctx, `SELECT `+orderColumns+` FROM orders WHERE id = $1`, id))
}

func (s *orders) OrderOf(ctx context.Context, id string, owner licensing.Owner) (order.Order, error) {
	return scanOrder(s.db.QueryRow(ctx, `SELECT `+orderColumns+` FROM orders WHERE id = $1 AND owner = $2`, id, string(owner)))
}

func (s *orders) OrderBySecret(ctx context.Context, id string, hash []byte) (order.Order, error) {
	return scanOrder(s.db.QueryRow(ctx, `SELECT `+orderColumns+` FROM orders WHERE id = $1 AND secret_hash = $2`, id, hash))
}

func (s *orders) List(ctx context.Context, f order.Filter, page licensing.Page) (licensing.List[order.Order], error) {
	limit := pageSize(page)
	list := new(narrowing).by("id <", page.Cursor).by("owner =", string(f.Owner)).by("state =", string(f.State)).by("email =", f.Email).
		byWrapped("id IN (SELECT order_id FROM order_line WHERE product_id =", f.Product, ")").by("env =", string(f.Env)).by("id =", f.ID).
		byWrapped("id = (SELECT order_id FROM receipt WHERE number =", f.Receipt, ")").
		byWrapped("id IN (SELECT g.order_id FROM (SELECT object_id, order_id FROM order_grant UNION ALL SELECT license_id, order_id FROM order_renewal) g WHERE g.object_id =", f.Gave, ")")
	sql, args := list.statement(`SELECT `+orderColumns+` FROM orders`, "id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanOrder)
	return cut(items, limit, func(o order.Order) string { return o.ID }), err
}

func (s *orders) AddEvent(ctx context.Context, id string, e order.Event) error {
	_, err := s.db.Exec(ctx, `INSERT INTO order_event (id, order_id, at, kind, actor, detail) VALUES ($1, $2, $3, $4, $5, $6)`, e.ID, id, e.At, e.Kind, e.Actor, e.Detail)
	return err
}

func (s *orders) Whole(ctx context.Context, id string) (o order.Order, notes []order.Credit, timeline []order.Event, err error) {
	var found []order.Order
	err = s.db.Ask(ctx, orderAsked(id, &found), creditsAsked(id, &notes),
		db.Question{SQL: `SELECT id, at, kind, actor, detail FROM order_event WHERE order_id = $1 ORDER BY id`, Args: []any{id},
			Each: db.Into(&timeline, func(row db.Row) (e order.Event, err error) {
				err = row.Scan(&e.ID, &e.At, &e.Kind, &e.Actor, &e.Detail)
				return e, err
			})})
	o, err = only(found, err)
	return o, notes, timeline, err
}

// orderAsked asks for an order without regard to the owner.
func orderAsked(id string, out *[]order.Order) db.Question {
	return db.Question{SQL: `SELECT ` + orderColumns + ` FROM orders WHERE id = $1`, Args: []any{id}, Each: db.Into(out, scanOrder)}
}

func (s *orders) GiveReceipt(ctx context.Context, id, series string, at time.Time) (string, error) {
	var seq int64
	err := s.db.QueryRow(ctx, `INSERT INTO receipt_counter (series, last) VALUES ($1, 1)
		ON CONFLICT (series) DO UPDATE SET last = receipt_counter.last + 1 RETURNING last`, series).Scan(&seq)
	if err != nil {
		return "", err
	}
	number := fmt.Sprintf("%s-%06d", series, seq)
	_, err = s.db.Batch(ctx, []db.Statement{
		{SQL: `INSERT INTO receipt (number, series, seq, order_id, at) VALUES ($1, $2, $3, $4, $5)`, Args: []any{number, series, seq, id, at}},
		{SQL: `UPDATE orders SET receipt = $2 WHERE id = $1`, Args: []any{id, number}},
	})
	return number, err
}
