package license

import (
	"context"
	"maps"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// State is what a person or a payment decided about a license.
type State string

// The states. Revoked is final: the row stays as a tombstone.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Revoked   State = "revoked"
)

// Stop is what suspends a license. Each does so apart from the others: whoever suspended it ends his own suspension alone.
type Stop string

// What suspends a license.
const (
	ByStaff   Stop = "staff"   // until staff reinstate it
	ByDispute Stop = "dispute" // while its payment is disputed
	ByLapse   Stop = "lapse"   // since its term is over, until it is renewed
)

// Turn is a change of the state of a license: it ends for good or, with Revoke unset, By suspends it from now on, or does so no longer. Only, unless
// it is "", is the state from which alone it is changed.
type Turn struct {
	ID     string
	Revoke bool
	By     Stop
	On     bool
	Only   State
	Reason string
	At     time.Time
}

// The kinds of [Source].
const (
	FromOrderUnit = "order_unit"
	FromGrant     = "grant"
	FromImport    = "import"
	FromTrial     = "trial"
)

// Source says why a license exists. A source has one license at most; for orders ID is
// "<order line id>/<unit n>/<grant n>".
type Source struct {
	Kind string
	ID   string
}

// License is a license as it stands. Zero times mean none.
type License struct {
	ID          string
	Source      Source
	ProductID   string
	ProductSlug string
	ProductName string // as the catalogue has it now; only where people are to read it, else empty
	PlanID      string
	PlanCode    string
	PolicyID    string
	Owner       licensing.Owner
	Env         licensing.Env
	Licensee    string
	State       State
	Reason      string // the text given when the state last changed; while it is suspended, that of staff, else of the dispute, else of the end
	// Since when each suspends it, zero for not; it is suspended for as long as any of them does.
	HeldAt, DisputedAt, LapsedAt time.Time
	Terms                        Terms // frozen at issue
	// PolicyVersion is the newest version that the policy covers, where Terms hold another that was said of this license alone.
	PolicyVersion *string
	Entitlements  Entitlements
	// EntUntil are ends of single entitlements in seconds since 1970 that stand in for those of the terms; 0 takes one's end away.
	EntUntil     map[string]int64
	ValidUntil   time.Time
	UpdatesUntil time.Time
	StartedAt    time.Time // when the term began; zero while it waits for the first activation or validation
	TermAdded    int64     // seconds by which a term that waits was renewed
	Seats        int64     // as promised
	SeatsMax     int64     // as enforced, overage included; -1 is any number
	SeatsUsed    int64
	KeyPrefix    string
	KeyLookup    []byte
	KeySealed    []byte
	KeyHint      string // the last characters of the key, to tell keys apart
	Version      int64
	CreatedAt    time.Time
	UpdatedAt    time.Time
	RevokedAt    time.Time
	Token        Token // the current one
}

// HardEnd is the last instant at which any rule could still allow, zero when there is none: the token's exp.
func (l *License) HardEnd() time.Time {
	if l.ValidUntil.IsZero() || !l.Terms.Ends() {
		return time.Time{}
	}
	return l.ValidUntil.Add(seconds(l.Terms.ExpiryGrace))
}

// LapsesAt is when the license leaves its state by itself, and for which: revoked where the terms say so, suspended for a
// subscription that is no longer paid. It is zero when the terms leave it as it is.
func (l *License) LapsesAt() (time.Time, State) {
	switch {
	case l.Terms.Expired == doc.ExpiredRevoke:
		return l.HardEnd(), Revoked
	case l.Terms.Type == doc.Subscription:
		return l.HardEnd(), Suspended
	}
	return time.Time{}, ""
}

// Waits reports whether the license's term has not begun.
func (l *License) Waits() bool { return l.StartedAt.IsZero() && l.Terms.Starts() }

// policyVersion is the newest version that the policy covers, whatever was said of the license alone.
func (l *License) policyVersion() string {
	if l.PolicyVersion != nil {
		return *l.PolicyVersion
	}
	return l.Terms.MaxVersion
}

// cover makes own the newest version that l covers, while its policy covers those up to the other.
func (l *License) cover(policy, own string) {
	l.Terms.MaxVersion, l.PolicyVersion = own, nil
	if own != policy {
		l.PolicyVersion = &policy
	}
}

// begin starts the term of a license that waits for it.
func (l *License) begin(at time.Time) {
	l.StartedAt = at
	l.ValidUntil = plus(at, l.Terms.Duration+l.TermAdded)
}

// Granted is what a product is told of features and meters: the entitlements, and the quota of each meter as a number.
func (l *License) Granted() map[string]doc.Value {
	out := make(map[string]doc.Value, len(l.Entitlements)+len(l.Terms.Meters))
	maps.Copy(out, l.Entitlements)
	for name, m := range l.Terms.Meters {
		out[name] = doc.Int(m.Quota)
	}
	return out
}

// Crowded reports whether more seats are held than were promised: within the overage, or because the number was lowered.
func (l *License) Crowded() bool { return l.SeatsMax >= 0 && l.SeatsUsed > l.Seats }

// signable reports, as an [licensing.Error] of the given kind with fields, what would keep l's token from being signed, though
// each part of it is well formed.
func (l *License) signable(e *licensing.Error) error {
	granted := Entitlements(l.Granted())
	if len(granted) < len(l.Entitlements)+len(l.Terms.Meters) {
		return e.With("/entitlements", "one has the code of a meter")
	}
	if granted.weight(l.EntitledUntil(), l.Terms.Keep) > maxFeatures || len(granted) > maxCodes {
		return e.With("/entitlements", "take more than the %d bytes that fit in a license, or are more than %d", maxFeatures, maxCodes)
	}
	if !l.ValidUntil.IsZero() && (l.ValidUntil.Before(l.CreatedAt) || l.ValidUntil.Year() > 9000) {
		return e.With("/valid_until", "must lie after the license was issued and before the year 9001")
	}
	if l.UpdatesUntil.Year() > 9000 {
		return e.With("/updates_until", "must lie before the year 9001")
	}
	if l.Waits() && plus(l.CreatedAt, l.Terms.Duration+l.TermAdded).Year() > 8000 {
		return e.With("/terms", "are more than the calendar has, whenever the term begins")
	}
	if end := l.HardEnd(); !end.IsZero() && !end.After(l.CreatedAt) {
		return e.With("/valid_until", "must lie after the license was issued")
	}
	return nil
}

// EntitledUntil gives the instants at which single entitlements end.
func (l *License) EntitledUntil() map[string]int64 {
	if len(l.Terms.EntitledFor) == 0 && len(l.EntUntil) == 0 {
		return nil
	}
	out := make(map[string]int64, len(l.Terms.EntitledFor)+len(l.EntUntil))
	for name, n := range l.Terms.EntitledFor {
		out[name] = l.CreatedAt.Add(seconds(n)).Unix()
	}
	maps.Copy(out, l.EntUntil)
	maps.DeleteFunc(out, func(name string, end int64) bool {
		_, has := l.Entitlements[name]
		return !has || end == 0
	})
	return out
}

// Token is a license token: its identity, its place in a status list and its text as last signed.
type Token struct {
	JTI       string
	LicenseID string
	List      int64
	Index     int64
	KID       string
	Text      string
	CreatedAt time.Time
	SignedAt  time.Time
	// Prior is the digest of the text before the present one, where it was signed again.
	Prior string
	// First is the first token of those between which the license stayed in the same hands, empty when it is this one.
	First string

	parted bool // the next token begins a line of its own
}

// Line names the tokens between which a license stayed in the same hands: it is one text for all of them, and for no other token. A transfer and
// the re-issue of a key begin another; a renewal or any other change does not.
func (t *Token) Line() string {
	if t.First != "" {
		return t.First
	}
	return t.JTI
}

// Filter narrows a list of licenses; empty members do not.
type Filter struct {
	Owner     licensing.Owner
	ProductID string
	State     State
	Env       licensing.Env
	// ID, Email and Hint find licenses by their id, by the e-mail address of the customer who owns them, and by the last characters of
	// their key.
	ID    string
	Email string
	Hint  string
}

// Store keeps licenses. Methods that write run in the caller's transaction and feed the change feed. A license comes with its
// current token. Not found is [licensing.ErrNotFound].
type Store interface {
	// AddLicense stores a license, its key and its token, unless its source already has one. It fails with
	// [ErrCollision] when the token's index was taken meanwhile.
	AddLicense(ctx context.Context, l License) (bool, error)
	// LicenseByKey looks a license up by the keyed hash of its license key.
	LicenseByKey(ctx context.Context, lookup []byte) (License, error)
	// LicenseByID loads without regard to the owner: for staff, jobs and credentials.
	LicenseByID(ctx context.Context, id string) (License, error)
	// LicenseOf loads a license of an owner.
	LicenseOf(ctx context.Context, id string, owner licensing.Owner) (License, error)
	// LicenseFrom loads by source.
	LicenseFrom(ctx context.Context, s Source) (License, error)
	ListLicenses(ctx context.Context, f Filter, page licensing.Page) (licensing.List[License], error)
	// SetState turns a license, and reports whether there was anything to change: not when it is revoked. It is suspended as long as anything
	// suspends it. Revoking also ends its token and every activation that holds a seat.
	SetState(ctx context.Context, t Turn) (bool, error)
	// SaveLicense writes owner, licensee, policy, terms, entitlements, times, seats and key of l if the row still has version was.
	SaveLicense(ctx context.Context, l License, was int64) (bool, error)
	// DueToLapse returns active licenses whose time to lapse has come, the longest due first. One that would be revoked, which is final, is not due
	// while a disputed payment has one of its renewals taken back: it has expired until then, and a dispute that is won gives all of it back.
	DueToLapse(ctx context.Context, now time.Time, limit int) ([]License, error)
}

// Seating is what a license that goes over to other terms needs of its seats.
type Seating interface {
	// RetimeSeats sets, in the caller's transaction, when silence frees the seats that are held, zero for never, but none before its lease ends, and
	// of those that float none whose lease has no end. Those that are borrowed at the instant lent keep their date; when that is zero, the seats do
	// not float, and none is borrowed any more.
	RetimeSeats(ctx context.Context, id string, diesAt, lent time.Time) error
	// EndlessSeats counts the seats that are held by a lease without an end.
	EndlessSeats(ctx context.Context, id string) (int64, error)
}

// Renewals remembers what licenses were renewed for. What writes runs in the caller's transaction.
type Renewals interface {
	// AddRenewal reports false, storing nothing, when the source already renewed a license.
	AddRenewal(ctx context.Context, k Kept, at time.Time) (bool, error)
	// RenewalBy returns the renewal of a source, or [licensing.ErrNotFound].
	RenewalBy(ctx context.Context, source Source) (Kept, error)
	// TurnRenewal notes that a renewal counts no longer, or again, and reports false when that was noted already.
	TurnRenewal(ctx context.Context, id string, undone bool, at time.Time) (bool, error)
}

// Tokens keeps license tokens and the status lists that their indexes belong to.
type Tokens interface {
	// ReplaceToken ends the current token of t's license, which must be old, and makes t the current one, in the caller's
	// transaction. It fails with [ErrCollision] when t's index was taken meanwhile.
	ReplaceToken(ctx context.Context, old string, t Token) (bool, error)
	// ResignToken replaces the text of a token that was signed by key was.
	ResignToken(ctx context.Context, t Token, was string) (bool, error)
	// ResignTokens does the same for many tokens and reports for how many.
	ResignTokens(ctx context.Context, list []Token, was string) (int64, error)
	// SignedBy loads up to limit licenses that are not revoked and whose current token was signed by a key, by the token's id after
	// one of them. CountSigned counts some of them and says where to go on, "" at the end.
	SignedBy(ctx context.Context, kid, after string, limit int) ([]License, error)
	CountSigned(ctx context.Context, kid, after string) (n int64, next string, err error)
	// WasText reports whether a token had the text with that digest before it was signed again.
	WasText(ctx context.Context, jti, digest string) (bool, error)
	// LicenseByToken loads a license by the id of one of its tokens, which may have ended, and returns that one's [Token.Line].
	LicenseByToken(ctx context.Context, jti string) (l License, line string, err error)
	// TakenIndexes returns those of the indexes that are taken.
	TakenIndexes(ctx context.Context, list int64, among []int64) ([]int64, error)
	// StatusLists returns the numbers of all lists above one with the number of indexes taken in each.
	StatusLists(ctx context.Context, above int64) (map[int64]int64, error)
	// OpenStatusList opens a list; opening one that exists does nothing.
	OpenStatusList(ctx context.Context, num int64, at time.Time) error
	// EndedIndexes returns the indexes of a list that are invalid, and whether the list exists.
	EndedIndexes(ctx context.Context, list int64) ([]int64, bool, error)
	// PausedIndexes returns the indexes of suspended licenses, by their lists.
	PausedIndexes(ctx context.Context) (map[int64][]int64, error)
}

// Signer signs documents with the installation's active key. It is safe for concurrent use.
type Signer interface {
	// Issuer is the installation's iss.
	Issuer() string
	// ActiveKID names the key that signs now.
	ActiveKID(ctx context.Context) (string, error)
	// SignLicense and SignStatusList return the document's text and the kid that signed it.
	SignLicense(ctx context.Context, c *doc.License) (text, kid string, err error)
	SignStatusList(ctx context.Context, c *doc.StatusList) (text, kid string, err error)
	// Keyset is the keyset+jwt that names the keys by which products verify.
	Keyset(ctx context.Context) (string, error)
}

// Verifier checks documents of our own against our own keys.
type Verifier interface {
	VerifyLicense(ctx context.Context, text string) (*doc.License, error)
	VerifyLease(ctx context.Context, text string) (*doc.Lease, error)
}

// ErrCollision asks the caller to draft again: the random place in a status list was taken by somebody else meanwhile.
var ErrCollision = licensing.Fail(licensing.Conflict, "try-again", "Something else happened at the same time; try again.")

// ErrChanged refuses a change because the object was changed meanwhile.
var ErrChanged = licensing.Fail(licensing.Conflict, "license-changed", "The license was changed meanwhile; look again.")
