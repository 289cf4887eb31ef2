package store_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/db/lite"
	"github.com/mintreu/mintreu/service/db/pg"
	"github.com/mintreu/mintreu/service/store"
)

// place is an empty database that can be opened again and again, also by another process.
type place struct{ engine, address string }

func (p place) open(ctx context.Context) (db.DB, error) {
	if p.engine == "postgres" {
		return pg.Open(ctx, pg.Config{URL: p.address, MaxConns: 8})
	}
	return lite.Open(ctx, lite.Config{Path: p.address})
}

// mustOpen opens the database until the test ends or the caller closes it.
func (p place) mustOpen(t *testing.T) db.DB {
	t.Helper()
	d, err := p.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// places runs body on an empty database of either engine.
func places(t *testing.T, body func(t *testing.T, p place)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		body(t, place{"sqlite", filepath.Join(t.TempDir(), "test.db")})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		body(t, place{"postgres", dbtest.PostgresDatabase(t, "")})
	})
}

// tables lists the tables of a database.
func tables(t *testing.T, d db.DB) []string {
	t.Helper()
	sql := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`
	if d.Engine() == db.Postgres {
		sql = `SELECT CAST(tablename AS text) FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename COLLATE "C"`
	}
	rows, err := d.Query(t.Context(), sql)
	names, err := db.Collect(rows, err, func(r db.Row) (s string, err error) { return s, r.Scan(&s) })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func assertMigrated(t *testing.T, d db.DB) {
	t.Helper()
	status, err := store.MigrationStatus(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range status {
		if !m.Applied || m.AppliedAt.IsZero() {
			t.Errorf("%s is not applied", m.File)
		}
	}
	if names := tables(t, d); !slices.Contains(names, "river_job") || len(status) == 0 {
		t.Errorf("%d migrations, tables %v", len(status), names)
	}
}

// Every migration can be undone and done again, and undoing all leaves no table but the list of versions.
func TestMigrationsAreReversible(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		d := p.mustOpen(t)
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		assertMigrated(t, d)
		before := tables(t, d)
		if err := store.MigrateDown(t.Context(), d, 0); err != nil {
			t.Fatal(err)
		}
		for _, name := range tables(t, d) {
			if name != "goose_db_version" && !strings.HasPrefix(name, "river_migration") {
				t.Errorf("table %s was left behind", name)
			}
		}
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		assertMigrated(t, d)
		if after := tables(t, d); !slices.Equal(before, after) {
			t.Errorf("tables were %v and are %v", before, after)
		}
	})
}

// Both engines get the same tables.
func TestEnginesHaveTheSameTables(t *testing.T) {
	t.Parallel()
	sqlite := place{"sqlite", filepath.Join(t.TempDir(), "test.db")}.mustOpen(t)
	postgres := place{"postgres", dbtest.PostgresDatabase(t, "")}.mustOpen(t)
	lists := map[db.Engine][]string{}
	for _, d := range []db.DB{sqlite, postgres} {
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		for _, name := range tables(t, d) {
			if !strings.HasPrefix(name, "river_") {
				lists[d.Engine()] = append(lists[d.Engine()], name)
			}
		}
	}
	if !slices.Equal(lists[db.SQLite], lists[db.Postgres]) {
		t.Errorf("SQLite has %v, PostgreSQL has %v", lists[db.SQLite], lists[db.Postgres])
	}
}

// F40: migrators that race leave one migrated database and no error, whether they share a connection pool or not.
func TestF40_RacingMigrators(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		shared := p.mustOpen(t)
		var wg sync.WaitGroup
		for i := range 4 {
			d := shared
			if p.engine == "postgres" && i > 0 { // a second opener of a SQLite directory is refused before it can migrate
				d = p.mustOpen(t)
			}
			wg.Go(func() {
				if err := store.Migrate(t.Context(), d); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		assertMigrated(t, shared)
	})
}

// The variables that tell the test program to migrate a database of another one's.
const (
	childEngine  = "MINTREU_TEST_MIGRATE_ENGINE"
	childAddress = "MINTREU_TEST_MIGRATE_ADDRESS"
)

// A database migrates in a process of its own. It is also the process that TestF40_KilledMigrator kills.
func TestMigrateInThisProcess(t *testing.T) {
	p := place{os.Getenv(childEngine), os.Getenv(childAddress)}
	if p.engine == "" {
		p = place{"sqlite", filepath.Join(t.TempDir(), "test.db")}
	}
	d := p.mustOpen(t)
	os.Stdout.WriteString("migrating\n")
	if err := store.Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	assertMigrated(t, d)
}

// F40: a migrator that is killed at any moment leaves a database which the next one completes.
func TestF40_KilledMigrator(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		for round := range 6 {
			killed := migrateAndKill(t, p, time.Duration(round)*12*time.Millisecond)
			t.Logf("round %d: killed in the middle: %v", round, killed)
		}
		d := p.mustOpen(t)
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		assertMigrated(t, d)
	})
}

// migrateAndKill starts a migration in another process and kills it some time after its start.
func migrateAndKill(t *testing.T, p place, after time.Duration) (killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMigrateInThisProcess$")
	cmd.Env = append(os.Environ(), childEngine+"="+p.engine, childAddress+"="+p.address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "migrating"; {
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	return cmd.Wait() != nil
}

// A database that a newer program migrated is refused and left as it is.
func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		d := p.mustOpen(t)
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`); err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context(), d); !errors.Is(err, store.ErrNewerSchema) {
			t.Errorf("got %v", err)
		}
	})
}
