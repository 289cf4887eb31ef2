package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// payments implements [payment.Store].
type payments struct{ *Store }

var _ payment.Store = (*payments)(nil)

// Payments returns the inbox of the payment provider's events.
func (s *Store) Payments() payment.Store { return &payments{s} }

// paymentEventColumns are read by scanPaymentEvent, in this order; the body comes last.
const paymentEventColumns = `id, type, api_version, live, account, object, object_kind, order_id, origin, state, reason, attempts, created_at, received_at, next_try, settled_at`

func scanPaymentEvent(row db.Row, more ...any) (payment.Row, error) {
	var r payment.Row
	var settled *time.Time
	err := row.Scan(append([]any{
		&r.ID, &r.Type, &r.APIVersion, &r.Live, &r.Account, &r.Object, &r.ObjectKind, &r.Order, &r.Origin, &r.State, &r.Reason, &r.Attempts,
		&r.Created, &r.ReceivedAt, &r.NextTry, &settled,
	}, more...)...)
	if settled != nil {
		r.SettledAt = *settled
	}
	if errors.Is(err, db.ErrNoRows) {
		err = licensing.ErrNotFound
	}
	return r, err
}

// erased is the condition that the buyer of an order o was erased: an erased person's pseudonym stands where the address stood.
const erased = `o.email LIKE '%` + account.Erased + `'`

// AddEvent implements [payment.Store]. The order is held, so that a buyer who is erased at this moment either is before, or finds the event.
// Of an event that is known it is left alone: whoever applies that holds the event first and then the order.
func (s *payments) AddEvent(ctx context.Context, r payment.Row) (bool, error) {
	about := [3]string{r.ID, r.ID, r.ID} // which is no id of what an order knows
	copy(about[:], r.About())
	n, err := s.db.Exec(ctx, `WITH o AS (SELECT id, email FROM orders
			WHERE (id = $8 OR session IN ($14, $15, $16) OR intent IN ($14, $15, $16) OR charge IN ($14, $15, $16))
				AND NOT EXISTS (SELECT 1 FROM payment_event known WHERE known.id = $1) FOR UPDATE)
		INSERT INTO payment_event (id, type, api_version, live, account, object, object_kind, order_id, origin, state, reason, attempts, created_at,
			received_at, next_try, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7, COALESCE((SELECT MIN(o.id) FROM o WHERE $8 = '' AND `+erased+`), $8), $9, 'pending', '', 0, $10, $11, $12,
			CASE WHEN EXISTS (SELECT 1 FROM o WHERE `+erased+`) THEN '{}' ELSE $13 END)
		ON CONFLICT (id) DO NOTHING`,
		r.ID, r.Type, r.APIVersion, r.Live, r.Account, r.Object, r.ObjectKind, r.Order, r.Origin, r.Created, r.ReceivedAt, r.NextTry, string(r.Raw), about[0], about[1], about[2])
	failpoint.Hit("event-row")
	return n == 1, err
}

// EventRow implements [payment.Store].
func (s *payments) EventRow(ctx context.Context, id string) (payment.Row, error) {
	var body string
	r, err := scanPaymentEvent(s.db.QueryRow(ctx, `SELECT `+paymentEventColumns+`, body FROM payment_event WHERE id = $1`, id), &body)
	r.Raw = []byte(body)
	return r, err
}

// EventRows implements [payment.Store]. The cursor is an event id; its row's place in the order is looked up.
func (s *payments) EventRows(ctx context.Context, state payment.State, page licensing.Page) (licensing.List[payment.Row], error) {
	limit := pageSize(page)
	list := new(narrowing).by("state =", string(state)).
		byWrapped("(received_at, id) < (SELECT c.received_at, c.id FROM payment_event c WHERE c.id =", page.Cursor, ")")
	sql, args := list.statement(`SELECT `+paymentEventColumns+` FROM payment_event`, "received_at DESC, id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, func(row db.Row) (payment.Row, error) { return scanPaymentEvent(row) })
	return cut(items, limit, func(r payment.Row) string { return r.ID }), err
}

// Settle implements [payment.Store].
func (s *payments) Settle(ctx context.Context, id string, from, to payment.State, reason string, at time.Time) (bool, error) {
	var settled *time.Time
	if to != payment.Pending {
		settled = &at
	}
	n, err := s.db.Exec(ctx, `UPDATE payment_event SET state = $3, reason = $4, settled_at = $5, next_try = $6 WHERE id = $1 AND state = $2`,
		id, string(from), string(to), reason, settled, at)
	return n == 1, err
}

// Defer implements [payment.Store].
func (s *payments) Defer(ctx context.Context, id, reason string, next time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE payment_event SET attempts = attempts + 1, reason = $2, next_try = $3 WHERE id = $1 AND state = 'pending'`, id, reason, next)
	return err
}

// DueEvents implements [payment.Store].
func (s *payments) DueEvents(ctx context.Context, before time.Time, limit int) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT id FROM payment_event WHERE state = 'pending' AND next_try <= $1 ORDER BY next_try, id LIMIT $2`, before, limit)
	return db.Collect(rows, err, func(row db.Row) (id string, err error) { return id, row.Scan(&id) })
}

// Backlog implements [payment.Store].
func (s *payments) Backlog(ctx context.Context) (payment.Backlog, error) {
	var b payment.Backlog
	var oldest *time.Time
	err := s.db.QueryRow(ctx, `SELECT (SELECT count(*) FROM payment_event WHERE state = 'pending'), (SELECT count(*) FROM payment_event WHERE state = 'parked'),
		(SELECT received_at FROM payment_event WHERE state = 'pending' ORDER BY received_at LIMIT 1)`).Scan(&b.Pending, &b.Parked, &oldest)
	if oldest != nil {
		b.Oldest = *oldest
	}
	return b, err
}

// Cursor implements [payment.Store].
func (s *payments) Cursor(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := s.db.QueryRow(ctx, `SELECT at FROM payment_cursor WHERE one = 1`).Scan(&at)
	if errors.Is(err, db.ErrNoRows) {
		return time.Time{}, nil
	}
	return at, err
}

// MoveCursor implements [payment.Store].
func (s *payments) MoveCursor(ctx context.Context, to time.Time) error {
	_, err := s.db.Exec(ctx, `INSERT INTO payment_cursor (one, at) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET at = $1 WHERE payment_cursor.at < $1`, to)
	return err
}
