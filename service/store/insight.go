package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/service/db"
)

// insights implements [insight.Store].
type insights struct{ *Store }

var _ insight.Store = (*insights)(nil)

// Insight returns the counter of the overview.
func (s *Store) Insight() insight.Store { return &insights{s} }

// lately counts the rows of a table by the column of an index, since $1 (an hour ago), $2 (a day) and $3 (thirty days).
func lately(table, column string) string {
	var parts []string
	for n := range 3 {
		parts = append(parts, fmt.Sprintf("(SELECT count(*) FROM %s WHERE %s >= $%d)", table, column, n+1))
	}
	return strings.Join(parts, ", ")
}

func latelyDest(l *insight.Lately) []any { return []any{&l.Hour, &l.Day, &l.Month} }

// Counts implements [insight.Store], in one statement.
func (s *insights) Counts(ctx context.Context, now time.Time) (c insight.Counts, err error) {
	var oldest, eventOldest, eventLast, mailOldest, unnumbered *time.Time
	var job *string
	dest := []any{}
	for _, l := range []*insight.Lately{&c.Customers, &c.Orders, &c.Paid, &c.Licenses, &c.Keys, &c.Activations, &c.Downloads} {
		dest = append(dest, latelyDest(l)...)
	}
	dest = append(dest, &c.Complete, &c.OnSale, &c.Products, &c.Releases, &c.Parked, &c.Held, &oldest, &c.EventsPending, &c.EventsParked, &eventOldest, &eventLast,
		&c.MailPending, &mailOldest, &c.MailFailed, &c.JobsFailing, &c.JobsDiscarded, &job, &unnumbered)
	day := now.Add(-24 * time.Hour)
	err = s.db.QueryRow(ctx, `SELECT `+lately("(SELECT created_at FROM customer WHERE role = '') c", "created_at")+`, `+lately("orders", "created_at")+`, `+lately("orders", "paid_at")+`, `+
		lately("license", "created_at")+`, `+lately("api_key", "created_at")+`, `+lately("activation", "activated_at")+`, `+lately("download_link", "begun_at")+`,
		(SELECT count(*) FROM download_link WHERE begun_at >= $2 AND state = 'confirmed'),
		(SELECT count(*) FROM product p WHERE p.state = 'active' AND EXISTS (SELECT 1 FROM plan l WHERE l.product_id = p.id AND l.state = 'active'
			AND EXISTS (SELECT 1 FROM price r WHERE r.plan_id = l.id AND r.state = 'approved' AND r.archived_at IS NULL AND r.effective_from <= $4))),
		(SELECT count(*) FROM product WHERE state IN ('draft', 'active', 'sunset')),
		(SELECT count(*) FROM download_release WHERE access IN ('license', 'free') AND state = 'published'),
		(SELECT count(*) FROM orders WHERE state = 'parked'),
		(SELECT count(*) FROM orders WHERE state = 'paid'),
		(SELECT min(paid_at) FROM orders WHERE state = 'paid'),
		(SELECT count(*) FROM payment_event WHERE state = 'pending'),
		(SELECT count(*) FROM payment_event WHERE state = 'parked'),
		(SELECT min(received_at) FROM payment_event WHERE state = 'pending'),
		(SELECT max(received_at) FROM payment_event),
		(SELECT count(*) FROM notice WHERE state = 'pending'),
		(SELECT min(created_at) FROM notice WHERE state = 'pending'),
		(SELECT count(*) FROM notice WHERE state = 'failed'),
		(SELECT count(*) FROM river_job WHERE state = 'retryable'),
		(SELECT count(*) FROM river_job WHERE state = 'discarded' AND finalized_at IS NOT NULL AND CAST(finalized_at AS text) >= $5),
		(SELECT CAST(min(scheduled_at) AS text) FROM river_job WHERE state = 'available'),
		(SELECT a.at FROM audit_pending p JOIN audit a ON a.id = p.audit_id ORDER BY p.audit_id LIMIT 1)`,
		now.Add(-time.Hour), day, now.Add(-30*24*time.Hour), now, day.UTC().Format(jobTime)).Scan(dest...)
	c.Oldest, c.EventOldest, c.EventLast, c.MailOldest, c.Unnumbered = instant(oldest), instant(eventOldest), instant(eventLast), instant(mailOldest), instant(unnumbered)
	if err == nil && job != nil {
		text, _, _ := strings.Cut(*job, "+") // PostgreSQL adds the offset, which is UTC's
		c.JobOldest, err = time.Parse(jobTime, text)
	}
	return c, err
}

// jobTime is how instants of the job table read as text: the queue's own form on SQLite, and the same on PostgreSQL.
const jobTime = "2006-01-02 15:04:05"

// Support implements [insight.Store].
func (s *insights) Support(ctx context.Context, now time.Time) (w insight.Waiting, err error) {
	var longest *time.Time
	err = s.db.QueryRow(ctx, `SELECT `+lately("ticket", "created_at")+`, (SELECT count(*) FROM ticket WHERE waiting_since IS NOT NULL), (SELECT min(waiting_since) FROM ticket WHERE waiting_since IS NOT NULL)`,
		now.Add(-time.Hour), now.Add(-24*time.Hour), now.Add(-30*24*time.Hour)).Scan(append(latelyDest(&w.Tickets), &w.Open, &longest)...)
	w.Longest = instant(longest)
	return w, err
}

// Sales implements [insight.Store].
func (s *insights) Sales(ctx context.Context, since time.Time) ([]insight.Sale, error) {
	rows, err := s.db.Query(ctx, `SELECT substr(CAST(paid_at AS text), 1, 10) AS day, env, currency, count(*), CAST(SUM(captured) AS bigint), CAST(SUM(refunded) AS bigint)
		FROM orders WHERE paid_at >= $1 GROUP BY day, env, currency ORDER BY day, env, currency`, since)
	return db.Collect(rows, err, func(row db.Row) (d insight.Sale, err error) {
		err = row.Scan(&d.Day, &d.Env, &d.Currency, &d.Orders, &d.Gross, &d.Refunded)
		return d, err
	})
}
