package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/mintreu/mintreu/service/store"
)

// setDefaults fills in what every entry of the package needs.
func (c *Config) setDefaults() {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.IDs == nil {
		c.IDs = NewID
	}
}

// MigrateUp brings the database of a configuration to the newest schema.
func MigrateUp(ctx context.Context, c Config) error {
	return withDatabase(ctx, c, func(s *storage) error { return store.Migrate(ctx, s.db) })
}

// MigrateDown undoes every migration above a version; what their tables hold is lost.
func MigrateDown(ctx context.Context, c Config, version int64) error {
	return withDatabase(ctx, c, func(s *storage) error { return store.MigrateDown(ctx, s.db, version) })
}

// MigrationStatus lists the migrations and whether they are applied.
func MigrationStatus(ctx context.Context, c Config) (list []store.Migration, err error) {
	err = withDatabase(ctx, c, func(s *storage) error {
		list, err = store.MigrationStatus(ctx, s.db)
		return err
	})
	return list, err
}

func withDatabase(ctx context.Context, c Config, fn func(*storage) error) error {
	c.setDefaults()
	s, err := openStorage(ctx, c, slog.New(slog.DiscardHandler), bareOpen)
	if err != nil {
		return err
	}
	defer func() { _ = s.db.Close() }()
	return fn(s)
}

// Target names the place that a configuration means, for questions before what cannot be undone.
func (c Config) Target() string {
	if c.Embedded() {
		return c.DataDir
	}
	return c.engineName()
}
