package store

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/db"
)

var _ usage.Accounts = (*usages)(nil)

// UsageAccounts returns the store of corrections and accounts.
func (s *Store) UsageAccounts() usage.Accounts { return &usages{s} }

const correctionColumns = `c.id, c.carrier, c.meter, c.subject, c.grp, c.starts_at, c.events, c.total, c.reason, c.actor, c.at`

func scanCorrection(row db.Row) (usage.Correction, error) {
	var c usage.Correction
	err := row.Scan(&c.ID, &c.Carrier, &c.Meter, &c.Subject, &c.Group, &c.Starts, &c.Events, &c.Total, &c.Reason, &c.Actor, &c.At)
	return c, missing(err)
}

// Correction implements [usage.Accounts].
func (s *usages) Correction(ctx context.Context, id string) (usage.Correction, error) {
	return scanCorrection(s.db.QueryRow(ctx, `SELECT `+correctionColumns+` FROM usage_correction c WHERE c.id = $1`, id))
}

// Correct implements [usage.Accounts]. The rows of the carrier are locked and checked by the statements that change them, in the order in
// which batches take them; if one has too little, the transaction has changed nothing that its caller keeps.
func (s *usages) Correct(ctx context.Context, c usage.Correction) (bool, error) {
	spans := []usage.Span{usage.Day, usage.Month, usage.Quarter} // as batches take them, by name
	var statements []db.Statement
	for _, span := range spans {
		statements = append(statements, db.Statement{SQL: `UPDATE usage_total SET events = events + $7, total = total + $8
			WHERE carrier = $1 AND meter = $2 AND span = $3 AND subject = $4 AND grp = $5 AND starts_at = $6 AND events + $7 >= 0 AND total + $8 >= 0`,
			Args: []any{c.Carrier, c.Meter, string(span), c.Subject, c.Group, span.Begin(c.Starts), c.Events, c.Total}})
	}
	groups := []string{usage.All}
	if c.Group != "" {
		groups = append(groups, c.Group)
	}
	for _, span := range spans {
		for _, group := range groups {
			statements = append(statements, db.Statement{SQL: `UPDATE usage_rollup SET events = events + $6, total = total + $7
				WHERE scope = $1 AND meter = $2 AND span = $3 AND grp = $4 AND starts_at = $5 AND events + $6 >= 0 AND total + $7 >= 0`,
				Args: []any{c.Carrier, c.Meter, string(span), group, span.Begin(c.Starts), c.Events, c.Total}})
		}
	}
	rows, err := s.db.Batch(ctx, statements)
	if err != nil {
		return false, err
	}
	for _, n := range rows {
		if n != 1 {
			return false, nil
		}
	}
	for _, span := range spans {
		if err := s.takeFromProduct(ctx, &c, span); err != nil {
			return false, err
		}
	}
	_, err = s.db.Exec(ctx, `INSERT INTO usage_correction (id, carrier, meter, subject, grp, starts_at, events, total, reason, actor, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, c.ID, c.Carrier, c.Meter, c.Subject, c.Group, c.Starts, c.Events, c.Total, c.Reason, c.Actor, c.At)
	return err == nil, err
}

// takeFromProduct takes a correction from the shards of its product, from each as much as it has: which of them counted it is not known,
// and all of them together have what the carrier has.
func (s *usages) takeFromProduct(ctx context.Context, c *usage.Correction, span usage.Span) error {
	sel := usage.Selection{Product: c.Product, Env: c.Env, Meter: c.Meter}
	_, n := selected(sel)
	n.that("span =", string(span), "").that("starts_at =", span.Begin(c.Starts), "")
	type shard struct {
		scope         string
		events, total int64
	}
	rows, err := s.db.Query(ctx, `SELECT scope, events, total FROM usage_rollup`+n.where()+` ORDER BY scope FOR UPDATE`, n.args...)
	shards, err := db.Collect(rows, err, func(r db.Row) (h shard, err error) {
		err = r.Scan(&h.scope, &h.events, &h.total)
		return h, err
	})
	if err != nil {
		return err
	}
	events, total := -c.Events, -c.Total
	var statements []db.Statement
	for _, h := range shards {
		e, t := min(h.events, events), min(h.total, total)
		if e == 0 && t == 0 {
			continue
		}
		events, total = events-e, total-t
		statements = append(statements, db.Statement{SQL: `UPDATE usage_rollup SET events = events - $5, total = total - $6 WHERE scope = $1 AND meter = $2 AND span = $3 AND grp = '*' AND starts_at = $4`,
			Args: []any{h.scope, c.Meter, string(span), span.Begin(c.Starts), e, t}})
	}
	_, err = s.db.Batch(ctx, statements)
	return err
}

// Account implements [usage.Accounts].
func (s *usages) Account(ctx context.Context, carrier, meter string, from, to time.Time, limit int) (usage.Account, error) {
	var a usage.Account
	err := s.db.Ask(ctx,
		db.Question{SQL: `SELECT CAST(COALESCE((SELECT SUM(events) FROM usage_line WHERE carrier = $1 AND meter = $2 AND day < $3), 0)
				+ COALESCE((SELECT SUM(events) FROM usage_correction WHERE carrier = $1 AND meter = $2 AND at < $3), 0) AS bigint),
			CAST(COALESCE((SELECT SUM(total) FROM usage_line WHERE carrier = $1 AND meter = $2 AND day < $3), 0)
				+ COALESCE((SELECT SUM(total) FROM usage_correction WHERE carrier = $1 AND meter = $2 AND at < $3), 0) AS bigint)`,
			Args: []any{carrier, meter, from}, Each: func(r db.Row) error { return r.Scan(&a.Events, &a.Total) }},
		db.Question{SQL: `SELECT day, month, source, first_seq, last_seq, batches, events, total, late FROM usage_line
			WHERE carrier = $1 AND meter = $2 AND day >= $3 AND day < $4 ORDER BY day, source, month LIMIT $5`, Args: []any{carrier, meter, from, to, limit},
			Each: db.Into(&a.Lines, func(r db.Row) (l usage.Line, err error) {
				err = r.Scan(&l.Day, &l.Month, &l.Source, &l.First, &l.Last, &l.Batches, &l.Events, &l.Total, &l.Late)
				return l, err
			})},
		db.Question{SQL: `SELECT ` + correctionColumns + ` FROM usage_correction c WHERE c.carrier = $1 AND c.meter = $2 AND c.at >= $3 AND c.at < $4 ORDER BY c.at, c.id LIMIT $5`,
			Args: []any{carrier, meter, from, to, limit}, Each: db.Into(&a.Corrections, scanCorrection)})
	return a, err
}
