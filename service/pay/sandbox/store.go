package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Failures of a [Store].
var (
	// ErrMissing means that there is no record of that kind and id.
	ErrMissing = errors.New("sandbox: no such record")
	// ErrConflict means that another writer changed a record first; the caller reads again and repeats its work.
	ErrConflict = errors.New("sandbox: record changed meanwhile")
)

// Record is one stored object of the sandbox: its JSON and what it is found by.
type Record struct {
	Kind string
	ID   string
	// Ref is a second key to list by: the payment intent of a charge or a refund.
	Ref string
	// Rev counts writes. In a call of Write it is the revision that was read, 0 for a new record.
	Rev int64
	At  time.Time // when the object was created
	// Due is when the sandbox has something to do with it (expire, settle, deliver); zero means never.
	Due  time.Time
	Data []byte
}

// Query selects records of one kind, newest first.
type Query struct {
	Kind  string
	Ref   string    // only those with this Ref, if not empty
	Since time.Time // created at or after, if not zero
	Until time.Time // created at or before, if not zero
	After *Record   // only older ones than this, if not nil
	Limit int
}

// Store keeps the sandbox's objects. Implementations are safe for concurrent use; several servers may share one.
type Store interface {
	// Get returns one record or [ErrMissing].
	Get(ctx context.Context, kind, id string) (Record, error)
	// List returns the newest records that match, at most q.Limit.
	List(ctx context.Context, q Query) ([]Record, error)
	// Due returns records whose Due is at or before the instant, earliest first.
	Due(ctx context.Context, before time.Time, limit int) ([]Record, error)
	// Write stores all records or none. [ErrConflict] means that a record's stored revision is not the Rev given.
	Write(ctx context.Context, records []Record) error
}

// Memory is a [Store] that lives as long as the process.
type Memory struct {
	mu      sync.Mutex
	records map[string]map[string]Record
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty [Memory].
func NewMemory() *Memory { return &Memory{records: map[string]map[string]Record{}} }

// Get implements [Store].
func (m *Memory) Get(_ context.Context, kind, id string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[kind][id]
	if !ok {
		return Record{}, ErrMissing
	}
	return r, nil
}

// List implements [Store].
func (m *Memory) List(_ context.Context, q Query) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Record
	for _, r := range m.records[q.Kind] {
		switch {
		case q.Ref != "" && r.Ref != q.Ref,
			!q.Since.IsZero() && r.At.Before(q.Since),
			!q.Until.IsZero() && r.At.After(q.Until),
			q.After != nil && age(r, *q.After) >= 0:
		default:
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return age(b, a) })
	return out[:min(len(out), q.Limit)], nil
}

// age orders records by creation, then id.
func age(a, b Record) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) }

// Due implements [Store].
func (m *Memory) Due(_ context.Context, before time.Time, limit int) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Record
	for _, kind := range m.records {
		for _, r := range kind {
			if !r.Due.IsZero() && !r.Due.After(before) {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID)) })
	return out[:min(len(out), limit)], nil
}

// Write implements [Store].
func (m *Memory) Write(_ context.Context, records []Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		if m.records[r.Kind][r.ID].Rev != r.Rev {
			return ErrConflict
		}
	}
	for _, r := range records {
		if m.records[r.Kind] == nil {
			m.records[r.Kind] = map[string]Record{}
		}
		r.Rev++
		r.Data = bytes.Clone(r.Data)
		m.records[r.Kind][r.ID] = r
	}
	return nil
}
