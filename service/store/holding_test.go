package store_test

import (
	"context"
	"slices"
	"testing"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What a list of orders tells of each is what its snapshot says, whatever its lines are called and however the order was stored: with a
// column for it, or by a version that had none.
func TestContentsSayWhatTheSnapshotSays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		now := e.Clock.Now()
		var want []insight.LineBrief
		o := order.Order{ID: e.IDs.New("ord"), Owner: "cus_1", Email: "a@example.com", Env: "live", State: order.Pending, Currency: "EUR", SecretHash: []byte{1}, Access: []byte{1},
			Version: 1, CreatedAt: now, UpdatedAt: now, ExpiresAt: now, CheckedAt: now}
		for i, name := range []string{"Notes", "", "12 monkeys", `{"a": 1}`, "Übersee – 海", "two\nlines"} {
			quantity := int64(1 + 41*i)
			o.Snapshot.Lines = append(o.Snapshot.Lines, order.Line{ID: e.IDs.New("orl"), N: int64(i + 1), ProductID: "prd_1", PlanID: "pln_1", PriceID: "prc_1", Unit: 1000, Quantity: quantity, ProductName: name, PlanName: "Pro: one"})
			want = append(want, insight.LineBrief{Name: name + ": Pro: one", Quantity: quantity})
		}
		told := func(lines int, change string, args ...any) {
			t.Helper()
			if change == "" {
				o.ID, o.Snapshot.Lines = e.IDs.New("ord"), o.Snapshot.Lines[:lines]
				for i := range o.Snapshot.Lines {
					o.Snapshot.Lines[i].ID = e.IDs.New("orl")
				}
				if err := e.Store.InTx(t.Context(), func(ctx context.Context) error { return e.Store.Orders().Add(ctx, o) }); err != nil {
					t.Fatal(err)
				}
			} else if _, err := e.DB.Exec(t.Context(), change, args...); err != nil {
				t.Fatal(err)
			}
			held, err := e.Store.Holdings().Holdings(t.Context(), "cus_1", now, insight.Limits{Orders: 1})
			if err != nil || len(held.Orders) == 0 || held.Orders[0].ID != o.ID || !slices.Equal(held.Orders[0].Lines, want[:lines]) {
				t.Errorf("%d lines, %q: %+v, %v", lines, change, held.Orders, err)
			}
		}
		told(6, "") // one does not go into a line, so the snapshot is read
		told(5, "")
		told(1, "")
		told(1, `UPDATE orders SET snapshot = '{}' WHERE id = $1`, o.ID) // the column alone is read
		told(0, `UPDATE orders SET contents = '' WHERE id = $1`, o.ID)
	})
}
