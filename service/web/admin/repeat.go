package admin

import (
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// reach is how far back failed events are sent again.
type reach struct {
	code, name string
	back       time.Duration // 0 for as far as the log goes
}

var reaches = []reach{{"", "30 days", 0}, {"week", "7 days", 7 * 24 * time.Hour}, {"day", "24 hours", 24 * time.Hour}, {"hour", "hour", time.Hour}}

// repeatView is what the page asks that sends events of an endpoint again.
type repeatView struct {
	State        webhook.State
	Reach        reach
	Since, Until string // what was counted; empty Since for all
	Count        int64
}

// repeat says how many events of an endpoint failed, or were taken, and sends them again. What is sent is what was counted: an event that failed
// later is none of it.
func (p *pages) repeat(v *site.Visit) error {
	if err := v.Ready(p.hooks.Repeat.Spec()); err != nil {
		return err
	}
	e, err := p.hooks.Endpoint.Call(v.Ctx(), webhook.EndpointRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f, back := v.Form(), to("/admin/webhooks/{id}", "Endpoint")(e.ID)
	view := repeatView{State: webhook.Failed, Reach: reaches[0]}
	if v.Query("state") == string(webhook.Delivered) {
		view.State = webhook.Delivered
	}
	for _, r := range reaches {
		if r.code == v.Query("time") {
			view.Reach = r
		}
	}
	until := p.site.Clock.Now()
	ask := webhook.RepeatRequest{ID: e.ID, State: view.State, Until: &until}
	if view.Reach.back > 0 {
		since := until.Add(-view.Reach.back)
		ask.Since = &since
	}
	if v.Posted() {
		for name, at := range map[string]**time.Time{"since": &ask.Since, "until": &ask.Until} {
			if t, err := time.Parse(time.RFC3339Nano, f.Text(name)); err == nil {
				*at = &t
			}
		}
		out, err := p.hooks.Repeat.Call(v.Ctx(), ask)
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
		if err == nil {
			return v.Go(back.Href, "good", repeated(&out))
		}
	}
	search := webhook.CountRequest{Endpoint: e.ID, State: view.State, Until: *ask.Until}
	view.Until = ask.Until.Format(time.RFC3339Nano)
	if ask.Since != nil {
		search.Since, view.Since = *ask.Since, ask.Since.Format(time.RFC3339Nano)
	}
	found, err := p.hooks.Count.Call(v.Ctx(), search)
	if err != nil {
		return err
	}
	view.Count = found.Count
	return v.Show(repeatPage(v.Frame("Send events again", back), f, e, view, back))
}

// repeated says how many events are on their way.
func repeated(out *webhook.RepeatResponse) string {
	switch {
	case out.Next != "":
		return "The oldest " + ui.Number(out.Count) + " are on their way again. There are more: send those again too."
	case out.Count == 0:
		return "Nothing was left to send again."
	}
	return ui.Plural(out.Count, "event is", "events are") + " on the way again."
}
