package browsertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Accessible fails the test for each violation that axe-core finds, and for a page that is wider than its window. Colours are looked at as
// [Page.Colours] does.
func (p *Page) Accessible(t testing.TB) {
	t.Helper()
	var wide bool
	p.run(t, "measure the page", chromedp.Evaluate("document.documentElement.scrollWidth > innerWidth", &wide))
	if wide {
		t.Errorf("%s (%+v): wider than the window", p.Address(t), p.look)
	}
	p.violations(t, `document, {rules: {"color-contrast": {enabled: false}, "link-in-text-block": {enabled: false}}, resultTypes: ["violations"]`)
	p.Colours(t)
}

// Colours fails the test for each text that axe-core finds too faint on what is behind it, and for links that only colour tells from the text
// around. That takes far longer than all its other rules, and pages share their colours: of each combination of text, background, size and
// weight it looks at the first that the browser shows, on whatever page, and about which axe-core can tell.
func (p *Page) Colours(t testing.TB) {
	t.Helper()
	var all []string
	p.run(t, "list the colours", chromedp.Evaluate(`(() => {
		const behind = (e) => {
			let out = "", covered = false;
			for (; e; e = e.parentElement) {
				const s = getComputedStyle(e);
				if (s.opacity !== "1") out += " opacity " + s.opacity;
				if (covered || s.backgroundColor === "rgba(0, 0, 0, 0)" && s.backgroundImage === "none") continue;
				out += " " + s.backgroundColor + " " + s.backgroundImage;
				covered = !/rgba|\//.test(s.backgroundColor);
			}
			return out;
		};
		window.mintreuColours = new Map();
		for (const e of document.querySelectorAll("body *")) {
			const field = e.matches("input, select, textarea");
			if (!field && ![...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim())) continue;
			const box = e.getBoundingClientRect(), s = getComputedStyle(e), link = e.closest("a");
			if (!e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true}) || box.width < 2 || box.height < 2 || box.right < 0 || box.bottom < 0) continue;
			const key = [s.color, s.fontSize, s.fontWeight, s.textShadow, field, e.matches(":disabled, [aria-disabled=true]"), behind(e),
				link && [getComputedStyle(link).textDecorationLine, getComputedStyle(link.parentElement).color, getComputedStyle(link.parentElement).display]].join();
			if (!mintreuColours.has(key)) mintreuColours.set(key, e);
		}
		return [...mintreuColours.keys()];
	})()`, &all))
	all = slices.DeleteFunc(all, func(c string) bool {
		_, seen := p.browser.colours.Load(c)
		return seen
	})
	if len(all) == 0 {
		return
	}
	fresh, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.violations(t, fmt.Sprintf(`{include: %s.map((c) => mintreuColours.get(c))}, {runOnly: ["color-contrast", "link-in-text-block"], resultTypes: ["violations", "incomplete"], elementRef: true`, fresh)) {
		p.browser.colours.Store(c, true)
	}
}

// violations runs axe-core and fails the test for each violation. what is the context and the beginning of the options. It returns the
// combinations of colours of the page but those about which axe-core could not tell, of a text that something lies over, for example.
func (p *Page) violations(t testing.TB, what string) (told []string) {
	t.Helper()
	var found string
	p.run(t, "axe", chromedp.Evaluate("typeof axe", &found))
	if found != "object" {
		p.run(t, "load axe", chromedp.Evaluate(p.browser.axe, nil))
	}
	p.run(t, "axe", chromedp.Evaluate(`axe.run(`+what+`}).then((r) => {
		const open = new Set(r.incomplete.flatMap((v) => v.nodes.map((n) => n.element)));
		return JSON.stringify({
			violations: r.violations.map((v) => ({id: v.id, help: v.help, nodes: v.nodes.map((n) => n.html.slice(0, 160) + " | " + n.failureSummary)})),
			told: [...(window.mintreuColours || [])].filter(([, e]) => !open.has(e)).map(([c]) => c),
		});
	})`, &found, func(q *runtime.EvaluateParams) *runtime.EvaluateParams { return q.WithAwaitPromise(true) }))
	var out struct {
		Violations []struct {
			ID, Help string
			Nodes    []string
		}
		Told []string
	}
	if err := json.Unmarshal([]byte(found), &out); err != nil {
		t.Fatalf("axe said %q: %v", found, err)
	}
	for _, v := range out.Violations {
		t.Errorf("%s (%+v): %s: %s\n\t%s", p.Address(t), p.look, v.ID, v.Help, strings.Join(v.Nodes, "\n\t"))
	}
	return out.Told
}
