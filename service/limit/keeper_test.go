package limit_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/limit"
)

// book is a ledger in memory that can be away, or lose its answers.
type book struct {
	mu         sync.Mutex
	rows       map[[2]string]limit.Spent
	seqs       map[[2]string]int64
	away, lost bool
	reads      int
}

var errAway = errors.New("away")

func newBook() *book { return &book{rows: map[[2]string]limit.Spent{}, seqs: map[[2]string]int64{}} }

func (b *book) Keep(_ context.Context, process string, seq int64, spent []limit.Spent) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return errAway
	}
	for _, s := range spent {
		at := [2]string{s.Counter, process}
		if b.seqs[at] < seq {
			b.rows[at], b.seqs[at] = s, seq
		}
	}
	if b.lost {
		return errAway
	}
	return nil
}

func (b *book) Used(_ context.Context, counters []string, but string) (map[string]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reads++; b.away {
		return nil, errAway
	}
	out := map[string]int64{}
	for _, c := range counters {
		for at, s := range b.rows {
			if at[0] == c && at[1] != but {
				out[c] += s.Used
			}
		}
	}
	return out, nil
}

func (b *book) set(away, lost bool) { b.mu.Lock(); defer b.mu.Unlock(); b.away, b.lost = away, lost }

func (b *book) total() (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.rows {
		n += s.Used
	}
	return n
}

func keeper(l limit.Engine, b *book, process string, c *clock) *limit.Keeper {
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

// TestINV7_QuotaOutlivesCountersAndProcesses: whatever is lost between two writes, counters or a process that closed well, the quota
// goes on where it was; nothing is counted twice, however often a write is repeated.
func TestINV7_QuotaOutlivesCountersAndProcesses(t *testing.T) {
	t.Parallel()
	c, b := newClock(), newBook()
	shared := limit.NewLocal(c.Now) // counters of both processes
	first, second := keeper(shared, b, "p1", c), keeper(shared, b, "p2", c)
	check := limit.Check{Key: "q", Quota: c.month(1000), Cost: 1}
	admitted, random := int64(0), rand.New(rand.NewPCG(1, 2))
	for round := range 400 {
		for _, k := range []*limit.Keeper{first, second} {
			check.Cost = 1 + random.Int64N(3)
			if allowed(t, k, check) {
				admitted += check.Cost
			}
		}
		switch random.IntN(5) {
		case 0:
			b.set(false, true) // the write takes place, its answer is lost
			_ = first.Flush(t.Context())
			b.set(false, false)
			flush(t, first)
		case 1: // counters are lost, after what was counted was written
			flush(t, first)
			flush(t, second)
			shared.Clear()
		case 2: // a process ends well, another takes its place
			flush(t, second)
			second = keeper(shared, b, "p"+string(rune('a'+round%26))+time.Duration(round).String(), c)
		}
	}
	flush(t, first)
	flush(t, second)
	if admitted > 1000 || admitted < 998 || b.total() != admitted {
		t.Errorf("%d of 1000 admitted, %d written", admitted, b.total())
	}
}

// TestKeeper_WritesOnlyWhatChanged, and asks the ledger once for a counter.
func TestKeeper_WritesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	c, b := newClock(), newBook()
	k := keeper(limit.NewLocal(c.Now), b, "p", c)
	check := limit.Check{Key: "q", Quota: c.month(10), Cost: 1}
	for range 20 {
		allowed(t, k, check)
	}
	if b.reads != 1 {
		t.Errorf("%d reads", b.reads)
	}
	flush(t, k)
	if b.total() != 10 {
		t.Errorf("%d written", b.total())
	}
	b.set(true, false)
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
	b.set(false, false)
	if !allowed(t, k, limit.Check{Key: "other", Quota: c.month(10), Cost: 1}) {
		t.Error("never back")
	}
	check.Cost = 4
	k.Give(t.Context(), []limit.Check{check})
	flush(t, k)
	if b.total() != 10-4+1 {
		t.Errorf("%d written after giving back", b.total())
	}
}

// TestINV7_NaiveLedgerCountsTwice shows that the test above can fail: a ledger that adds up what it is told counts a repeated
// write twice.
func TestINV7_NaiveLedgerCountsTwice(t *testing.T) {
	t.Parallel()
	c, b := newClock(), newBook()
	k := limit.NewKeeper(limit.NewLocal(c.Now), naive{b}, "p", c.Now, slog.New(slog.DiscardHandler))
	allowed(t, k, limit.Check{Key: "q", Quota: c.month(10), Cost: 1})
	b.set(false, true)
	_ = k.Flush(t.Context())
	b.set(false, false)
	flush(t, k)
	if b.total() == 1 {
		t.Error("a naive ledger is as good: the test shows nothing")
	}
}

// naive adds, as UPDATE … SET used = used + n would.
type naive struct{ *book }

func (n naive) Keep(ctx context.Context, process string, seq int64, spent []limit.Spent) error {
	n.mu.Lock()
	for i := range spent {
		spent[i].Used += n.rows[[2]string{spent[i].Counter, process}].Used
	}
	n.mu.Unlock()
	return n.book.Keep(ctx, process, seq, spent)
}
