package limit

import (
	"context"
	"hash/maphash"
	"math/bits"
	"sync"

	"github.com/mintreu/mintreu/licensing"
)

const localShards = 64

// sweepEvery is how many new counters a shard takes between two looks for dead ones.
const sweepEvery = 1024

// Local counts in process. It is exact for one process and safe for concurrent use; counters that are as if never used are
// dropped as new ones come.
type Local struct {
	clock  licensing.Clock
	seed   maphash.Seed
	shards [localShards]localShard
}

var (
	_ Limiter = (*Local)(nil)
	_ Engine  = (*Local)(nil)
)

type localShard struct {
	mu    sync.Mutex
	value map[string]count
	added int
	_     [40]byte // a shard a cache line
}

// count is a counter: the TAT of a rate in microseconds since 1970, which is also when it is as if never used; or what is used of
// a quota, and when its period ends.
type count struct {
	n, ends int64
}

// NewLocal makes a limiter without counters.
func NewLocal(clock licensing.Clock) *Local {
	l := &Local{clock: clock, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].value = map[string]count{}
	}
	return l
}

// Take implements [Limiter].
func (l *Local) Take(_ context.Context, group []Check) ([]Result, error) {
	if err := Validate(group); err != nil {
		return nil, err
	}
	return l.take(group, fromZero, true), nil
}

// TakeEach implements [Limiter]. Quotas begin at nothing used.
func (l *Local) TakeEach(ctx context.Context, groups [][]Check) ([][]Result, error) {
	return l.Decide(ctx, groups, fromZero)
}

// Look implements [Limiter].
func (l *Local) Look(ctx context.Context, groups [][]Check) ([][]Result, error) {
	return l.LookAt(ctx, groups, fromZero)
}

// Decide implements [Engine].
func (l *Local) Decide(_ context.Context, groups [][]Check, known Known) ([][]Result, error) {
	return l.each(groups, known, true)
}

// LookAt implements [Engine].
func (l *Local) LookAt(_ context.Context, groups [][]Check, known Known) ([][]Result, error) {
	return l.each(groups, known, false)
}

func (l *Local) each(groups [][]Check, known Known, spend bool) ([][]Result, error) {
	for _, group := range groups {
		if err := Validate(group); err != nil {
			return nil, err
		}
	}
	out := make([][]Result, len(groups))
	for i, group := range groups {
		out[i] = l.take(group, known, spend)
	}
	return out, nil
}

// Give implements [Limiter].
func (l *Local) Give(_ context.Context, units []Check) {
	for i := range units {
		c := &units[i]
		counter := Counter(c)
		shard := &l.shards[l.shard(counter)]
		shard.mu.Lock()
		if v, there := shard.value[counter]; there {
			if c.IsQuota() {
				v.n = max(v.n-c.Cost, 0)
			} else {
				v.n -= c.Back().Microseconds()
				v.ends = v.n
			}
			shard.value[counter] = v
		}
		shard.mu.Unlock()
	}
}

// Used is what is used of a counter now: units of a quota, and of a rate the units that have not come back yet, rounded up.
func (l *Local) Used(c *Check) int64 {
	counter := Counter(c)
	shard := &l.shards[l.shard(counter)]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	v := shard.value[counter]
	if c.IsQuota() {
		return v.n
	}
	interval := c.Rate.Interval().Microseconds()
	return (max(v.n-l.clock.Now().UnixMicro(), 0) + interval - 1) / interval
}

// Raise has a rate be used at least until an instant, in microseconds since 1970, at which all of it has come back.
func (l *Local) Raise(c *Check, until int64) {
	counter := Counter(c)
	shard := &l.shards[l.shard(counter)]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	v, there := shard.value[counter]
	if until <= max(v.n, l.clock.Now().UnixMicro()) {
		return
	}
	if !there {
		shard.grow(l.clock.Now().UnixMicro())
	}
	shard.value[counter] = count{n: until, ends: until}
}

// Forget drops a counter.
func (l *Local) Forget(counter string) {
	shard := &l.shards[l.shard(counter)]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	delete(shard.value, counter)
}

func (l *Local) shard(counter string) int {
	return int(maphash.String(l.seed, counter) % localShards)
}

// step is a check on its way through a decision.
type step struct {
	*Check
	counter string
	shard   *localShard
	before  count
	there   bool // before was
}

// take decides one group under the locks of all shards it touches, taken in ascending order. It returns nil for a group with a
// quota of which nothing is known.
func (l *Local) take(group []Check, known Known, spend bool) []Result {
	results := make([]Result, len(group))
	if len(group) == 0 {
		return results
	}
	var room [8]step
	steps := room[:0]
	var touched uint64
	for i := range group {
		counter := Counter(&group[i])
		n := l.shard(counter)
		touched |= 1 << n
		steps = append(steps, step{Check: &group[i], counter: counter, shard: &l.shards[n]})
	}
	for set := touched; set != 0; set &= set - 1 {
		l.shards[bits.TrailingZeros64(set)].mu.Lock()
	}
	defer func() {
		for set := touched; set != 0; set &= set - 1 {
			l.shards[bits.TrailingZeros64(set)].mu.Unlock()
		}
	}()
	if !l.decide(steps, results, known, spend) {
		return nil
	}
	return results
}

// decide evaluates the group and stores it when all of it is admitted and to be spent. Checks of one group on the same counter add up. The
// clock is read under the locks, so that instants follow the order of decisions.
func (l *Local) decide(steps []step, results []Result, known Known, spend bool) (decided bool) {
	now := l.clock.Now().UnixMicro()
	admitted := spend
	for i := range steps {
		s := &steps[i]
		v, there := s.shard.value[s.counter]
		if !there && s.IsQuota() {
			used, ok := known(s.counter)
			if !ok {
				restore(steps[:i])
				return false
			}
			v = count{n: used, ends: s.Quota.Ends().UnixMicro()}
			s.shard.grow(now)
			s.shard.value[s.counter] = v // it is known now, whatever becomes of the group
			there = true
		} else if !there {
			s.shard.grow(now)
		}
		s.before, s.there = v, there
		if s.IsQuota() {
			results[i], v.n = decideQuota(s.Check, v.n, now)
		} else {
			v.n = min(v.n, now+s.Rate.Burst*s.Rate.Interval().Microseconds())
			s.before.n = v.n
			results[i], v.n = decide(s.Check, v.n, now)
			v.ends = v.n
		}
		admitted = admitted && results[i].Allowed
		s.shard.value[s.counter] = v
	}
	if admitted {
		return true
	}
	restore(steps)
	for i := range steps {
		if results[i].Allowed {
			results[i] = unspent(steps[i].Check, steps[i].shard.value[steps[i].counter].n, now)
		}
	}
	return true
}

// restore puts counters back, backwards, so that the first value of a counter is the last to be put back.
func restore(steps []step) {
	for i := len(steps) - 1; i >= 0; i-- {
		if s := &steps[i]; s.there {
			s.shard.value[s.counter] = s.before
		} else {
			delete(s.shard.value, s.counter)
		}
	}
}

// unspent is the result of a check that would have been admitted but was not spent, because another of its group was refused.
func unspent(c *Check, stored, now int64) Result {
	if c.IsQuota() {
		return QuotaAnswer(c.Quota, stored, now, true)
	}
	interval := c.Rate.Interval().Microseconds()
	span := c.Rate.Burst * interval
	return answer(interval, span, min(max(stored, now), now+span)-now, 0)
}

// grow makes room for a new counter: every so often it drops those that are as if never used.
func (s *localShard) grow(now int64) {
	if s.added++; s.added < max(sweepEvery, len(s.value)/2) {
		return
	}
	s.added = 0
	for counter, v := range s.value {
		if v.ends <= now {
			delete(s.value, counter)
		}
	}
}

// Len is the number of counters held, for tests and metrics.
func (l *Local) Len() int {
	n := 0
	for i := range l.shards {
		l.shards[i].mu.Lock()
		n += len(l.shards[i].value)
		l.shards[i].mu.Unlock()
	}
	return n
}

// Clear forgets every counter.
func (l *Local) Clear() {
	for i := range l.shards {
		l.shards[i].mu.Lock()
		clear(l.shards[i].value)
		l.shards[i].mu.Unlock()
	}
}
