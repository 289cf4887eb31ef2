package my

import (
	"testing"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
)

// What decides is said first, and everything else that was found after it.
func TestStanding(t *testing.T) {
	t.Parallel()
	v := license.View{Decision: eval.Decision{Allowed: true, Code: eval.ActivationRequired, Findings: []eval.Finding{{Code: eval.ActivationRequired}, {Code: eval.ExpiringSoon}}}}
	if got := standing(&v); len(got) != 2 || got[0].Word != "Not in use yet" || got[1].Word != "Expires soon" {
		t.Errorf("%+v", got)
	}
}
