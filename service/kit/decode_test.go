package kit_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/kit/kittest"
)

// TestI03_HostileBodiesAreRefused: whatever is not one strict JSON object of the operation's members is answered with 4xx
// problem details, never with 5xx, and never reaches the service.
func TestI03_HostileBodiesAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, body := range kittest.Hostile() {
		t.Run(body.Name, func(t *testing.T) {
			resp := h.send("POST", "/v1/widgets", body.Text)
			text, _ := io.ReadAll(resp.Body)
			if resp.StatusCode < 400 || resp.StatusCode > 499 || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("answered %d: %.200s", resp.StatusCode, text)
			}
		})
	}
	if n := h.toy.reached(); n != 0 {
		t.Errorf("%d hostile bodies reached the service", n)
	}
}

// TestI03_FaultsAreNamed: a refusal names the place by JSON pointer and what would be right.
func TestI03_FaultsAreNamed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cases := []struct{ name, body, code, at, says string }{
		{"unknown", `{"name":"a","quantity":1,"price":3}`, "invalid-request", "/price", "not known"},
		{"case", `{"name":"a","quantity":1,"Color":"red"}`, "invalid-request", "/Color", `"color"`},
		{"case twin", `{"name":"a","NAME":"b","quantity":1}`, "invalid-request", "/NAME", `"name"`},
		{"duplicate", `{"name":"a","quantity":1,"quantity":2}`, "malformed-json", "/quantity", "twice"},
		{"missing", `{"name":"a"}`, "invalid-request", "/quantity", "missing"},
		{"null", `{"name":null,"quantity":1}`, "invalid-request", "/name", "a string"},
		{"type", `{"name":7,"quantity":1}`, "invalid-request", "/name", "a string"},
		{"nested", `{"name":"a","quantity":1,"parts":[{"name":"x","count":1,"parts":[{"name":"y","count":"2"}]}]}`, "invalid-request", "/parts/0/parts/0/count", "whole number"},
		{"enum", `{"name":"a","quantity":1,"color":"blue"}`, "invalid-request", "/color", "red, green"},
		{"time", `{"name":"a","quantity":1,"at":"31.1.2027"}`, "invalid-request", "/at", "2027"},
		{"leap second", `{"name":"a","quantity":1,"at":"2026-12-31T23:59:60Z"}`, "invalid-request", "/at", ""},
		{"map twin", `{"name":"a","quantity":1,"labels":{"a":"1","A":"2"}}`, "invalid-request", "/labels/A", "case"},
		{"nul", `{"name":"a\u0000b","quantity":1}`, "invalid-request", "/name", "U+0000"},
		{"nul in any", `{"name":"a","quantity":1,"extra":{"x":["\u0000"]}}`, "invalid-request", "/extra/x/0", "U+0000"},
		{"trailing", `{"name":"a","quantity":1}{}`, "malformed-json", "", ""},
		{"rule", `{"name":"a","quantity":101}`, "invalid-request", "/quantity", "1 to 100"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := problem(t, h.send("POST", "/v1/widgets", c.body), 400, c.code)
			if c.at == "" {
				return
			}
			if len(p.Errors) != 1 || p.Errors[0].Name != c.at || !strings.Contains(p.Errors[0].Detail, c.says) {
				t.Errorf("errors are %+v, want %s … %s", p.Errors, c.at, c.says)
			}
		})
	}
}

// TestC02_NumbersAreWhole: a quantity is plain digits in range; everything else that other decoders round or wrap is refused.
func TestC02_NumbersAreWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, n := range []string{"-1", "0", "1.5", "1.0", "1e2", "1E0", `"1e2"`, `"1"`, "1000000000", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1e400", "-0", "01", "+1", "0x10", "true", "NaN", "Infinity", "null", "[1]"} {
		if resp := h.send("POST", "/v1/widgets", `{"name":"a","quantity":`+n+`}`); resp.StatusCode != 400 {
			t.Errorf("quantity %s answered %d", n, resp.StatusCode)
		}
	}
	if resp := h.send("POST", "/v1/widgets", `{"name":"a","quantity":1,"small":2147483648}`); resp.StatusCode != 400 {
		t.Errorf("2^31 fitted an int32: %d", resp.StatusCode)
	}
	if got := good[widget](t, h.send("POST", "/v1/widgets", `{"name":"a","quantity":100,"small":null,"weight":1.5e-3}`), 201); got.Quantity != 100 {
		t.Errorf("made %+v", got)
	}
}

// TestR05_UnknownMembersAreRefused: no member beyond the operation's own is taken, so nobody assigns a role, a price or an
// owner by adding it.
func TestR05_UnknownMembersAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, name := range []string{"role", "tenant_id", "owner", "paid", "seats", "price", "created_at", "id", "ID", "__proto__", "constructor", ""} {
		p := problem(t, h.send("POST", "/v1/widgets", `{"name":"a","quantity":1,"`+name+`":1}`), 400, "invalid-request")
		if len(p.Errors) != 1 || p.Errors[0].Name != "/"+name {
			t.Errorf("%s: %+v", name, p.Errors)
		}
	}
	if n := h.toy.reached(); n != 0 {
		t.Errorf("%d got through", n)
	}
}

// TestI04_SizeAndDepthAreBounded: nesting, members and bytes of a body are bounded before anything is built from it.
func TestI04_SizeAndDepthAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	deep := func(n int) string {
		return `{"name":"a","quantity":1,"extra":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	good[widget](t, h.send("POST", "/v1/widgets", deep(30)), 201)
	for _, n := range []int{32, 33, 1000, 10_000, 100_000} {
		if resp := h.send("POST", "/v1/widgets", deep(n)); resp.StatusCode != 400 {
			t.Errorf("depth %d answered %d", n, resp.StatusCode)
		}
	}
	p := problem(t, h.send("POST", "/v1/widgets", `{"name":"`+strings.Repeat("a", 256<<10)+`","quantity":1}`), 413, "body-too-large")
	if !strings.Contains(p.Detail, "262144") {
		t.Errorf("the limit is not named: %s", p.Detail)
	}
	problem(t, h.send("POST", "/v1/break", strings.Repeat(" ", 1<<20)+"{}"), 413, "body-too-large")
}

// TestI06_ContentTypes: a body is taken only when it is declared, once, to be uncompressed UTF-8 JSON.
func TestI06_ContentTypes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const body = `{"name":"a","quantity":1}`
	for _, ct := range []string{"application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"} {
		good[widget](t, h.send("POST", "/v1/widgets", body, "Content-Type", ct), 201)
	}
	for _, ct := range []string{"", "text/plain", "text/json", "application/jsonx", "application/json, text/plain", "application/json; charset=utf-16", "application/json; charset=latin1", "application/json; boundary=x", "application/json; charset=utf-8; x=y", "application/merge-patch+json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "*/*", ";"} {
		problem(t, h.send("POST", "/v1/widgets", body, "Content-Type", ct), 415, "unsupported-media-type")
	}
	twice := httptest.NewRequest("POST", "/v1/widgets", strings.NewReader(body))
	twice.Header["Content-Type"] = []string{"application/json", "application/json"}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, twice)
	problem(t, w.Result(), 415, "unsupported-media-type")
	for _, enc := range []string{"gzip", "br", "deflate", "zstd", "gzip, identity"} {
		problem(t, h.send("POST", "/v1/widgets", body, "Content-Encoding", enc), 415, "unsupported-media-type")
	}
}

// TestQueryIsStrict: query and path parameters are checked like members: unknown, repeated, malformed or out of range is 400.
func TestQueryIsStrict(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	get := func(target string) *http.Response {
		return h.send("GET", target, "", "Authorization", "Bearer customer")
	}
	good[widget](t, get("/v1/widgets/wid_1?deep=3&with=a&with=b"), 200)
	if got := h.toy.last.(widgetGet); got.Deep != 3 || len(got.With) != 2 || got.ID != "wid_1" {
		t.Errorf("read %+v", got)
	}
	for _, q := range []string{"deeper=1", "deep=1&deep=2", "deep=1.5", "deep=1e2", "deep=", "deep=9223372036854775808", "deep=%31%00", "with=%00", "with=%ff", "deep=1;with=2", "%zz=1", "Deep=1", "with=" + strings.Repeat("x", 2000)} {
		if resp := get("/v1/widgets/wid_1?" + q); resp.StatusCode != 400 {
			t.Errorf("?%.40s answered %d", q, resp.StatusCode)
		}
	}
	for _, q := range []string{"color=blue", "since=yesterday", "limit=1e1", "limit=-1", "limit=101", "limit=1000000000"} {
		if resp := get("/v1/widgets?" + q); resp.StatusCode != 400 {
			t.Errorf("?%s answered %d", q, resp.StatusCode)
		}
	}
	for _, path := range []string{"/v1/widgets/%00", "/v1/widgets/%ff", "/v1/widgets/" + strings.Repeat("x", 1100)} {
		if resp := get(path); resp.StatusCode != 400 {
			t.Errorf("%.40s answered %d", path, resp.StatusCode)
		}
	}
	problem(t, h.send("GET", "/v1/widgets/wid_1", `{}x`, "Authorization", "Bearer customer"), 400, "malformed-json")
}

// TestI06_WrappedTypes: a body of a media type that the operation wraps is read as what stands inside, one value of JSON that cannot break
// out of its place.
func TestI06_WrappedTypes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const wrapped = "application/parts+json"
	for _, media := range []string{wrapped, wrapped + "; charset=UTF-8"} {
		good[widget](t, h.send("POST", "/v1/widgets", `{"name":"p","count":1}`, "Content-Type", media), 201)
	}
	made := h.toy.reached()
	for body, code := range map[string]string{`{"name":"p","count":1},{"name":"q","count":1}`: "malformed-json", `{"name":"p","count":1}],"tags":["x"`: "malformed-json",
		`"p"`: "invalid-request", `{"name":"p","count":1,"other":1}`: "invalid-request", "": "body-missing"} {
		problem(t, h.send("POST", "/v1/widgets", body, "Content-Type", wrapped), 400, code)
	}
	problem(t, h.send("POST", "/v1/widgets", `{"name":"p","count":1}`, "Content-Type", wrapped+"; charset=latin1"), 415, "unsupported-media-type")
	problem(t, h.send("POST", "/v1/widgets", `{"name":"p","count":1}`, "Content-Type", "application/other+json"), 415, "unsupported-media-type")
	if h.toy.reached() != made {
		t.Errorf("%d more were made", h.toy.reached()-made)
	}
}

// TestI06_Envelope: headers are the members of a body where an operation knows that form, decoded as its source says, with the body as one member
// more; what would be two members, or break out of its place, is refused, and a body with a media type of its own is read as that says.
func TestI06_Envelope(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for sent, want := range map[string]string{"plain": "plain", "Euro%20%E2%82%AC": "Euro €", `"quoted \"text\" 100%25"`: `quoted "text" 100%`, "a+b": "a+b", `"`: `"`} {
		if w := good[widget](t, h.send("POST", "/v1/widgets", "3", "W-Name", sent), 201); w.Name != want || w.Quantity != 3 {
			t.Errorf("%s was read as %+v", sent, w)
		}
	}
	good[widget](t, h.send("POST", "/v1/widgets", `{"name":"p","count":1}`, "W-Name", "b", "Content-Type", "application/parts+json"), 201)
	good[widget](t, h.send("POST", "/v1/widgets", `{"name":"p","quantity":1}`, "W-Color", "red"), 201) // no mark, so no envelope
	made := h.toy.reached()
	for _, tc := range []struct {
		header, value, body string
		status              int
		code                string
	}{
		{"W-Color", "blue", "3", 400, "invalid-request"},
		{"W-Other", "x", "3", 400, "invalid-request"},
		{"W-Quantity", "3", "3", 400, "invalid-headers"},
		{"W-", "3", "3", 400, "invalid-headers"},
		{"W-Two-Words", "3", "3", 400, "invalid-headers"},
		{"W-Color", "%zz", "3", 400, "invalid-headers"},
		{"W-Color", "%ff", "3", 400, "invalid-headers"},
		{"W-Color", "\xff", "3", 400, "invalid-headers"},
		{"W-Color", "red", `3,"at":null`, 400, "malformed-json"},
		{"W-Color", "red", `{"a":1,`, 400, "malformed-json"},
		{"W-Color", "red", "", 400, "invalid-request"},
		{"Content-Type", "text/plain", "3", 415, "unsupported-media-type"},
	} {
		problem(t, h.send("POST", "/v1/widgets", tc.body, "W-Name", "n", tc.header, tc.value), tc.status, tc.code)
	}
	r := httptest.NewRequest("POST", "/v1/widgets", strings.NewReader("3"))
	r.Header = http.Header{"Content-Type": {"application/json"}, "W-Name": {"a", "b"}}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	problem(t, w.Result(), 400, "invalid-headers")
	if h.toy.reached() != made {
		t.Errorf("%d more were made", h.toy.reached()-made)
	}
}
