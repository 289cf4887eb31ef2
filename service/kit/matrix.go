package kit

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/licensing"
)

// Caller is one kind of caller of the role matrix.
type Caller struct {
	// Name tells callers apart: "anonymous", "customer", "customer:other", "customer:stale", "customer:member", "customer:org-admin", "staff:admin", "machine",
	// "machine:unscoped", "holder", "device", "apikey", "apikey:unscoped", "cli", "expired", "revoked".
	Name string
	// Actor is whom the caller's credential stands for; IDs are whoever the test makes. It is zero for a credential that
	// is good no more (expired, revoked).
	Actor licensing.Actor
	// Scope is what a machine token or API key of this caller must have; "" means any scope but the one that lets it in.
	Scope string
}

// Dead reports a caller whose credential was good once.
func (c Caller) Dead() bool { return c.Actor.Kind == "" }

// Expectation is one cell of the role matrix.
type Expectation struct {
	Spec   Spec
	Caller Caller
	// Refusal is the status the caller must get, 401 or 403; zero when he is let in, whatever the Service then says.
	Refusal int
}

// Callers lists every kind of caller that an operation is tried with.
func Callers(spec Spec) []Caller {
	out := []Caller{
		{Name: "anonymous", Actor: licensing.Actor{Kind: licensing.Anonymous}},
		{Name: "customer", Actor: licensing.Actor{Kind: licensing.Customer, Fresh: true}},
		{Name: "customer:other", Actor: licensing.Actor{Kind: licensing.Customer, Fresh: true}},
		{Name: "customer:stale", Actor: licensing.Actor{Kind: licensing.Customer}},
		{Name: "customer:member", Actor: licensing.Actor{Kind: licensing.Customer, Fresh: true, Org: "org_1", OrgRole: licensing.OrgMember}},
		{Name: "customer:org-admin", Actor: licensing.Actor{Kind: licensing.Customer, Fresh: true, Org: "org_1", OrgRole: licensing.OrgAdmin}},
	}
	for _, role := range licensing.AllRoles() {
		out = append(out, Caller{Name: "staff:" + string(role), Actor: licensing.Actor{Kind: licensing.Staff, Role: role, Fresh: true}})
	}
	scoped := func(kind licensing.ActorKind, name, scopes string) {
		for i, scope := range strings.Fields(scopes) {
			caller := Caller{Name: name, Scope: scope, Actor: licensing.Actor{Kind: kind, Scopes: []string{scope}}}
			if i > 0 {
				caller.Name += ":" + scope
			}
			if scope != AnyScope {
				out = append(out, caller)
			}
		}
		out = append(out, Caller{Name: name + ":unscoped", Actor: licensing.Actor{Kind: kind}})
	}
	scoped(licensing.Machine, "machine", spec.Access.Machine)
	scoped(licensing.APIKey, "apikey", spec.Access.APIKey)
	return append(out,
		Caller{Name: "holder", Actor: licensing.Actor{Kind: licensing.Holder}},
		Caller{Name: "device", Actor: licensing.Actor{Kind: licensing.Device}},
		Caller{Name: "cli", Actor: licensing.Actor{Kind: licensing.CLI, ID: "root"}},
		Caller{Name: "expired"}, Caller{Name: "revoked"})
}

// Matrix is the role matrix: every operation with every kind of caller, and who is refused how. It is made from what Access says,
// not by asking [Allow.Permits], so that a fault of one shows against the other.
func Matrix(routes []Route) []Expectation {
	var out []Expectation
	for _, route := range routes {
		spec := route.Spec()
		for _, caller := range Callers(spec) {
			out = append(out, Expectation{Spec: spec, Caller: caller, Refusal: refusal(spec, caller)})
		}
	}
	return out
}

func refusal(spec Spec, caller Caller) int {
	a := spec.Access
	in := a.Anonymous
	switch actor := caller.Actor; actor.Kind {
	case "":
		return http.StatusUnauthorized
	case licensing.Anonymous:
		if !in {
			return http.StatusUnauthorized
		}
	case licensing.Customer:
		in = in || a.Customer
		if spec.Fresh && !actor.Fresh {
			in = false
		}
		if changes := spec.Method != http.MethodGet && !spec.Reads; changes && !a.Members && actor.OrgRole == licensing.OrgMember {
			in = false
		}
	case licensing.Staff:
		for _, role := range a.Staff {
			in = in || role == actor.Role || actor.Role == licensing.RoleOwner
		}
	case licensing.CLI:
		in = in || len(a.Staff) > 0
	case licensing.Machine:
		in = in || a.Machine == AnyScope || caller.Scope != "" && slices.Contains(strings.Fields(a.Machine), caller.Scope)
	case licensing.APIKey:
		in = in || a.APIKey == AnyScope || caller.Scope != "" && caller.Scope == a.APIKey
	case licensing.Holder:
		in = in || a.Holder
	case licensing.Device:
		in = in || a.Device
	}
	if in {
		return 0
	}
	return http.StatusForbidden
}
