package kit

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/licensing"
)

// Spec says what an operation is, apart from the Service's method that does it. It is the one place from which the mux, the
// role matrix, the metrics and the OpenAPI document are made.
type Spec struct {
	// Name is "noun.verb", unique among all operations: "license.suspend". It names the operation in the audit trail.
	Name string
	// Method and Path are those of the JSON API; Path has wildcards as net/http spells them: "/v1/licenses/{id}".
	Method string
	Path   string
	// Summary is a few words without a full stop, Detail a paragraph (optional), Tag the heading in the reference.
	Summary string
	Detail  string
	Tag     string
	// Access says who may call. The zero Allow lets nobody in, which the mux refuses to mount.
	Access Allow
	// Switch is the kill switch that stops the operation for all; empty when none does. Whether the switch is off for one
	// product is the Service's question, which knows the product.
	Switch licensing.Switch
	// Reads marks a POST that changes nothing (validate, verify): it demands no audit row and takes no Idempotency-Key.
	Reads bool
	// Fresh demands that a person has signed in a short while ago.
	Fresh bool
	// Unenrolled opens the operation to staff who must turn one-time codes on first.
	Unenrolled bool
	// Secret marks an answer that is a secret though it is shown again and again: sessions that only look do not get it. A member with
	// the tag secret:"once" says so by itself.
	Secret bool
	// ReadOnlyToo opens an operation that changes something to sessions that only look.
	ReadOnlyToo bool
	// Status is the status of success, 200 unless said, 204 when Resp has no fields.
	Status int
	// Body is the largest request body in bytes, [DefaultBody] unless said.
	Body int64
	// Forward marks forward authentication: only a proxy of [Stack.Forwarders] may ask, whoever the credential is of, and the address
	// that it names is the caller's.
	Forward bool
	// CORS lets the configured storefront origins call the operation from a browser, without credentials.
	CORS bool
	// KeyRequired refuses the operation without an Idempotency-Key.
	KeyRequired bool
	// Wraps are media types besides application/json that the body may have, each with what it is to be put between to become the
	// JSON object that the operation takes.
	Wraps map[string]Wrap
	// Envelope is a form in which headers are members of the body; nil for none.
	Envelope *Envelope
	// Cache is the Cache-Control of a success, "no-store" unless said.
	Cache string
}

// Wrap is what stands before and after a body of another media type.
type Wrap struct{ Open, Close string }

// DefaultBody is the largest request body, in bytes, of an operation whose Spec does not say.
const DefaultBody = 256 << 10

// Mutates reports whether the operation changes something, so that its transaction must hold an audit row.
func (s Spec) Mutates() bool { return s.Method != http.MethodGet && !s.Reads }

// Opens reports whether actor may call the operation, as far as that depends on who he is.
func (s Spec) Opens(actor licensing.Actor) bool { return s.Access.Permits(actor) && !s.shuts(actor) }

// Closed is why the form of the operation is of no use to actor, so that it is told before anything is typed; nil when it is. A session that only looks
// sees every form that its customer sees.
func (s Spec) Closed(actor licensing.Actor) error {
	switch {
	case !s.Access.Permits(actor):
		return errForbidden
	case s.shuts(actor):
		return errMember
	case s.Fresh && !actor.Fresh && !actor.ReadOnly && (actor.Kind == licensing.Customer || actor.Kind == licensing.Staff):
		return errFresh
	}
	return nil
}

// shuts reports whether the operation is closed to actor as a mere member of the organisation that he acts for.
func (s Spec) shuts(actor licensing.Actor) bool {
	return s.Mutates() && !s.Access.Members && actor.Kind == licensing.Customer && actor.Org != "" && actor.OrgRole != licensing.OrgOwner && actor.OrgRole != licensing.OrgAdmin
}

// narrowed reports whether actor is a machine token that reaches a part of the shop alone, and the operation is about all of it.
func (a Allow) narrowed(actor licensing.Actor) bool {
	return a.Whole && actor.Kind == licensing.Machine && (actor.Product != "" || actor.Env != "")
}

// Idempotent reports whether the operation takes an Idempotency-Key: a POST that writes.
func (s Spec) Idempotent() bool { return s.Method == http.MethodPost && !s.Reads }

// Allow says who may call an operation. Each member lets one kind of caller in; whoever is not named is refused: 401 for the
// anonymous, 403 for everybody else.
type Allow struct {
	// Anonymous opens the operation to every caller, with or without a credential (a bad credential is still refused).
	Anonymous bool
	// Customer lets people with a session in. Whose objects they reach is the query's business.
	Customer bool
	// Members opens what changes something also to customers who act for an organisation as mere members: because it concerns the person
	// and not the organisation, or because it is what members are there for. Unless said, they only read.
	Members bool
	// Staff lists the staff roles. [licensing.RoleOwner] and the operator at the machine (CLI) are in wherever it is not empty.
	Staff []licensing.Role
	// Machine is the scope a machine token must have, or scopes of which it must have one, with spaces between; empty keeps machine tokens
	// out. What of an operation's objects each scope opens is then the Service's business.
	Machine string
	// Whole keeps machine tokens out that are narrowed to a product or an environment: what the operation tells is of all.
	Whole bool
	// Holder lets in who presents a license key or license token, Device who presents a lease.
	Holder bool
	Device bool
	// APIKey is the scope an API key must have; empty keeps API keys out.
	APIKey string
}

// AnyScope, as the scope of [Allow], lets every machine token or API key in, whatever its scopes.
const AnyScope = "*"

// carries reports whether the actor has a scope that an Allow names.
func carries(actor licensing.Actor, scopes string) bool {
	return scopes == AnyScope || slices.ContainsFunc(strings.Fields(scopes), actor.Has)
}

// MachineScopes are the scopes of which a machine token must have one; none when any will do or it is kept out.
func (a Allow) MachineScopes() []string {
	if a.Machine == AnyScope {
		return nil
	}
	return strings.Fields(a.Machine)
}

// Permits reports whether actor may call.
func (a Allow) Permits(actor licensing.Actor) bool {
	if a.Anonymous {
		return actor.Kind != ""
	}
	switch actor.Kind {
	case licensing.Customer:
		return a.Customer
	case licensing.Staff:
		return len(a.Staff) > 0 && (actor.Role == licensing.RoleOwner || slices.Contains(a.Staff, actor.Role))
	case licensing.CLI:
		return len(a.Staff) > 0
	case licensing.Machine:
		return carries(actor, a.Machine) && !a.narrowed(actor)
	case licensing.Holder:
		return a.Holder
	case licensing.Device:
		return a.Device
	case licensing.APIKey:
		return carries(actor, a.APIKey)
	}
	return false
}

// empty reports whether nobody at all is let in.
func (a Allow) empty() bool {
	return !a.Anonymous && !a.Customer && len(a.Staff) == 0 && a.Machine == "" && !a.Holder && !a.Device && a.APIKey == ""
}
