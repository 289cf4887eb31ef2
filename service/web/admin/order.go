package admin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) orderPages() []site.Page {
	return append([]site.Page{
		get("orders", "/admin/orders", p.orders),
		get("order", "/admin/orders/{id}", p.order),
		get("receipt", "/admin/orders/{id}/receipt/{format}", p.receipt),
		get("credit_note", "/admin/orders/{id}/credit-notes/{number}", p.creditNote),
	}, p.asked(action{name: "order_redrive", path: "/admin/orders/{id}/redrive", spec: p.ops.Redrive.Spec(), calm: true, silent: true,
		title: "Look at the order again", button: "Look again", done: "The payment provider was asked again, and what followed is done.",
		what: "The payment provider is asked about this order once more, and the order does what follows. A parked order stays parked while what was paid differs from what was ordered.",
		back: to("/admin/orders/{id}", "Order"),
		do: func(v *site.Visit, id, _ string) (templ.Component, error) {
			_, err := p.ops.Redrive.Call(v.Ctx(), checkout.RedriveRequest{ID: id})
			return nil, err
		}}, action{name: "order_resolve", path: "/admin/orders/{id}/resolve", spec: p.ops.Resolve.Spec(), calm: true, reason: true,
		title: "Say how the order was dealt with", button: "It is dealt with", done: "The order does not wait for a person any more.",
		what: "Do first what is to be done: give the money back, or give a license by hand. Then say here what you did; its buyer may read it. Saying it moves no money and gives or takes nothing. A paid order is fulfilled then, any other closed.",
		back: to("/admin/orders/{id}", "Order"),
		do: plain(func() op[checkout.ResolveRequest, order.View] { return p.ops.Resolve }, func(id, reason string) checkout.ResolveRequest {
			return checkout.ResolveRequest{ID: id, Reason: reason}
		})})...)
}

func orderStates() []ui.Option {
	return choices("Any state", "pending", "awaiting_funds", "paid", "fulfilled", "refunded", "closed", "parked")
}

func (p *pages) orders(v *site.Visit) error {
	products, err := p.products(v)
	if err != nil {
		return err
	}
	list, err := p.ops.Orders.Call(v.Ctx(), order.ListRequest{Page: page(v, 25), Query: v.Query("q"), State: order.State(pick(v, "state", orderStates())),
		Product: pick(v, "product", productChoices("", products)), Owner: licensing.Owner(v.Query("owner"))})
	if err != nil {
		return err
	}
	return v.Show(ordersPage(v.Frame("Orders"), v.Filter(), list, products, next(v, list.Next), filtered(v)))
}

// orderView is what the page of an order shows.
type orderView struct {
	order.View
	Grants  []checkout.GrantView
	Redrive bool // the visitor may
	Resolve bool // the visitor may, and it waits for a person
}

func (p *pages) order(v *site.Visit) error {
	o, err := p.ops.Order.Call(v.Ctx(), order.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	view := orderView{View: o, Redrive: may(v, p.ops.Redrive.Spec()), Resolve: o.State == order.Parked && may(v, p.ops.Resolve.Spec())}
	if o.State == order.Fulfilled || o.State == order.Refunded || o.FulfilledAt != nil {
		c, err := p.ops.Checkout.Call(v.Ctx(), checkout.GetRequest{ID: o.ID})
		if err != nil && !errors.Is(err, licensing.ErrNotFound) {
			return err
		}
		view.Grants = c.Grants
	}
	return v.Show(orderPage(v.Frame("Order "+ui.Short(o.ID), ui.Link{Href: "/admin/orders", Name: "Orders"}), v.Form(), view))
}

func (p *pages) receipt(v *site.Visit) error {
	file, err := p.ops.Receipt.Call(v.Ctx(), checkout.ReceiptRequest{ID: v.Param("id"), Format: v.Param("format")})
	if err != nil {
		return err
	}
	return document(v, file)
}

func (p *pages) creditNote(v *site.Visit) error {
	number, format, _ := strings.Cut(v.Param("number"), ".")
	file, err := p.ops.CreditNote.Call(v.Ctx(), checkout.CreditNoteRequest{ID: v.Param("id"), Number: number, Format: format})
	if err != nil {
		return err
	}
	return document(v, file)
}

// document answers with a receipt or credit note, under the policy that such files have: a style of their own and nothing else.
func document(v *site.Visit, file checkout.ReceiptFile) error {
	h := v.W.Header()
	h.Set("Content-Type", file.MediaType)
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	v.W.WriteHeader(http.StatusOK)
	_, _ = v.W.Write(file.Content)
	return nil
}

// bought is what an order is about, in a line.
func bought(o order.View) string {
	if len(o.Lines) == 0 {
		return "–"
	}
	text := o.Lines[0].Name
	if n := len(o.Lines) - 1; n > 0 {
		text += " and " + ui.Plural(int64(n), "more line", "more lines")
	}
	return text
}

// orderText says where an order stands and what that means for the shop.
func orderText(o order.View) string {
	if o.ResolvedAt != nil && (o.State == order.Fulfilled || o.State == order.Closed) {
		return "Payment and order did not match, and a person dealt with it."
	}
	switch o.State {
	case order.Pending:
		return "Not paid yet. It closes by itself when it is not paid in time."
	case order.AwaitingFunds:
		return "The buyer is done; the money is under way. Keys follow when it has arrived."
	case order.Paid:
		return "The money is here; licenses and keys are on their way."
	case order.Fulfilled:
		return "Paid and delivered."
	case order.Refunded:
		if o.Disputed.Minor > 0 {
			return "The dispute was lost, and what was given is revoked."
		}
		return "The whole amount went back, and what was given is revoked."
	case order.Closed:
		if o.Stray != nil {
			return "What was paid is not what was ordered, and all of it went back."
		}
		return "Never paid."
	case order.Parked:
		if o.FulfilledAt != nil {
			return "Payment and what was given do not match any more. It waits for a person, until the whole money went back or somebody says how it was dealt with."
		}
		return "What the payment provider says is not what was ordered. Nothing is given until a person has looked at it and says how it was dealt with."
	}
	return ""
}

// happened is a step of an order's timeline in words.
func happened(kind string) string {
	if text, ok := map[string]string{"created": "Order made", "session": "Payment page opened", "paid": "Money arrived", "fulfilled": "Delivered", "redrive": "Looked at again by a person", "resolved": "Dealt with by a person",
		"closed": "Closed", "awaiting_funds": "Waiting for the money", "parked": "Parked", "stray": "Money arrived that is not what was ordered", "stranded": "Its license was revoked with the order", "refund": "Refunded", "held": "Held back by a switch"}[kind]; ok {
		return text
	}
	return ui.Words(kind)
}
