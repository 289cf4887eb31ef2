package admin

import (
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/web/ui"
)

// Features read what they write, whatever their texts look like; true is a mere yes, and false, which as a text would grant the feature, is refused.
func TestEntitlements(t *testing.T) {
	t.Parallel()
	read := func(text string) (license.Entitlements, string) {
		f := &ui.Form{Values: url.Values{"e": {text}}}
		return entitlements(f, "e"), f.Errors["e"]
	}
	all := license.Entitlements{"on": doc.On(), "n": doc.Int(-3), "text": doc.Text("gold"), "number": doc.Text("12"), "yes": doc.Text("true"), "no": doc.Text("FALSE"), "space": doc.Text(" a "), "quote": doc.Text(`"a"`), "none": doc.Text("")}
	if got, wrong := read(entitlementLines(all)); wrong != "" || !maps.Equal(got, all) {
		t.Errorf("%v, %q; want %v", got, wrong, all)
	}
	if got, wrong := read("a = true\nb=TRUE\nc"); wrong != "" || !got["a"].IsOn() || !got["b"].IsOn() || !got["c"].IsOn() {
		t.Errorf("%v, %q", got, wrong)
	}
	for _, line := range []string{"a = false", "a=False"} {
		if got, wrong := read(line); len(got) > 0 || !strings.Contains(wrong, "take it away") {
			t.Errorf("%s: %v, %q", line, got, wrong)
		}
	}
}
