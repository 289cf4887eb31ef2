// Package dbtest is the one conformance suite of the SQL seam ([Run]) and the means to test on a real PostgreSQL
// ([Postgres]). Whatever the suite asserts, a statement may rely on with either engine.
package dbtest

import (
	"context"
	"testing"

	"github.com/mintreu/mintreu/service/db"
)

// Suite says how to test an adapter.
type Suite struct {
	// Open opens a fresh, empty database that is closed when the test ends.
	Open func(t *testing.T) db.DB
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	for name, test := range map[string]func(t *testing.T, d db.DB){
		"Types":                     types,
		"Nulls":                     nulls,
		"NullIntoPlainTargetFails":  nullIntoPlain,
		"NamedTypes":                namedTypes,
		"Times":                     times,
		"CaseSensitive":             caseSensitive,
		"BytewiseOrder":             bytewiseOrder,
		"TextRefused":               textRefused,
		"JSONText":                  jsonText,
		"Kinds":                     kinds,
		"NoRows":                    noRows,
		"Ask":                       ask,
		"AskInTx":                   askInTx,
		"RowsAffected":              rowsAffected,
		"WritesThatReturnRows":      returning,
		"SecondSpelling":            secondSpelling,
		"Aggregates":                aggregates,
		"CommitAndRollback":         commitAndRollback,
		"PanicRollsBack":            panicRollsBack,
		"NestedFailureUndoesItself": nestedFailure,
		"NestedPanicUndoesItself":   nestedPanic,
		"NestedDeep":                nestedDeep,
		"FailedStatementFailsTx":    failedStatement,
		"CancelledTx":               cancelledTx,
		"CancelledBeforeStart":      cancelledBefore,
		"ContextAfterTx":            contextAfterTx,
		"OuterContextInTx":          outerContext,
		"ForUpdateLosesNone":        forUpdate,
		"ConditionalUpdateKeeps":    conditionalUpdate,
		"UniqueUnderRace":           uniqueRace,
		"ReadsSeeOnlyCommitted":     readsCommitted,
		"BatchAllOrNone":            batch,
		"BatchInTx":                 batchInTx,
		"BatchInsert":               batchInsert,
		"BatchInsertAllOrNone":      batchInsertAllOrNone,
		"BulkInsert":                bulkInsert,
		"BulkInsertAllOrNone":       bulkAllOrNone,
		"ImmutableTrigger":          immutable,
		"SchemaChange":              schemaChange,
		"Ping":                      ping,
		"ClosedIsUnavailable":       closed,
		"TwoDatabases":              twoDatabases(s),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s.Open(t))
		})
	}
}

// must runs statements that may not fail.
func must(t *testing.T, d db.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := d.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// count is the number of rows of a table.
func count(t *testing.T, ctx context.Context, d db.DB, table string) int64 {
	t.Helper()
	var n int64
	if err := d.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatalf("count %s: %v", table, err)
	}
	return n
}
