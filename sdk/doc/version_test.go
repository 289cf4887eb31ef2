package doc_test

import (
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// Newer orders versions as their makers do: by numbers, pre-releases first, builds alike; what is no version is never newer.
func TestNewer(t *testing.T) {
	t.Parallel()
	order := []string{"0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2", "1.10.0",
		"v2.0.0-rc1", "2.0.0", "10.0.0"}
	for i, a := range order {
		for j, b := range order {
			if doc.Newer(a, b) != (i > j) {
				t.Errorf("Newer(%q, %q) is %v", a, b, i <= j)
			}
		}
	}
	for _, pair := range [][2]string{{"1.0", "1.0.0"}, {"1.0.0+5", "1.0.0+4"}, {"v1", "1"}, {"", "1"}, {"2.x", "1"}, {"2", "one"}, {"..", "0"}, {"1.0.0-a", "1.0.0-a"}} {
		if doc.Newer(pair[0], pair[1]) {
			t.Errorf("%q is newer than %q", pair[0], pair[1])
		}
	}
}
