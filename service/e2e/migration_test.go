package e2e_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/lite"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// definitions lists what a schema is made of: tables, columns, keys, indexes, triggers, as the engine itself spells them.
func definitions(t *testing.T, d db.DB) []string {
	t.Helper()
	sql := `SELECT type || ' ' || name || ' ' || COALESCE(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'`
	if d.Engine() == db.Postgres {
		sql = `SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || COALESCE(collation_name, '')
				FROM information_schema.columns WHERE table_schema = 'public'
			UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
			UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
			UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal`
	}
	rows, err := d.Query(t.Context(), sql)
	out, err := db.Collect(rows, err, func(row db.Row) (s string, err error) { return s, row.Scan(&s) })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// F40: in a database that the whole path has filled, each migration can be undone and done again, from the newest to the first, and
// the schema is the same every time.
func TestF40_MigrationsAreReversibleWithRows(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		s.bought(t, s.pays(t, 2, sandbox.CardSucceeds))
		s.refunded(t, s.pays(t, 1, sandbox.CardSucceeds))
		s.stop()
		d := reopen(t, s)
		notes := creditNotes(t, d)
		if len(notes) == 0 {
			t.Fatal("the refund made no credit note")
		}
		want := definitions(t, d)
		status, err := store.MigrationStatus(t.Context(), d)
		if err != nil || len(status) == 0 {
			t.Fatalf("%d migrations, %v", len(status), err)
		}
		for _, m := range slices.Backward(status) {
			if err := store.MigrateDown(t.Context(), d, m.Version-1); err != nil {
				t.Fatalf("undo %s: %v", m.File, err)
			}
			left := definitions(t, d)
			if err := store.Migrate(t.Context(), d); err != nil {
				t.Fatalf("do %s again: %v", m.File, err)
			}
			if got := definitions(t, d); !slices.Equal(got, want) {
				t.Errorf("%s: the schema was\n%q\nand is\n%q", m.File, want, got)
			}
			if slices.Equal(left, want) {
				t.Errorf("%s: undoing it changed nothing", m.File)
			}
			if got := creditNotes(t, d); m.Version == creditMigration && !slices.Equal(got, notes) {
				t.Errorf("%s: the credit notes were %q and are %q", m.File, notes, got)
			}
		}
	})
}

// creditMigration brought the credit notes; it makes those of refunds from before out of the ledger.
const creditMigration = 14

// creditNotes lists all that is in the credit notes and their counters.
func creditNotes(t *testing.T, d db.DB) []string {
	t.Helper()
	rows, err := d.Query(t.Context(), `SELECT number || ' ' || series || ' ' || seq || ' ' || order_id || ' ' || version || ' ' || receipt || ' ' || refunded_before || ' ' || refunded_after
		|| ' ' || tax || ' ' || CAST(at AS text) FROM credit_note UNION ALL SELECT series || ' ' || last FROM credit_note_counter`)
	out, err := db.Collect(rows, err, func(row db.Row) (s string, err error) { return s, row.Scan(&s) })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// reopen opens the database of a shop that has stopped, to write.
func reopen(t *testing.T, s *site) db.DB {
	t.Helper()
	if !s.config.Embedded() {
		return storetest.OpenPostgres(t, s.config.PostgresURL)
	}
	d, err := lite.Open(context.Background(), lite.Config{Path: filepath.Join(s.config.DataDir, "mintreu.sqlite")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}
