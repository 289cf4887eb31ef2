package dbtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db"
)

var errNo = errors.New("no")

func insert(ctx context.Context, d db.DB, id string) error {
	_, err := d.Exec(ctx, `INSERT INTO thing (id, n) VALUES ($1, 0)`, id)
	return err
}

// commitAndRollback: nil commits, an error rolls back and is passed on.
func commitAndRollback(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	for id, result := range map[string]error{"kept": nil, "undone": errNo} {
		err := d.InTx(t.Context(), func(ctx context.Context) error {
			if err := insert(ctx, d, id); err != nil {
				return err
			}
			if n := count(t, ctx, d, "thing WHERE id = '"+id+"'"); n != 1 {
				t.Error("a transaction does not see its own change")
			}
			return result
		})
		if !errors.Is(err, result) {
			t.Errorf("got %v, want %v", err, result)
		}
	}
	if n := count(t, t.Context(), d, "thing"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

// panicRollsBack: a panic in fn undoes the transaction, reaches the caller, and leaves the database usable.
func panicRollsBack(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = d.InTx(t.Context(), func(ctx context.Context) error {
			if err := insert(ctx, d, "a"); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	if err := insert(t.Context(), d, "b"); err != nil {
		t.Fatal(err)
	}
	if n := count(t, t.Context(), d, "thing"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

// nestedFailure: a nested transaction that fails undoes its own statements only, even one that failed in SQL, and the outer
// one goes on; one that succeeds falls with the outer one.
func nestedFailure(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		if err := insert(ctx, d, "outer"); err != nil {
			return err
		}
		for name, fail := range map[string]func(ctx context.Context) error{
			"returned": func(context.Context) error { return errNo },
			"unique":   func(ctx context.Context) error { return insert(ctx, d, "outer") },
			"swallowed": func(ctx context.Context) error {
				_ = insert(ctx, d, "outer") // its failure may not be lost
				return nil
			},
		} {
			err := d.InTx(ctx, func(ctx context.Context) error {
				if err := insert(ctx, d, name); err != nil {
					return err
				}
				return fail(ctx)
			})
			if err == nil {
				t.Errorf("%s: the nested transaction succeeded", name)
			}
		}
		return d.InTx(ctx, func(ctx context.Context) error { return insert(ctx, d, "inner") })
	})
	if n := count(t, t.Context(), d, "thing WHERE id IN ('outer', 'inner')"); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
	if n := count(t, t.Context(), d, "thing"); n != 2 {
		t.Errorf("%d rows, want 2: a nested failure left something behind", n)
	}
	err = d.InTx(t.Context(), func(ctx context.Context) error {
		if err := d.InTx(ctx, func(ctx context.Context) error { return insert(ctx, d, "gone") }); err != nil {
			return err
		}
		return errNo
	})
	if n := count(t, t.Context(), d, "thing"); n != 2 || !errors.Is(err, errNo) {
		t.Errorf("%d rows, %v", n, err)
	}
}

// nestedPanic: a panic in a nested transaction that the outer one recovers from undoes the nested statements.
func nestedPanic(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		func() {
			defer func() { _ = recover() }()
			_ = d.InTx(ctx, func(ctx context.Context) error {
				if err := insert(ctx, d, "inner"); err != nil {
					t.Error(err)
				}
				panic("boom")
			})
		}()
		return insert(ctx, d, "outer")
	})
	if n := count(t, t.Context(), d, "thing WHERE id = 'outer'"); err != nil || n != 1 || count(t, t.Context(), d, "thing") != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// nestedDeep: transactions nest as deep as calls do; a failure in the middle undoes from there inwards.
func nestedDeep(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	var down func(ctx context.Context, level int) error
	down = func(ctx context.Context, level int) error {
		err := d.InTx(ctx, func(ctx context.Context) error {
			if err := insert(ctx, d, fmt.Sprint(level)); err != nil || level == 6 {
				return err
			}
			if err := down(ctx, level+1); err != nil {
				return err
			}
			if level == 3 {
				return errNo
			}
			return nil
		})
		if level == 3 && errors.Is(err, errNo) {
			return nil
		}
		return err
	}
	if err := down(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if n := count(t, t.Context(), d, "thing"); n != 2 {
		t.Errorf("%d rows, want levels 1 and 2", n)
	}
}

// failedStatement: after a failed statement the transaction does nothing more and cannot commit, on both engines.
func failedStatement(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		if err := insert(ctx, d, "a"); err != nil {
			return err
		}
		if err := insert(ctx, d, "a"); !errors.Is(err, db.ErrUnique) {
			t.Errorf("got %v", err)
		}
		if err := insert(ctx, d, "b"); !errors.Is(err, db.ErrTxFailed) {
			t.Errorf("a statement after a failed one: %v", err)
		}
		var n int
		if err := d.QueryRow(ctx, "SELECT 1").Scan(&n); !errors.Is(err, db.ErrTxFailed) {
			t.Errorf("a query after a failed statement: %v", err)
		}
		return nil
	})
	if n := count(t, t.Context(), d, "thing"); !errors.Is(err, db.ErrTxFailed) || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// cancelledTx: a cancelled context rolls back, whether fn notices or not, and the database stays usable.
func cancelledTx(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	for _, notice := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		err := d.InTx(ctx, func(ctx context.Context) error {
			if err := insert(ctx, d, "a"); err != nil {
				return err
			}
			cancel()
			if notice {
				return insert(ctx, d, "b")
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("notice %v: %v", notice, err)
		}
	}
	if n := count(t, t.Context(), d, "thing"); n != 0 {
		t.Errorf("%d rows survived", n)
	}
	if err := insert(t.Context(), d, "c"); err != nil {
		t.Error(err)
	}
}

// cancelledBefore: nothing runs with a context that is over.
func cancelledBefore(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := d.InTx(ctx, func(context.Context) error { ran = true; return nil })
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("%v, ran %v", err, ran)
	}
	if err := insert(ctx, d, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	var n int
	if err := d.QueryRow(ctx, "SELECT 1").Scan(&n); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// contextAfterTx: the context of a finished transaction is refused, it does not run beside it.
func contextAfterTx(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	for _, result := range []error{nil, errNo} {
		var leaked context.Context
		_ = d.InTx(t.Context(), func(ctx context.Context) error { leaked = ctx; return result })
		if err := insert(leaked, d, "a"); !errors.Is(err, db.ErrTxOver) {
			t.Errorf("got %v", err)
		}
		if err := d.InTx(leaked, func(context.Context) error { return nil }); !errors.Is(err, db.ErrTxOver) {
			t.Errorf("got %v", err)
		}
	}
}

// outerContext: a statement inside a transaction that uses the outer context is refused at once. It would wait for ever on
// SQLite and escape the transaction on PostgreSQL. Other goroutines are not concerned.
func outerContext(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	outer, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := d.InTx(outer, func(ctx context.Context) error {
		_, execErr := d.Exec(outer, `INSERT INTO thing (id) VALUES ('a')`)
		rows, queryErr := d.Query(outer, `SELECT id FROM thing`)
		if rows != nil {
			rows.Close()
		}
		var n int
		_, batchErr := d.Batch(outer, []db.Statement{{SQL: `INSERT INTO thing (id) VALUES ('b')`}})
		_, bulkErr := d.BulkInsert(outer, "thing", []string{"id"}, [][]any{{"c"}})
		for name, err := range map[string]error{
			"exec": execErr, "query": queryErr, "batch": batchErr, "bulk": bulkErr,
			"row": d.QueryRow(outer, `SELECT 1`).Scan(&n),
			"tx":  d.InTx(outer, func(context.Context) error { return nil }),
		} {
			if !errors.Is(err, db.ErrOuterContext) {
				t.Errorf("%s: %v", name, err)
			}
		}
		other := make(chan error)
		go func() { other <- d.QueryRow(outer, `SELECT 1`).Scan(&n) }()
		if err := <-other; err != nil {
			t.Errorf("another goroutine was refused: %v", err)
		}
		return insert(ctx, d, "inside")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := insert(outer, d, "after"); err != nil {
		t.Errorf("after the transaction: %v", err)
	}
}

// ping: a healthy database answers.
func ping(t *testing.T, d db.DB) {
	if err := d.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// closed: everything on a closed database is unavailable, and closing twice is harmless.
func closed(t *testing.T, d db.DB) {
	if err := d.QueryRow(t.Context(), `SELECT 1`).Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	var n int
	_, execErr := d.Exec(t.Context(), `CREATE TABLE late (id bigint)`)
	for name, err := range map[string]error{
		"exec": execErr, "row": d.QueryRow(t.Context(), `SELECT 1`).Scan(&n), "ping": d.Ping(t.Context()),
		"tx": d.InTx(t.Context(), func(context.Context) error { return nil }),
	} {
		if !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// twoDatabases: a transaction of one database does not carry statements of another.
func twoDatabases(s Suite) func(t *testing.T, d db.DB) {
	return func(t *testing.T, d db.DB) {
		other := s.Open(t)
		must(t, d, valueTable)
		must(t, other, valueTable)
		err := d.InTx(t.Context(), func(ctx context.Context) error {
			if err := insert(ctx, other, "a"); err != nil {
				t.Error(err)
			}
			return errNo
		})
		if n := count(t, t.Context(), other, "thing"); n != 1 || !errors.Is(err, errNo) {
			t.Errorf("%d rows, %v", n, err)
		}
	}
}
