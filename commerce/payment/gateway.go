// Package payment is where money from outside enters: the [Gateway] port behind which a payment provider stands, and the
// intake of its webhooks, which stores every delivery durably before it answers and applies each exactly once.
package payment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// Failures of a gateway that callers act on.
var (
	// ErrUnknown means that the call may or may not have taken effect (timeout, connection lost, 5xx): look it up before
	// trying again, with the same key.
	ErrUnknown = errors.New("payment: outcome unknown")
	// ErrNoObject means that the provider has no such object.
	ErrNoObject = errors.New("payment: no such object at the provider")
	// ErrSignature means that a delivery is not authentic: bad signature, too old, from the future, other account or mode.
	ErrSignature = errors.New("payment: delivery is not authentic")
	// ErrForeign is an [ErrSignature] that is rightly signed and speaks of another account or mode: somebody mixed up
	// endpoints, which deserves an alert.
	ErrForeign = fmt.Errorf("%w: other account or mode", ErrSignature)
	// ErrConfig means that the provider refuses our credentials or is set up otherwise than we are: only the operator can
	// mend it, and repeating the call cannot.
	ErrConfig = errors.New("payment: provider is not configured as expected")
	// ErrRefused means that the provider understood the call and refused it for good: it had no effect.
	ErrRefused = errors.New("payment: refused by the provider")
)

// Line is one line of a session, as frozen on the order.
type Line struct {
	Name     string
	Unit     money.Amount
	Quantity int64
}

// SessionRequest opens a payment page for one order. Key makes it idempotent: "mintreu:<kind>:<row id>:<epoch>".
type SessionRequest struct {
	Key        string
	Order      string // our order id: client_reference_id and metadata
	Email      string
	Lines      []Line
	Discount   money.Amount // total discount on the order, zero for none
	SuccessURL string
	CancelURL  string
	ExpiresAt  time.Time
}

// SessionStatus is the provider's state of a payment page.
type SessionStatus string

// The states of a session.
const (
	SessionOpen     SessionStatus = "open"
	SessionComplete SessionStatus = "complete"
	SessionExpired  SessionStatus = "expired"
)

// PaymentStatus is the provider's state of the money.
type PaymentStatus string

// The states of the money of a session.
const (
	Unpaid        PaymentStatus = "unpaid"
	Paid          PaymentStatus = "paid"
	NoPaymentNeed PaymentStatus = "no_payment_required"
)

// Session is the provider's current truth about a payment page.
type Session struct {
	ID       string
	URL      string // empty unless open
	Order    string
	Status   SessionStatus
	Payment  PaymentStatus
	Intent   string // payment intent id, empty before completion
	Charge   string // id of the charge that captured the money, empty before
	Failed   bool   // an asynchronous payment failed for good
	Live     bool
	Email    string
	Currency money.Currency
	Subtotal int64 // minor units, before discount and tax
	Discount int64
	Tax      int64
	Total    int64
	Lines    []Line
	Refunded int64 // minor units refunded of the charge so far
	Disputed bool  // the buyer's bank holds the money back, or has taken it for good
	Lost     bool  // a dispute was decided for the buyer
	Created  time.Time
}

// RefundRequest returns money of a captured payment. Key is stable for the refund's whole life, past the provider's memory.
type RefundRequest struct {
	Key    string
	Intent string
	Amount money.Amount
	Refund string // our refund id: metadata
	Reason string
}

// Refund is the provider's current truth about a refund.
type Refund struct {
	ID     string
	Refund string
	Intent string
	Amount money.Amount
	Status string // pending, requires_action, succeeded, failed, canceled
}

// Event is a verified delivery, or a row of the provider's list of events.
type Event struct {
	ID         string
	Type       string
	APIVersion string
	Live       bool
	Account    string
	Created    time.Time
	// Object is the id of the object the event speaks of, ObjectKind its kind ("checkout.session", "refund", "charge").
	Object     string
	ObjectKind string
	// Order is our order id where the object carries it.
	Order string
	Raw   []byte
}

// About are the provider's ids by which the order of an event is found that names none: its object, and the payment intent and the charge that
// this is of. A refund and a dispute name neither order nor session.
func (e *Event) About() []string {
	var raw struct {
		Data struct {
			Object struct {
				Intent json.RawMessage `json:"payment_intent"`
				Charge json.RawMessage `json:"charge"`
			} `json:"object"`
		} `json:"data"`
	}
	_ = json.Unmarshal(e.Raw, &raw) // verified before; without it the object's own id is all there is
	ids := []string{e.Object}
	for _, member := range []json.RawMessage{raw.Data.Object.Intent, raw.Data.Object.Charge} {
		var id string
		_ = json.Unmarshal(member, &id) // what is no text names nothing
		ids = append(ids, id)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// Gateway is a payment provider. Implementations set timeouts on every call, return [ErrUnknown] whenever the outcome is not
// certain, never retry with a new key, and are safe for concurrent use.
type Gateway interface {
	// Check verifies credentials, account and API version of the configured webhook endpoint at start.
	Check(ctx context.Context) error
	// Env is the environment of what this gateway's payments may make.
	Env() licensing.Env
	OpenSession(ctx context.Context, r SessionRequest) (Session, error)
	Session(ctx context.Context, id string) (Session, error)
	// FindSession looks for the newest session of an order created after since, by metadata; [ErrNoObject] if none.
	FindSession(ctx context.Context, order string, since time.Time) (Session, error)
	ExpireSession(ctx context.Context, id string) (Session, error)
	Refund(ctx context.Context, r RefundRequest) (Refund, error)
	FindRefund(ctx context.Context, intent, refund string) (Refund, error)
	// Events lists events of the types Mintreu listens to, oldest first, created at or after since.
	Events(ctx context.Context, since time.Time, limit int) ([]Event, error)
	// Verify authenticates a webhook delivery on its raw bytes; [ErrSignature] if it is not genuine.
	Verify(body []byte, signature string, now time.Time) (Event, error)
}
