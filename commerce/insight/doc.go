// Package insight tells a shop's people at a glance how it goes: whether each step of the golden path works ([Step]), and what was
// sold ([Series]).
//
// Every figure is counted from rows, in three statements a refresh ([Store]), and kept in memory for a few seconds, so that a page which
// everybody looks at costs the database next to nothing. What a figure means, [Step.Text] says in a sentence, and how to find the
// rows it was counted from, [Step.Where].
//
// It tells a customer the same of what is theirs ([Service.Mine]): how much there is, and what wants attention. That is read anew each
// time, in one statement.
package insight

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Store counts.
type Store interface {
	// Counts counts everything that [Counts] holds, as of an instant.
	Counts(ctx context.Context, now time.Time) (Counts, error)
	// Sales sums the orders that were paid since an instant by day (UTC), environment and currency.
	Sales(ctx context.Context, since time.Time) ([]Sale, error)
	// Support tells how the tickets stand.
	Support(ctx context.Context, now time.Time) (Waiting, error)
}

// Lately counts one kind of thing in the last hour, the last 24 hours and the last 30 days.
type Lately struct {
	Hour  int64 `json:"hour" doc:"In the last hour."`
	Day   int64 `json:"day" doc:"In the last 24 hours."`
	Month int64 `json:"month" doc:"In the last 30 days."`
}

// Counts is what the database says about the golden path. Zero times mean none.
type Counts struct {
	Customers   Lately
	Orders      Lately // made, whether paid or not
	Paid        Lately
	Licenses    Lately
	Keys        Lately // API keys
	Activations Lately
	Downloads   Lately // transfers begun
	Complete    int64  // transfers of the last 24 hours that reached their last byte

	OnSale   int64 // active products with an active plan that has a price
	Products int64 // products in any state but retired
	Releases int64 // published ones
	Parked   int64 // orders that wait for a person
	Held     int64 // orders that are paid and have no grants yet
	Oldest   time.Time
	// Events of the payment provider.
	EventsPending int64
	EventsParked  int64
	EventOldest   time.Time // the longest-waiting pending one
	EventLast     time.Time // the newest one, whatever its state
	// Mail.
	MailPending int64
	MailOldest  time.Time // the longest-waiting pending one
	MailFailed  int64
	// Jobs.
	JobsFailing   int64 // that failed and will be tried again
	JobsDiscarded int64 // that failed for good, in the last 24 hours
	JobOldest     time.Time
	Unnumbered    time.Time // the oldest audit row without a number
}

// Sale is what was sold on one day in one environment and currency, in minor units.
type Sale struct {
	Day      string // "2026-03-01", UTC
	Env      licensing.Env
	Currency string
	Orders   int64
	Gross    int64
	Refunded int64 // of those orders, until now
}

// Probe asks whether something outside of this process answers.
type Probe struct {
	// Name is what people call it: "Database", "Redis".
	Name string
	Run  func(ctx context.Context) error
}

// Off is a kill switch that is off.
type Off struct {
	Switch  licensing.Switch
	Product string // "" for all
	Reason  string
	Until   *time.Time
}

// Keys is how the signing keys stand.
type Keys struct {
	RootOnline bool // the private part of the root is in the installation
	Standby    int  // keys that stand by for planned rotation
	Resigning  bool // what a revoked key signed is being signed again
}

// Waiting is how support stands.
type Waiting struct {
	Open    int64     // tickets that wait for the shop
	Longest time.Time // since when the one that waits longest does
	Tickets Lately
}
