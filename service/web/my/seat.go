package my

import (
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/web/site"
)

// seatView is what the pages of users and of borrowed seats show.
type seatView struct {
	license.View
	Seats []activation.View // those that are held, or borrowed
	More  string
	Now   time.Time
	Asked string // whom the visitor looked for, "" for everybody
}

// seatsOf reads the seats of a license that a page shows: those that are held and that some asks for.
func (p *pages) seatsOf(v *site.Visit, l *license.View, path string, some activation.ListRequest) (*seatView, error) {
	some.License, some.State, some.Page = l.ID, activation.Held, licensing.Page{Cursor: v.Query("cursor"), Limit: 100}
	list, err := p.ops.Devices.Call(v.Ctx(), some)
	return &seatView{View: *l, Seats: list.Items, Now: p.site.Clock.Now(), More: next("/account/licenses/"+l.ID+path, list.Next)}, err
}

// users shows who holds the seats of a license that are taken by users, and finds one by name: what is stored of a user is a digest.
func (p *pages) users(v *site.Visit) error {
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	asked, some := v.Query("who"), activation.ListRequest{}
	if asked != "" {
		some.User = doc.UserDigest(l.Product, asked)
	}
	view, err := p.seatsOf(v, &l, "/users", some)
	if err != nil {
		return err
	}
	view.Asked = asked
	return v.Show(usersPage(v.Frame("Users", licenseCrumbs(&l)...), v.Filter(), view))
}

// borrowed shows the floating seats that devices took with them, and until when.
func (p *pages) borrowed(v *site.Visit) error {
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	view, err := p.seatsOf(v, &l, "/borrowed", activation.ListRequest{Borrowed: true})
	if err != nil {
		return err
	}
	return v.Show(borrowedPage(v.Frame("Borrowed seats", licenseCrumbs(&l)...), view))
}
