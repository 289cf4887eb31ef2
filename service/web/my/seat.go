package my

import (
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// seatView is what the pages of users and of borrowed seats show.
type seatView struct {
	license.View
	Seats []activation.View // those that are held, or borrowed
	More  string
	Now   time.Time
	// Asked is whom the visitor looked for, Found whether that user holds a seat.
	Asked string
	Found bool
}

// seatsOf reads the seats of a license that a page shows.
func (p *pages) seatsOf(v *site.Visit, path string, shown func(*activation.View) bool) (*seatView, error) {
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return nil, err
	}
	list, err := p.ops.Devices.Call(v.Ctx(), activation.ListRequest{License: l.ID, Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 100}})
	if err != nil {
		return nil, err
	}
	view := &seatView{View: l, Now: p.site.Clock.Now(), More: next("/account/licenses/"+l.ID+path, list.Next)}
	for i := range list.Items {
		if a := &list.Items[i]; a.State == string(activation.Held) && shown(a) {
			view.Seats = append(view.Seats, *a)
		}
	}
	return view, nil
}

// users shows who holds the seats of a license that are taken by users, and finds one by name: what is stored of a user is a digest.
func (p *pages) users(v *site.Visit) error {
	asked := v.Query("who")
	view, err := p.seatsOf(v, "/users", func(*activation.View) bool { return true })
	if err != nil {
		return err
	}
	if asked != "" {
		view.Asked = asked
		digest := doc.UserDigest(view.Product, asked)
		for _, a := range view.Seats {
			if a.User == digest {
				view.Found, view.Seats = true, []activation.View{a}
				break
			}
		}
	}
	return v.Show(usersPage(v.Frame("Users", licenseCrumbs(&view.View)...), v.Filter(), view))
}

// borrowed shows the floating seats that devices took with them, and until when.
func (p *pages) borrowed(v *site.Visit) error {
	now := p.site.Clock.Now()
	view, err := p.seatsOf(v, "/borrowed", func(a *activation.View) bool { return a.Borrowed != nil && now.Before(*a.Borrowed) })
	if err != nil {
		return err
	}
	return v.Show(borrowedPage(v.Frame("Borrowed seats", licenseCrumbs(&view.View)...), view))
}

// userName is what a user's seat is called.
func userName(a *activation.View) string {
	if a.Name != "" {
		return a.Name
	}
	return "User " + ui.Short(a.User)
}
