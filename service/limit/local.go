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

var _ Limiter = (*Local)(nil)

type localShard struct {
	mu    sync.Mutex
	tat   map[string]int64 // microseconds since 1970
	added int
	_     [40]byte // a shard a cache line
}

// NewLocal makes a limiter without counters.
func NewLocal(clock licensing.Clock) *Local {
	l := &Local{clock: clock, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].tat = map[string]int64{}
	}
	return l
}

// Take implements [Limiter].
func (l *Local) Take(_ context.Context, group []Check) ([]Result, error) {
	if err := Validate(group); err != nil {
		return nil, err
	}
	return l.take(group), nil
}

// TakeEach implements [Limiter].
func (l *Local) TakeEach(_ context.Context, groups [][]Check) ([][]Result, error) {
	for _, group := range groups {
		if err := Validate(group); err != nil {
			return nil, err
		}
	}
	out := make([][]Result, len(groups))
	for i, group := range groups {
		out[i] = l.take(group)
	}
	return out, nil
}

func (l *Local) shard(key string) int {
	return int(maphash.String(l.seed, key) % localShards)
}

// take decides one group under the locks of all shards it touches, taken in ascending order.
func (l *Local) take(group []Check) []Result {
	results := make([]Result, len(group))
	if len(group) == 0 {
		return results
	}
	var touched uint64
	for i := range group {
		touched |= 1 << l.shard(group[i].Key)
	}
	for set := touched; set != 0; set &= set - 1 {
		l.shards[bits.TrailingZeros64(set)].mu.Lock()
	}
	defer func() {
		for set := touched; set != 0; set &= set - 1 {
			l.shards[bits.TrailingZeros64(set)].mu.Unlock()
		}
	}()
	l.decide(group, results)
	return results
}

// decide evaluates the group and stores it when all of it is admitted. Checks of one group on the same counter add up. The
// clock is read under the locks, so that instants follow the order of decisions.
func (l *Local) decide(group []Check, results []Result) {
	now := l.clock.Now().UnixMicro()
	before := make([]int64, len(group))
	admitted := true
	for i := range group {
		c := &group[i]
		shard := &l.shards[l.shard(c.Key)]
		stored, known := shard.tat[c.Key]
		stored = min(stored, now+c.Rate.Burst*c.Rate.Interval().Microseconds())
		before[i] = stored
		result, next := decide(c, stored, now)
		results[i] = result
		admitted = admitted && result.Allowed
		if !known {
			shard.grow(now)
		}
		shard.tat[c.Key] = next
	}
	if admitted {
		return
	}
	for i := len(group) - 1; i >= 0; i-- { // backwards, so that the first value of a counter is the last to be put back
		c := &group[i]
		shard := &l.shards[l.shard(c.Key)]
		if before[i] <= now {
			delete(shard.tat, c.Key)
		} else {
			shard.tat[c.Key] = before[i]
		}
	}
	for i := range group {
		if results[i].Allowed {
			results[i] = unspent(&group[i], l.shards[l.shard(group[i].Key)].tat[group[i].Key], now)
		}
	}
}

// unspent is the result of a check that would have been admitted but was not spent, because another of its group was refused.
func unspent(c *Check, stored, now int64) Result {
	interval := c.Rate.Interval().Microseconds()
	span := c.Rate.Burst * interval
	return answer(interval, span, min(max(stored, now), now+span)-now, 0)
}

// grow makes room for a new counter: every so often it drops those whose TAT has passed.
func (s *localShard) grow(now int64) {
	if s.added++; s.added < max(sweepEvery, len(s.tat)/2) {
		return
	}
	s.added = 0
	for key, tat := range s.tat {
		if tat <= now {
			delete(s.tat, key)
		}
	}
}

// Len is the number of counters held, for tests and metrics.
func (l *Local) Len() int {
	n := 0
	for i := range l.shards {
		l.shards[i].mu.Lock()
		n += len(l.shards[i].tat)
		l.shards[i].mu.Unlock()
	}
	return n
}

// Clear forgets every counter.
func (l *Local) Clear() {
	for i := range l.shards {
		l.shards[i].mu.Lock()
		clear(l.shards[i].tat)
		l.shards[i].mu.Unlock()
	}
}
