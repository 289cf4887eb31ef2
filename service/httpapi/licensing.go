package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/kit"
)

// Licensing is what the operations of policies, licenses, activations and signing keys call.
type Licensing struct {
	Licenses    *license.Service
	Activations *activation.Service
	Keys        *keyring.Service
	Usage       *usage.Service
}

// LicensingRoutes are the operations of policies, licenses, activations and signing keys.
func LicensingRoutes(l Licensing) []kit.Route {
	return slices.Concat(licenseRoutes(l.Licenses), activationRoutes(l.Activations), usageRoutes(l.Usage), meterRoutes(l.Usage), policyRoutes(l.Licenses), keyRoutes(l.Keys))
}

func licenseRoutes(s *license.Service) []kit.Route {
	const tag = "Licenses"
	read := kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "licenses:read"}
	change := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}, Machine: "licenses:write"}
	return []kit.Route{
		kit.New(kit.Spec{Name: "license.list", Method: http.MethodGet, Path: "/v1/licenses", Tag: tag, Access: read,
			Summary: "List licenses", Detail: "Customers see their own."}, s.List),
		kit.New(kit.Spec{Name: "license.get", Method: http.MethodGet, Path: "/v1/licenses/{id}", Tag: tag, Access: read,
			Summary: "Read a license"}, s.Get),
		kit.New(kit.Spec{Name: "license.token", Secret: true, Method: http.MethodGet, Path: "/v1/licenses/{id}/token", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}, Machine: "licenses:read", Holder: true},
			Summary: "Read a license's signed token"}, s.Token),
		kit.New(kit.Spec{Name: "license.current", Secret: true, Method: http.MethodGet, Path: "/v1/licenses/token", Tag: tag, Access: kit.Allow{Holder: true},
			Summary: "Get the current token of a product's own license",
			Detail:  "A renewal, like every change, gives a license another token and makes the one before it invalid. This answers that one too, as long as the license stayed in the same hands; a transfer or a new key ends it."}, s.Current),
		kit.New(kit.Spec{Name: "license.file", Secret: true, Method: http.MethodGet, Path: "/v1/licenses/{id}/file", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}, Machine: "licenses:read", Holder: true},
			Summary: "Read a license as a file", Detail: "The signed license with the keyset that verifies it, and its status list where the policy looks at one."}, s.File),
		kit.New(kit.Spec{Name: "license.reveal", Method: http.MethodPost, Path: "/v1/licenses/{id}/reveal", Tag: tag,
			Access: kit.Allow{Customer: true, Members: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}}, Fresh: true,
			Summary: "Show a license's key", Detail: "Every look is kept in the audit trail."}, s.RevealKey).Again(s.RevealAgain),
		kit.New(kit.Spec{Name: "license.change", Method: http.MethodPatch, Path: "/v1/licenses/{id}", Tag: tag, Access: change,
			Summary: "Change a license", Detail: "Overrides win over the frozen policy. The old token becomes invalid; products get the new one with their next heartbeat."}, s.Change),
		kit.New(kit.Spec{Name: "license.renew", Method: http.MethodPost, Path: "/v1/licenses/{id}/renew", Tag: tag, Access: change,
			Summary: "Renew a license", Detail: "By its policy's duration and renewal_basis, or until a given instant. Updates are renewed with it. One that was suspended because its term was over is good again."}, s.Renew).Again(s.ViewAgain),
		kit.New(kit.Spec{Name: "license.repolicy-preview", Method: http.MethodGet, Path: "/v1/licenses/{id}/repolicy", Tag: tag, Access: change,
			Summary: "Look at what a policy would change", Detail: "A license keeps the terms that its policy had when it was issued. This tells what differs under a policy as it is now, and, as notices, what it cannot change and what goes away that was said of this license alone; nothing changes."}, s.LookRepolicy),
		kit.New(kit.Spec{Name: "license.repolicy", Method: http.MethodPost, Path: "/v1/licenses/{id}/repolicy", Tag: tag, Access: change,
			Summary: "Put a license under a policy as it is now", Detail: "Takes the versions that the preview told. What was said of this license alone stays: seats, features, newest version and ends that differ from its old policy. Devices learn of it with their next contact: one that stays offline goes on with the lease that it has, for good where that never ends."}, s.Repolicy).Again(s.ViewAgain),
		kit.New(kit.Spec{Name: "license.transfer", Method: http.MethodPost, Path: "/v1/licenses/{id}/transfer", Tag: tag, Access: change,
			Summary: "Transfer a license to another owner", Detail: "Where its policy allows it, as often as it allows. The new owner gets a new key and token; every seat is given back."}, s.Transfer).Again(s.ViewAgain),
		kit.New(kit.Spec{Name: "trial.start", Method: http.MethodPost, Path: "/v1/trials", Tag: tag, Access: kit.Allow{Customer: true}, Switch: licensing.SwitchLicensing, Status: http.StatusCreated,
			Summary: "Start a trial of a product", Detail: "For products with a policy of type trial and code trial. One for each customer and organisation, and one on each device, ever. The key is shown as that of any license."}, s.StartTrial).Again(s.ViewAgain),
		kit.New(kit.Spec{Name: "license.suspend", Method: http.MethodPost, Path: "/v1/licenses/{id}/suspend", Tag: tag, Access: change,
			Summary: "Suspend a license", Detail: "In force everywhere within two seconds, offline by the status list. Seats stay held."}, s.Suspend).Again(s.ViewAgain),
		kit.New(kit.Spec{Name: "license.reinstate", Method: http.MethodPost, Path: "/v1/licenses/{id}/reinstate", Tag: tag, Access: change,
			Summary: "End a suspension"}, s.Reinstate).Again(s.ViewAgain),
		kit.New(kit.Spec{Name: "license.revoke", Method: http.MethodPost, Path: "/v1/licenses/{id}/revoke", Tag: tag, Access: change,
			Summary: "Revoke a license", Detail: "For good. Its token becomes invalid and every seat is given back; a device may go on offline until its lease ends."}, s.Revoke).Again(s.ViewAgain),
		kit.New(kit.Spec{Name: "license.reissue", Method: http.MethodPost, Path: "/v1/licenses/{id}/reissue", Tag: tag, Access: change, Fresh: true,
			Summary: "Give a license a new key", Detail: "The old key and token are good no longer; activations keep their seats. The key is shown once."}, s.Reissue).Again(s.ReissueAgain),
	}
}

func activationRoutes(s *activation.Service) []kit.Route {
	const tag = "Activations"
	handle := kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}, Machine: "licenses:write"}
	return []kit.Route{
		kit.New(kit.Spec{Name: "license.validate", Method: http.MethodPost, Path: "/v1/licenses/validate", Tag: "Licenses", Reads: true,
			Access:  kit.Allow{Holder: true, Machine: "licenses:validate", Staff: licensing.AllRoles()},
			Summary: "Ask for the server's decision on a license",
			Detail:  "Decides as the SDK does, from what the server knows now. A refusal is an answer with a code, not an error. Staff only look: no term begins by it, and where they name neither device nor user the decision is that on a device whose activation is in order, as the license itself tells it."}, s.Validate),
		kit.New(kit.Spec{Name: "activation.create", Method: http.MethodPost, Path: "/v1/activations", Tag: tag, Access: kit.Allow{Holder: true},
			Summary: "Take a seat for a device or user",
			Detail:  "Asking again for the same device or user answers with the same activation and takes no second seat."}, s.Activate).Again(s.ActivateAgain),
		kit.New(kit.Spec{Name: "activation.heartbeat", Method: http.MethodPost, Path: "/v1/activations/{id}/heartbeat", Tag: tag, Reads: true,
			Access: kit.Allow{Device: true}, Summary: "Renew a lease", Detail: "Succeeds as long as the activation holds its seat, however late."}, s.Heartbeat),
		kit.New(kit.Spec{Name: "activation.borrow", Method: http.MethodPost, Path: "/v1/activations/{id}/borrow", Tag: tag, Access: kit.Allow{Device: true},
			Summary: "Keep a floating seat until a date", Detail: "For a device that goes away. Nobody takes the seat before, and at the date it is free without the device's doing."}, s.Borrow).Again(s.LendAgain),
		kit.New(kit.Spec{Name: "activation.return", Method: http.MethodPost, Path: "/v1/activations/{id}/return", Tag: tag, Access: kit.Allow{Device: true},
			Summary: "End a borrowing early", Detail: "The device goes on with a lease like any other; to give the seat back as well, delete the activation."}, s.EndBorrow).Again(s.LendAgain),
		kit.New(kit.Spec{Name: "activation.lend", Method: http.MethodPost, Path: "/v1/activations/{id}/lend", Tag: tag, Access: handle,
			Summary: "Lend a device its floating seat until a date", Detail: "For the license's owner or staff. The device finds it borrowed with its next contact, and may go away then; its product needs nothing for it."}, s.Lend).Again(s.ReleaseAgain),
		kit.New(kit.Spec{Name: "activation.recall", Method: http.MethodPost, Path: "/v1/activations/{id}/recall", Tag: tag, Access: handle,
			Summary: "End a device's borrowing early", Detail: "For the license's owner or staff. The device keeps its seat and goes on with leases like any other from its next contact on."}, s.Recall).Again(s.ReleaseAgain),
		kit.New(kit.Spec{Name: "license.add_user", Method: http.MethodPost, Path: "/v1/licenses/{id}/users", Tag: tag, Access: handle, Status: http.StatusCreated,
			Summary: "Give a user a seat before the first sign-in", Detail: "Where users take the seats. When all are taken it is refused with seats-exhausted, whatever the policy replaces. Only a digest of the user is kept, beside the name to show them as."}, s.AddUser).Again(s.ReleaseAgain),
		kit.New(kit.Spec{Name: "license.remove_user", Method: http.MethodPost, Path: "/v1/licenses/{id}/users/remove", Tag: tag, Access: handle,
			Summary: "Take a user's seat back", Detail: "As activation.release does, by what the product calls the user."}, s.RemoveUser).Again(s.ReleaseAgain),
		kit.New(kit.Spec{Name: "activation.delete", Method: http.MethodDelete, Path: "/v1/activations/{id}", Tag: tag,
			Access: kit.Allow{Device: true}, Summary: "Give a seat back"}, s.Deactivate),
		kit.New(kit.Spec{Name: "license.answer", Secret: true, Method: http.MethodPost, Path: "/v1/licenses/{id}/offline-answer", Tag: tag,
			Access:  kit.Allow{Customer: true, Members: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}, Machine: "licenses:write"},
			Summary: "Answer the request of a machine without a network",
			Detail:  "Answers with a license file whose lease is for that machine. It takes a seat, one however often the machine asks. A request is good for 30 days."}, s.Answer).Again(s.AnswerAgain),
		kit.New(kit.Spec{Name: "license.return", Method: http.MethodPost, Path: "/v1/licenses/{id}/offline-return", Tag: tag,
			Access:  kit.Allow{Customer: true, Members: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}, Machine: "licenses:write"},
			Summary: "Take the return of a machine without a network", Detail: "Frees its seat before its lease ends. One taken before changes nothing."}, s.Return).Again(s.ReleaseAgain),
		kit.New(kit.Spec{Name: "activation.file", Secret: true, Method: http.MethodGet, Path: "/v1/activations/{id}/file", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}, Machine: "licenses:read"},
			Summary: "Read the license file that a machine without a network was answered"}, s.AnswerFile),
		kit.New(kit.Spec{Name: "activation.list", Method: http.MethodGet, Path: "/v1/licenses/{id}/activations", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "licenses:read"},
			Summary: "List the activations of a license"}, s.List),
		kit.New(kit.Spec{Name: "activation.get", Method: http.MethodGet, Path: "/v1/activations/{id}", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "licenses:read"},
			Summary: "Read an activation"}, s.Get),
		kit.New(kit.Spec{Name: "activation.release", Method: http.MethodPost, Path: "/v1/activations/{id}/release", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}, Machine: "licenses:write"},
			Summary: "Release a device's seat", Detail: "For the license's owner or staff. The answer says until when the device may still run offline."}, s.Release).Again(s.ReleaseAgain),
	}
}

func policyRoutes(s *license.Service) []kit.Route {
	const tag = "Policies"
	read := kit.Allow{Staff: licensing.AllRoles(), Machine: "policies:read"}
	change := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleCatalogue}, Machine: "policies:write"}
	return []kit.Route{
		kit.New(kit.Spec{Name: "policy.create", Method: http.MethodPost, Path: "/v1/policies", Tag: tag, Access: change, Status: http.StatusCreated,
			Summary: "Make a policy", Detail: "Terms left out take their defaults."}, s.CreatePolicy).Again(s.PolicyAgain),
		kit.New(kit.Spec{Name: "policy.list", Method: http.MethodGet, Path: "/v1/policies", Tag: tag, Access: read, Summary: "List policies"}, s.ListPolicies),
		kit.New(kit.Spec{Name: "policy.get", Method: http.MethodGet, Path: "/v1/policies/{id}", Tag: tag, Access: read, Summary: "Read a policy"}, s.GetPolicy),
		kit.New(kit.Spec{Name: "policy.change", Method: http.MethodPut, Path: "/v1/policies/{id}", Tag: tag, Access: change,
			Summary: "Change a policy", Detail: "For licenses issued from now on; those already issued keep their terms."}, s.ChangePolicy),
	}
}

// LicensingRaws are the documents that products and other libraries fetch. They are signed or public, so anybody may; their texts
// are not JSON operations.
func LicensingRaws(l Licensing) []Raw {
	return []Raw{
		{"keyset.get", "GET /v1/keyset", served("application/jwt", 300, func(ctx context.Context, _ *http.Request) ([]byte, error) {
			text, err := l.Keys.Keyset(ctx)
			return []byte(text), err
		})},
		{"keyset.roots", "GET /v1/keyset/roots", served("text/plain; charset=utf-8", 300, func(ctx context.Context, _ *http.Request) ([]byte, error) {
			text, err := l.Keys.RootKeysets(ctx)
			return []byte(text), err
		})},
		{"keyset.jwks", "GET /.well-known/jwks.json", served("application/jwk-set+json", 300, func(ctx context.Context, _ *http.Request) ([]byte, error) {
			return l.Keys.JWKS(ctx)
		})},
		{"status.get", "GET /v1/status/{n}", served("application/statuslist+jwt", 2, func(ctx context.Context, r *http.Request) ([]byte, error) {
			n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
			if err != nil || n <= 0 || r.PathValue("n") != strconv.FormatInt(n, 10) {
				return nil, licensing.ErrNotFound
			}
			text, err := l.Licenses.StatusList(ctx, n)
			return []byte(text), err
		})},
	}
}

// served serves a public text with an ETag, for seconds of caching at most.
func served(contentType string, seconds int, read func(ctx context.Context, r *http.Request) ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := read(r.Context(), r)
		if err != nil {
			kit.WriteError(w, r, err)
			return
		}
		sum := sha256.Sum256(text)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
		h := w.Header()
		h.Set("ETag", tag)
		h.Set("Cache-Control", "public, max-age="+strconv.Itoa(seconds)+", must-revalidate")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("X-Content-Type-Options", "nosniff")
		if matches(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", contentType)
		_, _ = w.Write(text)
	})
}

func matches(header, tag string) bool {
	for given := range strings.SplitSeq(header, ",") {
		if given = strings.TrimPrefix(strings.TrimSpace(given), "W/"); given == tag || given == "*" {
			return true
		}
	}
	return false
}
