package feed_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/feed"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// log is a feed's store in memory, in which rows can appear late.
type log struct {
	rows []feed.Change
	err  error
}

func (l *log) LastChange(context.Context) (last int64, err error) {
	for _, c := range l.rows {
		last = max(last, c.Seq)
	}
	return last, l.err
}

func (l *log) ChangesAfter(_ context.Context, seq int64, limit int) (out []feed.Change, err error) {
	for _, c := range l.rows {
		if c.Seq > seq && len(out) < limit {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b feed.Change) int { return int(a.Seq - b.Seq) })
	return out, l.err
}

func (l *log) PruneChanges(context.Context, time.Time) (int64, error) { return 0, nil }

func newFeed(s feed.Store, clock *storetest.Clock) (*feed.Feed, *[]string) {
	f := feed.New(feed.Deps{Store: s, Clock: clock.Now, Logger: slog.New(slog.DiscardHandler)})
	told := &[]string{}
	f.Subscribe("license", func(_ context.Context, id string) { *told = append(*told, id) })
	return f, told
}

func poll(t *testing.T, f *feed.Feed) {
	t.Helper()
	if err := f.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, told *[]string, ids ...string) {
	t.Helper()
	if !slices.Equal(*told, ids) {
		t.Errorf("told %q, want %q", *told, ids)
	}
	*told = nil
}

// A row whose number is lower than one already read, because its transaction committed later, is told; none is told twice.
func TestLateNumbersAreTold(t *testing.T) {
	t.Parallel()
	l, clock := &log{}, storetest.NewClock()
	f, told := newFeed(l, clock)
	poll(t, f)
	want(t, told, feed.Everything)
	l.rows = append(l.rows, feed.Change{Seq: 2, Kind: "license", ID: "b"}, feed.Change{Seq: 3, Kind: "order", ID: "x"})
	clock.Advance(feed.Every)
	poll(t, f)
	want(t, told, "b")
	l.rows = append(l.rows, feed.Change{Seq: 1, Kind: "license", ID: "a"})
	for range 18 {
		clock.Advance(feed.Every)
		poll(t, f)
	}
	want(t, told, "a")
	for i := range int64(30) {
		l.rows = append(l.rows, feed.Change{Seq: 4 + i, Kind: "license", ID: "c"})
		clock.Advance(feed.Every)
		poll(t, f)
		want(t, told, "c")
	}
}

// A feed that never read, or could not for two seconds, is not fresh; after longer than its window it has everything dropped.
// A wall clock set forward or back by an hour or a day loses no change.
func TestF30_StaleAndClockJumps(t *testing.T) {
	t.Parallel()
	l, clock := &log{}, storetest.NewClock()
	f, told := newFeed(l, clock)
	if f.Fresh() {
		t.Error("fresh before the first reading")
	}
	poll(t, f)
	clock.Advance(feed.Stale)
	if !f.Fresh() {
		t.Error("stale at the limit")
	}
	l.err = errors.New("away")
	clock.Advance(time.Millisecond)
	if f.Fresh() || f.Poll(t.Context()) == nil || f.Fresh() {
		t.Error("fresh without a reading")
	}
	l.err = nil
	*told = nil
	for i, jump := range []time.Duration{feed.Window * 2, time.Hour, -time.Hour, -24 * time.Hour, 24 * time.Hour, feed.Every, -feed.Every} {
		clock.Advance(jump)
		id := string(rune('a' + i))
		l.rows = append(l.rows, feed.Change{Seq: int64(i + 1), Kind: "license", ID: id})
		poll(t, f)
		if !slices.Contains(*told, id) && !slices.Contains(*told, feed.Everything) {
			t.Errorf("a jump of %v lost the change: told %q", jump, *told)
		}
		if !f.Fresh() {
			t.Errorf("not fresh after a reading that followed a jump of %v", jump)
		}
		*told = nil
	}
}

// On both engines the feed tells what transactions wrote, in order, and old rows are pruned without a number coming again.
func TestFeedOnRealEngines(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		f, told := newFeed(e.Store.Changes(), e.Clock)
		write := func(id string) {
			if _, err := e.DB.Exec(t.Context(), `INSERT INTO change (kind, id, at) VALUES ($1, $2, $3)`, "license", id, e.Clock.Now()); err != nil {
				t.Fatal(err)
			}
		}
		write("before")
		poll(t, f)
		want(t, told, feed.Everything)
		write("a")
		write("b")
		poll(t, f)
		want(t, told, "a", "b")
		e.Clock.Advance(feed.Every)
		write("c")
		poll(t, f)
		want(t, told, "c")
		e.Clock.Advance(feed.Keep + time.Second)
		if n, err := f.Prune(t.Context()); err != nil || n != 4 {
			t.Errorf("pruned %d, %v", n, err)
		}
		poll(t, f)
		want(t, told, feed.Everything)
		write("d")
		poll(t, f)
		want(t, told, "d")
	})
}
