package license_test

import (
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestR04_SearchFindsLicenses: staff find a license by its id, its owner's id or address and the end of its key; a customer's search
// finds among their own alone.
func TestR04_SearchFindsLicenses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		ada := w.issue(t, w.spec("unit/1"))
		spec := w.spec("unit/2")
		spec.Owner = "cus_bob"
		bob := w.issue(t, spec)
		now := e.Clock.Now()
		if _, err := e.DB.Exec(t.Context(), `INSERT INTO customer (id, email, name, role, password, created_at, updated_at) VALUES ('cus_ada', 'ada@example.com', '', '', '', $1, $1)`, now); err != nil {
			t.Fatal(err)
		}
		customer := licensing.Actor{Kind: licensing.Customer, ID: "cus_bob", Owner: "cus_bob"}
		for q, want := range map[string]struct{ staff, bob int }{
			ada.License.ID: {1, 0}, bob.License.ID: {1, 1}, "cus_ada": {1, 1}, " Ada@Example.com ": {1, 0}, "nobody@example.com": {0, 0}, ada.License.KeyHint: {1, 0},
			"lic_none": {0, 0}, "": {2, 1}} {
			for who, c := range map[string]struct {
				actor licensing.Actor
				want  int
			}{"staff": {licensing.ActorFrom(w.ctx), want.staff}, "bob": {customer, want.bob}} {
				page, err := w.List(w.as(c.actor), license.ListRequest{Query: q})
				if err != nil || len(page.Items) != c.want {
					t.Errorf("%s finds %d by %q, want %d (%v)", who, len(page.Items), q, c.want, err)
				}
				for _, l := range page.Items {
					if who == "bob" && l.Owner != "cus_bob" {
						t.Errorf("bob sees %+v", l)
					}
				}
			}
		}
	})
}
