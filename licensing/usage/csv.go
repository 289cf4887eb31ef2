package usage

import (
	"strconv"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// CSV is the answer as a table: a row of names, and one a window, with instants in the zone asked for.
func (r QueryResponse) CSV() [][]string {
	loc, ok := licensing.Zone(r.Zone)
	if !ok {
		loc = time.UTC
	}
	out := [][]string{{"starts", "ends", "value", "events", "sum", "max", "late"}}
	for i := range r.Windows {
		w := &r.Windows[i]
		out = append(out, append([]string{w.Starts.In(loc).Format(time.RFC3339), w.Ends.In(loc).Format(time.RFC3339)}, numbers(w.Value, w.Events, w.Sum, w.Max, w.Late)...))
	}
	return out
}

// CSV is the answer as a table: a row of names, and one for each who used something.
func (r TopResponse) CSV() [][]string {
	out := [][]string{{"name", "value", "events", "sum", "max"}}
	for i := range r.Items {
		c := &r.Items[i]
		out = append(out, append([]string{c.Name}, numbers(c.Value, c.Events, c.Sum, c.Max)...))
	}
	return out
}

func numbers(n ...int64) []string {
	out := make([]string, len(n))
	for i := range n {
		out[i] = strconv.FormatInt(n[i], 10)
	}
	return out
}
