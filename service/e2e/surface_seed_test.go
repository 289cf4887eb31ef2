package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

const password = "correct horse battery 42"

// plant fills a fresh service: two products, staff of every role, machine tokens of every scope, two customers who each bought a license
// with an API key and activated a device, and credentials that are good no more.
func (s *surface) plant() {
	s.Staff, s.StaffID, s.Machine = map[licensing.Role]string{}, map[licensing.Role]string{}, map[string]string{}
	s.Dead, s.Secrets = map[string]string{}, map[string]string{}
	s.plantCatalogue()
	for _, role := range licensing.AllRoles() {
		s.StaffID[role] = s.person(string(role)+"@staff.example", role)
	}
	for _, b := range []*buyer{&s.A, &s.B} {
		b.Email = map[*buyer]string{&s.A: "ada", &s.B: "bob"}[b] + "@example.com"
		b.Password = password
		b.ID = s.customer(b.Email)
	}
	s.Dead["session:expired"], _ = s.signIn(s.A.Email)
	s.Dead["staff:expired"], _ = s.signIn("owner@staff.example")
	s.plantMachines()
	s.plantOrganisations()
	s.clock.Advance(50 * time.Minute)
	s.Stale, _ = s.signIn(s.A.Email)
	s.clock.Advance(15 * time.Minute)
	for _, role := range licensing.AllRoles() {
		s.Staff[role], _ = s.signIn(string(role) + "@staff.example")
	}
	gone, _ := s.signIn("owner@staff.example")
	s.must(request{Method: "DELETE", Path: "/v1/sessions/current", As: gone}, nil)
	s.Dead["session:revoked"] = gone
	s.buy(&s.A)
	s.buy(&s.B)
	s.plantSupport()
	s.Member, s.OrgAdmin = s.actFor("mia@example.com"), s.actFor("otto@example.com")
	s.must(request{Method: "POST", Path: "/v1/checkouts", As: s.OrgAdmin, Body: s.basket()}, nil) // what it owns keeps the organisation from being removed
	s.plantDeadKeys()
	s.Now = s.clock.Now()
}

func (s *surface) plantCatalogue() {
	post := func(path string, body any) string {
		var out struct{ ID string }
		s.must(request{Method: "POST", Path: path, As: cli, Body: body}, &out)
		return out.ID
	}
	s.Slug, s.BetaSlug = "alpha", "beta"
	s.Product = post("/v1/products", object{"slug": s.Slug, "name": "Alpha", "purpose": "revenue", "key_prefix": "ALPHA"})
	s.Beta = post("/v1/products", object{"slug": s.BetaSlug, "name": "Beta", "purpose": "revenue", "key_prefix": "BETA"})
	terms := object{"type": "perpetual", "seats": object{"n": 3, "by": "device"}, "activation": "required", "entitlements": object{"export": true}}
	s.Policy = post("/v1/policies", object{"product_id": s.Product, "code": "standard", "name": "Standard", "terms": terms})
	s.Plan = post("/v1/products/"+s.Product+"/plans", object{"code": "pro", "name": "Pro", "type": "perpetual", "grants": []any{
		object{"license": object{"policy": "standard"}},
		object{"api_key": object{"scopes": []string{"notes:read"}, "rate_count": 1000000, "rate_period": 3600}}}})
	s.Price = post("/v1/plans/"+s.Plan+"/prices", object{"price": object{"amount": 4900, "currency": "EUR"}})
	post("/v1/plans/"+s.Plan+"/prices", object{"price": object{"amount": 5400, "currency": "USD"}})
	post("/v1/plans/"+s.Plan+"/publish", nil)
	post("/v1/products/"+s.Product+"/publish", nil)
}

// plantSupport makes a ticket of each customer, with an answer and a note, a canned reply and an article.
func (s *surface) plantSupport() {
	support := s.Staff[licensing.RoleSupport]
	for _, b := range []*buyer{&s.A, &s.B} {
		var out struct{ ID string }
		s.must(request{Method: "POST", Path: "/v1/tickets", As: b.Session, Body: object{"subject": "Plugh", "body": "Xyzzy", "license": b.License}}, &out)
		b.Ticket = out.ID
		s.must(request{Method: "POST", Path: "/v1/tickets/" + b.Ticket + "/notes", As: support, Body: object{"body": "a note among staff"}}, nil)
		s.must(request{Method: "POST", Path: "/v1/tickets/" + b.Ticket + "/answers", As: support, Body: object{"version": 2, "body": "Plover"}}, nil)
	}
	for path, into := range map[string]*string{"/v1/canned-replies": &s.Canned, "/v1/faq-articles": &s.Article} {
		var out struct{ ID string }
		body := object{"name": "Thanks", "body": "Thank you, {name}."}
		if into == &s.Article {
			body = object{"slug": "first-steps", "title": "Zork", "body": "Frotz", "published": true}
		}
		s.must(request{Method: "POST", Path: path, As: support, Body: body}, &out)
		*into = out.ID
	}
}

// person makes somebody with a role and the usual password.
func (s *surface) person(email string, role licensing.Role) string {
	var out struct{ ID string }
	s.must(request{Method: "POST", Path: "/v1/staff", As: cli, Body: object{"email": email, "role": role, "password": password}}, &out)
	return out.ID
}

// customer makes a customer with the usual password.
func (s *surface) customer(email string) string {
	id := s.person(email, licensing.RoleSupport)
	s.must(request{Method: "PUT", Path: "/v1/staff/" + id + "/role", As: cli, Body: object{"role": ""}}, nil)
	return id
}

// signIn starts a session and returns its Authorization header and its id.
func (s *surface) signIn(email string) (as, id string) {
	var out struct{ ID, Token string }
	s.must(request{Method: "POST", Path: "/v1/sessions", Body: object{"email": email, "password": password}}, &out)
	return "Bearer " + out.Token, out.ID
}

// scopes are the machine scopes that operations ask for.
func (s *surface) scopes() map[string]bool {
	out := map[string]bool{}
	for _, route := range s.routes {
		for _, scope := range route.Spec().Access.MachineScopes() {
			out[scope] = true
		}
	}
	return out
}

func (s *surface) plantMachines() {
	token := func(body object) (string, string) {
		var out struct {
			Token  struct{ ID string }
			Secret string
		}
		s.must(request{Method: "POST", Path: "/v1/machine-tokens", As: cli, Body: body}, &out)
		return "Bearer " + out.Secret, out.Token.ID
	}
	var all []string
	for scope := range s.scopes() {
		s.Machine[scope], _ = token(object{"name": scope, "scopes": []string{scope}})
		all = append(all, scope)
	}
	s.Machine[""], s.MachineID = token(object{"name": "unscoped", "scopes": []string{"keys:verify"}})
	if _, err := s.rows.db.Exec(s.t.Context(), `UPDATE machine_token SET scopes = '["nothing:asked"]' WHERE id = $1`, s.MachineID); err != nil { // of a scope that operations asked for once
		s.t.Fatal(err)
	}
	s.MachineBeta, _ = token(object{"name": "beta", "scopes": all, "product": s.Beta})
	s.Dead["machine:expired"], _ = token(object{"name": "short", "scopes": all, "expires_at": s.clock.Now().Add(time.Minute)})
	revoked, id := token(object{"name": "revoked", "scopes": all})
	s.must(request{Method: "POST", Path: "/v1/machine-tokens/" + id + "/revoke", As: cli, Body: object{"reason": "seed"}}, nil)
	s.Dead["machine:revoked"] = revoked
}

// basket is a valid order of one license.
func (s *surface) basket() object {
	return object{"lines": []any{object{"plan": s.Plan, "quantity": 1, "price": s.Price}}, "currency": "EUR", "country": "DE",
		"consent": object{"terms": true, "immediate_delivery": true}}
}

// device is a fingerprint as the SDK sends it.
func device(seed string) object {
	digest := func(part string) string { return strings.Repeat(part, 64)[:64] }
	return object{"machine": digest(seed + "1"), "disk": digest(seed + "2"), "mac": digest(seed + "3")}
}

// buy buys, pays, reveals and activates.
func (s *surface) buy(b *buyer) {
	s.t.Helper()
	b.Session, b.SessionID = s.signIn(b.Email)
	var out struct{ ID, Access, URL, State string }
	s.must(request{Method: "POST", Path: "/v1/checkouts", As: b.Session, Body: s.basket()}, &out)
	b.Order, b.Access = out.ID, out.Access
	s.pay(out.URL)
	var done struct {
		State  string
		Grants []struct{ Kind, ID, Key string }
	}
	s.clock.Advance(2 * time.Second)
	s.must(request{Method: "GET", Path: "/v1/checkouts/" + b.Order, As: b.Session}, &done)
	if done.State != "fulfilled" || len(done.Grants) != 2 {
		s.t.Fatalf("the order of %s is %+v\n%s", b.Email, done, s.log)
	}
	for _, g := range done.Grants {
		if g.Kind == "license" {
			b.License, b.Key = g.ID, g.Key
		} else {
			b.APIKeyID = g.ID
		}
	}
	var revealed struct{ Keys []struct{ Key string } }
	s.must(request{Method: "POST", Path: "/v1/checkouts/" + b.Order + "/reveal", As: b.Session, Body: object{}}, &revealed)
	b.APIKey = revealed.Keys[0].Key
	var seat struct{ Activation, License, Lease string }
	s.must(request{Method: "POST", Path: "/v1/activations", As: "License " + b.Key, Body: object{"product": s.Slug, "env": "test", "device": device(b.Email[:1])}}, &seat)
	b.Activation, b.Token, b.Lease = seat.Activation, seat.License, seat.Lease
	var pending struct{ ID string }
	s.must(request{Method: "POST", Path: "/v1/checkouts", As: b.Session, Body: s.basket()}, &pending)
	b.Pending = pending.ID
}

// pay pays on the payment page as a browser would.
func (s *surface) pay(page string) {
	s.t.Helper()
	form := url.Values{"email": {"buyer@example.com"}, "card": {"4242424242424242"}}
	r, err := http.NewRequest(http.MethodPost, page, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", s.base)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("paying answered %d", res.StatusCode)
	}
}

func (s *surface) plantDeadKeys() {
	issue := func(body object) (string, string) {
		var out struct {
			Key    struct{ ID string }
			Secret string
		}
		body["owner"], body["product"], body["env"] = s.A.ID, s.Product, "test"
		s.must(request{Method: "POST", Path: "/v1/keys", As: cli, Body: body}, &out)
		return "Bearer " + out.Secret, out.Key.ID
	}
	s.Dead["apikey:expired"], _ = issue(object{"name": "short", "expires_at": s.clock.Now().Add(time.Second)})
	s.clock.Advance(2 * time.Second)
	s.Reporter, _ = issue(object{"name": "back end", "scopes": []string{"usage:write"}})
	revoked, id := issue(object{"name": "revoked"})
	s.must(request{Method: "POST", Path: "/v1/keys/" + id + "/revoke", As: cli, Body: object{"reason": "seed"}}, nil)
	s.Dead["apikey:revoked"] = revoked
}
