package usage

import (
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// The windows that a query may ask for.
const (
	windowQuarter = "quarter"
	windowHour    = "hour"
	windowDay     = "day"
	windowMonth   = "month"
)

// maxWindows bounds an answer: a year of quarters of an hour fits.
const maxWindows = 36_000

// windowStart is the beginning of the window of a kind in which an instant lies.
func windowStart(kind string, at time.Time) time.Time {
	switch kind {
	case windowMonth, windowDay:
		from, _ := licensing.Every(kind).Period(at, at.Location())
		return from.In(at.Location())
	case windowHour:
		return at.Truncate(quarter).Add(-time.Duration(at.Minute()/15) * quarter)
	}
	return at.Truncate(quarter)
}

// windowNext is the beginning of the window after the one that begins at an instant.
func windowNext(kind string, at time.Time) time.Time {
	switch kind {
	case windowMonth, windowDay:
		_, until := licensing.Every(kind).Period(at, at.Location())
		return until.In(at.Location())
	case windowHour: // where clocks are moved by half an hour, one window is shorter
		next := windowStart(windowHour, at.Add(time.Hour))
		if !next.After(at) {
			return at.Add(time.Hour)
		}
		return next
	}
	return at.Add(quarter)
}

// Bounds are the beginnings of the windows of a kind from the one in which from lies, and the end of the last one, the first that does
// not begin before to. All are beginnings of a quarter of an hour, in the zone asked for.
func Bounds(kind string, from, to time.Time, loc *time.Location) ([]time.Time, error) {
	if !from.Before(to) {
		return nil, errQuery.With("to", "must lie after from")
	}
	at := windowStart(kind, from.In(loc))
	out := []time.Time{at}
	for at.Before(to) {
		if len(out) > maxWindows {
			return nil, errQuery.With("window", "there are more than %d of them; ask for longer ones or a shorter time", maxWindows)
		}
		at = windowNext(kind, at)
		out = append(out, at)
	}
	return out, nil
}

// Range is a stretch of time in which the sums of one span are to be read.
type Range struct {
	Span     Span
	From, To time.Time
}

// cover cuts the time between the first and the last bound into ranges of the longest spans that no bound cuts in two: months and days
// in UTC as far as they lie whole in one window, quarters of an hour elsewhere.
func cover(bounds []time.Time) []Range {
	var out []Range
	at, end := bounds[0].UTC(), bounds[len(bounds)-1].UTC()
	cut := 1 // the first bound after at
	for at.Before(end) {
		for !bounds[cut].After(at) {
			cut++
		}
		span := Quarter
		for _, longer := range []Span{Month, Day} {
			if longer.Begin(at).Equal(at) && !longer.next(at).After(bounds[cut]) {
				span = longer
				break
			}
		}
		next := span.next(at)
		if span == Quarter { // to the end of the day: what is left of it is quarters anyhow
			if next = Day.next(Day.Begin(at)); next.After(end) {
				next = end
			}
		}
		if n := len(out); n > 0 && out[n-1].Span == span && out[n-1].To.Equal(at) {
			out[n-1].To = next
		} else {
			out = append(out, Range{span, at, next})
		}
		at = next
	}
	return out
}

// windowOf is the index of the window in which the beginning of a sum lies.
func windowOf(bounds []time.Time, starts time.Time) int {
	i, found := slices.BinarySearchFunc(bounds, starts, time.Time.Compare)
	if found {
		return i
	}
	return i - 1
}

var errQuery = licensing.Fail(licensing.Invalid, "usage-query", "The question cannot be answered; see the fields.")
