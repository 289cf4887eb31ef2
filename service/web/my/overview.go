package my

import (
	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// task is something that wants the customer's attention.
type task struct{ Tone, Title, Text, Href, Do string }

// overviewView is what the overview shows.
type overviewView struct {
	insight.Mine
	Tasks []task
}

// empty reports whether the customer has nothing yet.
func (o *overviewView) empty() bool { return o.Licenses.Count+o.Orders.Count+o.Keys.Count == 0 }

// recent are the newest orders.
func (o *overviewView) recent() []orderLine {
	out := make([]orderLine, len(o.Recent))
	for i := range o.Recent {
		out[i] = briefLine(&o.Recent[i])
	}
	return out
}

func (p *pages) overview(v *site.Visit) error {
	mine, err := p.ops.Mine.Call(v.Ctx(), insight.MineRequest{})
	if err != nil {
		return err
	}
	return v.Show(overviewPage(v.Frame("Overview"), &overviewView{mine, tasks(&mine)}))
}

// tasks lists what wants attention: payments first, then licenses, then keys that nobody has looked at.
func tasks(m *insight.Mine) (out []task) {
	for i := range m.Unpaid {
		o := briefLine(&m.Unpaid[i])
		out = append(out, task{"wait", "An order waits for its payment", o.Contents + ", " + o.Total.String(), "/checkout/" + o.ID, "Pay"})
	}
	for _, b := range m.Attention {
		l := &license.View{ID: b.ID, Product: b.Product, ProductName: b.ProductName, Env: string(b.Env), Decision: b.Decision, ValidUntil: b.ValidUntil, EndsAt: b.EndsAt}
		all := standing(l)
		t := all[0]
		if len(all) > 1 && t.Code == string(eval.ActivationRequired) {
			t = all[1]
		}
		out = append(out, task{t.Tone, l.Called() + ": " + lower(t.Word), t.Text, "/account/licenses/" + l.ID, "Look at it"})
	}
	for _, k := range m.Unrevealed {
		out = append(out, task{"wait", "An API key waits to be revealed", named(k.Name, k.ProductName, k.ID) + ". It is shown once; have a safe place ready.", "/checkout/" + k.Order, "Go to the order"})
	}
	return out[:min(8, len(out))]
}

// count is a number, with a plus when there are more.
func count(n int64, more bool) string { return ui.Number(n) + text(more, "+", "") }
