package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/kit"
)

// APIKeyRoutes are the operations of API keys.
func APIKeyRoutes(s *apikey.Service) []kit.Route {
	const tag, verify = "API keys", "Key verification"
	support := []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}
	change := kit.Allow{Customer: true, Staff: support, Machine: "keys:write"}
	return []kit.Route{
		kit.New(kit.Spec{Name: "key.issue", Method: http.MethodPost, Path: "/v1/keys", Tag: tag, Switch: licensing.SwitchAPI,
			Access: change, Fresh: true, Status: http.StatusCreated,
			Summary: "Issue an API key", Detail: "For a customer, by hand; or by a customer for himself, as the template of a plan that he has bought allows. Its text is shown once."}, s.Create).Again(s.CreateAgain),
		kit.New(kit.Spec{Name: "key.list", Method: http.MethodGet, Path: "/v1/keys", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "keys:read"},
			Summary: "List API keys", Detail: "Customers see their own."}, s.List),
		kit.New(kit.Spec{Name: "key.get", Method: http.MethodGet, Path: "/v1/keys/{id}", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "keys:read"},
			Summary: "Read an API key"}, s.Get),
		kit.New(kit.Spec{Name: "key.rotate", Method: http.MethodPost, Path: "/v1/keys/{id}/rotate", Tag: tag, Switch: licensing.SwitchAPI, Access: change, Fresh: true,
			Summary: "Give an API key a new secret", Detail: "The old secret works until the overlap ends. Id, limits and counters stay."}, s.Rotate).Again(s.CreateAgain),
		kit.New(kit.Spec{Name: "key.revoke", Method: http.MethodPost, Path: "/v1/keys/{id}/revoke", Tag: tag, Access: change,
			Summary: "Revoke an API key", Detail: "For good, both secrets, everywhere within two seconds."}, s.Revoke).Again(s.RevokeAgain),
		kit.New(kit.Spec{Name: "key.disable", Method: http.MethodPost, Path: "/v1/keys/{id}/disable", Tag: tag, Access: change,
			Summary: "Disable an API key"}, s.Disable).Again(s.RevokeAgain),
		kit.New(kit.Spec{Name: "key.enable", Method: http.MethodPost, Path: "/v1/keys/{id}/enable", Tag: tag, Access: change,
			Summary: "Enable a disabled API key"}, s.Enable).Again(s.RevokeAgain),
		kit.New(kit.Spec{Name: "key.credits", Method: http.MethodPost, Path: "/v1/keys/{id}/credits", Tag: tag, Access: kit.Allow{Staff: support, Machine: "keys:write"},
			Summary: "Change the credits of an API key", Detail: "Adds or takes credits, changes how they are refilled, or ends that limit."}, s.SetCredits).Again(s.SetCreditsAgain),
		kit.New(kit.Spec{Name: "key.limits", Method: http.MethodPost, Path: "/v1/keys/{id}/limits", Tag: tag, Access: kit.Allow{Staff: support, Machine: "keys:write"},
			Summary: "Replace the limits of an API key", Detail: "Whatever its plan says, with a reason, which the audit trail keeps beside the limits before and after."}, s.SetLimits).Again(s.RevokeAgain),
		kit.New(kit.Spec{Name: "key.options", Method: http.MethodGet, Path: "/v1/key-options", Tag: tag, Access: kit.Allow{Customer: true},
			Summary: "List the plans of which one may make API keys"}, s.Options),
		kit.New(kit.Spec{Name: "key.template", Method: http.MethodGet, Path: "/v1/plans/{id}/key-template", Tag: tag, Access: kit.Allow{Staff: licensing.AllRoles(), Machine: "keys:read"},
			Summary: "Read what the API keys of a plan are like"}, s.Template),
		kit.New(kit.Spec{Name: "key.template-set", Method: http.MethodPut, Path: "/v1/plans/{id}/key-template", Tag: tag, Access: kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleCatalogue}},
			Summary: "Say what the API keys of a plan are like", Detail: "Scopes, limits, credits and life of the keys that its owners make, and how many they may make. Keys that are there stay as they are."}, s.PutTemplate),
		kit.New(kit.Spec{Name: "key.leak", Method: http.MethodPost, Path: "/v1/leaks", Tag: tag, Access: kit.Allow{Anonymous: true}, Status: http.StatusAccepted,
			Summary: "Report an API key that was found in public", Detail: "The key is revoked, or its found text ends after a day, as its policy says, and its owner is told by mail. " +
				"Anybody may report; only staff and machine tokens learn what became of it."}, s.Leak).Again(s.LeakAgain),
		kit.New(kit.Spec{Name: "key.verify", Method: http.MethodPost, Path: "/v1/keys/verify", Tag: verify, Reads: true, Body: 1 << 20,
			Access: kit.Allow{Staff: support, Machine: "keys:verify"}, Summary: "Verify API keys",
			Detail: "Answers whether a key, or each of a batch, is good for a use, and spends its limits. A refusal is an answer with a code, not an error."}, s.Verify),
		kit.New(kit.Spec{Name: "key.reserve", Method: http.MethodPost, Path: "/v1/keys/reserve", Tag: verify, Reads: true,
			Access: kit.Allow{Staff: support, Machine: "keys:verify"}, Summary: "Verify an API key for work whose cost is known only afterwards",
			Detail: "Spends the most that the work may cost, as verifying does, and answers with a reservation besides. Settle it with what the work did cost; one that nobody settles comes back when it ends. " +
				"A lost answer needs no retry: its reservation ends too."}, s.Reserve),
		kit.New(kit.Spec{Name: "key.settle", Method: http.MethodPost, Path: "/v1/key-reservations/{id}/settle", Tag: verify, Reads: true,
			Access: kit.Allow{Staff: support, Machine: "keys:verify"}, Summary: "Settle a reservation of an API key",
			Detail: "What was reserved and not used comes back, once: credits as if only what was used had been spent, the units of quotas whole, while their period lasts, and of rates what has not come back by itself. " +
				"Settling again with the same cost answers the same."}, s.Settle),
		kit.New(kit.Spec{Name: "key.reservations", Method: http.MethodGet, Path: "/v1/key-reservations", Tag: tag, Access: kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "keys:read"},
			Summary: "List what is reserved of API keys and not settled", Detail: "Of a key or of all keys of an owner, the newest first, with when each comes back by itself. Customers see their own."}, s.OpenHolds),
		kit.New(kit.Spec{Name: "key.release", Method: http.MethodPost, Path: "/v1/key-reservations/{id}/release", Tag: tag, Access: kit.Allow{Staff: support, Machine: "keys:write"},
			Summary: "Release a reservation of an API key",
			Detail:  "Gives back all of it at once, as settling with nothing used does, and keeps who did it in the audit trail. Work that goes on under it cannot be settled any more. Releasing again changes nothing."}, s.Release).Again(s.ReleaseAgain),
		kit.New(kit.Spec{Name: "key.authorize", Method: http.MethodGet, Path: authorizePath, Tag: verify, Access: kit.Allow{APIKey: kit.AnyScope}, Forward: true,
			Summary: "Let a proxy ask whether a request may pass",
			Detail: "Forward authentication for nginx, Caddy, Traefik and Envoy: the proxy forwards the caller's API key as Authorization: Bearer, and its address in X-Forwarded-For. Only proxies in the networks of --authorize-from may ask. " +
				"Answers 200, 401, 403 or 429 with the RateLimit fields, and spends the key's limits."}, authorizer{s}.authorize),
	}
}

// AuthorizeRequest is what a proxy asks for.
type AuthorizeRequest struct {
	Product string        `query:"product" doc:"Id of the product of the resource; a key of another does not fit."`
	Env     licensing.Env `query:"env" doc:"Environment of the resource; a key of the other does not fit." enum:"live,test"`
	Scopes  []string      `query:"scope" doc:"Scope that the use needs; may be repeated."`
	Cost    *int64        `query:"cost" doc:"Units that the use spends of every limit; 1 unless said."`
}

// AuthorizeResponse lets a request pass.
type AuthorizeResponse struct {
	KeyID   string          `json:"key_id" doc:"Id of the key."`
	Owner   licensing.Owner `json:"owner" doc:"Customer or organisation that owns the key."`
	Product string          `json:"product" doc:"Id of the key's product."`
	Plan    string          `json:"plan,omitempty" doc:"Code of the key's plan."`

	header http.Header
}

// Headers are the fields of the answer: who calls, for the proxy to pass on, and how the limits stand.
func (r AuthorizeResponse) Headers() http.Header { return r.header }

// refusal is a failure that answers with header fields of its own.
type refusal struct {
	err    error
	header http.Header
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Headers are the fields of the answer.
func (r *refusal) Headers() http.Header { return r.header }

type authorizer struct{ keys *apikey.Service }

// authorize asks for the API key that the request was authenticated with. Its address is the one that trusted proxies tell.
func (a authorizer) authorize(ctx context.Context, r AuthorizeRequest) (AuthorizeResponse, error) {
	actor := licensing.ActorFrom(ctx)
	if actor.Kind != licensing.APIKey {
		return AuthorizeResponse{}, apikey.ErrCredential.Because(errors.New("no API key was presented"))
	}
	q := apikey.Question{KeyID: actor.ID, Product: r.Product, Env: r.Env, Scopes: r.Scopes, IP: kit.ClientIP(ctx)}
	if r.Cost != nil {
		if q.Cost = *r.Cost; q.Cost < 1 { // 0 stands for 1 in a question, and nobody asks for that
			return AuthorizeResponse{}, apikey.ErrCost.With("cost", "must be at least 1")
		}
	}
	v, err := a.keys.Authorize(ctx, q)
	header := rateLimitFields(v.Limits)
	if err != nil {
		if len(header) == 0 {
			return AuthorizeResponse{}, err
		}
		return AuthorizeResponse{}, &refusal{err: err, header: header}
	}
	header.Set("X-Mintreu-Key", v.Key.ID)
	header.Set("X-Mintreu-Owner", string(v.Key.Owner))
	return AuthorizeResponse{KeyID: v.Key.ID, Owner: v.Key.Owner, Product: v.Key.ProductID, Plan: v.Key.PlanCode, header: header}, nil
}

// rateLimitFields are RateLimit-Policy and RateLimit as draft-ietf-httpapi-ratelimit-headers spells them: q is what can be
// taken at once and w the window in which it comes back, r what is left and t the seconds until more is there.
func rateLimitFields(limits []apikey.LimitState) http.Header {
	header := http.Header{}
	if len(limits) == 0 {
		return header
	}
	var policies, states []string
	for _, l := range limits {
		most, window := l.Window()
		until := l.Reset
		if l.RetryAfter > 0 {
			until = l.RetryAfter
		}
		policies = append(policies, fmt.Sprintf("%q;q=%d;w=%d", l.Limit.Name, most, int64(math.Ceil(window.Seconds()))))
		states = append(states, fmt.Sprintf("%q;r=%d;t=%d", l.Limit.Name, l.Remaining, int64(math.Ceil(until.Seconds()))))
	}
	header.Set("RateLimit-Policy", strings.Join(policies, ", "))
	header.Set("RateLimit", strings.Join(states, ", "))
	return header
}
