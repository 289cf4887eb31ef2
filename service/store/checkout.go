package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

type checkouts struct{ *Store }

var (
	_ checkout.Sessions = (*checkouts)(nil)
	_ checkout.Grants   = (*checkouts)(nil)
	_ checkout.Queue    = (*checkouts)(nil)
)

// CheckoutSessions returns the Store of attempts at payment pages.
func (s *Store) CheckoutSessions() checkout.Sessions { return &checkouts{s} }

// OrderGrants returns the Store of what orders gave.
func (s *Store) OrderGrants() checkout.Grants { return &checkouts{s} }

// OrderQueue returns the finder of orders that want looking after.
func (s *Store) OrderQueue() checkout.Queue { return &checkouts{s} }

func (s *checkouts) AddSession(ctx context.Context, c checkout.Session) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO checkout_session (order_id, epoch, state, session, url, success, cancel, created_at, expires_at)
		VALUES ($1, $2, $3, NULL, '', $4, $5, $6, $7) ON CONFLICT (order_id, epoch) DO NOTHING`, c.Order, c.Epoch, string(c.State), c.Success, c.Cancel, c.CreatedAt, c.ExpiresAt)
	return n > 0, err
}

func (s *checkouts) LastSession(ctx context.Context, id string) (checkout.Session, error) {
	var found []checkout.Session
	return only(found, s.db.Ask(ctx, sessionAsked(id, &found)))
}

// sessionAsked asks for the newest attempt for an order.
func sessionAsked(id string, out *[]checkout.Session) db.Question {
	return db.Question{SQL: `SELECT order_id, epoch, state, COALESCE(session, ''), url, success, cancel, created_at, expires_at FROM checkout_session
		WHERE order_id = $1 ORDER BY epoch DESC LIMIT 1`, Args: []any{id}, Each: db.Into(out, func(row db.Row) (c checkout.Session, err error) {
		err = row.Scan(&c.Order, &c.Epoch, &c.State, &c.ID, &c.URL, &c.Success, &c.Cancel, &c.CreatedAt, &c.ExpiresAt)
		return c, err
	})}
}

func (s *checkouts) Whole(ctx context.Context, id string) (checkout.Whole, error) {
	var w checkout.Whole
	var found []order.Order
	err := s.db.Ask(ctx, orderAsked(id, &found), sessionAsked(id, &w.Sessions), creditsAsked(id, &w.Credits), givenAsked(id, &w.Given))
	w.Order, err = only(found, err)
	return w, err
}

func (s *checkouts) ConfirmSession(ctx context.Context, c checkout.Session) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE checkout_session SET state = $3, session = $4, url = $5 WHERE order_id = $1 AND epoch = $2 AND state = 'opening'
		AND NOT EXISTS (SELECT 1 FROM checkout_session n WHERE n.order_id = $1 AND n.epoch > $2)`,
		c.Order, c.Epoch, string(c.State), c.ID, c.URL)
	return n > 0, err
}

func (s *checkouts) EndSessions(ctx context.Context, id string) error {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE checkout_session SET state = 'closed' WHERE order_id = $1`, Args: []any{id}},
		{SQL: `DELETE FROM checkout_slot WHERE order_id = $1`, Args: []any{id}},
	})
	return err
}

func (s *checkouts) TakeSlot(ctx context.Context, owner licensing.Owner, plan, id string) (string, error) {
	if _, err := s.db.Exec(ctx, `INSERT INTO checkout_slot (owner, plan_id, order_id) VALUES ($1, $2, $3) ON CONFLICT (owner, plan_id) DO NOTHING`,
		string(owner), plan, id); err != nil {
		return "", err
	}
	var holder string
	err := s.db.QueryRow(ctx, `SELECT order_id FROM checkout_slot WHERE owner = $1 AND plan_id = $2`, string(owner), plan).Scan(&holder)
	return holder, missing(err)
}

func (s *checkouts) AddGiven(ctx context.Context, g checkout.Given) (bool, error) {
	if g.Kind == order.KindRenewal {
		n, err := s.db.Exec(ctx, `INSERT INTO order_renewal (source, order_id, line_id, license_id, state, hint, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (source) DO NOTHING`, g.Source, g.Order, g.Line, g.Object, g.State, g.Hint, g.CreatedAt, g.UpdatedAt)
		return n > 0, err
	}
	n, err := s.db.Exec(ctx, `INSERT INTO order_grant (source, order_id, line_id, kind, object_id, state, sealed, hint, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (source) DO NOTHING`,
		g.Source, g.Order, g.Line, g.Kind, g.Object, g.State, g.Sealed, g.Hint, g.CreatedAt, g.UpdatedAt)
	return n > 0, err
}

func (s *checkouts) Given(ctx context.Context, id string) (out []checkout.Given, err error) {
	return out, s.db.Ask(ctx, givenAsked(id, &out))
}

// givenAsked asks for what an order gave.
func givenAsked(id string, out *[]checkout.Given) db.Question {
	return db.Question{SQL: `SELECT source, order_id, line_id, kind, object_id, state, sealed, hint, created_at, updated_at FROM order_grant WHERE order_id = $1
		UNION ALL SELECT source, order_id, line_id, 'renewal', license_id, state, NULL, hint, created_at, updated_at FROM order_renewal WHERE order_id = $1
		ORDER BY source`, Args: []any{id}, Each: db.Into(out, func(row db.Row) (g checkout.Given, err error) {
		err = row.Scan(&g.Source, &g.Order, &g.Line, &g.Kind, &g.Object, &g.State, &g.Sealed, &g.Hint, &g.CreatedAt, &g.UpdatedAt)
		return g, err
	})}
}

func (s *checkouts) SetGiven(ctx context.Context, source, state string, at time.Time) error {
	args := []any{source, state, at}
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE order_grant SET state = $2, updated_at = $3 WHERE source = $1 AND state <> 'revoked'`, Args: args},
		{SQL: `UPDATE order_renewal SET state = $2, updated_at = $3 WHERE source = $1 AND state <> 'revoked'`, Args: args},
	})
	return err
}

func (s *checkouts) TakeSecret(ctx context.Context, source string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE order_grant SET sealed = NULL, updated_at = $2 WHERE source = $1 AND sealed IS NOT NULL`, source, at)
	return n > 0, err
}

func (s *checkouts) Due(ctx context.Context, d checkout.Due, limit int) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT id FROM orders WHERE state IN ('pending', 'awaiting_funds', 'paid') AND checked_at < $1
		AND (created_at > $3 OR checked_at < $2 OR (state = 'paid' AND disputed = 0)) ORDER BY checked_at, id LIMIT $4`, d.Soon, d.Late, d.Young, limit)
	return db.Collect(rows, err, func(row db.Row) (id string, err error) { err = row.Scan(&id); return id, err })
}

func (s *checkouts) Hold(ctx context.Context, ids ...string) error {
	var args []any
	_, err := s.db.Exec(ctx, held("orders", `id IN (`+among(&args, ids)+`)`), args...)
	return err
}

func (s *checkouts) Touch(ctx context.Context, id string, now, notSince time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE orders SET checked_at = $2 WHERE id = $1 AND checked_at <= $3`, id, now, notSince)
	return n > 0, err
}

func (s *checkouts) Renewers(ctx context.Context, id string) ([]checkout.Renewer, error) {
	rows, err := s.db.Query(ctx, `SELECT r.order_id, MIN(r.license_id) FROM order_grant g JOIN order_renewal r ON r.license_id = g.object_id JOIN orders o ON o.id = r.order_id
		WHERE g.order_id = $1 AND g.kind = 'license' AND r.order_id <> $1 AND r.state <> 'revoked' AND o.state = 'fulfilled' AND o.resolved_at IS NULL AND o.captured > o.refunded
		GROUP BY r.order_id ORDER BY r.order_id`, id)
	return db.Collect(rows, err, func(row db.Row) (r checkout.Renewer, err error) { return r, row.Scan(&r.Order, &r.License) })
}

func (s *checkouts) ByPayment(ctx context.Context, object string) (string, error) {
	if object == "" {
		return "", licensing.ErrNotFound
	}
	for _, column := range []string{"charge", "intent", "session"} {
		var id string
		err := s.db.QueryRow(ctx, `SELECT id FROM orders WHERE `+column+` = $1 ORDER BY id LIMIT 1`, object).Scan(&id)
		if err == nil || !errors.Is(err, db.ErrNoRows) {
			return id, err
		}
	}
	return "", licensing.ErrNotFound
}
