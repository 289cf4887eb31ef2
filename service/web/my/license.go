package my

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// licenseView is what the page of a license shows.
type licenseView struct {
	license.View
	Devices licensing.List[activation.View]
	Usage   []usage.Total
	// Key is the license key, where it was just asked for.
	Key string
	Now time.Time
}

// told is where the license stands, the end of its updates included.
func (v *licenseView) told() []telling {
	out := standing(&v.View)
	if v.Decision.Allowed && v.UpdatesUntil != nil && v.Now.After(*v.UpdatesUntil) {
		out = append(out, telling{Word: "Updates ended", Tone: "wait", Text: "Versions that came out until " + ui.When(*v.UpdatesUntil) + " are covered for as long as the license is valid.", Do: "Renew it to get newer ones."})
	}
	return out
}

// held and gone part the devices: those that hold a seat, and those that did.
func (v *licenseView) held() []activation.View { return v.parted(true) }

func (v *licenseView) gone() []activation.View { return v.parted(false) }

func (v *licenseView) parted(held bool) []activation.View {
	var out []activation.View
	for _, d := range v.Devices.Items {
		if (d.State == string(activation.Held)) == held {
			out = append(out, d)
		}
	}
	return out
}

// noRenewal reports whether there is nothing to renew, movable whether the terms let the license change hands.
func (v *licenseView) noRenewal() bool {
	why, _ := renewNot(&v.View)
	return why != ""
}

func (v *licenseView) movable() bool {
	return v.Terms.Transfer.Allowed && v.Type != doc.Trial && v.HeldAt == nil && v.DisputedAt == nil
}

func (p *pages) licenses(v *site.Visit) error {
	list, err := p.ops.Licenses.Call(v.Ctx(), license.ListRequest{Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 50}})
	if err != nil {
		return err
	}
	return v.Show(licensesPage(v.Frame("Licenses"), list))
}

// license shows a license, and its key in answer to the form that asks for it.
func (p *pages) license(v *site.Visit) error {
	view := licenseView{Now: p.site.Clock.Now()}
	var err error
	id := v.Param("id")
	if v.Posted() {
		shown, err := p.ops.Reveal.Call(v.Ctx(), license.GetRequest{ID: id})
		if err := v.Form().Refuse(err, nil); err != nil {
			return err
		}
		if view.Key = shown.Key; err == nil && view.Key == "" { // the form was sent once more, much later
			return v.Go("/account/licenses/"+id, "", "")
		}
	}
	if view.View, err = p.ops.License.Call(v.Ctx(), license.GetRequest{ID: id}); err != nil {
		return err
	}
	if view.Devices, err = p.ops.Devices.Call(v.Ctx(), activation.ListRequest{License: id, Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 100}}); err != nil {
		return err
	}
	used, err := p.ops.Usage.Call(v.Ctx(), usage.OfLicenseRequest{License: id, Page: licensing.Page{Limit: usageRows}})
	if err != nil {
		return err
	}
	view.Usage = used.Items
	return v.Show(licensePage(v.Frame(view.Called(), ui.Link{Href: "/account/licenses", Name: "Licenses"}), v.Form(), &view))
}

// usageRows is how many rows of usage the page of a license shows: some months of a handful of meters.
const usageRows = 24

// token hands out the signed license as a file, for products that take one without a network.
func (p *pages) token(v *site.Visit) error {
	t, err := p.ops.Token.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	h := v.W.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="license-`+strings.TrimPrefix(ui.Short(t.ID), "…")+`.jwt"`)
	_, err = v.W.Write([]byte(t.Token))
	return err
}

// release asks, and then gives the seat of a device back.
func (p *pages) release(v *site.Visit) error {
	if err := v.Ready(p.ops.Release.Spec()); err != nil {
		return err
	}
	lic, id := v.Param("id"), v.Param("device")
	d, err := p.ops.Device.Call(v.Ctx(), activation.GetRequest{ID: id})
	if err != nil {
		return err
	}
	if d.License != lic {
		return licensing.ErrNotFound
	}
	f, back := v.Form(), "/account/licenses/"+lic
	if v.Posted() {
		out, err := p.ops.Release.Call(v.Ctx(), activation.ReleaseRequest{ID: id, Reason: "released by its owner"})
		if err == nil {
			return v.Go(back, "good", deviceName(&out)+" is released. "+offline(&out, p.site.Clock.Now()))
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	} else if d.State != string(activation.Held) {
		return v.Go(back, "wait", deviceName(&d)+" holds no seat any more.")
	}
	return v.Show(releasePage(v.Frame("Release "+deviceName(&d), ui.Link{Href: "/account/licenses", Name: "Licenses"}, ui.Link{Href: back, Name: "License"}), f, &d, p.site.Clock.Now()))
}

// deviceName is what a device is called, or a user where users take the seats.
func deviceName(d *activation.View) string {
	switch {
	case d.Name != "":
		return d.Name
	case d.User != "":
		return "User " + ui.Short(d.User)
	}
	return "Device " + ui.Short(d.ID)
}

// offline says until when a released device may still run.
func offline(d *activation.View, now time.Time) string {
	switch {
	case d.Ahead:
		return "Nobody has signed in for it yet, so nothing works with it."
	case d.OfflineTill == nil:
		return "Without a network it may go on, because its license does not end offline use."
	case now.Before(*d.OfflineTill):
		return "Without a network it may go on until " + ui.When(*d.OfflineTill) + "; in contact with us it stops at once."
	}
	return "Its offline time is over, so it has stopped."
}

// gaveBack says how a device lost its seat.
func gaveBack(state string) string {
	switch activation.State(state) {
	case activation.Replaced:
		return "Replaced by a newer device"
	case activation.Dead:
		return "Given back after long silence"
	case activation.Revoked:
		return "Ended with the license"
	}
	return "Released"
}

// seats is how many devices hold a seat.
func seats(v *license.View) string {
	switch {
	case v.SeatsMax < 0:
		return ui.Number(v.SeatsUsed) + " of any number"
	case v.SeatsMax != v.Seats:
		return ui.Number(v.SeatsUsed) + " of " + ui.Number(v.Seats) + ", " + ui.Number(v.SeatsMax) + " tolerated"
	}
	return ui.Number(v.SeatsUsed) + " of " + ui.Number(v.Seats)
}

// ends is until when a license is valid.
func ends(v *license.View) string {
	switch {
	case v.ValidUntil != nil:
		return ui.When(*v.ValidUntil)
	case v.Type == doc.Perpetual:
		return "For good"
	}
	return "Begins with its first use"
}

// kind is the kind of a license's term.
func kind(t string) string {
	switch t {
	case doc.Perpetual:
		return "Yours for good"
	case doc.Timed:
		return "For a limited time"
	case doc.Subscription:
		return "Subscription"
	case doc.Trial:
		return "Trial"
	}
	return t
}

// feature is one entitlement.
type feature struct{ Name, Value string }

// features lists what a license includes, in the order of its codes.
func features(e license.Entitlements) []feature {
	var out []feature
	for _, name := range slices.Sorted(maps.Keys(e)) {
		value := "Included"
		if n, ok := e[name].Int(); ok {
			value = ui.Number(n)
		} else if s, ok := e[name].Text(); ok {
			value = s
		}
		out = append(out, feature{name, value})
	}
	return out
}

// next is the address of a list's following page.
func next(path, cursor string) string {
	if cursor == "" {
		return ""
	}
	return path + "?cursor=" + cursor
}
