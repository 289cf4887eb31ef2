package catalog_test

import (
	"context"
	"testing"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestM05_OnePersonCannotApproveAlone guarantees that a changed price is not approved by whoever proposed it under another account of the
// same address, nor by whoever made the machine token that proposed it, and that it is by somebody else.
func TestM05_OnePersonCannotApproveAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, false)
		for id, email := range map[string]string{"cus_ada": "ada@shop.example", "cus_ada2": "ada+second@shop.example", "cus_bob": "bob@shop.example"} {
			if _, err := e.DB.Exec(t.Context(), `INSERT INTO customer (id, email, name, role, password, created_at, updated_at) VALUES ($1, $2, '', 'admin', '', $3, $3)`,
				id, email, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.DB.Exec(t.Context(), `INSERT INTO machine_token (id, name, scopes, product_id, env, created_by, created_at)
			VALUES ('mtk_1', 'import', '[]', '', '', 'staff:cus_ada', $1)`, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		as := func(kind licensing.ActorKind, id string) context.Context {
			return licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: kind, ID: id, Role: licensing.RoleAdmin, Fresh: true}})
		}
		_, plan := s.plan(t)
		must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan.ID, Price: money.New(2000, "EUR")}))(t)
		for i, proposer := range []context.Context{s.ada, as(licensing.Machine, "mtk_1")} {
			p := must(s.prices.SetPrice(proposer, pricing.SetPriceRequest{Plan: plan.ID, Price: money.New(3000+int64(i), "EUR")}))(t)
			for _, same := range []string{"cus_ada", "cus_ada2"} {
				_, err := s.prices.ApprovePrice(as(licensing.Staff, same), pricing.PriceRequest{ID: p.ID})
				refused(t, err, "second-person-needed")
			}
			if got := must(s.prices.ApprovePrice(s.bob, pricing.PriceRequest{ID: p.ID}))(t); got.State != pricing.Approved || got.SingleOperator {
				t.Errorf("%+v", got)
			}
		}
	})
}
