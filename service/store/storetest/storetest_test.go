package storetest_test

import (
	"testing"

	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// Each environment is migrated to the newest schema, takes writes, and is not shared with another.
func TestEachIsMigratedAndAlone(t *testing.T) {
	t.Parallel()
	for range 2 {
		storetest.Each(t, func(t *testing.T, e storetest.Env) {
			ctx := t.Context()
			if err := e.DB.Ping(ctx); err != nil {
				t.Fatal(err)
			}
			status, err := store.MigrationStatus(ctx, e.DB)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range status {
				if !m.Applied {
					t.Errorf("migration %s is not applied", m.File)
				}
			}
			if _, err := e.DB.Exec(ctx, `CREATE TABLE alone (id text COLLATE "C" PRIMARY KEY)`); err != nil {
				t.Error(err)
			}
		})
	}
}
