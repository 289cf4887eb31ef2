package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/e2e/browsertest"
)

// soundProduct is a second product on the shelf, so that there is something to search among.
const soundProduct = `{"products": [{
  "slug": "sound-api", "name": "Sound API", "purpose": "revenue", "description": "Turns <b>notes</b> into sound.",
  "plans": [{"code": "small", "name": "Small", "type": "perpetual", "grants": [{"api_key": {"rate_count": 10, "rate_period": 60}}],
    "prices": [{"amount": 900, "currency": "EUR"}]}]}]}`

// storefront starts a shop that sells two products, and examples/storefront, built and run as it is, on an origin of its own: that of
// host, any name below localhost. It returns the port of the storefront as well.
func storefront(t *testing.T, host string) (shop *process, at, port string) {
	t.Helper()
	dir, addr := shortDir(t), freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	at = "http://" + host + ":" + port
	shop = shopOf(t, dir, "--storefront-origin", at)
	sellFirst(t, dir, shop.url)
	if err := os.WriteFile(filepath.Join(dir, "sound.json"), []byte(soundProduct), 0o600); err != nil {
		t.Fatal(err)
	}
	shell(t, dir, "mintreu product import sound.json\nmintreu product publish sound-api")
	bin := filepath.Join(t.TempDir(), "storefront")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "github.com/mintreu/mintreu/examples/storefront").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	background(t, nil, bin, "-addr", addr, "-api", shop.url)
	eventually(t, "the storefront to answer", time.Minute, func() bool {
		status, _, _ := fetch(t.Context(), "GET", "http://"+addr+"/", nil, nil)
		return status == 200
	})
	return shop, at, port
}

// TestExampleStorefront: on a static page of another origin a visitor searches the catalogue, is told beside each field what is wrong
// with the form, leaves the payment page and comes back without harm, buys, returns, and has license and API key; every state of
// the page is accessible, in light, dark and on a telephone, and it calls nobody but the API.
func TestExampleStorefront(t *testing.T) {
	t.Parallel()
	chromium := browsertest.Start(t)
	shop, at, _ := storefront(t, "shop.localhost")
	for name, look := range looks() {
		t.Run(name, func(t *testing.T) {
			p := chromium.Open(t, look)
			sound := func(expected ...string) {
				t.Helper()
				p.Quiet(t, pageLimit, append(expected, shop.url)...)
				p.Accessible(t)
			}
			p.Visit(t, at+"/")
			p.Valid(t)
			p.Wait(t, ".card")
			if said := p.Text(t, "main"); !strings.Contains(said, "2 products") || !strings.Contains(said, "Turns <b>notes</b> into sound.") || !strings.Contains(said, "49.00") {
				t.Errorf("the catalogue says %q", said)
			}
			sound()
			p.Fill(t, "#text", "WHAT writes")
			if said := p.Text(t, "main"); !strings.Contains(said, "1 product") || strings.Contains(said, "Sound") {
				t.Errorf("a search says %q", said)
			}
			p.Fill(t, "#text", "nothing of the kind")
			if said := p.Text(t, `[role="status"]`); !strings.Contains(said, "Nothing fits") {
				t.Errorf("a search without a match says %q", said)
			}
			p.Fill(t, "#text", "")
			p.Choose(t, "#currency", "USD")
			if said := p.Text(t, ".grid"); !strings.Contains(said, "54.00") || strings.Contains(said, "Sound") {
				t.Errorf("in dollars there is %q", said)
			}
			p.Choose(t, "#currency", "EUR")

			p.Click(t, `a[href="#/p/editor"]`)
			p.Wait(t, "form.buy")
			sound()
			p.Click(t, ".buy button")
			if p.Attribute(t, "#email", "aria-invalid") != "true" || p.Focused(t) != "email" {
				t.Errorf("without an address the focus is on %q", p.Focused(t))
			}
			p.Fill(t, "#email", "not an address")
			p.Click(t, ".buy button")
			p.Wait(t, "#terms-fault")
			for _, field := range []string{"#email-fault", "#terms-fault", "#immediate_delivery-fault"} {
				if p.Text(t, field) == "" {
					t.Errorf("%s says nothing", field)
				}
			}
			if p.Value(t, "#email") != "not an address" {
				t.Errorf("what was typed is gone: %q", p.Value(t, "#email"))
			}
			sound("400")

			p.Fill(t, "#email", "ada@example.com")
			p.Fill(t, "#country", "de")
			p.Click(t, "#terms")
			p.Click(t, "#immediate_delivery")
			p.Submit(t, ".buy button")
			p.Submit(t, ".back a")
			p.Wait(t, "form.buy")
			if said := p.Text(t, `[role="alert"]`); !strings.Contains(said, "left without paying") {
				t.Errorf("who left is told %q", said)
			}
			sound()

			p.Fill(t, "#email", "ada@"+name+".example")
			p.Fill(t, "#country", "DE")
			p.Click(t, "#terms")
			p.Click(t, "#immediate_delivery")
			p.Submit(t, ".buy button")
			if said := p.Text(t, "body"); !strings.Contains(said, "49.00 EUR") {
				t.Errorf("the payment page says %q", said)
			}
			p.Click(t, `input[value="4242424242424242"]`)
			p.Submit(t, `button[type="submit"]`)
			if back := p.Address(t); !strings.HasPrefix(back, at+"/?checkout=ord_") {
				t.Errorf("the buyer lands on %s", back)
			}
			p.Wait(t, ".note.good")
			if said := p.Text(t, "main"); !strings.Contains(said, "EDIT-") || !strings.Contains(said, "Receipt") {
				t.Errorf("the thank-you page says %q", said)
			}
			p.Click(t, "section button")
			p.Wait(t, "code[tabindex]")
			if key := p.Text(t, "code[tabindex]"); !strings.HasPrefix(key, "mtr_test_") {
				t.Errorf("the API key is %q", key)
			}
			sound()
		})
	}
}

// TestX09_ForeignPagesReadNothing: a page of another origin, of one that only begins like an allowed one, and of none (null) reads
// nothing of the API in a real browser, nor makes a checkout; the allowed origin reads, but not with credentials.
func TestX09_ForeignPagesReadNothing(t *testing.T) {
	t.Parallel()
	p := browsertest.Start(t).Open(t, browsertest.Look{})
	shop, at, port := storefront(t, "shop.localhost")
	ask := func(how string) string { // what a script of the page gets to read
		return p.Run(t, `fetch("`+shop.url+`/v1/catalog", `+how+`).then((r) => r.type === "opaque" ? "opaque" : r.text(), (e) => "refused")`)
	}
	for _, origin := range []string{"http://evil.localhost:" + port, "http://shop.localhost.evil.localhost:" + port, "http://localhost:" + port, "http://127.0.0.1:" + port} {
		p.Visit(t, origin+"/")
		p.Wait(t, `[role="alert"]`)
		if said := p.Text(t, "main"); !strings.Contains(said, "cannot be reached") {
			t.Errorf("%s shows %q", origin, said)
		}
		for how, want := range map[string]string{`{}`: "refused", `{credentials: "include"}`: "refused", `{mode: "no-cors"}`: "opaque",
			`{method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}`: "refused"} {
			if got := ask(how); got != want && got != "refused" {
				t.Errorf("%s reads %q with %s", origin, got, how)
			}
		}
	}
	p.Visit(t, at+"/")
	p.Wait(t, ".card")
	if got := ask(`{}`); !strings.Contains(got, "sound-api") {
		t.Errorf("the allowed origin reads %q", got)
	}
	if got := ask(`{credentials: "include"}`); got != "refused" {
		t.Errorf("the allowed origin reads %q with credentials", got)
	}
	if got := ask(`{headers: {Authorization: "Bearer x"}}`); got != "refused" {
		t.Errorf("the allowed origin may send credentials: %q", got)
	}
	p.Visit(t, "data:text/html,<title>null</title>")
	if got := ask(`{}`); got != "refused" || p.Run(t, "Promise.resolve(origin)") != "null" {
		t.Errorf("the origin null reads %q", got)
	}
}
