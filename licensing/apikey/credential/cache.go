package credential

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

const cacheShards = 16

// CacheConfig sets up a [Cache]. Zero values mean 20,000 records, 60 seconds, 20,000 misses for 5 seconds.
type CacheConfig struct {
	Clock licensing.Clock
	// Records bounds how many records are held; a full cache drops some of them.
	Records int
	// TTL is how long a record is believed without asking again, a backstop under the change feed.
	TTL time.Duration
	// Misses bounds how many unknown digests are remembered, apart from the records, so that a flood of unknown texts
	// neither reaches the database twice nor pushes out a record.
	Misses  int
	MissTTL time.Duration
	// Trusted reports whether invalidations arrive. While it says no, every lookup reads through. Nil means always.
	Trusted func() bool
}

// Cache holds records by the digest of their credential and forgets them by the ids they depend on. It is safe for
// concurrent use.
type Cache[V any] struct {
	cfg    CacheConfig
	shards [cacheShards]cacheShard[V]
	seed   maphash.Seed
	// generation counts invalidations: a record read before one is not kept after it.
	generation atomic.Uint64
	indexMu    sync.Mutex
	index      map[string]map[Digest]struct{} // by id a record depends on
}

type cacheShard[V any] struct {
	mu      sync.RWMutex
	records map[Digest]cacheEntry[V]
	misses  map[Digest]time.Time
}

type cacheEntry[V any] struct {
	value V
	ids   []string
	until time.Time
}

// NewCache makes an empty cache.
func NewCache[V any](cfg CacheConfig) *Cache[V] {
	if cfg.Records <= 0 {
		cfg.Records = 20_000
	}
	if cfg.TTL <= 0 {
		cfg.TTL = time.Minute
	}
	if cfg.Misses <= 0 {
		cfg.Misses = 20_000
	}
	if cfg.MissTTL <= 0 {
		cfg.MissTTL = 5 * time.Second
	}
	c := &Cache[V]{cfg: cfg, seed: maphash.MakeSeed(), index: map[string]map[Digest]struct{}{}}
	for i := range c.shards {
		c.shards[i].records = map[Digest]cacheEntry[V]{}
		c.shards[i].misses = map[Digest]time.Time{}
	}
	return c
}

// Load returns the record of d from the cache, or from read, which also names the ids whose change makes the record void. An
// error of read that is [licensing.ErrNotFound] is remembered for a short while, any other is not. When read may not ask, which it says by an error
// of kind [licensing.TooMany], what is held goes on beyond its time: changes are told of all the same.
func (c *Cache[V]) Load(ctx context.Context, d Digest, read func(context.Context) (V, []string, error)) (V, error) {
	var zero V
	now := c.cfg.Clock.Now()
	trusted := c.cfg.Trusted == nil || c.cfg.Trusted()
	shard := &c.shards[maphash.Comparable(c.seed, d)%cacheShards]
	var entry cacheEntry[V]
	var hit bool
	if trusted {
		shard.mu.RLock()
		missUntil, miss := shard.misses[d]
		entry, hit = shard.records[d]
		shard.mu.RUnlock()
		if hit && now.Before(entry.until) {
			return entry.value, nil
		}
		if miss && now.Before(missUntil) {
			return zero, licensing.ErrNotFound
		}
	}
	generation := c.generation.Load()
	value, ids, err := read(ctx)
	if err != nil {
		if hit && c.generation.Load() == generation && licensing.KindOf(err) == licensing.TooMany {
			return entry.value, nil
		}
		if trusted && errors.Is(err, licensing.ErrNotFound) {
			c.keepMiss(shard, d, now, generation)
		}
		return zero, err
	}
	if trusted {
		c.keep(shard, d, cacheEntry[V]{value: value, ids: ids, until: now.Add(c.cfg.TTL)}, generation)
	}
	return value, nil
}

// keepMiss remembers that there is no record, under the same condition and locks as [Cache.keep]: what was not there when it was looked for
// may have come to be since.
func (c *Cache[V]) keepMiss(shard *cacheShard[V], d Digest, now time.Time, generation uint64) {
	c.indexMu.Lock()
	defer c.indexMu.Unlock()
	if c.generation.Load() != generation {
		return
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if len(shard.misses) >= max(1, c.cfg.Misses/cacheShards) {
		clear(shard.misses)
	}
	shard.misses[d] = now.Add(c.cfg.MissTTL)
}

// keep stores an entry unless something was invalidated since it began to be read. The index is changed under its own lock
// before the shard's, so that an invalidation either sees the entry or is seen by the generation.
func (c *Cache[V]) keep(shard *cacheShard[V], d Digest, e cacheEntry[V], generation uint64) {
	c.indexMu.Lock()
	defer c.indexMu.Unlock()
	if c.generation.Load() != generation {
		return
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if len(shard.records) >= max(1, c.cfg.Records/cacheShards) {
		for victim, old := range shard.records {
			c.unindex(victim, old.ids)
			delete(shard.records, victim)
			break
		}
	}
	delete(shard.misses, d)
	shard.records[d] = e
	for _, id := range e.ids {
		if c.index[id] == nil {
			c.index[id] = map[Digest]struct{}{}
		}
		c.index[id][d] = struct{}{}
	}
}

func (c *Cache[V]) unindex(d Digest, ids []string) {
	for _, id := range ids {
		delete(c.index[id], d)
		if len(c.index[id]) == 0 {
			delete(c.index, id)
		}
	}
}

// Invalidate drops every record that depends on id, and reports whether there was one. Misses stay, which name no id; see
// [Cache.ForgetMisses].
func (c *Cache[V]) Invalidate(id string) (held bool) {
	c.indexMu.Lock()
	defer c.indexMu.Unlock()
	c.generation.Add(1)
	held = len(c.index[id]) > 0
	for d := range c.index[id] {
		shard := &c.shards[maphash.Comparable(c.seed, d)%cacheShards]
		shard.mu.Lock()
		entry := shard.records[d]
		delete(shard.records, d)
		shard.mu.Unlock()
		c.unindex(d, entry.ids)
	}
	return held
}

// ForgetMisses drops what is known not to be, for something has come to be; what is being looked for meanwhile is not kept as a miss.
func (c *Cache[V]) ForgetMisses() {
	c.indexMu.Lock()
	defer c.indexMu.Unlock()
	c.generation.Add(1)
	for i := range c.shards {
		shard := &c.shards[i]
		shard.mu.Lock()
		clear(shard.misses)
		shard.mu.Unlock()
	}
}

// Reset drops everything, misses too.
func (c *Cache[V]) Reset() {
	c.indexMu.Lock()
	defer c.indexMu.Unlock()
	c.generation.Add(1)
	clear(c.index)
	for i := range c.shards {
		shard := &c.shards[i]
		shard.mu.Lock()
		clear(shard.records)
		clear(shard.misses)
		shard.mu.Unlock()
	}
}

// Len is the number of records held.
func (c *Cache[V]) Len() int {
	n := 0
	for i := range c.shards {
		c.shards[i].mu.RLock()
		n += len(c.shards[i].records)
		c.shards[i].mu.RUnlock()
	}
	return n
}
