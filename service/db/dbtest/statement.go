package dbtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mintreu/mintreu/service/db"
)

// kinds: each kind of violation has its own error, and no other.
func kinds(t *testing.T, d db.DB) {
	must(t, d, `CREATE TABLE parent (id text COLLATE "C" PRIMARY KEY, code text UNIQUE)`,
		`CREATE TABLE child (id text PRIMARY KEY, parent text NOT NULL REFERENCES parent (id), n bigint CHECK (n >= 0))`,
		`INSERT INTO parent VALUES ('p', 'x')`, `INSERT INTO child VALUES ('c', 'p', 0)`)
	all := []error{db.ErrUnique, db.ErrForeignKey, db.ErrCheck, db.ErrNotNull, db.ErrImmutable, db.ErrUnavailable, db.ErrNoRows}
	for sql, want := range map[string]error{
		`INSERT INTO parent VALUES ('p', 'y')`:             db.ErrUnique,
		`INSERT INTO parent VALUES ('q', 'x')`:             db.ErrUnique,
		`INSERT INTO child VALUES ('d', 'nobody', 1)`:      db.ErrForeignKey,
		`DELETE FROM parent`:                               db.ErrForeignKey,
		`INSERT INTO child VALUES ('d', 'p', -1)`:          db.ErrCheck,
		`UPDATE child SET n = -1`:                          db.ErrCheck,
		`INSERT INTO child (id, n) VALUES ('d', 1)`:        db.ErrNotNull,
		`UPDATE child SET parent = NULL WHERE id = 'c'`:    db.ErrNotNull,
		`INSERT INTO parent VALUES ('p','z') RETURNING id`: db.ErrUnique,
	} {
		_, err := d.Exec(t.Context(), sql)
		var id string
		rowErr := d.QueryRow(t.Context(), sql).Scan(&id)
		for _, kind := range all {
			if errors.Is(err, kind) != (kind == want) || errors.Is(rowErr, kind) != (kind == want) {
				t.Errorf("%s: got %v and %v, want %v", sql, err, rowErr, want)
			}
		}
	}
	if _, err := d.Exec(t.Context(), `INSERT INTO nowhere VALUES (1)`); err == nil || errors.Is(err, db.ErrUnavailable) {
		t.Errorf("a statement with a mistake: %v", err)
	}
}

// immutable: a trigger that refuses a change with a text that starts with "immutable" is told apart.
func immutable(t *testing.T, d db.DB) {
	must(t, d, `CREATE TABLE ledger (id bigint PRIMARY KEY)`, `INSERT INTO ledger VALUES (1)`)
	if d.Engine() == db.Postgres {
		must(t, d, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $x$ BEGIN RAISE EXCEPTION 'immutable: ledger'; END $x$`,
			`CREATE TRIGGER ledger_fixed BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION refuse()`)
	} else {
		must(t, d, `CREATE TRIGGER ledger_u BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'immutable: ledger'); END`,
			`CREATE TRIGGER ledger_d BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'immutable: ledger'); END`)
	}
	for _, sql := range []string{`UPDATE ledger SET id = 2`, `DELETE FROM ledger`} {
		if _, err := d.Exec(t.Context(), sql); !errors.Is(err, db.ErrImmutable) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if n := count(t, t.Context(), d, "ledger WHERE id = 1"); n != 1 {
		t.Error("the row was changed")
	}
}

// noRows: QueryRow says that there was none, Query just ends.
func noRows(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	var id string
	if err := d.QueryRow(t.Context(), `SELECT id FROM thing`).Scan(&id); !errors.Is(err, db.ErrNoRows) {
		t.Errorf("got %v", err)
	}
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		if err := d.QueryRow(ctx, `SELECT id FROM thing FOR UPDATE`).Scan(&id); !errors.Is(err, db.ErrNoRows) {
			t.Errorf("got %v", err)
		}
		_, err := d.Exec(ctx, `INSERT INTO thing (id) VALUES ('after')`)
		return err
	})
	if err != nil {
		t.Errorf("no rows must not fail the transaction: %v", err)
	}
}

// rowsAffected: Exec counts the rows a change touched, also none.
func rowsAffected(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	for _, c := range []struct {
		sql  string
		want int64
	}{
		{`INSERT INTO thing (id, n) VALUES ('a', 1), ('b', 2), ('c', 3)`, 3},
		{`INSERT INTO thing (id, n) VALUES ('a', 9) ON CONFLICT (id) DO NOTHING`, 0},
		{`INSERT INTO thing (id, n) VALUES ('a', 9) ON CONFLICT (id) DO UPDATE SET n = excluded.n WHERE thing.n < excluded.n`, 1},
		{`UPDATE thing SET n = n + 1 WHERE n < 4`, 2},
		{`UPDATE thing SET n = 0 WHERE id = 'nobody'`, 0},
		{`WITH old AS (SELECT id FROM thing WHERE n = 9) DELETE FROM thing WHERE id IN (SELECT id FROM old)`, 1},
		{`DELETE FROM thing`, 2},
	} {
		if n, err := d.Exec(t.Context(), c.sql); err != nil || n != c.want {
			t.Errorf("%s: %d, %v; want %d", c.sql, n, err, c.want)
		}
	}
}

// returning: a change may return rows, outside and inside a transaction, and is done when they have been read.
func returning(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	var id string
	if err := d.QueryRow(t.Context(), `INSERT INTO thing (id, n) VALUES ($1, $2) RETURNING id`, "a", 1).Scan(&id); err != nil || id != "a" {
		t.Fatalf("%q, %v", id, err)
	}
	must(t, d, `INSERT INTO thing (id, n) VALUES ('b', 2)`)
	rows, err := d.Query(t.Context(), `UPDATE thing SET n = n + 10 RETURNING n`)
	got, err := db.Collect(rows, err, func(r db.Row) (n int64, err error) { return n, r.Scan(&n) })
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if n := count(t, t.Context(), d, "thing WHERE n > 10"); n != 2 {
		t.Errorf("%d rows changed", n)
	}
	err = d.InTx(t.Context(), func(ctx context.Context) error {
		return d.QueryRow(ctx, `DELETE FROM thing WHERE id = 'a' RETURNING id`).Scan(&id)
	})
	if n := count(t, t.Context(), d, "thing"); err != nil || n != 1 {
		t.Errorf("%d rows left, %v", n, err)
	}
}

// secondSpelling: each engine runs the spelling that is meant for it.
func secondSpelling(t *testing.T, d db.DB) {
	const sql = `SELECT 'postgres' || coalesce($1, '')
-- sqlite: one word more
SELECT 'sqlite' || coalesce($1, '')`
	var got string
	if err := d.QueryRow(t.Context(), sql, "!").Scan(&got); err != nil || got != string(d.Engine())+"!" {
		t.Errorf("%q, %v", got, err)
	}
}

// batch: the statements of a batch run in order, report their rows, and either all of them last or none.
func batch(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	insert := func(id string) db.Statement {
		return db.Statement{SQL: `INSERT INTO thing (id, n) VALUES ($1, $2)`, Args: []any{id, 1}}
	}
	n, err := d.Batch(t.Context(), []db.Statement{insert("a"), insert("b"), {SQL: `UPDATE thing SET n = n + $1`, Args: []any{5}}})
	if err != nil || fmt.Sprint(n) != "[1 1 2]" {
		t.Fatalf("%v, %v", n, err)
	}
	n, err = d.Batch(t.Context(), []db.Statement{insert("c"), {SQL: `UPDATE thing SET n = 0`}, insert("a"), insert("d")})
	if !errors.Is(err, db.ErrUnique) || n != nil {
		t.Errorf("%v, %v", n, err)
	}
	if rows := count(t, t.Context(), d, "thing WHERE n = 6"); rows != 2 {
		t.Errorf("a failed batch left something behind: %d rows are as before, want 2", rows)
	}
	if n, err := d.Batch(t.Context(), nil); err != nil || len(n) != 0 {
		t.Errorf("an empty batch: %v, %v", n, err)
	}
}

// batchInTx: a batch inside a transaction belongs to it.
func batchInTx(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	failure := errors.New("no")
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		if _, err := d.Batch(ctx, []db.Statement{{SQL: `INSERT INTO thing (id) VALUES ('a')`}}); err != nil {
			return err
		}
		return failure
	})
	if n := count(t, t.Context(), d, "thing"); !errors.Is(err, failure) || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// bulkInsert: ten thousand rows of every type go in at once.
func bulkInsert(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	const rows = 10000
	in := make([][]any, rows)
	for i := range in {
		in[i] = []any{code(fmt.Sprintf("id_%05d", i)), "text", int64(i), i%2 == 0, nil, []byte{byte(i)}}
	}
	n, err := d.BulkInsert(t.Context(), "thing", []string{"id", "label", "n", "flag", "at", "data"}, in)
	if err != nil || n != rows {
		t.Fatalf("%d, %v", n, err)
	}
	var sum, distinct int64
	if err := d.QueryRow(t.Context(), `SELECT sum(n), count(DISTINCT id) FROM thing WHERE at IS NULL`).Scan(&sum, &distinct); err != nil ||
		sum != rows*(rows-1)/2 || distinct != rows {
		t.Errorf("sum %d, distinct %d, %v", sum, distinct, err)
	}
	if n, err := d.BulkInsert(t.Context(), "thing", []string{"id"}, nil); n != 0 || err != nil {
		t.Errorf("no rows: %d, %v", n, err)
	}
}

// bulkAllOrNone: one bad row keeps all of them out, and inside a transaction the rows belong to it.
func bulkAllOrNone(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	in := make([][]any, 2000)
	for i := range in {
		in[i] = []any{fmt.Sprintf("id_%d", i)}
	}
	in[1999] = []any{"id_0"}
	if _, err := d.BulkInsert(t.Context(), "thing", []string{"id"}, in); !errors.Is(err, db.ErrUnique) {
		t.Errorf("got %v", err)
	}
	failure := errors.New("no")
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		if _, err := d.BulkInsert(ctx, "thing", []string{"id"}, in[:10]); err != nil {
			return err
		}
		return failure
	})
	if n := count(t, t.Context(), d, "thing"); !errors.Is(err, failure) || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// schemaChange: a statement that names its columns goes on working while columns are added and the table is made anew, as
// happens to the old replicas during an upgrade.
func schemaChange(t *testing.T, d db.DB) {
	must(t, d, valueTable, `INSERT INTO thing (id, n) VALUES ('a', 1)`)
	look := func(want int64) {
		t.Helper()
		for range 3 {
			var n int64
			if err := d.QueryRow(t.Context(), `SELECT n FROM thing WHERE id = $1`, "a").Scan(&n); err != nil || n != want {
				t.Errorf("got %d, %v; want %d", n, err, want)
			}
		}
	}
	look(1)
	must(t, d, `ALTER TABLE thing ADD COLUMN extra text NOT NULL DEFAULT ''`)
	look(1)
	must(t, d, `DROP TABLE thing`, `CREATE TABLE thing (n bigint, id text)`, `INSERT INTO thing (id, n) VALUES ('a', 2)`)
	look(2)
}
