package admin

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// termOps are the operations of what a license's terms are and how long they last.
type termOps struct {
	Renew    kit.Op[license.RenewRequest, license.View]                `op:"license.renew"`
	Look     kit.Op[license.RepolicyLookRequest, license.RepolicyView] `op:"license.repolicy-preview"`
	Repolicy kit.Op[license.RepolicyRequest, license.View]             `op:"license.repolicy"`
}

func (p *pages) termPages() []site.Page {
	out := both("license_renew", "/admin/licenses/{id}/renew", p.renewLicense)
	out = append(out, both("license_repolicy", "/admin/licenses/{id}/repolicy", p.repolicy)...)
	return append(out, both("license_ends", "/admin/licenses/{id}/ends", p.featureEnds)...)
}

// licenseFrame is the frame of a page below that of a license.
func licenseFrame(v *site.Visit, title, id string) ui.Frame {
	return v.Frame(title, ui.Link{Href: "/admin/licenses", Name: "Licenses"}, ui.Link{Href: "/admin/licenses/" + id, Name: "License"})
}

// renewLicense renews a license by its policy's terms, or until a day.
func (p *pages) renewLicense(v *site.Visit) error {
	if err := v.Ready(p.terms.Renew.Spec()); err != nil {
		return err
	}
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f, frame := v.Form(), licenseFrame(v, "Renew the license", l.ID)
	f.Default("terms", "1")
	if v.Posted() {
		r := license.RenewRequest{ID: l.ID, Reason: f.Text("reason"), Until: date(f, "until")}
		if r.Until == nil {
			r.Terms = f.Int("terms", 1)
		}
		if f.OK() {
			now, err := p.terms.Renew.Call(v.Ctx(), r)
			if err == nil {
				return v.Go("/admin/licenses/"+l.ID, "good", renewedTo(now))
			}
			if other := f.Refuse(err, nil); other != nil {
				return other
			}
		}
	}
	return v.Show(renewLicensePage(frame, f, l))
}

// renewedTo says what a renewal gave.
func renewedTo(l license.View) string {
	switch {
	case l.ValidUntil != nil:
		return "The license is renewed until " + ui.When(*l.ValidUntil) + "."
	case l.UpdatesUntil != nil:
		return "Its updates are renewed until " + ui.When(*l.UpdatesUntil) + "."
	}
	return "The license is renewed. Its term begins with its first use."
}

// policyChange is what the page of going over to another policy shows.
type policyChange struct {
	license.RepolicyView
	Under   license.PolicyView // as it is now, if it still is
	Choices []ui.Option
}

// repolicy shows what a policy as it is now would change, and puts the license under it when the form comes back with the versions that
// were looked at.
func (p *pages) repolicy(v *site.Visit) error {
	if err := v.Ready(p.terms.Repolicy.Spec()); err != nil {
		return err
	}
	id, f, policy := v.Param("id"), v.Form(), v.Query("policy")
	if v.Posted() {
		policy = f.Text("policy")
		_, err := p.terms.Repolicy.Call(v.Ctx(), license.RepolicyRequest{ID: id, Policy: policy, Version: f.Int("version", 0), PolicyVersion: f.Int("policy_version", 0), Reason: f.Text("reason")})
		if err == nil {
			return v.Go("/admin/licenses/"+id, "good", "The license is under the policy as it is now. Products learn of it with their next contact.")
		}
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
	}
	var change policyChange
	var err error
	change.RepolicyView, err = p.terms.Look.Call(v.Ctx(), license.RepolicyLookRequest{ID: id, Policy: policy})
	if other := f.Refuse(err, map[string]string{"/policy": "policy"}); other != nil {
		return other
	}
	if err != nil { // the policy does not fit; the license is there, or this says that it is not
		l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: id})
		if err != nil {
			return err
		}
		change.Product, change.Was = l.ProductID, l.Policy
	}
	list, err := p.ops.Policies.Call(v.Ctx(), license.ListPoliciesRequest{Product: change.Product, Page: licensing.Page{Limit: 100}})
	if err != nil {
		return err
	}
	for _, policy := range list.Items {
		change.Choices = append(change.Choices, ui.Option{Value: policy.ID, Name: policy.Name})
		if policy.ID == change.Was {
			change.Under = policy
		}
	}
	choose := &ui.Form{Values: f.Values, Once: f.Once, Errors: f.Errors}
	choose.Default("policy", cmp.Or(policy, change.Was))
	return v.Show(repolicyPage(licenseFrame(v, "Put it under a policy", id), f, choose, change))
}

// licensee is whose name a license shows, or the end of its owner's id.
func licensee(c policyChange) string {
	if c.Licensee != "" {
		return c.Licensee
	}
	return ui.Short(string(c.Owner))
}

// changeName is the name of a difference as people read it.
func changeName(name string) string {
	if plain := map[string]string{"seats": "Seats of the license", "seats_max": "Most seats, with what is tolerated", "terms/seats/n": "Seats by the policy", "terms/seats/by": "One seat is",
		"terms/seats/floating": "Seats float", "terms/type": "Kind", "terms/status": "Status list"}[name]; plain != "" {
		return plain
	}
	name = strings.TrimPrefix(name, "terms/")
	name = strings.Replace(name, "entitlements/", "feature ", 1)
	name = strings.Replace(name, "ent_until/", "end of feature ", 1)
	return ui.Words(strings.ReplaceAll(name, "/", " "))
}

// changeValue is a side of a difference as people read it: absent is nothing, and lengths of time are in seconds.
func changeValue(name, text string) string {
	member, number := name[strings.LastIndexByte(name, '/')+1:], int64(0)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		number = n
	}
	plain, quoted := strings.CutPrefix(strings.TrimSuffix(text, `"`), `"`)
	switch at, err := time.Parse(time.RFC3339, plain); {
	case text == "":
		return "–"
	case text == "true":
		return "Yes"
	case text == "false":
		return "No"
	case number > 0 && (slices.Contains(lengths(), member) || strings.HasPrefix(name, "terms/entitled_for/")):
		return spanWords(number)
	case quoted && err == nil:
		return ui.When(at)
	case quoted && !strings.HasPrefix(name, "entitlements/"):
		return ui.Words(plain)
	}
	return plain
}

// lengths are the members of terms that are lengths of time.
func lengths() []string {
	return []string{"duration", "expiry_grace", "updates_for", "dead_after", "revive_within", "recheck", "fresh", "stale", "grace", "status_max_age", "period"}
}

// featureEnds sets and takes away ends of single features.
func (p *pages) featureEnds(v *site.Visit) error {
	if err := v.Ready(p.ops.ChangeLicense.Spec()); err != nil {
		return err
	}
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f, frame := v.Form(), licenseFrame(v, "Ends of single features", l.ID)
	features := sorted(l.Entitlements)
	for _, e := range features {
		if end, has := l.EntUntil[e.Name]; has {
			f.Default("until-"+e.Name, day(&end))
		}
	}
	if !v.Posted() {
		return v.Show(featureEndsPage(frame, f, l, features))
	}
	r := license.ChangeRequest{ID: l.ID, Reason: f.Text("reason")}
	for _, e := range features {
		had, has := l.EntUntil[e.Name]
		switch end := date(f, "until-"+e.Name); {
		case end == nil && has && f.Text("until-"+e.Name) == "":
			r.Endless = append(r.Endless, e.Name)
		case end != nil && (!has || day(end) != day(&had)):
			if r.EntUntil == nil {
				r.EntUntil = map[string]time.Time{}
			}
			r.EntUntil[e.Name] = *end
		}
	}
	if f.OK() {
		_, err = p.ops.ChangeLicense.Call(v.Ctx(), r)
		if err == nil {
			return v.Go("/admin/licenses/"+l.ID, "good", "The ends are changed. Products learn of them with their next contact.")
		}
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
	}
	return v.Show(featureEndsPage(frame, f, l, features))
}
