package browsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// validRules are what served HTML is held to: the standard, and no id twice.
const validRules = `{"root": true, "extends": ["html-validate:standard"]}`

// validScript reads {name: html} and writes {name: [fault, …]}, with nothing for a page without faults.
const validScript = `
const {HtmlValidate, StaticConfigLoader} = require("html-validate");
const checker = new HtmlValidate(new StaticConfigLoader(` + validRules + `));
let text = "";
process.stdin.setEncoding("utf8").on("data", (part) => text += part).on("end", async () => {
  const out = {};
  for (const [name, html] of Object.entries(JSON.parse(text))) {
    const report = await checker.validateString(html, "page.html");
    const faults = report.results.flatMap((r) => r.messages.map((m) => m.line + ":" + m.column + " " + m.ruleId + ": " + m.message + " | " + html.split("\n")[m.line - 1].slice(Math.max(0, m.column - 60), m.column + 60)));
    if (faults.length) out[name] = faults;
  }
  process.stdout.write(JSON.stringify(out));
});
`

// ValidAll fails the test for each fault that html-validate finds in HTML as it was served, by the names of the pages. One process
// checks all of them.
func ValidAll(t testing.TB, pages map[string]string) {
	t.Helper()
	for name, faults := range invalid(t, pages) {
		t.Errorf("%s is not valid HTML:\n\t%s", name, strings.Join(faults, "\n\t"))
	}
}

// invalid returns the faults of pages that have some.
func invalid(t testing.TB, pages map[string]string) map[string][]string {
	t.Helper()
	dir, err := validator()
	if err != nil {
		missing(t, err)
	}
	in, err := json.Marshal(pages)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", "-e", validScript)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(in), &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("html-validate of %v: %v: %s", slices.Sorted(maps.Keys(pages)), err, said.String())
	}
	var found map[string][]string
	if err := json.Unmarshal(out.Bytes(), &found); err != nil {
		t.Fatalf("html-validate said %q: %v", out.String(), err)
	}
	return found
}

// Source returns the HTML of the page as it was served, before the browser mended it: that of the answer to a form as well.
func (p *Page) Source(t testing.TB) string {
	t.Helper()
	p.mu.Lock()
	id := p.document
	p.mu.Unlock()
	var text []byte
	p.run(t, "read what was served", chromedp.ActionFunc(func(ctx context.Context) (err error) {
		text, err = network.GetResponseBody(id).Do(ctx)
		return err
	}))
	return string(text)
}

// Valid fails the test for each fault that html-validate finds in the page's HTML as it was served.
func (p *Page) Valid(t testing.TB) {
	t.Helper()
	ValidAll(t, map[string]string{p.Address(t): p.Source(t)})
}
