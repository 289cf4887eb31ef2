package store_test

import (
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store"
)

// TestMigrateDown_StoppedKeysStayStopped: keys that the shop stops, for a dispute, by hand, or because the key bought is stopped, are stopped
// for the program before too, which reads one mark alone; those that go on do not.
func TestMigrateDown_StoppedKeysStayStopped(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		d := p.mustOpen(t)
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		for _, k := range []struct {
			id, parent     string
			held, disputed any
		}{{"a", "", nil, at}, {"b", "a", nil, nil}, {"c", "", at, nil}, {"d", "c", nil, nil}, {"e", "", nil, nil}, {"f", "e", nil, nil}} {
			if _, err := d.Exec(t.Context(), `INSERT INTO api_key (id, source_kind, source_id, owner, product_id, plan_id, plan_code, env, name, scopes, allow_from, limits, created_at, updated_at, parent_id, held_at, disputed_at)
				VALUES ($1, 'staff', $1, 'cus_a', 'prd_a', '', '', 'live', '', '[]', '[]', '[]', $2, $2, $3, $4, $5)`, k.id, at, k.parent, k.held, k.disputed); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.MigrateDown(t.Context(), d, 42); err != nil {
			t.Fatal(err)
		}
		rows, err := d.Query(t.Context(), `SELECT id FROM api_key WHERE held_at IS NOT NULL ORDER BY id`)
		stopped, err := db.Collect(rows, err, func(row db.Row) (s string, err error) { return s, row.Scan(&s) })
		if err != nil || len(stopped) != 4 || stopped[1] != "b" || stopped[3] != "d" {
			t.Errorf("%v, %v", stopped, err)
		}
	})
}
