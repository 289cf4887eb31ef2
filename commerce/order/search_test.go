package order_test

import (
	"context"
	"testing"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestR04_SearchFindsOrders: staff find an order by its id, its receipt, its address and what it gave; a customer's search finds among
// their own alone.
func TestR04_SearchFindsOrders(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s, now := order.NewService(order.Deps{Store: e.Store.Orders(), Credits: e.Store.Credits()}), e.Clock.Now()
		ids := map[string]string{}
		for _, who := range []string{"ada", "bob"} {
			o := order.Order{ID: e.IDs.New("ord"), Owner: licensing.Owner("cus_" + who), Email: who + "@example.com", Env: "live", State: order.Paid, Currency: "EUR", SecretHash: []byte{1},
				Access: []byte{1}, Version: 1, CreatedAt: now, UpdatedAt: now, ExpiresAt: now, CheckedAt: now, PaidAt: now}
			o.Snapshot.Lines = []order.Line{{ID: e.IDs.New("orl"), N: 1, ProductID: "prod_" + who, PlanID: "plan_1", PriceID: "prc_1", Unit: 1000, Quantity: 1}}
			ids[who] = o.ID
			if err := e.Store.InTx(t.Context(), func(ctx context.Context) error {
				if err := e.Store.Orders().Add(ctx, o); err != nil {
					return err
				}
				_, err := e.Store.Orders().GiveReceipt(ctx, o.ID, "T2026", now)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := e.DB.Exec(t.Context(), `INSERT INTO order_grant (source, order_id, line_id, kind, object_id, state, hint, created_at, updated_at)
				VALUES ($1, $2, $1, 'license', $3, 'active', '', $4, $4)`, o.Snapshot.Lines[0].ID, o.ID, "lic_"+who, now); err != nil {
				t.Fatal(err)
			}
		}
		for q, want := range map[string][2]int{ids["ada"]: {1, 0}, ids["bob"]: {1, 1}, " Ada@Example.com": {1, 0}, "t2026-000001": {1, 0}, "T2026-000002": {1, 1}, "lic_ada": {1, 0}, "lic_bob": {1, 1},
			"ord_none": {0, 0}, "2025-000001": {0, 0}, "key_none": {0, 0}, "": {2, 1}} {
			for i, actor := range []licensing.Actor{{Kind: licensing.Staff, ID: "cus_s", Role: licensing.RoleAdmin}, {Kind: licensing.Customer, ID: "cus_bob", Owner: "cus_bob"}} {
				ctx := licensing.WithCall(t.Context(), &licensing.Call{Actor: actor})
				page, err := s.List(ctx, order.ListRequest{Query: q})
				if err != nil || len(page.Items) != want[i] {
					t.Errorf("%s finds %d by %q, want %d (%v)", actor, len(page.Items), q, want[i], err)
				}
			}
		}
		ctx := licensing.WithCall(t.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Staff, Role: licensing.RoleAdmin}})
		for _, r := range []order.ListRequest{{State: order.Paid, Page: licensing.Page{Limit: 1}}, {Product: "prod_ada"}} {
			if page, err := s.List(ctx, r); err != nil || len(page.Items) != 1 {
				t.Errorf("%+v: %+v, %v", r, page, err)
			}
		}
	})
}
