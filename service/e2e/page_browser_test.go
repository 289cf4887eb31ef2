package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/e2e/browsertest"
	"github.com/mintreu/mintreu/service/web/ui"
)

// TestX08_NoFrames: no page can be laid under another site's button: Chromium shows none in a frame of another origin, nor in one of ours.
func TestX08_NoFrames(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := browsertest.Start(t).Private(t, browsertest.Look{})
	framed := map[string]bool{}
	for _, v := range everyVisit() {
		section, _, _ := strings.Cut(strings.TrimPrefix(v.at, "/"), "/")
		if v.status != 0 || v.document || framed[section] {
			continue // every page has the same headers, as TestPages_Served checks; here the browser proves that they work
		}
		framed[section] = true
		p.SetCookie(t, s.url, http.Cookie{Name: "mintreu-session", Value: s.tokens[v.as], Path: "/", HttpOnly: true})
		if at := s.url + s.address(t, v.at); p.Frame(t, at) {
			t.Errorf("%s was framed", at)
		}
	}
}

// TestX10_NoHandleForOthers: a page that another site opened is out of its reach: it has no opener, and the other no handle on it; members of
// JSON named like parts of prototypes are refused or have no effect.
func TestX10_NoHandleForOthers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>Evil</title><button id="open" onclick="window.victim = window.open('` + s.url + `/sign-in', 'victim')">open</button>`))
	}))
	defer evil.Close()
	p := browsertest.Start(t).Private(t, browsertest.Look{})
	p.Visit(t, evil.URL)
	p.Click(t, "#open")
	got := p.Run(t, `(async () => {
		const w = window.victim;
		if (!w) return "no window";
		for (let i = 0; i < 100 && !w.closed; i++) await new Promise((r) => setTimeout(r, 50));
		return w.closed + "";
	})()`)
	if got != "true" { // with COOP the handle looks closed as soon as the page is there
		t.Errorf("who opened the page holds it: %s", got)
	}
	p.Visit(t, s.url+"/sign-in")
	if got := p.Run(t, `Promise.resolve(String(window.opener) + " " + String(window.length))`); got != "null 0" {
		t.Errorf("the page knows %s", got)
	}
	for _, body := range []string{`{"__proto__": {"role": "owner"}, "email": "x@example.com", "password": "y"}`, `{"constructor": {"prototype": {"role": "owner"}}, "email": "x@example.com", "password": "y"}`,
		`{"email": "x@example.com", "password": "y", "__proto__": null}`} {
		r := s.as(t, visitor).do(t, http.MethodPost, "/v1/sessions", http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, strings.NewReader(body))
		if r.status != http.StatusBadRequest {
			t.Errorf("%s was answered %d %s", body, r.status, r.text)
		}
	}
	if p := s.as(t, visitor).get(t, "/catalogue?__proto__[role]=owner&constructor.prototype.role=owner"); p.status != http.StatusOK {
		t.Errorf("parameters of prototypes: %d", p.status)
	}
}

// TestX11_NothingAfterSignOut: after signing out the browser's way back shows nothing of what was there; that pages are kept by no cache
// is TestPages_Served.
func TestX11_NothingAfterSignOut(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := browsertest.Start(t).Private(t, browsertest.Look{})
	token := s.signIn(t, customer)
	p.SetCookie(t, s.url, http.Cookie{Name: "mintreu-session", Value: token, Path: "/", HttpOnly: true})
	at := s.url + "/checkout/" + s.ids["order"]
	p.Visit(t, at)
	if said := p.Text(t, "main"); !strings.Contains(said, s.ids["license-key"]) {
		t.Fatalf("the order's page says %q", said)
	}
	p.Submit(t, `form[action="/sign-out"] button`)
	p.Back(t)
	if said := p.Text(t, "body"); strings.Contains(said, s.ids["license-key"]) || strings.Contains(said, "Sign out") {
		t.Errorf("the way back shows %q", said)
	}
	p.Visit(t, at)
	if said := p.Text(t, "body"); strings.Contains(said, s.ids["license-key"]) {
		t.Errorf("the address shows %q", said)
	}
}

// sinks are assignments by which text becomes code or markup.
var sinks = map[string]string{
	"innerHTML":          `document.body.innerHTML = "<img src=x onerror=1>"`,
	"outerHTML":          `document.body.outerHTML = "<p>"`,
	"insertAdjacentHTML": `document.body.insertAdjacentHTML("beforeend", "<p>")`,
	"write":              `document.write("<p>")`,
	"script.src":         `document.createElement("script").src = "/assets/app.js"`,
	"script.text":        `document.createElement("script").text = "1"`,
	"srcdoc":             `document.createElement("iframe").srcdoc = "<p>"`,
	"parser":             `new DOMParser().parseFromString("<p>", "text/html")`,
	"fragment":           `document.createRange().createContextualFragment("<p>")`,
	"timer":              `setTimeout("1", 0)`,
	"eval":               `eval("1")`,
	"function":           `new Function("1")()`,
	"policy":             `trustedTypes.createPolicy("own", {createHTML: (s) => s})`,
	"default policy":     `trustedTypes.createPolicy("default", {createHTML: (s) => s})`,
	"worker":             `new Worker("data:text/javascript,1")`,
}

// inHand finds the names of sinks in a script of ours.
var inHand = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|createContextualFragment|\beval\(|new Function|createPolicy|DOMParser|javascript:`)

// TestX12_TrustedTypes: on our pages no script, were there a foreign one, could turn text into markup or code: each such assignment throws.
// Our own scripts name none of them.
func TestX12_TrustedTypes(t *testing.T) {
	t.Parallel()
	s := bareStage(t, app.Config{})
	p := browsertest.Start(t).Private(t, browsertest.Look{})
	p.Visit(t, s.url+"/sign-in")
	for name, sink := range sinks {
		// a script of the page is stood in for by a timer of one, to which the page's policy applies as to any other
		got := p.Run(t, `new Promise((done) => setTimeout(() => { try { `+sink+`; done("ran"); } catch (e) { done("threw " + e.name); } }, 0))`)
		if !strings.HasPrefix(got, "threw") {
			t.Errorf("%s %s", name, got)
		}
	}
	text := s.as(t, visitor).get(t, ui.Asset("app.js")).text
	if found := inHand.FindString(text); found != "" || len(text) < 100 {
		t.Errorf("app.js names %q", found)
	}
}
