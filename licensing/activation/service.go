package activation

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// Licenses is what an activation needs of the licenses.
type Licenses interface {
	// TokenText returns the license's token as signed by the key that signs now.
	TokenText(ctx context.Context, l *license.License) (string, error)
	// Claims is what that token says.
	Claims(l *license.License) *doc.License
	// JudgeFor is the decision on a device whose activation is in order, as the license's view tells it.
	JudgeFor(l *license.License, r eval.Request, now time.Time, known ...eval.Finding) eval.Decision
	// Start begins a term that waits for the first activation.
	Start(ctx context.Context, l license.License) (license.License, error)
	// Get returns a license to whom it belongs, and [licensing.ErrNotFound] to others.
	Get(ctx context.Context, r license.GetRequest) (license.View, error)
	// FileText is the license's file with a lease in it.
	FileText(ctx context.Context, l *license.License, lease string) (string, error)
	// HasKey reports whether a digest of [doc.KeyDigest] is of the license's key.
	HasKey(l *license.License, digest string) (bool, error)
}

// Signer signs leases with the installation's active key.
type Signer interface {
	Issuer() string
	SignLease(ctx context.Context, c *doc.Lease) (text, kid string, err error)
}

// Verifier checks leases of our own. It does not look at their end.
type Verifier interface {
	VerifyLease(ctx context.Context, text string) (*doc.Lease, error)
}

// Deps is what a [Service] is made of. All members but Logger, Throttle and Alarm are required; without a Throttle no attempt is too many.
type Deps struct {
	Store    Store
	Lends    Lender
	Answers  Answers
	Licenses Licenses
	Signer   Signer
	Verifier Verifier
	Seal     licensing.Sealer
	Clock    licensing.Clock
	IDs      licensing.IDs
	Tx       licensing.Transactor
	Audit    licensing.Auditor
	Switches licensing.Switches
	Logger   *slog.Logger
	Throttle Throttle
	Alarm    Alarm
	Usage    Usage // nil counts nothing
	// Fresh reports whether the change feed can be believed; nil means that nothing is kept in memory which it tells of.
	Fresh func() bool
}

// Usage answers what a license used of the quota on one of its meters in the present period, from memory or in one round trip.
type Usage interface {
	Used(ctx context.Context, l *license.License, meter string) (int64, error)
}

// Service gives out seats. It is safe for concurrent use, also by several processes on one database.
type Service struct {
	Deps
	memory *memory
}

// New makes a Service.
func New(d Deps) *Service {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{d, newMemory(d)}
}

// What a product is told. The codes are those of package sdk.
var (
	// ErrRefused is the one answer to a credential that gives no right to a seat, whatever the reason.
	ErrRefused = licensing.Fail(licensing.Unauthorized, sdk.CodeUnauthorized, "This needs a valid credential in the Authorization header.")
	// ErrSeats refuses an activation when every seat is taken.
	ErrSeats = licensing.Fail(licensing.Conflict, sdk.CodeSeatsExhausted,
		"Every seat of the license is taken. Free one first: deactivate a device, or release a user where users take the seats.")
	// ErrReleased answers for an activation that holds no seat any more, or never did.
	ErrReleased = licensing.Fail(licensing.Conflict, sdk.CodeActivationReleased,
		"The activation no longer holds a seat. Activate again.")
	// ErrSuspended answers a heartbeat while the license is suspended; the seat stays held.
	ErrSuspended = licensing.Fail(licensing.Forbidden, sdk.CodeLicenseSuspended, "The license is suspended.")
	// ErrRevoked answers a heartbeat after the license was revoked.
	ErrRevoked = licensing.Fail(licensing.Forbidden, sdk.CodeLicenseRevoked, "The license was revoked.")
	// ErrDevice refuses a request that does not say enough of its device, or speaks of another one.
	ErrDevice = licensing.Fail(licensing.Conflict, sdk.CodeDeviceMismatch, "The request comes from another device.")
	// ErrTrialUsed refuses a second trial on a device, under whichever license.
	ErrTrialUsed = licensing.Fail(licensing.Conflict, sdk.CodeTrialUsed, "This device had a trial of this product.")
	// ErrUser refuses an activation without a user where users take the seats.
	ErrUser = licensing.Fail(licensing.Invalid, sdk.CodeUserRequired, "The license's seats are taken by users; name one.")

	errForm = licensing.Fail(licensing.Invalid, "activation-form", "The device is not described well; see the fields.")
	errBusy = licensing.Fail(licensing.Unavailable, sdk.CodeUnavailable, "Too much happened at once to this license; try again.").After(time.Second)
)

// ByLease names the device behind a lease: the actor is the activation. The lease's own end is not looked at, because a
// heartbeat succeeds however late and a seat can be given back at any time; signature, key, issuer and product are. Whether
// the activation still holds its seat is for the operation to find out. The database is not asked, so Owner stays empty, and
// Product is the product's slug, which narrows the actor to no product id.
func (s *Service) ByLease(ctx context.Context, text string) (licensing.Actor, error) {
	l, err := s.Verifier.VerifyLease(ctx, text)
	if err != nil {
		return licensing.Actor{}, err
	}
	return licensing.Actor{
		Kind: licensing.Device, ID: l.Activation, License: l.License, Product: l.Audience, Env: licensing.Env(l.Env), Lease: text,
	}, nil
}

// notFound reports whether err says that there is no such object.
func notFound(err error) bool { return errors.Is(err, licensing.ErrNotFound) }
