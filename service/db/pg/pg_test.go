package pg_test

import (
	"testing"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/db/pg"
)

// open opens a fresh database until the test ends.
func open(t *testing.T, c pg.Config) *pg.DB {
	t.Helper()
	if c.URL == "" {
		c.URL = dbtest.PostgresDatabase(t, "")
	}
	d, err := pg.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// PostgreSQL keeps every promise of the seam.
func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, dbtest.Suite{Open: func(t *testing.T) db.DB { return open(t, pg.Config{}) }})
}
