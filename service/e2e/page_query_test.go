package e2e_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/db"
)

// pageQueries is how many round trips to the database a page may take. Questions that a Store asks together ([db.Runner.Ask]) are one:
// PostgreSQL gets and answers them in one message each way.
const pageQueries = 3

// asked counts the round trips of each request to the database, by the request's id.
type asked struct {
	mu sync.Mutex
	by map[string]int
}

func (a *asked) note(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[string]int{}
	}
	a.by[licensing.CallFrom(ctx).RequestID]++
}

func (a *asked) of(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.by[id]
}

func (a *asked) watch(d db.DB) db.DB { return &askedDB{d, a} }

// askedDB is a database whose statements are counted by the request that they serve.
type askedDB struct {
	db.DB
	*asked
}

func (d *askedDB) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	d.note(ctx)
	return d.DB.Exec(ctx, sql, args...)
}

func (d *askedDB) Query(ctx context.Context, sql string, args ...any) (db.Rows, error) {
	d.note(ctx)
	return d.DB.Query(ctx, sql, args...)
}

func (d *askedDB) QueryRow(ctx context.Context, sql string, args ...any) db.Row {
	d.note(ctx)
	return d.DB.QueryRow(ctx, sql, args...)
}

func (d *askedDB) Ask(ctx context.Context, q ...db.Question) error {
	d.note(ctx)
	return d.DB.Ask(ctx, q...)
}

func (d *askedDB) Batch(ctx context.Context, s []db.Statement) ([]int64, error) {
	d.note(ctx)
	return d.DB.Batch(ctx, s)
}

// TestPages_Queries: every page is answered from memory or with three round trips to the database at most, by a running service whose caches
// are warm.
func TestPages_Queries(t *testing.T) {
	t.Parallel()
	var a asked
	s := bareStage(t, app.Config{Seams: app.Seams{Watch: a.watch}})
	s.plant(t)
	callers := s.callers(t)
	counted := 0
	for _, v := range everyVisit() {
		at := s.address(t, v.at)
		callers[v.as].get(t, at)
		p := callers[v.as].get(t, at)
		if p.status != http.StatusOK {
			continue
		}
		n := a.of(p.header.Get("X-Request-Id"))
		if n > 0 {
			counted++
		}
		if n > pageQueries {
			t.Errorf("%s by %q took %d round trips to the database", v.at, v.as, n)
		}
	}
	if counted < 10 {
		t.Errorf("only %d pages asked the database; nothing was counted", counted)
	}
}
