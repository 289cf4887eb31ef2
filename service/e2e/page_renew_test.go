package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/web/ui"
)

// TestRenewPages: the owner of a license whose plan is sold buys its renewal from its page: the same license is valid for longer, the order's
// page and the license's history say so, and staff find the one from the other. A stranger and a visitor find no such license.
func TestRenewPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	plan := s.made(t, "team-plan", "/v1/products/"+s.ids["product"]+"/plans", object{"code": "team", "name": "Team", "type": "timed", "grants": []any{object{"license": object{"policy": "team"}}}})
	s.made(t, "team-price", "/v1/plans/"+plan+"/prices", object{"price": object{"amount": 0, "currency": "EUR"}})
	s.must(t, http.MethodPost, "/v1/plans/"+plan+"/publish", nil, nil)
	c, id := s.as(t, customer), s.ids["movable"]
	page, buy := "/account/licenses/"+id, "/buy/"+s.ids["slug"]+"?plan=team&renew="+id
	until := func() (out struct {
		ValidUntil time.Time `json:"valid_until"`
		Hint       string    `json:"key_hint"`
	}) {
		t.Helper()
		s.must(t, http.MethodGet, "/v1/licenses/"+id, nil, &out)
		return out
	}
	had := until()
	c.get(t, page+"/renew").shows(t, "a renewal for sale", 200, "Renew this license", "plan=team&amp;renew="+id, "0.00 EUR")
	c.get(t, buy).shows(t, "the form", 200, "Renew Quill", "How many terms", "…"+had.Hint)
	consent := url.Values{"quantity": {"2"}, "terms": {"on"}, "delivery": {"on"}}
	c.send(t, buy, url.Values{"quantity": {"2"}}).shows(t, "without consent", 422, "Please agree")
	s.as(t, other).get(t, buy).shows(t, "another's", 404)
	s.as(t, other).send(t, buy, consent).shows(t, "another's, bought", 404)
	if p := s.as(t, visitor).send(t, buy, consent); p.status < 400 && !strings.HasPrefix(p.to, "/sign-in") {
		t.Errorf("a visitor's answered %d %s", p.status, p.to)
	}
	if now := until(); now != had {
		t.Errorf("%+v, was %+v", now, had)
	}
	done := c.send(t, buy, consent)
	done.shows(t, "the purchase", 303)
	now := until()
	if want := had.ValidUntil.Add(2 * 365 * 24 * time.Hour); !now.ValidUntil.Equal(want) || now.Hint != had.Hint {
		t.Errorf("valid until %s, want %s", now.ValidUntil, want)
	}
	c.get(t, done.to).shows(t, "the order", 200, "Your license is valid for longer", "Renewal", page, "renewal of …"+had.Hint)
	c.get(t, page).shows(t, "the license", 200, ui.When(now.ValidUntil))
	order := strings.TrimPrefix(done.to, "/checkout/")
	b := s.as(t, owner)
	b.get(t, "/admin/orders/"+order).shows(t, "the order to staff", 200, "/admin/licenses/"+id, "Renewal")
	b.get(t, "/admin/licenses/"+id+"/history").shows(t, "the license's history", 200, "Renewed", "Ordered", "Order fulfilled")
}
