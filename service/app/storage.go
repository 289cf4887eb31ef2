package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"go.opentelemetry.io/otel"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/lite"
	"github.com/mintreu/mintreu/service/db/pg"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store"
)

// storage is the opened database and the key that opens its secrets.
type storage struct {
	db    db.DB
	lite  *lite.DB // nil on PostgreSQL
	pg    *pg.DB   // nil on SQLite
	store *store.Store
	key   *seal.Key
}

// openMode says what a process means to do with the database.
type openMode int

const (
	owning   openMode = iota // the one writer of the data directory, or one of many replicas
	reading                  // beside a running service; no migration, no writes
	looking                  // reading, without the master key: public things only
	bareOpen                 // owning, without migration: the migrate command itself
)

// openStorage opens the data directory and the database, brings the schema up to date and proves the master key.
func openStorage(ctx context.Context, c Config, log *slog.Logger, mode openMode) (*storage, error) {
	if err := prepareDir(c, mode); err != nil {
		return nil, err
	}
	s := &storage{}
	if err := s.open(ctx, c, log, mode); err != nil {
		return nil, err
	}
	if err := s.ready(ctx, c, mode); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

func prepareDir(c Config, mode openMode) error {
	if mode.readOnly() {
		if !Exists(c) {
			return fmt.Errorf("%s has no database yet; \"mintreu serve --data-dir %s\" makes one", c.DataDir, c.DataDir)
		}
		return nil
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return os.Chmod(c.DataDir, 0o700)
}

func (s *storage) open(ctx context.Context, c Config, log *slog.Logger, mode openMode) (err error) {
	if c.Embedded() {
		s.lite, err = lite.Open(ctx, lite.Config{Path: filepath.Join(c.DataDir, databaseFile), ReadOnly: mode.readOnly(), Logger: log, Clock: c.Clock})
		if errors.Is(err, lite.ErrLocked) {
			return fmt.Errorf("another mintreu works in %s; stop it first, or give another --data-dir: %w", c.DataDir, err)
		}
		s.db = s.lite
		return err
	}
	url, err := c.database()
	if err != nil {
		return err
	}
	config := pg.Config{URL: url}
	if c.OTLPEndpoint != "" {
		config.Tracer = pg.Tracing(otel.GetTracerProvider())
	}
	s.pg, err = pg.Open(ctx, config)
	s.db = s.pg
	return err
}

func (s *storage) ready(ctx context.Context, c Config, mode openMode) (err error) {
	if mode == owning {
		if err := store.Migrate(ctx, s.db); err != nil {
			return err
		}
	}
	watched := s.db
	if c.Seams.Watch != nil {
		watched = c.Seams.Watch(s.db)
	}
	s.store = store.New(watched, c.Clock, c.IDs)
	if mode == bareOpen || mode == looking {
		return nil
	}
	if mode == reading {
		s.key, err = provenKey(ctx, c, s.store)
	} else {
		s.key, err = seal.Bootstrap(ctx, c.masterKey(), s.store)
	}
	if err != nil {
		return err
	}
	s.store = s.store.WithSeal(s.key)
	return nil
}

// readOnly reports whether nothing may be written.
func (m openMode) readOnly() bool { return m == reading || m == looking }

// provenKey loads the master key and proves that it is the one of this database, without writing anything.
func provenKey(ctx context.Context, c Config, s *store.Store) (*seal.Key, error) {
	_, err := seal.Load(c.masterKey())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the master key %s is not there; put it back, or name it with --master-key-file", c.masterKey())
	}
	if err != nil {
		return nil, err
	}
	key, err := seal.Bootstrap(ctx, c.masterKey(), kept{s})
	if licensing.KindOf(err) == licensing.NotFound {
		return nil, fmt.Errorf("%s was never started, so nothing is in it yet", c.Target())
	}
	return key, err
}

// masterKey is the path of the master key's file.
func (c Config) masterKey() string {
	if c.MasterKeyFile != "" {
		return c.MasterKeyFile
	}
	return filepath.Join(c.DataDir, "master.key")
}

// engineName is how pages and logs call the database.
func (c Config) engineName() string {
	if c.Embedded() {
		return "SQLite"
	}
	host := c.PostgresURL
	if _, rest, ok := strings.Cut(host, "@"); ok {
		host = rest
	}
	return "PostgreSQL at " + strings.SplitN(host, "?", 2)[0]
}
