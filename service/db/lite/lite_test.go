package lite_test

import (
	"path/filepath"
	"testing"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/db/lite"
)

// open opens a fresh database until the test ends.
func open(t *testing.T, c lite.Config) *lite.DB {
	t.Helper()
	if c.Path == "" {
		c.Path = filepath.Join(t.TempDir(), "test.db")
	}
	d, err := lite.Open(t.Context(), c)
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

// SQLite keeps every promise of the seam.
func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, dbtest.Suite{Open: func(t *testing.T) db.DB { return open(t, lite.Config{}) }})
}
