package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) licensePages() []site.Page {
	back := to("/admin/licenses/{id}", "License")
	state := func(id, reason string) license.StateRequest { return license.StateRequest{ID: id, Reason: reason} }
	out := append([]site.Page{
		get("licenses", "/admin/licenses", p.licenses),
		get("license", "/admin/licenses/{id}", p.license),
		post("license_reveal", "/admin/licenses/{id}/reveal", p.revealLicense),
	}, both("license_change", "/admin/licenses/{id}/change", p.changeLicense)...)
	out = append(out, both("license_users", "/admin/licenses/{id}/users", p.users)...)
	return append(out, p.asked(
		action{name: "license_suspend", path: "/admin/licenses/{id}/suspend", spec: p.ops.Suspend.Spec(), reason: true, back: back,
			title: "Suspend the license", button: "Suspend it", done: "The license is suspended everywhere within two seconds.",
			what: "Products refuse to work under it until it is reinstated. Devices that are offline learn of it with their next status list. Seats stay held.",
			do:   plain(func() op[license.StateRequest, license.View] { return p.ops.Suspend }, state)},
		action{name: "license_reinstate", path: "/admin/licenses/{id}/reinstate", spec: p.ops.Reinstate.Spec(), reason: true, calm: true, back: back,
			title: "End the suspension", button: "Reinstate it", done: "The suspension is ended.",
			what: "Products work under it again as before. While its payment is disputed it stays suspended; that ends by itself.",
			do:   plain(func() op[license.StateRequest, license.View] { return p.ops.Reinstate }, state)},
		action{name: "license_revoke", path: "/admin/licenses/{id}/revoke", spec: p.ops.RevokeLicense.Spec(), reason: true, back: back,
			title: "Revoke the license", button: "Revoke it for good", done: "The license is revoked.",
			what: "This cannot be undone. Its token becomes invalid and every seat is given back. A device that is offline may go on until its lease ends.",
			do:   plain(func() op[license.StateRequest, license.View] { return p.ops.RevokeLicense }, state)},
		action{name: "license_reissue", path: "/admin/licenses/{id}/reissue", spec: p.ops.Reissue.Spec(), reason: true, back: back,
			title: "Give the license a new key", button: "Make a new key",
			what: "The old key and token are good no longer, which cannot be undone. Devices that are activated keep their seats. The new key is shown once, on the next page.",
			do: func(v *site.Visit, id, reason string) (templ.Component, error) {
				out, err := p.ops.Reissue.Call(v.Ctx(), state(id, reason))
				if err != nil {
					return nil, err
				}
				return oncePage(v.Frame("New license key", back(id)), "New license key", "Send it to the license's owner. The old key is good no longer.", "License key", out.Key, back(id)), nil
			}},
		action{name: "seat_release", path: "/admin/activations/{id}/release", spec: p.ops.Release.Spec(), back: func(string) ui.Link { return ui.Link{Href: "/admin/licenses", Name: "Licenses"} },
			title: "Release the seat of a device", button: "Release it",
			what: "Another device can take the seat at once. This one may go on offline until its lease ends.",
			do: func(v *site.Visit, id, reason string) (templ.Component, error) {
				a, err := p.ops.Release.Call(v.Ctx(), activation.ReleaseRequest{ID: id, Reason: reason})
				if err != nil {
					return nil, err
				}
				return releasedPage(v.Frame("Seat released", back(a.License)), a), nil
			}})...)
}

func licenseStates() []ui.Option { return choices("Any state", "active", "suspended", "revoked") }

func envs() []ui.Option { return choices("Live and test", "live", "test") }

func (p *pages) licenses(v *site.Visit) error {
	products, err := p.products(v)
	if err != nil {
		return err
	}
	list, err := p.ops.Licenses.Call(v.Ctx(), license.ListRequest{Page: page(v, 25), Query: v.Query("q"), State: pick(v, "state", licenseStates()), Env: pick(v, "env", envs()),
		Product: pick(v, "product", productChoices("", products)), Owner: v.Query("owner")})
	if err != nil {
		return err
	}
	return v.Show(licensesPage(v.Frame("Licenses"), v.Filter(), list, products, next(v, list.Next), filtered(v), may(v, p.ops.ActMany.Spec())))
}

// licenseView is what the page of a license shows.
type licenseView struct {
	license.View
	Devices licensing.List[activation.View]
	Usage   []usage.Total
	More    string
	// What the visitor may do.
	Change, Reveal, Free bool
}

func (p *pages) license(v *site.Visit) error {
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	devices, err := p.ops.Activations.Call(v.Ctx(), activation.ListRequest{License: l.ID, Page: page(v, 25)})
	if err != nil {
		return err
	}
	used, err := p.ops.Usage.Call(v.Ctx(), usage.OfLicenseRequest{License: l.ID, Page: licensing.Page{Limit: 24}})
	if err != nil {
		return err
	}
	view := licenseView{View: l, Devices: devices, Usage: used.Items, More: next(v, devices.Next), Change: may(v, p.ops.Suspend.Spec()) && l.State != "revoked",
		Reveal: may(v, p.ops.RevealLicense.Spec()), Free: may(v, p.ops.Release.Spec())}
	return v.Show(licensePage(v.Frame("License "+ui.Short(l.ID), ui.Link{Href: "/admin/licenses", Name: "Licenses"}), v.Form(), view))
}

// revealLicense shows a license's key, as the answer to the form: no address may hold a key.
func (p *pages) revealLicense(v *site.Visit) error {
	out, err := p.ops.RevealLicense.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	back := ui.Link{Href: "/admin/licenses/" + out.ID, Name: "License"}
	return v.Show(revealedPage(v.Frame("License key", back), out.Key, back))
}

func (p *pages) changeLicense(v *site.Visit) error {
	if err := v.Ready(p.ops.ChangeLicense.Spec()); err != nil {
		return err
	}
	f, id := v.Form(), v.Param("id")
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: id})
	if err != nil {
		return err
	}
	frame := licenseFrame(v, "Change the license", id)
	f.Default("licensee", l.Licensee)
	f.Default("seats", fmt.Sprint(l.Seats))
	f.Default("valid_until", day(l.ValidUntil))
	f.Default("entitlements", entitlementLines(l.Entitlements))
	if !v.Posted() {
		return v.Show(changeLicensePage(frame, f, l))
	}
	licensee, seats := f.Text("licensee"), f.Int("seats", l.Seats)
	r := license.ChangeRequest{ID: id, Reason: f.Text("reason")}
	if licensee != l.Licensee {
		r.Licensee = &licensee
	}
	if seats != l.Seats {
		r.Seats = &seats
	}
	if f.Text("valid_until") != day(l.ValidUntil) {
		r.ValidUntil = date(f, "valid_until")
	}
	wanted := entitlements(f, "entitlements")
	for name, value := range wanted {
		if had, ok := l.Entitlements[name]; !ok || had != value {
			if r.Entitlements == nil {
				r.Entitlements = license.Entitlements{}
			}
			r.Entitlements[name] = value
		}
	}
	for name := range l.Entitlements {
		if _, kept := wanted[name]; !kept {
			r.Remove = append(r.Remove, name)
		}
	}
	if !f.OK() {
		return v.Show(changeLicensePage(frame, f, l))
	}
	_, err = p.ops.ChangeLicense.Call(v.Ctx(), r)
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(changeLicensePage(frame, f, l))
	}
	return v.Go("/admin/licenses/"+id, "good", "The license is changed. Products get the new one with their next contact.")
}

// explain says in sentences what a license allows now.
func explain(l license.View) []string {
	var out []string
	switch l.State {
	case "active":
		out = append(out, "It is good: products work under it.")
	case "suspended":
		out = append(out, "It is suspended: products refuse to work under it.")
		if l.HeldAt != nil {
			out = append(out, "Staff suspended it, until they reinstate it.")
		}
		if l.DisputedAt != nil {
			out = append(out, "Its payment is disputed, which ends by itself.")
		}
		if l.LapsedAt != nil {
			out = append(out, "Its term is over, and a renewal makes it good again.")
		}
	case "expired":
		out = append(out, "Its term is over. What products do now is what its policy says about expired licenses.")
	case "revoked":
		return []string{"It is revoked for good."}
	}
	switch free := l.SeatsMax - l.SeatsUsed; {
	case l.State == "suspended":
		out = append(out, ui.Plural(l.SeatsUsed, "seat is", "seats are")+" held and stay so; no further device can activate.")
	case l.SeatsMax < 0:
		out = append(out, fmt.Sprintf("%s held; any number may be.", ui.Plural(l.SeatsUsed, "seat is", "seats are")))
	case free > 0:
		out = append(out, fmt.Sprintf("%d of %d seats are held, so %s more can activate.", l.SeatsUsed, l.SeatsMax, ui.Plural(free, "device", "devices")))
	default:
		out = append(out, fmt.Sprintf("All %d seats are held: a further device is refused until one is released.", l.SeatsMax))
	}
	if l.ValidUntil != nil {
		out = append(out, "Its term ends on "+ui.When(*l.ValidUntil)+".")
	} else if l.Type == "perpetual" {
		out = append(out, "It has no end.")
	}
	if l.UpdatesUntil != nil {
		out = append(out, "Versions released until "+ui.When(*l.UpdatesUntil)+" are covered.")
	}
	return out
}

// day is a date as a form shows it, "" for none.
func day(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// date reads the end of a day from a form; nil when the field is empty.
func date(f *ui.Form, name string) *time.Time {
	text := f.Text(name)
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		f.Wrong(name, "must be a day, for example 2027-03-31")
		return nil
	}
	t = t.Add(24*time.Hour - time.Second)
	return &t
}

// instant reads an instant from a form's datetime field, in UTC; nil when it is empty.
func instant(f *ui.Form, name string) *time.Time {
	text := f.Text(name)
	if text == "" {
		return nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC()
			return &t
		}
	}
	f.Wrong(name, "must be a day and a time, for example 2027-03-31T18:00")
	return nil
}

// words splits what was typed at spaces and commas.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}
