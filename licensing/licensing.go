// Package licensing holds the words that every domain package of Mintreu shares: who acts ([Actor]), on whose
// behalf ([Owner]), in which [Env], what went wrong ([Error]), how identifiers and instants come to be ([IDs], [Clock]),
// and the three small ports through which a service reaches the outside of its transaction
// ([Transactor], [Auditor], [Switches]).
//
// The sub-packages license, activation, apikey, usage and keyring hold the licensing domain itself; the commerce
// packages build on them. Nothing here does I/O.
package licensing

import (
	"context"
	"strings"
	"time"
)

// Clock tells the current instant. It is injected everywhere, so that tests own time. Implementations return UTC and
// are safe for concurrent use.
type Clock func() time.Time

// Now is the clock's instant in UTC, cut to the microsecond that both engines store.
func (c Clock) Now() time.Time { return c().UTC().Truncate(time.Microsecond) }

// Env is the environment an object belongs to. Sandbox or test-mode payments make only [Test] objects.
type Env string

// The two environments.
const (
	Live Env = "live"
	Test Env = "test"
)

// Valid reports whether e is one of the two environments.
func (e Env) Valid() bool { return e == Live || e == Test }

// Owner is the id of who owns a license, a key or an order: a customer ("cus_…") or an organisation ("org_…").
// A Store method used on behalf of customers takes an Owner and puts it in its WHERE clause.
type Owner string

// Transactor runs fn in one database transaction that travels in the context handed to fn. Statements inside fn must use
// that context (name the parameter ctx, so that it shadows the outer one). A nested call joins the transaction of its
// caller. fn may be run again after a serialization failure or a deadlock, so it must have no effect outside the database:
// hash, sign, and call Stripe, SMTP or Redis before or after, never inside.
type Transactor interface {
	InTx(ctx context.Context, fn func(ctx context.Context) error) error
}

// Event is what the audit trail keeps of a change. It is written inside the transaction of the change.
type Event struct {
	// Action is "noun.verb", for example "license.revoke".
	Action string
	// Target is the id of the object changed. The first Event of an operation also names the operation's result.
	Target string
	// Product is the product's id where the change concerns one.
	Product string
	// Reason is the text a person gave, empty otherwise.
	Reason string
	// Detail is a small JSON-marshalable value: what changed, without secrets and without personal data.
	Detail any
}

// Auditor writes audit rows. Record must be called inside a [Transactor]'s fn; it fails outside one.
type Auditor interface {
	Record(ctx context.Context, e Event) error
}

// Switch names one of the nine kill switches.
type Switch string

// The kill switches (commerce §11).
const (
	SwitchPayments  Switch = "payments"
	SwitchDownloads Switch = "downloads"
	SwitchLicensing Switch = "licensing"
	SwitchReferrals Switch = "referrals"
	SwitchAI        Switch = "ai"
	SwitchSupport   Switch = "support"
	SwitchSignup    Switch = "signup"
	SwitchAPI       Switch = "api"
	SwitchAds       Switch = "ads"
)

// AllSwitches lists the nine kill switches in the order pages show them.
func AllSwitches() []Switch {
	return []Switch{SwitchPayments, SwitchDownloads, SwitchLicensing, SwitchReferrals, SwitchAI, SwitchSupport, SwitchSignup, SwitchAPI, SwitchAds}
}

// Switches is the reader that operations, fulfilment and jobs ask. Check returns nil when work may go on and an [Error] of
// kind [Unavailable] with code "switched-off" when the switch is off for all or for the given product id ("" asks for all
// only). It answers from memory.
type Switches interface {
	Check(ctx context.Context, s Switch, product string) error
}

// Page asks for one page of a list: at most Limit rows after the row that Cursor names ("" is the first page).
// Cursors are opaque to callers.
type Page struct {
	Cursor string `query:"cursor" doc:"Where the page starts: the next cursor of the page before. Leave it out for the first page."`
	Limit  int    `query:"limit" doc:"Rows on the page, 1 to 100; 20 unless said."`
}

// List is one page of T and the cursor of the next page, empty when there is none.
type List[T any] struct {
	Items []T    `json:"items" doc:"The rows of this page."`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; absent on the last one."`
}

// Sealer keeps small secrets encrypted at rest under the installation's master key. The place names table, row and column
// ("license/lic_…/key") and is bound to the ciphertext, so that a sealed value moved elsewhere does not open.
// Safe for concurrent use.
type Sealer interface {
	Seal(plaintext []byte, place string) ([]byte, error)
	Open(sealed []byte, place string) ([]byte, error)
	// Derive returns a 32-byte key for one purpose ("license-key lookup"), derived from the master key by HKDF-SHA-256.
	Derive(purpose string) []byte
}

// Job is work to be done after the transaction that enqueues it has committed. Args are JSON and hold no secrets: ids only.
type Job struct {
	Kind string
	// Unique, when not empty, makes a second enqueue of the same kind and key a no-op while the first has not finished.
	Unique string
	Args   any
	// At is the earliest instant to run; zero means at once.
	At time.Time
}

// Enqueuer puts a job into the outbox, inside the transaction in ctx if there is one.
type Enqueuer interface {
	Enqueue(ctx context.Context, j Job) error
}

// Unaliased is an e-mail address without the alias that follows a plus sign in front of the @: two that are alike then are one person's.
func Unaliased(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	local, _, _ = strings.Cut(local, "+")
	return local + "@" + domain
}
