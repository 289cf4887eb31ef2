package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// AddEvents implements [webhook.Deliveries].
func (s *webhooks) AddEvents(ctx context.Context, events []webhook.Event, deliveries []webhook.Delivery) error {
	if len(events) == 0 {
		return nil
	}
	made, sent := make([][]any, len(events)), make([][]any, len(deliveries))
	for i, e := range events {
		made[i] = []any{e.ID, e.Type, string(e.Env), e.Body, e.At}
	}
	for i, d := range deliveries {
		sent[i] = []any{d.ID, d.EndpointID, d.EventID, string(d.State), d.Attempts, d.Tries, d.NextAt, d.CreatedAt, d.UpdatedAt}
	}
	return s.write(ctx,
		db.Insert("webhook_event", []string{"id", "type", "env", "body", "at"}, made),
		db.Insert("webhook_delivery", []string{"id", "endpoint_id", "event_id", "state", "attempts", "tries", "next_at", "created_at", "updated_at"}, sent))
}

const deliveryColumns = `d.id, d.endpoint_id, d.event_id, d.state, d.attempts, d.tries, d.next_at, d.created_at, d.updated_at, v.type, v.body, v.at
	FROM webhook_delivery d JOIN webhook_event v ON v.id = d.event_id`

func scanDelivery(row db.Row) (d webhook.Delivery, err error) {
	return d, missing(row.Scan(&d.ID, &d.EndpointID, &d.EventID, &d.State, &d.Attempts, &d.Tries, &d.NextAt, &d.CreatedAt, &d.UpdatedAt, &d.Type, &d.Body, &d.At))
}

// Due implements [webhook.Deliveries].
func (s *webhooks) Due(ctx context.Context, endpoint string, now time.Time, limit int) ([]webhook.Delivery, error) {
	rows, err := s.db.Query(ctx, `SELECT `+deliveryColumns+` WHERE d.endpoint_id = $1 AND d.state = 'pending' AND d.next_at <= $2 ORDER BY d.next_at LIMIT $3`, endpoint, now, limit)
	return db.Collect(rows, err, scanDelivery)
}

// Next implements [webhook.Deliveries].
func (s *webhooks) Next(ctx context.Context, endpoint string) (at time.Time, found bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT next_at FROM webhook_delivery WHERE endpoint_id = $1 AND state = 'pending' ORDER BY next_at LIMIT 1`, endpoint).Scan(&at)
	if errors.Is(err, db.ErrNoRows) {
		return at, false, nil
	}
	return at, err == nil, err
}

// holdEndpoint is the first thing that is locked by what changes deliveries, wherever the endpoint is changed with them.
const holdEndpoint = `SELECT id FROM webhook_endpoint WHERE id = $1 FOR NO KEY UPDATE`

// Settle implements [webhook.Deliveries].
func (s *webhooks) Settle(ctx context.Context, by string, e webhook.Endpoint, was, d webhook.Delivery, a webhook.Attempt) (bool, error) {
	const same = `state = 'pending' AND tries = $6 AND updated_at = $7`
	n, err := s.db.Batch(ctx, []db.Statement{
		{SQL: holdEndpoint, Args: []any{e.ID}},
		{SQL: `INSERT INTO webhook_attempt (delivery_id, n, at, took_ms, status, excerpt, error) SELECT d.id, d.attempts + 1, COALESCE($2, d.created_at), COALESCE($3, d.tries), COALESCE($4, d.tries), $5, $6
			FROM webhook_delivery d WHERE d.id = $1`, Args: []any{a.DeliveryID, a.At, a.Took.Milliseconds(), a.Status, a.Excerpt, a.Error}},
		{SQL: `UPDATE webhook_delivery SET attempts = attempts + 1, tries = CASE WHEN ` + same + ` THEN $3 ELSE tries END, next_at = CASE WHEN ` + same + ` THEN $4 ELSE next_at END,
			updated_at = $5, state = CASE WHEN ` + same + ` THEN $2 ELSE state END WHERE id = $1`, Args: []any{d.ID, string(d.State), d.Tries, d.NextAt, d.UpdatedAt, was.Tries, was.UpdatedAt}},
		{SQL: `UPDATE webhook_endpoint SET failures = $2, failing_since = $3, open_until = $4, slow = $5 WHERE id = $1 AND held_by = $6 AND row_version = $7`,
			Args: []any{e.ID, e.Failures, nullable(e.FailingSince), nullable(e.OpenUntil), e.Slow, by, e.Version}},
	})
	return err == nil && n[3] > 0, err
}

// Hasten implements [webhook.Deliveries]. What is due already keeps its place.
func (s *webhooks) Hasten(ctx context.Context, endpoint string, at time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE webhook_delivery SET tries = 0, next_at = CASE WHEN next_at > $2 THEN $2 ELSE next_at END, updated_at = $2
		WHERE `+inOrder("webhook_delivery", `endpoint_id = $1 AND state = 'pending'`), endpoint, at)
	return err
}

// shownAttempts is how many attempts of a delivery are read.
const shownAttempts = 50

// Delivery implements [webhook.Deliveries].
func (s *webhooks) Delivery(ctx context.Context, id string) (webhook.Delivery, []webhook.Attempt, error) {
	d, err := scanDelivery(s.db.QueryRow(ctx, `SELECT `+deliveryColumns+` WHERE d.id = $1`, id))
	if err != nil {
		return d, nil, err
	}
	rows, err := s.db.Query(ctx, `SELECT n, at, took_ms, status, excerpt, error FROM webhook_attempt WHERE delivery_id = $1 ORDER BY n DESC LIMIT $2`, id, shownAttempts)
	attempts, err := db.Collect(rows, err, func(r db.Row) (a webhook.Attempt, err error) {
		var took int64
		err = r.Scan(&a.N, &a.At, &took, &a.Status, &a.Excerpt, &a.Error)
		a.DeliveryID, a.Took = id, time.Duration(took)*time.Millisecond
		return a, err
	})
	return d, attempts, err
}

// ListDeliveries implements [webhook.Deliveries].
func (s *webhooks) ListDeliveries(ctx context.Context, f webhook.Filter, page licensing.Page) (licensing.List[webhook.Delivery], error) {
	limit := pageSize(page)
	list := new(narrowing).by("d.id <", page.Cursor).by("d.endpoint_id =", f.Endpoint).by("d.state =", string(f.State)).by("d.event_id =", f.Event)
	sql, args := list.statement(`SELECT `+deliveryColumns, "d.id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanDelivery)
	return cut(items, limit, func(d webhook.Delivery) string { return d.ID }), err
}

// Again implements [webhook.Deliveries].
func (s *webhooks) Again(ctx context.Context, d webhook.Delivery, at time.Time) error {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE webhook_endpoint SET open_until = NULL WHERE id = $1`, Args: []any{d.EndpointID}},
		{SQL: `UPDATE webhook_delivery SET state = 'pending', tries = 0, next_at = $2, updated_at = $2 WHERE id = $1`, Args: []any{d.ID, at}},
	})
	return err
}

// chosen narrows to what a selection names.
func chosen(s webhook.Selection) *narrowing {
	n := new(narrowing).by("d.endpoint_id =", s.Endpoint).by("d.state =", string(s.State)).by("d.id >", s.After)
	if !s.Since.IsZero() {
		n.that("v.at >=", s.Since, "")
	}
	if !s.Until.IsZero() {
		n.that("v.at <", s.Until, "")
	}
	return n
}

// CountDeliveries implements [webhook.Repeats].
func (s *webhooks) CountDeliveries(ctx context.Context, sel webhook.Selection) (n int64, err error) {
	list := chosen(sel)
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM webhook_delivery d JOIN webhook_event v ON v.id = d.event_id`+list.where(), list.args...).Scan(&n)
	return n, err
}

// Repeat implements [webhook.Repeats]. That the state is looked at again where it is changed is what keeps two who ask at once from sending one
// delivery twice.
func (s *webhooks) Repeat(ctx context.Context, sel webhook.Selection, at time.Time, most int) (int64, string, error) {
	sql, args := chosen(sel).statement(`SELECT d.id FROM webhook_delivery d JOIN webhook_event v ON v.id = d.event_id`, "d.id", most+1)
	rows, err := s.db.Query(ctx, sql, args...)
	ids, err := db.Collect(rows, err, func(r db.Row) (id string, err error) { return id, r.Scan(&id) })
	if err != nil || len(ids) == 0 {
		return 0, "", err
	}
	last := ""
	if len(ids) > most {
		ids, last = ids[:most], ids[most-1]
	}
	changed := []any{string(sel.State), at}
	marks := among(&changed, ids)
	n, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE webhook_endpoint SET open_until = NULL WHERE id = $1`, Args: []any{sel.Endpoint}},
		{SQL: `UPDATE webhook_delivery SET state = 'pending', tries = 0, next_at = $2, updated_at = $2 WHERE ` +
			inOrder("webhook_delivery", `state = $1 AND id IN (`+marks+`)`), Args: changed},
	})
	if err != nil {
		return 0, "", err
	}
	return n[1], last, nil
}

// Prune implements [webhook.Deliveries].
func (s *webhooks) Prune(ctx context.Context, before time.Time, limit int) error {
	rows, err := s.db.Query(ctx, `SELECT id FROM webhook_event WHERE at < $1 ORDER BY at LIMIT $2`, before, limit)
	ids, err := db.Collect(rows, err, func(r db.Row) (id string, err error) { return id, r.Scan(&id) })
	if err != nil || len(ids) == 0 {
		return err
	}
	var args []any
	marks := among(&args, ids)
	return s.InTx(ctx, func(ctx context.Context) error {
		_, err := s.db.Batch(ctx, []db.Statement{
			{SQL: `SELECT id FROM webhook_delivery WHERE event_id IN (` + marks + `) ORDER BY id FOR UPDATE`, Args: args},
			{SQL: `DELETE FROM webhook_attempt WHERE delivery_id IN (SELECT d.id FROM webhook_delivery d WHERE d.event_id IN (` + marks + `))`, Args: args},
			{SQL: `DELETE FROM webhook_delivery WHERE event_id IN (` + marks + `)`, Args: args},
			{SQL: `DELETE FROM webhook_event WHERE id IN (` + marks + `)`, Args: args},
		})
		return err
	})
}

// Position implements [webhook.Trail].
func (s *webhooks) Position(ctx context.Context) (at, size int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT p.num, h.size FROM webhook_position p JOIN audit_head h ON h.one = p.one WHERE p.one = 1`).Scan(&at, &size)
	return at, size, err
}

// Changes implements [webhook.Trail]. Every join is by a primary key.
func (s *webhooks) Changes(ctx context.Context, from int64, limit int) ([]webhook.Change, error) {
	rows, err := s.db.Query(ctx, `SELECT q.num, a.at, a.action, a.target, a.product, a.detail, COALESCE(l.env, k.env, o.env, ''), COALESCE(l.owner, k.owner, o.owner, t.owner, ''), COALESCE(v.license_id, CASE WHEN c.id IS NULL THEN NULL ELSE l.id END, ''),
			COALESCE(l.plan_code, k.plan_code, ''), CASE WHEN c.id IS NULL THEN COALESCE(v.state, l.state, o.state, t.status, '') ELSE '' END, l.valid_until, COALESCE(o.currency, ''), COALESCE(o.total, 0), COALESCE(o.refunded, 0), COALESCE(o.disputed, 0)
		FROM audit_seq q JOIN audit a ON a.id = q.audit_id LEFT JOIN activation v ON v.id = a.target LEFT JOIN usage_correction c ON c.id = a.target
			LEFT JOIN license l ON l.id = COALESCE(v.license_id, c.carrier, a.target) LEFT JOIN api_key k ON k.id = COALESCE(c.carrier, a.target) LEFT JOIN orders o ON o.id = a.target LEFT JOIN ticket t ON t.id = a.target
		WHERE q.num >= $1 ORDER BY q.num LIMIT $2`, from, limit)
	return db.Collect(rows, err, func(r db.Row) (c webhook.Change, err error) {
		var until *time.Time
		err = r.Scan(&c.Num, &c.At, &c.Action, &c.Target, &c.Product, &c.Detail, &c.Env, &c.Owner, &c.License, &c.Plan, &c.State, &until, &c.Currency, &c.Total, &c.Refunded, &c.Disputed)
		c.ValidUntil = instant(until)
		return c, err
	})
}

// Move implements [webhook.Trail].
func (s *webhooks) Move(ctx context.Context, from, to int64) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE webhook_position SET num = $2 WHERE one = 1 AND num = $1`, from, to)
	return n > 0, err
}
