package audit_test

import (
	"context"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// Numbering the rows that wait reads those of the trail and not the whole of it, also where the planner knows that many wait.
func TestNumberingReadsWhatWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Postgres(t)) // SQLite has no other way than by the index
	r.exec(t, `INSERT INTO audit (id, at, actor, request, operation, action, target, product, reason, detail, leaf)
		SELECT 'aud_' || lpad(n::text, 32, '0'), now(), '', '', '', 'thing.change', '', '', '', '{}', decode(repeat('00', 32), 'hex') FROM generate_series(1, 5000) n`)
	events := make([]licensing.Event, 300)
	for i := range events {
		events[i] = licensing.Event{Action: "thing.change", Target: r.IDs.New("thg")}
	}
	if err := r.Store.InTx(t.Context(), func(ctx context.Context) error { return r.recorder.RecordMany(ctx, events) }); err != nil {
		t.Fatal(err)
	}
	r.exec(t, `ANALYZE audit`)
	r.exec(t, `ANALYZE audit_pending`)
	err := r.Store.InTx(t.Context(), func(ctx context.Context) error {
		waiting, err := r.Store.Audit().Waiting(ctx, len(events))
		if err != nil {
			return err
		}
		var scans int
		err = r.DB.QueryRow(ctx, `SELECT seq_scan FROM pg_stat_xact_user_tables WHERE schemaname = current_schema() AND relname = 'audit'`).Scan(&scans)
		if len(waiting) != len(events) || scans != 0 {
			t.Errorf("%d rows wait, for which the trail was read %d times from end to end", len(waiting), scans)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := r.sequence(t); n != len(events) {
		t.Errorf("%d rows were numbered", n)
	}
}
