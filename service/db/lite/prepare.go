package lite

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
)

// maxPrepared bounds the statements kept prepared on the readers; each costs a few kilobytes on each connection.
const maxPrepared = 1024

// prepared keeps the reading statements prepared, which halves the cost of a point read.
type prepared struct {
	known sync.Map // SQL -> *sql.Stmt
	count atomic.Int64
}

// query runs a statement on a reader.
func (p *prepared) query(ctx context.Context, readers *sql.DB, query string, args []any) (*sql.Rows, error) {
	if s, ok := p.known.Load(query); ok {
		return s.(*sql.Stmt).QueryContext(ctx, args...)
	}
	if p.count.Add(1) > maxPrepared {
		p.count.Add(-1)
		return readers.QueryContext(ctx, query, args...)
	}
	fresh, err := readers.PrepareContext(ctx, query)
	if err != nil {
		p.count.Add(-1)
		return nil, err
	}
	s, taken := p.known.LoadOrStore(query, fresh)
	if taken {
		p.count.Add(-1)
		_ = fresh.Close()
	}
	return s.(*sql.Stmt).QueryContext(ctx, args...)
}

// close closes every statement.
func (p *prepared) close() {
	p.known.Range(func(_, s any) bool {
		_ = s.(*sql.Stmt).Close()
		return true
	})
}
