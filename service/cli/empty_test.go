package cli_test

import (
	"testing"

	"github.com/mintreu/mintreu/service/db/dbtest"
)

// emptyDatabase makes a PostgreSQL database without a table and returns its URL.
func emptyDatabase(t testing.TB) string {
	t.Helper()
	dbtest.Postgres(t) // skips or fails when there is none
	return dbtest.PostgresDatabase(t, "template1")
}
