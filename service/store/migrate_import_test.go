package store_test

import (
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/store"
)

// TestMigrate_ImportReferences: licenses imported from files of one's own keep their references as those of their product and environment, and
// have them back for the program before; of two products' licenses with one reference the first has it there, and the other is not lost.
func TestMigrate_ImportReferences(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		d := p.mustOpen(t)
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if err := store.MigrateDown(t.Context(), d, 66); err != nil {
			t.Fatal(err)
		}
		add := func(id, source, product, env string) {
			t.Helper()
			if _, err := d.Exec(t.Context(), `INSERT INTO license (id, source_kind, source_id, product_id, product_slug, plan_id, plan_code, policy_id, owner, env, licensee, state, state_reason, terms,
					entitlements, seats, seats_max, seats_used, seats_kept, device_match, seat_taken_by, key_prefix, key_lookup, key_sealed, key_hint, token_jti, version, created_at, updated_at)
				VALUES ($1, 'import', $2, $3, 'editor', '', 'p', 'pol_a', 'cus_a', $4, '', 'active', '', '{}', '{}', 1, 1, 0, 0, 1, '', 'MINT', $5, $5, '', $1, 1, $6, $6)`,
				id, source, product, env, []byte(id), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)); err != nil {
				t.Fatal(err)
			}
		}
		has := func(when string, want map[string]string) {
			t.Helper()
			for id, source := range want {
				var got string
				if err := d.QueryRow(t.Context(), `SELECT source_id FROM license WHERE id = $1`, id).Scan(&got); err != nil || got != source {
					t.Errorf("%s: %s is %q, %v; want %q", when, id, got, err, source)
				}
			}
		}
		before := map[string]string{"a": "mintreu/1", "b": "mintreu/x/2", "c": "keygen/1"}
		add("a", before["a"], "prod_a", "live")
		add("b", before["b"], "prod_b", "test")
		add("c", before["c"], "prod_b", "live")
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		has("after", map[string]string{"a": "mintreu/prod_a/live/1", "b": "mintreu/prod_b/test/x/2", "c": "keygen/1"})
		add("d", "mintreu/prod_b/live/1", "prod_b", "live")
		if err := store.MigrateDown(t.Context(), d, 66); err != nil {
			t.Fatal(err)
		}
		before["d"] = "mintreu/prod_b/live/1"
		has("undone", before)
	})
}
