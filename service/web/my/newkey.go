package my

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// newKey makes a key by the template of a plan that was bought, and shows its text in the answer, once.
func (p *pages) newKey(v *site.Visit) error {
	list, err := p.ops.Options.Call(v.Ctx(), struct{}{})
	if err != nil {
		return err
	}
	f := v.Form()
	at := slices.IndexFunc(list.Items, func(o apikey.OptionView) bool {
		return o.Template.Plan == v.Query("plan") && string(o.Env) == v.Query("env")
	})
	if at < 0 && len(list.Items) == 1 && v.Query("plan") == "" && v.Query("env") == "" {
		at = 0
	}
	if at < 0 {
		if v.Posted() {
			f.Problem = "No key can be made by that plan any more, and none was made."
			v.Say("bad", f.Problem)
		}
		return v.Show(plansPage(v.Frame("Make an API key", keyCrumbs(nil)...), list.Items))
	}
	if err := v.Ready(p.ops.Make.Spec()); err != nil {
		return err
	}
	o := &list.Items[at]
	f.Default("seconds", "60")
	if v.Posted() {
		ask := wanted(f, o)
		if f.OK() {
			out, err := p.ops.Make.Call(v.Ctx(), ask)
			if err == nil && out.Secret == "" {
				return v.Go("/account/keys/"+out.Key.ID, "wait", "The key was made before, and its text was shown then.")
			}
			if err == nil {
				return v.Render(http.StatusOK, madePage(v.Frame("Your new key", keyCrumbs(&out.Key)...), &out.Key, out.Secret))
			}
			if err := f.Refuse(err, map[string]string{"limits": "count", "expires_at": "ends"}); err != nil {
				return err
			}
		}
	}
	return v.Show(newKeyPage(v.Frame("Make an API key", keyCrumbs(nil)...), f, o))
}

// newKeyAt is the address of the form for a key of a plan.
func newKeyAt(o *apikey.OptionView) string {
	return "/account/keys/new?" + url.Values{"plan": {o.Template.Plan}, "env": {string(o.Env)}}.Encode()
}

// wanted reads the form of a new key. Of the scopes that were ticked those count that the plan has.
func wanted(f *ui.Form, o *apikey.OptionView) apikey.CreateRequest {
	r := apikey.CreateRequest{Plan: o.Template.Plan, Env: o.Env, Name: f.Text("name"),
		AllowFrom: strings.FieldsFunc(f.Get("allow_from"), func(c rune) bool { return strings.ContainsRune(", \r\n\t", c) })}
	if r.Name == "" {
		f.Wrong("name", "must say what the key is for")
	}
	for _, scope := range o.Template.Scopes {
		if slices.Contains(f.Values["scope"], scope) {
			r.Scopes = append(r.Scopes, scope)
		}
	}
	if f.Text("count") != "" {
		n := f.Int("count", 0)
		if n < 1 {
			f.Wrong("count", "must be at least 1")
		}
		r.Limits = []apikey.Limit{{Name: apikey.FreeName("own", o.Template.Limits), Count: n, Seconds: f.Int("seconds", 60)}}
	}
	if text := f.Text("ends"); text != "" {
		last, err := time.Parse(time.DateOnly, text)
		if err != nil {
			f.Wrong("ends", "must be a day, for example 2027-03-31")
		}
		last = last.Add(24*time.Hour - time.Second)
		r.ExpiresAt = &last
	}
	return r
}
