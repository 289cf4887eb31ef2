package kit_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

// TestI17_PanicIsAnswered: a panic in a service is a 500 with the request id, the process lives, and the panic's text stays in
// the log.
func TestI17_PanicIsAnswered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, how := range []string{"panic", "nil"} {
		p := problem(t, h.send("POST", "/v1/break", `{"how":"`+how+`"}`), 500, "internal")
		if !strings.Contains(h.Log.String(), p.RequestID) {
			t.Error("the log does not name the request")
		}
	}
	if log := h.Log.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "breakage_test.go") {
		t.Errorf("the log does not tell where it broke: %s", log)
	}
	good[widget](t, h.send("POST", "/v1/break", `{"how":""}`), 200)
}

// TestI18_EveryFailureIsAProblem: each kind of failure has its status, a stable code and problem details, and none shows SQL, a
// stack or a cause.
func TestI18_EveryFailureIsAProblem(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	secret := regexp.MustCompile(`(?i)select|sqlstate|relation|goroutine|\.go:|boom|secret|price_1|store:|context`)
	for how, want := range map[string]struct {
		status     int
		code       string
		retryAfter string
	}{
		"panic": {500, "internal", ""}, "sql": {500, "internal", ""}, "internal": {500, "internal", ""},
		"away": {503, "database-unavailable", "5"}, "cancelled": {408, "request-cancelled", ""}, "deadline": {503, "timeout", "5"},
		"conflict": {409, "price-archived", ""}, "gone": {410, "session-over", ""}, "many": {429, "rate-limited", "2"}, "credentials": {401, "bad-credentials", ""},
	} {
		resp := h.send("POST", "/v1/break", `{"how":"`+how+`"}`)
		p := problem(t, resp, want.status, want.code)
		if text, _ := json.Marshal(p); secret.Match(text) {
			t.Errorf("%s shows its inside: %s", how, text)
		}
		if got := resp.Header.Get("Retry-After"); got != want.retryAfter {
			t.Errorf("%s: Retry-After %q, want %q", how, got, want.retryAfter)
		}
		if (want.status == 401) != (resp.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: WWW-Authenticate %q", how, resp.Header.Get("WWW-Authenticate"))
		}
	}
	problem(t, h.send("GET", "/nothing/here", ""), 404, "no-such-path")
	problem(t, h.send("GET", "/v1/widgets/none", "", "Authorization", "Bearer admin"), 404, "not-found")
	resp := h.send("PUT", "/v1/widgets", "{}")
	problem(t, resp, 405, "method-not-allowed")
	if got := resp.Header.Get("Allow"); got != "GET, POST, HEAD, OPTIONS" {
		t.Errorf("Allow: %s", got)
	}
	h.Off.Turn(licensing.SwitchPayments, true)
	if p := problem(t, h.send("POST", "/v1/widgets", `{"name":"a","quantity":1}`), 503, "switched-off"); p.RetryAfter != 60 {
		t.Errorf("switched off for %d s", p.RetryAfter)
	}
	logged := false
	for line := range strings.Lines(h.Log.String()) {
		if strings.Contains(line, "switched-off") {
			logged = true
			if strings.Contains(line, "ERROR") {
				t.Errorf("what a switch stops is logged as an error: %s", line)
			}
		}
	}
	if !logged {
		t.Error("the refusal is not in the log")
	}
}

// TestBadCredentialsLookAlike: whatever is wrong with a credential, the answer is one and the same but for the request id.
func TestBadCredentialsLookAlike(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := ""
	for _, authorization := range []string{"Bearer nobody", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "License nobody", "nonsense", "Bearer \x01", "Bearer " + strings.Repeat("a", 20_000), "Bearer customer, Bearer admin", "Bearer " + "ü"} {
		resp := h.send("GET", "/v1/widgets/wid_1", "", "Authorization", authorization)
		challenge := resp.Header.Get("WWW-Authenticate")
		p := problem(t, resp, 401, "unauthorized")
		p.RequestID = ""
		text, _ := json.Marshal(p)
		if got := challenge + string(text); want == "" {
			want = got
		} else if got != want {
			t.Errorf("%.30q answers differently:\n%s\n%s", authorization, got, want)
		}
	}
	if !strings.Contains(want, "License realm") || !strings.Contains(want, "Lease realm") {
		t.Errorf("the challenge does not name what would do: %s", want)
	}
	twice := httptest.NewRequest("GET", "/v1/widgets/wid_1", nil)
	twice.Header["Authorization"] = []string{"Bearer customer", "Bearer admin"}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, twice)
	problem(t, w.Result(), 401, "unauthorized")
	problem(t, h.send("POST", "/v1/widgets", `{"name":"a","quantity":1}`, "Authorization", "Bearer nobody"), 401, "unauthorized")
	problem(t, h.send("GET", "/v1/widgets/wid_1", "", "Cookie", "session=customer"), 401, "unauthorized")
}

// TestA04_CredentialsInQueriesAreRefused: what looks like a credential in a query string is refused before anything else and is
// found nowhere in the log.
func TestA04_CredentialsInQueriesAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, q := range []string{
		"with=mtr_live_0123456789_abcdefghijklmnopqrstuv_0abcde", "x=acme_test_0123456789abcdefghij", "with=eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln",
		"access_token=CANARY0", "API_KEY=CANARY1", "with=MINT-AAAAA-BBBBB-CCCCC-DDDDD-EEEEE-CANAR", "a=1;secret=CANARY2", "with=%6dtr_live_0123456789_CANARY3aaaaaaaaa", "license%5fkey=CANARY4",
		"with=mts_CANARY9abcdefghijklmnopqrstuvwxyz0123456789ABCDE",
		"mtr_live_0123456789_abcdefghijklmnopqrstuv_0abcde", "mtr_live_0123456789_abcdefghijklmnopqrstuv_0abcde=with", "with=Bearer+mtr_live_0123456789_abcdefghijklmnopqrstuv_0abcde",
		"with=%20mtr_live_0123456789_abcdefghijklmnopqrstuv_0abcde%0A", "license%20eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln",
	} {
		problem(t, h.send("GET", "/v1/widgets/wid_1?"+q, "", "Authorization", "Bearer customer"), 401, "unauthorized")
	}
	problem(t, h.send("GET", "/v1/nowhere/CANARY5?access_token=CANARY6", ""), 404, "no-such-path")
	problem(t, h.send("GET", "/v1/widgets", "", "Authorization", "Bearer CANARY7"), 401, "unauthorized")
	problem(t, h.send("POST", "/v1/widgets", `{"name":"a","CANARY8":1}`), 400, "invalid-request")
	if log := h.Log.String(); strings.Contains(log, "CANAR") || strings.Contains(log, "mtr_") || strings.Contains(log, "eyJ") {
		t.Errorf("logged: %s", log)
	}
}

// TestFreshSignIn: an operation that demands a recent sign-in refuses a person without one, by a code of its own.
func TestFreshSignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	problem(t, h.send("DELETE", "/v1/widgets/wid_1", "", "Authorization", "Bearer other"), 403, "sign-in-again")
	if resp := h.send("DELETE", "/v1/widgets/wid_1", "", "Authorization", "Bearer customer"); resp.StatusCode != 204 || resp.ContentLength > 0 {
		t.Errorf("answered %d", resp.StatusCode)
	}
	problem(t, h.send("DELETE", "/v1/widgets/wid_1", "", "Authorization", "Bearer auditor"), 403, "forbidden")
}

// TestCallRunsTheChain: an operation called in process meets roles, switches, recovery and validation like one over HTTP, and an
// unbound one does nothing.
func TestCallRunsTheChain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	routes := h.toy.routes()
	get, err := kit.Find[widgetGet, widget](routes, "widget.get")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get.Call(context.Background(), widgetGet{ID: "wid_1"}); err == nil {
		t.Error("an unbound operation ran")
	}
	h.Metrics = kittest.NewFixture(t).Metrics
	if _, err := kit.NewMux(h.Stack, routes...); err != nil {
		t.Fatal(err)
	}
	as := func(actor licensing.Actor) context.Context {
		return licensing.WithCall(context.Background(), &licensing.Call{Actor: actor, RequestID: "req-outer"})
	}
	if out, err := get.Call(as(people["Bearer customer"]), widgetGet{ID: "wid_1"}); err != nil || out.ID != "wid_1" {
		t.Errorf("%+v, %v", out, err)
	}
	if call := h.toy.call; call.Operation != "widget.get" || call.RequestID != "req-outer" || call.Mutating || call.Actor.ID != "cus_1" {
		t.Errorf("the service saw %+v", call)
	}
	if _, err := get.Call(context.Background(), widgetGet{}); kit.Status(err) != 401 {
		t.Errorf("nobody got %v", err)
	}
	if _, err := get.Call(as(people["Bearer auditor"]), widgetGet{}); kit.Status(err) != 403 {
		t.Errorf("the wrong role got %v", err)
	}
	create, _ := kit.Find[widgetRequest, widget](routes, "widget.create")
	if _, err := create.Call(as(people["Bearer customer"]), widgetRequest{Quantity: 1000}); licensing.KindOf(err) != licensing.Invalid {
		t.Errorf("validation: %v", err)
	}
	if _, err := create.Call(as(people["Bearer customer"]), widgetRequest{Quantity: 1}); err != nil || !h.toy.call.Mutating {
		t.Errorf("a change: %v, mutating %v", err, h.toy.call.Mutating)
	}
	h.Off.Turn(licensing.SwitchPayments, true)
	if _, err := create.Call(as(people["Bearer customer"]), widgetRequest{Quantity: 1}); kit.Status(err) != 503 {
		t.Errorf("switched off: %v", err)
	}
	broken, _ := kit.Find[widgetBreak, widget](routes, "widget.break")
	if _, err := broken.Call(context.Background(), widgetBreak{How: "panic"}); kit.Status(err) != 500 {
		t.Errorf("panic: %v", err)
	}
	if _, err := kit.Find[widgetGet, widget](routes, "widget.list"); err == nil {
		t.Error("found an operation under other types")
	}
	if _, err := kit.NewMux(h.Stack, routes...); err == nil {
		t.Error("an operation was bound twice")
	}
}

// TestTheLimitRefuses: beyond the process's own ceiling callers get 429 with Retry-After, and the log and the metrics see it.
func TestTheLimitRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *kit.Stack) { s.Rate, s.Burst = 1e-9, 2 })
	for range 2 {
		good[widget](t, h.send("POST", "/v1/widgets", `{"name":"a","quantity":1}`), 201)
	}
	resp := h.send("POST", "/v1/widgets", `{"name":"a","quantity":1}`)
	problem(t, resp, 429, "busy")
	if resp.Header.Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
	families, err := h.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "mintreu_operations_total" {
			for _, m := range f.GetMetric() {
				counts[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if counts["widget.create 201"] != 2 || counts["widget.create 429"] != 1 {
		t.Errorf("counted %v", counts)
	}
}

// TestRequestIDs: a well-formed id of the caller is kept, any other replaced, and it is never a way into the log.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for id, keep := range map[string]bool{"abc-123_XYZ.9": true, "short": false, "with space": false, "line\nbreak-in": false, strings.Repeat("a", 65): false, "": false, `quote"quote`: false} {
		got := h.send("POST", "/v1/break", `{"how":""}`, "X-Request-Id", id).Header.Get("X-Request-Id")
		if (got == id) != keep || got == "" {
			t.Errorf("sent %q, got %q", id, got)
		}
	}
}

// TestI13_LogLinesStayWhole: nothing that a caller sends breaks the one line a request has in the log.
func TestI13_LogLinesStayWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, s := range kittest.Injections() {
		body, _ := json.Marshal(map[string]any{"how": s})
		h.send("POST", "/v1/break", string(body), "User-Agent", s, "X-Request-Id", s, "Referer", s)
	}
	lines := strings.Split(strings.TrimSpace(h.Log.String()), "\n")
	if len(lines) != len(kittest.Injections()) {
		t.Errorf("%d lines for %d requests", len(lines), len(kittest.Injections()))
	}
	for _, line := range lines {
		var out map[string]any
		if err := json.Unmarshal([]byte(line), &out); err != nil || out["operation"] != "widget.break" {
			t.Errorf("%v: %s", err, line)
		}
	}
}

// TestA19_ForwardedForNeedsATrustedProxy: the header counts only as far as trusted proxies wrote it.
func TestA19_ForwardedForNeedsATrustedProxy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ peer, header, want string }{
		{"203.0.113.9:1", "198.51.100.1", "203.0.113.9"},
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "1.2.3.4, 198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1:1", "nonsense", "10.0.0.1"},
		{"10.0.0.1:1", "1.2.3.4, 198.51.100.1:51234", "198.51.100.1"},
		{"10.0.0.1:1", "198.51.100.1:51234, 10.0.0.2:80", "198.51.100.1"},
		{"10.0.0.1:1", "[2001:db8::1]:51234", "2001:db8::1"},
		{"10.0.0.1:1", "[2001:db8::1]", "2001:db8::1"},
		{"10.0.0.1:1", "[198.51.100.1]", "10.0.0.1"},
		{"10.0.0.1:1", "198.51.100.1:", "10.0.0.1"},
		{"10.0.0.1:1", "198.51.100.1:99999", "10.0.0.1"},
		{"203.0.113.9:1", "198.51.100.1:51234", "203.0.113.9"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", "198.51.100.1", "198.51.100.1"},
	} {
		var got netip.Addr
		f := kittest.NewFixture(t)
		f.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		mux, err := kit.NewMux(f.Stack, kit.New(kit.Spec{Name: "who.am", Method: "GET", Path: "/who", Access: kit.Allow{Anonymous: true}},
			func(ctx context.Context, _ struct{}) (struct{}, error) {
				got = kit.ClientIP(ctx)
				return struct{}{}, nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/who", nil)
		r.RemoteAddr = c.peer
		if c.header != "" {
			r.Header.Set("X-Forwarded-For", c.header)
		}
		mux.ServeHTTP(httptest.NewRecorder(), r)
		if got.String() != c.want {
			t.Errorf("%s with %q is %s, want %s", c.peer, c.header, got, c.want)
		}
	}
}

// TestA19_ForwardAuthIsForConfiguredNetworks: an operation of forward authentication answers proxies of its networks alone, through
// whatever trusted proxies they come, and believes the address that they name; to everybody else it is closed, whatever they
// write into the header.
func TestA19_ForwardAuthIsForConfiguredNetworks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ peer, header, want string }{
		{"10.1.0.5:1", "198.51.100.1", "198.51.100.1"},
		{"10.1.0.5:1", "192.0.2.1, 198.51.100.1", "198.51.100.1"},
		{"10.1.0.5:1", "", "10.1.0.5"},
		{"10.2.0.1:1", "198.51.100.1, 10.1.0.5", "198.51.100.1"},
		{"10.2.0.1:1", "198.51.100.1", ""},
		{"10.2.0.1:1", "10.1.0.5, 198.51.100.1", ""},
		{"203.0.113.9:1", "10.1.0.5", ""},
		{"203.0.113.9:1", "", ""},
		{"nonsense", "10.1.0.5", ""},
	} {
		var got netip.Addr
		f := kittest.NewFixture(t)
		f.TrustedProxies, f.Forwarders = []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}, []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
		mux, err := kit.NewMux(f.Stack, kit.New(kit.Spec{Name: "who.may", Method: "GET", Path: "/who", Access: kit.Allow{Anonymous: true}, Forward: true},
			func(ctx context.Context, _ struct{}) (struct{}, error) {
				got = kit.ClientIP(ctx)
				return struct{}{}, nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/who", nil)
		r.RemoteAddr = c.peer
		if c.header != "" {
			r.Header.Set("X-Forwarded-For", c.header)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if c.want == "" && (w.Code != 403 || got.IsValid()) || c.want != "" && (w.Code >= 300 || got.String() != c.want) {
			t.Errorf("%s with %q: %d, as %s, want %q", c.peer, c.header, w.Code, got, c.want)
		}
	}
}

// TestConnectionActor: a connection that already stands for somebody (the unix socket) needs no header, and no header changes it.
func TestConnectionActor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := httptest.NewRequest("GET", "/v1/widgets/wid_1", nil)
	r.Header.Set("Authorization", "Bearer customer")
	r = r.WithContext(licensing.WithCall(r.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.CLI, ID: "root"}}))
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	good[widget](t, w.Result(), 200)
	if got := h.toy.call.Actor.String(); got != "cli:root" {
		t.Errorf("the service saw %s", got)
	}
}

// TestAuthenticatorFailures: an authenticator that cannot answer is no 401, and one that would make a system actor of a caller
// is not believed.
func TestAuthenticatorFailures(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *kit.Stack) { s.Auth = brokenAuth{} })
	problem(t, h.send("GET", "/v1/widgets", "", "Authorization", "Bearer down"), 500, "internal")
	problem(t, h.send("GET", "/v1/widgets", "", "Authorization", "Bearer system"), 401, "unauthorized")
	problem(t, h.send("GET", "/v1/widgets", "", "Authorization", "Bearer nobody"), 401, "unauthorized")
}

type brokenAuth struct{}

func (brokenAuth) Authenticate(_ context.Context, _, credential string) (licensing.Actor, error) {
	switch credential {
	case "down":
		return licensing.Actor{}, errors.New("lost")
	case "system":
		return licensing.Actor{Kind: licensing.System, ID: "job"}, nil
	}
	return licensing.Actor{}, nil
}
