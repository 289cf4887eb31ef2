package activation

import (
	"context"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
)

// memory keeps what validating reads, a license with the activation of the device or user that asks, so that the next question of the same
// is answered without the database. It forgets a license's when the change feed tells of the license (kind "license") or of who holds its
// seats (kind "activation"): at once on the replica that made the change, on the others within the feed's half second; while the feed is
// not fresh it is not used. What is read while something is being forgotten is not kept. It holds up to [remembered] answers, and of
// licenses that there are not as many for five seconds.
//
// A heartbeat tells the feed nothing, since it can only make a decision better. So a decision that rests on when a device was heard of last
// is made from memory only while it is good; else the database is asked. Borrowing a seat and giving it back early change what a lease is good
// for, and are told to the feed.
type memory struct {
	cache *credential.Cache[found]
}

// found is a license with an activation, nil when the device or user has none. It is shared: nobody may change what it points to.
type found struct {
	license    license.License
	activation *Activation
}

// remembered is how many answers are kept, of some four kilobytes each.
const remembered = 8192

// believed is how long an answer is kept at most.
const believed = 10 * time.Second

func newMemory(d Deps) *memory {
	fresh := d.Fresh
	if fresh == nil {
		fresh = func() bool { return false }
	}
	return &memory{credential.NewCache[found](credential.CacheConfig{Clock: d.Clock, Records: remembered, Misses: remembered, TTL: believed, Trusted: fresh})}
}

// Forget drops what is kept of the license with an id, everything for "". The change feed calls it with ids of the kinds "license" and
// "activation", which both name licenses.
func (s *Service) Forget(licenseID string) {
	if licenseID == "" {
		s.memory.cache.Reset()
		return
	}
	if !s.memory.cache.Invalidate(licenseID) {
		s.memory.cache.ForgetMisses() // it may have come to be
	}
}

// find is [Store.Find] from memory. read reports that it was not there, and the database was asked.
func (s *Service) find(ctx context.Context, seek Seek) (f found, read bool, err error) {
	var whole found
	f, err = s.memory.cache.Load(ctx, seek.digest(), func(ctx context.Context) (found, []string, error) {
		l, a, err := s.Store.Find(ctx, seek)
		whole, read = found{l, a}, true
		l.Token.Text, l.KeySealed, l.KeyLookup = "", nil, nil // of no use here, and long
		return found{l, a}, []string{l.ID}, err
	})
	if read {
		f = whole
	}
	return f, read, err
}

// digest tells one question from another. No member has a line feed in it: all are ids and digests.
func (k *Seek) digest() credential.Digest {
	return credential.Sum(k.License + "\n" + k.Subject + "\n" + k.User + "\n" + strings.Join(k.Parts, "\n"))
}

// ofContact reports whether a decision rests on when the device was heard of last, and would be better had it been heard of since.
func ofContact(d *eval.Decision) bool {
	for _, f := range d.Findings {
		switch f.Code {
		case eval.LeaseExpired, eval.LeaseStale, eval.InGrace:
			return true
		}
	}
	return false
}
