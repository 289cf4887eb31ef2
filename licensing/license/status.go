package license

import (
	"context"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

const (
	// statusTTL is what a list says of how long a copy may be kept before asking again.
	statusTTL = 5 * time.Minute
	// statusLife is how long a signed list is good; a policy's status_max_age may demand less.
	statusLife = 30 * 24 * time.Hour
	// statusKeep is how long a signed list is served when nothing changed.
	statusKeep = time.Hour
	// pausedKeep is how long the suspended licenses that were read for one list serve the others.
	pausedKeep = 2 * time.Second
)

// statusText is a signed list and the entries it was built from.
type statusText struct {
	text   string
	signed time.Time
}

// statusCache keeps signed lists until something changes.
type statusCache struct {
	mu       sync.Mutex
	version  int64 // grows with every Forget, so that a list built before it is not kept
	texts    map[int64]statusText
	building map[int64]*sync.Mutex

	pausing  sync.Mutex
	paused   map[int64][]int64 // places of suspended licenses, by list
	pausedOf int64             // the version they are of
	pausedAt time.Time
}

// StatusRequest names a status list.
type StatusRequest struct {
	N int64 `path:"n" doc:"Number of the list."`
}

// StatusList returns the signed status list with the given number, a statuslist+jwt. It is signed again when a license changed or
// the copy is an hour old.
func (s *Service) StatusList(ctx context.Context, n int64) (string, error) {
	if text, ok := s.lists.get(n, s.Clock.Now()); ok {
		return text, nil
	}
	build := s.lists.builder(n)
	build.Lock() // one builds, the others take what it built
	defer build.Unlock()
	if text, ok := s.lists.get(n, s.Clock.Now()); ok {
		return text, nil
	}
	version := s.lists.now()
	ended, found, err := s.Tokens.EndedIndexes(ctx, n)
	if err != nil {
		return "", err
	}
	if !found {
		return "", licensing.ErrNotFound
	}
	paused, err := s.paused(ctx, version)
	if err != nil {
		return "", err
	}
	var bits doc.StatusBits
	for _, idx := range ended {
		bits.Set(idx, doc.StatusInvalid)
	}
	for _, idx := range paused[n] {
		bits.Set(idx, doc.StatusSuspended)
	}
	now := s.now()
	text, _, err := s.Signer.SignStatusList(ctx, &doc.StatusList{
		Issuer: s.Signer.Issuer(), URI: s.statusURI(n), IssuedAt: now.Unix(), Expires: now.Add(statusLife).Unix(),
		TTL: int64(statusTTL / time.Second), List: bits.Encode(),
	})
	if err != nil {
		return "", err
	}
	s.lists.put(n, version, statusText{text: text, signed: now})
	return text, nil
}

// paused are the places of suspended licenses, read once for all lists that are built before something changes, and again for one that is built
// much later.
func (s *Service) paused(ctx context.Context, version int64) (map[int64][]int64, error) {
	c, now := s.lists, s.Clock.Now()
	c.pausing.Lock() // one reads, the others take what it read
	defer c.pausing.Unlock()
	if gone := now.Sub(c.pausedAt); c.paused != nil && c.pausedOf == version && gone >= 0 && gone < pausedKeep {
		return c.paused, nil
	}
	paused, err := s.Tokens.PausedIndexes(ctx)
	if err == nil {
		c.paused, c.pausedOf, c.pausedAt = paused, version, now
	}
	return paused, err
}

// Forget drops the signed status lists; the change feed calls it for "license" and "signing_key".
func (s *Service) Forget() { s.lists.forget() }

func (c *statusCache) get(n int64, now time.Time) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.texts[n]
	return t.text, ok && now.Sub(t.signed) < statusKeep
}

func (c *statusCache) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

func (c *statusCache) put(n, version int64, t statusText) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version == version {
		c.texts[n] = t
	}
}

func (c *statusCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	clear(c.texts)
}

func (c *statusCache) builder(n int64) *sync.Mutex {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.building[n] == nil {
		if len(c.building) > 1024 { // numbers of lists that do not exist
			clear(c.building)
		}
		c.building[n] = &sync.Mutex{}
	}
	return c.building[n]
}
