package licensing_test

import (
	"slices"
	"testing"

	"github.com/mintreu/mintreu/licensing"
)

// Whatever a spreadsheet would take for a formula is text; numbers and everything else stay as they are.
func TestInert(t *testing.T) {
	row := []string{"\uff1d1+1", "\uff0bcmd", "\uff0da", "\uff20SUM(A1)", "\n=1", " =1", "\u3000\uff1d1", "\ufeff@a", " a", "\xff=1", " ", "=1+1", "+cmd", "-a", "@SUM(A1)", "\t=1", "\r=1", "-1 ", "-12", "12", "", "a=1", "2027-03-01T12:00:00Z"}
	want := []string{"'\uff1d1+1", "'\uff0bcmd", "'\uff0da", "'\uff20SUM(A1)", "'\n=1", "' =1", "'\u3000\uff1d1", "'\ufeff@a", " a", "\xff=1", " ", "'=1+1", "'+cmd", "'-a", "'@SUM(A1)", "'\t=1", "'\r=1", "'-1 ", "-12", "12", "", "a=1", "2027-03-01T12:00:00Z"}
	if got := licensing.Inert(row); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
