package cli

import (
	"maps"
	"strings"
	"testing"
)

// A feature is a mere yes, a number or a text; false, which as a text would grant it, is refused with what to do.
func TestFeatures(t *testing.T) {
	t.Parallel()
	got, err := features([]string{"export", "sync=TRUE", "projects=12", "tier=gold", "note=a=b", "empty="})
	want := map[string]any{"export": true, "sync": true, "projects": int64(12), "tier": "gold", "note": "a=b", "empty": ""}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, word := range []string{"export=false", "export=FALSE"} {
		if got, err := features([]string{"sync", word}); err == nil || !strings.Contains(err.Error(), "leave it out") {
			t.Errorf("%s: %v, %v", word, got, err)
		}
	}
}
