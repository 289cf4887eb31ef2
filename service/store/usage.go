package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// usages implements [usage.Store].
type usages struct{ *Store }

var (
	_ usage.Store  = (*usages)(nil)
	_ usage.Meters = (*usages)(nil)
	_ usage.Reads  = (*usages)(nil)
)

// Usage returns the store of usage.
func (s *Store) Usage() usage.Store { return &usages{s} }

// Meters returns the store of meters.
func (s *Store) Meters() usage.Meters { return &usages{s} }

// UsageReads answers what was counted.
func (s *Store) UsageReads() usage.Reads { return &usages{s} }

// sources asks for sources s with how far they have come: those with nothing counted have no mark.
const sources = `SELECT s.id, s.holder, s.nonce, s.carrier, s.product_id, s.env, COALESCE(m.last_seq, 0), COALESCE(m.last_hash, ''), m.last_at, s.forked_at, s.created_at
	FROM usage_source s LEFT JOIN usage_mark m ON m.source = s.id`

func scanSource(row db.Row) (usage.Source, error) {
	var s usage.Source
	var last, forked *time.Time
	err := row.Scan(&s.ID, &s.Holder, &s.Nonce, &s.Carrier, &s.ProductID, &s.Env, &s.Seq, &s.Hash, &last, &forked, &s.CreatedAt)
	s.At, s.ForkedAt = instant(last), instant(forked)
	return s, missing(err)
}

// OpenSource implements [usage.Store]. What it finds, it does not write.
func (s *usages) OpenSource(ctx context.Context, src usage.Source) (usage.Source, error) {
	found := func() (usage.Source, error) {
		return scanSource(s.db.QueryRow(ctx, sources+` WHERE s.holder = $1 AND s.nonce = $2`, src.Holder, src.Nonce))
	}
	there, err := found()
	failpoint.Hit("usage-source-read")
	if !errors.Is(err, licensing.ErrNotFound) {
		return there, err
	}
	since := src.CreatedAt.Add(-usage.SourcesWithin)
	if _, err := s.db.Exec(ctx, `INSERT INTO usage_source (id, holder, nonce, carrier, product_id, env, created_at)
		SELECT $1, $2, $3, c.id, c.product_id, c.env, COALESCE($5, c.created_at) FROM (SELECT id, product_id, env, created_at FROM license WHERE id = $4
			UNION ALL SELECT id, product_id, env, created_at FROM api_key WHERE id = $4) c
		WHERE NOT EXISTS (`+manySources+`) ON CONFLICT (holder, nonce) DO NOTHING`, src.ID, src.Holder, src.Nonce, src.Carrier, src.CreatedAt, since, usage.MostSources-1); err != nil {
		return src, err
	}
	failpoint.Hit("usage-source-made")
	if there, err = found(); !errors.Is(err, licensing.ErrNotFound) {
		return there, err
	}
	var oldest time.Time
	switch err := s.db.QueryRow(ctx, strings.NewReplacer("$2", "$1", "$6", "$2", "$7", "$3").Replace(manySources), src.Holder, since, usage.MostSources-1).Scan(&oldest); {
	case errors.Is(err, db.ErrNoRows): // no such license or key
		return src, licensing.ErrNotFound
	case err != nil:
		return src, err
	}
	return src, usage.ErrSources.After(oldest.Sub(since))
}

// manySources finds when a holder made the source that must be a day old before there is room for another; nothing where there is room.
const manySources = `SELECT o.created_at FROM usage_source o WHERE o.holder = $2 AND o.created_at > $6 ORDER BY o.created_at DESC LIMIT 1 OFFSET $7`

// PurgeSources implements [usage.Store]. The mark that a first batch makes at the same moment refers to its source, so that either finds the other.
func (s *usages) PurgeSources(ctx context.Context, before time.Time) (purged int64, err error) {
	for {
		n, err := s.db.Exec(ctx, `DELETE FROM usage_source WHERE id IN (SELECT s.id FROM usage_source s WHERE s.created_at < $1
			AND NOT EXISTS (SELECT 1 FROM usage_mark m WHERE m.source = s.id) ORDER BY s.created_at LIMIT $2)
			AND NOT EXISTS (SELECT 1 FROM usage_mark m WHERE m.source = usage_source.id)`, before, purgeMost)
		if purged += n; err != nil || n < purgeMost {
			return purged, err
		}
	}
}

// Source implements [usage.Store].
func (s *usages) Source(ctx context.Context, id string) (usage.Source, error) {
	src, err := scanSource(s.db.QueryRow(ctx, sources+` WHERE s.id = $1`, id))
	failpoint.Hit("usage-source-read")
	return src, err
}

// Advance implements [usage.Store]. The mark that it locks, or is the first to make, is what makes batches of one source follow each other.
func (s *usages) Advance(ctx context.Context, b usage.Batch) (bool, error) {
	sql := `UPDATE usage_mark SET last_seq = $4, last_hash = $5, last_at = $6, events = events + $7, total = total + $8
		WHERE source = $1 AND last_seq = $3 AND EXISTS (SELECT 1 FROM usage_source s WHERE s.id = $1 AND s.holder = $2)`
	if b.From == 0 {
		sql = `INSERT INTO usage_mark AS m (source, last_seq, last_hash, last_at, events, total) SELECT s.id, $4, $5, $6, $7, $8 FROM usage_source s WHERE s.id = $1 AND s.holder = $2
			ON CONFLICT (source) DO UPDATE SET last_seq = EXCLUDED.last_seq, last_hash = EXCLUDED.last_hash, last_at = EXCLUDED.last_at, events = m.events + EXCLUDED.events, total = m.total + EXCLUDED.total
			WHERE m.last_seq = $3`
	}
	if done, err := ofSource(s.db.QueryRow(ctx, sql+` RETURNING events, total`, b.Source.ID, b.Source.Holder, b.From, b.Seq, b.Hash, b.At, b.Events, b.Total)); err != nil || !done {
		return false, err
	}
	failpoint.Hit("usage-source-row")
	if b.Seq > b.From+1 {
		_, err := s.db.Exec(ctx, `INSERT INTO usage_gap (source_id, from_seq, to_seq, at) VALUES ($1, $2, $3, $4)`, b.Source.ID, b.From+1, b.Seq-1, b.At)
		return true, err
	}
	return true, nil
}

// ofSource reads what a source has come to, and reports whether there was a row.
func ofSource(row db.Row) (bool, error) {
	var events, total int64
	err := row.Scan(&events, &total)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	}
	if err == nil && max(events, total) > usage.MostOfSource {
		err = usage.ErrTooMuch
	}
	return err == nil, err
}

// usageColumns are what sums are made of, after their key.
const usageColumns = `events, total, peak, late, last_at, last_id, last_value`

// chunks are the sizes of the statements that add sums: few statements, each prepared once, and few of them a batch.
var chunks = [...]int{64, 16, 4, 1}

// upsert adds rows of a table of sums whose key has the given columns. What where does not allow to grow stays as it is, and is not among the
// rows that the statement says it wrote.
func upsert(table, key, where string, rows [][]any) []db.Statement {
	var out []db.Statement
	for _, size := range chunks {
		for ; len(rows) >= size; rows = rows[size:] {
			args := make([]any, 0, size*len(rows[0]))
			for _, row := range rows[:size] {
				args = append(args, row...)
			}
			out = append(out, db.Statement{SQL: `INSERT INTO ` + table + ` AS t (` + key + `, ` + usageColumns + `) VALUES ` + tuples(size, len(rows[0])) + `
				ON CONFLICT (` + key + `) DO UPDATE SET events = t.events + EXCLUDED.events, total = t.total + EXCLUDED.total, late = t.late + EXCLUDED.late,
					peak = CASE WHEN EXCLUDED.peak > t.peak THEN EXCLUDED.peak ELSE t.peak END,
					last_at = CASE WHEN ` + newer + ` THEN EXCLUDED.last_at ELSE t.last_at END,
					last_id = CASE WHEN ` + newer + ` THEN EXCLUDED.last_id ELSE t.last_id END,
					last_value = CASE WHEN ` + newer + ` THEN EXCLUDED.last_value ELSE t.last_value END ` + where, Args: args})
		}
	}
	return out
}

const newer = `EXCLUDED.last_at IS NOT NULL AND (t.last_at IS NULL OR EXCLUDED.last_at > t.last_at OR EXCLUDED.last_at = t.last_at AND EXCLUDED.last_id > t.last_id)`

// tuples are the places of rows of parameters: ($1, $2), ($3, $4).
func tuples(rows, columns int) string {
	var b strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	return b.String() + ")"
}

// Add implements [usage.Store].
func (s *usages) Add(ctx context.Context, b usage.Batch) error {
	statements, sums := added(&b.Tally)
	for _, l := range b.Lines {
		statements = append(statements, db.Statement{SQL: `INSERT INTO usage_line AS t (carrier, meter, day, source, month, first_seq, last_seq, batches, events, total, late)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (carrier, meter, day, source, month) DO UPDATE SET last_seq = CASE WHEN EXCLUDED.last_seq > t.last_seq THEN EXCLUDED.last_seq ELSE t.last_seq END,
				batches = t.batches + EXCLUDED.batches, events = t.events + EXCLUDED.events, total = t.total + EXCLUDED.total, late = t.late + EXCLUDED.late`,
			Args: []any{l.Carrier, l.Meter, l.Day, l.Source, l.Month, l.First, l.Last, l.Batches, l.Events, l.Total, l.Late}})
	}
	wrote, err := s.db.Batch(ctx, statements)
	failpoint.Hit("usage-batch-row")
	if err != nil {
		return err
	}
	rows := int64(0)
	for _, n := range wrote[:sums] {
		rows += n
	}
	if rows < int64(len(b.Rows)+len(b.Rolled)) {
		return usage.ErrTooMuch
	}
	return nil
}

// bounded keeps the sums of a license or key within what is counted of it. Those of a product, whose scope has a slash, are not bounded: who
// reports too much keeps nobody else from being counted. What is of one subject is part of what is bounded.
var bounded = fmt.Sprintf(`WHERE t.scope LIKE '%%/%%' OR t.events <= %[1]d - EXCLUDED.events AND t.total <= %[1]d - EXCLUDED.total`, int64(usage.MostOfMonth))

// added are the statements that add sums and different values, of which the first ones, so many, add sums.
func added(t *usage.Tally) (out []db.Statement, sums int) {
	value := func(v *usage.Value) []any {
		return []any{v.Events, v.Total, v.Max, v.Late, nullable(v.LastAt), v.LastID, v.Last}
	}
	rows, rolled, members := make([][]any, len(t.Rows)), make([][]any, len(t.Rolled)), make([][]any, len(t.Members))
	for i, r := range t.Rows {
		rows[i] = append([]any{r.Scope, r.Meter, string(r.Span), r.Subject, r.Group, r.Starts}, value(&r.Value)...)
	}
	for i, r := range t.Rolled {
		rolled[i] = append([]any{r.Scope, r.Meter, string(r.Span), r.Group, r.Starts}, value(&r.Value)...)
	}
	for i := range t.Members {
		m := &t.Members[i]
		members[i] = []any{m.Scope, m.Meter, string(m.Span), m.Subject, m.Group, m.Starts, m.Digest[:]}
	}
	out = append(upsert("usage_total", "carrier, meter, span, subject, grp, starts_at", "", rows), upsert("usage_rollup", "scope, meter, span, grp, starts_at", bounded, rolled)...)
	sums = len(out)
	for _, size := range chunks {
		for ; len(members) >= size; members = members[size:] {
			args := make([]any, 0, size*7)
			for _, m := range members[:size] {
				args = append(args, m...)
			}
			out = append(out, db.Statement{SQL: `INSERT INTO usage_member (scope, meter, span, subject, grp, starts_at, member) VALUES ` + tuples(size, 7) + ` ON CONFLICT DO NOTHING`, Args: args})
		}
	}
	return out, sums
}

// Fresh implements [usage.Store].
func (s *usages) Fresh(ctx context.Context, digests [][]byte) ([]bool, error) {
	statements := make([]db.Statement, len(digests))
	for i, d := range digests {
		statements[i] = db.Statement{SQL: `INSERT INTO usage_event (digest) VALUES ($1) ON CONFLICT DO NOTHING`, Args: []any{d}}
	}
	rows, err := s.db.Batch(ctx, statements)
	if err != nil {
		return nil, err
	}
	fresh := make([]bool, len(rows))
	for i, n := range rows {
		fresh[i] = n == 1
	}
	failpoint.Hit("usage-event-row")
	return fresh, nil
}

// Tick implements [usage.Store].
func (s *usages) Tick(ctx context.Context, source string, t *usage.Tally, at time.Time) error {
	_, err := ofSource(s.db.QueryRow(ctx, `INSERT INTO usage_mark AS m (source, last_seq, last_hash, last_at, events, total) VALUES ($1, 1, '', $2, $3, $4)
		ON CONFLICT (source) DO UPDATE SET last_seq = m.last_seq + 1, last_at = EXCLUDED.last_at, events = m.events + EXCLUDED.events, total = m.total + EXCLUDED.total
		RETURNING events, total`, source, at, t.Events, t.Total))
	failpoint.Hit("usage-source-row")
	return err
}

// HandOver implements [usage.Store].
func (s *usages) HandOver(ctx context.Context, id, license, to string) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE usage_source SET holder = $3 WHERE id = $1 AND carrier = $2
		AND NOT EXISTS (SELECT 1 FROM activation a WHERE a.id = usage_source.holder AND a.state = 'held')
		AND EXISTS (SELECT 1 FROM activation a WHERE a.id = $3 AND a.license_id = $2 AND a.state = 'held')`, id, license, to)
	return n == 1, err
}

// Flag implements [usage.Store].
func (s *usages) Flag(ctx context.Context, id string, at time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE usage_source SET forked_at = $2 WHERE id = $1 AND forked_at IS NULL`, id, at)
	return err
}
