// Package account is the domain of people and of automation: customers, staff and their roles, sign-up and passwords,
// sessions, and machine tokens.
//
// A [Person] is a customer; a role makes the person staff as well. A guest who buys becomes a person without a password
// ([Service.Guest]) and claims the account through a mailed link, by the same two steps as signing up: [Service.SignUp] mails a
// token, [Service.Confirm] trades it for a password; [Service.Reset] mails one to whoever forgot it. A password is therefore never
// set by anyone who neither reads the mailbox nor knows the password of before. An address changes once both mailboxes agree.
//
// Nothing tells a known e-mail address from an unknown one: sign-up and reset answer the same, and sign-in does the same work.
// Failed sign-ins slow an address and a source down; they never lock an owner out.
//
// A [Session] is one sign-in on one browser. It is held by short-lived passes and prolonged by renewals, each good once: a
// second use of one is theft, and ends the session. Passes, renewals and machine tokens are opaque texts of which only digests
// are kept. [Service.ByBearer] turns a pass or a machine token into an actor, from a cache that the change feed keeps true
// within two seconds.
//
// An [Organisation] is a group of customers with roles. A session acts for its person or for one organisation that the person is a member
// of ([Service.ActFor]): the actor stays the person, and what the actor owns is the organisation's.
package account

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// Person is a customer and perhaps staff. Zero times mean none.
type Person struct {
	ID    string
	Email string
	Name  string
	// Role is empty for those who are not staff.
	Role licensing.Role
	// Password is an argon2id hash, empty until the account is confirmed.
	Password    string
	ConfirmedAt time.Time
	DisabledAt  time.Time
	// TOTPAt is when one-time codes were turned on.
	TOTPAt    time.Time
	CreatedAt time.Time
}

// Token is a mailed permission to set a password, as it is stored.
type Token struct {
	ID        string
	PersonID  string
	Digest    credential.Digest
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Session is one sign-in of a person on one browser, as it is stored. It is held by passes and prolonged by renewals.
type Session struct {
	ID       string
	PersonID string
	// Source is a digest of where the person signed in from, empty if not known; Browser a few words about what with.
	Source  []byte
	Browser string
	// Remembered sessions of customers outlive the day.
	Remembered bool
	// OpenedBy is the person of the staff who looks at the account through this session, empty for the person's own.
	OpenedBy string
	// Turn counts the renewals.
	Turn int64
	// SignedInAt is when the session began, SeenAt when it was renewed last. It ends at IdleAt unless it is renewed before,
	// and at EndsAt in any case.
	SignedInAt, SeenAt, IdleAt, EndsAt time.Time
	RevokedAt                          time.Time
}

// Pass is what is sent as bearer, for an hour at most.
type Pass struct {
	ID        string
	SessionID string
	Digest    credential.Digest
	// FreshAt is when the password was entered for it, zero if it came by a renewal.
	FreshAt   time.Time
	ExpiresAt time.Time
}

// Renewal is what a new pass and the next renewal are got for, once.
type Renewal struct {
	SessionID string
	Turn      int64
	Digest    credential.Digest
	SpentAt   time.Time
}

// SignedIn is a pass together with its session, whom it speaks for, and the organisation that it acts for.
type SignedIn struct {
	Pass    Pass
	Session Session
	Person  Person
	Acting  Acting
}

// Machine is a machine token, without its secrets.
type Machine struct {
	ID        string
	Name      string
	Scopes    []string
	ProductID string        // empty means all
	Env       licensing.Env // empty means both
	CreatedBy string
	ExpiresAt time.Time
	RevokedAt time.Time
	CreatedAt time.Time
}

// MachineSecret is one secret of a machine token as it is stored.
type MachineSecret struct {
	ID        string
	Hint      string
	Digest    credential.Digest
	CreatedAt time.Time
	ExpiresAt time.Time
}

// MachineRecord is a machine token and the one of its secrets that was asked for.
type MachineRecord struct {
	Machine Machine
	Secret  MachineSecret
}

// People keeps persons.
type People interface {
	// AddPerson stores a person and reports false, storing nothing, when the address is taken.
	AddPerson(ctx context.Context, p Person) (bool, error)
	// PersonByEmail and PersonByID return [licensing.ErrNotFound] for nobody.
	PersonByEmail(ctx context.Context, email string) (Person, error)
	PersonByID(ctx context.Context, id string) (Person, error)
	// HoldPerson is PersonByID with the person's row locked until the transaction ends.
	HoldPerson(ctx context.Context, id string) (Person, error)
	// SetPassword stores a hash and confirms the person.
	SetPassword(ctx context.Context, personID, hash string, at time.Time) error
	// SetRole changes a role. It returns [ErrLastOwner], changing nothing, when nobody would be owner afterwards.
	SetRole(ctx context.Context, personID string, role licensing.Role, at time.Time) error
	// ListStaff returns persons with a role, oldest first.
	ListStaff(ctx context.Context) ([]Person, error)
	SetName(ctx context.Context, personID, name string, at time.Time) error
	// SetEmail returns [ErrTaken] when somebody else has the address; the transaction is over then.
	SetEmail(ctx context.Context, personID, email string, at time.Time) error
}

// Tokens keeps what was mailed and gives a right to whoever reads it.
type Tokens interface {
	AddToken(ctx context.Context, t Token) error
	// UseToken spends a live token, once, and voids the person's other tokens. It returns [licensing.ErrNotFound] for any
	// other token.
	UseToken(ctx context.Context, d credential.Digest, at time.Time) (personID string, err error)
	// Void voids every live token, change of address and challenge of a person.
	Void(ctx context.Context, personID string, at time.Time) error
	// AddEmailChange stores a change of address and voids the person's older ones.
	AddEmailChange(ctx context.Context, c EmailChange) error
	// HoldEmailChange returns the change of which d confirms one side, whatever its state, with the rows of person and change
	// locked, or [licensing.ErrNotFound].
	HoldEmailChange(ctx context.Context, d credential.Digest) (EmailChange, error)
	// PutEmailChange stores the instants of a change.
	PutEmailChange(ctx context.Context, c EmailChange) error
	// EmailChanged reports whether the newest change of a person came true.
	EmailChanged(ctx context.Context, personID string) (bool, error)
}

// Sessions keeps sessions and their passes.
type Sessions interface {
	AddSession(ctx context.Context, s Session) error
	AddPass(ctx context.Context, p Pass) error
	// PassByDigest returns a pass and its session whatever their state, or [licensing.ErrNotFound].
	PassByDigest(ctx context.Context, head []byte) (SignedIn, error)
	// Freshen marks a pass as got by a password, FreshAt tells when it was.
	Freshen(ctx context.Context, pass Pass) error
	FreshAt(ctx context.Context, passID string) (time.Time, error)
	// ListSessions returns the live sessions of a person, newest first; not those that staff opened.
	ListSessions(ctx context.Context, personID string, at time.Time) ([]Session, error)
	// EndSession reports whether the person had such a live session.
	EndSession(ctx context.Context, id, personID string, at time.Time) (bool, error)
	// EndSessions ends every session of a person but the one named, if one is, and those the person opened to look at others.
	EndSessions(ctx context.Context, personID, but string, at time.Time) error
	// KnownSource reports whether the person had a session from the source that ended, or will end, after since.
	KnownSource(ctx context.Context, personID string, source []byte, since time.Time) (bool, error)
	// PruneSessions removes sessions and mailed tokens that ended before an instant, and returns how many.
	PruneSessions(ctx context.Context, before time.Time) (int64, error)
}

// Renewals keeps the renewals of sessions.
type Renewals interface {
	AddRenewal(ctx context.Context, r Renewal) error
	// HoldRenewal returns a renewal, its session and person whatever their state, or [licensing.ErrNotFound], with the session's
	// row locked until the transaction ends.
	HoldRenewal(ctx context.Context, head []byte) (Renewal, SignedIn, error)
	// Spend marks a renewal as used and stores the session's new turn and instants.
	Spend(ctx context.Context, r Renewal, s Session) error
}

// Machines keeps machine tokens.
type Machines interface {
	AddMachine(ctx context.Context, m Machine, s MachineSecret) error
	Machine(ctx context.Context, id string) (Machine, error)
	ListMachines(ctx context.Context, after string, limit int) ([]Machine, error)
	MachineByDigest(ctx context.Context, head []byte) (MachineRecord, error)
	RevokeMachine(ctx context.Context, id string, at time.Time) (bool, error)
	// RotateMachine ends the secrets at until, unless they end before, and adds fresh; [ErrTwoSecrets] when two are still alive after now.
	RotateMachine(ctx context.Context, id string, fresh MachineSecret, now, until time.Time) error
}

// Notices writes the mails of this package, inside the caller's transaction. The token is a secret: it is kept sealed and
// reaches nobody but the mailbox.
type Notices interface {
	// AccountConfirm asks a person who has no password yet to confirm the address and set one.
	AccountConfirm(ctx context.Context, to Person, token string, expires time.Time) error
	// AccountExists tells a person who already has an account that somebody tried to sign up with the address; the token
	// sets a new password.
	AccountExists(ctx context.Context, to Person, token string, expires time.Time) error
	// AccountReset hands a person the link that sets a new password.
	AccountReset(ctx context.Context, to Person, token string, expires time.Time) error
	// EmailChange asks at one of two mailboxes whether a person's address shall become another.
	EmailChange(ctx context.Context, p Person, mailbox, email, token string, expires time.Time) error
	// OrganisationInvite asks somebody, who may have no account yet, to join an organisation.
	OrganisationInvite(ctx context.Context, m InviteMail, token string) error
	// Security tells a person what happened to the account, in a sentence.
	Security(ctx context.Context, to Person, note string, at time.Time) error
}

// Throttle slows repeated attempts down.
type Throttle interface {
	// Allow counts one attempt under key, at most count in each period, and returns how long to wait when that is too many.
	Allow(ctx context.Context, key string, count int64, period time.Duration) (wait time.Duration, err error)
}

// The failures of this package that callers may act on.
var (
	ErrSignIn     = licensing.Fail(licensing.Unauthorized, "sign-in-failed", "The e-mail address or the password is wrong.")
	ErrCredential = licensing.Fail(licensing.Unauthorized, "unauthorized", "The credential is not valid.")
	ErrSetup      = licensing.Fail(licensing.Gone, "setup-over", "The link is used or not whole, or there is an owner already. The operator gets the link that works from: mintreu owner-link.")
	ErrCode       = licensing.Fail(licensing.Forbidden, "code-wrong", "The code is wrong or was used. Wait for the next one.")
	ErrChallenge  = licensing.Fail(licensing.Gone, "challenge-over", "The sign-in took too long or is done. Sign in again.")
	ErrTOTPOn     = licensing.Fail(licensing.Conflict, "totp-on", "One-time codes are on already. Turn them off first.")
	ErrRenewal    = licensing.Fail(licensing.Unauthorized, "renewal-over", "The session is over. Sign in again.")
	ErrPassword   = licensing.Fail(licensing.Forbidden, "password-wrong", "The password is wrong.")
	ErrToken      = licensing.Fail(licensing.Gone, "token-over", "The link is used, over or was never sent. Ask for a new one.")
	ErrLastOwner  = licensing.Fail(licensing.Conflict, "last-owner", "Somebody must stay owner. Make another person owner first.")
	ErrTwoSecrets = licensing.Fail(licensing.Conflict, "two-live-secrets", "The token has two live secrets already. Wait until the older one ends, or rotate without an overlap, which ends both at once.")
	ErrTaken      = licensing.Fail(licensing.Conflict, "email-taken", "There is an account with this e-mail address already.")
	ErrSlowDown   = licensing.Fail(licensing.TooMany, "too-many-attempts", "Too many attempts. Wait a moment and try again.")
)
