package admin

import (
	"strconv"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// keyLimits changes how much a key may be used: the count of each limit, or that the limit goes.
func (p *pages) keyLimits(v *site.Visit) error {
	id := v.Param("id")
	k, err := p.ops.Key.Call(v.Ctx(), apikey.GetRequest{ID: id})
	if err != nil {
		return err
	}
	f, back := v.Form(), ui.Link{Href: "/admin/keys/" + id, Name: "API key"}
	frame := v.Frame("Limits of an API key", back)
	for i, l := range k.Limits {
		f.Default(countField(i), strconv.FormatInt(l.Count, 10))
	}
	f.Default("seconds", "60")
	if !v.Posted() {
		return v.Show(keyLimitsPage(frame, f, k, back))
	}
	r := apikey.LimitsRequest{ID: id, Limits: []apikey.Limit{}, Reason: f.Text("reason")}
	for i, l := range k.Limits {
		n := f.Int(countField(i), 0)
		if n == 0 {
			continue // the limit goes
		}
		if l.Burst == l.Count {
			l.Burst = 0
		}
		if l.Count != n {
			l.Count, l.Per = n, apikey.PerKey // what is changed holds for this key alone
		}
		r.Limits = append(r.Limits, l)
	}
	if n := f.Int("count", 0); n != 0 {
		r.Limits = append(r.Limits, apikey.Limit{Name: freeName(k.Limits), Count: n, Seconds: f.Int("seconds", 60)})
	}
	if r.Reason == "" {
		f.Wrong("reason", "say why")
	}
	if f.OK() {
		out, err := p.ops.KeyLimits.Call(v.Ctx(), r)
		if err == nil {
			return v.Go(back.Href, "good", "The limits are changed, everywhere within "+strconv.Itoa(out.WithinSeconds)+" seconds.")
		}
		if other := f.Refuse(err, map[string]string{"/limits": "count", "/reason": "reason"}); other != nil {
			return other
		}
	}
	return v.Show(keyLimitsPage(frame, f, k, back))
}

// countField is the name of the field for a limit's count.
func countField(i int) string { return "count-" + strconv.Itoa(i) }

// freeName is a name for one more limit.
func freeName(limits []apikey.Limit) string {
	name := "extra"
	for n := 2; ; n++ {
		taken := false
		for _, l := range limits {
			taken = taken || l.Name == name
		}
		if !taken {
			return name
		}
		name = "extra-" + strconv.Itoa(n)
	}
}

// limitHelp is what to know of a limit before it is changed.
func limitHelp(l apikey.Limit) string {
	if l.Per == apikey.PerKey {
		return "Empty to take the limit away."
	}
	return "Counted together with other keys; another number counts this one alone. Empty to take the limit away."
}
