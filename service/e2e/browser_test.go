package e2e_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/e2e/browsertest"
)

// ordered makes an order that waits for its payment.
func ordered(t *testing.T, shop *process, dir string) *purchase {
	t.Helper()
	out := shell(t, dir, "curl -s "+shop.url+"/v1/catalog/editor")
	p := newPurchase(shop.url, offer{plan: regexp.MustCompile(`plan_[0-9a-f]{32}`).FindString(out)}, 1)
	if err := p.checkOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// fulfilled waits until the buyer was given what was paid for.
func fulfilled(t *testing.T, p *purchase) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		order, err := p.look(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if order.State == "fulfilled" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the order is %s", order.State)
		case <-tick.C:
		}
	}
}

// TestBrowser_Pay: a buyer whose card is declined is told so, pays with another one, comes back to the shop, and the order is
// fulfilled; with JavaScript and without; every page on the way is quiet, light, valid and accessible.
func TestBrowser_Pay(t *testing.T) {
	t.Parallel()
	chromium := browsertest.Start(t)
	dir := shortDir(t)
	shop := shopOf(t, dir)
	sellFirst(t, dir, shop.url)
	for name, look := range map[string]browsertest.Look{"script": {}, "dark": {Dark: true}, "telephone": {Narrow: true}, "no script": {NoScript: true}} {
		t.Run(name, func(t *testing.T) {
			order := ordered(t, shop, dir)
			p := chromium.Open(t, look)
			check := func(expected ...string) {
				t.Helper()
				p.Quiet(t, pageLimit, expected...)
				p.Valid(t)
				if !look.NoScript {
					p.Accessible(t)
				}
			}
			p.Visit(t, order.url)
			if said := p.Text(t, "body"); !strings.Contains(said, "49.00 EUR") || !strings.Contains(said, "No real money") {
				t.Errorf("the payment page says %q", said)
			}
			check()

			p.Click(t, `input[value="4000000000000002"]`)
			p.Submit(t, `button[type="submit"]`)
			if said := p.Text(t, `[role="alert"]`); !strings.Contains(said, "declined") {
				t.Errorf("after a declined card the page says %q", said)
			}
			check("402")

			p.Click(t, `input[value="4242424242424242"]`)
			p.Submit(t, `button[type="submit"]`)
			if at := p.Address(t); at != shop.url+"/checkout/"+order.id {
				t.Errorf("the buyer lands on %s", at)
			}
			if said := p.Text(t, "main"); !strings.Contains(said, order.id) {
				t.Errorf("the page to return to says %q", said)
			}
			check()
			fulfilled(t, order)

			p.Visit(t, order.url)
			if said := p.Text(t, "main"); !strings.Contains(said, "cannot be paid twice") {
				t.Errorf("the paid page says %q", said)
			}
			check()
			p.Visit(t, shop.url+"/v1/checkouts/"+order.id+"/receipt.html?access="+order.access)
			if said := p.Text(t, "main"); !strings.Contains(said, "Total paid") {
				t.Errorf("the receipt says %q", said)
			}
			check()
		})
	}
}

// TestBrowser_Reference: an operation is found in the API reference with the keyboard alone, without JavaScript, and its link leads to it;
// every page of the reference is valid HTML.
func TestBrowser_Reference(t *testing.T) {
	t.Parallel()
	shop := bareStage(t, app.Config{})
	p := browsertest.Start(t).Open(t, browsertest.Look{NoScript: true})
	p.Visit(t, shop.url+"/docs/api")
	served := map[string]string{}
	for _, m := range regexp.MustCompile(`<h2><a href="(/docs/api/[a-z-]+)"`).FindAllStringSubmatch(p.Source(t), -1) {
		status, text, err := fetch(t.Context(), http.MethodGet, shop.url+m[1], nil, nil)
		if err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %v", m[1], status, err)
		}
		served[m[1]] = text
	}
	if len(served) < 15 {
		t.Errorf("the API reference has %d pages", len(served))
	}
	browsertest.ValidAll(t, served)

	p.Fill(t, "#f-q", "reveal api keys")
	p.PressSubmit(t, browsertest.Enter)
	if said := p.Text(t, "main"); !strings.Contains(said, "1 operation") || p.Value(t, "#f-q") != "reveal api keys" {
		t.Errorf("the search says %q", said)
	}
	p.Submit(t, `a[href="/docs/api/checkout#checkout-reveal"]`)
	if at := p.Address(t); at != shop.url+"/docs/api/checkout#checkout-reveal" || !strings.Contains(p.Text(t, "#checkout-reveal"), "once") {
		t.Errorf("the link leads to %s", at)
	}
}
