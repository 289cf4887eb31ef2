package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/licensing"
)

// why asks for an explanation.
func (s *surface) why(t *testing.T, as, query string) access.Explanation {
	t.Helper()
	var out access.Explanation
	s.must(request{Method: http.MethodGet, Path: "/v1/access/explain?" + query, As: as}, &out)
	return out
}

// chainOf is the chain of a license, key or order.
func chainOf(t *testing.T, e access.Explanation, id string) access.Chain {
	t.Helper()
	for _, c := range e.Chains {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("%s is not explained: %+v", id, e)
	return access.Chain{}
}

// said is a chain as state and title of each step.
func said(c access.Chain) string {
	var out []string
	for _, s := range c.Steps {
		out = append(out, string(s.State)+" "+s.Title)
	}
	return strings.Join(out, ", ")
}

// TestAccess_Explain: from the purchase to a suspension, the explanation of a license and of a key says what
// the service does, to the buyer and to staff by whatever they have at hand, on both engines.
func TestAccess_Explain(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		support := s.Staff[licensing.RoleSupport]
		well := "ok Paid, ok Fulfilled, ok Valid, ok On, ok Within its limits"
		for name, q := range map[string][2]string{
			"the buyer by license": {s.A.Session, "license=" + s.A.License}, "the buyer by order": {s.A.Session, "order=" + s.A.Order}, "the buyer by product": {s.A.Session, "product=alpha"},
			"the buyer at large": {s.A.Session, ""}, "the buyer by product id and license": {s.A.Session, "license=" + s.A.License + "&product=" + s.Product},
			"staff by license": {support, "license=" + s.A.License}, "staff by order": {support, "order=" + s.A.Order}, "staff by customer": {support, "customer=" + s.A.ID},
			"staff by e-mail address": {support, "q=Ada@example.com"}, "staff by the end of the key": {support, "q=" + s.A.Key[len(s.A.Key)-5:]}, "the operator": {cli, "email=ada@example.com&product=alpha"},
		} {
			if c := chainOf(t, s.why(t, q[0], q[1]), s.A.License); said(c) != well || !c.Allowed {
				t.Errorf("%s: %s", name, said(c))
			}
		}
		for name, q := range map[string][2]string{"the buyer": {s.A.Session, "key=" + s.A.APIKeyID}, "staff by the name in the key": {support, "q=" + strings.Split(s.A.APIKey, "_")[2]}} {
			if c := chainOf(t, s.why(t, q[0], q[1]), s.A.APIKeyID); said(c) != well || !strings.Contains(c.Steps[4].Text, "left now") {
				t.Errorf("%s: %s, %s", name, said(c), c.Steps[4].Text)
			}
		}
		if c := chainOf(t, s.why(t, s.A.Session, "order="+s.A.Pending), s.A.Pending); said(c) != "blocked Not paid, not_applicable Waits, not_applicable Nothing yet, ok On, not_applicable Not asked" || c.ProductName != "Alpha" {
			t.Errorf("an unpaid order: %s, %+v", said(c), c)
		}

		s.must(request{Method: http.MethodPost, Path: "/v1/licenses/" + s.A.License + "/suspend", As: support, Body: object{"reason": "chargeback"}}, nil)
		e := s.why(t, s.A.Session, "license="+s.A.License)
		if c := e.Chains[0]; said(c) != "ok Paid, ok Fulfilled, blocked Suspended, ok On, ok Within its limits" || c.Allowed || e.Allowed || e.Do == "" {
			t.Errorf("a suspended license: %+v", e)
		}
	})
}

// TestR02_ExplainOfAnothers: whoever asks for another's license, key, order, account or address gets the answer for one that does not exist, and a product
// that is not on sale is one that is not there.
func TestR02_ExplainOfAnothers(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		for name, id := range map[string]string{"license": s.B.License, "key": s.B.APIKeyID, "order": s.B.Order, "customer": s.B.ID, "q": s.B.License} {
			real := s.send(request{Method: http.MethodGet, Path: "/v1/access/explain?" + name + "=" + id, As: s.A.Session})
			none := s.send(request{Method: http.MethodGet, Path: "/v1/access/explain?" + name + "=" + nothing(id), As: s.A.Session})
			if real.Code != http.StatusNotFound || real.text() != none.text() || headers(real) != headers(none) {
				t.Errorf("%s of another: %s\nof nothing: %s", name, real.text(), none.text())
			}
		}
		for _, query := range []string{"email=bob@example.com", "email=nobody@example.com", "q=" + s.B.Key[len(s.B.Key)-5:], "product=beta", "product=gamma"} {
			if a := s.send(request{Method: http.MethodGet, Path: "/v1/access/explain?" + query, As: s.A.Session}); a.Code != http.StatusNotFound {
				t.Errorf("%s answered %d %s", query, a.Code, a.Body)
			}
		}
		own := s.send(request{Method: http.MethodGet, Path: "/v1/access/explain", As: s.A.Session})
		if text := own.Body.String(); own.Code != http.StatusOK || !strings.Contains(text, s.A.License) || strings.Contains(text, s.B.ID) || strings.Contains(text, s.B.License) {
			t.Errorf("A reads of B, or nothing: %d %s", own.Code, text)
		}
		// what another bought and gave away is explained without the order and without whose it was
		if _, err := s.rows.db.Exec(t.Context(), `UPDATE license SET owner = $1 WHERE id = $2`, s.B.ID, s.A.License); err != nil {
			t.Fatal(err)
		}
		res := s.send(request{Method: http.MethodGet, Path: "/v1/access/explain?license=" + s.A.License, As: s.B.Session})
		if text := res.Body.String(); res.Code != http.StatusOK || !strings.Contains(text, s.A.License) || strings.Contains(text, s.A.Order) || strings.Contains(text, s.A.ID) || strings.Contains(text, "ada@example.com") {
			t.Errorf("B reads of what A paid: %d %s", res.Code, text)
		}
		if a := s.send(request{Method: http.MethodGet, Path: "/v1/access/explain?order=" + s.A.Order, As: s.B.Session}); a.Code != http.StatusNotFound {
			t.Errorf("the order of another whose license is B's now: %d %s", a.Code, a.Body)
		}
		if a := s.send(request{Method: http.MethodGet, Path: "/v1/access/explain?q=" + s.A.Key, As: s.Staff[licensing.RoleSupport]}); a.Code/100 != 4 {
			t.Errorf("a whole key in an address answered %d", a.Code)
		}
	})
}
