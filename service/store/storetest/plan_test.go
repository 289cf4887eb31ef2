package storetest

import (
	"slices"
	"testing"

	"github.com/mintreu/mintreu/service/db"
)

// Statements that read a whole table are found on both engines, and those that use an index are not.
func TestWholeTablesAreNoticed(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Env) {
		r := newRecording(e.DB)
		for _, c := range []struct {
			sql  string
			args []any
			want []string
		}{
			{`SELECT id FROM customer WHERE name = $1`, []any{"x"}, []string{"customer"}},
			{`SELECT o.id FROM orders o WHERE o.reason = $1`, []any{"x"}, []string{"orders"}},
			{`UPDATE license SET name = '' WHERE licensee = $1`, []any{"x"}, nil}, // no such column: cannot be explained
			{`DELETE FROM license WHERE licensee = $1`, []any{"x"}, []string{"license"}},
			{`SELECT id FROM customer WHERE email = $1`, []any{"x"}, nil},
			{`SELECT id FROM orders WHERE owner = $1 AND id < $2 ORDER BY id DESC LIMIT $3`, []any{"x", "y", 20}, nil},
			{`SELECT id FROM orders ORDER BY id DESC LIMIT $1`, []any{20}, nil},
			{`SELECT * FROM (SELECT id FROM orders WHERE owner = $1 ORDER BY id LIMIT 5) AS some UNION ALL SELECT id FROM customer WHERE email = $1`, []any{"x"}, nil},
		} {
			if got := r.walked(t.Context(), c.sql, c.args); !slices.Equal(got, c.want) {
				t.Errorf("%s: whole tables %v, want %v", c.sql, got, c.want)
			}
		}
		if within := `SELECT * FROM (SELECT count(*) FROM orders WHERE reason = $1) AS some`; e.DB.Engine() == db.SQLite && !slices.Equal(r.walked(t.Context(), within, []any{"x"}), []string{"orders"}) {
			t.Error("a whole table read within a subquery is not noticed")
		}
	})
}
