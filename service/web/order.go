package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// OrderPage is what the page of an order needs: the shop's name, and the two operations it calls.
type OrderPage struct {
	Shop   string
	Get    kit.Op[checkout.GetRequest, checkout.Checkout]
	Reveal kit.Op[checkout.RevealRequest, checkout.Revealed]
}

// Order makes the page of an order, /checkout/{id}. Buyers come back to it from paying, or from not paying, when the storefront named no
// page of its own; that address holds no secret, so the page shows nothing of the order, the same for every id. With the access code, which
// is in the mail that follows the payment, it shows the order with its keys and receipt, and reveals API keys, once.
func Order(p OrderPage) (http.Handler, error) {
	page, err := template.ParseFS(files, "order.html")
	if err != nil {
		return nil, err
	}
	o := &orderPage{OrderPage: p, page: page}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkout/{id}", o.show)
	mux.Handle("POST /checkout/{id}", http.NewCrossOriginProtection().Handler(http.HandlerFunc(o.reveal)))
	return mux, nil
}

type orderPage struct {
	OrderPage
	page *template.Template
}

// orderView is what the template shows.
type orderView struct {
	Shop     string
	ID       string
	Access   string
	Order    *checkout.Checkout // nil for whoever has no access code
	Title    string
	Tone     string // good, wait, bad
	Refresh  int    // seconds after which the page looks again; 0 never
	Keys     map[string]string
	Revealed bool
	Hidden   bool   // there are API keys to reveal
	Once     string // makes a form that is sent twice reveal once
	Problem  string
}

// Query is the access code as it stands in an address.
func (v orderView) Query() template.URL { return template.URL("access=" + url.QueryEscape(v.Access)) } //nolint:gosec // escaped right here

func (p *orderPage) show(w http.ResponseWriter, r *http.Request) {
	v := orderView{Shop: p.Shop, ID: r.PathValue("id"), Access: r.URL.Query().Get("access"), Once: rand.Text()}
	switch {
	case !licensing.ValidID("ord", v.ID):
		p.missing(w, v)
	case v.Access == "":
		v.Title = "Thank you"
		p.render(w, http.StatusOK, v)
	default:
		p.load(w, r, v)
	}
}

// load shows the order to whoever has its access code.
func (p *orderPage) load(w http.ResponseWriter, r *http.Request, v orderView) {
	c, err := p.Get.Call(guest(r), checkout.GetRequest{ID: v.ID, Access: v.Access})
	if err != nil {
		p.fail(w, v, err)
		return
	}
	v.Order = &c
	v.Title, v.Tone, v.Refresh = standing(c)
	for _, g := range c.Grants {
		v.Hidden = v.Hidden || g.Reveal
	}
	p.render(w, http.StatusOK, v)
}

// reveal shows the API keys of the order. It answers the form itself instead of leading elsewhere, because no address may hold a key.
func (p *orderPage) reveal(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	v := orderView{Shop: p.Shop, ID: r.PathValue("id"), Access: r.PostFormValue("access"), Once: r.PostFormValue("once"), Keys: map[string]string{}, Revealed: true}
	if !licensing.ValidID("ord", v.ID) || v.Access == "" || len(v.Once) < 16 {
		p.missing(w, v)
		return
	}
	out, err := p.Reveal.Call(kit.WithIdempotencyKey(guest(r), v.Once), checkout.RevealRequest{ID: v.ID, Access: v.Access})
	if err != nil {
		p.fail(w, v, err)
		return
	}
	for _, k := range out.Keys {
		v.Keys[k.ID] = k.Key
	}
	p.load(w, r, v)
}

// guest calls as whoever has the access code: the page knows nobody by a session.
func guest(r *http.Request) context.Context {
	call := *licensing.CallFrom(r.Context())
	call.Actor = licensing.Actor{Kind: licensing.Anonymous}
	return licensing.WithCall(r.Context(), &call)
}

func (p *orderPage) missing(w http.ResponseWriter, v orderView) {
	v.Title, v.Access, v.Problem = "No such order", "", "There is no order under this address. Open it from the mail that followed your payment, or copy the whole link."
	p.render(w, http.StatusNotFound, v)
}

func (p *orderPage) fail(w http.ResponseWriter, v orderView, err error) {
	public := kit.Public(err)
	if public.Kind == licensing.NotFound || public.Kind == licensing.Invalid {
		p.missing(w, v)
		return
	}
	v.Title, v.Access, v.Problem = "Not now", "", public.Text+" Load the page again in a moment."
	p.render(w, kit.Status(err), v)
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

// render answers with headers that keep the address, which may hold the access code, from everybody else.
func (p *orderPage) render(w http.ResponseWriter, status int, v orderView) {
	var out bytes.Buffer
	if err := p.page.Execute(&out, v); err != nil {
		http.Error(w, "This page cannot be shown.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	pageHeader(h)
	h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"), "form-action 'none'", "form-action 'self'", 1))
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}
