package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/limit"
)

// quotas implements [limit.Ledger].
type quotas struct{ *Store }

var _ limit.Ledger = (*quotas)(nil)

// Quotas returns the ledger of quotas.
func (s *Store) Quotas() limit.Ledger { return &quotas{s} }

// Keep implements [limit.Ledger].
func (s *quotas) Keep(ctx context.Context, process string, seq int64, spent []limit.Spent) error {
	spent = slices.SortedFunc(slices.Values(spent), func(a, b limit.Spent) int { return strings.Compare(a.Counter, b.Counter) }) // as they are purged
	statements := make([]db.Statement, len(spent))
	for i, q := range spent {
		statements[i] = db.Statement{SQL: `INSERT INTO quota_spent AS q (counter, process, used, seq, until) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (counter, process) DO UPDATE SET used = EXCLUDED.used, seq = EXCLUDED.seq WHERE q.seq < EXCLUDED.seq`,
			Args: []any{q.Counter, process, q.Used, seq, q.Until}}
	}
	_, err := s.db.Batch(ctx, statements)
	return err
}

// maxCounters is how many counters one query asks for.
const maxCounters = 500

// Used implements [limit.Ledger].
func (s *quotas) Used(ctx context.Context, counters []string, but string) (map[string]int64, error) {
	used := make(map[string]int64, len(counters))
	for len(counters) > 0 {
		n := min(len(counters), maxCounters)
		in, args := inList(counters[:n], 2)
		rows, err := s.db.Query(ctx, `SELECT counter, CAST(sum(used) AS bigint) FROM quota_spent WHERE process <> $1 AND counter IN (`+in+`) GROUP BY counter`,
			append([]any{but}, args...)...)
		spent, err := db.Collect(rows, err, func(row db.Row) (q limit.Spent, err error) { return q, row.Scan(&q.Counter, &q.Used) })
		if err != nil {
			return nil, err
		}
		for _, q := range spent {
			used[q.Counter] = q.Used
		}
		counters = counters[n:]
	}
	return used, nil
}

// PurgeQuotas forgets what was used in periods that ended before an instant, and reports how many rows that were.
func (s *Store) PurgeQuotas(ctx context.Context, before time.Time) (purged int64, err error) {
	for {
		n, err := s.db.Exec(ctx, `DELETE FROM quota_spent WHERE (counter, process) IN (SELECT counter, process FROM quota_spent WHERE until < $1 ORDER BY counter, process LIMIT $2 FOR UPDATE)`, before, purgeMost)
		if purged += n; err != nil || n < purgeMost {
			return purged, err
		}
	}
}

// purgeMost is how many rows of quotas are forgotten by one statement: the quotas of a month end all at once, and whoever writes meanwhile gets his turn.
const purgeMost = 1000
