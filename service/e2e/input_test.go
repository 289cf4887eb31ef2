package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// writers are the operations that may have a body.
func (s *surface) writers() []kit.Spec {
	var out []kit.Spec
	for _, route := range s.routes {
		if spec := route.Spec(); takesBody(spec) {
			out = append(out, spec)
		}
	}
	return out
}

// TestR05_UnknownMembersAreRefused: no operation takes a member that it does not have, at any depth of its body, such as one that would set a
// role, an owner, a price or the payment; the answer names the member, and nothing was done.
func TestR05_UnknownMembersAreRefused(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		before, tried := s.everything(), 0
		for _, spec := range s.writers() {
			q := s.sample(spec)
			body, _ := q.Body.(object)
			root := schema{}
			if known := theDocument().bodyOf(spec.Name); known != nil {
				root = *known
			}
			for _, where := range places(root, body, "") {
				for _, name := range []string{"role", "tenant_id", "owner", "paid", "seats", "price", "created_at", "state", "id", "__proto__", "constructor", "Email", "$where"} {
					if _, legit := where.schema.Properties[name]; legit {
						continue
					}
					tried++
					where.object[name] = "x"
					a := s.send(q)
					delete(where.object, name)
					if a.Code != http.StatusBadRequest || !strings.Contains(a.Body.String(), fmt.Sprintf("%q", where.path+"/"+name)) {
						t.Errorf("%s with %s/%s answered %d: %.300s", spec.Name, where.path, name, a.Code, a.Body)
					}
				}
			}
		}
		if tried < 500 {
			t.Errorf("only %d members were tried", tried)
		}
		if after := s.everything(); after != before {
			t.Errorf("something changed:\n%s\n%s", before, after)
		}
	})
}

// place is an object within a body that has a fixed list of members.
type place struct {
	path   string
	schema schema
	object object
}

// places finds the objects of a body, the body itself first. Maps of free names are none.
func places(s schema, v any, path string) []place {
	s = theDocument().resolve(s)
	var out []place
	switch v := v.(type) {
	case object:
		if s.Properties == nil && path != "" {
			return nil
		}
		out = append(out, place{path, s, v})
		for name, member := range v {
			out = append(out, places(s.Properties[name], member, path+"/"+name)...)
		}
	case []any:
		for i, element := range v {
			if s.Items != nil {
				out = append(out, places(*s.Items, element, fmt.Sprint(path, "/", i))...)
			}
		}
	}
	return out
}

// everything counts and shows what a request must not have changed.
func (s *surface) everything() string {
	var b strings.Builder
	for _, path := range []string{"/v1/products", "/v1/policies", "/v1/licenses", "/v1/keys", "/v1/orders", "/v1/machine-tokens", "/v1/payment-events", "/v1/audit"} {
		rows := s.list(cli, path)
		fmt.Fprintf(&b, "%s: %d %v\n", path, len(rows), rows)
	}
	for _, path := range []string{"/v1/staff", "/v1/switches", "/v1/signing-keys", "/v1/products/" + s.Product, "/v1/plans/" + s.Plan + "/prices"} {
		b.WriteString(s.must(request{Method: "GET", Path: path, As: cli, Bare: true}, nil).Body.String() + "\n")
	}
	return b.String()
}

// TestI06_ContentTypes: a body that is not declared to be plain JSON in UTF-8, exactly once, is answered 415 by every operation, before
// anything is done.
func TestI06_ContentTypes(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	refused := []http.Header{{"Content-Type": nil}, {"Content-Type": {""}}, {"Content-Type": {"application/json", "application/json"}}, {"Content-Type": {"application/json", "text/plain"}},
		{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, {"Content-Type": {"application/json"}, "Content-Encoding": {"identity", "br"}}}
	for _, value := range []string{"text/plain", "text/json", "text/html", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "application/problem+json",
		"application/json; charset=utf-16", "application/json; charset=iso-8859-1", "application/json; charset=utf-7", "application/json; charset=", "application/json; boundary=x",
		"application/json, text/plain", "application/json;application/json", "*/*", "json", "application/\x00json"} {
		refused = append(refused, http.Header{"Content-Type": {value}})
	}
	before := s.everything()
	for _, spec := range s.writers() {
		for _, header := range refused {
			q := s.sample(spec)
			q.Header = header
			if a := s.send(q); a.Code != http.StatusUnsupportedMediaType {
				t.Errorf("%s with %q answered %d: %.200s", spec.Name, header, a.Code, a.Body)
			}
		}
	}
	if after := s.everything(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	for _, value := range []string{"application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8"} {
		a := s.send(request{Method: "POST", Path: "/v1/keys/verify", As: s.Staff[licensing.RoleOwner], Body: object{"key": "x"}, Header: http.Header{"Content-Type": {value}}})
		if a.Code != http.StatusOK {
			t.Errorf("%q answered %d: %s", value, a.Code, a.Body)
		}
	}
}

// TestI11_PagesAndCursors: page sizes outside 1 to 100 and cursors that were made up, changed, cut, or issued to somebody else or for another
// list are answered 400 by every list.
func TestI11_PagesAndCursors(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		theirs := s.cursor(s.B.Session, "/v1/orders")
		other := s.cursor(s.Staff[licensing.RoleOwner], "/v1/licenses")
		own := s.cursor(s.Staff[licensing.RoleAdmin], "/v1/orders")
		lists := 0
		for _, route := range s.routes {
			spec := route.Spec()
			if spec.Method != http.MethodGet || !strings.Contains(strings.Join(s.queryOf(spec.Name), " "), "limit") {
				continue
			}
			lists++
			q := s.sample(spec)
			var bad []string
			for _, limit := range []string{"-1", "101", "1000000000", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1.5", "1e2", "1e9", "abc", "", "+5", "0x10", "%20" + "5", "5%00", "NaN", "1&limit=2"} {
				bad = append(bad, "limit="+limit)
			}
			for _, cursor := range []string{"x", "0", "-1", "1000000000", "AAAA", "%27", "..%2f", theirs, other, other + "A", other[:len(other)-1], "A" + other[1:], strings.ToLower(own),
				own + "&cursor=" + own, strings.Repeat("A", 1000), strings.Repeat("A", 2000)} {
				if spec.Name == "license.list" && cursor == other {
					continue
				}
				bad = append(bad, "cursor="+cursor)
			}
			if spec.Name != "order.list" {
				bad = append(bad, "cursor="+own)
			}
			path := q.Path
			for _, query := range bad {
				q.Path = path + "?" + query
				if a := s.send(q); a.Code != http.StatusBadRequest {
					t.Errorf("%s?%.60s answered %d: %.200s", spec.Name, query, a.Code, a.Body)
				}
			}
		}
		if lists < 10 {
			t.Errorf("only %d lists were tried", lists)
		}
		for _, as := range []string{s.Staff[licensing.RoleAuditor], s.A.Session} {
			if a := s.send(request{Method: "GET", Path: "/v1/orders?cursor=" + own, As: as}); a.Code != http.StatusBadRequest || a.code() != "invalid-cursor" {
				t.Errorf("somebody else's cursor answered %d %s", a.Code, a.Body)
			}
		}
	})
}

// cursor is the next cursor of a list's first page of one row.
func (s *surface) cursor(as, path string) string {
	s.t.Helper()
	var page struct{ Next string }
	s.must(request{Method: "GET", Path: path + "?limit=1", As: as}, &page)
	if page.Next == "" {
		s.t.Fatalf("%s has one page only", path)
	}
	return page.Next
}

// TestI17_PanicIsUndoneAndSurvived: a panic in the middle of a transaction is answered 500 with the request's id and nothing else, undoes
// what was done so far, is logged with its stack, and the process goes on: the same request then succeeds.
func TestI17_PanicIsUndoneAndSurvived(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		guest := s.basket()
		maps.Copy(guest, object{"email": "panic@example.com"})
		for name, q := range map[string]request{
			"product.create":    {Method: "POST", Path: "/v1/products", As: s.Staff[licensing.RoleOwner], Body: object{"slug": "panic", "name": "P", "purpose": "revenue", "key_prefix": "PANIC"}},
			"checkout.create":   {Method: "POST", Path: "/v1/checkouts", Body: guest},
			"license.suspend":   {Method: "POST", Path: "/v1/licenses/" + s.B.License + "/suspend", As: s.Staff[licensing.RoleSupport], Body: object{"reason": "r"}},
			"activation.create": {Method: "POST", Path: "/v1/activations", As: "License " + s.A.Key, Body: object{"product": s.Slug, "env": "test", "device": device("p")}},
			"key.issue":         {Method: "POST", Path: "/v1/keys", As: s.Staff[licensing.RoleOwner], Body: object{"owner": s.A.ID, "product": s.Product, "name": "panic"}},
			"machine.create":    {Method: "POST", Path: "/v1/machine-tokens", As: s.Staff[licensing.RoleOwner], Body: object{"name": "panic", "scopes": []string{"keys:verify"}}},
			"session.create":    {Method: "POST", Path: "/v1/sessions", Body: object{"email": "admin@staff.example", "password": password}},
		} {
			before := s.everything()
			prefix := "aud"
			s.ids.panicFor.Store(&prefix)
			q.Header = http.Header{"X-Request-Id": {"panic-" + name}}
			a := s.send(q)
			if a.Code != http.StatusInternalServerError || a.code() != "internal" || !strings.Contains(a.Body.String(), `"request_id":"panic-`+name) {
				t.Errorf("%s answered %d: %s", name, a.Code, a.Body)
			}
			if s.ids.panicFor.Load() != nil {
				t.Errorf("%s came without the fault that was planted", name)
			}
			if after := s.everything(); after != before {
				t.Errorf("%s left something behind:\n%s\n%s", name, before, after)
			}
			if log := s.log.String(); !strings.Contains(log, "planted fault") || !strings.Contains(log, "panic-"+name) {
				t.Errorf("%s: the log has neither the cause nor the id", name)
			}
			q.Header = nil
			s.must(q, nil)
		}
	})
}
