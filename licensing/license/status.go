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
	// statusKeep is how long what a list holds is kept when nothing changed, and signedKeep how long one signature of it is served: products count
	// the age of a list from its iat, and one whose policy wants a list of the last ten minutes is to get it. They ask once a minute at most, so that
	// one replica's list is never older than what another one answered before.
	statusKeep = time.Hour
	signedKeep = time.Minute
	// pausedKeep is how long the suspended licenses that were read for one list serve the others.
	pausedKeep = 2 * time.Second
)

// statusText is a signed list and the entries it was built from.
type statusText struct {
	text   string
	signed time.Time
	list   doc.StatusListBits
	built  time.Time
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

// StatusList returns the signed status list with the given number, a statuslist+jwt. It is built again when a license changed or the copy is an
// hour old, and signed again when the signature is a minute old.
func (s *Service) StatusList(ctx context.Context, n int64) (string, error) {
	if text, ok := s.lists.get(n, s.Clock.Now()); ok && s.told() {
		return text, nil
	}
	build := s.lists.builder(n)
	build.Lock() // one builds, the others take what it built
	defer build.Unlock()
	if text, ok := s.lists.get(n, s.Clock.Now()); ok && s.told() {
		return text, nil
	}
	version, now := s.lists.now(), s.now()
	built, ok := s.lists.built(n, now)
	if !ok || !s.told() {
		var err error
		if built, err = s.build(ctx, n, version); err != nil {
			return "", err
		}
	}
	text, _, err := s.Signer.SignStatusList(ctx, &doc.StatusList{
		Issuer: s.Signer.Issuer(), URI: s.statusURI(n), IssuedAt: now.Unix(), Expires: now.Add(statusLife).Unix(),
		TTL: int64(statusTTL / time.Second), List: built.list,
	})
	if err != nil {
		return "", err
	}
	built.text, built.signed = text, now
	s.lists.put(n, version, built)
	return text, nil
}

// told reports whether this process has been told of all changes: what it remembers of a list may be out of date otherwise, and is not to be signed
// as if it were of now.
func (s *Service) told() bool { return s.Fresh == nil || s.Fresh() }

// build reads what a list holds now.
func (s *Service) build(ctx context.Context, n, version int64) (statusText, error) {
	out := statusText{built: s.now()}
	ended, found, err := s.Tokens.EndedIndexes(ctx, n)
	if err != nil {
		return out, err
	}
	if !found {
		return out, licensing.ErrNotFound
	}
	paused, err := s.paused(ctx, version)
	if err != nil {
		return out, err
	}
	var bits doc.StatusBits
	for _, idx := range ended {
		bits.Set(idx, doc.StatusInvalid)
	}
	for _, idx := range paused[n] {
		bits.Set(idx, doc.StatusSuspended)
	}
	out.list = bits.Encode()
	return out, nil
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
	return t.text, ok && since(t.signed, now, signedKeep)
}

// built returns what a list holds, when nothing has changed since it was read.
func (c *statusCache) built(n int64, now time.Time) (statusText, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.texts[n]
	return t, ok && since(t.built, now, statusKeep)
}

// since reports whether less than some time has passed since an instant.
func since(at, now time.Time, most time.Duration) bool { return now.Sub(at) < most }

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
