package apikey_test

import (
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestR04_SearchFindsKeys: staff find a key by its id, its owner's id or address and the hint in its text; a customer's search finds among
// their own alone.
func TestR04_SearchFindsKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		a, text := r.issue(t, nil)
		b, _ := r.issue(t, func(c *apikey.CreateRequest) { c.Owner = "cus_b" })
		parsed, ok := r.Format().Parse(text)
		if !ok {
			t.Fatal("the key's text cannot be read")
		}
		if _, err := e.DB.Exec(t.Context(), `INSERT INTO customer (id, email, name, role, password, created_at, updated_at) VALUES ('cus_a', 'a@example.com', '', '', '', $1, $1)`, e.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		for q, want := range map[string][2]int{a: {1, 0}, b: {1, 1}, "cus_a": {1, 0}, "cus_b": {1, 1}, "A@example.com": {1, 0}, parsed.Hint: {1, 0}, "nothing": {0, 0}, "": {2, 1}} {
			for i, actor := range []licensing.Actor{admin, customer("cus_b")} {
				page, err := r.List(as(t, actor), apikey.ListRequest{Query: q})
				if err != nil || len(page.Items) != want[i] {
					t.Errorf("%s finds %d by %q, want %d (%v)", actor, len(page.Items), q, want[i], err)
				}
			}
		}
	})
}

// Staff are told who owns a key by name, or by address where there is no name; nobody else is.
func TestListNamesOwnersForStaff(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.issue(t, nil)
		r.issue(t, func(c *apikey.CreateRequest) { c.Owner = "cus_b" })
		for id, name := range map[string]string{"cus_a": "", "cus_b": "Bea"} {
			if _, err := e.DB.Exec(t.Context(), `INSERT INTO customer (id, email, name, role, password, created_at, updated_at) VALUES ($1, $2, $3, '', '', $4, $4)`, id, id+"@example.com", name, e.Clock.Now()); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			actor     licensing.Actor
			owner, is string
		}{{admin, "cus_a", "cus_a@example.com"}, {admin, "cus_b", "Bea"}, {customer("cus_b"), "", ""}} {
			page, err := r.List(as(t, c.actor), apikey.ListRequest{Owner: licensing.Owner(c.owner)})
			if err != nil || len(page.Items) != 1 || page.Items[0].OwnerName != c.is {
				t.Errorf("%s is told %+v, want %q (%v)", c.actor, page.Items, c.is, err)
			}
		}
	})
}
