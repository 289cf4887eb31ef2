// Package sdktest is a whole Mintreu for the tests of a product: an issuer with
// its own keys, a server in this process that answers the endpoints that
// products call, a clock that stands still until it is moved, and faults.
//
//	srv := sdktest.NewServer()
//	defer srv.Close()
//	key := srv.Issue(sdktest.Spec{Product: "editor", Seats: 1})
//	client, err := sdk.New(srv.Config("editor"), srv.Options()...)
//	decision, err := client.Activate(ctx, key)
//	srv.Clock.Advance(30 * 24 * time.Hour)
//	srv.Fail(sdktest.Down)
//	decision, err = client.Check(ctx) // as on a machine that was offline for a month
//
// The keys are the same in every run and are no secret: nothing but tests may
// trust them.
package sdktest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
)

// Start is where the clock of a new Server stands. It lies in the past, so that
// a test may also set the clock to the real time.
var Start = time.Date(2025, 1, 15, 12, 0, 0, 0, time.UTC)

// Clock is a clock that is set by hand. It is safe for concurrent use.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	changed chan struct{}
}

// NewClock makes a clock that stands at an instant.
func NewClock(at time.Time) *Clock { return &Clock{now: at, changed: make(chan struct{})} }

// Changed returns a channel that is closed when the clock next moves; Client.Run
// waits for it.
func (c *Clock) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock; a negative length moves it back.
func (c *Clock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }

// Set sets the clock.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = at
	close(c.changed)
	c.changed = make(chan struct{})
}

// Key returns a test key; the same name gives the same key in every run.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("sdktest key: " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Public returns the public half of a key.
func Public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// Sign signs a document with a key and panics if it cannot be signed.
func Sign(k ed25519.PrivateKey, d doc.Document) string {
	s, err := doc.NewSigner(k)
	if err != nil {
		panic(err)
	}
	text, err := s.Sign(d)
	if err != nil {
		panic(err)
	}
	return text
}

// SignRaw signs any header and payload, for tokens that no honest issuer makes.
func SignRaw(k ed25519.PrivateKey, header, payload string) string {
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	return text + "." + encode(ed25519.Sign(k, []byte(text)))
}

// Day is 24 hours in seconds, the unit of a policy's lengths.
const Day = 24 * 3600

// Policy returns the policy of licenses whose Spec has none: a perpetual
// license that must be activated, asks for contact daily, and works two weeks
// without.
func Policy() doc.Policy {
	return doc.Policy{Expired: doc.ExpiredRestrict, Activation: doc.ActivationRequired, Match: 1, Recheck: Day,
		Fresh: 7 * Day, Stale: 4 * Day, Grace: 3 * Day, Then: doc.ThenStop, Status: doc.StatusOff}
}

// Spec describes a license to issue. The zero value of a field means what is
// usual: a live, perpetual license of the plan "pro" with Policy and one seat.
type Spec struct {
	Product    string
	Env        string
	Type       string
	Plan       string
	Seats      int64
	By         string // doc.ByDevice or doc.ByUser
	Floating   bool
	ValidFor   time.Duration
	MaxVersion string
	Ent        map[string]doc.Value
	EntUntil   map[string]int64
	Policy     *doc.Policy
}

// license returns the claims of the n-th license, issued at an instant.
func (s Spec) license(issuer string, n int, now int64) *doc.License {
	pol := Policy()
	if s.Policy != nil {
		pol = *s.Policy
	}
	l := &doc.License{Issuer: issuer, Audience: s.Product, ID: fmt.Sprintf("lic_%016d", n), TokenID: fmt.Sprintf("tok_%016d", n),
		IssuedAt: now, NotBefore: now, Env: or(s.Env, doc.EnvLive), Type: or(s.Type, doc.Perpetual), Plan: or(s.Plan, "pro"),
		Customer: "cus_0000000000000001", MaxVersion: s.MaxVersion, Seats: doc.Seats{N: max(s.Seats, 1), By: or(s.By, doc.ByDevice), Floating: s.Floating},
		Ent: maps.Clone(s.Ent), EntUntil: s.EntUntil, Pol: pol,
		Status: doc.StatusClaim{List: doc.StatusRef{Index: int64(n), URI: issuer + "/v1/status/0"}}}
	if l.Ent == nil {
		l.Ent = map[string]doc.Value{}
	}
	if s.ValidFor > 0 {
		l.Type = or(s.Type, doc.Timed)
		l.ValidUntil = now + int64(s.ValidFor/time.Second)
		if pol.Expired == doc.ExpiredRestrict || pol.Expired == doc.ExpiredRevoke {
			l.Expires = l.ValidUntil + pol.ExpiryGrace
		}
	}
	return l
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
