package licensing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// TestPeriodsTile: in each zone, whatever its clocks do, every instant lies in one period, and the next begins where it ends.
func TestPeriodsTile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe",
		"Africa/Cairo", "America/Santiago", "Asia/Beirut", "Pacific/Apia", "America/Havana", "Asia/Tehran"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, every := range []licensing.Every{licensing.Hourly, licensing.Daily, licensing.Weekly, licensing.Monthly, licensing.Yearly} {
			at := time.Date(2011, 12, 25, 0, 0, 0, 0, zone)
			end := at.AddDate(3, 0, 0)
			if every == licensing.Hourly {
				at, end = time.Date(2018, 1, 1, 0, 0, 0, 0, zone), time.Date(2019, 1, 2, 0, 0, 0, 0, zone)
			}
			_, last := every.Period(at, zone)
			for at = last; at.Before(end); {
				from, until := every.Period(at, zone)
				if !from.Equal(at) || !until.After(from) {
					t.Fatalf("%s %s: the period of %s is %s to %s", name, every, at, from, until)
				}
				for _, inside := range []time.Time{at.Add(time.Nanosecond), at.Add(until.Sub(at) / 2), until.Add(-time.Nanosecond)} {
					if f, u := every.Period(inside, zone); !f.Equal(from) || !u.Equal(until) {
						t.Fatalf("%s %s: the period of %s is %s to %s, not %s to %s", name, every, inside, f, u, from, until)
					}
				}
				at = until
			}
		}
	}
}

// TestDates: in each zone, whatever its clocks do, each period has dates of its own, later than those of the one before, which are those of UTC on a day that
// both have; and it is over by the time that is said, for every zone at once.
func TestDates(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago",
		"Asia/Beirut", "Pacific/Apia", "America/Havana", "Asia/Tehran", "America/Asuncion", "America/Toronto", "America/St_Johns", "Asia/Gaza", "Asia/Amman", "Pacific/Kiritimati", "Etc/GMT+12", "America/Godthab"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, every := range []licensing.Every{licensing.Hourly, licensing.Daily, licensing.Weekly, licensing.Monthly, licensing.Yearly} {
			at, end := time.Date(2000, 1, 1, 0, 0, 0, 0, zone), time.Date(2030, 1, 1, 0, 0, 0, 0, zone)
			if every == licensing.Hourly {
				at, end = time.Date(2018, 1, 1, 0, 0, 0, 0, zone), time.Date(2019, 1, 2, 0, 0, 0, 0, zone)
			}
			var last time.Time
			for at.Before(end) {
				from, until := every.Period(at, zone)
				first, next, over := every.Dates(from, zone)
				if !first.After(last) || !next.After(first) || over.Before(until) {
					t.Fatalf("%s %s: the period %s to %s has the dates %s to %s and is over at %s, after %s", name, every, from, until, first, next, over, last)
				}
				if f, _, _ := every.Dates(first, time.UTC); !f.Equal(first) {
					t.Fatalf("%s %s: %s is %s in UTC", name, every, first, f)
				}
				last, at = first, until
			}
		}
	}
}

// TestPeriods: the days on which clocks change have 23 and 25 hours, a day begins with its first instant where midnight is skipped or comes twice,
// and is left out where a zone crossed the date line; a week begins on Monday, months and years on their first.
func TestPeriods(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		every           licensing.Every
		at, from, until string
	}{
		{licensing.Daily, "2026-03-29T12:00:00+02:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		{licensing.Daily, "2026-10-25T02:30:00+01:00", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
		{licensing.Hourly, "2026-10-25T02:30:00+01:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"},
		{licensing.Weekly, "2026-11-29T23:59:59+01:00", "2026-11-23T00:00:00+01:00", "2026-11-30T00:00:00+01:00"},
		{licensing.Monthly, "2024-02-29T23:59:59+01:00", "2024-02-01T00:00:00+01:00", "2024-03-01T00:00:00+01:00"},
		{licensing.Daily, "2026-11-01T00:30:00-04:00 America/Havana", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"},
		{licensing.Daily, "2026-11-01T00:30:00-05:00 America/Havana", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"},
		{licensing.Daily, "2026-04-24T12:00:00+03:00 Africa/Cairo", "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"},
		{licensing.Daily, "2011-12-29T12:00:00-10:00 Pacific/Apia", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{licensing.Yearly, "2025-12-31T23:30:00Z", "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"},
	} {
		parse := func(text string) time.Time {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		zone := berlin
		if at, name, ok := strings.Cut(c.at, " "); ok {
			if zone, ok = licensing.Zone(name); !ok {
				t.Fatal(name)
			}
			c.at = at
		}
		if from, until := c.every.Period(parse(c.at), zone); !from.Equal(parse(c.from)) || !until.Equal(parse(c.until)) {
			t.Errorf("%s of %s: %s to %s", c.every, c.at, from.In(zone), until.In(zone))
		}
	}
}

// A zone has one name: other ways to its file, which are without end and would fill the memory of zones, are no names, nor is what is too long
// for one.
func TestZone_OneSpelling(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"": true, "UTC": true, "Europe/Berlin": true, "America/Argentina/ComodRivadavia": true, "Local": false, "Nowhere": false, "Europe/./Berlin": false,
		"Europe/././Berlin": false, "Europe//Berlin": false, "./Europe/Berlin": false, "Europe/Berlin/": false, "Asia/../Europe/Berlin": false, "/Europe/Berlin": false,
		"Europe/" + strings.Repeat("x", 58): false, strings.Repeat("./", 1000) + "UTC": false,
	} {
		for range 2 {
			if zone, ok := licensing.Zone(name); ok != want || ok != (zone != nil) {
				t.Errorf("%q: %v, %t", name, zone, ok)
			}
		}
	}
}
