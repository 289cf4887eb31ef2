package limit_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/limittest"
)

func keeper(l limit.Engine, b limit.Ledger, process string, c *clock) *limit.Keeper {
	return limit.NewKeeper(l, b, process, c.Now, slog.New(slog.DiscardHandler))
}

func flush(t *testing.T, k *limit.Keeper) {
	t.Helper()
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (c *clock) month(most int64) limit.Quota {
	return limit.Quota{Most: most, From: c.Now(), Until: c.Now().Add(31 * 24 * time.Hour)}
}

// outlives spends a quota by two processes, of which one comes and goes, while answers of the ledger are lost and counters too, and returns how much
// was admitted. Of the ledger the processes see what see makes of it.
func outlives(t *testing.T, b *limittest.Ledger, see func(*limittest.Ledger) limit.Ledger) (admitted int64) {
	t.Helper()
	c := newClock()
	shared := limit.NewLocal(c.Now) // counters of both processes
	first, second := keeper(shared, see(b), "p1", c), keeper(shared, see(b), "p2", c)
	check := limit.Check{Key: "q", Quota: c.month(1000), Cost: 1}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 400 {
		for _, k := range []*limit.Keeper{first, second} {
			check.Cost = 1 + random.Int64N(3)
			if allowed(t, k, check) {
				admitted += check.Cost
			}
		}
		switch random.IntN(5) {
		case 0:
			b.Set(false, true) // the write takes place, its answer is lost
			_ = first.Flush(t.Context())
			b.Set(false, false)
			flush(t, first)
		case 1: // counters are lost, after what was counted was written
			flush(t, first)
			flush(t, second)
			shared.Clear()
		case 2: // a process ends well, another takes its place
			flush(t, second)
			second = keeper(shared, see(b), fmt.Sprint("p", round+3), c)
		}
	}
	flush(t, first)
	flush(t, second)
	return admitted
}

// TestINV7_QuotaMovedWestGoesOn: what was used of a period that is over in one zone, and written, goes on where the quota moves to a zone in which it is
// not over yet, though counters and process are new.
func TestINV7_QuotaMovedWestGoesOn(t *testing.T) {
	t.Parallel()
	c, b := newClock(), limittest.NewLedger()
	month := func(zone string) limit.Check {
		return limit.Check{Key: "q", Quota: apikey.Limit{Count: 3, Every: licensing.Monthly, Zone: zone}.Quota(c.Now()), Cost: 1}
	}
	_, end := licensing.Monthly.Period(c.Now(), time.UTC)
	c.add(end.Add(-time.Minute).Sub(c.Now()))
	shared := limit.NewLocal(c.Now)
	first := keeper(shared, b, "p1", c)
	for range 2 {
		if !allowed(t, first, month("")) {
			t.Fatal("refused within the quota")
		}
	}
	flush(t, first)
	c.add(5 * time.Minute)
	flush(t, first)
	if !allowed(t, first, month("America/New_York")) || allowed(t, first, month("America/New_York")) {
		t.Error("the last unit is not the last")
	}
	flush(t, first)
	shared.Clear()
	if allowed(t, keeper(shared, b, "p2", c), month("America/New_York")) {
		t.Error("another process admits more than the quota")
	}
	c.add(6 * time.Hour)
	if !allowed(t, first, month("America/New_York")) {
		t.Error("the next month is refused")
	}
}

// TestINV7_QuotaOutlivesCountersAndProcesses: whatever is lost between two writes, counters or a process that closed well, the quota
// goes on where it was; nothing is counted twice, however often a write is repeated.
func TestINV7_QuotaOutlivesCountersAndProcesses(t *testing.T) {
	t.Parallel()
	b := limittest.NewLedger()
	if n := outlives(t, b, func(b *limittest.Ledger) limit.Ledger { return b }); n > 1000 || n < 998 || b.Total() != n {
		t.Errorf("%d of 1000 admitted, %d written", n, b.Total())
	}
}

// TestINV7_NaiveLedgerCountsTwice shows that the test above can fail: a ledger that adds up what it is told counts a repeated
// write twice.
func TestINV7_NaiveLedgerCountsTwice(t *testing.T) {
	t.Parallel()
	b := limittest.NewLedger()
	if n := outlives(t, b, func(b *limittest.Ledger) limit.Ledger { return naive{b} }); n <= 1000 && n >= 998 && b.Total() == n {
		t.Errorf("a naive ledger is as good: %d admitted and written", n)
	}
}

// naive adds, as UPDATE … SET used = used + n would.
type naive struct{ *limittest.Ledger }

func (n naive) Keep(ctx context.Context, process string, seq int64, spent []limit.Spent) error {
	for i := range spent {
		spent[i].Used += n.Row(spent[i].Counter, process)
	}
	return n.Ledger.Keep(ctx, process, seq, spent)
}

// TestKeeper_WritesOnlyWhatChanged, and asks the ledger once for a counter.
func TestKeeper_WritesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	c, b := newClock(), limittest.NewLedger()
	k := keeper(limit.NewLocal(c.Now), b, "p", c)
	check := limit.Check{Key: "q", Quota: c.month(10), Cost: 1}
	for range 20 {
		allowed(t, k, check)
	}
	if b.Reads() != 1 {
		t.Errorf("%d reads", b.Reads())
	}
	flush(t, k)
	if b.Total() != 10 {
		t.Errorf("%d written", b.Total())
	}
	b.Set(true, false)
	flush(t, k) // nothing to write
	if allowed(t, k, limit.Check{Key: "other", Quota: c.month(10), Cost: 1}) {
		t.Error("a quota of which nothing is known was admitted")
	}
	out, err := k.Take(t.Context(), []limit.Check{{Key: "other", Quota: c.month(10), Cost: 1}})
	if err != nil || !out[0].Degraded || out[0].RetryAfter <= 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if !allowed(t, k, limit.Check{Key: "rate", Rate: limit.Rate{Count: 1, Period: time.Second, Burst: 1}, Cost: 1}) {
		t.Error("a rate needs no ledger")
	}
	b.Set(false, false)
	if !allowed(t, k, limit.Check{Key: "other", Quota: c.month(10), Cost: 1}) {
		t.Error("never back")
	}
	check.Cost = 4
	k.Give(t.Context(), []limit.Check{check})
	flush(t, k)
	if b.Total() != 10-4+1 {
		t.Errorf("%d written after giving back", b.Total())
	}
}

// vague is an engine that decides nothing, as one does whose counters went again between two rounds.
type vague struct{ limit.Engine }

func (vague) Decide(_ context.Context, groups [][]limit.Check, _ limit.Known) ([][]limit.Result, error) {
	return make([][]limit.Result, len(groups)), nil
}

func (v vague) LookAt(ctx context.Context, groups [][]limit.Check, known limit.Known) ([][]limit.Result, error) {
	return v.Decide(ctx, groups, known)
}

// TestINV7_UndecidedIsRefused: what nobody decides, though the ledger was asked, is refused, with an answer for each check, and not written down.
func TestINV7_UndecidedIsRefused(t *testing.T) {
	t.Parallel()
	c, b := newClock(), limittest.NewLedger()
	k := keeper(vague{limit.NewLocal(c.Now)}, b, "p", c)
	group := []limit.Check{{Key: "q", Owner: "o", Quota: c.month(10), Cost: 1}, {Key: "r", Owner: "o", Quota: c.month(10), Cost: 1}}
	taken, err := k.TakeEach(t.Context(), [][]limit.Check{group})
	looked, also := k.Look(t.Context(), [][]limit.Check{group})
	for _, out := range [][][]limit.Result{taken, looked} {
		if err != nil || also != nil || len(out) != 1 || len(out[0]) != 2 || out[0][0].Allowed || !out[0][1].Degraded || out[0][1].RetryAfter <= 0 {
			t.Errorf("%+v, %v, %v", out, err, also)
		}
	}
	if flush(t, k); b.Total() != 0 {
		t.Errorf("%d written of what was not admitted", b.Total())
	}
}

// TestINV7_GivenBackBeforeWritten: units that another process took and has not written down, because it died or is about to, are given back by
// this one and the counter is lost: the quota begins at nothing used, not below, on every engine alike.
func TestINV7_GivenBackBeforeWritten(t *testing.T) {
	t.Parallel()
	c, b := newClock(), limittest.NewLedger()
	engine := limit.NewLocal(c.Now)
	dies, lives := keeper(engine, b, "p1", c), keeper(engine, b, "p2", c)
	check := limit.Check{Key: "q", Quota: c.month(10), Cost: 6}
	if !allowed(t, dies, check) {
		t.Fatal("not admitted")
	}
	lives.Give(t.Context(), []limit.Check{check})
	engine.Clear()
	for i, want := range []int64{4, 4} {
		out, err := lives.Take(t.Context(), []limit.Check{check})
		if err != nil || out[0].Allowed != (i == 0) || out[0].Remaining != want {
			t.Errorf("take %d after the loss: %+v, %v", i, out, err)
		}
	}
}
