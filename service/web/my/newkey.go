package my

import (
	"net/http"
	"slices"
	"strconv"
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
	f, frame := v.Form(), v.Frame("Make an API key", keyCrumbs(nil)...)
	at := slices.IndexFunc(list.Items, func(o apikey.OptionView) bool {
		return o.Template.Plan == v.Query("plan") && string(o.Env) == v.Query("env")
	})
	if at < 0 && len(list.Items) != 1 {
		return v.Show(plansPage(frame, list.Items))
	}
	o := &list.Items[max(at, 0)]
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
	return v.Show(newKeyPage(frame, f, o))
}

// wanted reads the form of a new key.
func wanted(f *ui.Form, o *apikey.OptionView) apikey.CreateRequest {
	r := apikey.CreateRequest{Plan: o.Template.Plan, Env: o.Env, Name: f.Text("name"),
		AllowFrom: strings.FieldsFunc(f.Get("allow_from"), func(c rune) bool { return strings.ContainsRune(", \r\n\t", c) })}
	if r.Name == "" {
		f.Wrong("name", "must say what the key is for")
	}
	for i, scope := range o.Template.Scopes {
		if f.Has(scopeField(i)) {
			r.Scopes = append(r.Scopes, scope)
		}
	}
	if n := f.Int("count", 0); n != 0 {
		r.Limits = []apikey.Limit{{Name: "own", Count: n, Seconds: f.Int("seconds", 60)}}
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

// scopeField is the name of the box for a scope of a plan.
func scopeField(i int) string { return "scope-" + strconv.Itoa(i) }

// spans are those over which calls may be counted.
func spans() []ui.Option {
	return []ui.Option{{Value: "1", Name: "a second"}, {Value: "60", Name: "a minute"}, {Value: "3600", Name: "an hour"}, {Value: "86400", Name: "a day"}}
}
