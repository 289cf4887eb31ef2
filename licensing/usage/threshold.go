package usage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// Thresholds keeps at which parts of quotas owners are told, and what was told. Writers run in the caller's transaction.
type Thresholds interface {
	// Percents are those that were set, by meter.
	Percents(ctx context.Context, license string) (map[string][]int64, error)
	SetPercents(ctx context.Context, license, meter string, percents []int64, at time.Time) error
	// Crossed are the parts of a quota that were told of in a period.
	Crossed(ctx context.Context, license, meter string, starts time.Time) ([]int64, error)
	// Alerts are both by one question: the parts that were set, and what was told in the periods that begin at any of some instants, the lowest first.
	Alerts(ctx context.Context, license string, starts []time.Time) (set map[string][]int64, told []Crossing, err error)
	// Cross keeps that a part was reached, and reports false when that was kept before.
	Cross(ctx context.Context, c Crossing) (bool, error)
	// Seen is what a license was seen to have used, in the present periods and those shortly before.
	Seen(ctx context.Context, license string) ([]Seen, error)
	// See keeps what was seen of one meter's periods, and forgets those that began before an instant.
	See(ctx context.Context, license, meter string, list []Seen, before time.Time) error
	// Watched is up to when usage was looked through, zero before the first time; Watch moves that on.
	Watched(ctx context.Context) (time.Time, error)
	Watch(ctx context.Context, at time.Time) error
	// Counted are sources of licenses with quotas that counted something since an instant, and such licenses that changed since, in order,
	// after one of them.
	Counted(ctx context.Context, since time.Time, after Mark, limit int) ([]Mark, error)
}

// Mark is a source that counted something: when, and for which license. For a license that changed Source is its own id.
type Mark struct {
	At      time.Time
	Source  string
	License string
}

// Seen is what was used of a meter in a period, by the name of the period and its beginning, when it was last looked at.
type Seen struct {
	Meter, Period string
	Starts        time.Time
	Used          int64
}

// Crossing is a part of a quota that a license reached in a period. Ends is zero for a term.
type Crossing struct {
	License, Owner, Product, ProductID string
	Meter, Name, Unit, Period          string
	Starts, Ends                       time.Time
	Percent, Used, Quota               int64
	At                                 time.Time
}

// Notices tells the owner of a license, in the caller's transaction.
type Notices interface {
	Threshold(ctx context.Context, c Crossing) error
}

// usualPercents are the parts of a quota that are told of unless others are set.
func usualPercents() []int64 { return []int64{50, 80, 100} }

const (
	maxPercents = 10
	maxPercent  = 1000
	overlap     = time.Minute // how long a transaction may take, and clocks may differ
	markPage    = 500
	heldFor     = time.Hour          // how long usage of a license that cannot be looked at is come back to
	lateFor     = 7 * 24 * time.Hour // how late usage of a period that is over is told of; the period before the present one is always looked at
)

// percentsOf are the parts of a quota that are told of.
func percentsOf(set map[string][]int64, meter string) []int64 {
	if p, ok := set[meter]; ok {
		return p
	}
	return usualPercents()
}

// Look tells owners of each part of a quota that was reached since last time: in the present period, and in those before, back to the one that
// lay a week ago, by what came in late. A part of a period that is over is told of only when what came in since it was last looked at reached
// it: parts that are new, a quota that was lowered, and a meter that has a quota for the first time are no news of the past. Each part is told
// of once a period: what was told is kept under a key of license, meter, period and part, in the transaction that tells, so that any number of
// processes may look at once and again. A license that changed is looked at, too: where its quota was lowered below what is used, and its product stops
// for that, nothing more may be counted. A license that cannot be looked at keeps no other from being told of,
// and is come back to for an hour. It runs every few seconds.
func (s *Service) Look(ctx context.Context) error {
	began := s.Clock.Now()
	since, err := s.Thresholds.Watched(ctx)
	if err != nil {
		return err
	}
	if !since.IsZero() {
		since = since.Add(-overlap)
	}
	seen := map[string]bool{}
	var failed error
	upto := began // where the next time begins
	var after Mark
	for {
		marks, err := s.Thresholds.Counted(ctx, since, after, markPage)
		if err != nil {
			return err
		}
		for _, m := range marks {
			if seen[m.License] {
				continue
			}
			seen[m.License] = true
			if err := s.look(ctx, m.License, began); err != nil && !errors.Is(err, licensing.ErrNotFound) {
				if ctx.Err() != nil {
					return err
				}
				failed = errors.Join(failed, fmt.Errorf("%s: %w", m.License, err))
				if m.At.Before(upto) && began.Sub(m.At) < heldFor {
					upto = m.At
				}
			}
		}
		if len(marks) < markPage {
			return errors.Join(failed, s.Thresholds.Watch(ctx, upto))
		}
		after = marks[len(marks)-1]
		reached := upto
		if after.At.Before(reached) {
			reached = after.At
		}
		if err := s.Thresholds.Watch(ctx, reached); err != nil {
			return errors.Join(failed, err)
		}
	}
}

// look tells of what one license reached.
func (s *Service) look(ctx context.Context, id string, now time.Time) error {
	l, err := s.Licenses.Get(ctx, license.GetRequest{ID: id})
	if err != nil || len(l.Terms.Meters) == 0 {
		return err
	}
	meters, err := s.Store.MetersFor(ctx, l.ProductID)
	if err != nil {
		return err
	}
	set, err := s.Thresholds.Percents(ctx, id)
	if err != nil {
		return err
	}
	seen, err := s.Thresholds.Seen(ctx, id)
	if err != nil {
		return err
	}
	for _, code := range slices.Sorted(maps.Keys(l.Terms.Meters)) {
		q := l.Terms.Meters[code]
		if q.Quota <= 0 {
			continue
		}
		c := Crossing{License: id, Owner: l.Owner, Product: l.Product, ProductID: l.ProductID, Meter: code, Period: q.Period, Quota: q.Quota, At: now}
		m := named(meters, code)
		c.Name, c.Unit = m.Name, m.Unit
		if err := s.lookAt(ctx, c, &m, percentsOf(set, code), seen); err != nil {
			return err
		}
	}
	return nil
}

// lookAt tells of what was reached of one quota, and keeps what it saw.
func (s *Service) lookAt(ctx context.Context, c Crossing, m *Meter, percents []int64, seen []Seen) error {
	before, known := map[int64]int64{}, false
	for _, v := range seen {
		if v.Meter == c.Meter && v.Period == c.Period {
			before[v.Starts.Unix()], known = v.Used, true
		}
	}
	cuts := periods(c.Period, c.At)
	_, ends := period(c.Period, c.At)
	term := ends.IsZero()
	sums, err := s.windows(ctx, Selection{Carrier: c.License, Meter: c.Meter}, m.Kind, cuts)
	if err != nil {
		return err
	}
	var fresh []Seen
	for i := range sums {
		c.Starts, c.Ends, c.Used = cuts[i], cuts[i+1], sums[i].of(m)
		was, there := before[c.Starts.Unix()]
		present, news := i == len(sums)-1, percents
		if !present { // what was reached before is told already, or not to be told
			news = slices.DeleteFunc(slices.Clone(percents), func(p int64) bool { return !known || beyond(was, c.Quota, p) })
		}
		if term {
			c.Ends = time.Time{}
		}
		if err := s.reached(ctx, c, news); err != nil {
			return err
		}
		if c.Used != was || present && !there {
			fresh = append(fresh, Seen{Meter: c.Meter, Period: c.Period, Starts: c.Starts, Used: c.Used})
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return s.Thresholds.See(ctx, c.License, c.Meter, fresh, cuts[0])
}

// periods are the beginnings of the periods that are looked at, the present one last, and its end. A term is one period.
func periods(name string, now time.Time) []time.Time {
	from, to := period(name, now)
	if to.IsZero() {
		return []time.Time{from, Month.next(Month.Begin(now))}
	}
	cuts := []time.Time{from, to}
	for oldest := now.Add(-lateFor); len(cuts) == 2 || cuts[0].After(oldest); {
		from, _ = period(name, cuts[0].Add(-time.Microsecond))
		cuts = slices.Insert(cuts, 0, from)
	}
	return cuts
}

// reached tells of the parts of a quota that were reached and not told of.
func (s *Service) reached(ctx context.Context, c Crossing, percents []int64) error {
	over := slices.DeleteFunc(slices.Clone(percents), func(p int64) bool { return !beyond(c.Used, c.Quota, p) })
	if len(over) == 0 {
		return nil
	}
	told, err := s.Thresholds.Crossed(ctx, c.License, c.Meter, c.Starts)
	if err != nil {
		return err
	}
	for _, p := range over {
		if slices.Contains(told, p) {
			continue
		}
		c.Percent = p
		if err := s.Tx.InTx(ctx, func(ctx context.Context) error {
			first, err := s.Thresholds.Cross(ctx, c)
			if err != nil || !first {
				return err
			}
			detail := map[string]any{"meter": c.Meter, "percent": p, "quota": c.Quota, "used": c.Used, "period": c.Period, "starts": c.Starts}
			if !c.Ends.IsZero() {
				detail["ends"] = c.Ends
			}
			if err := s.Notices.Threshold(ctx, c); err != nil {
				return err
			}
			return s.Audit.Record(ctx, licensing.Event{Action: "usage.threshold", Target: c.License, Product: c.ProductID, Detail: detail})
		}); err != nil {
			return err
		}
	}
	return nil
}

// beyond reports whether used is percent of quota or more, without overflow: quotas go up to 2^53-1, and so does what is used.
func beyond(used, quota, percent int64) bool {
	whole, rest := quota/100*percent, quota%100*percent
	return used >= whole && (used-whole)*100 >= rest
}

// ReachedView is a part of a quota that its owner was told of.
type ReachedView struct {
	Percent int64     `json:"percent" doc:"The part of the quota, in percent."`
	Used    int64     `json:"used" doc:"How much was counted when it was told of."`
	Quota   int64     `json:"quota" doc:"The quota then."`
	At      time.Time `json:"at" doc:"When it was told of, some seconds after it was reached."`
}

// alert notes on quotas of a license at which parts its owner is told, and what was told in their periods.
func (s *Service) alert(ctx context.Context, license string, views []*QuotaView) error {
	if len(views) == 0 {
		return nil
	}
	begins := make([]time.Time, len(views))
	for i, v := range views {
		v.Reached = []ReachedView{}
		begins[i], _ = period(v.Period, s.Clock.Now())
		if v.Starts != nil {
			begins[i] = *v.Starts
		}
	}
	set, told, err := s.Thresholds.Alerts(ctx, license, begins)
	for i, v := range views {
		v.Thresholds = percentsOf(set, v.Meter)
		for _, c := range told {
			if v.Meter == c.Meter && begins[i].Equal(c.Starts) {
				v.Reached = append(v.Reached, ReachedView{Percent: c.Percent, Used: c.Used, Quota: c.Quota, At: c.At})
			}
		}
	}
	return err
}

// ThresholdsRequest sets at which parts of a quota the owner of a license is told.
type ThresholdsRequest struct {
	License  string  `path:"id" doc:"The license."`
	Meter    string  `json:"meter" doc:"Code of the meter that the quota is on."`
	Percents []int64 `json:"percents" doc:"Parts of the quota in percent, 1 to 1000, up to ten; none for never. Unless set they are 50, 80 and 100."`
}

// ThresholdsView says at which parts of a quota the owner is told.
type ThresholdsView struct {
	License  string  `json:"license" doc:"The license."`
	Meter    string  `json:"meter" doc:"Code of the meter."`
	Percents []int64 `json:"percents" doc:"Parts of the quota in percent, the lowest first."`
}

// SetThresholds sets at which parts of a quota the owner of a license is told. What was told already in a period is not told again in it.
func (s *Service) SetThresholds(ctx context.Context, r ThresholdsRequest) (ThresholdsView, error) {
	if len(r.Percents) > maxPercents || slices.ContainsFunc(r.Percents, func(p int64) bool { return p < 1 || p > maxPercent }) {
		return ThresholdsView{}, errThreshold.With("/percents", "must be up to %d whole numbers of 1 to %d", maxPercents, maxPercent)
	}
	l, err := s.Licenses.Get(ctx, license.GetRequest{ID: r.License})
	if err != nil {
		return ThresholdsView{}, err
	}
	if _, ok := l.Terms.Meters[r.Meter]; !ok {
		return ThresholdsView{}, errThreshold.With("/meter", "must be the code of a meter that the license has a quota on")
	}
	percents := slices.Compact(slices.Sorted(slices.Values(r.Percents)))
	if percents == nil {
		percents = []int64{}
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Thresholds.SetPercents(ctx, l.ID, r.Meter, percents, s.Clock.Now()); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "usage.set_thresholds", Target: l.ID, Product: l.ProductID, Detail: map[string]any{"meter": r.Meter, "percents": percents}})
	})
	return ThresholdsView{License: l.ID, Meter: r.Meter, Percents: percents}, err
}

// Title is the meter's name as people read it.
func (c *Crossing) Title() string {
	if c.Name != "" {
		return c.Name
	}
	return strings.ReplaceAll(c.Meter, "_", " ")
}

var errThreshold = licensing.Fail(licensing.Invalid, "usage-threshold", "Nobody can be told at such parts of a quota; see the fields.")
