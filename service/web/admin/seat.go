package admin

import (
	"cmp"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// users finds who holds a seat of a license by what the product calls them, for what is stored of a user is a digest, and gives a seat to one who
// has not signed in yet.
func (p *pages) users(v *site.Visit) error {
	if err := v.Ready(p.ops.AddUser.Spec()); err != nil {
		return err
	}
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f, at := v.Form(), "/admin/licenses/"+l.ID
	if v.Posted() {
		out, err := p.ops.AddUser.Call(v.Ctx(), activation.AddUserRequest{License: l.ID, User: f.Text("user"), Name: f.Text("name")})
		if err == nil {
			return v.Go(at, "good", cmp.Or(out.Name, "The user")+" has a seat, from the first sign-in on.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	view, who := licenseView{View: l, Free: true}, v.Query("who")
	if who != "" {
		if view.Devices, err = p.ops.Activations.Call(v.Ctx(), activation.ListRequest{License: l.ID, User: doc.UserDigest(l.Product, who), State: activation.Held, Page: licensing.Page{Limit: 25}}); err != nil {
			return err
		}
	}
	frame := v.Frame("Users", ui.Link{Href: "/admin/licenses", Name: "Licenses"}, ui.Link{Href: at, Name: "License " + ui.Short(l.ID)})
	return v.Show(usersPage(frame, v.Filter(), f, view, who))
}
