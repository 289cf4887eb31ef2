package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
)

// TestQ11_AfterErasingTheShopHolds: once a customer with an order, a license, a key and a device is erased, no list or search of staff shows
// the address or the device's name; the license and the key go on working, the receipt keeps its number and amount, the trail's chain
// and every invariant hold.
func TestQ11_AfterErasingTheShopHolds(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		owner := s.Staff[licensing.RoleOwner]
		order := func() (total any) {
			var out struct{ Items []object }
			s.must(request{Method: "GET", Path: "/v1/orders", As: owner}, &out)
			for _, o := range out.Items {
				if o["id"] == s.A.Order {
					return o["total"]
				}
			}
			t.Fatal("the order is gone")
			return nil
		}
		before := order()
		s.A.Session, _ = s.signIn(s.A.Email)
		var export struct{ Parts []struct{ Name string } }
		if a := s.must(request{Method: "GET", Path: "/v1/account/export", As: s.A.Session}, &export); !strings.Contains(a.Body.String(), s.A.License) || !strings.Contains(a.Body.String(), s.A.Order) ||
			strings.Contains(a.Body.String(), s.A.Key) || strings.Contains(a.Body.String(), s.B.Order) {
			t.Errorf("the export is %.500s", a.Body)
		}
		erase := request{Method: "POST", Path: "/v1/account/erase", As: s.A.Session, Body: object{"password": password, "confirm": "erase"}}
		if a := s.send(erase); a.code() != "hand-over-first" {
			t.Errorf("the last owner of an organisation: %d %s", a.Code, a.Body)
		}
		var all struct{ Members []struct{ ID, Email string } }
		s.must(request{Method: "GET", Path: "/v1/organisations/" + s.A.Organisation + "/members", As: s.A.Session}, &all)
		for _, m := range all.Members {
			if m.Email == "otto@example.com" {
				s.must(request{Method: "PUT", Path: "/v1/organisation-members/" + m.ID + "/role", As: s.A.Session, Body: object{"role": "owner"}}, nil)
			}
		}
		s.must(erase, nil)
		if a := s.send(request{Method: "GET", Path: "/v1/me", As: s.A.Session}); a.Code != http.StatusUnauthorized {
			t.Errorf("the session answers %d", a.Code)
		}
		q := url.QueryEscape(s.A.Email)
		for _, path := range []string{"/v1/customers?q=" + q, "/v1/customers?limit=100", "/v1/orders?limit=100", "/v1/licenses?limit=100", "/v1/keys?limit=100", "/v1/mails?to=" + q, "/v1/audit?limit=100",
			"/v1/customers/" + s.A.ID, "/v1/licenses/" + s.A.License, "/v1/licenses/" + s.A.License + "/token", "/v1/checkouts/" + s.A.Order} {
			a := s.send(request{Method: "GET", Path: path, As: owner})
			if a.Code >= 500 || strings.Contains(a.Body.String(), s.A.Email) { // what was mailed to others is theirs
				t.Errorf("%s answers %d %.300s", path, a.Code, a.Body)
			}
		}
		if after := order(); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("the order's total was %v and is %v", before, after)
		}
		var valid struct{ Valid bool }
		s.must(request{Method: "POST", Path: "/v1/keys/verify", As: s.Machine["keys:verify"], Body: object{"key": s.A.APIKey, "product": s.Product, "env": "test"}}, &valid)
		if !valid.Valid {
			t.Error("the API key works no more")
		}
		if a := s.send(request{Method: "POST", Path: "/v1/licenses/validate", As: "License " + s.A.Key, Body: object{"product": s.Slug, "env": "test", "device": device(s.A.Email[:1])}}); a.Code != http.StatusOK || !strings.Contains(a.Body.String(), `"allowed":true`) {
			t.Errorf("the license works no more: %d %s", a.Code, a.Body)
		}
		found, err := s.app.Verify(t.Context())
		if err != nil || len(found) != 0 {
			t.Errorf("%v, %v", found, err)
		}
	})
}
