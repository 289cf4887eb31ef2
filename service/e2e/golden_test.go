package e2e_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk"
	sdkdevice "github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/service/e2e/browsertest"
)

// The golden path, which must never break, as two people walk it in their browsers: the founder makes the shop theirs by the printed link, imports
// a catalogue, says what its licenses allow, puts it on sale and uploads a release; a customer signs up by the mailed link, searches, buys, sees license and key, downloads what was
// published, activates a device with the key of the page and releases it, and asks for help; the founder sees the order, answers, stops all
// downloads and lets them go on. A guest buys too, and finds it all in the account made later. At a desk with JavaScript and on a telephone without.
func TestGoldenPath(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			goldenPath(t, openStreet(t, engine), browsertest.Start(t))
		})
	}
}

// goldenPath walks: the founder opens the shop once, then each customer comes along.
func goldenPath(t *testing.T, s *street, chromium *browsertest.Browser) {
	founder := &person{t: t, s: s, p: chromium.Private(t, browsertest.Look{})}
	founder.makesItTheirs()
	founder.imports()
	founder.publishes()
	for _, look := range []browsertest.Look{{}, {NoScript: true, Narrow: true, Dark: true}} {
		founder.p.Turn(t, look)
		c := &person{t: t, s: s, p: chromium.Private(t, look), email: fmt.Sprintf("ada-%t-%d@example.com", look.NoScript, time.Now().UnixNano())}
		c.signsUp()
		order := c.buys()
		key := c.seesLicense(order)
		c.downloads()
		c.activates(key)
		c.releases()
		c.asks()
		founder.seesOrder(order, c.email)
		founder.answers()
		c.readsAnswer()
		founder.flips("yes")
		c.isRefusedDownload()
		founder.flips("no")
		c.downloads()
	}
	g := &person{t: t, s: s, p: chromium.Private(t, browsertest.Look{Narrow: true}), email: fmt.Sprintf("guest-%d@example.com", time.Now().UnixNano()), guest: true}
	order := g.buys()
	g.claims(order, g.seesLicense(order), chromium.Private(t, browsertest.Look{NoScript: true}))
	if found := s.verify(t); found != "" {
		t.Errorf("the invariants do not hold: %s", found)
	}
}

func (s *street) verify(t *testing.T) string {
	t.Helper()
	var out struct{ OK bool }
	s.call(t, http.MethodPost, "/v1/audit/verify", object{}, &out)
	if !out.OK {
		return "the audit trail"
	}
	return ""
}

// person is somebody at a browser.
type person struct {
	t      *testing.T
	s      *street
	p      *browsertest.Page
	email  string
	ticket string // address of what was asked
	guest  bool   // without an account so far
}

// goes opens a page and expects it to be quiet and to say something.
func (w *person) goes(at string, says ...string) string {
	w.t.Helper()
	if strings.HasPrefix(at, "/") {
		at = w.s.url + at
	}
	w.p.Visit(w.t, at)
	return w.says(says...)
}

// says reads the page, which must say something, and which must be quiet.
func (w *person) says(what ...string) string {
	w.t.Helper()
	text := w.p.Text(w.t, "main")
	for _, s := range what {
		if !strings.Contains(text, s) {
			w.t.Fatalf("%s does not say %q:\n%s", w.p.Address(w.t), s, text)
		}
	}
	w.p.Quiet(w.t, pageLimit)
	return text
}

// sends fills in fields by name and sends the form.
func (w *person) sends(button string, fields ...string) {
	w.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		w.p.Fill(w.t, `main [name="`+fields[i]+`"]:not([type=hidden])`, fields[i+1])
	}
	w.p.Submit(w.t, button)
}

const (
	submit         = `main form[method="post"] .submit button[type="submit"]`
	goldenPassword = "the whole golden path 9"
)

// makesItTheirs opens the link that the first start prints and makes the first owner.
func (w *person) makesItTheirs() {
	w.t.Helper()
	link := regexp.MustCompile(`/setup/[A-Za-z0-9_-]{43}`).FindString(w.s.first.out.String())
	if link == "" {
		w.t.Fatalf("the start prints no link for the owner:\n%s", w.s.first.out)
	}
	w.email = "founder@example.com"
	w.goes(link, "Make this shop yours")
	w.sends(submit, "email", w.email, "name", "Grace", "password", goldenPassword, "repeat", goldenPassword)
	if at := w.p.Address(w.t); at != w.s.url+"/admin" {
		w.t.Fatalf("the founder lands on %s: %s", at, w.p.Text(w.t, "body"))
	}
}

// imports imports the catalogue of the guide and puts it on sale.
func (w *person) imports() {
	w.t.Helper()
	files := guideBlocks(w.t, "start.md", "json")
	w.goes("/admin/import", "Import a catalogue")
	w.p.Set(w.t, `main [name="data"]`, files[0])
	w.p.Choose(w.t, `main [name="format"]`, "json")
	w.p.Submit(w.t, submit)
	w.says("Tried, nothing kept yet")
	w.p.Submit(w.t, submit)
	var list licensing.List[struct{ ID, Slug, State string }]
	w.s.call(w.t, http.MethodGet, "/v1/products", nil, &list)
	if len(list.Items) != 1 || list.Items[0].Slug != "editor" {
		w.t.Fatalf("after the import there are %+v", list.Items)
	}
	w.makesPolicy()
	w.goes("/admin/products/"+list.Items[0].ID, "Editor")
	w.p.Submit(w.t, `main a[href^="/admin/plans/plan_"]`)
	w.p.Submit(w.t, `main a[href$="/publish"]`)
	w.p.Submit(w.t, submit)
	w.says("Pro", "Active")
	w.goes("/admin/products/"+list.Items[0].ID, "Editor")
	w.p.Submit(w.t, `main a[href$="/publish"]`)
	w.p.Submit(w.t, submit)
	w.says("Editor", "Active")
	w.goes("/catalogue/editor", "Editor", "Pro", "49.00 EUR")
}

// makesPolicy makes the policy that the imported plan names, from a kind of license that the page offers: what the guide's file says, by hand.
func (w *person) makesPolicy() {
	w.t.Helper()
	w.goes("/admin/policies", "No policy yet")
	w.p.Submit(w.t, `main .empty a[href="/admin/policies/new"]`)
	w.says("New policy", "Node-locked")
	w.p.Submit(w.t, `main a[href^="/admin/policies/new?preset=perpetual"]`)
	w.p.Set(w.t, `main [name="entitlements"]`, "export\nprojects = 25")
	w.sends(submit, "code", "standard", "name", "Standard", "seats", "3", "updates_for", "", "recheck", "1", "fresh", "7", "stale", "7", "grace", "7")
	w.says("Standard", "3 devices at a time", "21 days in all")
	w.p.Quiet(w.t, pageLimit)
}

// publishes drafts a release, uploads its file and publishes it.
func (w *person) publishes() {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "editor.zip")
	if err := os.WriteFile(path, w.s.file, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.goes("/admin/files", "No release yet")
	w.p.Submit(w.t, `main .empty a[href$="/releases/new"]`)
	w.sends(submit, "version", "1.0.0", "notes", "The first.")
	w.says("1.0.0", "No file yet")
	w.p.Fill(w.t, `main [name="platform"]`, "linux-amd64")
	w.p.Attach(w.t, `main [name="file"]`, path)
	w.p.Submit(w.t, submit)
	w.says("The file is stored", "editor.zip", "205.1 KiB")
	w.p.Submit(w.t, `main a[href$="/publish"]`)
	w.p.Submit(w.t, submit)
	w.says("Published")
}

func (w *person) signsUp() {
	w.t.Helper()
	w.goes("/sign-up", "Create an account")
	w.sends(submit, "email", w.email, "name", "Ada")
	w.says("Look into your mailbox")
	w.goes(w.s.mailed(w.t, w.email, "/confirm/"), "Choose a password")
	w.sends(submit, "password", goldenPassword, "repeat", goldenPassword)
	w.says("Sign in")
	w.sends(submit, "email", w.email, "password", goldenPassword)
	if at := w.p.Address(w.t); at != w.s.url+"/account" {
		w.t.Fatalf("the customer lands on %s: %s", at, w.p.Text(w.t, "body"))
	}
	w.says()
}

// buys searches, orders and pays, and returns the order.
func (w *person) buys() string {
	w.t.Helper()
	w.goes("/catalogue", "Editor")
	w.p.Fill(w.t, `[name="q"]`, "editor")
	w.p.Submit(w.t, `form[role="search"] button`)
	w.says("Editor")
	w.p.Submit(w.t, `a[href="/catalogue/editor"]`)
	w.p.Submit(w.t, `main a[href^="/buy/editor"]`)
	w.says("Buy Editor")
	if w.guest {
		w.p.Fill(w.t, `main [name="email"]`, w.email)
	}
	w.p.Click(w.t, `[name="terms"]`)
	w.p.Click(w.t, `[name="delivery"]`)
	w.p.Submit(w.t, submit)
	w.p.Click(w.t, `input[value="4242424242424242"]`)
	w.p.Submit(w.t, `button[type="submit"]`)
	order := regexp.MustCompile(`/checkout/(ord_[0-9a-f]{32})`).FindStringSubmatch(w.p.Address(w.t))
	if order == nil {
		w.t.Fatalf("after paying the buyer is on %s", w.p.Address(w.t))
	}
	return order[1]
}

// seesLicense waits on the order's page for the keys, reveals the API key, and returns the license key.
func (w *person) seesLicense(order string) string {
	w.t.Helper()
	eventually(w.t, "the order is complete", time.Minute, func() bool {
		w.p.Visit(w.t, w.s.url+"/checkout/"+order)
		return strings.Contains(w.p.Text(w.t, "main"), "Your order is complete")
	})
	w.says("License key", "First steps", "Receipt")
	key := w.p.Text(w.t, `code[aria-label="License key"]`)
	w.p.Submit(w.t, `form[action="/checkout/`+order+`"] button`)
	w.says("Copy it now")
	if api := w.p.Text(w.t, `code[aria-label="API key"]`); len(api) < 30 || !strings.HasPrefix(key, "EDIT-") {
		w.t.Fatalf("the keys are %q and %.6q…", key, api)
	}
	return key
}

// downloads gets the file by the customer's pages and checks every byte of it.
func (w *person) downloads() {
	w.t.Helper()
	sum := fmt.Sprintf("%x", sha256.Sum256(w.s.file))
	w.everywhere("downloads are on", func() bool {
		w.p.Visit(w.t, w.s.url+"/account/downloads")
		return strings.Contains(w.p.Text(w.t, "main"), sum)
	})
	w.says("editor.zip")
	w.p.Submit(w.t, `main button[aria-label="Download editor.zip"]`)
	w.says(sum)
	link := w.p.Address(w.t)
	if !strings.HasPrefix(link, w.s.url+"/download/") {
		w.t.Fatalf("the download leads to %s", link)
	}
	c := newCaller(w.t, w.s.url) // the browser would save the file; whoever holds the link may
	started := c.post(w.t, link, url.Values{})
	if started.status != http.StatusSeeOther {
		w.t.Fatalf("starting the download answered %d", started.status)
	}
	if got := c.get(w.t, started.to); got.status != http.StatusOK || got.text != string(w.s.file) {
		w.t.Errorf("the download answered %d with %d bytes that are not those published", got.status, len(got.text))
	}
}

// activates takes a seat as the product does, with the key that the page shows.
func (w *person) activates(key string) {
	w.t.Helper()
	client, err := sdk.New(sdk.Config{BaseURL: w.s.url, Product: "editor", Env: "test", Roots: []string{w.s.first.root(w.t)}}, sdk.WithStore(&sdk.MemoryStore{}), sdk.WithDeviceName("Ada's laptop"),
		sdk.WithDevice(sdkdevice.Fingerprint{"machine": w.email, "disk": "S4EWNX0M", "mac": "02:42:ac:11:00:02"}))
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if d, err := client.Activate(ctx, key); err != nil || !d.Allowed {
		w.t.Fatalf("the activation: %+v (%v)", d, err)
	}
}

// releases sees the device among the license's and frees its seat.
func (w *person) releases() {
	w.t.Helper()
	w.goes("/account/licenses", "Editor")
	w.p.Submit(w.t, `main a[href^="/account/licenses/lic_"]`)
	w.says("Ada's laptop")
	w.p.Submit(w.t, `main a[href$="/release"]`)
	w.says("Release Ada's laptop?")
	w.p.Submit(w.t, submit)
	if w.says("Editor"); w.p.Has(w.t, `main a[href$="/release"]`) {
		w.t.Error("the released device still holds its seat")
	}
}

func (w *person) asks() {
	w.t.Helper()
	w.goes("/support/new")
	w.sends(submit, "subject", "Where are my drafts?", "body", "I cannot find them, "+w.email)
	w.goes("/account/tickets", "Where are my drafts?")
	w.p.Submit(w.t, `main a[href^="/tickets/"]`)
	w.says("I cannot find them")
	w.ticket = w.p.Address(w.t)
}

func (w *person) seesOrder(order, email string) {
	w.t.Helper()
	w.goes("/admin/orders", "Orders")
	w.p.Submit(w.t, `main a[href="/admin/orders/`+order+`"]`)
	w.says(email, "49.00 EUR")
}

func (w *person) answers() {
	w.t.Helper()
	w.goes("/admin/tickets", "Where are my drafts?")
	w.p.Submit(w.t, `main a[href^="/admin/tickets/tkt_"]`)
	w.says("I cannot find them")
	w.p.Fill(w.t, `form[action$="/answer"] [name="body"]`, "In the folder Drafts.")
	w.p.Choose(w.t, `form[action$="/answer"] [name="status"]`, "solved")
	w.p.Submit(w.t, `form[action$="/answer"] .submit button`)
	w.says("In the folder Drafts.")
}

func (w *person) readsAnswer() {
	w.t.Helper()
	w.goes(w.ticket, "In the folder Drafts.", "Solved")
}

// flips stops all downloads, or lets them go on.
func (w *person) flips(off string) {
	w.t.Helper()
	w.goes("/admin/switches", "Kill switches")
	w.p.Submit(w.t, `main a[href^="/admin/switches/downloads?off=`+off+`"]`)
	w.sends(submit, "reason", "a walk along the golden path")
	w.says("Kill switches")
}

// isRefusedDownload sees that downloads are off, on whichever replica answers.
func (w *person) isRefusedDownload() {
	w.t.Helper()
	w.everywhere("downloads are off", func() bool {
		w.p.Visit(w.t, w.s.url+"/account/downloads")
		return !strings.Contains(w.p.Text(w.t, "main"), "editor.zip")
	})
	if text := w.p.Text(w.t, "h1"); text != "Not available at the moment" {
		w.t.Errorf("while downloads are off the page says %q", text)
	}
	w.p.Quiet(w.t, pageLimit, "503")
}

// everywhere looks until something is so several times in turn, as it is when every replica knows.
func (w *person) everywhere(what string, look func() bool) {
	w.t.Helper()
	n := 0
	eventually(w.t, what, time.Minute, func() bool {
		if !look() {
			n = 0
			return false
		}
		n++
		return n == 4
	})
}
