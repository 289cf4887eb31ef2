// Package storetest runs a test on real databases: always on SQLite, and on PostgreSQL too. Each run has a migrated
// database of its own and a clock that the test owns.
//
//	storetest.Each(t, func(t *testing.T, e storetest.Env) {
//		…
//		e.Clock.Advance(time.Hour)
//	})
package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/db/lite"
	"github.com/mintreu/mintreu/service/db/pg"
	"github.com/mintreu/mintreu/service/store"
)

// Env is what a test works with.
type Env struct {
	DB    db.DB
	Store *store.Store
	Clock *Clock
	IDs   licensing.IDs
}

// Each runs body on SQLite and on PostgreSQL, each as a parallel subtest. When PostgreSQL is missing its subtest is skipped,
// or fails when CI=true.
func Each(t *testing.T, body func(t *testing.T, e Env)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		body(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		body(t, Postgres(t))
	})
}

// SQLite makes an environment on a fresh SQLite database.
func SQLite(t testing.TB) Env {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mintreu.db")
	if err := os.WriteFile(path, sqliteTemplate(t), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := lite.Open(t.Context(), lite.Config{Path: path, OnHeld: heldCheck(t)})
	if err != nil {
		t.Fatal(err)
	}
	return newEnv(t, d)
}

// Postgres makes an environment on a fresh PostgreSQL database.
func Postgres(t testing.TB) Env {
	t.Helper()
	return newEnv(t, OpenPostgres(t, PostgresURL(t)))
}

// patience is how long a test waits for a row, a statement or a connection. A service gives up sooner, so that its callers may come again; whoever
// tests it shares a busy machine with others.
const patience = time.Minute

// PostgresURL makes a fresh, migrated PostgreSQL database and returns its URL, for tests that start a whole program on it.
func PostgresURL(t testing.TB) string {
	t.Helper()
	dbtest.Postgres(t) // skips or fails when there is none
	template := dbtest.PostgresTemplate(t, "mintreu_template_"+schemaName(t), func(ctx context.Context, url string) error {
		d, err := pg.Open(ctx, pg.Config{URL: url, MaxConns: 4})
		if err != nil {
			return err
		}
		defer d.Close()
		return store.Migrate(ctx, d)
	})
	return fmt.Sprintf("%s&lock_timeout=%d&statement_timeout=%[2]d", dbtest.PostgresDatabase(t, template), patience.Milliseconds())
}

// OpenPostgres opens a PostgreSQL database until the test ends.
func OpenPostgres(t testing.TB, url string) *pg.DB {
	t.Helper()
	d, err := pg.Open(t.Context(), pg.Config{URL: url, StatementTimeout: patience, LockTimeout: patience, AcquireTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDB(t, d) })
	return d
}

func newEnv(t testing.TB, d db.DB) Env {
	t.Cleanup(func() { closeDB(t, d) })
	ran := newRecording(d)
	t.Cleanup(func() { ran.check(t) })
	clock := NewClock()
	ids := NewIDs()
	return Env{DB: d, Store: store.New(ran, clock.Now, ids), Clock: clock, IDs: ids}
}

func closeDB(t testing.TB, d db.DB) {
	if err := d.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// heldCheck fails the test when an operation keeps SQLite's only writer for longer than the house allows ([lite.HoldLimit]). A
// single long transaction may be the machine's doing, which runs many tests at once; an operation that works inside its
// transaction (hashing, signing, a call) is slow every time. So what counts is the shortest of its transactions, once there
// were three.
func heldCheck(t testing.TB) func(string, time.Duration) {
	type hold struct {
		n                 int
		shortest, longest time.Duration
	}
	var mu sync.Mutex
	holds := map[string]*hold{}
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for operation, h := range holds {
			if h.n >= 3 && h.shortest > slowdown*lite.HoldLimit {
				t.Errorf("operation %q held the writer for %v to %v in %d transactions, the limit is %v", operation, h.shortest, h.longest, h.n, lite.HoldLimit)
			}
		}
	})
	return func(operation string, held time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		h := holds[operation]
		if h == nil {
			h = &hold{shortest: held}
			holds[operation] = h
		}
		h.n++
		h.shortest, h.longest = min(h.shortest, held), max(h.longest, held)
	}
}

var template struct {
	once sync.Once
	file []byte
	err  error
}

// TemplatesEnv names the environment variable with a directory in which the test programs of one run leave the migrated SQLite file for each
// other, by the hash of the migrations. Without it each program makes its own.
const TemplatesEnv = "MINTREU_TEST_TEMPLATES"

// sqliteTemplate is a migrated database file, read or made once for each test program.
func sqliteTemplate(t testing.TB) []byte {
	t.Helper()
	template.once.Do(func() { template.file, template.err = sharedFile(os.Getenv(TemplatesEnv)) })
	if template.err != nil {
		t.Fatalf("migrate SQLite: %v", template.err)
	}
	return template.file
}

// sharedFile is the migrated file of a directory, where it is left under its name only when it is whole. Programs that come at the same time
// each make it, and the last one's stays: they are alike.
func sharedFile(dir string) ([]byte, error) {
	if dir == "" {
		return migratedFile()
	}
	sum, err := store.SchemaHash()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, sum+".db")
	if file, err := os.ReadFile(path); err == nil {
		return file, nil
	}
	file, err := migratedFile()
	if err != nil {
		return nil, err
	}
	unfinished, err := os.CreateTemp(dir, sum)
	if err != nil {
		return nil, err
	}
	_, err = unfinished.Write(file)
	if err := errors.Join(err, unfinished.Close()); err != nil {
		return nil, err
	}
	return file, os.Rename(unfinished.Name(), path)
}

func migratedFile() ([]byte, error) {
	dir, err := os.MkdirTemp("", "mintreu-template-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "mintreu.db")
	ctx := context.Background()
	d, err := lite.Open(ctx, lite.Config{Path: path})
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx, d); err != nil {
		_ = d.Close()
		return nil, err
	}
	if err := d.Close(); err != nil { // moves the log into the file
		return nil, err
	}
	return os.ReadFile(path)
}

// schemaName is a short hash of the migrations, so that a changed schema gets a new template.
func schemaName(t testing.TB) string {
	t.Helper()
	sum, err := store.SchemaHash()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// NewIDs makes identifiers as the program does: a prefix and a UUIDv7.
func NewIDs() licensing.IDs {
	return func(prefix string) string {
		return prefix + "_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
	}
}
