package store

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
)

var _ access.History = (*accesses)(nil)

// History returns the reader of what happened to a license.
func (s *Store) History() access.History { return &accesses{s} }

// Records implements [access.History]. Ids of every table are a prefix of three letters and a part that grows with time, so one key cuts all
// of them: a page is what lies before its cursor and, for an owner, behind the transfer by which the license became theirs.
func (s *accesses) Records(ctx context.Context, reach license.Reach, id string, page licensing.Page) (licensing.List[access.Record], error) {
	limit := pageSize(page)
	before := page.Cursor
	if before == "" {
		before = "~" // behind every digit
	}
	since := ""
	if reach.Owner != "" {
		since = `(SELECT substr(MAX(t.id), 5) FROM license_transfer t WHERE t.license_id = $1)`
	}
	var found []string
	var out []access.Record
	ask := func(source, prefix, column, columns, from, where string) db.Question {
		sql := `SELECT ` + column + `, ` + columns + ` FROM ` + from + ` WHERE ` + where + ` AND ` + column + ` < '` + prefix + `' || $2`
		if since != "" {
			sql += ` AND ` + column + ` >= '` + prefix + `' || COALESCE(` + since + `, '')`
		}
		return db.Question{SQL: sql + ` ORDER BY ` + column + ` DESC LIMIT $3`, Args: []any{id, before, limit + 1}, Each: func(row db.Row) error {
			r := access.Record{Source: source}
			var key string
			var last *time.Time
			err := row.Scan(&key, &r.At, &r.Kind, &r.By, &r.Target, &r.Name, &r.Reason, &r.Text, &r.Detail, &r.Count, &r.Sum, &last)
			if err == nil {
				r.Key, r.Last = key[len(prefix):], instant(last)
				out = append(out, r)
			}
			return err
		}}
	}
	const trail, none = `a.at, a.action, a.actor, a.target`, `, 0, 0, CAST(NULL AS timestamptz)`
	err := s.db.Ask(ctx, reached(reach, id, &found),
		ask("audit", "aud_", "a.id", trail+`, '', a.reason, '', a.detail`+none, `audit a`, `a.target = $1`),
		ask("audit", "aud_", "a.id", trail+`, d.name, a.reason, '', a.detail`+none, `activation d JOIN audit a ON a.target = d.id`, `d.license_id = $1`),
		ask("audit", "aud_", "a.id", trail+`, '', a.reason, '', a.detail`+none, `transfer_request q JOIN audit a ON a.target = q.id`, `q.license_id = $1`),
		ask("order", "oev_", "e.id", `e.at, e.kind, e.actor, e.order_id, '', '', e.detail, ''`+none, `order_grant g JOIN order_event e ON e.order_id = g.order_id`, `g.object_id = $1`),
		ask("order", "oev_", "e.id", `e.at, e.kind, e.actor, e.order_id, '', '', e.detail, ''`+none, `order_renewal g JOIN order_event e ON e.order_id = g.order_id`, `g.license_id = $1`),
		ask("mail", "ntc_", "n.id", `n.created_at, n.template, 'system:mail', n.subject, '', n.last_error, n.state, ''`+none, `notice n`,
			`n.subject IN (SELECT $1 UNION ALL SELECT g.order_id FROM order_grant g WHERE g.object_id = $1 UNION ALL SELECT w.order_id FROM order_renewal w WHERE w.license_id = $1)`),
		ask("usage", "src_", "s.id", `s.created_at, 'reported', CASE WHEN s.holder LIKE 'act%' THEN 'device:' WHEN s.holder LIKE 'key%' THEN 'machine:' ELSE 'holder:' END || s.holder, s.carrier, '', '', '', '', COALESCE(m.last_seq, 0), COALESCE(m.events, 0), m.last_at`,
			`usage_source s LEFT JOIN usage_mark m ON m.source = s.id`, `s.carrier = $1`))
	if err == nil && len(found) == 0 {
		err = licensing.ErrNotFound
	}
	if err != nil {
		return licensing.List[access.Record]{}, err
	}
	return access.Merged(out, limit), nil
}
