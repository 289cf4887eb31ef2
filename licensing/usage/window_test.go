package usage

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// everyZone are zones of every kind: off by whole, half and three quarters of hours, on both sides of the date line, with clocks moved by
// an hour, by half an hour, and at midnight.
var everyZone = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tehran", "Asia/Kabul", "Asia/Yangon", "Asia/Colombo",
	"Australia/Adelaide", "Australia/Darwin", "Australia/Eucla", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Marquesas", "America/St_Johns", "Indian/Cocos", "Pacific/Kiritimati",
	"Pacific/Apia", "America/Havana", "Asia/Beirut", "Africa/Cairo", "America/Santiago", "America/Asuncion", "Africa/Casablanca", "Antarctica/Troll"}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, ok := licensing.Zone(name)
	if !ok {
		t.Fatalf("%s is not known", name)
	}
	return loc
}

// Windows of every kind in every kind of zone follow each other without a gap, begin at quarters of an hour, days begin with their date
// and have 23 to 25 hours, and the ranges that are read for them cover the time once, each within one window.
func TestWindows_AddUpInEveryZone(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	for _, name := range everyZone {
		loc := zone(t, name)
		for _, kind := range []string{windowQuarter, windowHour, windowDay, windowMonth} {
			from := time.Date(2025, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), 7, 0, time.UTC)
			length := map[string]time.Duration{windowQuarter: 40 * 24 * time.Hour, windowHour: 370 * 24 * time.Hour, windowDay: 800 * 24 * time.Hour, windowMonth: 1100 * 24 * time.Hour}[kind]
			cuts, err := Bounds(kind, from, from.Add(length), loc)
			if err != nil {
				t.Fatalf("%s by %s: %v", name, kind, err)
			}
			if cuts[0].After(from) || cuts[1].Before(from) || cuts[len(cuts)-1].Before(from.Add(length)) {
				t.Fatalf("%s by %s: from %v to %v for %v", name, kind, cuts[0], cuts[len(cuts)-1], from)
			}
			for i, at := range cuts {
				if at.UnixNano()%int64(quarter) != 0 {
					t.Fatalf("%s by %s: %v is not the beginning of a quarter of an hour", name, kind, at)
				}
				if i == 0 {
					continue
				}
				d := at.Sub(cuts[i-1])
				if d <= 0 || kind == windowHour && d > time.Hour+45*time.Minute || kind == windowDay && (d < 23*time.Hour || d > 25*time.Hour) && name != "Antarctica/Troll" {
					t.Fatalf("%s by %s: %v to %v", name, kind, cuts[i-1], at)
				}
				if kind == windowDay && (at.Add(-time.Nanosecond).Day() == at.Day()) {
					t.Fatalf("%s: the day does not begin at %v", name, at)
				}
				if kind == windowMonth && (at.Day() != 1 || at.Add(-time.Nanosecond).Month() == at.Month()) {
					t.Fatalf("%s: the month does not begin at %v", name, at)
				}
			}
			covered := cuts[0].UTC()
			for _, part := range cover(cuts) {
				if !part.From.Equal(covered) || !part.To.After(part.From) {
					t.Fatalf("%s by %s: %v begins where %v ended", name, kind, part, covered)
				}
				covered = part.To
				for at := part.From; at.Before(part.To); at = part.Span.next(at) {
					if w := windowOf(cuts, at); w < 0 || part.Span.next(at).After(cuts[w+1]) || !part.Span.Begin(at).Equal(at) {
						t.Fatalf("%s by %s: the %s from %v lies in two windows", name, kind, part.Span, at)
					}
				}
			}
			if !covered.Equal(cuts[len(cuts)-1]) {
				t.Fatalf("%s by %s: covered until %v", name, kind, covered)
			}
		}
	}
}

// The days on which clocks are moved have 23 and 25 hours, by the hour as well as by the day; a midnight that does not exist or comes
// twice does not lose or double one.
func TestWindows_DaysOfClockChange(t *testing.T) {
	for _, c := range []struct {
		zone, day string
		hours     float64
	}{
		{"Europe/Berlin", "2026-03-29", 23}, {"Europe/Berlin", "2026-10-25", 25}, {"America/New_York", "2026-03-08", 23}, {"America/New_York", "2026-11-01", 25},
		{"Australia/Lord_Howe", "2026-04-05", 24.5}, {"Australia/Lord_Howe", "2026-10-04", 23.5}, {"Pacific/Chatham", "2026-04-05", 25},
		{"America/Havana", "2026-03-08", 23}, {"America/Havana", "2026-11-01", 25}, {"Asia/Beirut", "2026-03-29", 23}, {"Africa/Cairo", "2026-04-24", 23}, {"America/Santiago", "2026-09-06", 23},
		{"Asia/Kathmandu", "2026-03-29", 24},
	} {
		loc := zone(t, c.zone)
		day, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		starts := windowStart(windowDay, time.Date(day.Year(), day.Month(), day.Day(), 12, 0, 0, 0, loc))
		ends := windowNext(windowDay, starts)
		if got := ends.Sub(starts).Hours(); got != c.hours || starts.Format(time.DateOnly) != c.day {
			t.Errorf("%s in %s begins at %v and has %v hours, want %v", c.day, c.zone, starts, got, c.hours)
		}
		hours, err := Bounds(windowHour, starts, ends, loc)
		if err != nil || !hours[0].Equal(starts) || !hours[len(hours)-1].Equal(ends) {
			t.Errorf("%s in %s by the hour: %v, %v", c.day, c.zone, hours, err)
		}
	}
}

// A year of months in UTC is read as months, in a zone as days and the quarters of the days that two months share; more windows than an
// answer can have are refused.
func TestWindows_ReadLongSpans(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cuts, err := Bounds(windowMonth, from, from.AddDate(1, 0, 0), time.UTC)
	if parts := cover(cuts); err != nil || len(parts) != 1 || parts[0].Span != Month || len(cuts) != 13 {
		t.Fatalf("%v, %v", parts, err)
	}
	loc := zone(t, "Asia/Kathmandu")
	if cuts, err = Bounds(windowMonth, time.Date(2026, 1, 1, 0, 0, 0, 0, loc), time.Date(2027, 1, 1, 0, 0, 0, 0, loc), loc); err != nil || len(cuts) != 13 {
		t.Fatalf("%v, %v", cuts, err)
	}
	quarters := time.Duration(0)
	for _, part := range cover(cuts) {
		if part.Span == Quarter {
			quarters += part.To.Sub(part.From)
		}
	}
	if quarters > 13*24*time.Hour {
		t.Fatalf("%v are read by the quarter of an hour", quarters)
	}
	if _, err := Bounds(windowQuarter, from, from.AddDate(1, 0, 0), loc); err != nil {
		t.Fatalf("a year of quarters: %v", err)
	}
	if _, err := Bounds(windowQuarter, from, from.AddDate(2, 0, 0), loc); err == nil {
		t.Fatal("two years of quarters are answered")
	}
	for _, name := range []string{"Local", "../etc/passwd", "Nowhere/None", "utc\x00"} {
		if _, ok := licensing.Zone(name); ok {
			t.Errorf("%q is a zone", name)
		}
	}
}
