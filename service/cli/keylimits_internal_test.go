package cli

import (
	"fmt"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
)

// A limit that is changed keeps what it does not say itself, where its kind stays the same.
func TestLimitsKeepWhatIsNotSaid(t *testing.T) {
	t.Parallel()
	limits := []apikey.Limit{
		{Name: "quota", Count: 5, Every: licensing.Every("month"), Zone: "Europe/Berlin", Degraded: apikey.Open},
		{Name: "rate", Count: 60, Seconds: 60, Burst: 10, Degraded: apikey.Closed},
	}
	for set, want := range map[string]string{
		"quota=9/month": "map[count:9 degraded:open every:month name:quota zone:Europe/Berlin]",
		"quota=9/60":    "map[count:9 degraded:open name:quota seconds:60]",
		"rate=90/60":    "map[burst:10 count:90 degraded:closed name:rate seconds:60]",
		"rate=8/60":     "map[burst:8 count:8 degraded:closed name:rate seconds:60]",
		"rate=8/day":    "map[count:8 degraded:closed every:day name:rate]",
	} {
		out, err := (&apikeyLimits{Set: []string{set}}).changed(append([]apikey.Limit{}, limits...))
		if err != nil || fmt.Sprint(out[0]) != want {
			t.Errorf("%s: %v, %v", set, out, err)
		}
	}
}
