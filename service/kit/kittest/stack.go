// Package kittest tests operations: a [Stack] to run them on, the role matrix driven against a handler ([RunMatrix]), a
// corpus of hostile bodies and strings ([Hostile], [Injections]), and a handler that holds every exchange against the OpenAPI
// document ([Validate]).
package kittest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// Fixture is a [kit.Stack] on parts that a test can look into and turn. Everything is safe for concurrent use.
type Fixture struct {
	kit.Stack
	Log      *Log
	Actors   *Actors
	Off      *Off
	Kept     *Kept
	Registry *prometheus.Registry
}

// NewFixture makes a Fixture: nobody is known, no switch is off, nothing was done before, the clock stands.
func NewFixture(tb testing.TB) *Fixture {
	tb.Helper()
	f := &Fixture{Log: &Log{}, Actors: &Actors{}, Off: &Off{}, Kept: &Kept{}, Registry: prometheus.NewRegistry()}
	var n atomic.Int64
	f.Stack = kit.Stack{
		Auth: f.Actors, Switches: f.Off, Replays: f.Kept,
		Clock:     func() time.Time { return time.Date(2027, 1, 31, 9, 0, 0, 0, time.UTC) },
		IDs:       func(prefix string) string { return fmt.Sprintf("%s_%032x", prefix, n.Add(1)) },
		Logger:    slog.New(slog.NewJSONHandler(f.Log, nil)),
		Metrics:   f.Registry,
		CursorKey: []byte("a key of thirty-two bytes or so!"),
		Rate:      1e6,
	}
	return f
}

// Log keeps what was logged.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Actors is a [kit.Authenticator] that knows the credentials it was told.
type Actors struct {
	mu    sync.Mutex
	known map[string]licensing.Actor
}

var _ kit.Authenticator = (*Actors)(nil)

// Know makes the header value "scheme credential" stand for actor.
func (a *Actors) Know(authorization string, actor licensing.Actor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = map[string]licensing.Actor{}
	}
	a.known[authorization] = actor
}

// Authenticate implements [kit.Authenticator].
func (a *Actors) Authenticate(_ context.Context, scheme, credential string) (licensing.Actor, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if actor, ok := a.known[scheme+" "+credential]; ok {
		return actor, nil
	}
	return licensing.Actor{}, licensing.Fail(licensing.Unauthorized, "unknown", "no such credential")
}

// Off is a [licensing.Switches] on which tests turn switches off.
type Off struct{ off sync.Map }

var _ licensing.Switches = (*Off)(nil)

// Turn turns a switch off or on again.
func (o *Off) Turn(s licensing.Switch, off bool) { o.off.Store(s, off) }

// CheckProduct always says yes: the presses here are for all.
func (o *Off) CheckProduct(context.Context, licensing.Switch, string) error { return nil }

// Check implements [licensing.Switches].
func (o *Off) Check(_ context.Context, s licensing.Switch, _ string) error {
	if off, _ := o.off.Load(s); off == true {
		return licensing.Fail(licensing.Unavailable, "switched-off", "%s is switched off.", s).After(time.Minute)
	}
	return nil
}

// Kept is a [kit.Replays] that tests fill as a Transactor would.
type Kept struct {
	mu   sync.Mutex
	rows map[string]kept
}

type kept struct {
	hash       []byte
	id, secret string
}

var _ kit.Replays = (*Kept)(nil)

// Keep stores what the call in ctx led to. It returns [licensing.ErrIdempotent] when the key has a result already, and does
// nothing for a call without a key.
func (k *Kept) Keep(ctx context.Context, resultID string) error {
	call := licensing.CallFrom(ctx)
	if call.IdempotencyKey == "" {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	at := call.Actor.String() + "\x00" + call.Operation + "\x00" + call.IdempotencyKey
	if _, taken := k.rows[at]; taken {
		return licensing.ErrIdempotent
	}
	if k.rows == nil {
		k.rows = map[string]kept{}
	}
	k.rows[at] = kept{call.RequestHash, resultID, call.Secret}
	return nil
}

// Find implements [kit.Replays].
func (k *Kept) Find(_ context.Context, actor, operation, key string) (hash []byte, resultID, secret string, found bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	row, found := k.rows[actor+"\x00"+operation+"\x00"+key]
	return row.hash, row.id, row.secret, found, nil
}
