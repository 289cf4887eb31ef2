package dbtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db"
)

var thing = []string{"id", "label", "n", "flag", "at", "data"}

// batchInsert: a batch inserts rows of every type, any number of them, among other statements and in their order.
func batchInsert(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	at := time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC)
	for round, rows := range []int{1, 700, 0, 3} {
		in := make([][]any, rows)
		for i := range in {
			in[i] = []any{code(fmt.Sprintf("id_%d_%d", round, i)), "it's {\"a\", NULL}", int64(i), i%2 == 0, &at, []byte{byte(i), 0}}
			if i%3 == 1 {
				in[i][1], in[i][4], in[i][5] = "", (*time.Time)(nil), nil
			}
		}
		n, err := d.Batch(t.Context(), []db.Statement{
			{SQL: `DELETE FROM thing`},
			db.Insert("thing", thing, in),
			{SQL: `UPDATE thing SET n = n + $1 WHERE n >= 0`, Args: []any{10}},
		})
		if err != nil || len(n) != 3 || n[1] != int64(rows) || n[2] != int64(rows) {
			t.Fatalf("%d rows: %v, %v", rows, n, err)
		}
		for i := range min(rows, 3) {
			var label string
			var number int64
			var flag bool
			var when *time.Time
			var data []byte
			if err := d.QueryRow(t.Context(), `SELECT label, n, flag, at, data FROM thing WHERE id = $1`, in[i][0]).Scan(&label, &number, &flag, &when, &data); err != nil {
				t.Fatal(err)
			}
			empty := i%3 == 1
			if label != in[i][1] || number != int64(i+10) || flag != (i%2 == 0) || (when == nil) != empty || when != nil && !when.Equal(at) || (data == nil) != empty || !empty && data[0] != byte(i) {
				t.Errorf("row %d came back as %q %d %v %v %v", i, label, number, flag, when, data)
			}
		}
	}
}

// batchInsertAllOrNone: one bad row undoes the whole batch, with its own kind of failure; inside a transaction the rows belong to it.
func batchInsertAllOrNone(t *testing.T, d db.DB) {
	must(t, d, valueTable, `INSERT INTO thing (id, n) VALUES ('taken', 1)`)
	row := func(id any) [][]any { return [][]any{{"new", "", 1, true, nil, nil}, {id, "", 1, true, nil, nil}} }
	for id, want := range map[any]error{"taken": db.ErrUnique, "new": db.ErrUnique, "a\x00b": db.ErrText} {
		_, err := d.Batch(t.Context(), []db.Statement{{SQL: `UPDATE thing SET n = 2`}, db.Insert("thing", thing, row(id))})
		if n := count(t, t.Context(), d, "thing WHERE n = 1"); !errors.Is(err, want) || n != 1 {
			t.Errorf("%v: %d rows are as before, %v", id, n, err)
		}
	}
	if _, err := d.Batch(t.Context(), []db.Statement{db.Insert("thing", thing, [][]any{{"short"}})}); err == nil {
		t.Error("a row without a value for each column was inserted")
	}
	failure := errors.New("no")
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		_, err := d.Batch(ctx, []db.Statement{db.Insert("thing", thing, row("second"))})
		return errors.Join(err, failure)
	})
	if n := count(t, t.Context(), d, "thing"); !errors.Is(err, failure) || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}
