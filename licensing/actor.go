package licensing

import (
	"context"
	"slices"
)

// ActorKind is the kind of a caller.
type ActorKind string

// The kinds of callers (keys-and-usage §5).
const (
	Anonymous ActorKind = "anonymous"
	Customer  ActorKind = "customer" // a person with a session
	Staff     ActorKind = "staff"    // a person with a session and a staff role
	Machine   ActorKind = "machine"  // a machine token with scopes
	Holder    ActorKind = "holder"   // presents a license key or license token
	Device    ActorKind = "device"   // presents a lease
	APIKey    ActorKind = "apikey"   // presents an API key
	System    ActorKind = "system"   // a job of ours
	CLI       ActorKind = "cli"      // the operator on the machine, over the unix socket
)

// Role is a staff role.
type Role string

// The staff roles (commerce §12). RoleOwner may do whatever any other may.
const (
	RoleOwner     Role = "owner"
	RoleAdmin     Role = "admin"
	RoleFinance   Role = "finance"
	RoleSupport   Role = "support"
	RoleCatalogue Role = "catalogue"
	RoleAuditor   Role = "auditor"
)

// AllRoles lists the staff roles.
func AllRoles() []Role {
	return []Role{RoleOwner, RoleAdmin, RoleFinance, RoleSupport, RoleCatalogue, RoleAuditor}
}

// OrgRole is the role of a person in an organisation.
type OrgRole string

// The roles in an organisation (commerce §12). A member looks, downloads and asks for help; an admin buys, changes what the
// organisation owns, and invites and removes members; an owner decides who is what.
const (
	OrgOwner  OrgRole = "owner"
	OrgAdmin  OrgRole = "admin"
	OrgMember OrgRole = "member"
)

// Actor is who calls, as the transport authenticated them. The zero Actor is nobody and may do nothing; an anonymous
// caller is Actor{Kind: Anonymous}.
type Actor struct {
	Kind ActorKind
	// ID is "cus_…" for people, "mtk_…" for machine tokens, "lic_…" for holders, "act_…" for devices, "key_…" for API
	// keys, the job's kind for the system and the operating system's user for the CLI.
	ID string
	// Owner is whose objects a customer, holder, device or API key may touch: the organisation's when the customer acts for one.
	Owner Owner
	// Org is the id of the organisation that a customer acts for, empty for a person who acts for himself; ID stays the person.
	// OrgRole is the person's role in it and OrgName its name, for pages.
	Org     string
	OrgRole OrgRole
	OrgName string
	// Role is a staff person's role.
	Role Role
	// Scopes are those of a machine token or an API key.
	Scopes []string
	// Product and Env narrow a machine token, holder, device or API key; empty means all.
	Product string
	Env     Env
	// License is the license a holder or device speaks for.
	License string
	// Line is set for a holder whose credential a license once gave out, also when it speaks for it no longer: the name of the tokens between
	// which the license stayed in the same hands. Only the operation that answers with the current token looks at it.
	Line string
	// Lease is the compact lease text a device presented; the activation service reads it. Never logged.
	Lease string
	// Session is the id of a person's session, Pass that of the short-lived text by which the session is held.
	Session string
	Pass    string
	// Fresh reports that a person signed in a short while ago, which sensitive acts require.
	Fresh bool
	// By is the person of the staff who looks at a customer's account through the session, empty otherwise. ReadOnly sessions change
	// nothing and are shown no secret.
	By       string
	ReadOnly bool
	// Unenrolled reports that the installation wants one-time codes of its staff and this person has none yet, so that only
	// operations of their own account are open.
	Unenrolled bool
}

// Reaches reports whether the actor may touch what is a product's: a machine token that is narrowed to another may not.
func (a Actor) Reaches(product string) bool {
	return a.Kind != Machine || a.Product == "" || a.Product == product
}

// String is how the actor is named in the log and in the audit trail: "kind:id".
func (a Actor) String() string {
	if a.ID == "" {
		return string(a.Kind)
	}
	return string(a.Kind) + ":" + a.ID
}

// Has reports whether the actor carries the scope.
func (a Actor) Has(scope string) bool { return slices.Contains(a.Scopes, scope) }

// Call is what the operation layer knows of the operation under way. It travels in the context; transports fill it, the
// transaction and the auditor read it.
type Call struct {
	Operation string // the operation's name, "checkout.create"
	Actor     Actor
	RequestID string
	// Mutating marks an operation whose transaction must not commit without an audit row.
	Mutating bool
	// IdempotencyKey and RequestHash are set when the caller sent an Idempotency-Key.
	IdempotencyKey string
	RequestHash    []byte
	// KeyKept is set by the Transactor once a transaction of this call has committed with the Idempotency-Key, so that a later
	// transaction of the same call does not take it for somebody else's.
	KeyKept bool
	// Secret is the text shown once by this operation (a license key, an API key). The service sets it with [KeepOnce]
	// inside its transaction, so that a replay within ten minutes can show it again.
	Secret string
}

type callKey struct{}

// WithCall returns a context that carries c.
func WithCall(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallFrom returns the call under way, or a zero Call (nobody, not mutating) when there is none.
func CallFrom(ctx context.Context) *Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return c
	}
	return &Call{}
}

// ActorFrom returns who calls.
func ActorFrom(ctx context.Context) Actor { return CallFrom(ctx).Actor }

// AsSystem returns a context in which the named job acts.
func AsSystem(ctx context.Context, job string) context.Context {
	return WithCall(ctx, &Call{Operation: job, Actor: Actor{Kind: System, ID: job}})
}

// KeepOnce remembers a secret that the operation shows once.
func KeepOnce(ctx context.Context, secret string) { CallFrom(ctx).Secret = secret }
