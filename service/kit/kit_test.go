package kit_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

// The toy: widgets with every kind of field, to try operations on.

type part struct {
	Name  string `json:"name" doc:"Name of the part."`
	Count int    `json:"count" doc:"How many."`
	Parts []part `json:"parts,omitempty" doc:"Parts of the part."`
}

type widgetRequest struct {
	Name     string            `json:"name" doc:"Name of the widget." example:"Sprocket"`
	Quantity int64             `json:"quantity" doc:"How many."`
	Small    *int32            `json:"small,omitempty" doc:"A small number."`
	Weight   float64           `json:"weight,omitempty" doc:"Weight in kilograms."`
	On       bool              `json:"on,omitempty" doc:"Whether it is on."`
	At       *time.Time        `json:"at,omitempty" doc:"When."`
	Color    string            `json:"color,omitempty" doc:"The colour." enum:"red,green"`
	Tags     []string          `json:"tags,omitempty" doc:"Tags."`
	Labels   map[string]string `json:"labels,omitempty" doc:"Labels."`
	Parts    []part            `json:"parts,omitempty" doc:"Parts."`
	Extra    any               `json:"extra,omitempty" doc:"Whatever."`
}

func (r widgetRequest) Validate() error {
	if r.Quantity < 1 || r.Quantity > 100 {
		return licensing.Fail(licensing.Invalid, "invalid-request", "The request is not right.").With("/quantity", "must be from 1 to 100")
	}
	return nil
}

type widget struct {
	ID       string `json:"id" doc:"Id of the widget."`
	Name     string `json:"name" doc:"Name of the widget."`
	Quantity int64  `json:"quantity" doc:"How many."`
	Secret   string `json:"secret,omitempty" doc:"The widget's secret." secret:"once"`
}

type widgetGet struct {
	ID   string   `path:"id" doc:"Id of the widget."`
	Deep int      `query:"deep" doc:"How deep to look."`
	With []string `query:"with" doc:"What to show as well."`
}

// CSV is the widget as a table.
func (w widget) CSV() [][]string { return [][]string{{"id", "name"}, {w.ID, w.Name}} }

type widgetList struct {
	licensing.Page
	Color string     `query:"color" doc:"Colour to show." enum:"red,green"`
	Since *time.Time `query:"since" doc:"Only widgets made since then."`
}

type widgetBreak struct {
	How string `json:"how" doc:"How to fail."`
}

// toy counts what reached its methods.
type toy struct {
	kept *kittest.Kept
	mu   sync.Mutex
	made int
	last any
	call licensing.Call
}

func (s *toy) note(ctx context.Context, r any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.call = r, *licensing.CallFrom(ctx)
}

func (s *toy) reached() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made
}

func (s *toy) Create(ctx context.Context, r widgetRequest) (widget, error) {
	s.note(ctx, r)
	licensing.KeepOnce(ctx, "s3cret")
	if err := s.kept.Keep(ctx, "wid_1"); err != nil {
		return widget{}, err
	}
	s.mu.Lock()
	s.made++
	s.mu.Unlock()
	return widget{ID: "wid_1", Name: r.Name, Quantity: r.Quantity, Secret: "s3cret"}, nil
}

func (s *toy) again(_ context.Context, id, secret string) (widget, error) {
	return widget{ID: id, Name: "read again", Quantity: 1, Secret: secret}, nil
}

func (s *toy) Get(ctx context.Context, r widgetGet) (widget, error) {
	s.note(ctx, r)
	if r.ID == "none" {
		return widget{}, licensing.ErrNotFound
	}
	return widget{ID: r.ID, Name: "one", Quantity: 1}, nil
}

func (s *toy) List(ctx context.Context, r widgetList) (licensing.List[widget], error) {
	s.note(ctx, r)
	return licensing.List[widget]{Items: []widget{{ID: "wid_after_" + r.Cursor}}, Next: "wid_9"}, nil
}

func (s *toy) Delete(ctx context.Context, r struct {
	ID string `path:"id" doc:"Id of the widget."`
}) (struct{}, error) {
	s.note(ctx, r)
	return struct{}{}, nil
}

func (s *toy) Break(ctx context.Context, r widgetBreak) (widget, error) {
	return widget{}, breakage(ctx, r.How)
}

// routes are the toy's operations.
func (s *toy) routes() []kit.Route {
	staff := []licensing.Role{licensing.RoleAdmin}
	return []kit.Route{
		kit.New(kit.Spec{Name: "widget.create", Method: "POST", Path: "/v1/widgets", Summary: "Make a widget", Tag: "Widgets", Status: 201,
			Access: kit.Allow{Customer: true, Staff: staff, Machine: "widgets:write", Anonymous: true}, Switch: licensing.SwitchPayments, CORS: true,
			Wraps:    map[string]kit.Wrap{"application/parts+json": {Open: `{"name":"a","quantity":1,"parts":[`, Close: `]}`}},
			Envelope: &kit.Envelope{Prefix: "W-", Mark: "W-Name", Data: "quantity"}}, s.Create).Again(s.again),
		kit.New(kit.Spec{Name: "widget.get", Method: "GET", Path: "/v1/widgets/{id}", Summary: "Read a widget", Tag: "Widgets",
			Access: kit.Allow{Customer: true, Staff: staff, Holder: true, Device: true}}, s.Get),
		kit.New(kit.Spec{Name: "widget.list", Method: "GET", Path: "/v1/widgets", Summary: "List widgets", Tag: "Widgets",
			Access: kit.Allow{Customer: true, Staff: staff}}, s.List),
		kit.New(kit.Spec{Name: "widget.delete", Method: "DELETE", Path: "/v1/widgets/{id}", Summary: "Delete a widget", Tag: "Widgets", Fresh: true,
			Access: kit.Allow{Staff: staff, Customer: true}}, s.Delete),
		kit.New(kit.Spec{Name: "widget.break", Method: "POST", Path: "/v1/break", Summary: "Fail", Tag: "Widgets", Reads: true, Body: 1 << 20,
			Access: kit.Allow{Anonymous: true}}, s.Break),
	}
}

// house is the toy behind HTTP.
type house struct {
	*kittest.Fixture
	toy *toy
	mux *kit.Mux
}

var people = map[string]licensing.Actor{
	"Bearer customer":  {Kind: licensing.Customer, ID: "cus_1", Owner: "cus_1", Fresh: true},
	"Bearer other":     {Kind: licensing.Customer, ID: "cus_2", Owner: "cus_2"},
	"Bearer admin":     {Kind: licensing.Staff, ID: "cus_3", Role: licensing.RoleAdmin, Fresh: true},
	"Bearer auditor":   {Kind: licensing.Staff, ID: "cus_4", Role: licensing.RoleAuditor, Fresh: true},
	"Bearer mtk_write": {Kind: licensing.Machine, ID: "mtk_1", Scopes: []string{"widgets:write"}},
	"License KEY":      {Kind: licensing.Holder, ID: "lic_1", Owner: "cus_1"},
	"Lease LEASE":      {Kind: licensing.Device, ID: "act_1", Owner: "cus_1"},
}

func newHouse(tb testing.TB, change ...func(*kit.Stack)) *house {
	tb.Helper()
	h := &house{Fixture: kittest.NewFixture(tb)}
	for authorization, actor := range people {
		h.Actors.Know(authorization, actor)
	}
	for _, c := range change {
		c(&h.Stack)
	}
	h.toy = &toy{kept: h.Kept}
	mux, err := kit.NewMux(h.Stack, h.toy.routes()...)
	if err != nil {
		tb.Fatal(err)
	}
	h.mux = mux
	return h
}

// send answers one request; headers come in pairs.
func (h *house) send(method, target, body string, headers ...string) *http.Response {
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, rd)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w.Result()
}

// problem reads problem details and checks that they are whole.
func problem(tb testing.TB, resp *http.Response, status int, code string) kit.Problem {
	tb.Helper()
	text, _ := io.ReadAll(resp.Body)
	var p kit.Problem
	if err := json.Unmarshal(text, &p); err != nil {
		tb.Fatalf("no problem details: %v: %q", err, text)
	}
	if resp.StatusCode != status || p.Code != code {
		tb.Fatalf("answered %d %s, want %d %s: %s", resp.StatusCode, p.Code, status, code, text)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		tb.Errorf("content type %q", got)
	}
	if p.Status != status || p.Type != "urn:mintreu:problem:"+code || p.Title == "" || p.Detail == "" || p.RequestID == "" || p.RequestID != resp.Header.Get("X-Request-Id") {
		tb.Errorf("problem details are not whole: %s", text)
	}
	return p
}

// good reads a success.
func good[T any](tb testing.TB, resp *http.Response, status int) T {
	tb.Helper()
	text, _ := io.ReadAll(resp.Body)
	var out T
	if resp.StatusCode != status {
		tb.Fatalf("answered %d, want %d: %s", resp.StatusCode, status, text)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		tb.Fatalf("%v: %s", err, text)
	}
	return out
}
