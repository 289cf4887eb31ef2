package lite

import (
	"testing"
	"time"
)

// Instants are read as time.Parse reads them, and what is not one as written here is left to it.
func TestStoredInstants(t *testing.T) {
	t.Parallel()
	for at := time.Date(1999, 12, 31, 23, 59, 59, 999999000, time.UTC); at.Year() < 2105; at = at.Add(613*time.Hour + 7*time.Minute + 11*time.Second + 1234567*time.Microsecond) {
		if got, ok := stored(at.Format(TimeFormat)); !ok || got != at {
			t.Fatalf("%s is read as %v, %v", at.Format(TimeFormat), got, ok)
		}
	}
	for _, text := range []string{"", "now", "2026-02-29T00:00:00.000000Z", "2026-04-31T00:00:00.000000Z", "2026-13-01T00:00:00.000000Z", "2026-00-01T00:00:00.000000Z", "2026-01-00T00:00:00.000000Z",
		"2026-01-01T24:00:00.000000Z", "2026-01-01T00:60:00.000000Z", "2026-01-01T00:00:60.000000Z", "2026-01-01 00:00:00.000000Z", "2026-01-01T00:00:00.00000Z", "2026-01-01T00:00:00.0000000Z", "2026-01-01T00:00:00.000000z",
		"2026-01-0/T00:00:00.000000Z", "2026-01-0:T00:00:00.000000Z"} {
		if got, ok := stored(text); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
