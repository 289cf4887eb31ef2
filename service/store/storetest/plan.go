package storetest

import (
	"context"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db"
)

// recording is a database that remembers each statement it ran, with the arguments of the first time, so that its plan can be
// looked at when the test is over.
type recording struct {
	db.DB
	mu  sync.Mutex
	ran map[string][]any
}

func newRecording(d db.DB) *recording { return &recording{DB: d, ran: map[string][]any{}} }

// note is called by the methods below, and so two calls away from the statement's place.
func (r *recording) note(sql string, args []any) {
	if _, file, _, ok := runtime.Caller(2); ok && (strings.HasPrefix(filepath.Base(file), "invariant") || filepath.Base(file) == "ledger.go") {
		return // a checker reads everything, and a sum of the ledger all of it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.ran[sql]; !known {
		r.ran[sql] = args
	}
}

// Exec implements [db.Runner].
func (r *recording) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	r.note(sql, args)
	return r.DB.Exec(ctx, sql, args...)
}

// Query implements [db.Runner].
func (r *recording) Query(ctx context.Context, sql string, args ...any) (db.Rows, error) {
	r.note(sql, args)
	return r.DB.Query(ctx, sql, args...)
}

// QueryRow implements [db.Runner].
func (r *recording) QueryRow(ctx context.Context, sql string, args ...any) db.Row {
	r.note(sql, args)
	return r.DB.QueryRow(ctx, sql, args...)
}

// Ask implements [db.Runner].
func (r *recording) Ask(ctx context.Context, questions ...db.Question) error {
	for _, q := range questions {
		r.note(q.SQL, q.Args)
	}
	return r.DB.Ask(ctx, questions...)
}

// Batch implements [db.Runner].
func (r *recording) Batch(ctx context.Context, statements []db.Statement) ([]int64, error) {
	for _, s := range statements {
		r.note(s.SQL, s.Args)
	}
	return r.DB.Batch(ctx, statements)
}

// small are the tables whose rows do not grow with customers or sales, or are taken away as soon as they are read, so that reading
// all of one costs nothing.
func small() []string {
	return []string{"audit_pending", "keyset", "kill_switch", "replica", "signing_key", "status_list", "setting", "webhook_endpoint", "webhook_position"}
}

var (
	liteScan   = regexp.MustCompile(`^SCAN ([A-Za-z_]\w*)(?: USING .*INDEX (\w+))?`)
	liteMade   = regexp.MustCompile(`^(?:CO-ROUTINE|MATERIALIZE) (\w+)`)
	pgScan     = regexp.MustCompile(`Seq Scan on (\w+)`)
	tableAlias = regexp.MustCompile(`(?i)\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)(?:\s+AS)?\s+(\w+)`)
)

// check fails the test for each statement of the store that reads a whole table, whichever engine it ran on: with a million customers
// it would take a second and, in a transaction on SQLite, keep everybody else from writing. Walking an index in order up to a LIMIT
// is no such thing.
func (r *recording) check(t testing.TB) {
	if t.Failed() || t.Skipped() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	for sql, args := range r.ran {
		if first, _, _ := strings.Cut(strings.TrimSpace(sql), " "); !slices.Contains([]string{"SELECT", "UPDATE", "DELETE", "WITH"}, first) {
			continue
		}
		for _, table := range r.walked(ctx, sql, args) {
			if !slices.Contains(small(), table) {
				t.Errorf("a statement reads the whole table %s; give it an index:\n%s", table, sql)
			}
		}
	}
}

// walked names the tables that a statement reads from end to end.
func (r *recording) walked(ctx context.Context, sql string, args []any) (tables []string) {
	lite := r.Engine() == db.SQLite
	explain := "EXPLAIN "
	if lite {
		explain = "EXPLAIN QUERY PLAN "
	}
	// What cannot be explained any more (the test broke the database on purpose) is not looked at.
	_ = r.DB.InTx(ctx, func(ctx context.Context) error {
		if !lite { // tables of tests are so small that the planner would never use an index
			if _, err := r.DB.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
				return err
			}
		}
		rows, err := r.DB.Query(ctx, explain+db.Spelling(r.Engine(), sql), args...)
		plan, err := db.Collect(rows, err, func(row db.Row) (line string, err error) {
			if !lite {
				return line, row.Scan(&line)
			}
			var id, parent, unused int64
			err = row.Scan(&id, &parent, &unused, &line)
			return line, err
		})
		var made []string // results of subqueries, which are scanned under their names; what they read has lines of its own
		for _, line := range plan {
			if m := liteMade.FindStringSubmatch(line); m != nil {
				made = append(made, m[1])
			}
			if table := walkedTable(lite, line, sql); table != "" && !slices.Contains(made, table) {
				tables = append(tables, table)
			}
		}
		return err
	})
	return tables
}

// walkedTable names the table that one line of a plan reads from end to end, "" when it reads none so.
func walkedTable(lite bool, line, sql string) string {
	if !lite {
		if m := pgScan.FindStringSubmatch(line); m != nil {
			return m[1]
		}
		return ""
	}
	m := liteScan.FindStringSubmatch(line)
	if m == nil || m[1] == "CONSTANT" || m[2] != "" && strings.Contains(sql, "LIMIT") || m[2] == "customer_role" { // an index of the few who are staff
		return ""
	}
	for _, named := range tableAlias.FindAllStringSubmatch(sql, -1) {
		if named[2] == m[1] {
			return named[1]
		}
	}
	return m[1]
}
