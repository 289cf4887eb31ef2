package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// licensed is the licensing API over a real database with one license issued.
type licensed struct {
	storetest.Env
	httpapi.Licensing
	http.Handler
	draft *license.Draft
}

// bearer authenticates keys and leases as the product does.
type bearer struct{ l httpapi.Licensing }

// Authenticate implements [kit.Authenticator].
func (b bearer) Authenticate(ctx context.Context, scheme, credential string) (licensing.Actor, error) {
	if scheme == "Lease" {
		return b.l.Activations.ByLease(ctx, credential)
	}
	return b.l.Licenses.ByCredential(ctx, credential)
}

func newLicensed(t *testing.T, e storetest.Env) *licensed {
	t.Helper()
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, f := e.Store.WithSeal(key), kittest.NewFixture(t)
	trail := audit.New(audit.Deps{Store: s.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	a := &licensed{Env: e}
	a.Keys = keyring.New(keyring.Deps{Store: s.Keyring(), Seal: key, Clock: e.Clock.Now, Tx: s, Audit: trail})
	if err := a.Keys.Ensure(t.Context(), "https://licenses.example.com"); err != nil {
		t.Fatal(err)
	}
	a.Licenses = license.New(license.Deps{Store: s.Licenses(), Policies: s.Policies(), Tokens: s.LicenseTokens(), Renewals: s.LicenseRenewals(), Seating: s.LicenseSeats(), Transfers: s.LicenseOwners(), Trials: s.LicenseOwners(), Env: licensing.Live, Signer: a.Keys,
		Verifier: a.Keys, Seal: key, Clock: e.Clock.Now, IDs: e.IDs, Tx: s, Audit: trail, Switches: f.Off})
	a.Activations = activation.New(activation.Deps{Store: s.Activations(), Lends: s.Lender(), Answers: s.OfflineAnswers(), Seal: key, Licenses: a.Licenses, Signer: a.Keys, Verifier: a.Keys,
		Clock: e.Clock.Now, IDs: e.IDs, Tx: s, Audit: trail, Switches: f.Off})
	f.Stack.Auth, f.Stack.Replays, f.Stack.Clock, f.Stack.IDs = bearer{a.Licensing}, s, e.Clock.Now, e.IDs
	mux, err := kit.NewMux(f.Stack, httpapi.LicensingRoutes(a.Licensing)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range httpapi.LicensingRaws(a.Licensing) {
		if err := mux.Handle(raw.Name, raw.Pattern, raw.Handler); err != nil {
			t.Fatal(err)
		}
	}
	a.Handler = mux
	a.issue(t)
	return a
}

func (a *licensed) issue(t *testing.T) {
	t.Helper()
	ctx := licensing.AsSystem(t.Context(), "test")
	p, err := a.Licenses.CreatePolicy(ctx, license.CreatePolicyRequest{ProductID: a.IDs.New("prod"), Code: "std", Name: "S",
		Terms: license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 2, By: doc.ByDevice}}})
	if err != nil {
		t.Fatal(err)
	}
	a.draft, err = a.Licenses.Draft(ctx, license.IssueSpec{Source: license.Source{Kind: license.FromGrant, ID: "g1"}, ProductID: p.ProductID,
		ProductSlug: "editor", PolicyID: p.ID, PlanCode: "pro", Owner: "cus_ada", Env: licensing.Live})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Store.InTx(ctx, func(ctx context.Context) error {
		_, err := a.Licenses.Issue(ctx, a.draft)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// do sends a request with the header lines given.
func (a *licensed) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

// The keyset, the JWK set and the status lists are served to anybody as texts with an ETag that is honoured; a list that does not
// exist, or is spelled otherwise, is not found.
func TestLicensingDocumentsAreServed(t *testing.T) {
	t.Parallel()
	a := newLicensed(t, storetest.SQLite(t))
	for path, kind := range map[string]string{"/v1/keyset": "application/jwt", "/.well-known/jwks.json": "application/jwk-set+json", "/v1/status/1": "application/statuslist+jwt"} {
		w := a.do("GET", path, "")
		tag := w.Header().Get("ETag")
		if w.Code != 200 || w.Header().Get("Content-Type") != kind || tag == "" || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		if w := a.do("GET", path, "", "If-None-Match: "+tag); w.Code != 304 || w.Body.Len() != 0 {
			t.Errorf("%s unchanged: %d", path, w.Code)
		}
	}
	for _, path := range []string{"/v1/status/2", "/v1/status/0", "/v1/status/-1", "/v1/status/01", "/v1/status/x", "/v1/status/9223372036854775808"} {
		if w := a.do("GET", path, ""); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// Over HTTP, credentials that give no right to a seat get one and the same answer, down to the byte but for the request's id.
func TestS08_OneRefusalOverHTTP(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		a := newLicensed(t, e)
		ask := func(credential string) string {
			w := a.do("POST", "/v1/activations", `{"product":"editor","device":{"disk":"d1"}}`, "Authorization: License "+credential, "X-Request-Id: same-request-id")
			return fmt.Sprintln(w.Code, w.Header(), w.Body)
		}
		unknown := ask("MINT-00000-00000-00000-00000-00000-00000")
		if !strings.HasPrefix(unknown, "401 ") {
			t.Errorf("unknown: %s", unknown)
		}
		if _, err := a.Licenses.Suspend(licensing.AsSystem(t.Context(), "test"), license.StateRequest{ID: a.draft.License.ID, Reason: "dispute"}); err != nil {
			t.Fatal(err)
		}
		for _, credential := range []string{a.draft.Key, a.draft.License.Token.Text, "nonsense"} {
			if got := ask(credential); got != unknown {
				t.Errorf("%.12s…:\n%s\nunknown:\n%s", credential, got, unknown)
			}
		}
	})
}

// An Idempotency-Key answers a repeated activation with the same activation, and refuses it for another device.
func TestS13_IdempotentActivation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		a := newLicensed(t, e)
		ask := func(disk string) *httptest.ResponseRecorder {
			return a.do("POST", "/v1/activations", `{"product":"editor","device":{"disk":"`+disk+`"}}`, "Authorization: License "+a.draft.Key, "Idempotency-Key: 0123456789abcdef0123")
		}
		first, again, other := ask("d1"), ask("d1"), ask("d2")
		if first.Code != 200 || again.Code != 200 || activationOf(first) == "" || activationOf(first) != activationOf(again) {
			t.Errorf("first %d %s, again %d %s", first.Code, first.Body, again.Code, again.Body)
		}
		if other.Code != 422 {
			t.Errorf("another device under the key: %d %s", other.Code, other.Body)
		}
	})
}

func activationOf(w *httptest.ResponseRecorder) string {
	_, rest, _ := strings.Cut(w.Body.String(), `"activation":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// A product activates, renews and leaves over HTTP with nothing but its key and its lease; and the server's decision follows.
func TestActivationOverHTTP(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		a := newLicensed(t, e)
		validate := func(code string) {
			t.Helper()
			w := a.do("POST", "/v1/licenses/validate", `{"product":"editor","device":{"disk":"d1"}}`, "Authorization: License "+a.draft.Key)
			if w.Code != 200 || !strings.Contains(w.Body.String(), `"code":"`+code+`"`) {
				t.Errorf("validate: %d %s, want %s", w.Code, w.Body, code)
			}
		}
		validate("ACTIVATION_REQUIRED")
		w := a.do("POST", "/v1/activations", `{"product":"editor","device":{"disk":"d1"}}`, "Authorization: License "+a.draft.Key)
		id := activationOf(w)
		_, rest, _ := strings.Cut(w.Body.String(), `"lease":"`)
		lease, _, _ := strings.Cut(rest, `"`)
		validate("VALID")
		if w := a.do("POST", "/v1/activations/"+id+"/heartbeat", `{"seq":1}`, "Authorization: Lease "+lease); w.Code != 200 || !strings.Contains(w.Body.String(), `"lease":"`) {
			t.Errorf("heartbeat: %d %s", w.Code, w.Body)
		}
		if w := a.do("DELETE", "/v1/activations/"+id, "", "Authorization: Lease "+lease); w.Code != 200 {
			t.Errorf("deactivate: %d %s", w.Code, w.Body)
		}
		if w := a.do("POST", "/v1/activations/"+id+"/heartbeat", `{"seq":1}`, "Authorization: Lease "+lease); w.Code != 409 || !strings.Contains(w.Body.String(), "activation-released") {
			t.Errorf("heartbeat after: %d %s", w.Code, w.Body)
		}
	})
}
