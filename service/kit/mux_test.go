package kit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

const body = `{"name":"a","quantity":1}`

// TestIdempotencyKeyReplays: the same key with the same request is done once and answered alike, marked as a replay, whatever its
// spelling; with another request it is refused; it belongs to its caller alone.
func TestIdempotencyKeyReplays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	send := func(body, who string) *http.Response {
		return h.send("POST", "/v1/widgets", body, "Authorization", who, "Idempotency-Key", "0123456789abcdef")
	}
	first := send(body, "Bearer customer")
	if got := good[widget](t, first, 201); got.Secret != "s3cret" || first.Header.Get("Idempotency-Replayed") != "" {
		t.Errorf("first: %+v", got)
	}
	again := send(`{ "quantity": 1, "name": "a" }`, "Bearer customer")
	if got := good[widget](t, again, 201); got.Name != "read again" || got.Secret != "s3cret" || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %+v", got)
	}
	problem(t, send(`{"name":"b","quantity":1}`, "Bearer customer"), 422, "idempotency-key-reused")
	if got := good[widget](t, send(`{"name":"b","quantity":1}`, "Bearer other"), 201); got.Name != "b" {
		t.Errorf("another caller got %+v", got)
	}
	if n := h.toy.reached(); n != 2 {
		t.Errorf("done %d times", n)
	}
}

// TestIdempotencyKeyRaces: of many requests with one key at once, one is done and all get its answer.
func TestIdempotencyKeyRaces(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if resp := h.send("POST", "/v1/widgets", body, "Idempotency-Key", "0123456789abcdef"); resp.StatusCode != 201 {
				t.Errorf("answered %d", resp.StatusCode)
			}
		})
	}
	wg.Wait()
	if n := h.toy.reached(); n != 1 {
		t.Errorf("done %d times", n)
	}
}

// TestIdempotencyKeyForm: keys that cannot be told apart or guessed easily are refused; operations that write nothing ignore them.
func TestIdempotencyKeyForm(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, key := range []string{"has space in it or so", "short", strings.Repeat("a", 256), "ümlaut-ümlaut-ümlaut"} {
		problem(t, h.send("POST", "/v1/widgets", body, "Idempotency-Key", key), 400, "invalid-request")
	}
	good[widget](t, h.send("POST", "/v1/widgets", body, "Idempotency-Key", "short", "Authorization", "Bearer customer"), 201)
	good[widget](t, h.send("POST", "/v1/break", `{"how":""}`, "Idempotency-Key", "short"), 200)
}

// TestI11_CursorsAreSealed: a cursor works for the caller and the operation it was made for, and one that was made up or changed
// in any byte is refused; the page size is bounded.
func TestI11_CursorsAreSealed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	list := func(query, who string) *http.Response {
		return h.send("GET", "/v1/widgets"+query, "", "Authorization", who)
	}
	page := good[licensing.List[widget]](t, list("", "Bearer customer"), 200)
	if got := h.toy.last.(widgetList); got.Limit != 20 || got.Cursor != "" {
		t.Errorf("the first page is %+v", got)
	}
	if strings.Contains(page.Next, "wid_9") || page.Next == "" {
		t.Errorf("the cursor is plain: %q", page.Next)
	}
	if got := good[licensing.List[widget]](t, list("?limit=100&cursor="+page.Next, "Bearer customer"), 200); got.Items[0].ID != "wid_after_wid_9" {
		t.Errorf("the second page starts at %s", got.Items[0].ID)
	}
	problem(t, list("?cursor="+page.Next, "Bearer other"), 400, "invalid-cursor")
	for i := range page.Next {
		for _, c := range []byte{'A', 'z', '.'} {
			if page.Next[i] == c {
				continue
			}
			forged := page.Next[:i] + string(c) + page.Next[i+1:]
			problem(t, list("?cursor="+forged, "Bearer customer"), 400, "invalid-cursor")
		}
	}
	for _, forged := range []string{"wid_9", "d2lkXzk", "AAAAAAAAAAAAAAAAAAAAAHdpZF85", page.Next + "A", page.Next[1:]} {
		problem(t, list("?cursor="+forged, "Bearer customer"), 400, "invalid-cursor")
	}
	problem(t, list("?limit=1000000000", "Bearer customer"), 400, "invalid-request")
}

// TestX09_OnlyListedOriginsMayRead: CORS is for exact configured origins, on operations marked for it, and never with credentials.
func TestX09_OnlyListedOriginsMayRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *kit.Stack) { s.Origins = []string{"https://mintreu.com"} })
	for origin, allowed := range map[string]bool{
		"https://mintreu.com": true, "http://mintreu.com": false, "https://mintreu.com.evil": false, "https://evil-mintreu.com": false, "https://MINTREU.com": false,
		"https://mintreu.com:443": false, "https://sub.mintreu.com": false, "null": false, "*": false, "https://mintreu.com/": false, "https://mintreu.com, https://evil": false,
	} {
		simple := h.send("POST", "/v1/widgets", body, "Origin", origin)
		preflight := h.send("OPTIONS", "/v1/widgets", "", "Origin", origin, "Access-Control-Request-Method", "POST")
		for _, resp := range []*http.Response{simple, preflight} {
			got := resp.Header.Get("Access-Control-Allow-Origin")
			if (got == origin) != allowed || !allowed && got != "" {
				t.Errorf("%s: allowed %q", origin, got)
			}
			if resp.Header.Get("Access-Control-Allow-Credentials") != "" || strings.Contains(strings.ToLower(resp.Header.Get("Access-Control-Allow-Headers")), "authorization") {
				t.Errorf("%s: credentials allowed", origin)
			}
			if resp.Header.Get("Vary") != "Origin" && resp == simple {
				t.Errorf("%s: no Vary", origin)
			}
		}
	}
	for _, resp := range []*http.Response{
		h.send("GET", "/v1/widgets", "", "Origin", "https://mintreu.com", "Authorization", "Bearer customer"),
		h.send("OPTIONS", "/v1/widgets", "", "Origin", "https://mintreu.com", "Access-Control-Request-Method", "GET"),
	} {
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("an operation without CORS allowed %q", got)
		}
	}
}

// TestAnswersCarrySecurityHeaders: every answer, good or bad, forbids sniffing, framing, referrers and caching.
func TestAnswersCarrySecurityHeaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, resp := range map[string]*http.Response{
		"good": h.send("POST", "/v1/widgets", body), "bad": h.send("POST", "/v1/widgets", "{"), "none": h.send("GET", "/nowhere", ""), "method": h.send("PUT", "/v1/widgets", ""),
	} {
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cache-Control": "no-store"} {
			if got := resp.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
		if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: no content security policy", name)
		}
	}
}

// TestWrongSpecsAreRefused: what would be a hole or a lie at run time is an error when the mux is built, and the error names the
// operation.
func TestWrongSpecsAreRefused(t *testing.T) {
	t.Parallel()
	ok := kit.Spec{Name: "thing.do", Method: "POST", Path: "/v1/things/{id}", Access: kit.Allow{Anonymous: true}, Reads: true}
	type byID struct {
		ID string `path:"id"`
	}
	noop := func(context.Context, byID) (struct{}, error) { return struct{}{}, nil }
	with := func(change func(*kit.Spec)) kit.Route { s := ok; change(&s); return kit.New(s, noop) }
	for want, routes := range map[string][]kit.Route{
		"needs Again":                    {with(func(s *kit.Spec) { s.Reads = false })},
		"nobody may call":                {with(func(s *kit.Spec) { s.Access = kit.Allow{} })},
		"noun.verb":                      {with(func(s *kit.Spec) { s.Name = "things" })},
		"no method":                      {with(func(s *kit.Spec) { s.Method = "YELL" })},
		"anonymous operations take CORS": {with(func(s *kit.Spec) { s.CORS = true; s.Access = kit.Allow{Customer: true} })},
		"only a POST takes Reads":        {with(func(s *kit.Spec) { s.Method = "DELETE" })},
		"no status":                      {with(func(s *kit.Spec) { s.Status = 302 })},
		"start with a slash":             {with(func(s *kit.Spec) { s.Path = "v1" })},
		"the name is taken":              {kit.New(ok, noop), with(func(s *kit.Spec) { s.Path = "/v1/others/{id}" })},
		"is taken":                       {kit.New(ok, noop), with(func(s *kit.Spec) { s.Name = "thing.again" })},
		"does not read every":            {with(func(s *kit.Spec) { s.Path = "/v1/things/{id}/{other}" })},
		"which /v1/things does":          {with(func(s *kit.Spec) { s.Path = "/v1/things" })},
		"conflicts with":                 {kit.New(ok, noop), kit.New(kit.Spec{Name: "thing.x", Method: "GET", Path: "/v1/{id}/x", Access: ok.Access}, noop)},
		"no path, query":                 {kit.New(kit.Spec{Name: "a.b", Method: "GET", Path: "/a", Access: ok.Access}, func(context.Context, struct{ X string }) (struct{}, error) { return struct{}{}, nil })},
		"has no JSON form": {kit.New(kit.Spec{Name: "a.b", Method: "GET", Path: "/a", Access: ok.Access}, func(context.Context, struct{}) (struct {
			C chan int `json:"c"`
		}, error) {
			panic("unused")
		})},
		"cannot be a path or query": {kit.New(kit.Spec{Name: "a.b", Method: "GET", Path: "/a", Access: ok.Access}, func(context.Context, struct {
			M map[string]string `query:"m"`
		}) (struct{}, error) {
			return struct{}{}, nil
		})},
	} {
		_, err := kit.NewMux(kittest.NewFixture(t).Stack, routes...)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "kit: operation "+routes[len(routes)-1].Spec().Name) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	for _, spoil := range []func(*kit.Stack){
		func(s *kit.Stack) { s.Auth = nil }, func(s *kit.Stack) { s.Switches = nil }, func(s *kit.Stack) { s.CursorKey = []byte("short") }, func(s *kit.Stack) { s.Logger = nil },
	} {
		s := kittest.NewFixture(t).Stack
		spoil(&s)
		if _, err := kit.NewMux(s); err == nil {
			t.Error("a stack without a part was accepted")
		}
	}
}

// TestR14_OnlyNewMakesRoutes: a handler that skips the chain cannot pass for a Route, since Route has methods that no other
// package can write; what is not a Route enters the mux only by Handle, by name.
func TestR14_OnlyNewMakesRoutes(t *testing.T) {
	t.Parallel()
	if _, ok := any(impostor{}).(kit.Route); ok {
		t.Fatal("a type of another package is a Route")
	}
	for _, r := range (&toy{}).routes() {
		if _, ok := r.(http.Handler); ok {
			t.Errorf("%s can be served around the chain", r.Spec().Name)
		}
	}
}

// impostor does what another package can do to look like a Route.
type impostor struct{}

func (impostor) Spec() kit.Spec                                   { return kit.Spec{} }
func (impostor) types() (req, resp any)                           { return nil, nil }
func (impostor) replayable() bool                                 { return true }
func (impostor) bind(any) (http.Handler, error)                   { return nil, nil }
func (impostor) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

var _ = impostor.types
var _ = impostor.replayable
var _ = impostor.bind

// passing is a writer around another, as compression and the like put one.
type passing struct{ http.ResponseWriter }

func (p passing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// TestRawHandlers: a raw handler gets an id, headers, recovery, a log line that says why it failed, and a count; one that breaks after it began to
// answer has its connection cut.
func TestRawHandlers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	handle := func(name, pattern string, f http.HandlerFunc) {
		if err := h.mux.Handle(name, pattern, f); err != nil {
			t.Fatal(err)
		}
	}
	handle("hook.receive", "POST /hooks", func(w http.ResponseWriter, r *http.Request) {
		if call := licensing.CallFrom(r.Context()); call.Operation != "hook.receive" || call.RequestID == "" || call.Mutating {
			t.Errorf("the handler saw %+v", call)
		}
		kit.WriteError(w, r, licensing.Fail(licensing.Invalid, "bad-signature", "The signature is wrong."))
	})
	handle("raw.broken", "/broken", func(w http.ResponseWriter, r *http.Request) {
		kit.WriteError(passing{w}, r, errors.New("the disk is full"))
	})
	handle("raw.panic", "/panic", func(http.ResponseWriter, *http.Request) { panic("boom") })
	handle("raw.late", "/late", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic("boom")
	})
	problem(t, h.send("POST", "/hooks", "x"), 400, "bad-signature")
	problem(t, h.send("GET", "/hooks", ""), 405, "method-not-allowed")
	problem(t, h.send("GET", "/broken", ""), 500, "internal")
	problem(t, h.send("PATCH", "/panic", ""), 500, "internal")
	server := httptest.NewServer(h.mux)
	defer server.Close()
	resp, err := server.Client().Get(server.URL + "/late")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looked whole")
	}
	log := h.Log.String()
	for _, line := range []string{
		`"operation":"raw.late","status":500`,
		`"code":"bad-signature","error":"bad-signature: The signature is wrong."`,
		`"code":"internal","error":"the disk is full"`,
	} {
		if !strings.Contains(log, line) {
			t.Errorf("%s is not logged: %s", line, log)
		}
	}
	handle("page.any", "/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
	if resp := h.send("GET", "/whatever", ""); resp.StatusCode != 200 {
		t.Errorf("the fallback answered %d", resp.StatusCode)
	}
	if err := h.mux.Handle("hook.twice", "POST /hooks", http.NotFoundHandler()); err == nil {
		t.Error("a path was taken twice")
	}
}
