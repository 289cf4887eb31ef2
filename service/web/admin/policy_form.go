package admin

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/web/ui"
)

// The units in which lengths of time are written; a number without one is days.
const (
	minute = 60
	hour   = 60 * minute
	days   = 24 * hour
)

// span writes seconds as people would, without losing any: "30" days, "12 h", "90 min", "45 s"; "" for none.
func span(seconds int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"", days}, {" h", hour}, {" min", minute}} {
		if seconds != 0 && seconds%unit.size == 0 {
			return strconv.FormatInt(seconds/unit.size, 10) + unit.name
		}
	}
	if seconds == 0 {
		return ""
	}
	return strconv.FormatInt(seconds, 10) + " s"
}

// spanWords is a length of time in a sentence.
func spanWords(seconds int64) string {
	text, unit, other := span(seconds), "", false
	if text, unit, other = strings.Cut(text, " "); !other {
		n, _ := strconv.ParseInt(text, 10, 64)
		return ui.Plural(n, "day", "days")
	}
	n, _ := strconv.ParseInt(text, 10, 64)
	return ui.Plural(n, map[string]string{"h": "hour", "min": "minute", "s": "second"}[unit], map[string]string{"h": "hours", "min": "minutes", "s": "seconds"}[unit])
}

// readSpan reads a length of time as [span] writes it, and fractions: "30", "0.5", "30 days", "12 h", "90 min".
func readSpan(text string) (int64, bool) {
	number, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
	size, known := map[string]float64{"": days, "d": days, "day": days, "days": days, "h": hour, "hour": hour, "hours": hour, "min": minute, "minute": minute, "minutes": minute, "s": 1, "second": 1, "seconds": 1}[strings.TrimSpace(unit)]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(n >= 0 && n*size <= 200*366*days) {
		return 0, false
	}
	return int64(math.Round(n * size)), true
}

// seconds is the length of time in a field; an empty one is none.
func seconds(f *ui.Form, name string) int64 {
	text := f.Text(name)
	if text == "" {
		return 0
	}
	n, ok := readSpan(text)
	if !ok {
		f.Wrong(name, "must be a number of days, like 30 or 0.5, or a number with h or min, like 12 h")
	}
	return n
}

// lines are the lines of a field that have something in them, each cut at its "=".
func lines(f *ui.Form, name string, each func(line, code, value string)) {
	for line := range strings.SplitSeq(f.Get(name), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			code, value, _ := strings.Cut(line, "=")
			each(line, strings.TrimSpace(code), strings.TrimSpace(value))
		}
	}
}

// meterLines are quotas as a form shows them, one a line: "exports = 100 a month".
func meterLines(meters map[string]license.Meter) string {
	var b strings.Builder
	for _, code := range slices.Sorted(maps.Keys(meters)) {
		fmt.Fprintf(&b, "%s = %d a %s\n", code, meters[code].Quota, meters[code].Period)
	}
	return b.String()
}

// readMeters reads what [meterLines] writes.
func readMeters(f *ui.Form, name string) map[string]license.Meter {
	var out map[string]license.Meter
	lines(f, name, func(line, code, value string) {
		words := strings.Fields(value)
		quota, err := int64(0), error(nil)
		if len(words) == 3 && (words[1] == "a" || words[1] == "per") {
			quota, err = strconv.ParseInt(words[0], 10, 64)
		}
		if code == "" || err != nil || len(words) != 3 {
			f.Wrong(name, "the line “"+line+"” must be like exports = 100 a month")
			return
		}
		if out == nil {
			out = map[string]license.Meter{}
		}
		out[code] = license.Meter{Quota: quota, Period: words[2]}
	})
	return out
}

// endLines are the ends of single features as a form shows them, one a line: "export = 30".
func endLines(ends map[string]int64) string {
	var b strings.Builder
	for _, code := range slices.Sorted(maps.Keys(ends)) {
		b.WriteString(code + " = " + span(ends[code]) + "\n")
	}
	return b.String()
}

// readEnds reads what [endLines] writes.
func readEnds(f *ui.Form, name string) map[string]int64 {
	var out map[string]int64
	lines(f, name, func(line, code, value string) {
		n, ok := readSpan(value)
		if code == "" || !ok || n == 0 {
			f.Wrong(name, "the line “"+line+"” must be like export = 30, in days")
			return
		}
		if out == nil {
			out = map[string]int64{}
		}
		out[code] = n
	})
	return out
}

// fillPolicy shows terms in the form.
func fillPolicy(f *ui.Form, name string, t license.Terms) {
	yes := map[bool]string{true: "yes"}
	for field, value := range map[string]string{"name": name, "type": t.Type, "duration": span(t.Duration), "expiry_basis": t.ExpiryBasis, "renewal_basis": t.RenewalBasis, "expired": t.Expired,
		"expiry_grace": span(t.ExpiryGrace), "updates_for": span(t.UpdatesFor), "max_version": t.MaxVersion,
		"seats": fmt.Sprint(t.Seats.N), "by": t.Seats.By, "floating": yes[t.Seats.Floating], "overage": fmt.Sprint(t.OveragePercent), "over_limit": t.OverLimit, "dead_after": span(t.DeadAfter), "revive_within": span(t.ReviveWithin),
		"activation": yes[t.Activation == doc.ActivationRequired], "match": fmt.Sprint(t.Match), "recheck": span(t.Recheck), "fresh": span(t.Fresh), "stale": span(t.Stale), "grace": span(t.Grace), "then": t.Then, "keep": strings.Join(t.Keep, ", "),
		"status": t.Status, "status_max_age": span(t.StatusMaxAge), "entitlements": entitlementLines(t.Entitlements), "entitled_for": endLines(t.EntitledFor), "meters": meterLines(t.Meters),
		"transfer": yes[t.Transfer.Allowed], "transfer_expiry": t.Transfer.Expiry, "transfer_limit": whole(t.Transfer.Limit), "transfer_period": span(t.Transfer.Period), "transfer_approval": yes[t.Transfer.Approval]} {
		f.Default(field, value)
	}
}

// renewals are what a renewal can be counted from.
func renewals() []ui.Option {
	return []ui.Option{{Value: "from_expiry", Name: "The day it ends"}, {Value: "from_now_if_expired", Name: "The day it ends, or today once that is past"}, {Value: "from_now", Name: "Today"}}
}

// renewsFrom is what a renewal is counted from, in words.
func renewsFrom(basis string) string {
	for _, o := range renewals() {
		if o.Value == basis {
			return o.Name
		}
	}
	return renewals()[0].Name
}

// whole is a number, "" for none.
func whole(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// readPolicy lays what the form says over terms; what the form does not show stays.
func readPolicy(f *ui.Form, t license.Terms) license.Terms {
	t.Type, t.Duration, t.ExpiryBasis, t.RenewalBasis, t.Expired = f.Text("type"), seconds(f, "duration"), f.Text("expiry_basis"), f.Text("renewal_basis"), f.Text("expired")
	t.ExpiryGrace, t.UpdatesFor, t.MaxVersion = seconds(f, "expiry_grace"), seconds(f, "updates_for"), f.Text("max_version")
	t.Seats.N, t.Seats.By, t.Seats.Floating = f.Int("seats", 0), f.Text("by"), f.Has("floating")
	t.OveragePercent, t.OverLimit, t.DeadAfter, t.ReviveWithin = f.Int("overage", 0), f.Text("over_limit"), seconds(f, "dead_after"), seconds(f, "revive_within")
	t.Activation = doc.ActivationNone
	if f.Has("activation") {
		t.Activation = doc.ActivationRequired
	}
	t.Match, t.Recheck, t.Fresh, t.Stale, t.Grace, t.Then = f.Int("match", 0), seconds(f, "recheck"), seconds(f, "fresh"), seconds(f, "stale"), seconds(f, "grace"), f.Text("then")
	t.Keep = strings.FieldsFunc(f.Text("keep"), func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	t.Status, t.StatusMaxAge = f.Text("status"), seconds(f, "status_max_age")
	t.Entitlements, t.EntitledFor, t.Meters = entitlements(f, "entitlements"), readEnds(f, "entitled_for"), readMeters(f, "meters")
	transfer := license.Transfer{Allowed: f.Has("transfer"), Approval: f.Has("transfer_approval"), Expiry: f.Text("transfer_expiry"), Limit: f.Int("transfer_limit", 0), Period: seconds(f, "transfer_period")}
	if t.Transfer = (license.Transfer{}); transfer.Allowed {
		t.Transfer = transfer
	}
	if offline := t.Fresh + t.Stale + t.Grace; t.Seats.Floating && t.DeadAfter < offline {
		f.Wrong("dead_after", "a floating seat stays taken at least as long as a device may work offline, which is "+spanWords(offline)+" here")
	}
	return t
}

// policyFields maps what the operation calls the fields that err is about to what the form calls them.
func policyFields(err error) map[string]string {
	out := map[string]string{}
	var told *licensing.Error
	if !errors.As(err, &told) {
		return out
	}
	for _, field := range told.Fields {
		name := strings.TrimPrefix(strings.TrimPrefix(field.Name, "/"), "terms/")
		first, _, _ := strings.Cut(name, "/")
		switch {
		case name == "seats/n":
			name = "seats"
		case name == "seats/by":
			name = "by"
		case name == "overage_percent":
			name = "overage"
		case name == "product_id":
			name = "product"
		case first == "transfer":
			name = strings.ReplaceAll(name, "/", "_")
		case first == "entitled_for" || first == "meters":
			name = first
		}
		out[field.Name] = name
	}
	return out
}
