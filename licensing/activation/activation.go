// Package activation gives out the seats of licenses. An activation is a license on one device or for one user; while it is held
// it has a seat. Seats are exact by construction: one conditional statement under the license's row takes a seat or does
// not, whatever the goroutines, replicas and retries, and the same statement refuses a license that is not active.
//
// A lease is the signed proof that an activation was good at its last contact; all offline lengths count from there. A
// heartbeat renews it and succeeds while the activation holds its seat, however late it comes.
package activation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// State is whether an activation has a seat, and why not.
type State string

// The states.
const (
	Held     State = "held"
	Released State = "released" // by the device, the customer or staff
	Replaced State = "replaced" // by a newer device, where the policy says so
	Dead     State = "dead"     // silent for longer than the policy's dead_after
	Revoked  State = "revoked"  // together with the license
)

// Activation is a license on one device or for one user. Zero times mean none.
type Activation struct {
	ID          string
	LicenseID   string
	Subject     string // the device or user, as a key
	State       State
	Name        string
	Device      map[string]string // component to digest
	User        string            // digest of the user
	Seq         int64             // of the newest lease
	SeqSeen     int64             // highest seq that was presented
	ActivatedAt time.Time
	LastSeenAt  time.Time
	LeaseUntil  time.Time // end of the newest lease
	DiesAt      time.Time // when silence frees the seat
	ForkedAt    time.Time // when two machines were first seen with leases of this activation
	ReleasedAt  time.Time
	ReleasedBy  string
	// BorrowedUntil is until when a floating seat is kept for a device that went away with it.
	BorrowedUntil time.Time
}

// Some says which of a license's activations are listed; the zero value means all.
type Some struct {
	State    State
	Subject  string    // key of the device or user, "" for any
	Borrowed time.Time // only seats that are held and borrowed until later than this, zero for any
}

// Seek names what is looked for among a license's activations. The license's terms say whether the device or the user takes
// the seat, and how many of a device's parts must agree.
type Seek struct {
	License string
	Subject string   // key of the device, or of the user where one is known to take the seat
	User    string   // key of the user, "" when none is named
	Parts   []string // of the device, "component=digest"
}

// userKey and deviceKey make the key under which a subject holds one seat of a license at most.
func userKey(digest string) string { return "usr:" + digest }

func deviceKey(parts []string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return "dev:" + hex.EncodeToString(sum[:16])
}

// byUser reports whether a user holds or held the seat, not a device.
func (a *Activation) byUser() bool { return strings.HasPrefix(a.Subject, userKey("")) }

// partsOf lists a device's components with their digests, sorted.
func partsOf(device map[string]string) []string {
	parts := make([]string, 0, len(device))
	for component, digest := range device {
		parts = append(parts, component+"="+digest)
	}
	slices.Sort(parts)
	return parts
}

// Take asks for a seat. ID is a fresh id: of the activation to be made, and of this attempt. Revive names an activation that
// is to be held again instead. Event is what the audit trail is told when a seat is taken, Replaced when the oldest was
// freed for it.
type Take struct {
	Seek
	Owner         licensing.Owner // of the license as the caller read it: when it changed hands since, there is no seat
	Event         licensing.Event
	Replaced      licensing.Event
	ID            string
	Revive        string
	ReviveSeq     int64 // its seq as the caller read it; the next lease is the one after
	ReplaceOldest bool
	Try           Try // the trial that the license is; the zero value for none
	Name          string
	Device        map[string]string
	User          string
	At            time.Time
	LeaseUntil    time.Time
	DiesAt        time.Time
}

// Try is a trial of a product on a device, which must have had none of it under another license. Device describes it as a Seek does, whoever takes
// the seat. Keep, unless it is zero, notes that the device has the trial since then.
type Try struct {
	Product string
	Device  Seek
	Keep    time.Time
}

// Renewal advances the seq of a held activation at a contact. Presented is the seq of the lease that was shown, 0 when none
// was (an activation asked for again); then the seq before may be presented once more, for the answer may be lost. With Watch, which says that the seat
// is one device's, a presented seq that is behind, and is not merely the last one presented once more, marks the activation as forked.
//
// A lease that was given earlier may still be in use, because the answer with this one can be lost: only when a device presents the newest
// are all before it known to be out of use; of a user's seat, none ever is, for each of the user's devices has its own. So the ends that are stored are those of this lease or, where later, of the one presented
// (Shown), or of any before.
type Renewal struct {
	ID         string
	Presented  int64
	Watch      bool
	At         time.Time
	LeaseUntil time.Time
	DiesAt     time.Time
	Shown      time.Time // end of the presented lease, zero when it has none or none was
	Endless    bool      // the presented lease has no end: its device may use it until it presents a newer one
	// Borrowed is until when the seat is borrowed from now on; Was is that end as the caller read it, and another one renews nothing.
	Borrowed, Was time.Time
	// Lent, unless it is "", is the license: the device borrows its seat or gives it back by this contact, which the change feed is told,
	// in the caller's transaction. It needs not be told of any other renewal.
	Lent string
}

// Loan lends the seat of a device that is not calling, or calls it back. It is no contact and gives no lease; the device learns of it with its
// next contact. Seq and Was are what the caller read, of the newest lease and of the end of the borrowing; when either is another, nothing
// is lent.
type Loan struct {
	ID      string
	License string
	Seq     int64
	// Borrowed is until when the seat is borrowed, zero for not. DiesAt is when silence frees it then, zero for never; it stays held for as
	// long as any lease that was given for it.
	Borrowed, Was, DiesAt time.Time
}

// Release gives a seat back. With DeadOnly it does so only if the activation's time of death has come. Event is what the audit
// trail is told when it does.
type Release struct {
	Event    licensing.Event
	ID       string
	License  string
	To       State
	By       string
	At       time.Time
	DeadOnly bool
}

// Lender lends seats from afar.
type Lender interface {
	// Lend lends the held seat of an active license and tells the change feed, in the caller's transaction, or reports false.
	Lend(ctx context.Context, l Loan) (bool, error)
}

// Store keeps activations. Not found is [licensing.ErrNotFound].
type Store interface {
	// Find loads a license and that of its activations which is the subject's: the held one, else the one released
	// last; nil when there is none. One round trip.
	Find(ctx context.Context, s Seek) (license.License, *Activation, error)
	// TakeSeat takes a seat and tells the audit trail, all in one round trip and one transaction, and reports whether it did:
	// not when the license is not active, the subject already holds a seat, every seat is taken, or the device had another trial.
	TakeSeat(ctx context.Context, t Take) (bool, error)
	// Renew advances the seq of a held activation of an active license and returns the new one, or 0. One round trip.
	Renew(ctx context.Context, r Renewal) (seq int64, err error)
	// ReleaseSeat gives a held seat back and tells the audit trail, in one round trip and one transaction, or reports false.
	ReleaseSeat(ctx context.Context, r Release) (bool, error)
	// Activation loads an activation and its license; ActivationOf does if the license is the owner's.
	Activation(ctx context.Context, id string) (Activation, license.License, error)
	ActivationOf(ctx context.Context, id string, owner licensing.Owner) (Activation, license.License, error)
	// ListActivations returns those of a license within reach, newest first. One round trip.
	ListActivations(ctx context.Context, reach license.Reach, licenseID string, some Some, page licensing.Page) (licensing.List[Activation], error)
	// TrialHad reports whether the device had a trial of the product under another license than the one it seeks. With Keep it notes, unless it
	// had, that the device has this one; of several licenses that ask for one device at once, one is told that it had none.
	TrialHad(ctx context.Context, t Try) (bool, error)
	// Replaceable reports whether a license has a held activation that a newer device may replace: one that is not borrowed.
	Replaceable(ctx context.Context, licenseID string, now time.Time) (bool, error)
	// DueToDie returns held activations whose time of death has come, of one license or of all.
	DueToDie(ctx context.Context, licenseID string, now time.Time, limit int) ([]Activation, error)
}
