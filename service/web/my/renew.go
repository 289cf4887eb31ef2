package my

import (
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// renewView is what the page of a renewal shows.
type renewView struct {
	license.View
	Plans []catalog.ItemPlan // on sale, that of the license first
	Now   time.Time
}

// renew says what a renewal of a license gives, what it costs and where it is bought.
func (p *pages) renew(v *site.Visit) error {
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	view := renewView{View: l, Now: p.site.Clock.Now()}
	item, err := p.ops.Item.Call(v.Guest(), catalog.ShowRequest{Slug: l.Product})
	if err != nil && licensing.KindOf(err) != licensing.NotFound { // what is sold no longer has no price
		return err
	}
	for _, plan := range item.Plans {
		if plan.Type == catalog.Trial {
			continue
		}
		if plan.Code == l.Plan {
			view.Plans = append([]catalog.ItemPlan{plan}, view.Plans...)
		} else {
			view.Plans = append(view.Plans, plan)
		}
	}
	return v.Show(renewPage(v.Frame("Renew", licenseCrumbs(&l)...), &view))
}

// sold is the plan that renews the license, nil when none on sale does.
func (r *renewView) sold() *catalog.ItemPlan {
	for i := range r.Plans {
		if plan := &r.Plans[i]; plan.Code == r.Plan && plan.Renews && (r.Type == doc.Perpetual || r.Terms.Duration > 0) {
			return plan
		}
	}
	return nil
}

// renewNot says why there is nothing to renew, "" when there is.
func renewNot(l *license.View) (title, text string) {
	switch {
	case l.State == string(license.Revoked):
		return "It cannot be renewed", "It was revoked, which is final. A new license starts anew."
	case l.HeldAt != nil || l.DisputedAt != nil:
		return "It cannot be renewed while it is suspended", "Ask support what it takes; once it is good again, it can be renewed."
	case l.Type == doc.Trial:
		return "A trial is not renewed", "When you like what you tried, buy it; your devices then go on with the new key."
	case !l.Renewable:
		return "There is nothing to renew", "The license is yours for good, with every update."
	}
	return "", ""
}

// renewed says what one renewal by the license's own terms gives.
func (r *renewView) renewed() string {
	if r.Type != doc.Perpetual && r.Terms.Duration == 0 {
		return "It is valid for as long as it is paid for."
	}
	to, err := r.Renewed(r.Now, time.Time{}, 1)
	if err != nil {
		return ""
	}
	out := []string{}
	switch {
	case r.Type == doc.Perpetual:
	case to.TermAdded > 0:
		out = append(out, "Its term, which begins with its first use, gets longer by "+span(to.TermAdded)+".")
	case r.ValidUntil != nil && !to.ValidUntil.After(*r.ValidUntil):
		out = append(out, "It stays valid until "+ui.When(to.ValidUntil)+": renewed later, it gets longer.")
	default:
		out = append(out, "Valid until "+ui.When(to.ValidUntil)+".")
	}
	switch {
	case r.UpdatesUntil == nil:
	case !to.UpdatesUntil.After(*r.UpdatesUntil):
		out = append(out, "Updates stay until "+ui.When(to.UpdatesUntil)+".")
	default:
		out = append(out, "Updates until "+ui.When(to.UpdatesUntil)+".")
	}
	return strings.Join(out, " ")
}

// basis says what a renewal is counted from.
func basis(t license.Terms) string {
	switch t.RenewalBasis {
	case license.FromNow:
		return "A renewal counts from the day of the renewal, so renew late."
	case license.FromNowIfExpired:
		return "A renewal is added to the end, or counts from the day of the renewal once that is past."
	}
	return "A renewal is added to the end, so renewing early loses nothing."
}

// costs is what a plan costs, in each currency.
func costs(plan catalog.ItemPlan) string {
	out := ""
	for i, o := range plan.Prices {
		if i > 0 {
			out += " or "
		}
		out += o.Price.String()
	}
	return out
}
