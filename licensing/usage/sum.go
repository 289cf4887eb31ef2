package usage

import (
	"bytes"
	"cmp"
	"hash/fnv"
	"slices"
	"time"
)

// Span is a length of time that sums are kept by, in UTC.
type Span string

// The spans. Quarters of an hour are the finest, because the offsets of time zones are multiples of them; days and months are their
// sums, so that a year need not be read quarter by quarter.
const (
	Quarter Span = "quarter"
	Day     Span = "day"
	Month   Span = "month"
)

// spans lists them from the finest.
var spans = [...]Span{Quarter, Day, Month}

// Begin is the beginning of the span in which an instant lies.
func (s Span) Begin(at time.Time) time.Time {
	at = at.UTC()
	switch s {
	case Month:
		return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	case Day:
		return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	}
	return at.Truncate(quarter)
}

// next is the beginning of the span after the one that begins at an instant.
func (s Span) next(at time.Time) time.Time {
	switch s {
	case Month:
		return at.AddDate(0, 1, 0)
	case Day:
		return at.AddDate(0, 0, 1)
	}
	return at.Add(quarter)
}

// All stands for all subjects or groups together; no code has such a character.
const All = "*"

// Shards is how many scopes a product's own sums are spread over, so that its busy sources do not wait for one row.
const Shards = 16

// Scope names one of a product's shards. The sums of the product are those of all.
func Scope(product, env string, shard int) string {
	return product + "/" + env + "/" + string("0123456789abcdef"[shard%Shards])
}

func shardOf(source string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(source))
	return int(h.Sum32() % Shards)
}

// Key names what is added up. Scope is a carrier or one of a product's shards.
type Key struct {
	Scope, Meter, Subject, Group string
	Span                         Span
	Starts                       time.Time
}

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Scope, o.Scope), cmp.Compare(k.Meter, o.Meter), cmp.Compare(k.Span, o.Span), cmp.Compare(k.Subject, o.Subject),
		cmp.Compare(k.Group, o.Group), k.Starts.Compare(o.Starts))
}

// Value is what happened. Late are those events that came more than a day after their quarter of an hour. LastAt is zero when there is
// no last number.
type Value struct {
	Events, Total, Max, Late int64
	LastAt                   time.Time
	LastID                   string
	Last                     int64
}

// Plus is both together. Of two events at the same instant the one with the higher id is the last.
func (v Value) Plus(o Value) Value {
	out := Value{Events: v.Events + o.Events, Total: v.Total + o.Total, Max: max(v.Max, o.Max), Late: v.Late + o.Late, LastAt: v.LastAt, LastID: v.LastID, Last: v.Last}
	if cmp.Or(o.LastAt.Compare(v.LastAt), cmp.Compare(o.LastID, v.LastID)) > 0 {
		out.LastAt, out.LastID, out.Last = o.LastAt, o.LastID, o.Last
	}
	return out
}

// Sum is what happened of a key.
type Sum struct {
	Key
	Value
}

// Member is one of the different values of a key.
type Member struct {
	Key
	Digest [memberLen]byte
}

const memberLen = 16

// LineKey names a line of an account: what a source counted of a meter on a day, for a calendar month. All in UTC.
type LineKey struct {
	Carrier, Meter, Source string
	Day, Month             time.Time
}

// Line is one line of the account of a carrier's meter.
type Line struct {
	LineKey
	First, Last, Batches int64 // numbers of the source's batches, and how many there were
	Events, Total, Late  int64
}

// Tally is a batch added up in every way in which it is kept, each list sorted so that no two batches wait for each other.
type Tally struct {
	Rows    []Sum // by carrier, subject and group
	Rolled  []Sum // the same for all subjects: by carrier and group, by carrier, by product
	Members []Member
	Lines   []Line
	Events  int64
	Total   int64
}

// adder makes a Tally.
type adder struct {
	carrier, shard, source string
	seq                    int64
	now                    time.Time
	rows, rolled           map[Key]Value
	members                map[Member]struct{}
	lines                  map[LineKey]Line
	events, total          int64
}

func newAdder(src *Source, seq int64, now time.Time) *adder {
	return &adder{carrier: src.Carrier, shard: Scope(src.ProductID, string(src.Env), shardOf(src.ID)), source: src.ID, seq: seq, now: now,
		rows: map[Key]Value{}, rolled: map[Key]Value{}, members: map[Member]struct{}{}, lines: map[LineKey]Line{}}
}

// clamped is when something happened: what cannot be, because it is to come or long before us, is now.
func (a *adder) clamped(at time.Time) time.Time {
	if at.After(a.now) || at.Before(earliest) {
		return a.now
	}
	return at
}

// instant is the quarter of an hour in which something is counted.
func (a *adder) instant(at time.Time) time.Time { return a.clamped(at).UTC().Truncate(quarter) }

// add adds what happened of a meter in the quarter of an hour that begins at an instant; member, unless empty, is one of its values.
func (a *adder) add(meter, subject, group string, at time.Time, v Value, member []byte) {
	if a.now.Sub(at) > lateFrom {
		v.Late = v.Events
	}
	a.events += v.Events
	a.total += v.Total
	key := LineKey{Carrier: a.carrier, Meter: meter, Source: a.source, Day: Day.Begin(a.now), Month: Month.Begin(at)}
	line := a.lines[key]
	a.lines[key] = Line{LineKey: key, First: a.seq, Last: a.seq, Batches: 1, Events: line.Events + v.Events, Total: line.Total + v.Total, Late: line.Late + v.Late}
	a.spread(Key{Scope: a.carrier, Meter: meter, Subject: subject, Group: group}, at, v, member)
}

// spread adds to every span of every sum that a value is part of.
func (a *adder) spread(base Key, at time.Time, v Value, member []byte) {
	all := Key{Scope: a.carrier, Meter: base.Meter, Subject: All, Group: All}
	wide := []Key{all, {Scope: a.shard, Meter: base.Meter, Subject: All, Group: All}}
	if base.Group != "" {
		all.Group = base.Group
		wide = append(wide, all)
	}
	put := func(to map[Key]Value, k Key) {
		for _, span := range spans {
			k.Span, k.Starts = span, span.Begin(at)
			to[k] = to[k].Plus(v)
			if member != nil {
				m := Member{Key: k}
				copy(m.Digest[:], member)
				if m.Scope == a.shard {
					m.Scope = a.shard[:len(a.shard)-1] // values are not added up, so the product has one scope of them
				}
				a.members[m] = struct{}{}
			}
		}
	}
	put(a.rows, base)
	for _, k := range wide {
		put(a.rolled, k)
	}
}

func (a *adder) tally() Tally {
	t := Tally{Rows: sorted(a.rows), Rolled: sorted(a.rolled), Events: a.events, Total: a.total}
	for m := range a.members {
		t.Members = append(t.Members, m)
	}
	slices.SortFunc(t.Members, func(x, y Member) int { return cmp.Or(x.compare(y.Key), bytes.Compare(x.Digest[:], y.Digest[:])) })
	for _, l := range a.lines {
		t.Lines = append(t.Lines, l)
	}
	slices.SortFunc(t.Lines, func(x, y Line) int { return cmp.Or(cmp.Compare(x.Meter, y.Meter), x.Month.Compare(y.Month)) })
	return t
}

func sorted(sums map[Key]Value) []Sum {
	list := make([]Sum, 0, len(sums))
	for k, v := range sums {
		list = append(list, Sum{k, v})
	}
	slices.SortFunc(list, func(a, b Sum) int { return a.compare(b.Key) })
	return list
}
