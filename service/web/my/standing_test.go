package my

import (
	"testing"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
)

// What decides is said first, and everything else that was found after it; only what its owner can act on wants attention.
func TestStanding(t *testing.T) {
	t.Parallel()
	v := license.View{Decision: eval.Decision{Allowed: true, Code: eval.ActivationRequired, Findings: []eval.Finding{{Code: eval.ActivationRequired}, {Code: eval.ExpiringSoon}}}}
	if got := standing(&v); len(got) != 2 || got[0].Word != "Not in use yet" || got[1].Word != "Expires soon" || !attention(&v) {
		t.Errorf("%+v, %v", got, attention(&v))
	}
	for code, want := range map[eval.Code]bool{eval.Valid: false, eval.Revoked: false, eval.ActivationRequired: false, eval.ExpiringSoon: true, eval.InGrace: true, eval.Expired: true, eval.Suspended: true} {
		v.Decision = eval.Decision{Code: code, Findings: []eval.Finding{{Code: code}}}
		if attention(&v) != want {
			t.Errorf("%s: %v", code, !want)
		}
	}
}
