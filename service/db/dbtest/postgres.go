package dbtest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/dbtest/server"
	"github.com/mintreu/mintreu/service/db/pg"
)

// PostgresEnv names the environment variable with the URL of a PostgreSQL server to test on. The tests make and drop
// databases of their own there. Without it they start a private server, once for each test program.
const PostgresEnv = "MINTREU_TEST_POSTGRES_URL"

var shared struct {
	once  sync.Once
	url   string
	admin *pg.DB
	err   error
	// templates is held while a template is looked for or made: those who wait for another program's hold a connection of admin,
	// and must leave one for who makes it.
	templates sync.Mutex
}

// Postgres returns the URL of the server under test. When there is none it skips the test, or fails it when CI=true.
func Postgres(t testing.TB) string {
	t.Helper()
	shared.once.Do(startShared)
	need(t, shared.err)
	return shared.url
}

// PrivatePostgres starts a server with durable commits that belongs to this test alone, which may kill it.
func PrivatePostgres(t testing.TB) *server.Postgres {
	t.Helper()
	p, err := server.NewPostgres(t.Context(), true)
	need(t, err)
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return p
}

// need skips the test when PostgreSQL is not installed, and fails it then when CI=true, and whenever it does not start.
func need(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, server.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skipf("PostgreSQL is missing, so nothing was tested on it: %v; install it or set %s", err, PostgresEnv)
	}
	if err != nil {
		t.Fatalf("PostgreSQL is needed: %v; install it or set %s", err, PostgresEnv)
	}
}

// startShared starts the server of this test program. Its watcher ends it when the program does.
func startShared() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if shared.url = os.Getenv(PostgresEnv); shared.url == "" {
		if shared.url, _, shared.err = server.StartPostgres(ctx); shared.err != nil {
			return
		}
	}
	shared.admin, shared.err = pg.Open(ctx, pg.Config{URL: shared.url, MaxConns: 4, LockTimeout: 2 * time.Minute, StatementTimeout: 2 * time.Minute})
}

// PostgresDatabase makes a fresh database, a copy of the named template unless that is empty, and returns its URL. It is
// dropped when the test ends.
func PostgresDatabase(t testing.TB, template string) string {
	t.Helper()
	base := Postgres(t)
	name := "mintreu_" + strings.ToLower(rand.Text())
	if err := createDatabase(t.Context(), name, template); err != nil {
		t.Fatalf("create database: %v", err)
	}
	t.Cleanup(func() {
		if _, err := shared.admin.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return withName(t, base, name)
}

// PostgresTemplate makes sure that a database of this name exists, filled by fill, and returns the name. Test programs that
// share a server fill it once between them; the name must therefore change when the content does.
func PostgresTemplate(t testing.TB, name string, fill func(ctx context.Context, url string) error) string {
	t.Helper()
	base := Postgres(t)
	shared.templates.Lock()
	defer shared.templates.Unlock()
	err := shared.admin.InTx(context.Background(), func(ctx context.Context) error {
		if _, err := shared.admin.Exec(ctx, "SELECT pg_advisory_xact_lock(7021001)"); err != nil {
			return err
		}
		var there bool
		if err := shared.admin.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil || there {
			return err
		}
		return fillTemplate(name, func(ctx context.Context, unfinished string) error {
			return fill(ctx, withName(t, base, unfinished))
		})
	})
	if err != nil {
		t.Fatalf("make the template database: %v", err)
	}
	return name
}

// fillTemplate fills a database under another name first, so that an interrupted fill is never taken for a finished one. It
// runs on its own goroutine, since it works beside the transaction that holds the lock.
func fillTemplate(name string, fill func(ctx context.Context, name string) error) error {
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		unfinished := name + "_" + strings.ToLower(rand.Text()[:8])
		err := createDatabase(ctx, unfinished, "")
		if err == nil {
			err = fill(ctx, unfinished)
		}
		if err == nil {
			_, err = shared.admin.Exec(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+name)
		}
		done <- err
	}()
	return <-done
}

// createDatabase tries again while the template is in use by another copy.
func createDatabase(ctx context.Context, name, template string) error {
	statement := "CREATE DATABASE " + name + " TEMPLATE template0"
	if template != "" {
		statement = "CREATE DATABASE " + name + " TEMPLATE " + template
	}
	for attempt := 0; ; attempt++ {
		_, err := shared.admin.Exec(ctx, statement)
		if err == nil || errors.Is(err, db.ErrUnique) || attempt == 5 || !strings.Contains(err.Error(), "55006") {
			return err
		}
	}
}

func withName(t testing.TB, base, name string) string {
	u, err := url.Parse(base)
	if err != nil {
		t.Fatalf("%s: %v", PostgresEnv, err)
	}
	u.Path = "/" + name
	return u.String()
}
