package shop

import (
	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// trial asks, since a trial is started once, and starts it for who is signed in or the organisation that he acts for.
func (p *pages) trial(v *site.Visit) error {
	item, err := p.ops.Show.Call(v.Guest(), catalog.ShowRequest{Slug: v.Param("slug")})
	if err != nil {
		return err
	}
	f, back := v.Form(), "/catalogue/"+item.Slug
	if item.TrialDays == 0 {
		return v.Go(back, "wait", item.Name+" offers no trial at the moment.")
	}
	if v.Posted() {
		l, err := p.ops.Trial.Call(v.Ctx(), license.TrialRequest{Product: item.Slug})
		if err == nil {
			return v.Go("/account/licenses/"+l.ID, "good", "Your trial has begun. Show its key below, and enter it in the product.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	return v.Show(trialPage(v.Frame("Try "+item.Name, ui.Link{Href: "/catalogue", Name: "Catalogue"}, ui.Link{Href: back, Name: item.Name}), f, item, v.Actor.OrgName, v.Actor.OrgRole == licensing.OrgMember))
}
