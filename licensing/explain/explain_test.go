package explain

import (
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
)

// Every code of package sdk/eval has words of its own that say what to do, in whole sentences; an unknown code is admitted to be one.
func TestCode(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := Of(&license.View{Product: "editor", ProductName: "Editor", Env: "live", ValidUntil: &end, EndsAt: &end})
	words := map[string]eval.Code{}
	for _, code := range append(eval.Codes(), "NEVER_HEARD_OF") {
		for _, allowed := range []bool{false, true} {
			got := Code(code, allowed, v)
			if got.Word == "" || got.Text == "" || !strings.HasSuffix(got.Text, ".") || got.Do != "" && !strings.HasSuffix(got.Do, ".") {
				t.Errorf("%s: %+v", code, got)
			}
			if got.Tone != "good" && got.Tone != "wait" && got.Tone != "bad" || (got.Tone == "good") != (code == eval.Valid) {
				t.Errorf("%s has the tone %q", code, got.Tone)
			}
			if (got.Do == "") != (code == eval.Valid) {
				t.Errorf("%s: what to do is %q", code, got.Do)
			}
			if got.Code != string(code) {
				t.Errorf("%s is told as the code %q", code, got.Code)
			}
			if staff := got.ForStaff(); (staff.Do == "") != (got.Do == "") || strings.Contains(staff.Text, "Your") || strings.HasPrefix(staff.Do, "Ask us") {
				t.Errorf("%s for staff: %+v", code, staff)
			}
			if (got.Word == "Unclear") != (code == "NEVER_HEARD_OF") {
				t.Errorf("%s is told as %q", code, got.Word)
			}
			if other, taken := words[got.Word]; taken && other != code && !strings.HasSuffix(string(code), "_REQUIRED") {
				t.Errorf("%s and %s are both %q", code, other, got.Word)
			}
			words[got.Word] = code
		}
	}
	if got := Code(eval.Expired, true, v); got.Tone != "wait" || !strings.Contains(got.Text, "1\u00a0Mar\u00a02026, 12:00\u00a0UTC") {
		t.Errorf("a term that is over, with what it granted: %+v", got)
	}
	if got := Code(eval.Expired, false, v); got.Tone != "bad" {
		t.Errorf("expired: %+v", got)
	}
	v.ValidUntil, v.EndsAt = nil, nil
	if got := Code(eval.Valid, true, v); strings.Contains(got.Text, "until") {
		t.Errorf("a license without an end: %+v", got)
	}
}

// Who suspends a license is told apart, to its owner and to staff, with what each can do about it.
func TestSuspendedByWhom(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		v                 license.View
		word, text, owner string
		staff             string
	}{
		{license.View{HeldAt: &at}, "Suspended", "We have suspended", "Ask us", "Look in its history"},
		{license.View{DisputedAt: &at}, "Payment disputed", "is disputed", "Settle the dispute", "Wait for the end"},
		{license.View{LapsedAt: &at}, "Suspended at its end", "its term is over", "Renew it", "Renew it if it is paid"},
		{license.View{HeldAt: &at, DisputedAt: &at}, "Suspended", "We have suspended the license, and its payment is disputed", "settle the dispute", "Look in its history"},
		{license.View{HeldAt: &at, LapsedAt: &at}, "Suspended", "its term is over", "Ask us", "Look in its history"},
		{license.View{DisputedAt: &at, LapsedAt: &at}, "Payment disputed", "is disputed", "Settle the dispute", "Wait for the end"},
	} {
		got := Code(eval.Suspended, false, Of(&c.v))
		if staff := got.ForStaff(); got.Word != c.word || !strings.Contains(got.Text, c.text) || !strings.Contains(got.Do, c.owner) || !strings.Contains(staff.Do, c.staff) || strings.Contains(staff.Text, "We have") {
			t.Errorf("%+v; for staff %+v", got, staff)
		}
	}
}

// A license that is suspended is not called valid because no device uses it yet; one that is good is told to be unused.
func TestUnusedIsToldOfGoodLicensesAlone(t *testing.T) {
	t.Parallel()
	unused := eval.Finding{Code: eval.ActivationRequired, Effect: eval.Warn}
	for _, c := range []struct {
		d    eval.Decision
		want int
	}{
		{eval.Decision{Code: eval.Suspended, Findings: []eval.Finding{{Code: eval.Suspended, Effect: eval.Deny}, unused}}, 1},
		{eval.Decision{Allowed: true, Code: eval.ActivationRequired, Findings: []eval.Finding{unused, {Code: eval.ExpiringSoon, Effect: eval.Warn}}}, 2},
	} {
		if got := Decision(c.d, About{}); len(got) != c.want || got[0].Code != string(c.d.Code) {
			t.Errorf("%s: %+v", c.d.Code, got)
		}
	}
}
