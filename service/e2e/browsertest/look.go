package browsertest

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// Private opens a tab with cookies of its own, as somebody at another machine has them. It ends with the test.
func (b *Browser) Private(t testing.TB, look Look) *Page {
	t.Helper()
	ctx, cancel := context.WithTimeout(cdp.WithExecutor(b.ctx, chromedp.FromContext(b.ctx).Browser), patience)
	defer cancel()
	jar, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(ctx)
	if err != nil {
		t.Fatalf("open a private window: %v", err)
	}
	tab, err := target.CreateTarget("about:blank").WithBrowserContextID(jar).WithNewWindow(true).Do(ctx)
	if err != nil {
		t.Fatalf("open a private window: %v", err)
	}
	return b.open(t, look, chromedp.WithTargetID(tab))
}

// Turn looks at the page in another way from now on: colours and width change at once, JavaScript with the next page.
func (p *Page) Turn(t testing.TB, look Look) {
	t.Helper()
	p.look = look
	scheme := "light"
	if look.Dark {
		scheme = "dark"
	}
	width, height := int64(1280), int64(900)
	if look.Narrow {
		width, height = 390, 844
	}
	p.run(t, "turn", chromedp.EmulateViewport(width, height), emulation.SetScriptExecutionDisabled(look.NoScript),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
}

// Fresh has every page load all that it needs, as a first visit does, so that its weight is that of a first visit.
func (p *Page) Fresh(t testing.TB) {
	t.Helper()
	p.run(t, "switch the cache off", network.SetCacheDisabled(true))
}

// Line changes how the page reaches the network from now on: how many bytes a second it may send, 0 for any number, or not at all.
func (p *Page) Line(t testing.TB, upload float64, broken bool) {
	t.Helper()
	if upload == 0 {
		upload = -1
	}
	p.run(t, "change the line", chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := network.EmulateNetworkConditionsByRule([]*network.Conditions{{Offline: broken, DownloadThroughput: -1, UploadThroughput: upload}}).Do(ctx)
		return err
	}))
}

// Back goes back to the page before, as the browser's button does.
func (p *Page) Back(t testing.TB) {
	t.Helper()
	p.forget()
	p.run(t, "go back", chromedp.NavigateBack(), chromedp.WaitReady("body"))
}

// Said returns what was said since the page was opened: errors and warnings on the console, exceptions, violations of the policy,
// dialogs.
func (p *Page) Said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.said)
}

// Narrower fails the test for a page that is wider than its window.
func (p *Page) Narrower(t testing.TB) {
	t.Helper()
	var wide []string
	p.ask(t, `function() {
		if (document.documentElement.scrollWidth <= innerWidth) return [];
		return [...document.querySelectorAll("main *, header *, footer *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map((e) => e.outerHTML.slice(0, 160)).concat("the page");
	}`, &wide)
	if len(wide) > 0 {
		t.Errorf("%s (%+v): wider than the window: %q", p.Address(t), p.look, wide)
	}
}

// Whole fails the test for a table that is wider than its frame, in which part of it, like the button at the end of a row, is out of sight.
// Tables of a guide's text may scroll.
func (p *Page) Whole(t testing.TB) {
	t.Helper()
	var cut []string
	p.ask(t, `function() {
		return [...document.querySelectorAll(".table")].filter((e) => !e.closest(".prose") && e.scrollWidth > e.clientWidth + 1).map((e) => e.innerText.slice(0, 60) + " " + e.scrollWidth + " in " + e.clientWidth);
	}`, &cut)
	if len(cut) > 0 {
		t.Errorf("%s (%+v): tables are cut: %q", p.Address(t), p.look, cut)
	}
}

// View is a page as somebody sees it.
type View struct {
	Title string // of the document
	Lang  string
	Heads []string // its headings of the first level that can be seen
	Main  string   // the text of its main part, white space made one
	Forms []Form
}

// Form is a form that can be seen.
type Form struct {
	Method, Action string
	Fields         []string // names of the fields that can be seen
	Button         bool     // there is one to send it with
}

// View returns what the page shows. Buttons that only scripts can use are left out.
func (p *Page) View(t testing.TB) (v View) {
	t.Helper()
	p.ask(t, `function() {
		const seen = (e) => e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true});
		const main = document.querySelector("main") || document.body;
		const scripted = [...main.querySelectorAll("[data-copy], progress, [data-progress]")];
		const were = scripted.map((e) => e.style.display);
		for (const e of scripted) e.style.display = "none";
		const text = main.innerText.replace(/\s+/g, " ").trim();
		scripted.forEach((e, i) => { e.style.display = were[i]; });
		return {
			title: document.title, lang: document.documentElement.lang,
			heads: [...document.querySelectorAll("h1")].filter(seen).map((e) => e.innerText.trim()),
			main: text,
			forms: [...main.querySelectorAll("form")].filter(seen).map((f) => ({
				method: f.method, action: f.getAttribute("action") || "",
				fields: [...f.elements].filter((e) => e.name && e.type !== "hidden" && seen(e)).map((e) => e.name),
				button: [...f.elements].some((e) => (e.type === "submit" || e.type === "image") && seen(e) && !e.disabled),
			})),
		};
	}`, &v)
	return v
}

// ask calls a function on the document and decodes what it returns. That works where the page's own scripts are switched off.
func (p *Page) ask(t testing.TB, function string, out any) {
	t.Helper()
	p.run(t, "ask the page", chromedp.QueryAfter("body", func(ctx context.Context, _ runtime.ExecutionContextID, nodes ...*cdp.Node) error {
		element, err := dom.ResolveNode().WithNodeID(nodes[0].NodeID).Do(ctx)
		if err != nil {
			return err
		}
		got, thrown, err := runtime.CallFunctionOn(function).WithObjectID(element.ObjectID).WithReturnByValue(true).Do(ctx)
		if thrown != nil {
			return thrown
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(got.Value, out)
	}, chromedp.ByQuery))
}

// Set puts a text into a field at once, for one that is too long to be typed.
func (p *Page) Set(t testing.TB, selector, text string) {
	t.Helper()
	p.run(t, "fill "+selector, chromedp.WaitVisible(selector, chromedp.ByQuery), p.on(selector, `function(text) { this.value = text; }`, text))
}
