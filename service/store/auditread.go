package store

import (
	"context"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/db"
)

func scanAudit(r db.Row, extra ...any) (a audit.Row, err error) {
	var leaf []byte
	dest := append([]any{&a.ID, &a.At, &a.Actor, &a.Request, &a.Operation, &a.Action, &a.Target, &a.Product, &a.Reason, &a.Detail, &leaf}, extra...)
	if err := r.Scan(dest...); err != nil {
		return a, err
	}
	copy(a.Leaf[:], leaf) // a leaf of another length agrees with nothing
	return a, nil
}

// PlacedAfter implements [audit.Reader].
func (s *audits) PlacedAfter(ctx context.Context, num int64, limit int) ([]audit.Placed, error) {
	rows, err := s.db.Query(ctx, `SELECT q.num, q.audit_id FROM audit_seq q WHERE q.num > $1 ORDER BY q.num LIMIT $2`, num, limit)
	placed, err := db.Collect(rows, err, func(r db.Row) (p audit.Placed, err error) {
		err = r.Scan(&p.Num, &p.ID)
		return p, err
	})
	if err != nil || len(placed) == 0 {
		return nil, err
	}
	rows, err = s.db.Query(ctx, `SELECT `+auditColumns+` FROM audit_seq q JOIN audit a ON a.id = q.audit_id
		WHERE q.num > $1 AND q.num <= $2`, num, placed[len(placed)-1].Num)
	found, err := db.Collect(rows, err, func(r db.Row) (audit.Row, error) { return scanAudit(r) })
	if err != nil {
		return nil, err
	}
	byID := make(map[string]audit.Row, len(found))
	for _, r := range found {
		byID[r.ID] = r
	}
	for i := range placed {
		placed[i].Row, placed[i].Found = byID[placed[i].ID], byID[placed[i].ID].ID != ""
	}
	return placed, nil
}

// CheckpointsAfter implements [audit.Reader].
func (s *audits) CheckpointsAfter(ctx context.Context, size int64, limit int) ([]audit.Checkpoint, error) {
	rows, err := s.db.Query(ctx, `SELECT size, note, at FROM audit_checkpoint WHERE size > $1 ORDER BY size LIMIT $2`, size, limit)
	return db.Collect(rows, err, func(r db.Row) (c audit.Checkpoint, err error) {
		err = r.Scan(&c.Size, &c.Note, &c.At)
		return c, err
	})
}

// Strays implements [audit.Reader].
func (s *audits) Strays(ctx context.Context, limit int) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT a.id FROM audit a LEFT JOIN audit_seq q ON q.audit_id = a.id LEFT JOIN audit_pending p ON p.audit_id = a.id
		WHERE q.num IS NULL AND p.audit_id IS NULL ORDER BY a.id LIMIT $1`, limit)
	return db.Collect(rows, err, func(r db.Row) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	})
}

// WaitingRows implements [audit.Reader].
func (s *audits) WaitingRows(ctx context.Context, limit int) ([]audit.Row, error) {
	rows, err := s.db.Query(ctx, `SELECT `+auditColumns+` FROM audit_pending p JOIN audit a ON a.id = p.audit_id ORDER BY p.audit_id LIMIT $1`, limit)
	return db.Collect(rows, err, func(r db.Row) (audit.Row, error) { return scanAudit(r) })
}

// ListAudit implements [audit.Store]. The newest come first.
func (s *audits) ListAudit(ctx context.Context, f audit.Filter, page licensing.Page) (licensing.List[audit.Entry], error) {
	limit := pageSize(page)
	// Ids grow with time, so a span of time is a span of ids, which the list walks in order; the instants decide at its ends.
	list := new(narrowing).by("a.id <", page.Cursor).by("a.target =", f.Target).by("a.actor =", f.Actor).by("a.action =", f.Action).by("a.product =", f.Product)
	if !f.Since.IsZero() {
		list.that("a.at >=", f.Since, "").that("a.id >= (SELECT f.id FROM audit f WHERE f.at >=", f.Since, "ORDER BY f.at, f.id LIMIT 1)")
	}
	if !f.Until.IsZero() {
		list.that("a.at <", f.Until, "").that("a.id <= (SELECT u.id FROM audit u WHERE u.at <", f.Until, "ORDER BY u.at DESC, u.id DESC LIMIT 1)")
	}
	sql, args := list.statement(`SELECT `+auditColumns+`, q.num FROM audit a LEFT JOIN audit_seq q ON q.audit_id = a.id`, "a.id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, func(r db.Row) (e audit.Entry, err error) {
		e.Row, err = scanAudit(r, &e.Num)
		return e, err
	})
	return cut(items, limit, func(e audit.Entry) string { return e.ID }), err
}
