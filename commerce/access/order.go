package access

import (
	"slices"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/explain"
)

// bought are the first two steps of a license or key: its payment and its order. Money that went back stops nothing that is good, as what was
// reinstated by hand is, so that it is told and no more.
func (v *viewer) bought(object, source string, owner licensing.Owner, granted explain.State) (payment, order explain.Step) {
	if o := v.orderOf(object); o != nil {
		payment, order = v.payment(o), v.placed(o)
		for _, s := range []*explain.Step{&payment, &order} {
			if s.State == explain.Blocked && granted != explain.Blocked {
				s.State, s.Do, s.Text = explain.None, "", s.Text+" This is good all the same."
			}
		}
		return payment, order
	}
	text := map[string]string{
		"order_unit": "It was bought by somebody else.", "grant": "It was issued by hand, so nothing was paid here.", "staff": "It was issued by hand, so nothing was paid here.",
		"import": "It was imported, so it was paid elsewhere.", "trial": "It is a trial, so nothing was paid.",
	}[source]
	if m := v.moved(object); source == "order_unit" && m != nil && m.To == owner {
		text = "It was bought by another owner and came here on " + explain.When(m.At) + "."
	}
	return explain.Step{Step: explain.Payment, State: explain.None, Title: "No payment", Text: text}, explain.Step{Step: explain.Order, State: explain.None, Title: "No order", Text: "There is no order to look at."}
}

func link(o *Order) []explain.Link {
	return []explain.Link{{Kind: explain.LinkOrder, ID: o.ID, Name: "Order " + explain.Short(o.ID)}}
}

// payment is the step of the money.
func (v *viewer) payment(o *Order) explain.Step {
	s := explain.Step{Step: explain.Payment, State: explain.OK, Title: "Paid", Since: instant(o.PaidAt), Links: link(o)}
	block := func(title, text, do string) explain.Step {
		s.State, s.Title, s.Text, s.Do = explain.Blocked, title, text, do
		return s
	}
	switch {
	case o.State == "pending" && v.ask.Now.Before(o.ExpiresAt):
		s.Since, s.Until = instant(o.CreatedAt), instant(o.ExpiresAt)
		s.Links = append(s.Links, explain.Link{Kind: explain.LinkCheckout, ID: o.ID, Name: "Pay"})
		return block("Not paid", "The "+o.amount(o.Total)+" have not been paid yet.", v.pick("Tell the customer to pay on the page of the order before it closes.", "Pay on the page of the order before it closes."))
	case o.State == "pending":
		return block("Not paid", "The "+o.amount(o.Total)+" were not paid, and the time to pay is over.", v.pick("If the customer shows a payment, try the order again on its page; else tell them to order anew.", "Order again. If you did pay, ask us, and name the order."))
	case o.State == "awaiting_funds":
		s.Since = instant(o.UpdatedAt)
		return block("Money under way", "The buyer is done, and the "+o.amount(o.Total)+" are under way, which takes days for some ways to pay.", "Wait; access comes by itself as soon as the money is here.")
	case o.State == "closed" && !o.ResolvedAt.IsZero():
		s.Since = instant(o.ResolvedAt)
		return block("Dealt with", "What was paid was not what was ordered, and a person dealt with it"+because(o.Reason)+".", v.pick("Nothing, unless the customer waits for something; the order's page says more.", "Ask us if you wait for something."))
	case o.State == "closed":
		s.Since = instant(o.UpdatedAt)
		return block("Never paid", "The order was never paid"+because(o.Reason)+".", v.pick("Tell the customer to order again.", "Order again."))
	case o.State == "refunded" && o.Disputed > 0:
		s.Since = instant(o.UpdatedAt)
		return block("Dispute lost", "The buyer's bank took back "+o.amount(o.Disputed)+" in a dispute.", v.pick("Nothing; if the customer wants it after all, they order again.", "Order again if you want it after all."))
	case o.State == "refunded":
		s.Since = instant(o.UpdatedAt)
		return block("Refunded", "The whole "+o.amount(o.Captured)+" went back to the buyer.", v.pick("Nothing, unless the refund was a mistake; then the customer orders again.", "Order again if you want it after all."))
	case o.Disputed > 0:
		s.Since = instant(o.UpdatedAt)
		return block("Disputed", "The buyer's bank holds back "+o.amount(o.Disputed)+" because the payment is disputed.", v.pick("Answer the dispute at the payment provider, or wait for its end; access comes back by itself if it is won.", "Ask your bank about the dispute, or ask us. Access comes back by itself when it ends in the order's favour."))
	case o.PaidAt.IsZero() && o.State == "parked":
		return block("Unclear", "What the payment provider says of the payment is not what was ordered.", v.pick("Look at the order and its events.", "We look at it by hand. Ask us if you do not hear from us within a day."))
	case o.Total == 0:
		s.Title, s.Text = "Nothing to pay", "There was nothing to pay."
	case o.Refunded > 0:
		s.Text = o.amount(o.Captured) + " were paid, and " + o.amount(o.Refunded) + " went back."
	default:
		s.Text = o.amount(o.Captured) + " were paid."
	}
	return s
}

// placed is the step of the order.
func (v *viewer) placed(o *Order) explain.Step {
	s := explain.Step{Step: explain.Order, State: explain.None, Links: link(o)}
	switch o.State {
	case "pending", "awaiting_funds":
		s.Title, s.Text = "Waits", "The order waits for its payment."
	case "closed":
		s.Title, s.Text = "Closed", "The order is closed."
	case "refunded":
		s.Title, s.Text, s.Since = "Over", "The order is over, since its money went back.", instant(o.UpdatedAt)
	case "parked":
		s.State, s.Title, s.Since = explain.Blocked, "Needs a person", instant(o.UpdatedAt)
		s.Text = "The order waits for a person: what the payment provider says is not what was ordered" + v.pick(because(o.Reason), "") + "."
		s.Do = v.pick("Compare the order with its payment, and try it again on its page.", "We look at it by hand. Ask us if you do not hear from us within a day.")
	case "paid":
		s.State, s.Title, s.Since = explain.Blocked, "Not given yet", instant(o.PaidAt)
		s.Text = "The money is here, and what was bought has not been given yet" + because(o.Reason) + "."
		s.Do = v.pick("It is tried again by itself; try it at once on the order's page.", "It comes by itself, usually within a minute. Ask us if it takes longer than an hour.")
		if off := v.switchedOff(licensing.SwitchLicensing, ""); off != nil && v.staff {
			s.Do = "It comes by itself when the switch for licensing is on again."
		}
	case "fulfilled":
		if !o.ResolvedAt.IsZero() {
			s.State, s.Title, s.Text, s.Since = explain.OK, "Dealt with", "Payment and order did not match, and a person dealt with it"+because(o.Reason)+".", instant(o.ResolvedAt)
			break
		}
		fallthrough
	default:
		s.State, s.Title, s.Text, s.Since = explain.OK, "Fulfilled", "What was bought has been given.", instant(o.Done)
	}
	return s
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + strings.TrimSuffix(reason, ".")
}

// ordered explains an order that gave nothing, or nothing that is its buyer's still.
func (v *viewer) ordered(o *Order) Chain {
	c := Chain{Kind: "order", ID: o.ID, Name: "Order " + explain.Short(o.ID), Env: string(o.Env), Owner: o.Owner, at: o.CreatedAt}
	products := []string{}
	var slug, name, plan, product string
	for _, l := range v.facts.Lines {
		if l.Order == o.ID && !slices.Contains(products, l.Name) {
			products = append(products, l.Name)
			slug, name, plan, product = l.Slug, l.Name, l.Plan, l.ProductID
		}
	}
	if c.ProductName = strings.Join(products, ", "); len(products) == 1 {
		c.Product, c.ProductName, c.Plan = slug, name, plan
	}
	grant := explain.Step{Step: explain.Grant, State: explain.None, Title: "Nothing yet", Text: "Nothing has been given for the order yet.", Links: v.person(o.Owner)}
	for _, g := range v.given(o.ID) {
		grant.State, grant.Title, grant.Text = explain.Blocked, "Not here any more", "What the order gave belongs to another owner now."
		grant.Do = v.pick("Look up the license to see who owns it.", "If you did not give it away, ask us.")
		if m := v.moved(g.Object); m != nil {
			grant.Title, grant.Text, grant.Since = "Transferred", "The license was transferred to another owner.", instant(m.At)
		}
		if v.staff {
			grant.Links = append(grant.Links, explain.Link{Kind: g.Kind, ID: g.Object, Name: "License " + explain.Short(g.Object)})
		}
	}
	turned := onStep()
	if off := v.switchedOff(licensing.SwitchPayments, product); off != nil && o.State == "pending" {
		turned = v.offStep(off, explain.Blocked, "Payments are switched off.")
	} else if off := v.switchedOff(licensing.SwitchLicensing, product); off != nil && o.State == "paid" {
		turned = v.offStep(off, explain.Blocked, "Giving licenses and keys is switched off.")
	}
	c.Steps = []explain.Step{v.payment(o), v.placed(o), grant, turned, {Step: explain.Limit, State: explain.None, Title: "Not asked", Text: "There is nothing yet that could be limited."}}
	out := c.finish(explain.Telling{Code: "NOTHING_GIVEN", Word: "Nothing given", Text: "The order gives no access of its own."})
	out.Allowed = false
	return out
}

// missing explains a product of which nothing is there.
func (v *viewer) missing(p *Product) Chain {
	c := Chain{Kind: "none", Name: p.Name, Product: p.Slug, ProductName: p.Name}
	none := func(step, title, text string) explain.Step {
		return explain.Step{Step: step, State: explain.None, Title: title, Text: text}
	}
	payment := explain.Step{Step: explain.Payment, State: explain.Blocked, Title: "Not bought", Text: "There is no order, license or key for " + p.Name + ".",
		Do:    v.pick("Ask which e-mail address the order was made with, and whether an organisation bought it.", "Buy it. If you did, look whether you signed in with another address, or whether your organisation owns it."),
		Links: []explain.Link{{Kind: explain.LinkProduct, ID: p.Slug, Name: p.Name}}}
	c.Steps = []explain.Step{payment, none(explain.Order, "No order", "There is no order."), none(explain.Grant, "Nothing given", "Nothing was given."),
		onStep(), none(explain.Limit, "Not asked", "There is nothing that could be limited.")}
	return c.finish(explain.Telling{})
}
