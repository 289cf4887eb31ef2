package catalog

import (
	"context"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Bounds of what a replica keeps of the storefront.
const (
	shelfItems = 4096        // products on all the pages together
	shelfTime  = time.Minute // after which a page is read again whatever the feed says
)

// shelf keeps the pages of the storefront that were read, so that a visitor who looks around asks nobody. A page goes when the change
// feed tells of a product, when this replica changed one, when a price on it takes effect or ends, and after a minute; while
// the feed cannot be read, nothing is believed. It is safe for concurrent use.
type shelf struct {
	clock licensing.Clock
	alive func() bool // nil keeps nothing

	mu      sync.RWMutex
	version uint64 // grows with every clear, so that what was read before one is not kept after it
	pages   map[slot]page
	items   int
}

// slot names a page: of one product by its slug, or of a list.
type slot struct {
	slug string
	list BrowseRequest
}

// page is what was read at an instant, and until when nothing but a change can make it wrong.
type page struct {
	licensing.List[Item]
	from, until time.Time
}

// load returns what is kept at s, or reads it as it is at the present instant. next is when the answer becomes another by itself, zero
// when it does not. Callers share what is returned and do not change it.
func (c *shelf) load(ctx context.Context, s slot, read func(ctx context.Context, at time.Time) (list licensing.List[Item], next time.Time, err error)) (licensing.List[Item], error) {
	now := c.clock.Now()
	believed := c.alive != nil && c.alive()
	c.mu.RLock()
	kept, hit := c.pages[s]
	version := c.version
	c.mu.RUnlock()
	if hit && believed && !now.Before(kept.from) && now.Before(kept.until) {
		return kept.List, nil
	}
	list, next, err := read(ctx, now)
	if err != nil || !believed {
		return list, err
	}
	until := now.Add(shelfTime)
	if !next.IsZero() && next.Before(until) {
		until = next
	}
	c.keep(s, page{List: list, from: now, until: until}, version)
	return list, nil
}

// keep stores a page unless something was changed since it began to be read. A full shelf is emptied first.
func (c *shelf) keep(s slot, p page, version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version != version {
		return
	}
	if old, ok := c.pages[s]; ok {
		c.items -= old.size()
	}
	if c.pages == nil || c.items+p.size() > shelfItems {
		c.pages, c.items = map[slot]page{}, 0
	}
	c.pages[s] = p
	c.items += p.size()
}

func (p page) size() int { return 1 + len(p.Items) }

func (c *shelf) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	c.pages, c.items = nil, 0
}

// Forget drops what is kept of the storefront. The change feed calls it for "product", and whoever changed a price on this replica.
func (s *Service) Forget() { s.shelf.clear() }

// inTx runs fn in a transaction and forgets the storefront after it, so that whoever changed something sees it at once.
func (s *Service) inTx(ctx context.Context, fn func(ctx context.Context) error) error {
	defer s.Forget()
	return s.Tx.InTx(ctx, fn)
}
