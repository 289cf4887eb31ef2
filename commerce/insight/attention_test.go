package insight

import (
	"testing"

	"github.com/mintreu/mintreu/sdk/eval"
)

// TestAttention: a license wants something of its owner unless all is well, it is over for good, or merely no device uses it yet; every code
// of package sdk/eval has its place in the table.
func TestAttention(t *testing.T) {
	t.Parallel()
	quiet := map[eval.Code]bool{eval.Valid: true, eval.Revoked: true, eval.ActivationRequired: true}
	for _, code := range append(eval.Codes(), "NEVER_HEARD_OF") {
		d := eval.Decision{Code: code, Findings: []eval.Finding{{Code: code}}}
		if got := attention(&d); got == quiet[code] {
			t.Errorf("%s: %v", code, got)
		}
	}
	for code, want := range map[eval.Code]bool{eval.Valid: false, eval.Revoked: false, eval.ActivationRequired: false, eval.ExpiringSoon: true, eval.InGrace: true, eval.Expired: true, eval.Suspended: true} {
		d := eval.Decision{Code: code, Findings: []eval.Finding{{Code: code}}}
		if got := attention(&d); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
	if d := (eval.Decision{Code: eval.ActivationRequired, Findings: []eval.Finding{{Code: eval.ActivationRequired}, {Code: eval.ExpiringSoon}}}); !attention(&d) {
		t.Error("one that is not in use yet and ends soon wants nothing")
	}
}
