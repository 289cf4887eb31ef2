// Package checkout takes an order from the basket to its grants.
//
//	Create ── order and intent in one transaction ── the gateway opens a payment page ── confirmed
//	Fulfil ── asks the gateway what is true now ── compares it with the frozen order ── drafts what is to be given ──
//	          one transaction: order, grants, ledger, receipt, credit note, notice, audit
//
// Fulfil has four callers: the payment worker (through [Applier]), the buyer's page, the sweeper and a person who re-drives an
// order. All may call it at the same moment and again: a transition is a conditional update on the order's version, and
// behind it stand unique keys for each grant's source, each ledger source, each receipt and each credit note. Nothing is ever given because of
// what a browser says: only the provider's own answer counts.
package checkout

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// Session is an attempt to open a payment page for an order. It is stored before the provider is called.
type Session struct {
	Order     string
	Epoch     int64 // counts attempts; part of the provider's idempotency key
	State     SessionState
	ID        string // the provider's, empty until confirmed
	URL       string
	Success   string // where the provider sends the buyer
	Cancel    string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// SessionState is where an attempt stands.
type SessionState string

// The states of an attempt.
const (
	Opening SessionState = "opening"
	Open    SessionState = "open"
	Closed  SessionState = "closed"
)

// Given is a grant that was given: which unit of which line it is for and what it made.
type Given struct {
	Source    string // "<line>/<unit>/<grant>", unique
	Order     string
	Line      string
	Kind      string // order.KindLicense, order.KindAPIKey or order.KindRenewal
	Object    string // id of the license or key, or of the license that was renewed
	State     string // active, suspended or revoked
	Sealed    []byte // the secret, sealed; nil once an API key was shown
	Hint      string // end of the secret, to tell keys apart
	CreatedAt time.Time
	UpdatedAt time.Time
}

// The states of what was given.
const (
	Active    = "active"
	Suspended = "suspended"
	Revoked   = "revoked"
)

// Whole is an order with what its page shows: the newest attempt, if there was one, the credit notes and what was given.
type Whole struct {
	Order    order.Order
	Sessions []Session
	Credits  []order.Credit
	Given    []Given
}

// Sessions keeps attempts and slots. Methods that write run in the caller's transaction.
type Sessions interface {
	// AddSession adds an attempt, unless the order has one of this epoch, and reports whether it did.
	AddSession(ctx context.Context, s Session) (bool, error)
	// LastSession returns the newest attempt for an order, or [licensing.ErrNotFound].
	LastSession(ctx context.Context, order string) (Session, error)
	// ConfirmSession fills in what the provider answered, if the attempt is still opening and the order's newest, and reports whether
	// it was.
	ConfirmSession(ctx context.Context, s Session) (bool, error)
	// EndSessions closes every attempt for an order and frees the slots it held.
	EndSessions(ctx context.Context, order string) error
	// TakeSlot makes the order the only open one of an owner for a plan; it returns the order that is, which is another one
	// when the slot was taken.
	TakeSlot(ctx context.Context, owner licensing.Owner, plan, order string) (holder string, err error)
}

// Grants keeps what was given. Methods that write run in the caller's transaction.
type Grants interface {
	// AddGiven reports false when the source has given already.
	AddGiven(ctx context.Context, g Given) (bool, error)
	Given(ctx context.Context, order string) ([]Given, error)
	// Whole loads an order without regard to its owner, for callers who were let see it.
	Whole(ctx context.Context, order string) (Whole, error)
	SetGiven(ctx context.Context, source, state string, at time.Time) error
	// TakeSecret removes the sealed secret of a grant and reports whether it was still there.
	TakeSecret(ctx context.Context, source string, at time.Time) (bool, error)
}

// Due says which orders are to be looked at: young ones, and those paid whose grants are queued, when they were last looked at before
// Soon; all others, which wait for a bank, a dispute or a buyer who left, when that was before Late. Young ones were made after Young.
type Due struct{ Soon, Late, Young time.Time }

// Renewer is an order that renewed a license.
type Renewer struct{ Order, License string }

// Queue finds orders that want looking after.
type Queue interface {
	// Due returns up to limit unfinished orders, those looked at the longest ago first.
	Due(ctx context.Context, d Due, limit int) ([]string, error)
	// Hold locks orders, in the order of their ids, until the caller's transaction ends.
	Hold(ctx context.Context, orders ...string) error
	// Touch notes that an order is looked at now, unless it was since notSince; it reports whether it noted.
	Touch(ctx context.Context, order string, now, notSince time.Time) (bool, error)
	// Renewers returns the fulfilled orders that renewed a license which an order gave, by id, each with the license; those alone of which money is
	// still here.
	Renewers(ctx context.Context, order string) ([]Renewer, error)
	// ByPayment finds an order by the provider's id of its session, payment intent or charge.
	ByPayment(ctx context.Context, object string) (order string, err error)
}

// Unit is one grant of one unit of one line, to be given.
type Unit struct {
	Source   string
	Line     order.Line
	Grant    order.Grant
	Owner    licensing.Owner
	Env      licensing.Env
	Licensee string
}

// Draft is a license or key made but not stored. Issue stores it in the caller's transaction; it reports false when the source
// has one already.
type Draft struct {
	Object string // its id
	Secret string // the license key or API key in clear
	Hint   string
	Issue  func(ctx context.Context) (bool, error)
}

// Giver makes one kind of grant. Draft runs outside of transactions and fails with kind [licensing.Unavailable] while the grants are
// switched off. The others run in the caller's transaction and are idempotent.
type Giver interface {
	Draft(ctx context.Context, u Unit) (Draft, error)
	Suspend(ctx context.Context, g Given, reason string) error
	Reinstate(ctx context.Context, g Given, reason string) error
	Revoke(ctx context.Context, g Given, reason string) error
}

// Reverser is a giver that takes what it gave back by something that has to be signed first. Reverse runs outside of transactions; what it
// returns runs in the caller's, is idempotent, and asks for another by [license.ErrChanged].
type Reverser interface {
	Reverse(ctx context.Context, g Given, back bool, reason string) (apply func(ctx context.Context) error, err error)
}

// Owned tells a customer of their licenses, and answers for any other with [licensing.ErrNotFound].
type Owned interface {
	Get(ctx context.Context, r license.GetRequest) (license.View, error)
}

// Shop tells what is for sale.
type Shop interface {
	Sellable(ctx context.Context, plans []string) ([]catalog.Sellable, error)
}

// Prices tells what it costs.
type Prices interface {
	Current(ctx context.Context, plan string, currency money.Currency, at time.Time) (pricing.Price, error)
}

// Buyers finds or makes the customer behind an e-mail address.
type Buyers interface {
	Guest(ctx context.Context, email string) (licensing.Owner, error)
	// Known is the customer with the address, or [licensing.ErrNotFound].
	Known(ctx context.Context, email string) (licensing.Owner, error)
	// Email is the address of a customer who is signed in.
	Email(ctx context.Context, owner licensing.Owner) (string, error)
	// HoldOwner makes sure, inside the caller's transaction, that an order's owner is there until that ends.
	HoldOwner(ctx context.Context, owner licensing.Owner) error
}

// Notice is a message to be sent after the transaction in which it is queued.
type Notice struct {
	Template string // "purchase", "awaiting_funds", "order_parked"
	Order    string
	Email    string
	Epoch    int64
	Data     map[string]any
}

// Notices queues messages in the caller's transaction, each once for its template, order and epoch.
type Notices interface {
	Queue(ctx context.Context, n Notice) error
}

// Throttle slows repeated attempts down.
type Throttle interface {
	// Allow counts one attempt under key, at most count in each period, and returns how long to wait when that is too many.
	Allow(ctx context.Context, key string, count int64, period time.Duration) (wait time.Duration, err error)
}

// Deps is what a [Service] needs.
type Deps struct {
	Orders   order.Store
	Credits  order.Credits
	Sessions Sessions
	Grants   Grants
	Queue    Queue
	Shop     Shop
	Prices   Prices
	Gateway  payment.Gateway
	Givers   map[string]Giver // by kind of grant
	Licenses Owned
	Buyers   Buyers
	Notices  Notices
	Throttle Throttle
	// From tells where a request comes from, for throttling: an IP address, "" if not known. Nil means never known.
	From     func(ctx context.Context) string
	Switches licensing.Switches
	Clock    licensing.Clock
	IDs      licensing.IDs
	Tx       licensing.Transactor
	Audit    licensing.Auditor
	Seal     licensing.Sealer
	Log      *slog.Logger
	// Alert tells people that something needs them: code is stable ("order-parked"), text names the object. Nil tells only the log.
	Alert  func(ctx context.Context, code, text string)
	Tax    order.TaxRules
	Seller order.Seller // frozen on each order, as its receipt names it
	// BaseURL is the service's own address, without a slash at its end; Origins are the storefronts besides it.
	BaseURL string
	Origins []string
	// Open is how long a payment page stays open, one hour unless said. Stripe wants 30 minutes to 24 hours.
	Open time.Duration
}

// Service sells. It is safe for concurrent use.
type Service struct{ Deps }

// NewService returns a Service over d.
func NewService(d Deps) *Service {
	if d.Open == 0 {
		d.Open = time.Hour
	}
	if d.Seller.Name == "" {
		if u, err := url.Parse(d.BaseURL); err == nil {
			d.Seller.Name = u.Host
		}
	}
	if d.From == nil {
		d.From = func(context.Context) string { return "" }
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Alert == nil {
		d.Alert = func(context.Context, string, string) {}
	}
	return &Service{d}
}
