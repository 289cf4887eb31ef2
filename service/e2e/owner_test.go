package e2e_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/kit"
)

// ids are all texts by which somebody else's answer would tell of b.
func (b *buyer) ids() []string {
	return []string{b.ID, b.Email, b.SessionID, b.Order, b.Pending, b.License, b.Activation, b.APIKeyID, b.Key, b.APIKey, b.Access, b.Token, b.Lease, b.Ticket, b.Organisation, b.Membership, b.Invite}
}

// outsiders are the credentials of A by kind, as the operation asks for them.
func (s *surface) outsiders(spec kit.Spec) map[string]string {
	out := map[string]string{}
	if spec.Access.Customer || spec.Access.Anonymous {
		out["customer"] = s.A.Session
	}
	if spec.Access.Holder || spec.Access.Anonymous {
		out["holder"] = "License " + s.A.Key
	}
	if spec.Access.Device || spec.Access.Anonymous {
		out["device"] = "Lease " + s.A.Lease
	}
	if spec.Access.APIKey != "" || spec.Access.Anonymous {
		out["apikey"] = "Bearer " + s.A.APIKey
	}
	if spec.Access.Anonymous {
		out["anonymous"] = ""
	}
	if spec.Access.Machine != "" {
		out["machine of another product"] = s.MachineBeta
	}
	return out
}

// belongings is what the operator sees of everything that B has.
func (s *surface) belongings() string {
	var b strings.Builder
	for _, path := range []string{"/v1/licenses/" + s.B.License, "/v1/licenses/" + s.B.License + "/activations", "/v1/keys/" + s.B.APIKeyID,
		"/v1/orders/" + s.B.Order, "/v1/orders/" + s.B.Pending, "/v1/checkouts/" + s.B.Order, "/v1/tickets/" + s.B.Ticket,
		"/v1/organisations/" + s.B.Organisation, "/v1/organisations/" + s.B.Organisation + "/members"} {
		b.WriteString(s.must(request{Method: "GET", Path: path, As: cli}, nil).Body.String() + "\n")
	}
	b.WriteString(s.must(request{Method: "GET", Path: "/v1/me", As: s.B.Session}, nil).Body.String())
	return b.String()
}

// TestR02_S10_AnothersIdIsAnIdOfNothing: whoever names an object of somebody else, by every operation and with every kind of credential, gets
// exactly the answer for an object that does not exist: status, headers and body; and the object stays as it is. S10: another's activation
// among them.
func TestR02_S10_AnothersIdIsAnIdOfNothing(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		before, tried := s.belongings(), 0
		for _, route := range s.routesSignOutLast() {
			spec := route.Spec()
			theirs := s.B.idIn(spec.Path)
			if theirs == "" {
				continue
			}
			for who, as := range s.outsiders(spec) {
				tried++
				q := s.sample(spec)
				q.As = as
				if spec.Name == "checkout.reveal" {
					q.Body = object{"access": s.A.Access}
				}
				q.Path = at(spec.Path, theirs)
				real := s.send(q)
				q.Path = at(spec.Path, nothing(theirs))
				none := s.send(q)
				if real.text() != none.text() || headers(real) != headers(none) {
					t.Errorf("%s by %s tells another's object from none:\n%s %s\n%s %s", spec.Name, who, real.text(), headers(real), none.text(), headers(none))
				}
				if want := http.StatusNotFound; real.Code != want && !refusesAll(spec, who) {
					t.Errorf("%s by %s of another's object answered %d, want %d: %s", spec.Name, who, real.Code, want, real.Body)
				}
			}
		}
		if tried < 40 {
			t.Errorf("only %d pairs were tried", tried)
		}
		if after := s.belongings(); after != before {
			t.Errorf("something of B changed:\n%s\n%s", before, after)
		}
	})
}

// refusesAll reports that the operation refuses this caller whatever object he names: a lease is no good for another activation, which is 401
// whether that exists or not.
func refusesAll(spec kit.Spec, who string) bool { return spec.Access.Device && who == "device" }

func headers(a answer) string {
	var b strings.Builder
	h := maps.Clone(a.Header())
	delete(h, "X-Request-Id")
	_ = h.Write(&b)
	return b.String()
}

// TestR03_NestedMix: one's own credential or access code with another's object, or the other way round, opens neither.
func TestR03_NestedMix(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		before := s.belongings()
		for name, q := range map[string]request{
			"own session, another's activation of his license":    {Method: "POST", Path: "/v1/activations/" + s.B.Activation + "/release", As: s.A.Session, Body: object{}},
			"own lease, another's activation, heartbeat":          {Method: "POST", Path: "/v1/activations/" + s.B.Activation + "/heartbeat", As: "Lease " + s.A.Lease, Body: object{"seq": 1, "device": device("a")}},
			"own lease, another's activation, give back":          {Method: "DELETE", Path: "/v1/activations/" + s.B.Activation, As: "Lease " + s.A.Lease},
			"own license key, token of another's license":         {Method: "GET", Path: "/v1/licenses/" + s.B.License + "/token", As: "License " + s.A.Key},
			"own license token, token of another's license":       {Method: "GET", Path: "/v1/licenses/" + s.B.License + "/token", As: "License " + s.A.Token},
			"own access code, another's order":                    {Method: "GET", Path: "/v1/checkouts/" + s.B.Order + "?access=" + s.A.Access, As: s.A.Session},
			"another's access code, own order":                    {Method: "GET", Path: "/v1/checkouts/" + s.A.Order + "?access=" + s.B.Access, As: s.A.Session},
			"own access code, another's keys":                     {Method: "POST", Path: "/v1/checkouts/" + s.B.Order + "/reveal", As: s.A.Session, Body: object{"access": s.A.Access}},
			"own access code, another's receipt":                  {Method: "GET", Path: "/v1/checkouts/" + s.B.Order + "/receipt?access=" + s.A.Access},
			"own access code, another's receipt as a page":        {Method: "GET", Path: "/v1/checkouts/" + s.B.Order + "/receipt.html?access=" + s.A.Access},
			"no access code, another's receipt as a document":     {Method: "GET", Path: "/v1/checkouts/" + s.B.Order + "/receipt.pdf"},
			"own access code, another's credit note":              {Method: "GET", Path: "/v1/checkouts/" + s.B.Order + "/credit-note?number=C2026-000001&access=" + s.A.Access},
			"own access code, another's credit note as a page":    {Method: "GET", Path: "/v1/checkouts/" + s.B.Order + "/credit-note.html?number=C2026-000001&access=" + s.A.Access},
			"no access code, another's credit note as a document": {Method: "GET", Path: "/v1/checkouts/" + s.B.Order + "/credit-note.pdf?number=C2026-000001"},
			"own session, another's session":                      {Method: "DELETE", Path: "/v1/sessions/" + s.B.SessionID, As: s.A.Session},
			"machine token of another product, activation":        {Method: "POST", Path: "/v1/activations/" + s.B.Activation + "/release", As: s.MachineBeta, Body: object{}},
			"machine token of another product, license's devices": {Method: "GET", Path: "/v1/licenses/" + s.B.License + "/activations", As: s.MachineBeta},
			"machine token of another product, suspension":        {Method: "POST", Path: "/v1/licenses/" + s.B.License + "/suspend", As: s.MachineBeta, Body: object{"reason": "r"}},
		} {
			a := s.send(q)
			want := http.StatusNotFound
			if strings.HasPrefix(q.As, "Lease ") {
				want = http.StatusUnauthorized
			}
			if a.Code != want && a.Code != http.StatusNotFound {
				t.Errorf("%s: %d %s", name, a.Code, a.Body)
			}
			s.tellsNothingOfB(name, a)
		}
		if after := s.belongings(); after != before {
			t.Errorf("something of B changed:\n%s\n%s", before, after)
		}
	})
}

// tellsNothingOfB fails when an answer contains an id or secret of B that was not in the request.
func (s *surface) tellsNothingOfB(name string, a answer) {
	s.t.Helper()
	body := a.Body.String()
	for _, id := range s.B.ids() {
		if id != "" && strings.Contains(body, id) && !strings.Contains(a.Sent.Path, id) {
			s.t.Errorf("%s tells of B (%s): %.400s", name, id, body)
		}
	}
}

// TestR04_ListsLeakNoRows: no list, with any filter, sort or page size, shows a customer, or a machine token of another product, a row of
// somebody else; and everything else that A may read has nothing of B either.
func TestR04_ListsLeakNoRows(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		filters := map[string][]string{"owner": {s.B.ID, "%", "_", "*", s.A.ID + "," + s.B.ID, ""}, "email": {s.B.Email, "%@%"}, "product": {s.Product, s.Beta, "%"}, "to": {s.B.Email},
			"state": {"fulfilled", "pending", "active"}, "env": {"test", "live"}, "limit": {"1", "100"}, "target": {s.B.License}, "actor": {"customer:" + s.B.ID}, "access": {s.B.Access}}
		asked := 0
		for _, route := range s.routesSignOutLast() {
			spec := route.Spec()
			if spec.Method != http.MethodGet || strings.Contains(spec.Path, "{") {
				continue
			}
			for who, as := range s.outsiders(spec) {
				base := request{Method: "GET", Path: spec.Path, As: as}
				a := s.send(base)
				s.tellsNothingOfB(spec.Name+" by "+who, a)
				for _, param := range s.queryOf(spec.Name) {
					for _, value := range filters[param] {
						asked++
						q := base
						q.Path += "?" + param + "=" + escape(value)
						s.tellsNothingOfB(spec.Name+" by "+who+" with "+param+"="+value, s.send(q))
					}
				}
			}
		}
		if asked < 60 {
			t.Errorf("only %d filters were tried", asked)
		}
	})
}

// TestR04_OwnRowsAreThere: the same lists show what is one's own, page by page, each row once, so that the test above cannot pass on empty
// lists.
func TestR04_OwnRowsAreThere(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		for path, want := range map[string][]string{"/v1/licenses": {s.A.License}, "/v1/orders": {s.A.Pending, s.A.Order}, "/v1/sessions": {s.A.SessionID}, "/v1/keys": {s.A.APIKeyID}, "/v1/tickets": {s.A.Ticket}} {
			seen := map[string]int{}
			for _, row := range s.pages(s.A.Session, path) {
				seen[row["id"].(string)]++
			}
			for _, id := range want {
				if seen[id] != 1 {
					t.Errorf("%s shows %s %d times", path, id, seen[id])
				}
			}
		}
		if rows := s.list(cli, "/v1/licenses"); len(rows) != 2 {
			t.Errorf("the operator sees %d licenses, want 2", len(rows))
		}
	})
}

// TestR02_MachineOfOneProductReachesNoOther: a machine token that is narrowed to one product gets, by every operation that machines may call,
// the answer for nothing about whatever belongs to another, and its lists have no row of it.
func TestR02_MachineOfOneProductReachesNoOther(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		see := func() string {
			return s.must(request{Method: "GET", Path: "/v1/products/" + s.Product, As: cli}, nil).Body.String() +
				s.must(request{Method: "GET", Path: "/v1/plans/" + s.Plan + "/prices", As: cli}, nil).Body.String() +
				s.must(request{Method: "GET", Path: "/v1/policies/" + s.Policy, As: cli}, nil).Body.String()
		}
		before := see()
		for _, route := range s.routes {
			spec := route.Spec()
			if spec.Access.Machine == "" || spec.Access.Machine == "*" {
				continue
			}
			q := s.sample(spec)
			q.As = s.MachineBeta
			real := s.send(q)
			if strings.Contains(spec.Path, "{") {
				q.Path = at(spec.Path, nothing(s.idOf(spec.Path)))
				narrowed := real.Code == http.StatusForbidden && strings.Contains(real.Body.String(), `"token-narrowed"`) // it reads nothing of the whole shop
				if none := s.send(q); real.text() != none.text() || real.Code != http.StatusNotFound && !narrowed {
					t.Errorf("%s tells another product's object from none:\n%s\n%s", spec.Name, real.text(), none.text())
				}
				continue
			}
			for _, id := range []string{s.Product, s.Plan, s.Policy, s.A.License, s.A.Order, s.A.APIKeyID} {
				if real.Code < 300 && strings.Contains(real.Body.String(), id) {
					t.Errorf("%s tells of the other product (%s): %.300s", spec.Name, id, real.Body)
				}
			}
		}
		if after := see(); after != before {
			t.Errorf("something of the other product changed:\n%s\n%s", before, after)
		}
	})
}
