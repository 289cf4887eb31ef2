package limit

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Known tells what is used of a quota whose counter is not there, or that it does not know.
type Known func(counter string) (used int64, ok bool)

// fromZero knows that nothing is used of any quota.
func fromZero(string) (int64, bool) { return 0, true }

func unknown(string) (int64, bool) { return 0, false }

// Engine is where counters live: [Local], or Redis.
type Engine interface {
	Limiter
	// Decide is TakeEach for quotas that outlive their counters. A quota whose counter is not there begins at what known tells; a
	// group with one that is not known stays undecided, spends nothing, and has nil for its results.
	Decide(ctx context.Context, groups [][]Check, known Known) ([][]Result, error)
	// LookAt is Decide that spends nothing.
	LookAt(ctx context.Context, groups [][]Check, known Known) ([][]Result, error)
}

// Holder is an engine that takes units of quotas up front and spends them by itself. Its counters hold them as used, and so must the ledger: a
// counter that is lost would begin without them, and they would be spent beside it.
type Holder interface {
	// Held is what is held of quotas and not spent.
	Held() []Spent
	// HeldOf is how much of that is of one counter.
	HeldOf(counter string) int64
	// Return gives all of it back.
	Return(ctx context.Context)
}

// Spent is what one process has admitted of a quota's period.
type Spent struct {
	Counter string
	Used    int64
	Until   time.Time // end of the period in every zone, after which nobody asks any more
}

// Ledger is where quotas are kept for good. Nothing in it is added up by anyone but a reader: each process writes its own totals,
// so that a write that is repeated, or whose answer was lost, changes nothing.
type Ledger interface {
	// Keep writes what a process has admitted, as totals; seq grows from write to write, and an older one changes nothing.
	Keep(ctx context.Context, process string, seq int64, spent []Spent) error
	// Used adds up, by counter, what all processes but one have admitted.
	Used(ctx context.Context, counters []string, but string) (map[string]int64, error)
}

// flushEvery is how often a [Keeper] writes, and so how much of a quota's use is forgotten when process and counters are lost together.
const flushEvery = time.Second

// flushMost is how many quotas are written at once: where one writer keeps all others waiting, those get their turn between.
const flushMost = 500

// Keeper is the limiter of a service: an [Engine] whose quotas outlive it. What it admits of a quota it writes to the ledger, once a
// second; when a counter is not there, because Redis lost it or the process is new, it begins at what the ledger says. It is safe
// for concurrent use.
type Keeper struct {
	engine  Engine
	ledger  Ledger
	process string
	clock   licensing.Clock
	logger  *slog.Logger

	mu    sync.Mutex
	spent map[string]*total

	writing sync.Mutex // one write at a time, so that an older one never follows a later one
	seq     int64
}

// total is what this process has admitted of one period.
type total struct {
	Spent
	written int64 // with what was held then
}

var _ Limiter = (*Keeper)(nil)

// NewKeeper makes a Keeper for a process, by a name that no other ever had.
func NewKeeper(engine Engine, ledger Ledger, process string, clock licensing.Clock, logger *slog.Logger) *Keeper {
	return &Keeper{engine: engine, ledger: ledger, process: process, clock: clock, logger: logger, spent: map[string]*total{}}
}

// Engine is where the counters live.
func (k *Keeper) Engine() Engine { return k.engine }

// Take implements [Limiter].
func (k *Keeper) Take(ctx context.Context, group []Check) ([]Result, error) {
	out, err := k.TakeEach(ctx, [][]Check{group})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// TakeEach implements [Limiter]. While the ledger cannot be read, a quota without a counter refuses.
func (k *Keeper) TakeEach(ctx context.Context, groups [][]Check) ([][]Result, error) {
	out, err := k.decide(ctx, groups, k.engine.Decide)
	if err == nil {
		k.record(groups, out)
	}
	return out, err
}

// Look implements [Limiter].
func (k *Keeper) Look(ctx context.Context, groups [][]Check) ([][]Result, error) {
	return k.decide(ctx, groups, k.engine.LookAt)
}

// how is [Engine.Decide] or [Engine.LookAt].
type how func(ctx context.Context, groups [][]Check, known Known) ([][]Result, error)

func (k *Keeper) decide(ctx context.Context, groups [][]Check, by how) ([][]Result, error) {
	out, err := by(ctx, groups, unknown)
	if err != nil {
		return nil, err
	}
	if err := k.again(ctx, groups, out, by); err != nil {
		return nil, err
	}
	return out, nil
}

// again decides the groups that were left undecided, with what the ledger knows of their quotas. What is undecided even then is refused.
func (k *Keeper) again(ctx context.Context, groups [][]Check, out [][]Result, by how) error {
	var places []int
	var left [][]Check
	var counters []string
	for i := range out {
		if out[i] != nil || len(groups[i]) == 0 {
			continue
		}
		places, left = append(places, i), append(left, groups[i])
		for c := range groups[i] {
			if groups[i][c].IsQuota() {
				counters = append(counters, Counter(&groups[i][c]))
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	slices.Sort(counters)
	used, err := k.ledger.Used(ctx, slices.Compact(counters), k.process)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		k.logger.WarnContext(ctx, "quotas cannot be read; those without a counter refuse", "error", err)
		for i, at := range places {
			out[at] = Refused(left[i])
		}
		return nil
	}
	results, err := by(ctx, left, func(counter string) (int64, bool) {
		// what is given back may be written before what was taken, which may be lost altogether
		return max(used[counter]+k.own(counter)+k.heldOf(counter), 0), true
	})
	if err != nil {
		return err
	}
	for i, at := range places {
		if out[at] = results[i]; results[i] == nil { // what nobody has decided nobody has admitted
			out[at] = Refused(left[i])
		}
	}
	return nil
}

// held is what the engine holds up front, by counter.
func (k *Keeper) held() map[string]Spent {
	h, ok := k.engine.(Holder)
	if !ok {
		return nil
	}
	held := map[string]Spent{}
	for _, s := range h.Held() {
		s.Used += held[s.Counter].Used
		held[s.Counter] = s
	}
	return held
}

func (k *Keeper) heldOf(counter string) int64 {
	if h, ok := k.engine.(Holder); ok {
		return h.HeldOf(counter)
	}
	return 0
}

func (k *Keeper) own(counter string) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t := k.spent[counter]; t != nil {
		return t.Used
	}
	return 0
}

// record notes what was admitted of quotas.
func (k *Keeper) record(groups [][]Check, out [][]Result) {
	for i, group := range groups {
		if out[i] == nil || !hasQuota(group) || slices.ContainsFunc(out[i], func(r Result) bool { return !r.Allowed }) {
			continue
		}
		k.add(group, 1)
	}
}

func hasQuota(group []Check) bool {
	for i := range group {
		if group[i].IsQuota() {
			return true
		}
	}
	return false
}

func (k *Keeper) add(units []Check, sign int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range units {
		c := &units[i]
		if !c.IsQuota() {
			continue
		}
		k.total(Counter(c), c.Quota.Ends()).Used += sign * c.Cost
	}
}

// total is what was admitted of a period. Needs k.mu.
func (k *Keeper) total(counter string, until time.Time) *total {
	t := k.spent[counter]
	if t == nil {
		t = &total{Spent: Spent{Counter: counter, Until: until}}
		k.spent[counter] = t
	}
	return t
}

// Give implements [Limiter].
func (k *Keeper) Give(ctx context.Context, units []Check) {
	k.add(units, -1)
	k.engine.Give(ctx, units)
}

// Flush writes what was admitted, or is held up front, and is not written yet.
func (k *Keeper) Flush(ctx context.Context) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	now := k.clock.Now()
	held := k.held() // first: what is spent of it meanwhile counts twice this time, and not never
	var changed []Spent
	k.mu.Lock()
	for counter, h := range held {
		k.total(counter, h.Until)
	}
	for counter, t := range k.spent {
		all := t.Spent
		if all.Used += held[counter].Used; all.Used != t.written {
			changed = append(changed, all)
		} else if held[counter].Used == 0 && now.After(t.Until.Add(flushEvery)) {
			delete(k.spent, counter)
		}
	}
	k.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	slices.SortFunc(changed, func(a, b Spent) int { // every process locks rows in one order
		if a.Counter < b.Counter {
			return -1
		}
		return 1
	})
	for part := range slices.Chunk(changed, flushMost) {
		k.seq++
		if err := k.ledger.Keep(ctx, k.process, k.seq, part); err != nil {
			return err
		}
		k.mu.Lock()
		for _, s := range part {
			k.spent[s.Counter].written = s.Used
		}
		k.mu.Unlock()
	}
	return nil
}

// Run flushes every second until the context ends, and then gives back what is held and flushes once more.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if h, ok := k.engine.(Holder); ok {
				h.Return(last)
			}
			if err := k.Flush(last); err != nil {
				k.logger.ErrorContext(ctx, "what was used of quotas in the last second is not written", "error", err)
			}
			return
		case <-tick.C:
		}
		err := k.Flush(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			k.logger.WarnContext(ctx, "what is used of quotas cannot be written; it is kept in memory", "error", err)
		}
		failing = err != nil
	}
}
