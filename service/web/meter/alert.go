package meter

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// alerts shows at which parts of a quota its owner is told, and which were reached, and sets them.
func (p *pages) alerts(e end) func(*site.Visit) error {
	return func(v *site.Visit) error {
		t, err := e.named(v)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(t.ID, "lic_") { // only licenses have quotas on meters
			return licensing.ErrNotFound
		}
		if err := v.Ready(p.ops.Set.Spec()); err != nil {
			return err
		}
		got, err := p.ops.Glance.Call(v.Ctx(), usage.GlanceRequest{Carrier: t.ID})
		if err != nil {
			return err
		}
		i := slices.IndexFunc(got.Items, func(g usage.Glance) bool { return g.Meter == v.Param("meter") && g.Quota != nil })
		if i < 0 {
			return licensing.ErrNotFound
		}
		q, f, back := got.Items[i].Quota, v.Form(), t.at("", url.Values{})
		f.Default("percents", percents(q.Thresholds))
		if v.Posted() {
			list := wanted(f)
			if f.OK() {
				_, err := p.ops.Set.Call(v.Ctx(), usage.ThresholdsRequest{License: t.ID, Meter: q.Meter, Percents: list})
				if err == nil {
					return v.Go(back, "good", saidOf(list))
				}
				if err := f.Refuse(err, map[string]string{"/percents": "percents"}); err != nil {
					return err
				}
			}
		}
		return v.Show(alertsPage(v.Frame("Alerts", append(t.Up, t.Of, ui.Link{Href: back, Name: "Usage"})...), e, f, q, back))
	}
}

// wanted reads the parts that a form names; none is nobody told.
func wanted(f *ui.Form) []int64 {
	out := []int64{}
	if f.Has("none") {
		return out
	}
	for _, word := range strings.FieldsFunc(f.Get("percents"), func(r rune) bool { return strings.ContainsRune(" ,;%\t\u00a0", r) }) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			f.Wrong("percents", "must be whole numbers, such as 50, 80, 100")
			return nil
		}
		out = append(out, n)
	}
	return out
}

// percents are parts of a quota as a form has them.
func percents(list []int64) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(words, ", ")
}

// saidOf says at which parts the owner is told from now on.
func saidOf(list []int64) string {
	if len(list) == 0 {
		return "Nobody is told of this quota any more."
	}
	slices.Sort(list)
	return "The owner is told at " + percents(slices.Compact(list)) + " percent."
}
