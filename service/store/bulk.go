package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// runs implements [bulk.Store] and [bulk.Results].
type runs struct{ *Store }

var (
	_ bulk.Store   = (*runs)(nil)
	_ bulk.Results = (*runs)(nil)
)

// Runs returns the store of work on many licenses.
func (s *Store) Runs() *runs { return &runs{s} }

const runColumns = `id, about, kind, state, product_id, policy_id, env, actor, reason, total, position, done, unchanged, failed, created_at, updated_at, ended_at, keys_taken_at`

func scanRun(row db.Row) (r bulk.Run, err error) {
	var ended, keys *time.Time
	err = row.Scan(&r.ID, &r.About, &r.Kind, &r.State, &r.ProductID, &r.PolicyID, &r.Env, &r.Actor, &r.Reason, &r.Total, &r.Position, &r.Done, &r.Unchanged, &r.Failed,
		&r.CreatedAt, &r.UpdatedAt, &ended, &keys)
	if errors.Is(err, db.ErrNoRows) {
		err = licensing.ErrNotFound
	}
	r.EndedAt, r.KeysAt = instant(ended), instant(keys)
	return r, err
}

// AddRun implements [bulk.Store].
func (s *runs) AddRun(ctx context.Context, r bulk.Run, input []byte) error {
	_, err := s.db.Exec(ctx, `INSERT INTO bulk_run (id, about, kind, state, product_id, policy_id, env, actor, reason, input, total, position, done, unchanged, failed, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, 0, 0, $12, $12)`,
		r.ID, string(r.About), r.Kind, r.State, r.ProductID, r.PolicyID, r.Env, r.Actor, r.Reason, input, r.Total, r.CreatedAt)
	return err
}

// Run implements [bulk.Store].
func (s *runs) Run(ctx context.Context, id string) (bulk.Run, error) {
	return scanRun(s.db.QueryRow(ctx, `SELECT `+runColumns+` FROM bulk_run WHERE id = $1`, id))
}

// HoldRun implements [bulk.Store].
func (s *runs) HoldRun(ctx context.Context, id string) (bulk.Run, error) {
	return scanRun(s.db.QueryRow(ctx, `SELECT `+runColumns+` FROM bulk_run WHERE id = $1 FOR UPDATE`, id))
}

// Input implements [bulk.Store].
func (s *runs) Input(ctx context.Context, id string) (input []byte, err error) {
	err = s.db.QueryRow(ctx, `SELECT input FROM bulk_run WHERE id = $1`, id).Scan(&input)
	return input, err
}

// ListRuns implements [bulk.Store]: newest first.
func (s *runs) ListRuns(ctx context.Context, f bulk.Filter, page licensing.Page) (licensing.List[bulk.Run], error) {
	limit := pageSize(page)
	sql, args := new(narrowing).by("about =", string(f.About)).by("env =", string(f.Env)).by("kind =", string(f.Kind)).by("state =", string(f.State)).by("product_id =", f.Product).by("id <", page.Cursor).
		statement(`SELECT `+runColumns+` FROM bulk_run`, "id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanRun)
	if err != nil {
		return licensing.List[bulk.Run]{}, err
	}
	return cut(items, limit, func(r bulk.Run) string { return r.ID }), nil
}

// Advance implements [bulk.Store].
func (s *runs) Advance(ctx context.Context, id string, rows []bulk.Row, at time.Time) error {
	values, counts := make([][]any, len(rows)), map[bulk.Outcome]int64{}
	for i, r := range rows {
		values[i] = []any{id, r.Num, string(r.Outcome), r.License, r.Key, r.Reference, r.Problem}
		counts[r.Outcome]++
	}
	_, err := s.db.Batch(ctx, []db.Statement{
		db.Insert("bulk_row", []string{"run_id", "num", "outcome", "license_id", "key_id", "reference", "problem"}, values),
		{SQL: `UPDATE bulk_run SET position = position + $2, done = done + $3, unchanged = unchanged + $4, failed = failed + $5, updated_at = $6 WHERE id = $1`,
			Args: []any{id, int64(len(rows)), counts[bulk.OutcomeDone], counts[bulk.OutcomeUnchanged], counts[bulk.OutcomeFailed], at}},
	})
	failpoint.Hit("bulk-rows")
	return err
}

// SetRun implements [bulk.Store].
func (s *runs) SetRun(ctx context.Context, id string, to bulk.State, at time.Time) error {
	var ended *time.Time
	if to != bulk.Running {
		ended = &at
	}
	_, err := s.db.Exec(ctx, `UPDATE bulk_run SET state = $2, updated_at = $3, ended_at = $4, input = CASE WHEN $2 = 'done' THEN NULL ELSE input END WHERE id = $1`, id, to, at, ended)
	return err
}

// Stalled implements [bulk.Store].
func (s *runs) Stalled(ctx context.Context, before time.Time, limit int) ([]bulk.Run, error) {
	rows, err := s.db.Query(ctx, `SELECT `+runColumns+` FROM bulk_run WHERE state = 'running' AND updated_at < $1 ORDER BY updated_at LIMIT $2`, before, limit)
	return db.Collect(rows, err, scanRun)
}

// Rows implements [bulk.Results].
func (s *runs) Rows(ctx context.Context, run string, outcome bulk.Outcome, page licensing.Page) (licensing.List[bulk.Row], error) {
	limit := pageSize(page)
	after, _ := strconv.ParseInt(page.Cursor, 10, 64) // cursors are ours, and sealed
	sql, args := new(narrowing).by("run_id =", run).by("outcome =", string(outcome)).that("num >", after, "").
		statement(`SELECT num, outcome, license_id, key_id, reference, problem FROM bulk_row`, "num", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, func(r db.Row) (row bulk.Row, err error) {
		return row, r.Scan(&row.Num, &row.Outcome, &row.License, &row.Key, &row.Reference, &row.Problem)
	})
	if err != nil {
		return licensing.List[bulk.Row]{}, err
	}
	return cut(items, limit, func(r bulk.Row) string { return strconv.FormatInt(r.Num, 10) }), nil
}

// Issued implements [bulk.Results].
func (s *runs) Issued(ctx context.Context, run string, after int64, limit int) ([]bulk.Issued, error) {
	rows, err := s.db.Query(ctx, `SELECT b.num, b.reference, l.id, l.owner, COALESCE(c.email, ''), l.licensee, l.key_sealed, l.valid_until
		FROM bulk_row b JOIN license l ON l.id = b.license_id LEFT JOIN customer c ON c.id = l.owner
		WHERE b.run_id = $1 AND b.outcome = 'done' AND b.num > $2 ORDER BY b.num LIMIT $3`, run, after, limit)
	return db.Collect(rows, err, func(r db.Row) (i bulk.Issued, err error) {
		var end *time.Time
		err = r.Scan(&i.Num, &i.Reference, &i.License, &i.Owner, &i.Email, &i.Licensee, &i.KeySealed, &end)
		i.ValidUntil = instant(end)
		return i, err
	})
}

// TakeKeys implements [bulk.Results].
func (s *runs) TakeKeys(ctx context.Context, run string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE bulk_run SET keys_taken_at = $2 WHERE id = $1 AND keys_taken_at IS NULL`, run, at)
	return n > 0, err
}

// Find implements [bulk.Results].
func (s *runs) Find(ctx context.Context, f license.Filter, limit int) ([]string, error) {
	sql, args := narrowLicenses(f).statement(`SELECT l.id FROM license l`, "l.id", limit)
	rows, err := s.db.Query(ctx, sql, args...)
	return db.Collect(rows, err, func(r db.Row) (id string, err error) { return id, r.Scan(&id) })
}

// Count implements [bulk.Results].
func (s *runs) Count(ctx context.Context, f license.Filter) (n int64, err error) {
	list := narrowLicenses(f)
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM license l`+list.where(), list.args...).Scan(&n)
	return n, err
}

// LicensedProduct implements [bulk.Products].
func (s *runs) LicensedProduct(ctx context.Context, id string) (p bulk.Product, err error) {
	err = s.db.QueryRow(ctx, `SELECT id, slug, key_prefix FROM product WHERE id = $1`, id).Scan(&p.ID, &p.Slug, &p.KeyPrefix)
	if errors.Is(err, db.ErrNoRows) {
		err = licensing.ErrNotFound
	}
	return p, err
}
