package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) overviewPages() []site.Page {
	return []site.Page{get("overview", "/admin", p.overview)}
}

func (p *pages) overview(v *site.Visit) error {
	o, err := p.ops.Overview.Call(v.Ctx(), insight.GetRequest{})
	if err != nil {
		return err
	}
	f := v.Frame("Overview")
	f.Refresh = 60
	return v.Show(overviewPage(f, o))
}

// where is the page of the console that has the rows behind a step.
func where(s insight.Step) string {
	if s.Where == "" {
		return ""
	}
	return "/admin/" + s.Where
}

// tone is the colour of a step.
func tone(s insight.State) string {
	switch s {
	case insight.OK:
		return "good"
	case insight.Warn:
		return "wait"
	case insight.Bad:
		return "bad"
	}
	return ""
}

// said is a step's state in a word.
func said(s insight.State) string {
	switch s {
	case insight.OK:
		return "Works"
	case insight.Warn:
		return "Look soon"
	case insight.Bad:
		return "Needs you now"
	}
	return "Quiet"
}

// verdict is the whole overview in a sentence.
func verdict(o insight.Overview) string {
	var bad, warn []string
	for _, s := range o.Steps {
		switch s.State {
		case insight.Bad:
			bad = append(bad, strings.ToLower(s.Title))
		case insight.Warn:
			warn = append(warn, strings.ToLower(s.Title))
		}
	}
	switch {
	case len(bad) > 0:
		return "Needs you now: " + strings.Join(bad, ", ") + "."
	case len(warn) > 0:
		return "Sells and delivers. Worth a look: " + strings.Join(warn, ", ") + "."
	}
	return "Everything works, from sign-up to support."
}

// path are the steps a customer walks, carriers what they stand on.
func path(o insight.Overview) (steps, carriers []insight.Step) {
	for i, s := range o.Steps {
		if i < 8 {
			steps = append(steps, s)
		} else {
			carriers = append(carriers, s)
		}
	}
	return steps, carriers
}

// dayName is a day as people read it.
func dayName(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.Format("2 January")
}

// bars are the days of a series as a chart shows them.
func bars(s insight.Series) []ui.Bar {
	out := make([]ui.Bar, len(s.Days))
	for i, d := range s.Days {
		out[i] = ui.Bar{Label: d.Day, Value: d.Amount.Minor, Text: fmt.Sprintf("%s: %s, %s", dayName(d.Day), d.Amount, ui.Plural(d.Orders, "order", "orders"))}
	}
	return out
}
