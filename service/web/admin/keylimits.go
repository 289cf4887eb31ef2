package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// keyLimits changes how much a key may be used: the count of each limit, or that the limit goes.
func (p *pages) keyLimits(v *site.Visit) error {
	if err := v.Ready(p.ops.KeyLimits.Spec()); err != nil {
		return err
	}
	id := v.Param("id")
	k, err := p.ops.Key.Call(v.Ctx(), apikey.GetRequest{ID: id})
	if err != nil {
		return err
	}
	f, back := v.Form(), ui.Link{Href: "/admin/keys/" + id, Name: "API key"}
	frame := v.Frame("Limits of an API key", back)
	for _, l := range k.Limits {
		f.Default(countField(l), strconv.FormatInt(l.Count, 10))
	}
	f.Default("seconds", "60")
	if !v.Posted() {
		return v.Show(keyLimitsPage(frame, f, k, back))
	}
	r := apikey.LimitsRequest{ID: id, Limits: wantedLimits(f, k.Limits), Reason: f.Text("reason")}
	if r.Reason == "" {
		f.Wrong("reason", "say why")
	}
	if f.Text("was") != limitsDigest(k.Limits) {
		f.Problem = "The limits were changed meanwhile. They are as shown now; say once more what should be otherwise."
		for _, l := range k.Limits {
			f.Values.Set(countField(l), strconv.FormatInt(l.Count, 10))
		}
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

// wantedLimits reads from the form what becomes of a key's limits. One whose field is empty goes.
func wantedLimits(f *ui.Form, limits []apikey.Limit) []apikey.Limit {
	out := []apikey.Limit{}
	for _, l := range limits {
		field := countField(l)
		if f.Text(field) == "" {
			continue
		}
		if n := atLeastOne(f, field); n != l.Count {
			if l.Burst == l.Count {
				l.Burst = n
			}
			l.Count, l.Burst, l.Per = n, min(l.Burst, n), apikey.PerKey // what is changed holds for this key alone
		}
		out = append(out, l)
	}
	if f.Text("count") != "" {
		out = append(out, apikey.Limit{Name: apikey.FreeName("extra", limits), Count: atLeastOne(f, "count"), Seconds: f.Int("seconds", 60)})
	}
	return out
}

// atLeastOne reads how many calls a limit allows.
func atLeastOne(f *ui.Form, field string) int64 {
	n := f.Int(field, 0)
	if n < 1 {
		f.Wrong(field, "must be at least 1")
	}
	return n
}

// countField is the name of the field for a limit's count.
func countField(l apikey.Limit) string { return "count-" + l.Name }

// limitsDigest tells whether limits are those that a form was made for.
func limitsDigest(limits []apikey.Limit) string {
	text, _ := json.Marshal(limits) // of numbers and texts, which cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// limitHelp is what to know of a limit before it is changed.
func limitHelp(l apikey.Limit) string {
	out := "Empty to take the limit “" + l.Name + "” away."
	if l.Per != apikey.PerKey {
		out = "Counted together with other keys; another number counts this one alone. " + out
	}
	if l.Burst != 0 && l.Burst != l.Count {
		out = ui.Number(l.Burst) + " at once, and never more than the count that you set. " + out
	}
	return out
}
