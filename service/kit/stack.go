package kit

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintreu/mintreu/licensing"
)

// Authenticator turns a credential into an actor. The scheme is "Bearer" (a session, a machine token or an API key),
// "License" (a license key or license token) or "Lease"; kit has checked it and the credential's length and alphabet.
//
// For a credential that is not good, whatever the reason, it returns an error of kind [licensing.Unauthorized]; callers see one
// uniform answer and the reason stays in the log. Other errors (a database that is away) are answered as what they are.
// It must be safe for concurrent use.
type Authenticator interface {
	Authenticate(ctx context.Context, scheme, credential string) (licensing.Actor, error)
}

// Replays reads what an Idempotency-Key already led to. Rows are written by the Transactor, in the transaction of the
// operation; Find only reads. hash is the [licensing.Call.RequestHash] it was stored with, resultID the id of the operation's
// result, secret the text shown once if it is still kept ("" when there was none or it is over).
type Replays interface {
	Find(ctx context.Context, actor, operation, key string) (hash []byte, resultID, secret string, found bool, err error)
}

// Stack is what operations run on. One Stack serves every operation of a process.
type Stack struct {
	// Auth, Switches, Clock, IDs, Logger and Metrics are required. Replays is, when an operation takes an Idempotency-Key.
	Auth     Authenticator
	Switches licensing.Switches
	Replays  Replays
	Clock    licensing.Clock
	IDs      licensing.IDs
	Logger   *slog.Logger
	Metrics  prometheus.Registerer
	// CursorKey authenticates page cursors: 16 bytes or more, the same on every replica.
	CursorKey []byte
	// Rate and Burst are the process's own ceiling, in operations a second over all callers; zero Rate means 2000, zero
	// Burst twice the Rate.
	Rate  float64
	Burst int
	// BodyTime is how long a request's body may take to arrive, by the wall clock; zero means nine seconds. A raw handler
	// that takes more moves the deadline with http.ResponseController.
	BodyTime time.Duration
	// Origins are the exact origins ("https://shop.example.com") whose pages may call operations marked CORS.
	Origins []string
	// TrustedProxies may tell the caller's address in X-Forwarded-For; from anybody else that header is ignored.
	TrustedProxies []netip.Prefix
	// Forwarders are the networks of the proxies that may call operations marked Forward, to ask about a request that they
	// hold. In those operations they may tell the caller's address, too.
	Forwarders []netip.Prefix
}
