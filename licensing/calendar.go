package licensing

import (
	"path"
	"sync"
	"time"
	_ "time/tzdata" // zones are the same on a machine that has no database of them
)

// Every is a period of the calendar, by which quotas, refills and reports are counted.
type Every string

// The periods. A week begins on Monday (ISO 8601).
const (
	Hourly  Every = "hour"
	Daily   Every = "day"
	Weekly  Every = "week"
	Monthly Every = "month"
	Yearly  Every = "year"
)

// Valid reports whether it is one of the periods.
func (e Every) Valid() bool {
	switch e {
	case Hourly, Daily, Weekly, Monthly, Yearly:
		return true
	}
	return false
}

// Period returns the period that an instant lies in, in UTC: from is in it, until in the next one. The periods of a zone follow each
// other without gap or overlap, whatever its clocks do. A day begins with its first instant, where midnight is skipped or comes twice.
func (e Every) Period(at time.Time, zone *time.Location) (from, until time.Time) {
	if e == Hourly { // clocks that change repeat or skip hours, and some change by half of one: hours are counted by instants
		_, offset := time.Date(2000, 1, 1, 0, 0, 0, 0, zone).Zone()
		shift := time.Duration(offset) * time.Second % time.Hour
		from = at.Add(shift).Truncate(time.Hour).Add(-shift)
		return from.UTC(), from.Add(time.Hour).UTC()
	}
	at = at.In(zone)
	n := 0 // dates go back where clocks do so over midnight
	for e.starts(at, n).After(at) {
		n--
	}
	for !e.starts(at, n+1).After(at) {
		n++
	}
	return e.starts(at, n).UTC(), e.starts(at, n+1).UTC()
}

// Dates are the dates of the calendar from which and before which the period goes that begins at from, as instants of UTC: they are the same in every
// zone, whenever its clocks reach them. Those of an hour are the hour of UTC in which it begins. No zone is in the period any more at over.
func (e Every) Dates(from time.Time, zone *time.Location) (first, next, over time.Time) {
	if e == Hourly {
		first = from.UTC().Truncate(time.Hour)
		return first, first.Add(time.Hour), first.Add(2 * time.Hour)
	}
	y, m, d := from.In(zone).Date()
	first = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	first, next = e.starts(first, 0), e.starts(first, 1)
	return first, next, next.Add(behind)
}

// behind is more than how far the clock of any zone was ever behind UTC.
const behind = 16 * time.Hour

// starts is when the period begins that lies n periods after the one of the date of at.
func (e Every) starts(at time.Time, n int) time.Time {
	y, m, d := at.Date()
	switch e {
	case Weekly:
		d += 7*n - (int(at.Weekday())+6)%7
	case Monthly:
		m, d = m+time.Month(n), 1
	case Yearly:
		y, m, d = y+n, time.January, 1
	default:
		d += n
	}
	return dayStart(y, m, d, at.Location())
}

// dayStart is the first instant of a date, or of the next one where a zone leaves the whole date out.
func dayStart(year int, month time.Month, day int, zone *time.Location) time.Time {
	want := number(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
	at := time.Date(year, month, day, 0, 0, 0, 0, zone)
	begins, ends := at.ZoneBounds()
	switch got := number(at); {
	case got < want: // midnight is skipped, and was read by the clock before
		return ends
	case got > want || at.Hour()+at.Minute()+at.Second() > 0: // and was read by the clock after
		return begins
	}
	if begins.IsZero() {
		return at
	}
	if before := begins.Add(-1).In(zone); number(before) == want { // it comes twice
		return time.Date(year, month, day, 0, 0, 0, 0, time.FixedZone(before.Zone())).In(zone)
	}
	return at
}

// number is a date as a number that grows with it.
func number(at time.Time) int {
	y, m, d := at.Date()
	return (y*100+int(m))*100 + d
}

var zones sync.Map // name to *time.Location; Zone takes each name in one spelling, so the database of zones bounds them

// longestZone is longer than every name of a zone.
const longestZone = 64

// Zone returns the zone of a name of the IANA database, UTC for "". "Local", which is another zone on every machine, is none, and so is a name
// that is another way to the same file.
func Zone(name string) (*time.Location, bool) {
	if name == "" {
		return time.UTC, true
	}
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location), true
	}
	if len(name) > longestZone || path.Clean(name) != name {
		return nil, false
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, false
	}
	zones.Store(name, zone)
	return zone, true
}
