package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/explain"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// license explains a license.
func (v *viewer) license(l *license.License) Chain {
	view := v.Decide(l)
	about := explain.Of(&view)
	c := Chain{Kind: "license", ID: l.ID, Name: "License …" + l.KeyHint, Product: l.ProductSlug, ProductName: about.Product, Plan: l.PlanCode, Env: string(l.Env), Owner: l.Owner, at: l.CreatedAt}
	first, grant := v.granted(l, &view, about)
	payment, order := v.bought(l.ID, l.Source.Kind, l.Owner, grant.State)
	c.Steps = []explain.Step{payment, order, grant, v.activating(l), v.seats(l)}
	return c.finish(first)
}

// granted is the step of the license itself. The findings about seats belong to the limit.
func (v *viewer) granted(l *license.License, view *license.View, about explain.About) (explain.Telling, explain.Step) {
	var told []explain.Telling
	for _, t := range explain.Decision(view.Decision, about) {
		if t.Code == string(eval.ActivationRequired) || t.Code == string(eval.TooManySeats) {
			continue
		}
		told = append(told, v.voice(t))
	}
	if len(told) == 0 {
		told = append(told, explain.Code(eval.Valid, true, about))
	}
	first := told[0]
	step := explain.Step{Step: explain.Grant, State: explain.OK, Title: first.Word, Text: first.Text, Do: first.Do, Since: instant(l.CreatedAt), Until: view.ValidUntil, Also: told[1:],
		Links: []explain.Link{{Kind: explain.LinkLicense, ID: l.ID, Name: "License …" + l.KeyHint}}}
	switch {
	case !view.Decision.Allowed:
		step.State = explain.Blocked
		if l.State != license.Active {
			step.Since, step.Until = instant(l.UpdatedAt), nil
		}
	case first.Code != string(eval.Valid):
		step.State = explain.Warning
	}
	if l.Reason != "" && l.State != license.Active {
		step.Text += " The reason given: " + l.Reason + "."
	}
	if m := v.moved(l.ID); m != nil && m.To == l.Owner {
		step.Text += " It came from another owner on " + explain.When(m.At) + "."
		step.Links = append(step.Links, v.person(m.From)...)
	}
	step.Links = append(step.Links, v.person(l.Owner)...)
	v.account(l.Owner, &step)
	return first, step
}

// account warns staff of an owner who cannot sign in.
func (v *viewer) account(owner licensing.Owner, step *explain.Step) {
	if !slices.Contains(v.facts.Disabled, owner) {
		return
	}
	t := explain.Telling{Code: "ACCOUNT_DISABLED", Word: "Account disabled", Tone: "wait", Text: "The owner's account is disabled: the product works, and nobody can sign in to it for keys, downloads or devices.", Do: "Enable the account on the customer's page."}
	step.Also = append(step.Also, t)
	if step.State == explain.OK {
		step.State, step.Title, step.Text, step.Do = explain.Warning, t.Word, t.Text, t.Do
	}
}

// voice says a telling as the asker needs it.
func (v *viewer) voice(t explain.Telling) explain.Telling {
	if v.staff {
		return t.ForStaff()
	}
	return t
}

// activating is the step of the switches that a license's use depends on.
func (v *viewer) activating(l *license.License) explain.Step {
	if off := v.switchedOff(licensing.SwitchLicensing, l.ProductID); off != nil {
		if l.Terms.Activation == doc.ActivationRequired && l.SeatsUsed == 0 {
			return v.offStep(off, explain.Blocked, "Activating devices is switched off, and no device is active yet.")
		}
		return v.offStep(off, explain.Warning, "Activating devices is switched off. Those that are active go on.")
	}
	if off := v.switchedOff(licensing.SwitchDownloads, l.ProductID); off != nil {
		return v.offStep(off, explain.Warning, "Downloads are switched off. What is installed goes on.")
	}
	return onStep()
}

func onStep() explain.Step {
	return explain.Step{Step: explain.Switch, State: explain.OK, Title: "On", Text: "Nothing that it needs is switched off."}
}

// switchedOff finds the switch that is off for a product, else for all.
func (v *viewer) switchedOff(s licensing.Switch, product string) (found *Off) {
	for i := range v.off {
		o := &v.off[i]
		if o.Switch == s && (o.Product == "" && found == nil || o.Product != "" && o.Product == product) && (o.Until == nil || v.ask.Now.Before(*o.Until)) {
			found = o
		}
	}
	return found
}

// offStep tells of a switch that is off. Its reason is for staff.
func (v *viewer) offStep(o *Off, state explain.State, text string) explain.Step {
	s := explain.Step{Step: explain.Switch, State: state, Title: "Switched off", Text: text, Until: o.Until, Do: "Wait; nothing is lost. Try again later."}
	if o.Until != nil {
		s.Do = "Wait until " + explain.When(*o.Until) + "; nothing is lost."
	}
	if v.staff {
		s.Text += " The reason given: " + o.Reason + "."
		s.Do = "Switch it on again when the reason is gone."
		s.Links = []explain.Link{{Kind: explain.LinkSwitch, ID: string(o.Switch), Name: "Kill switch " + string(o.Switch)}}
	}
	return s
}

// seats is the step of seats and meters.
func (v *viewer) seats(l *license.License) explain.Step {
	s := explain.Step{Step: explain.Limit, State: explain.OK, Title: "Within its limits"}
	free := l.SeatsMax - l.SeatsUsed
	word := l.Terms.Seats.By
	devices := []explain.Link{{Kind: explain.LinkDevices, ID: l.ID, Name: "Devices of the license"}}
	switch {
	case l.State == license.Revoked:
		return explain.Step{Step: explain.Limit, State: explain.None, Title: "Over", Text: "A revoked license has no seats."}
	case l.Terms.Activation != doc.ActivationRequired:
		s.Text = "No seats are counted."
	case l.SeatsMax < 0:
		s.Text, s.Links = fmt.Sprintf("%s held, and any number may be.", seatsAre(l.SeatsUsed)), devices
	case l.SeatsMax == 0:
		s.State, s.Title, s.Text, s.Do = explain.Blocked, "No seats", "The license has no seats, so that nothing can be activated.", v.pick("Change the number of its seats.", "Ask us for seats.")
	case l.Crowded():
		s.State, s.Title, s.Links = explain.Warning, "Too many devices", devices
		s.Text, s.Do = fmt.Sprintf("%s held, more than the %d that the license has.", seatsAre(l.SeatsUsed), l.Seats), "Release devices that are not used any more."
	case free <= 0:
		s.State, s.Title, s.Links = explain.Warning, "All seats taken", devices
		s.Text = fmt.Sprintf("All %d seats are held: the %ss that hold them work, a further one is refused until one is released.", l.SeatsMax, word)
		s.Do = "Release a " + word + " that is not used any more, or get more seats."
		if l.Terms.OverLimit == license.ReplaceOldest {
			s.State, s.Do, s.Text = explain.OK, "", fmt.Sprintf("All %d seats are held: a further %s takes the place of the one that was silent longest.", l.SeatsMax, word)
		}
	case l.SeatsUsed == 0:
		t := explain.Code(eval.ActivationRequired, true, explain.About{})
		s.State, s.Title, s.Text, s.Do, s.Links = explain.Warning, t.Word, t.Text, v.voice(t).Do, devices
	default:
		s.Text, s.Links = fmt.Sprintf("%d of %d seats are held.", l.SeatsUsed, l.SeatsMax), devices
	}
	v.meters(l, &s)
	return s
}

func seatsAre(n int64) string {
	if n == 1 {
		return "1 seat is"
	}
	return fmt.Sprintf("%d seats are", n)
}

// meters lays what was counted over the step of seats.
func (v *viewer) meters(l *license.License, s *explain.Step) {
	for _, name := range slices.Sorted(maps.Keys(l.Terms.Meters)) {
		m, sum := l.Terms.Meters[name], v.used[l.ID][name]
		t := explain.Telling{Code: string(eval.Valid), Word: "Meter " + name, Tone: "good", Text: fmt.Sprintf("%d of %d %s are used in this %s.", sum, m.Quota, name, m.Period)}
		if sum >= m.Quota {
			t.Code, t.Tone, t.Word, t.Do = string(eval.QuotaExceeded), "wait", "Used up", "Wait for the next "+m.Period+", or choose a larger plan."
			t.Text = fmt.Sprintf("%d %s are used in this %s, of %d: the product may refuse more.", sum, name, m.Period, m.Quota)
			if s.State == explain.OK {
				s.State, s.Title, s.Text, s.Do = explain.Warning, t.Word, t.Text, t.Do
				continue
			}
		}
		s.Also = append(s.Also, t)
	}
}

// key explains an API key.
func (v *viewer) key(k *Key) Chain {
	name := k.Name
	if name == "" {
		name = "API key " + k.Hint
	}
	product := k.Bought.Product
	if product == "" {
		product = k.Slug
	}
	c := Chain{Kind: "key", ID: k.ID, Name: name, Product: k.Slug, ProductName: product, Plan: k.PlanCode, Env: string(k.Env), Owner: k.Owner, at: k.CreatedAt}
	state := k.State(v.ask.Now)
	first := explain.Key(&k.Key, v.ask.Now, v.staff)
	grant := explain.Step{Step: explain.Grant, State: explain.OK, Title: first.Word, Text: first.Text, Do: first.Do, Since: instant(k.CreatedAt), Until: instant(k.ExpiresAt),
		Links: append([]explain.Link{{Kind: explain.LinkKey, ID: k.ID, Name: name}}, v.person(k.Owner)...)}
	if state != apikey.Active {
		grant.State, grant.Until = explain.Blocked, nil
		switch state {
		case apikey.Revoked:
			grant.Since = instant(k.RevokedAt)
		case apikey.Disabled:
			if grant.Since = instant(k.StoppedAt()); grant.Since == nil {
				grant.Since = instant(k.DisabledAt)
			}
		case apikey.Expired:
			grant.Since = instant(k.ExpiresAt)
		}
	}
	v.account(k.Owner, &grant)
	turned := onStep()
	switch off := v.switchedOff(licensing.SwitchAPI, k.ProductID); {
	case off == nil:
	case off.Product != "":
		turned = v.offStep(off, explain.Blocked, "The API of this product is switched off: every request with a key is refused.")
	default:
		turned = v.offStep(off, explain.Warning, "Keys can neither be made nor rotated, since that is switched off. This one goes on.")
	}
	payment, order := v.bought(k.ID, k.Source.Kind, k.Owner, grant.State)
	c.Steps = []explain.Step{payment, order, grant, turned, v.spent(k, state)}
	return c.finish(first)
}

// spent is the step of a key's limits, as their counters stand.
func (v *viewer) spent(k *Key, state apikey.State) explain.Step {
	s := explain.Step{Step: explain.Limit, State: explain.OK, Title: "Within its limits"}
	switch {
	case state != apikey.Active:
		return explain.Step{Step: explain.Limit, State: explain.None, Title: "Not asked", Text: "A key that is not good spends nothing."}
	case len(k.Limits) == 0:
		s.Title, s.Text = "No limits", "The key has no limits."
	}
	var texts []string
	for _, l := range v.limits[k.ID] {
		per := fmt.Sprintf("%d %s", l.Limit.Count, l.Limit.Period())
		switch {
		case l.Degraded:
			texts = append(texts, fmt.Sprintf("%s: %s; its counter is away for a moment.", l.Limit.Name, per))
		case !l.Allowed:
			at := v.ask.Now.Add(l.RetryAfter)
			s.State, s.Title, s.Until = explain.Blocked, "Limit reached", &at
			s.Do = "Send fewer requests, wait as long as Retry-After says, or choose a larger plan."
			form := "15:04:05 UTC"
			if l.RetryAfter > 12*time.Hour {
				form = "15:04 UTC on 2 January 2006"
			}
			texts = append(texts, fmt.Sprintf("%s: %s, all spent; the next is admitted at %s.", l.Limit.Name, per, at.UTC().Format(form)))
		default:
			texts = append(texts, fmt.Sprintf("%s: %s, %d left now.", l.Limit.Name, per, l.Remaining))
		}
	}
	if len(k.AllowFrom) > 0 {
		var from []string
		for _, p := range k.AllowFrom {
			from = append(from, p.String())
		}
		texts = append(texts, "It is good only from "+strings.Join(from, ", ")+".")
	}
	if len(texts) > 0 {
		s.Text = strings.TrimSpace(s.Text + " " + strings.Join(texts, " "))
	}
	return s
}
