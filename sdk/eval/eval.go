// Package eval answers the one question of licensing: is this allowed, here and
// now? Evaluate is a pure function, used unchanged by the server and by every
// product, so both always agree. It reads verified documents of package doc and
// never looks at a clock, a file or the network.
//
//	d := eval.Evaluate(eval.Input{License: license, Lease: lease, Now: now,
//		Request: eval.Request{Product: "editor", Version: "2.1.0", Device: digests}})
//	if !d.Allowed {
//		fmt.Println(d.Code, d.Explanation)
//	}
//
// All findings are collected first. The answer is yes if none of them denies;
// its code is that of the most severe denial, else of the most severe warning,
// else VALID. So a permissive rule never hides a hard failure.
//
// Instants are half-open: a license valid until t is still valid at t-1 and has
// expired at t.
package eval

import (
	"slices"

	"github.com/mintreu/mintreu/sdk/doc"
)

// Code names what was found. Codes are stable.
type Code string

// The codes, the most severe first.
const (
	NotFound            Code = "NOT_FOUND"
	Revoked             Code = "REVOKED"
	Suspended           Code = "SUSPENDED"
	ProductRequired     Code = "PRODUCT_REQUIRED"
	ProductMismatch     Code = "PRODUCT_MISMATCH"
	EnvironmentMismatch Code = "ENVIRONMENT_MISMATCH"
	ClockRollback       Code = "CLOCK_ROLLBACK"
	NotYetValid         Code = "NOT_YET_VALID"
	Expired             Code = "EXPIRED"
	VersionRequired     Code = "VERSION_REQUIRED"
	VersionNotCovered   Code = "VERSION_NOT_COVERED"
	ActivationRequired  Code = "ACTIVATION_REQUIRED"
	ActivationReleased  Code = "ACTIVATION_RELEASED"
	DeviceRequired      Code = "DEVICE_REQUIRED"
	DeviceMismatch      Code = "DEVICE_MISMATCH"
	UserRequired        Code = "USER_REQUIRED"
	UserMismatch        Code = "USER_MISMATCH"
	LeaseExpired        Code = "LEASE_EXPIRED"
	StatusStale         Code = "STATUS_STALE"
	EntitlementMissing  Code = "ENTITLEMENT_MISSING"
	EntitlementExpired  Code = "ENTITLEMENT_EXPIRED"
	TooManySeats        Code = "TOO_MANY_SEATS"
	QuotaExceeded       Code = "QUOTA_EXCEEDED"
	LeaseStale          Code = "LEASE_STALE"
	InGrace             Code = "IN_GRACE"
	ExpiringSoon        Code = "EXPIRING_SOON"
	Valid               Code = "VALID"
)

// severity lists the codes, the most severe first.
var severity = []Code{NotFound, Revoked, Suspended, ProductRequired, ProductMismatch, EnvironmentMismatch, ClockRollback,
	NotYetValid, Expired, VersionRequired, VersionNotCovered, ActivationRequired, ActivationReleased, DeviceRequired,
	DeviceMismatch, UserRequired, UserMismatch, LeaseExpired, StatusStale, EntitlementMissing, EntitlementExpired,
	TooManySeats, QuotaExceeded, LeaseStale, InGrace, ExpiringSoon, Valid}

// Codes returns all codes, the most severe first.
func Codes() []Code { return slices.Clone(severity) }

// Severity returns the rank of a code, 0 the most severe. An unknown code ranks
// as the most severe, so that it is never hidden.
func Severity(c Code) int {
	for i, s := range severity {
		if s == c {
			return i
		}
	}
	return 0
}

// Effects of a finding.
const (
	Deny = "deny"
	Warn = "warn"
)

// Finding is one thing that was found.
type Finding struct {
	Code   Code   `json:"code" doc:"What was found." example:"LEASE_STALE"`
	Effect string `json:"effect" doc:"Whether it denies or only warns." enum:"deny,warn"`
	Detail string `json:"detail,omitempty" doc:"One sentence for people."`
}

// Modes of a Decision.
const (
	ModeFull     = "full"     // everything the license grants
	ModeDegraded = "degraded" // only the entitlements the policy keeps
	ModeAdvisory = "advisory" // allowed although the lease has ended
	ModeNone     = "none"     // not allowed
)

// Decision is the answer.
type Decision struct {
	Allowed     bool      `json:"allowed" doc:"Whether the request is permitted."`
	Mode        string    `json:"mode" doc:"How far it is permitted." enum:"full,degraded,advisory,none"`
	Code        Code      `json:"code" doc:"The most severe finding, or VALID." example:"VALID"`
	Findings    []Finding `json:"findings" doc:"Everything that was found, the most severe first."`
	RecheckAt   int64     `json:"recheck_at,omitempty" doc:"Instant in seconds at which the answer may change or contact is due; absent if never."`
	Explanation string    `json:"explanation" doc:"One sentence for people."`
}

// Has reports whether the decision has a finding with the code.
func (d *Decision) Has(c Code) bool {
	for _, f := range d.Findings {
		if f.Code == c {
			return true
		}
	}
	return false
}

// Request is what is asked. Product is always needed; the rest as the license's
// policy and the question demand.
type Request struct {
	Product     string            `json:"product"`
	Env         string            `json:"env,omitempty"` // "" means live
	Version     string            `json:"version,omitempty"`
	User        string            `json:"user,omitempty"`   // compared with the lease's usr, see doc.UserDigest
	Device      map[string]string `json:"device,omitempty"` // component to digest, see doc.DeviceDigest
	Entitlement string            `json:"entitlement,omitempty"`
	N           int64             `json:"n,omitempty"` // how much of a numeric entitlement is wanted
}

// Status is what is known of the license token from a status list, or, on the
// server, from its own records.
type Status struct {
	Value    byte  `json:"value"` // doc.StatusValid, doc.StatusInvalid, doc.StatusSuspended
	IssuedAt int64 `json:"iat"`   // when it was known
	Expires  int64 `json:"exp,omitempty"`
}

// Input is all that a decision depends on.
type Input struct {
	License *doc.License // nil: NOT_FOUND
	Lease   *doc.Lease   // nil: not activated
	Status  *Status      // nil: no status list at hand
	Request Request
	Now     int64 // trusted time in seconds

	// Known are findings from outside the documents: NOT_FOUND,
	// ACTIVATION_RELEASED and TOO_MANY_SEATS are for the server to know,
	// CLOCK_ROLLBACK for the client.
	Known []Finding
}
