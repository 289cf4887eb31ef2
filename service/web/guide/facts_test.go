package guide_test

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/api"
	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/pay/stripe"
	"github.com/mintreu/mintreu/service/web/guide"
)

// TestOperations: whatever operation of ours the guides, the README and the help of the command line name by method and path, there is one, and
// so there is behind each address that is called.
func TestOperations(t *testing.T) {
	t.Parallel()
	var described struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(api.OpenAPI(), &described); err != nil {
		t.Fatal(err)
	}
	blank := regexp.MustCompile(`\{[^}]*\}|\$[A-Z]+|\b[a-z]+_[0-9a-f]*…|…`)
	known := map[string]bool{"GET /v1/accounts/*/licenses": true, "GET /v1/license-keys": true, " /v1/webhooks/stripe": true} // of keygen and of Lemon Squeezy; what Stripe calls
	for at, methods := range described.Paths {
		for method := range methods {
			known[strings.ToUpper(method)+" "+blank.ReplaceAllString(at, "*")] = true
		}
		known[" "+blank.ReplaceAllString(at, "*")] = true
	}
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range append(files, "../../../README.md", "../../cli/help.txt") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{"(GET|POST|PUT|PATCH|DELETE) (/v1/[^\\s`?\"\\])]+)", "()https?://[a-z0-9.:]+(/v1/[^\\s?\"'`\\\\;]+)"} {
			for _, m := range regexp.MustCompile(form).FindAllStringSubmatch(string(text), -1) {
				seen++
				at := m[1] + " " + blank.ReplaceAllString(strings.TrimRight(m[2], ".,:"), "*")
				there := known[at]
				for pattern := range known {
					fits, err := path.Match(pattern, at)
					there = there || err == nil && fits
				}
				if !there {
					t.Errorf("%s names %s %s, which is no operation", file, m[1], m[2])
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d were found", seen)
	}
}

// TestInvariants: the operations guide says of each invariant that "mintreu verify" may name what it means and where to look.
func TestInvariants(t *testing.T) {
	t.Parallel()
	guides, err := guide.Guides()
	if err != nil {
		t.Fatal(err)
	}
	page := ""
	for _, g := range guides {
		if g.Name == "operations" {
			page = g.HTML
		}
	}
	files, err := filepath.Glob("../../store/invariant*.go")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, file := range append(files, "../../app/verify.go") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`"(INV[0-9]+|[A-Z]{4,})"`).FindAllSubmatch(text, -1) {
			named[string(m[1])] = true
		}
	}
	for name := range named {
		if !strings.Contains(page, "<code>"+name+"</code>") {
			t.Errorf("the guide does not explain %s", name)
		}
	}
	if len(named) < 12 {
		t.Errorf("only %d invariants were found", len(named))
	}
}

// TestTables: tables of the guides that list what the service knows list all of it: events, those of the payment provider, switches, roles and
// the answers to a key.
func TestTables(t *testing.T) {
	t.Parallel()
	wants := map[string][]string{"protect.md": nil, "switches.md": nil, "accounts.md": nil, "selling.md": nil, "webhooks.md": nil}
	for _, e := range webhook.Types() {
		wants["webhooks.md"] = append(wants["webhooks.md"], "| `"+e.Name+"` | "+e.Summary+" |")
	}
	for _, name := range stripe.Types() {
		wants["selling.md"] = append(wants["selling.md"], "`"+name+"`")
	}
	for _, s := range licensing.AllSwitches() {
		wants["switches.md"] = append(wants["switches.md"], "`"+string(s)+"`")
	}
	for _, r := range licensing.AllRoles() {
		wants["accounts.md"] = append(wants["accounts.md"], "\n| "+string(r)+" |")
	}
	for _, c := range []apikey.Code{apikey.Valid, apikey.NotFound, apikey.IsDisabled, apikey.IsRevoked, apikey.IsExpired, apikey.SwitchedOff, apikey.ForbiddenIP,
		apikey.InsufficientScope, apikey.RateLimited, apikey.QuotaExceeded, apikey.NoCredits} {
		wants["protect.md"] = append(wants["protect.md"], "`"+string(c)+"`")
	}
	for file, rows := range wants {
		text, err := os.ReadFile(filepath.Join("docs", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if !strings.Contains(string(text), row) {
				t.Errorf("%s does not have %q", file, row)
			}
		}
	}
	text, err := os.ReadFile("docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	if rows := regexp.MustCompile("(?m)^\\| `[a-z]+\\.[a-z_]+` \\|").FindAllString(string(text), -1); len(rows) != len(webhook.Types()) {
		t.Errorf("webhooks.md lists %d events, there are %d", len(rows), len(webhook.Types()))
	}
}
