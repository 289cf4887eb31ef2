package my

import (
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// task is something that wants the customer's attention.
type task struct{ Tone, Title, Text, Href, Do string }

// overviewView is what the overview shows.
type overviewView struct {
	Tasks    []task
	Licenses licensing.List[license.View]
	Orders   licensing.List[order.View]
	Keys     licensing.List[apikey.KeyView]
}

// empty reports whether the customer has nothing yet.
func (o *overviewView) empty() bool {
	return len(o.Licenses.Items)+len(o.Orders.Items)+len(o.Keys.Items) == 0
}

// usable counts the licenses with which something works.
func (o *overviewView) usable() (n int64) {
	for i := range o.Licenses.Items {
		if o.Licenses.Items[i].Decision.Allowed {
			n++
		}
	}
	return n
}

// devices counts those that hold a seat.
func (o *overviewView) devices() (n int64) {
	for i := range o.Licenses.Items {
		n += o.Licenses.Items[i].SeatsUsed
	}
	return n
}

// live counts the keys that work.
func (o *overviewView) live() (n int64) {
	for i := range o.Keys.Items {
		if o.Keys.Items[i].State == apikey.Active {
			n++
		}
	}
	return n
}

// recent are the newest orders.
func (o *overviewView) recent() []order.View { return o.Orders.Items[:min(5, len(o.Orders.Items))] }

func (p *pages) overview(v *site.Visit) (err error) {
	var o overviewView
	if o.Licenses, err = p.ops.Licenses.Call(v.Ctx(), license.ListRequest{Page: licensing.Page{Limit: 100}}); err != nil {
		return err
	}
	if o.Orders, err = p.ops.Orders.Call(v.Ctx(), order.ListRequest{Page: licensing.Page{Limit: 20}}); err != nil {
		return err
	}
	if o.Keys, err = p.ops.Keys.Call(v.Ctx(), apikey.ListRequest{Page: licensing.Page{Limit: 100}}); err != nil {
		return err
	}
	o.Tasks = tasks(&o)
	return v.Show(overviewPage(v.Frame("Overview"), &o))
}

// tasks lists what wants attention: payments first, then licenses, then keys that nobody has looked at.
func tasks(o *overviewView) (out []task) {
	for i := range o.Orders.Items {
		if w := &o.Orders.Items[i]; w.State == order.Pending && w.Total.Minor > 0 {
			out = append(out, task{"wait", "An order waits for its payment", contents(w) + ", " + w.Total.String(), "/checkout/" + w.ID, "Pay"})
		}
	}
	for i := range o.Licenses.Items {
		l := &o.Licenses.Items[i]
		if !attention(l) {
			continue
		}
		all := standing(l)
		t := all[0]
		if len(all) > 1 && t.Code == string(eval.ActivationRequired) {
			t = all[1]
		}
		out = append(out, task{t.Tone, product(l) + ": " + lower(t.Word), t.Text, "/account/licenses/" + l.ID, "Look at it"})
	}
	for i := range o.Keys.Items {
		if k := &o.Keys.Items[i]; k.Unrevealed && k.State == apikey.Active && k.Order != "" {
			out = append(out, task{"wait", "An API key waits to be revealed", keyName(k) + ". It is shown once; have a safe place ready.", "/checkout/" + k.Order, "Go to the order"})
		}
	}
	return out[:min(8, len(out))]
}

// count is a number, with a plus when there are more.
func count(n int64, more bool) string { return ui.Number(n) + text(more, "+", "") }
