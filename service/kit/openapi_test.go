package kit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

var info = kit.Info{Title: "Toy", Version: "1", Description: "Widgets."}

func document(tb testing.TB, routes []kit.Route) []byte {
	tb.Helper()
	doc, err := kit.Document(info, routes)
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

// TestDocumentIsValidAndStable: the document is valid OpenAPI 3.1, has the same bytes whatever the order of the routes, and says
// what the Spec says.
func TestDocumentIsValidAndStable(t *testing.T) {
	t.Parallel()
	routes := (&toy{}).routes()
	doc := document(t, routes)
	slices.Reverse(routes)
	if !bytes.Equal(doc, document(t, routes)) {
		t.Error("the document depends on the order of the routes")
	}
	loaded := kittest.Load(t, doc)
	create := loaded.Paths.Find("/v1/widgets").Post
	if create == nil || create.OperationID != "widget.create" || create.Responses.Value("201") == nil || create.Responses.Value("422") == nil || create.Responses.Value("default") == nil {
		t.Fatalf("widget.create is %+v", create)
	}
	if p := create.Parameters.GetByInAndName("header", "Idempotency-Key"); p == nil || p.Required {
		t.Error("no optional Idempotency-Key")
	}
	request := loaded.Components.Schemas["WidgetRequest"]
	if request == nil {
		t.Fatalf("no schema of the request in %s", doc)
	}
	if got := request.Value.Required; !slices.Equal(got, []string{"name", "quantity"}) {
		t.Errorf("required: %v", got)
	}
	if extra := request.Value.AdditionalProperties.Has; extra == nil || *extra {
		t.Error("the request takes more members")
	}
	if p := loaded.Paths.Find("/v1/break").Post.Parameters; len(p) != 0 {
		t.Errorf("a POST that reads has parameters %v", p)
	}
	for _, want := range []string{`"staff:admin"`, `"widgets:write"`, `"x-secret": "once"`, `"ListOfWidget"`} {
		if !bytes.Contains(doc, []byte(want)) {
			t.Errorf("the document does not say %s", want)
		}
	}
}

// TestExchangesFollowTheDocument: what the operations take and answer is what the document says, over good and bad requests.
func TestExchangesFollowTheDocument(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	checked := kittest.Validate(t, document(t, h.toy.routes()), h.mux)
	send := func(method, target, body, who string) int {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		if body == "" {
			r = httptest.NewRequest(method, target, nil)
		} else {
			r.Header.Set("Content-Type", "application/json")
		}
		if who != "" {
			r.Header.Set("Authorization", who)
		}
		w := httptest.NewRecorder()
		checked.ServeHTTP(w, r)
		return w.Code
	}
	for _, c := range []struct {
		method, target, body, who string
		want                      int
	}{
		{"POST", "/v1/widgets", `{"name":"a","quantity":1,"small":3,"weight":1.5,"on":true,"at":"2027-01-31T09:00:00Z","color":"red","tags":["x"],"labels":{"a":"b"},"parts":[{"name":"p","count":1,"parts":[{"name":"q","count":2}]}],"extra":{"any":[1]}}`, "", 201},
		{"POST", "/v1/widgets", `{"name":"a"}`, "", 400}, {"POST", "/v1/widgets", `[]`, "Bearer customer", 400}, {"POST", "/v1/widgets", `{}`, "Bearer nobody", 401},
		{"GET", "/v1/widgets?limit=5&color=red", "", "Bearer customer", 200}, {"GET", "/v1/widgets/wid_1?deep=2&with=a&with=b", "", "License KEY", 200},
		{"GET", "/v1/widgets/none", "", "Bearer customer", 404}, {"DELETE", "/v1/widgets/wid_1", "", "Bearer admin", 204}, {"DELETE", "/v1/widgets/wid_1", "", "Bearer other", 403},
		{"POST", "/v1/break", `{"how":"conflict"}`, "", 409}, {"POST", "/v1/break", `{"how":"gone"}`, "", 410}, {"POST", "/v1/break", `{"how":"panic"}`, "", 500}, {"POST", "/v1/break", `{"how":"many"}`, "", 429},
	} {
		if got := send(c.method, c.target, c.body, c.who); got != c.want {
			t.Errorf("%s %s answered %d, want %d", c.method, c.target, got, c.want)
		}
	}
}

// TestUndocumentedIsAnError: an operation or a field without its sentence fails the document, and the error names it.
func TestUndocumentedIsAnError(t *testing.T) {
	t.Parallel()
	type bare struct {
		Inner struct {
			Deep string `json:"deep"`
		} `json:"inner" doc:"Inner."`
	}
	spec := kit.Spec{Name: "thing.get", Method: "GET", Path: "/v1/things", Summary: "Get things", Tag: "Things", Access: kit.Allow{Anonymous: true}}
	silent := spec
	silent.Summary = ""
	for want, route := range map[string]kit.Route{
		"Summary": kit.New(silent, func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }),
		"Deep":    kit.New(spec, func(context.Context, struct{}) (bare, error) { return bare{}, nil }),
		"color": kit.New(spec, func(context.Context, struct {
			Color string `query:"color"`
		}) (struct{}, error) {
			return struct{}{}, nil
		}),
	} {
		if _, err := kit.Document(info, []kit.Route{route}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that names %s, got %v", want, err)
		}
	}
}

// TestBreakingChangesAreFound: removals, new demands and other types are breaking, in requests and answers; additions are not.
func TestBreakingChangesAreFound(t *testing.T) {
	t.Parallel()
	before := document(t, (&toy{}).routes())
	change := func(edit func(map[string]any)) []string {
		var doc map[string]any
		if err := json.Unmarshal(before, &doc); err != nil {
			t.Fatal(err)
		}
		edit(doc)
		after, _ := json.Marshal(doc)
		found, err := kit.Breaking(before, after)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	at := func(doc map[string]any, path ...string) map[string]any {
		for _, p := range path {
			doc = doc[p].(map[string]any)
		}
		return doc
	}
	request := func(d map[string]any) map[string]any {
		return at(d, "components", "schemas", "WidgetRequest")
	}
	answer := func(d map[string]any) map[string]any { return at(d, "components", "schemas", "Widget") }
	for name, c := range map[string]struct {
		edit func(map[string]any)
		want string
	}{
		"operation gone": {func(d map[string]any) { delete(at(d, "paths", "/v1/widgets"), "post") }, "widget.create: the operation is gone"},
		"path gone":      {func(d map[string]any) { delete(at(d, "paths"), "/v1/break") }, "widget.break: the operation is gone"},
		"member gone":    {func(d map[string]any) { delete(at(request(d), "properties"), "color") }, "widget.create request/color: is gone"},
		"value gone":     {func(d map[string]any) { at(request(d), "properties", "color")["enum"] = []string{"red"} }, "widget.create request/color: the value green is gone"},
		"type":           {func(d map[string]any) { at(request(d), "properties", "on")["type"] = "string" }, "widget.create request/on: the type changed"},
		"newly required": {func(d map[string]any) { request(d)["required"] = []string{"name", "quantity", "on"} }, "widget.create request/on: is demanded"},
		"new required": {func(d map[string]any) {
			at(request(d), "properties")["new"] = map[string]any{"type": "string"}
			request(d)["required"] = []string{"name", "quantity", "new"}
		}, "widget.create request/new: is demanded"},
		"answer member gone": {func(d map[string]any) { delete(at(answer(d), "properties"), "name") }, "widget.create answer/name: is gone"},
		"answer promise":     {func(d map[string]any) { answer(d)["required"] = []string{"id", "name"} }, "widget.create answer/quantity: is no longer promised"},
		"status": {func(d map[string]any) {
			r := at(d, "paths", "/v1/widgets", "post", "responses")
			r["200"] = r["201"]
			delete(r, "201")
		}, "widget.create: no longer answers 201"},
		"caller": {func(d map[string]any) {
			at(d, "paths", "/v1/widgets/{id}", "get")["security"] = []any{map[string]any{"session": []string{"customer"}}}
		}, "widget.get: session staff:admin may no longer call"},
		"parameter gone": {func(d map[string]any) {
			op := at(d, "paths", "/v1/widgets/{id}", "get")
			op["parameters"] = op["parameters"].([]any)[:2]
		}, "widget.get: parameter query with is gone"},
	} {
		if got := change(c.edit); !slices.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
	if got := change(func(d map[string]any) {
		at(request(d), "properties")["new"] = map[string]any{"type": "string"}
		at(answer(d), "properties")["new"] = map[string]any{"type": "string"}
		answer(d)["required"] = []string{"id", "name", "quantity", "new"}
		at(request(d), "properties", "color")["enum"] = []string{"red", "green", "blue"}
		at(d, "paths")["/v1/new"] = at(d, "paths", "/v1/break")
	}); len(got) != 0 {
		t.Errorf("additions are called breaking: %q", got)
	}
}

// TestHeadIsGet: a HEAD request is answered like GET without the body.
func TestHeadIsGet(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	server := httptest.NewServer(h.mux)
	defer server.Close()
	r, _ := http.NewRequest("HEAD", server.URL+"/v1/widgets/wid_1", nil)
	r.Header.Set("Authorization", "Bearer customer")
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || h.toy.call.Actor.Kind != licensing.Customer {
		t.Errorf("answered %d", resp.StatusCode)
	}
}
