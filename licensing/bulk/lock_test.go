package bulk_test

import (
	"context"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// F24: a run on keys holds the families of their owners first, in the order of the owners.
func TestF24_RunTakesFamiliesInTheirOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Postgres(t))
	for range 2 {
		w.key(t, apikey.CreateRequest{Name: "one"})
	}
	const low, high = "cus_1", "cus_2"
	bought := `UPDATE api_key SET source_kind = 'order_unit', owner = CASE WHEN id = (SELECT max(id) FROM api_key) THEN $1 ELSE $2 END`
	if _, err := w.DB.Exec(t.Context(), bought, low, high); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ActKeys(w.ctx, bulk.ActKeysRequest{Action: "suspend", Count: 2, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	hold := func(owner licensing.Owner) func(ctx context.Context) error {
		return func(ctx context.Context) error { return w.Store.KeyTemplates().HoldFamily(ctx, owner) }
	}
	for _, owner := range []licensing.Owner{low, high} { // so that there is a row of each
		if err := w.Store.InTx(licensing.AsSystem(t.Context(), "test"), hold(owner)); err != nil {
			t.Fatal(err)
		}
	}
	storetest.Cross(t, w.Env, storetest.Crossing{First: hold(low), Then: hold(high), Other: w.worker(t)})
}

// worker does the job that waits.
func (w *world) worker(t *testing.T) func(ctx context.Context) error {
	t.Helper()
	job, ok := w.jobs.take()
	if !ok {
		t.Fatal("there is no job")
	}
	return func(ctx context.Context) error { return w.run(ctx, job) }
}
