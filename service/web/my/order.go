package my

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) orders(v *site.Visit) error {
	list, err := p.ops.Orders.Call(v.Ctx(), order.ListRequest{Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 30}})
	if err != nil {
		return err
	}
	lines := make([]orderLine, len(list.Items))
	for i := range list.Items {
		lines[i] = lineOf(&list.Items[i])
	}
	return v.Show(ordersPage(v.Frame("Orders"), lines, list.Next))
}

func (p *pages) order(v *site.Visit) error {
	o, err := p.ops.Order.Call(v.Ctx(), order.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	return v.Show(orderPage(v.Frame("Order "+ui.Day(o.CreatedAt), ui.Link{Href: "/account/orders", Name: "Orders"}), &o))
}

// orderLine is an order in a list.
type orderLine struct {
	ID, Contents, Word, Tone, Receipt string
	Env                               licensing.Env
	CreatedAt                         time.Time
	Total                             money.Amount
}

// lineOf is the line of an order.
func lineOf(o *order.View) orderLine {
	word, tone := told(o.State, o.Refunded)
	return orderLine{o.ID, contents(o), word, tone, o.Receipt, o.Env, o.CreatedAt, o.Total}
}

// briefLine is the line of an order of the overview.
func briefLine(o *insight.OrderBrief) orderLine {
	word, tone := told(order.State(o.State), o.Refunded)
	var names []string
	for _, l := range o.Lines {
		names = append(names, times(l.Quantity, l.Name))
	}
	return orderLine{o.ID, strings.Join(names, ", "), word, tone, o.Receipt, o.Env, o.CreatedAt, o.Total}
}

// paper is the address of a receipt or, by its number, of a credit note of the order with the given id.
func paper(id, number, format string) templ.SafeURL {
	if number == "" {
		return templ.SafeURL("/checkout/" + id + "/receipt." + format)
	}
	return templ.SafeURL("/checkout/" + id + "/credit-note." + format + "?number=" + url.QueryEscape(number))
}

// told is the state of an order for its buyer.
func told(state order.State, refunded money.Amount) (word, tone string) {
	switch state {
	case order.Pending:
		return "Waiting for payment", "wait"
	case order.AwaitingFunds:
		return "Payment under way", "wait"
	case order.Paid:
		return "Paid", "good"
	case order.Fulfilled:
		if refunded.Minor > 0 {
			return "Partly refunded", "wait"
		}
		return "Complete", "good"
	case order.Refunded:
		return "Refunded", ""
	case order.Closed:
		return "Not paid", ""
	}
	return "Being looked at", "wait"
}

// explained says where an order stands and what happens now.
func explained(o *order.View) string {
	switch o.State {
	case order.Pending:
		return "Nothing was paid yet. The order closes by itself if it stays so."
	case order.AwaitingFunds:
		return "The payment is on its way, which with a bank can take some days. License and receipt follow by mail."
	case order.Paid:
		return "The payment is here. What you bought follows by mail in a short while."
	case order.Fulfilled:
		if o.Disputed.Minor > 0 {
			return "Your bank holds back " + o.Disputed.String() + " in a dispute. Until it is settled, what you bought may be suspended."
		}
		return "You have everything that you ordered."
	case order.Refunded:
		if o.Disputed.Minor > 0 {
			return "Your bank took " + o.Disputed.String() + " back in a dispute, and what you bought is no longer valid."
		}
		return "The whole payment went back to you, and what you bought is no longer valid."
	case order.Closed:
		if o.Stray != nil {
			return "What was paid was not what you ordered, and all of it went back to you. You can order anew at any time."
		}
		return "The order was closed without a payment. You can order anew at any time."
	}
	return "Payment and order differ, so a person is looking into it. We write to you."
}

// step is one thing that happened to an order.
type step struct {
	At   time.Time
	Text string
}

// timeline is what happened to an order, oldest first, in plain words.
func timeline(o *order.View) []step {
	out := []step{{o.CreatedAt, "You placed the order."}}
	if o.PaidAt != nil {
		out = append(out, step{*o.PaidAt, text(o.Total.Minor == 0, "There was nothing to pay.", "Your payment of "+o.Total.String()+" arrived.")})
	}
	if o.FulfilledAt != nil {
		out = append(out, step{*o.FulfilledAt, "You got what you ordered; keys and receipt went to " + o.Email + "."})
	}
	for _, n := range o.CreditNotes {
		if n.Amount.Minor < 0 {
			out = append(out, step{n.At, "A refund did not reach you and was taken back."})
			continue
		}
		out = append(out, step{n.At, n.Amount.String() + " went back to you."})
	}
	slices.SortStableFunc(out, func(a, b step) int { return a.At.Compare(b.At) })
	return out
}

// contents is what an order was for, in a line.
func contents(o *order.View) string {
	var names []string
	for _, l := range o.Lines {
		names = append(names, times(l.Quantity, l.Name))
	}
	return strings.Join(names, ", ")
}

// times is a thing, and how many of it where there is more than one.
func times(n int64, name string) string {
	if n > 1 {
		return ui.Number(n) + " × " + name
	}
	return name
}
