package my

import (
	"net/http"
	"strconv"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) keys(v *site.Visit) error {
	list, err := p.ops.Keys.Call(v.Ctx(), apikey.ListRequest{Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 50}})
	if err != nil {
		return err
	}
	options, err := p.ops.Options.Call(v.Ctx(), struct{}{})
	if err != nil {
		return err
	}
	return v.Show(keysPage(v.Frame("API keys"), list, len(options.Items) > 0))
}

// keyCrumbs lead back from what is below a key.
func keyCrumbs(k *apikey.KeyView) []ui.Link {
	out := []ui.Link{{Href: "/account/keys", Name: "API keys"}}
	if k != nil {
		out = append(out, ui.Link{Href: "/account/keys/" + k.ID, Name: keyName(k)})
	}
	return out
}

func (p *pages) key(v *site.Visit) error {
	k, err := p.ops.Key.Call(v.Ctx(), apikey.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	held, err := p.ops.Reservations.Call(v.Ctx(), apikey.HoldsRequest{Key: k.ID, Page: licensing.Page{Cursor: v.Query("cursor")}})
	if err != nil {
		return err
	}
	return v.Show(keyPage(v.Frame(keyName(&k), keyCrumbs(nil)...), v.Form(), &k, &held))
}

// rotate gives a key a new secret and shows it in the answer, once.
func (p *pages) rotate(v *site.Visit) error {
	if err := v.Ready(p.ops.Rotate.Spec()); err != nil {
		return err
	}
	id, f := v.Param("id"), v.Form()
	k, err := p.ops.Key.Call(v.Ctx(), apikey.GetRequest{ID: id})
	if err != nil {
		return err
	}
	f.Default("overlap", "86400")
	if v.Posted() {
		overlap := f.Int("overlap", 86400)
		if f.OK() {
			out, err := p.ops.Rotate.Call(v.Ctx(), apikey.RotateRequest{ID: id, Overlap: &overlap})
			if err == nil && out.Secret == "" {
				return v.Go("/account/keys/"+id, "wait", "The key was rotated before, and its new text was shown then.")
			}
			if err == nil {
				return v.Render(http.StatusOK, rotatedPage(v.Frame("The new key", keyCrumbs(&k)...), &k, out.Secret, time.Duration(overlap)*time.Second))
			}
			if err := f.Refuse(err, map[string]string{"/overlap_seconds": "overlap"}); err != nil {
				return err
			}
		}
	}
	return v.Show(rotatePage(v.Frame("Rotate "+keyName(&k), keyCrumbs(&k)...), f, &k))
}

func (p *pages) revoke(v *site.Visit) error {
	if err := v.Ready(p.ops.Revoke.Spec()); err != nil {
		return err
	}
	id, f := v.Param("id"), v.Form()
	k, err := p.ops.Key.Call(v.Ctx(), apikey.GetRequest{ID: id})
	if err != nil {
		return err
	}
	if v.Posted() {
		out, err := p.ops.Revoke.Call(v.Ctx(), apikey.RevokeRequest{ID: id, Reason: f.Text("reason")})
		if err == nil {
			return v.Go("/account/keys/"+id, "good", keyName(&k)+" is revoked, everywhere within "+strconv.Itoa(out.WithinSeconds)+" seconds.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	} else if k.State == apikey.Revoked {
		return v.Go("/account/keys/"+id, "", "")
	}
	return v.Show(revokePage(v.Frame("Revoke "+keyName(&k), keyCrumbs(&k)...), f, &k))
}

func (p *pages) disable(v *site.Visit) error {
	_, err := p.ops.Disable.Call(v.Ctx(), apikey.RevokeRequest{ID: v.Param("id"), Reason: "disabled by its owner"})
	return p.switched(v, err, "The key is disabled. Requests with it are refused until you enable it again.")
}

func (p *pages) enable(v *site.Visit) error {
	_, err := p.ops.Enable.Call(v.Ctx(), apikey.RevokeRequest{ID: v.Param("id"), Reason: "enabled by its owner"})
	return p.switched(v, err, "The key works again.")
}

// switched leads back to the key with what was done, or with what kept it from being done.
func (p *pages) switched(v *site.Visit, err error, done string) error {
	tone := "good"
	if err != nil {
		if err := v.Form().Refuse(err, nil); err != nil {
			return err
		}
		tone, done = "bad", v.Form().Problem
	}
	return v.Go("/account/keys/"+v.Param("id"), tone, done)
}

// keyName is what a key is called.
func keyName(k *apikey.KeyView) string { return named(k.Name, k.ProductName, k.ID) }

// named is what a key is called that has, or has not, a name and a product's name.
func named(name, product, id string) string {
	switch {
	case name != "":
		return name
	case product != "":
		return product
	}
	return "Key " + ui.Short(id)
}

// limitText is a limit in words.
func limitText(l apikey.Limit) string {
	out := ui.Number(l.Count) + " " + l.Period()
	if l.Burst != 0 && l.Burst != l.Count {
		out += ", " + ui.Number(l.Burst) + " at once"
	}
	switch l.Per {
	case apikey.PerPlan:
		out += ", for all your keys of this plan together"
	case apikey.PerMember:
		out += ", for all keys of one member for this product together"
	case apikey.PerOwner:
		out += ", for all your keys of this product together"
	}
	return out
}

// overlaps are how long an old text may go on.
func overlaps() []ui.Option {
	return []ui.Option{{Value: "3600", Name: "One hour"}, {Value: "86400", Name: "One day"}, {Value: "604800", Name: "A week"}, {Value: "2592000", Name: "30 days"}, {Value: "0", Name: "Not at all: it ends now"}}
}

// spanText is how long, in words.
func spanText(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return ui.Plural(int64(d/(24*time.Hour)), "day", "days")
	}
	return ui.Plural(int64(d/time.Hour), "hour", "hours")
}
