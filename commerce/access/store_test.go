package access_test

import (
	"errors"
	"testing"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// Every way to ask is answered by both engines, from indexes, and finds nothing where nothing is: which a customer is told as 404, like
// staff who name something certain, while a customer without anything is told so.
func TestExplain_OfNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := access.New(access.Deps{Store: e.Store.Access(), Clock: e.Clock.Now, Off: func() []access.Off { return nil }, Decide: func(*license.License) license.View { return license.View{} }})
		customer := licensing.WithCall(t.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_1", Owner: "cus_1"}})
		staff := licensing.WithCall(t.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_2", Role: licensing.RoleSupport}})
		for name, r := range map[string]access.ExplainRequest{
			"license": {License: "lic_1"}, "key": {Key: "key_1"}, "order": {Order: "ord_1"}, "hint": {Query: "7F3QX"}, "product": {Product: "editor"}, "license of a product": {License: "lic_1", Product: "editor"},
		} {
			if _, err := s.Explain(customer, r); !errors.Is(err, licensing.ErrNotFound) {
				t.Errorf("%s by a customer: %v", name, err)
			}
			if _, err := s.Explain(staff, r); !errors.Is(err, licensing.ErrNotFound) && (name != "product" || licensing.KindOf(err) != licensing.Invalid) {
				t.Errorf("%s by staff: %v", name, err)
			}
		}
		for name, r := range map[string]access.ExplainRequest{"customer": {Customer: "cus_1"}, "email": {Email: "ada@example.com"}, "text": {Query: " Ada@example.com "}, "organisation": {Customer: "org_1"}} {
			if out, err := s.Explain(staff, r); err != nil || out.Allowed || out.Text == "" || out.Do == "" || len(out.Chains) != 0 {
				t.Errorf("%s by staff: %+v, %v", name, out, err)
			}
		}
		if out, err := s.Explain(customer, access.ExplainRequest{}); err != nil || out.Allowed || out.Text != "Nothing was bought or given here." {
			t.Errorf("a customer without anything: %+v, %v", out, err)
		}
		for name, r := range map[string]access.ExplainRequest{"another": {Customer: "cus_2"}, "an address": {Email: "ada@example.com"}, "a text with an address": {Query: "bob@example.com"}} {
			if _, err := s.Explain(customer, r); !errors.Is(err, licensing.ErrNotFound) {
				t.Errorf("a customer asks for %s: %v", name, err)
			}
		}
		for name, r := range map[string]access.ExplainRequest{"nothing": {}, "two things": {License: "lic_1", Order: "ord_1"}, "a whole key": {Query: "MINT-AAAAA-BBBBB-CCCCC-DDDDD-EEEEE-FFFFF"}} {
			if _, err := s.Explain(staff, r); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("staff ask for %s: %v", name, err)
			}
		}
	})
}

// TestA05_Handy: what is pasted never puts a whole key into an address; ids and e-mail addresses stay as they are.
func TestA05_Handy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", " ada@example.com ": "ada@example.com", "lic_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b": "lic_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b", "7f3qx": "7f3qx",
		" MINT-AAAAA-BBBBB-CCCCC-DDDDD-EEEEE-7f3qx ":       "7F3QX",
		"mtr_live_AbCdEfGhIj_0123456789012345678901abcdef": "AbCdEfGhIj",
		"an imported key of another shape":                 "SHAPE", "AbCdEfGhIj": "AbCdEfGhIj",
		"key_live_AbCdEfGhIj_0123456789012345678901abcdef": "AbCdEfGhIj", "lic_test_AbCdEfGhIj_0123456789012345678901abcdef": "AbCdEfGhIj",
	} {
		if got := access.Handy(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
