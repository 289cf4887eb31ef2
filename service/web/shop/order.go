package shop

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
)

// orderView is what the page of an order shows.
type orderView struct {
	ID     string
	Access string // "" for whoever may see the order by being signed in
	Order  *checkout.Checkout
	Tone   string // good, wait, bad
	Keys   map[string]string
	// Revealed says that the visitor asked for the API keys just now.
	Revealed bool
	Problem  string
}

// document is the address of a document of the order, for whoever looks; number is that of a credit note.
func (v orderView) document(name, number string) templ.SafeURL {
	q := url.Values{}
	if number != "" {
		q.Set("number", number)
	}
	if v.Access != "" {
		q.Set("access", v.Access)
	}
	out := "/checkout/" + v.ID + "/" + name
	if len(q) > 0 {
		out += "?" + q.Encode()
	}
	return templ.SafeURL(out)
}

// hidden reports whether there are API keys to reveal.
func (v orderView) hidden() bool {
	for _, g := range v.Order.Grants {
		if g.Reveal {
			return true
		}
	}
	return false
}

// given is the heading above what the order gave.
func (v orderView) given() string {
	for _, g := range v.Order.Grants {
		if g.Kind != "renewal" {
			return "Your keys"
		}
	}
	return "Your license"
}

// has reports whether the order gave something of a kind that is still good.
func (v orderView) has(kind string) bool {
	for _, g := range v.Order.Grants {
		if g.Kind == kind && g.State == "active" {
			return true
		}
	}
	return false
}

// access is the code by which a visitor sees an order: of the mail's link, or kept by the browser that bought it. v.Actor sees without one
// what is its own.
func access(v *site.Visit) string {
	if code := v.Query("access"); code != "" {
		return code
	}
	if c, err := v.R.Cookie(orderCookie); err == nil {
		return c.Value
	}
	return ""
}

// order shows the page of an order. Buyers come back to it from paying, or from not paying; its address holds no secret, so to a stranger
// it shows nothing, the same for every id. Who has the access code, or the account, sees the order with its keys and receipt.
func (p *pages) order(v *site.Visit) error {
	view := orderView{ID: v.Param("id"), Access: access(v)}
	if !licensing.ValidID("ord", view.ID) {
		return p.missing(v, view)
	}
	if view.Access == "" && v.Actor.Kind != licensing.Customer {
		return v.Render(http.StatusOK, orderPage(v.Frame("Thank you"), v.Form(), view))
	}
	return p.show(v, view)
}

// show loads the order and answers with its page.
func (p *pages) show(v *site.Visit, view orderView) error {
	c, err := p.ops.Get.Call(p.as(v, view), checkout.GetRequest{ID: view.ID, Access: view.Access})
	if told := kit.Public(err); told != nil && (told.Kind == licensing.NotFound || told.Kind == licensing.Invalid) {
		return p.missing(v, view)
	} else if err != nil {
		return err
	}
	view.Order = &c
	f := v.Frame("")
	f.Title, view.Tone, f.Refresh = standing(c)
	if view.Revealed {
		f.Refresh = 0
	}
	return v.Render(http.StatusOK, orderPage(f, v.Form(), view))
}

// as is who looks at the order: whoever holds its code, or the customer.
func (p *pages) as(v *site.Visit, view orderView) context.Context {
	if view.Access != "" {
		return v.Guest()
	}
	return v.Ctx()
}

// reveal shows the API keys of the order. It answers the form itself instead of leading elsewhere, because no address may hold a key.
func (p *pages) reveal(v *site.Visit) error {
	view := orderView{ID: v.Param("id"), Access: v.Form().Text("access"), Keys: map[string]string{}, Revealed: true}
	if !licensing.ValidID("ord", view.ID) || view.Access == "" && v.Actor.Kind != licensing.Customer {
		return p.missing(v, view)
	}
	out, err := p.ops.Reveal.Call(p.as(v, view), checkout.RevealRequest{ID: view.ID, Access: view.Access})
	if errors.Is(err, licensing.ErrNotFound) || licensing.KindOf(err) == licensing.Invalid && err != nil {
		return p.missing(v, view)
	} else if err != nil {
		return err
	}
	for _, k := range out.Keys {
		view.Keys[k.ID] = k.Key
	}
	return p.show(v, view)
}

func (p *pages) missing(v *site.Visit, view orderView) error {
	view.Access, view.Problem = "", "There is no order under this address. Open it from the mail that followed your payment, or copy the whole link."
	return v.Render(http.StatusNotFound, orderPage(v.Frame("No such order"), v.Form(), view))
}

// document serves a receipt or credit note of the order, as a page or as PDF, to whoever may see the order.
func (p *pages) document(v *site.Visit) error {
	view := orderView{ID: v.Param("id"), Access: access(v)}
	kind, format, _ := strings.Cut(v.Param("document"), ".")
	if format != "html" && format != "pdf" {
		return licensing.ErrNotFound
	}
	var out checkout.ReceiptFile
	var err error
	switch kind {
	case "receipt":
		out, err = p.ops.Receipt.Call(p.as(v, view), checkout.ReceiptRequest{ID: view.ID, Access: view.Access, Format: format})
	case "credit-note":
		out, err = p.ops.Credit.Call(p.as(v, view), checkout.CreditNoteRequest{ID: view.ID, Number: v.Query("number"), Access: view.Access, Format: format})
	default:
		return licensing.ErrNotFound
	}
	if err != nil {
		return err
	}
	h := v.W.Header()
	h.Set("Content-Type", out.MediaType)
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Content-Disposition", `inline; filename="`+kind+"-"+strings.ToLower(out.Number)+"."+format+`"`)
	_, err = v.W.Write(out.Content)
	return err
}

// lostKeys mails a buyer the links to the orders. It says the same for every address.
func (p *pages) lostKeys(v *site.Visit) error {
	f := v.Form()
	if !v.Posted() {
		return v.Show(lostKeysPage(v.Frame("Lost your key?"), f))
	}
	out, err := p.ops.Resend.Call(v.Guest(), checkout.ResendRequest{Email: f.Text("email")})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(lostKeysPage(v.Frame("Lost your key?"), f))
	}
	return v.Go("/lost-keys", "good", out.Message)
}

// standing says where an order stands, for people, and when to look again.
func standing(c checkout.Checkout) (title, tone string, refresh int) {
	switch c.State {
	case order.Pending:
		return "Waiting for your payment", "wait", 10
	case order.AwaitingFunds:
		return "Your payment is under way", "wait", 60
	case order.Paid:
		return "Paid; your keys follow", "wait", 5
	case order.Fulfilled:
		return "Your order is complete", "good", 0
	case order.Refunded:
		return "Refunded", "bad", 0
	case order.Closed:
		return "Not paid", "bad", 0
	}
	return "We are looking into your payment", "wait", 0
}
