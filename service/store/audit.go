package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/db"
)

type audits struct{ *Store }

var (
	_ audit.Writer = (*audits)(nil)
	_ audit.Log    = (*audits)(nil)
	_ audit.Reader = (*audits)(nil)
	_ audit.Store  = (*audits)(nil)
)

// Audit returns the audit trail.
func (s *Store) Audit() *audits { return &audits{s} }

// errNoUnit is a mistake in the caller: the trail is written inside the transaction of the change or not at all.
var errNoUnit = errors.New("store: an audit row outside a transaction")

const auditColumns = `a.id, a.at, a.actor, a.request, a.operation, a.action, a.target, a.product, a.reason, a.detail, a.leaf`

// InsertAudit implements [audit.Writer].
func (s *audits) InsertAudit(ctx context.Context, r audit.Row) error {
	u := unitFrom(ctx)
	if u == nil {
		return errNoUnit
	}
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `INSERT INTO audit (id, at, actor, request, operation, action, target, product, reason, detail, leaf)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			Args: []any{r.ID, r.At, r.Actor, r.Request, r.Operation, r.Action, r.Target, r.Product, r.Reason, r.Detail, r.Leaf[:]}},
		{SQL: `INSERT INTO audit_pending (audit_id) VALUES ($1)`, Args: []any{r.ID}},
	})
	if err != nil {
		return err
	}
	u.note(r.Target)
	return nil
}

// InsertAudits implements [audit.Writer].
func (s *audits) InsertAudits(ctx context.Context, rows []audit.Row, calls []*licensing.Call) error {
	u := unitFrom(ctx)
	if u == nil {
		return errNoUnit
	}
	if len(rows) == 0 {
		return nil
	}
	values, pending := make([][]any, len(rows)), make([][]any, len(rows))
	for i, r := range rows {
		values[i] = []any{r.ID, r.At, r.Actor, r.Request, r.Operation, r.Action, r.Target, r.Product, r.Reason, r.Detail, r.Leaf[:]}
		pending[i] = []any{r.ID}
	}
	if err := s.write(ctx,
		db.Insert("audit", []string{"id", "at", "actor", "request", "operation", "action", "target", "product", "reason", "detail", "leaf"}, values),
		db.Insert("audit_pending", []string{"audit_id"}, pending)); err != nil {
		return err
	}
	u.note(rows[0].Target)
	for i, call := range calls {
		u.noteFor(call, rows[i].Target)
	}
	return nil
}

// auditWhere returns the statements that write the row of an event in the batch of the change itself, and only if the change
// happens: when from, a FROM and WHERE clause that yields one row or none, yields one. In it $1 to $11 are taken; the clause's own
// parameters come behind them. at and leaf name columns of that row whose types those of the parameters are.
func (s *Store) auditWhere(ctx context.Context, e licensing.Event, from auditSource, args ...any) ([]db.Statement, error) {
	r, err := audit.Compose(ctx, s.clock, s.ids, e)
	if err != nil {
		return nil, err
	}
	return []db.Statement{
		{SQL: `INSERT INTO audit (id, at, actor, request, operation, action, target, product, reason, detail, leaf)
			SELECT $1, COALESCE($2, ` + from.at + `), $3, $4, $5, $6, $7, $8, $9, $10, COALESCE($11, ` + from.leaf + `) ` + from.sql,
			Args: append([]any{r.ID, r.At, r.Actor, r.Request, r.Operation, r.Action, r.Target, r.Product, r.Reason, r.Detail, r.Leaf[:]}, args...)},
		{SQL: `INSERT INTO audit_pending (audit_id) SELECT a.id FROM audit a WHERE a.id = $1`, Args: []any{r.ID}},
	}, nil
}

// auditSource is where [Store.auditWhere] reads whether there was a change.
type auditSource struct{ at, leaf, sql string }

// Pending implements [audit.Log].
func (s *audits) Pending(ctx context.Context) (bool, error) {
	var id string
	err := s.db.QueryRow(ctx, `SELECT audit_id FROM audit_pending LIMIT 1`).Scan(&id)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Oldest implements [audit.Log].
func (s *audits) Oldest(ctx context.Context) (at time.Time, found bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT a.at FROM audit_pending p JOIN audit a ON a.id = p.audit_id ORDER BY p.audit_id LIMIT 1`).Scan(&at)
	if errors.Is(err, db.ErrNoRows) {
		return at, false, nil
	}
	return at, err == nil, err
}

// Size implements [audit.Log].
func (s *audits) Size(ctx context.Context) (size int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT size FROM audit_head WHERE one = 1 FOR UPDATE`).Scan(&size)
	return size, err
}

// Head implements [audit.Log] and [audit.Reader].
func (s *audits) Head(ctx context.Context) (size int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT size FROM audit_head WHERE one = 1`).Scan(&size)
	return size, err
}

// Waiting implements [audit.Log]. Each leaf is looked up for itself: joined, PostgreSQL reads the whole trail as long as it is not very long.
func (s *audits) Waiting(ctx context.Context, limit int) ([]audit.Waiting, error) {
	rows, err := s.db.Query(ctx, `SELECT p.audit_id, (SELECT a.leaf FROM audit a WHERE a.id = p.audit_id) FROM audit_pending p ORDER BY p.audit_id LIMIT $1`, limit)
	return db.Collect(rows, err, func(r db.Row) (w audit.Waiting, err error) {
		var leaf []byte
		if err := r.Scan(&w.ID, &leaf); err != nil {
			return w, err
		}
		w.Leaf, err = hashOf(leaf)
		return w, err
	})
}

// Append implements [audit.Log].
func (s *audits) Append(ctx context.Context, size int64, rows []audit.Numbered, hashes []audit.StoredHash) error {
	n, err := s.db.Exec(ctx, `UPDATE audit_head SET size = $2 WHERE one = 1 AND size = $1`, size, size+int64(len(rows)))
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("store: the audit trail's head is not at %d any more", size)
	}
	numbered := make([][]any, len(rows))
	for i, r := range rows {
		numbered[i] = []any{r.Num, r.ID}
	}
	if _, err := s.db.BulkInsert(ctx, "audit_seq", []string{"num", "audit_id"}, numbered); err != nil {
		return err
	}
	stored := make([][]any, len(hashes))
	for i, h := range hashes {
		stored[i] = []any{h.Index, h.Hash[:]}
	}
	if _, err := s.db.BulkInsert(ctx, "audit_hash", []string{"idx", "hash"}, stored); err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `DELETE FROM audit_pending WHERE audit_id IN (SELECT q.audit_id FROM audit_seq q WHERE q.num >= $1 AND q.num < $2)`, size, size+int64(len(rows)))
	return err
}

// places is "$1, $2, …, $n".
func places(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	return b.String()
}

// Hashes implements [audit.Log] and [audit.Reader].
func (s *audits) Hashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	args := make([]any, len(indexes))
	for i, index := range indexes {
		args[i] = index
	}
	type stored struct {
		index int64
		hash  tlog.Hash
	}
	rows, err := s.db.Query(ctx, `SELECT idx, hash FROM audit_hash WHERE idx IN (`+places(len(args))+`)`, args...)
	read, err := db.Collect(rows, err, func(r db.Row) (h stored, err error) {
		var hash []byte
		if err := r.Scan(&h.index, &hash); err != nil {
			return h, err
		}
		h.hash, err = hashOf(hash)
		return h, err
	})
	if err != nil {
		return nil, err
	}
	byIndex := make(map[int64]tlog.Hash, len(read))
	for _, h := range read {
		byIndex[h.index] = h.hash
	}
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := byIndex[index]
		if !ok {
			return nil, fmt.Errorf("%w: number %d", audit.ErrHashMissing, index)
		}
		out[i] = h
	}
	return out, nil
}

func hashOf(b []byte) (h tlog.Hash, err error) {
	if len(b) != len(h) {
		return h, fmt.Errorf("store: a hash of %d bytes in the audit trail", len(b))
	}
	copy(h[:], b)
	return h, nil
}

// LastCheckpoint implements [audit.Log].
func (s *audits) LastCheckpoint(ctx context.Context) (c audit.Checkpoint, err error) {
	err = s.db.QueryRow(ctx, `SELECT size, note, at FROM audit_checkpoint ORDER BY size DESC LIMIT 1`).Scan(&c.Size, &c.Note, &c.At)
	if errors.Is(err, db.ErrNoRows) {
		return audit.Checkpoint{}, nil
	}
	return c, err
}

// KeepCheckpoint implements [audit.Log].
func (s *audits) KeepCheckpoint(ctx context.Context, c audit.Checkpoint) error {
	_, err := s.db.Exec(ctx, `INSERT INTO audit_checkpoint (size, note, at) VALUES ($1, $2, $3)`, c.Size, c.Note, c.At)
	if errors.Is(err, db.ErrUnique) || errors.Is(err, db.ErrImmutable) { // another process signed the same head
		return nil
	}
	return err
}
