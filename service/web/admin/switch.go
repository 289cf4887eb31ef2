package admin

import (
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/killswitch"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) switchPages() []site.Page {
	return append([]site.Page{get("switches", "/admin/switches", p.switches)}, both("switch_flip", "/admin/switches/{switch}", p.flip)...)
}

// stops says what a switch stops and what goes on.
func stops(name string) string {
	return map[string]string{
		"payments":  "No new checkout and no refund call. Payments under way are taken and delivered.",
		"downloads": "No download begins, and those that run stop at their next request.",
		"licensing": "Nothing is issued and no new device activates; what was bought is queued. Products that run go on.",
		"referrals": "Nothing new is credited.",
		"ai":        "No drafts by machine; people answer.",
		"support":   "No new tickets by form. The FAQ stays.",
		"signup":    "Nobody new signs up. Buying as a guest goes on.",
		"api":       "Writes by others' programs are refused, and no key is issued. Verifying keys and licenses goes on.",
		"ads":       "No advertisement is shown.",
	}[name]
}

// switchName is what people call a switch.
func switchName(name string) string {
	if text, ok := map[string]string{"ai": "Drafts by machine", "signup": "Sign-up", "api": "API", "ads": "Advertisements"}[name]; ok {
		return text
	}
	return ui.Words(name)
}

// flipped says who flipped a switch last, when, and until when.
func flipped(s killswitch.View) string {
	text := who(s.Actor) + ", " + ui.WhenPtr(s.At)
	if s.Until != nil {
		text += "; on again by itself on " + ui.When(*s.Until)
	}
	return text
}

func (p *pages) switches(v *site.Visit) error {
	list, err := p.ops.Switches.Call(v.Ctx(), killswitch.ListRequest{})
	if err != nil {
		return err
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	return v.Show(switchesPage(v.Frame("Switches"), list.Switches, products, may(v, p.ops.Flip.Spec())))
}

func (p *pages) flip(v *site.Visit) error {
	if err := v.Ready(p.ops.Flip.Spec()); err != nil {
		return err
	}
	name, f := v.Param("switch"), v.Form()
	if stops(name) == "" {
		return licensing.ErrNotFound
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	f.Default("product", v.Query("product"))
	f.Default("off", v.Query("off"))
	off := f.Get("off") != "no"
	title := "Switch off: " + switchName(name)
	if !off {
		title = "Switch on again: " + switchName(name)
	}
	frame := v.Frame(title, ui.Link{Href: "/admin/switches", Name: "Switches"})
	if !v.Posted() {
		return v.Show(flipPage(frame, f, name, off, products))
	}
	r := killswitch.FlipRequest{Switch: name, Product: f.Text("product"), Off: off, Reason: f.Text("reason")}
	if off {
		r.Until = instant(f, "until")
	}
	if !f.OK() {
		return v.Show(flipPage(frame, f, name, off, products))
	}
	_, err = p.ops.Flip.Call(v.Ctx(), r)
	if other := f.Refuse(err, map[string]string{"/product_id": "product"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(flipPage(frame, f, name, off, products))
	}
	if off {
		return v.Go("/admin/switches", "wait", "Switched off: "+switchName(name)+". In force everywhere within two seconds.")
	}
	return v.Go("/admin/switches", "good", "Switched on again: "+switchName(name)+".")
}
