package license

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// When the clock of a timed license starts.
const (
	FromCreation        = "creation"
	FromFirstActivation = "first_activation"
	FromFirstValidation = "first_validation"
)

// What a renewal adds to.
const (
	FromExpiry       = "from_expiry"
	FromNow          = "from_now"
	FromNowIfExpired = "from_now_if_expired"
)

// What a transfer does to the expiry.
const (
	KeepExpiry  = "keep_expiry"
	ResetExpiry = "reset_expiry"
)

// What happens when every seat is taken.
const (
	Reject        = "reject"
	ReplaceOldest = "replace_oldest"
)

// Seats says how many may hold a license at once, counted how.
type Seats struct {
	N        int64  `json:"n" doc:"How many seats."`
	By       string `json:"by" doc:"What a seat counts." enum:"device,user"`
	Floating bool   `json:"floating,omitempty" doc:"Seats move from device to device; a silent one is freed after dead_after."`
}

// Meter is a quota on something the product counts.
type Meter struct {
	Quota  int64  `json:"quota" doc:"How much may be used in a period."`
	Period string `json:"period" doc:"The period." enum:"day,week,month,year,term"`
}

// Transfer says how a license may move to another owner.
type Transfer struct {
	Allowed  bool   `json:"allowed,omitempty" doc:"Whether the license may be transferred."`
	Expiry   string `json:"expiry,omitempty" doc:"What a transfer does to the expiry." enum:"keep_expiry,reset_expiry"`
	Limit    int64  `json:"limit,omitempty" doc:"How many transfers a period."`
	Period   int64  `json:"period,omitempty" doc:"The period, in seconds."`
	Approval bool   `json:"approval,omitempty" doc:"Whether a person must approve."`
}

// Terms is what a policy grants and demands. It is a template while it is a policy's, and frozen in the license at issue.
// Durations are whole seconds.
type Terms struct {
	Type           string           `json:"type" doc:"Kind of term." enum:"perpetual,timed,subscription,trial"`
	Duration       int64            `json:"duration,omitempty" doc:"Length of the term in seconds; none for perpetual."`
	ExpiryBasis    string           `json:"expiry_basis,omitempty" doc:"When the term starts." enum:"creation,first_activation,first_validation"`
	RenewalBasis   string           `json:"renewal_basis,omitempty" doc:"What a renewal adds to." enum:"from_expiry,from_now,from_now_if_expired"`
	Expired        string           `json:"expired,omitempty" doc:"What becomes of the license after its term." enum:"restrict,revoke,maintain,allow"`
	ExpiryGrace    int64            `json:"expiry_grace,omitempty" doc:"Seconds of use after the term."`
	UpdatesFor     int64            `json:"updates_for,omitempty" doc:"Seconds of updates from issue; 0 is without an end."`
	MaxVersion     string           `json:"max_version,omitempty" doc:"Newest version covered; empty covers all."`
	Seats          Seats            `json:"seats" doc:"Seats."`
	OveragePercent int64            `json:"overage_percent,omitempty" doc:"Seats allowed beyond n, in percent of n; -1 is any number."`
	OverLimit      string           `json:"over_limit,omitempty" doc:"What happens when every seat is taken." enum:"reject,replace_oldest"`
	Activation     string           `json:"activation,omitempty" doc:"Whether a device must hold a seat." enum:"none,required"`
	Match          int64            `json:"match,omitempty" doc:"How many device components must agree."`
	Recheck        int64            `json:"recheck,omitempty" doc:"Seconds after contact when the SDK asks again."`
	Fresh          int64            `json:"fresh,omitempty" doc:"Seconds after contact for which a lease is fresh."`
	Stale          int64            `json:"stale,omitempty" doc:"Seconds after fresh for which a lease is stale, allowed with a warning."`
	Grace          int64            `json:"grace,omitempty" doc:"Seconds after stale for which a lease is in grace, still allowed."`
	Then           string           `json:"then,omitempty" doc:"What follows the grace." enum:"stop,degrade,advisory"`
	Keep           []string         `json:"keep,omitempty" doc:"Entitlements kept when degraded."`
	ReviveWithin   int64            `json:"revive_within,omitempty" doc:"Seconds after release in which the same device gets the same activation back."`
	DeadAfter      int64            `json:"dead_after,omitempty" doc:"Seconds of silence after which a seat is freed; 0 is never."`
	Transfer       Transfer         `json:"transfer,omitzero" doc:"Transfers."`
	Entitlements   Entitlements     `json:"entitlements,omitempty" doc:"Features by code: true, a whole number or a text."`
	EntitledFor    map[string]int64 `json:"entitled_for,omitempty" doc:"Seconds from issue for which a feature lasts, by code."`
	Meters         map[string]Meter `json:"meters,omitempty" doc:"Quotas by meter code."`
	Status         string           `json:"status,omitempty" doc:"What a missing or old status list means to the SDK." enum:"off,warn,require"`
	StatusMaxAge   int64            `json:"status_max_age,omitempty" doc:"Seconds for which a status list is good."`
}

// Day is a day in seconds, the unit in which defaults are thought.
const Day int64 = 24 * 60 * 60

// maxSpan bounds every duration, so that sums of them stay far from the ends of time.
const maxSpan = 200 * 366 * Day

// WithDefaults fills what was left out: restrict on expiry, the term from creation, one component that agrees, a recheck each
// day, fresh for a week, stale for two more, grace for another, then stop.
func (t Terms) WithDefaults() Terms {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	num := func(n *int64, v int64) {
		if *n == 0 {
			*n = v
		}
	}
	def(&t.ExpiryBasis, FromCreation)
	def(&t.RenewalBasis, FromExpiry)
	def(&t.Expired, doc.ExpiredRestrict)
	def(&t.Seats.By, doc.ByDevice)
	num(&t.Seats.N, 1)
	def(&t.OverLimit, Reject)
	def(&t.Activation, doc.ActivationRequired)
	num(&t.Match, 1)
	if t.Type == doc.Subscription { // a payment may be late by a weekend
		t.ExpiryGrace = max(t.ExpiryGrace, 3*Day)
	}
	def(&t.Then, doc.ThenStop)
	def(&t.Status, doc.StatusWarn)
	num(&t.StatusMaxAge, 7*Day)
	if t.Fresh == 0 && t.Stale == 0 && t.Grace == 0 {
		t.Fresh, t.Stale, t.Grace = 7*Day, 14*Day, 7*Day
	}
	num(&t.Recheck, min(Day, max(1, t.Fresh/2)))
	if t.Transfer.Allowed {
		def(&t.Transfer.Expiry, KeepExpiry)
	}
	return t
}

// OfflineMax is how long a device may run on one lease.
func (t Terms) OfflineMax() time.Duration {
	return seconds(t.Fresh) + seconds(t.Stale) + seconds(t.Grace)
}

// SeatsMax is how many of n seats may be held at once, overage included (rounded down); -1 is any number.
func (t Terms) SeatsMax(n int64) int64 {
	if t.OveragePercent < 0 {
		return -1
	}
	return n + n*t.OveragePercent/100
}

// Starts reports whether the term begins later than at issue.
func (t Terms) Starts() bool {
	return t.Duration > 0 && t.ExpiryBasis != FromCreation
}

// Ends reports whether a license under these terms stops by itself once its valid_until and grace are over.
func (t Terms) Ends() bool { return t.Expired == doc.ExpiredRestrict || t.Expired == doc.ExpiredRevoke }

// Policy is a template of terms, for one product.
type Policy struct {
	ID        string
	ProductID string
	Code      string
	Name      string
	Terms     Terms
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Policies keeps policies. AddPolicy and SavePolicy run in the caller's transaction; SavePolicy changes the row only at the
// version given, and reports whether it did.
type Policies interface {
	AddPolicy(ctx context.Context, p Policy) error
	SavePolicy(ctx context.Context, p Policy, was int64) (bool, error)
	Policy(ctx context.Context, id string) (Policy, error)
	ListPolicies(ctx context.Context, productID string, page licensing.Page) (licensing.List[Policy], error)
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// plus is an instant n seconds after another, also where that is more than the 292 years that a [time.Duration] holds: several terms may be.
func plus(at time.Time, n int64) time.Time {
	return time.Unix(at.Unix()+n, int64(at.Nanosecond())).UTC()
}
