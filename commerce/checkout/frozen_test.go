package checkout_test

import (
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestINV1_FrozenTermsAreGiven guarantees that a license has the terms that its policy had when it was ordered, whatever became of the
// policy before the payment arrived.
func TestINV1_FrozenTermsAreGiven(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, 1)
		list := must(s.licenses.ListPolicies(s.staff, license.ListPoliciesRequest{Product: s.product.ID}))(t)
		p := list.Items[0]
		must(s.licenses.ChangePolicy(as(t.Context(), licensing.Actor{Kind: licensing.Staff, ID: "cus_boss", Role: licensing.RoleAdmin}), license.ChangePolicyRequest{
			ID: p.ID, Version: p.Version, Name: p.Name, Terms: license.Terms{Type: doc.Timed, Duration: license.Day, Seats: license.Seats{N: 7, By: doc.ByUser}}}))(t)
		s.bank.pay(c.ID)
		if err := s.Fulfil(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		after := s.order(t, 1)
		s.bank.pay(after.ID)
		if err := s.Fulfil(t.Context(), after.ID); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]license.Terms{c.ID: {Type: doc.Perpetual, Seats: license.Seats{N: 2, By: doc.ByDevice}},
			after.ID: {Type: doc.Timed, Seats: license.Seats{N: 7, By: doc.ByUser}}} {
			given := must(s.deps.Grants.Given(t.Context(), id))(t)
			for _, g := range given {
				if g.Kind != "license" {
					continue
				}
				l := must(s.Store.Licenses().LicenseByID(t.Context(), g.Object))(t)
				if l.Terms.Type != want.Type || l.Terms.Seats != want.Seats || l.Seats != want.Seats.N || l.ValidUntil.IsZero() != (want.Type == doc.Perpetual) {
					t.Errorf("order %s gave %+v, %d seats until %v", id, l.Terms, l.Seats, l.ValidUntil)
				}
			}
		}
	})
}
