package dbtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mintreu/mintreu/service/db"
)

// pair is a row of the table thing.
type pair struct {
	id string
	n  int64
}

func scanPair(r db.Row) (p pair, err error) { return p, r.Scan(&p.id, &p.n) }

// ask: queries that are asked together answer as they would alone, in their order; what fails is told by its kind and number, and
// what a caller makes of a row reaches him as it is.
func ask(t *testing.T, d db.DB) {
	must(t, d, valueTable, `INSERT INTO thing (id, n) VALUES ('a', 1), ('b', 2), ('c', 3)`)
	many := func(out *[]pair) db.Question {
		return db.Question{SQL: `SELECT id, n FROM thing WHERE n >= $1 ORDER BY id`, Args: []any{2}, Each: db.Into(out, scanPair)}
	}
	var first, none, again []pair
	err := d.Ask(t.Context(), many(&first), db.Question{SQL: `SELECT id, n FROM thing WHERE id = $1`, Args: []any{"nobody"}, Each: db.Into(&none, scanPair)}, many(&again))
	if err != nil || fmt.Sprint(first, none, again) != "[{b 2} {c 3}] [] [{b 2} {c 3}]" {
		t.Errorf("%v %v %v, %v", first, none, again, err)
	}
	if err := d.Ask(t.Context()); err != nil {
		t.Errorf("no questions: %v", err)
	}
	var spelled []string
	err = d.Ask(t.Context(), db.Question{SQL: "SELECT 'postgres'\n-- sqlite: the other\nSELECT 'sqlite'", Each: db.Into(&spelled, func(r db.Row) (s string, err error) { return s, r.Scan(&s) })})
	if err != nil || len(spelled) != 1 || spelled[0] != string(d.Engine()) {
		t.Errorf("%v, %v", spelled, err)
	}
	refusal := errors.New("not this row")
	calls := 0
	refuse := db.Question{SQL: `SELECT id, n FROM thing ORDER BY id`, Each: func(db.Row) error { calls++; return refusal }}
	first = nil
	if err := d.Ask(t.Context(), refuse, many(&first)); !errors.Is(err, refusal) || calls != 1 || len(first) != 0 {
		t.Errorf("a refused row: %v after %d rows and %d of the next question", err, calls, len(first))
	}
	if err := d.Ask(t.Context(), many(&first), db.Question{SQL: `SELECT id FROM nowhere`, Each: refuse.Each}); err == nil || calls != 1 {
		t.Error("a question with a mistake was answered")
	}
	var wrong []int64
	number := db.Question{SQL: `SELECT id FROM thing ORDER BY id`, Each: db.Into(&wrong, func(r db.Row) (n int64, err error) { return n, r.Scan(&n) })}
	if err := d.Ask(t.Context(), number); err == nil || len(wrong) != 0 {
		t.Errorf("a text was read as the numbers %v", wrong)
	}
	if n := count(t, t.Context(), d, "thing"); n != 3 {
		t.Errorf("afterwards %d rows are seen", n)
	}
}

// askInTx: inside a transaction questions see what it wrote; a row that the caller refuses does not fail it, a question that the database
// refuses does.
func askInTx(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	refusal := errors.New("not this row")
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		var seen []pair
		if _, err := d.Exec(ctx, `INSERT INTO thing (id, n) VALUES ('a', 1)`); err != nil {
			return err
		}
		if err := d.Ask(ctx, db.Question{SQL: `SELECT id, n FROM thing`, Each: db.Into(&seen, scanPair)}); err != nil || len(seen) != 1 {
			t.Errorf("%v, %v", seen, err)
		}
		if err := d.Ask(ctx, db.Question{SQL: `SELECT id, n FROM thing`, Each: func(db.Row) error { return refusal }}); !errors.Is(err, refusal) {
			t.Errorf("a refused row: %v", err)
		}
		if err := d.Ask(t.Context(), db.Question{SQL: `SELECT 1`}); !errors.Is(err, db.ErrOuterContext) {
			t.Errorf("beside the transaction: %v", err)
		}
		_, err := d.Exec(ctx, `INSERT INTO thing (id, n) VALUES ('b', 2)`)
		return err
	})
	if n := count(t, t.Context(), d, "thing"); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
	err = d.InTx(t.Context(), func(ctx context.Context) error {
		if err := d.Ask(ctx, db.Question{SQL: `SELECT id FROM nowhere`}); err == nil {
			t.Error("a question with a mistake was answered")
		}
		_, err := d.Exec(ctx, `INSERT INTO thing (id, n) VALUES ('c', 3)`)
		if !errors.Is(err, db.ErrTxFailed) {
			t.Errorf("after a failed question: %v", err)
		}
		return nil
	})
	if n := count(t, t.Context(), d, "thing"); err == nil || n != 2 {
		t.Errorf("a failed question left %d rows, %v", n, err)
	}
}
