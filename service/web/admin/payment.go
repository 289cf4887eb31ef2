package admin

import (
	"bytes"
	"encoding/json"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) paymentPages() []site.Page {
	return append([]site.Page{get("payments", "/admin/payments", p.events), get("payment", "/admin/payments/{id}", p.event)},
		p.asked(action{name: "payment_retry", path: "/admin/payments/{id}/retry", spec: p.ops.RetryEvent.Spec(), calm: true, reason: true, back: to("/admin/payments/{id}", "Payment event"),
			title: "Try the event again", button: "Try it again", done: "The event is being processed again. It is parked once more if its cause stands.",
			what: "It is put back among the pending ones and processed at once.",
			do: plain(func() op[payment.RetryRequest, payment.EventView] { return p.ops.RetryEvent }, func(id, reason string) payment.RetryRequest {
				return payment.RetryRequest{ID: id, Reason: reason}
			})})...)
}

func eventStates() []ui.Option { return choices("Any state", "pending", "done", "ignored", "parked") }

func (p *pages) events(v *site.Visit) error {
	list, err := p.ops.Events.Call(v.Ctx(), payment.ListRequest{Page: page(v, 25), State: pick(v, "state", eventStates())})
	if err != nil {
		return err
	}
	return v.Show(eventsPage(v.Frame("Payment events"), v.Filter(), list, next(v, list.Next), filtered(v)))
}

func (p *pages) event(v *site.Visit) error {
	e, err := p.ops.Event.Call(v.Ctx(), payment.InspectRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	return v.Show(eventPage(v.Frame("Payment event", ui.Link{Href: "/admin/payments", Name: "Payment events"}), e, pretty(e.Body), may(v, p.ops.RetryEvent.Spec())))
}

// pretty is JSON text with line breaks, or the text as it is.
func pretty(text string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(text), "", "  ") != nil {
		return text
	}
	return out.String()
}
