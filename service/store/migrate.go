package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/mintreu/mintreu/service/db"
)

//go:embed all:migrations
var embedded embed.FS

// ErrNewerSchema means that a newer program has migrated the database; this one must not touch it.
var ErrNewerSchema = errors.New("the database was migrated by a newer version of mintreu")

// migratable is what both adapters offer besides [db.DB].
type migratable interface {
	SQLDB() *sql.DB
	MigrateQueue(ctx context.Context, down bool) error
}

// Migration is the state of one migration.
type Migration struct {
	Version   int64
	File      string
	Applied   bool
	AppliedAt time.Time // zero when not applied
}

// Migrate brings a database to the newest schema, including the job queue's tables. Each migration is one transaction, so a
// kill leaves a database that the next call continues with. Any number of processes may call it at once: one does the work,
// the others wait. It fails with [ErrNewerSchema] when the database is ahead of the program.
func Migrate(ctx context.Context, database db.DB) error {
	m, provider, err := migrator(database)
	if err != nil {
		return err
	}
	if err := notNewer(ctx, provider); err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := m.MigrateQueue(ctx, false); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// MigrateDown undoes every migration above the version; 0 removes everything, the job queue's tables too.
func MigrateDown(ctx context.Context, database db.DB, version int64) error {
	m, provider, err := migrator(database)
	if err != nil {
		return err
	}
	if version == 0 {
		if err := m.MigrateQueue(ctx, true); err != nil {
			return fmt.Errorf("migrate down: %w", err)
		}
	}
	if _, err := provider.DownTo(ctx, version); err != nil {
		return fmt.Errorf("migrate down: %w", err)
	}
	return nil
}

// MigrationStatus lists the migrations this program knows, in order.
func MigrationStatus(ctx context.Context, database db.DB) ([]Migration, error) {
	_, provider, err := migrator(database)
	if err != nil {
		return nil, err
	}
	status, err := provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("migration status: %w", err)
	}
	out := make([]Migration, 0, len(status))
	for _, s := range status {
		out = append(out, Migration{
			Version: s.Source.Version, File: s.Source.Path, Applied: s.State == goose.StateApplied, AppliedAt: s.AppliedAt.UTC(),
		})
	}
	return out, nil
}

// SchemaHash is a short name of the schema this program knows: 12 hex digits that change when any migration does.
func SchemaHash() (string, error) {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return "", err
	}
	names, err := fs.Glob(sub, "*.sql")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range names {
		text, err := fs.ReadFile(sub, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func notNewer(ctx context.Context, provider *goose.Provider) error {
	have, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if have > known {
		return fmt.Errorf("%w: it is at %d, this program knows %d", ErrNewerSchema, have, known)
	}
	return nil
}

func migrator(database db.DB) (migratable, *goose.Provider, error) {
	m, ok := database.(migratable)
	if !ok || m.SQLDB() == nil {
		return nil, nil, fmt.Errorf("migrate: %w: this database cannot be migrated (opened read-only?)", db.ErrUnavailable)
	}
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, nil, err
	}
	files, err := migrationFiles(sub, database.Engine())
	if err != nil {
		return nil, nil, err
	}
	dialect := goose.DialectSQLite3
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if database.Engine() == db.Postgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600))
		if err != nil {
			return nil, nil, err
		}
		dialect, options = goose.DialectPostgres, append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, m.SQLDB(), files, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("migrate: %w", err)
	}
	return m, provider, nil
}

// migrationFiles is the set of migrations of one engine: the shared files and the engine's own (".pg.sql", ".lite.sql").
// Collations are taken out for SQLite, whose text compares by bytes anyway.
func migrationFiles(source fs.FS, engine db.Engine) (fs.FS, error) {
	names, err := fs.Glob(source, "*.sql")
	if err != nil {
		return nil, err
	}
	other := ".lite.sql"
	if engine == db.SQLite {
		other = ".pg.sql"
	}
	files := memory{}
	for _, name := range names {
		if strings.HasSuffix(name, other) {
			continue
		}
		text, err := fs.ReadFile(source, name)
		if err != nil {
			return nil, err
		}
		if engine == db.SQLite {
			text = bytes.ReplaceAll(text, []byte(` COLLATE "C"`), nil)
		}
		files[name] = text
	}
	return files, nil
}
