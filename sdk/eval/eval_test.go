package eval_test

import (
	"testing"

	"github.com/mintreu/mintreu/sdk/eval"
)

// Versions are compared number by number, as far as the limit goes.
func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range versions {
		if got := eval.Covers(c.limit, c.version); got != c.want {
			t.Errorf("Covers(%q, %q) = %v", c.limit, c.version, got)
		}
	}
}

// versions are limits and versions, and whether the one covers the other; the generated vectors have them too.
var versions = []struct {
	limit, version string
	want           bool
}{
	{"2", "2", true}, {"2", "2.0", true}, {"2", "1.99", true}, {"2", "3", false}, {"2", "10", false}, {"10", "9", true}, {"2.5", "2.5.9", true}, {"2.5", "2.6", false},
	{"2.5", "2", true}, {"2.0", "2.0.1", true}, {"2.0.0", "2.0.1", false}, {"v2", "v2.1", true}, {"2", "02.1", true}, {"2", "2.1-beta.3", true}, {"2", "2.1+build5", true},
	{"2", "", false}, {"2", "x", false}, {"2", "2..1", false}, {"2", ".2", false}, {"2", "2.", false}, {"2.x", "2.1", false}, {"2", "2.1.x", false},
	{"2", "99999999999999999999999999", false}, {"99999999999999999999999999", "2", true}, {"1.2.3", "1.2.3", true}, {"1.2.3", "1.2.4", false},
	{"1.2.3", "1.2.2.9", true}, {"1.10", "1.9", true}, {"1.9", "1.10", false}, {"0", "0.9", true}, {"0", "1", false}, {"2.1", "3.0", false},
	{"2.1", "1.9", true}, {"3", "v3.0.0-rc1", true}, {"2", "v3.0.0-rc1", false}, {"2", "V2", false}, {"2", "2 ", false}, {"2", "-1", false},
}
