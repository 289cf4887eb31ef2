package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const form = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Form</title></head>
<body>
<main>
<h1>Form</h1>
<form method="post" action="/sent">
<label for="name">Name</label> <input id="name" name="name" value="nobody" autocomplete="name">
<label for="colour">Colour</label> <select id="colour" name="colour"><option value="red">Red</option><option value="green">Green</option></select>
<button type="submit">Send</button>
</form>
</main>
</body>
</html>
`

// echo serves a form and what was sent by it, a page that can be framed and one that cannot.
func echo(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	page := func(w http.ResponseWriter, text string) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, text)
	}
	mux.HandleFunc("GET /form", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s1", Path: "/", HttpOnly: true})
		w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
		page(w, form)
	})
	mux.HandleFunc("POST /sent", func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Cookie("extra")
		page(w, fmt.Sprintf("<!doctype html><html lang=en><meta charset=utf-8><title>Sent</title><p id=a>%s %s %v<p id=a>twice", r.FormValue("name"), r.FormValue("colour"), c))
	})
	mux.HandleFunc("GET /open", func(w http.ResponseWriter, _ *http.Request) { page(w, form) })
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// TestPage: fields are filled, options chosen, forms sent by mouse and by keyboard, with JavaScript and without; cookies are read and
// set; a valid page is said to be valid and an invalid answer to a form not, by its very source.
func TestPage(t *testing.T) {
	t.Parallel()
	b, base := Start(t), echo(t)
	for name, look := range map[string]Look{"script": {}, "no script": {NoScript: true}} {
		t.Run(name, func(t *testing.T) {
			p := b.Open(t, look)
			p.Visit(t, base+"/form")
			if p.Source(t) != form {
				t.Errorf("the source is %q", p.Source(t))
			}
			if c := p.Cookies(t, base)["session"]; c == nil || !c.HTTPOnly || c.Value != "s1" {
				t.Errorf("the session's cookie is %+v", c)
			}
			p.SetCookie(t, base, http.Cookie{Name: "extra", Value: "e1", Path: "/"})
			p.Valid(t)
			p.Quiet(t, 10_000)
			if got := p.Attribute(t, "#name", "autocomplete"); got != "name" || p.Has(t, "#nothing") || !p.Has(t, "#colour") {
				t.Errorf("autocomplete is %q", got)
			}
			p.Fill(t, "#name", "Ada")
			p.Choose(t, "#colour", "green")
			if p.Value(t, "#name") != "Ada" || p.Value(t, "#colour") != "green" {
				t.Errorf("the form holds %q, %q", p.Value(t, "#name"), p.Value(t, "#colour"))
			}
			p.Submit(t, "button")
			if got := p.Text(t, "#a"); got != "Ada green extra=e1" {
				t.Errorf("the form sent %q", got)
			}
			faults := invalid(t, map[string]string{"sent": p.Source(t), "form": form})
			if text := strings.Join(faults["sent"], "\n"); len(faults) != 1 || !strings.Contains(text, "no-dup-id") {
				t.Errorf("faults: %q", faults)
			}

			p.Visit(t, base+"/form")
			p.Press(t, Tab)
			at := p.Focused(t)
			p.Press(t, "Grace")
			p.Press(t, Tab)
			p.Press(t, Down)
			p.Press(t, Tab)
			if at != "name" || p.Focused(t) != "Send" {
				t.Errorf("tab leads to %q, then %q", at, p.Focused(t))
			}
			p.Press(t, BackTab)
			p.Press(t, Tab)
			p.PressSubmit(t, Enter)
			if got := p.Text(t, "#a"); got != "Grace green extra=e1" {
				t.Errorf("the keyboard sent %q", got)
			}
		})
	}
}

// TestFrame: a page that forbids frames is not shown in one of another origin, and one that does not is; a picture is a PNG.
func TestFrame(t *testing.T) {
	t.Parallel()
	p, base := Start(t).Open(t, Look{}), echo(t)
	if p.Frame(t, base+"/form") {
		t.Error("a page that forbids frames was framed")
	}
	if !p.Frame(t, base+"/open") {
		t.Error("a page that allows frames was not framed")
	}
	p.Visit(t, base+"/open")
	path := filepath.Join(t.TempDir(), "page.png")
	p.Screenshot(t, path)
	if picture, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(picture), "\x89PNG") {
		t.Errorf("the picture: %v", err)
	}
}

// heard is a test that notes what it is told is wrong.
type heard struct {
	testing.TB
	errors []string
}

func (h *heard) Errorf(format string, args ...any) {
	h.errors = append(h.errors, fmt.Sprintf(format, args...))
}

// TestAccessible: a picture without words is found, faint text is in the look that has it, and a combination of colours that was looked at is
// not again, on another page either, unless nobody could tell.
func TestAccessible(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/{page}", func(w http.ResponseWriter, r *http.Request) {
		more := map[string]string{"covered": `<p style="position: relative"><u>Under</u><span style="position: absolute; inset: 0; background: #fff"></span></p>`, "bare": "<p><u>Above</u></p>", "picture": `<img src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">`}[r.PathValue("page")]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Faint</title><style>
			p { color: #333 } i { color: #777 } u { color: #999 } body { background: #fff }
			@media (prefers-color-scheme: dark) { body { background: #000; color: #fff } p { color: #ccc } i { color: #444 } }
			</style></head><body><main><h1>Faint</h1><p>Text <i>aside</i></p><p hidden><b>gone</b></p>`+more+`</main></body></html>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := Start(t).Open(t, Look{})
	look := func(what func(testing.TB), want ...string) {
		t.Helper()
		h := &heard{TB: t}
		what(h)
		for i := range max(len(want), len(h.errors)) {
			if i >= len(want) || i >= len(h.errors) || !strings.Contains(h.errors[i], want[i]) {
				t.Fatalf("found %q, want %q", h.errors, want)
			}
		}
	}
	p.Visit(t, server.URL+"/first")
	look(p.Accessible, "color-contrast: ")
	p.Turn(t, Look{Dark: true})
	look(p.Colours, "color-contrast: ")
	look(p.Accessible)
	p.Turn(t, Look{})
	p.Visit(t, server.URL+"/picture")
	look(p.Accessible, "image-alt: ")
	p.Visit(t, server.URL+"/covered")
	look(p.Accessible) // nobody can tell what is under it
	p.Visit(t, server.URL+"/bare")
	look(p.Accessible, "color-contrast: ")
}
