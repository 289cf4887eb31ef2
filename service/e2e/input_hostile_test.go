package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

// hostile are the strings of these tests: those of kittest, and what lists of naughty strings have besides.
func hostile() []string {
	return append(kittest.Injections(),
		`1' ORDER BY 99--`, `1' GROUP BY id HAVING 1=1--`, `' UNION ALL SELECT NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL--`, `'; ATTACH DATABASE '/tmp/x.db' AS x; --`, `'; PRAGMA writable_schema=1; --`,
		`'; COPY license TO PROGRAM 'id'; --`, `' AND randomblob(1000000000) IS NULL--`, `' || lo_import('/etc/passwd') || '`, `1;VACUUM INTO '/tmp/y.db'`, `\'; DELETE FROM "order"; --`, `'||pg_read_file('/etc/passwd')||'`,
		`1/**/OR/**/1=1`, `'/*!50000OR*/1=1#`, `ʼ OR 1=1--`, `’ OR ’1’=’1`, `%EF%BC%87 OR 1=1`, "' OR 1=1\x1a--", "';\t\n DROP TABLE change;--", `id`, `(SELECT id FROM license LIMIT 1)`, `id DESC`, `id; SELECT 1`, `-1 OFFSET 0`,
		`undefined`, `constructor`, `__proto__`, `hasOwnProperty`, `nil`, `None`, `\\`, `1/0`, `$1.00`, `1E02`, `0b1`, `-1E+02`, `∞`, `Ω≈ç√∫`, `１２３`, `٠١٢`, `ثم نفس`, "\u200b", "\u180e", "\u202etest\u202e", "T\u0336e\u0336",
		`<svg><script>123<1>alert(1)</script>`, `<a href="javascript\x3Ajavascript:alert(1)">`, `1;DROP TABLE users`, `CON`, `COM1`, `LPT1`, `%n%n%n`, `%*.*s`, `;ping 127.0.0.1;`, `$HOME`, `%x('ls')`, `{% print 'x' %}`, "Roses\nare red", `DCC SEND STARTKEYLOGGER 0 0 0`)
}

// some is the part of the strings that the n-th place is tried with: every other of the SQL that breaks out of quotes, and every eighth of
// the rest, so that neighbouring places have each of them.
func some(n int) []string {
	var out []string
	for i, text := range hostile() {
		if strings.HasPrefix(text, "'") && i%2 == n%2 || i%8 == n%8 {
			out = append(out, text)
		}
	}
	return out
}

// TestI01_NoQueryChangesItsMeaning: hostile strings in every filter, sort and page parameter, and as every id of a path, on both engines, are
// answered without 5xx, and find nothing; a search finds only what has its words.
func TestI01_NoQueryChangesItsMeaning(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		place := 0
		for _, route := range s.routes {
			spec := route.Spec()
			if spec.Name == "session.end-current" {
				continue
			}
			q := s.sample(spec)
			q.Bare = true
			path := q.Path
			for _, param := range s.queryOf(spec.Name) {
				place++
				for _, text := range some(place) {
					q.Path = path + "?" + param + "=" + url.QueryEscape(text)
					a := s.send(q)
					var page struct{ Items []object }
					if a.Code >= 500 {
						t.Errorf("%s with %s=%.60q answered %d: %.300s", spec.Name, param, text, a.Code, a.Body)
					}
					if a.Code != http.StatusOK || json.Unmarshal(a.Body.Bytes(), &page) != nil || len(page.Items) == 0 || text == "" || param == "limit" && text == "0" {
						continue
					}
					if param != "q" {
						t.Errorf("%s with %s=%.60q found %d rows", spec.Name, param, text, len(page.Items))
						continue
					}
					for _, row := range page.Items {
						s.hasWords(t, spec.Name, row, text)
					}
				}
			}
			if !strings.Contains(spec.Path, "{") {
				continue
			}
			place++
			for _, text := range some(place) {
				if text == "" {
					continue
				}
				q.Path = at(spec.Path, url.PathEscape(text))
				if a := s.send(q); a.Code < 300 && a.Body.String() != `{"items":[]}` || a.Code >= 500 {
					t.Errorf("%s of %.60q answered %d: %.300s", spec.Name, text, a.Code, a.Body)
				}
			}
		}
	})
}

// TestI01_EveryTextMember: hostile strings in every text member of every body, on both engines, are answered without 5xx, and what was sold
// is neither more nor less afterwards.
func TestI01_EveryTextMember(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		sold := s.sold()
		members := 0
		for _, spec := range s.writers() {
			q := s.sample(spec)
			q.Bare = true
			body, _ := q.Body.(object)
			for where, set := range texts(body, "") {
				members++
				for _, text := range some(members) {
					undo := set(text)
					if a := s.send(q); a.Code >= 500 {
						t.Errorf("%s with %s=%.60q answered %d: %.300s", spec.Name, where, text, a.Code, a.Body)
					}
					undo()
				}
			}
		}
		if members < 90 {
			t.Errorf("only %d members were tried", members)
		}
		if now := s.sold(); now != sold {
			t.Errorf("what was sold changed:\n%s\n%s", sold, now)
		}
	})
}

// sold shows what the two customers bought, which no hostile text may touch.
func (s *surface) sold() string {
	var b strings.Builder
	for _, buyer := range []*buyer{&s.A, &s.B} {
		for _, path := range []string{"/v1/licenses?owner=", "/v1/orders?owner="} {
			rows := s.list(cli, path+buyer.ID)
			fmt.Fprintf(&b, "%s %s %d\n", buyer.Email, path, len(rows))
		}
	}
	return b.String()
}

// texts finds every string of a body and how to set it; the setter returns what undoes it.
func texts(v any, path string) map[string]func(string) func() {
	out := map[string]func(string) func(){}
	add := func(at string, inner any, set func(any)) {
		if was, ok := inner.(string); ok {
			out[at] = func(text string) func() { set(text); return func() { set(was) } }
		}
		for name, f := range texts(inner, at) {
			out[name] = f
		}
	}
	switch v := v.(type) {
	case object:
		for name, inner := range v {
			add(path+"/"+name, inner, func(x any) { v[name] = x })
		}
	case []any:
		for i, inner := range v {
			add(fmt.Sprint(path, "/", i), inner, func(x any) { v[i] = x })
		}
	case []string:
		for i, inner := range v {
			add(fmt.Sprint(path, "/", i), inner, func(x any) { v[i], _ = x.(string) })
		}
	}
	return out
}

// TestI15_TextsComeBackAsTheyWere: whatever text is taken as the name or description of a product is read back byte for byte, templates and
// SQL unexpanded, on both engines.
func TestI15_TextsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		kept := 0
		for _, text := range hostile() {
			for _, member := range []string{"name", "description"} {
				var was, got object
				a := s.send(request{Method: "PATCH", Path: "/v1/products/" + s.Beta, As: s.Staff[licensing.RoleOwner], Body: object{member: text}, Bare: true})
				if a.Code >= 300 {
					continue
				}
				kept++
				_ = json.Unmarshal(a.Body.Bytes(), &was)
				s.must(request{Method: "GET", Path: "/v1/products/" + s.Beta, As: cli}, &got)
				read, _ := got[member].(string)
				if read != text && read != strings.TrimSpace(text) || was[member] != got[member] {
					t.Errorf("%s %.80q came back as %.80q", member, text, read)
				}
			}
		}
		if kept < 100 {
			t.Errorf("only %d texts were kept", kept)
		}
	})
}

// TestI03_I04_EveryBodyOfTheRealService: bodies that are no strict JSON, or made to cost, are answered 4xx by every operation of the whole
// service, with somebody signed in who may call it. Those that are large are tried on every eighth, since all share their reader.
func TestI03_I04_EveryBodyOfTheRealService(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	before := s.everything()
	corpus := kittest.Hostile()
	for i, spec := range s.writers() {
		q := s.sample(spec)
		q.Bare = true
		for _, body := range corpus {
			if len(body.Text) > 50_000 && i%8 != 0 && spec.Body <= 256<<10 {
				continue
			}
			q.Body = body.Text
			if a := s.send(q); a.Code < 400 || a.Code > 499 || a.Code == http.StatusUnauthorized || a.Code == http.StatusForbidden {
				t.Errorf("%s answered %q with %d: %.200s", spec.Name, body.Name, a.Code, a.Body)
			}
		}
	}
	if after := s.everything(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}

// TestI04_DeepAndWideWhereNamesAreFree: depth and number are bounded also in members whose names or text the caller chooses: fingerprints,
// entitlements, and the JSON or CSV of an import.
func TestI04_DeepAndWideWhereNamesAreFree(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	owner := s.Staff[licensing.RoleOwner]
	deep := func(n int) json.RawMessage { return json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	wide := object{}
	for i := range 100_000 {
		wide[fmt.Sprint("k", i)] = "v"
	}
	terms := func(e any) object {
		return object{"product_id": s.Product, "code": "deep", "name": "n", "terms": object{"type": "perpetual", "seats": object{"n": 1, "by": "device"}, "entitlements": e}}
	}
	for name, q := range map[string]request{
		"deep entitlement":   {Path: "/v1/policies", As: owner, Body: terms(object{"x": deep(10_000)})},
		"wide entitlements":  {Path: "/v1/policies", As: owner, Body: terms(wide)},
		"deep component":     {Path: "/v1/activations", As: "License " + s.A.Key, Body: object{"product": s.Slug, "device": object{"x": deep(10_000)}}},
		"wide fingerprint":   {Path: "/v1/activations", As: "License " + s.A.Key, Body: object{"product": s.Slug, "device": wide}},
		"deep import":        {Path: "/v1/catalog/import", As: owner, Body: object{"format": "json", "data": string(deep(100_000))}},
		"deep import object": {Path: "/v1/catalog/import", As: owner, Body: object{"format": "json", "data": strings.Repeat(`[{"a":`, 50_000)}},
		"wide import":        {Path: "/v1/catalog/import", As: owner, Body: object{"format": "json", "data": "[" + strings.Repeat("{},", 100_000) + "{}]"}},
		"long CSV":           {Path: "/v1/catalog/import", As: owner, Body: object{"format": "csv", "data": "product\n" + strings.Repeat("a\n", 200_000)}},
		"wide CSV":           {Path: "/v1/catalog/import", As: owner, Body: object{"format": "csv", "data": strings.Repeat("a,", 200_000)}},
		"quote in CSV":       {Path: "/v1/catalog/import", As: owner, Body: object{"format": "csv", "data": "product\n\"" + strings.Repeat("a\n", 200_000)}},
		"batch of keys":      {Path: "/v1/keys/verify", As: owner, Body: object{"batch": make([]object, 20_000)}},
		"many scopes":        {Path: "/v1/keys", As: owner, Body: object{"owner": s.A.ID, "product": s.Product, "name": "k", "scopes": strings.Split(strings.Repeat("a:b ", 20_000), " ")}},
		"many lines":         {Path: "/v1/checkouts", Body: object{"lines": make([]object, 10_000), "currency": "EUR", "consent": object{"terms": true, "immediate_delivery": true}}},
		"many anchors":       {Path: "/v1/audit/verify", As: owner, Body: object{"anchors": strings.Split(strings.Repeat("a ", 50_000), " ")}},
	} {
		q.Method, q.Bare = "POST", true
		if a := s.send(q); a.Code != http.StatusBadRequest && a.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s answered %d: %.300s", name, a.Code, a.Body)
		}
	}
}
