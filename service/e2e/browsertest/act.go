package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Keys that [Page.Press] takes, beside any text.
const (
	Tab     = kb.Tab
	Enter   = kb.Enter
	Escape  = kb.Escape
	Space   = " "
	Down    = kb.ArrowDown
	Up      = kb.ArrowUp
	BackTab = "\x00shift+tab" // back to the field before
)

// Fill types text into a field as a person would, in place of what it holds.
func (p *Page) Fill(t testing.TB, selector, text string) {
	t.Helper()
	p.run(t, "fill "+selector, chromedp.WaitVisible(selector, chromedp.ByQuery), p.on(selector, `function() { this.focus(); this.select(); }`))
	if text == "" {
		text = kb.Delete
	}
	p.run(t, "fill "+selector, chromedp.KeyEvent(text))
}

// Choose chooses the option of a select that has a value, and tells the page so.
func (p *Page) Choose(t testing.TB, selector, value string) {
	t.Helper()
	p.run(t, "choose "+value+" of "+selector, chromedp.WaitVisible(selector, chromedp.ByQuery), p.on(selector, `function(value) {
		if (![...this.options].some((o) => o.value === value)) throw new Error("there is no option " + value);
		this.value = value;
		this.dispatchEvent(new Event("input", {bubbles: true}));
		this.dispatchEvent(new Event("change", {bubbles: true}));
	}`, value))
}

// Attach chooses a file of this machine in a field that takes one.
func (p *Page) Attach(t testing.TB, selector, path string) {
	t.Helper()
	p.run(t, "attach "+path, chromedp.SetUploadFiles(selector, []string{path}, chromedp.ByQuery))
}

// Press presses a key, or types text, wherever the focus is.
func (p *Page) Press(t testing.TB, key string) {
	t.Helper()
	if key == BackTab {
		p.run(t, "press shift+tab", chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(input.ModifierShift)))
		return
	}
	p.run(t, fmt.Sprintf("press %q", key), chromedp.KeyEvent(key))
}

// PressSubmit presses a key and waits for the page that follows, as [Page.Submit] does for a click.
func (p *Page) PressSubmit(t testing.TB, key string) {
	t.Helper()
	p.follow(t, fmt.Sprintf("press %q", key), chromedp.KeyEvent(key))
}

// Focused names the element that has the focus: its id, else its name, else its text.
func (p *Page) Focused(t testing.TB) string {
	t.Helper()
	var out string
	p.run(t, "find the focus", chromedp.Evaluate(`(e => e.id || e.getAttribute("name") || e.textContent.trim())(document.activeElement || document.body)`, &out))
	return out
}

// Attribute returns an attribute of an element, "" if it has none of that name.
func (p *Page) Attribute(t testing.TB, selector, name string) string {
	t.Helper()
	var out string
	var ok bool
	p.run(t, "read "+name+" of "+selector, chromedp.AttributeValue(selector, name, &out, &ok, chromedp.ByQuery))
	return out
}

// Value returns what a field holds.
func (p *Page) Value(t testing.TB, selector string) string {
	t.Helper()
	var out string
	p.run(t, "read "+selector, chromedp.Value(selector, &out, chromedp.ByQuery))
	return out
}

// Has reports whether the page has an element, to be seen or not. It does not wait for one.
func (p *Page) Has(t testing.TB, selector string) bool {
	t.Helper()
	var nodes []*cdp.Node
	p.run(t, "look for "+selector, chromedp.Nodes(selector, &nodes, chromedp.ByQuery, chromedp.AtLeast(0)))
	return len(nodes) > 0
}

// Screenshot writes a picture of the whole page, a PNG, to a file.
func (p *Page) Screenshot(t testing.TB, path string) {
	t.Helper()
	var picture []byte
	p.run(t, "take a picture", page.BringToFront(), chromedp.FullScreenshot(&picture, 100))
	if err := os.WriteFile(path, picture, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Cookies returns the cookies that go to an address, those that scripts cannot read as well.
func (p *Page) Cookies(t testing.TB, address string) map[string]*network.Cookie {
	t.Helper()
	out := map[string]*network.Cookie{}
	p.run(t, "read cookies", chromedp.ActionFunc(func(ctx context.Context) error {
		all, err := network.GetCookies().WithURLs([]string{address}).Do(ctx)
		for _, c := range all {
			out[c.Name] = c
		}
		return err
	}))
	return out
}

// SetCookie puts a cookie in the browser's jar for an address.
func (p *Page) SetCookie(t testing.TB, address string, c http.Cookie) {
	t.Helper()
	p.run(t, "set a cookie", network.SetCookie(c.Name, c.Value).WithURL(address).WithPath(c.Path).WithHTTPOnly(c.HttpOnly).WithSecure(c.Secure))
}

// Run runs a script in the page, as a script of its own would, and returns the text that its promise ends with.
func (p *Page) Run(t testing.TB, script string) string {
	t.Helper()
	var out string
	p.run(t, "run a script", chromedp.Evaluate(script, &out, func(q *runtime.EvaluateParams) *runtime.EvaluateParams { return q.WithAwaitPromise(true) }))
	return out
}

// Frame reports whether a page lets another origin show it in a frame, as who lays it under another page's button would.
func (p *Page) Frame(t testing.TB, address string) bool {
	t.Helper()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Frame</title><iframe title="framed" src="%s"></iframe></html>`, address)
	}))
	defer other.Close()
	var tree *page.FrameTree
	p.run(t, "frame "+address, chromedp.Navigate(other.URL), chromedp.ActionFunc(func(ctx context.Context) (err error) { // the load waits for frames
		tree, err = page.GetFrameTree().Do(ctx)
		return err
	}))
	if len(tree.ChildFrames) != 1 {
		t.Fatalf("%d frames instead of that of %s", len(tree.ChildFrames), address)
	}
	f := tree.ChildFrames[0].Frame
	shown := f.UnreachableURL == "" && strings.HasPrefix(f.URL, "http")
	p.run(t, "leave the frame", chromedp.Navigate("about:blank"))
	p.forget()
	return shown
}

// on calls a function of JavaScript on an element. That works where the page's own scripts are switched off.
func (p *Page) on(selector, function string, args ...string) chromedp.Action {
	return chromedp.QueryAfter(selector, func(ctx context.Context, _ runtime.ExecutionContextID, nodes ...*cdp.Node) error {
		element, err := dom.ResolveNode().WithNodeID(nodes[0].NodeID).Do(ctx)
		if err != nil {
			return err
		}
		call := runtime.CallFunctionOn(function).WithObjectID(element.ObjectID)
		for _, a := range args {
			text, err := json.Marshal(a)
			if err != nil {
				return err
			}
			call.Arguments = append(call.Arguments, &runtime.CallArgument{Value: text})
		}
		_, thrown, err := call.Do(ctx)
		if thrown != nil {
			return thrown
		}
		return err
	}, chromedp.ByQuery)
}
