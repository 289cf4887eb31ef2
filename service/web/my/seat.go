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
	Asked string // whom the visitor looked for, "" for everybody
	// Add says whether the visitor may name users and lend seats, Form the form by which.
	Add  bool
	Form *ui.Form
	// Here are seats that could be borrowed, HereMore leads to more of them, Latest is until when.
	Here     []activation.View
	HereMore string
	Latest   time.Time
}

// seatsOf reads the seats of a license that a page shows: those that are held and that some asks for, from where the parameter of the address
// named cursor says.
func (p *pages) seatsOf(v *site.Visit, l *license.View, cursor string, some activation.ListRequest) (*seatView, error) {
	some.License, some.State, some.Page = l.ID, activation.Held, licensing.Page{Cursor: v.Query(cursor), Limit: 100}
	list, err := p.ops.Devices.Call(v.Ctx(), some)
	view := &seatView{View: *l, Seats: list.Items, Now: p.site.Clock.Now()}
	if list.Next != "" {
		q := v.R.URL.Query()
		q.Set(cursor, list.Next)
		view.More = v.R.URL.Path + "?" + q.Encode()
	}
	return view, err
}

// users shows who holds the seats of a license that are taken by users, finds one by name, for what is stored of a user is a digest, and gives
// a seat to one who has not signed in yet.
func (p *pages) users(v *site.Visit) error {
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f := v.Form()
	if v.Posted() {
		out, err := p.ops.AddUser.Call(v.Ctx(), activation.AddUserRequest{License: l.ID, User: f.Text("user"), Name: f.Text("name")})
		if err == nil {
			return v.Go("/account/licenses/"+l.ID+"/users", "good", deviceName(&out)+" has a seat, from the first sign-in on.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	asked, some := v.Query("who"), activation.ListRequest{}
	if asked != "" {
		some.User = doc.UserDigest(l.Product, asked)
	}
	view, err := p.seatsOf(v, &l, "cursor", some)
	if err != nil {
		return err
	}
	view.Asked, view.Form, view.Add = asked, f, v.Actor.OrgRole != licensing.OrgMember && l.State == string(license.Active) && l.Type != doc.Trial
	return v.Show(usersPage(v.Frame("Users", licenseCrumbs(&l)...), v.Filter(), view))
}

// full reports whether every seat is taken.
func (v *seatView) full() bool { return v.SeatsMax >= 0 && v.SeatsUsed >= v.SeatsMax }

// lend lets a device borrow its seat to a day, or ends that.
func (p *pages) lend(v *site.Visit) error {
	if err := v.Ready(p.ops.Lend.Spec()); err != nil {
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
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: lic})
	if err != nil {
		return err
	}
	f, back, now := v.Form(), "/account/licenses/"+lic+"/borrowed", p.site.Clock.Now()
	latest := now.Truncate(time.Second).Add(l.Terms.OfflineMax())
	if !v.Posted() {
		f.Default("until", latest.UTC().Format(time.DateOnly))
	} else if out, err := p.lent(v, f, id, latest); err == nil && f.OK() {
		text := "The borrowing of " + deviceName(&out) + " is over. It keeps its seat."
		if out.Borrowed != nil {
			text = deviceName(&out) + " borrows its seat until " + ui.When(*out.Borrowed) + ", once its product has been in contact with us."
		}
		return v.Go(back, "good", text)
	} else if err != nil {
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	view := &seatView{View: l, Seats: []activation.View{d}, Now: now, Form: f, Latest: latest}
	return v.Show(lendPage(v.Frame("Borrow a seat", append(licenseCrumbs(&l), ui.Link{Href: back, Name: "Borrowed seats"})...), view))
}

// lent does what the form of lend says. A day is borrowed to its end, or, on the last that is possible, to the latest instant.
func (p *pages) lent(v *site.Visit, f *ui.Form, id string, latest time.Time) (activation.View, error) {
	if f.Has("end") {
		return p.ops.Recall.Call(v.Ctx(), activation.RecallRequest{ID: id})
	}
	until, err := time.Parse(time.DateOnly, f.Text("until"))
	if err != nil {
		f.Wrong("until", "must be a day, for example 2027-03-31")
		return activation.View{}, nil
	}
	if end := until.Add(24*time.Hour - time.Second); end.Before(latest) {
		until = end
	} else if until.Before(latest) {
		until = latest
	}
	return p.ops.Lend.Call(v.Ctx(), activation.LendRequest{ID: id, Until: until})
}

// borrowed shows the floating seats that devices took with them, and until when, and those that could go along.
func (p *pages) borrowed(v *site.Visit) error {
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	view, err := p.seatsOf(v, &l, "cursor", activation.ListRequest{Borrowed: true})
	if err != nil {
		return err
	}
	if view.Add = v.Actor.OrgRole != licensing.OrgMember && l.State == string(license.Active); view.Add && l.Terms.Seats.Floating {
		held, err := p.seatsOf(v, &l, "here", activation.ListRequest{})
		if err != nil {
			return err
		}
		view.HereMore = held.More
		for i := range held.Seats {
			if !view.away(&held.Seats[i]) {
				view.Here = append(view.Here, held.Seats[i])
			}
		}
	}
	return v.Show(borrowedPage(v.Frame("Borrowed seats", licenseCrumbs(&l)...), view))
}

// away reports whether a seat is borrowed.
func (v *seatView) away(a *activation.View) bool {
	return a.Borrowed != nil && v.Now.Before(*a.Borrowed)
}
