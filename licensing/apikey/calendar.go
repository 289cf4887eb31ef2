package apikey

import (
	"sync"
	"time"
)

// Every is the calendar period of a quota.
type Every string

// The periods. A week begins on Monday (ISO 8601).
const (
	Hourly  Every = "hour"
	Daily   Every = "day"
	Weekly  Every = "week"
	Monthly Every = "month"
	Yearly  Every = "year"
)

func (e Every) valid() bool {
	switch e {
	case Hourly, Daily, Weekly, Monthly, Yearly:
		return true
	}
	return false
}

// Period returns the period that an instant lies in: from is in it, until in the next one. The periods of a zone follow each
// other without gap or overlap, whatever its clocks do; a day that begins at a time which is skipped begins when the clocks go on.
func (e Every) Period(at time.Time, zone *time.Location) (from, until time.Time) {
	if e == Hourly { // clocks that change repeat or skip hours, and some change by half of one: hours are counted by instants
		_, offset := time.Date(2000, 1, 1, 0, 0, 0, 0, zone).Zone()
		shift := time.Duration(offset) * time.Second % time.Hour
		from = at.Add(shift).Truncate(time.Hour).Add(-shift)
		return from.UTC(), from.Add(time.Hour).UTC()
	}
	at = at.In(zone)
	n := 0
	for e.starts(at, n).After(at) {
		n--
	}
	for !e.starts(at, n+1).After(at) {
		n++
	}
	return e.starts(at, n).UTC(), e.starts(at, n+1).UTC()
}

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
	start := time.Date(y, m, d, 0, 0, 0, 0, at.Location())
	if start.Hour() == 23 { // midnight is skipped, and the time before was taken: the day begins with the first instant after
		_, end := start.ZoneBounds()
		if !end.IsZero() {
			start = end
		}
	}
	return start
}

var zones sync.Map // name to *time.Location; names are bounded by the database of zones

// zoneOf returns the zone of a name, UTC for "".
func zoneOf(name string) (*time.Location, bool) {
	if name == "" {
		return time.UTC, true
	}
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location), true
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, false
	}
	zones.Store(name, zone)
	return zone, true
}
