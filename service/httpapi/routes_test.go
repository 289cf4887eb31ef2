package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

// everything mounts every route of the API on services that do not exist: whoever gets as far as one of them gets 500, which
// shows that he was let in.
func everything(t *testing.T) (http.Handler, *kittest.Fixture, []kit.Route) {
	t.Helper()
	f := kittest.NewFixture(t)
	f.Stack.Forwarders = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // where test requests come from
	routes := httpapi.Routes(httpapi.Services{})
	h, err := httpapi.Handler(httpapi.Deps{Stack: f.Stack, Routes: routes, Readiness: httpapi.NewReadiness()})
	if err != nil {
		t.Fatal(err)
	}
	return h, f, routes
}

// TestR01_RoleMatrix: each operation of the API lets in exactly the callers that its route names.
func TestR01_RoleMatrix(t *testing.T) {
	t.Parallel()
	h, f, routes := everything(t)
	kittest.RunMatrix(t, h, routes, func(r *http.Request, caller kit.Caller) *http.Request {
		switch caller.Actor.Kind {
		case licensing.Anonymous:
		case licensing.CLI:
			return r.WithContext(licensing.WithCall(r.Context(), &licensing.Call{Actor: caller.Actor}))
		case "":
			r.Header.Set("Authorization", "Bearer "+caller.Name)
		default:
			credential := strings.ReplaceAll(caller.Name, ":", "-") + "-" + caller.Scope
			f.Actors.Know("Bearer "+credential, caller.Actor)
			r.Header.Set("Authorization", "Bearer "+credential)
		}
		return r
	}, nil)
}

// TestR12_AuditorsOnlyRead: whoever reads the audit trail as an auditor changes nothing but the account of their own.
func TestR12_AuditorsOnlyRead(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, route := range httpapi.Routes(httpapi.Services{}) {
		spec := route.Spec()
		if !spec.Mutates() || spec.Access.Anonymous {
			continue
		}
		tried++
		own := strings.HasPrefix(spec.Name, "account.") || strings.HasPrefix(spec.Name, "session.")
		if spec.Access.Permits(licensing.Actor{Kind: licensing.Staff, ID: "cus_auditor", Role: licensing.RoleAuditor, Fresh: true}) && !own {
			t.Errorf("%s lets auditors change something", spec.Name)
		}
	}
	if tried < 60 {
		t.Errorf("%d operations were tried only", tried)
	}
}

// TestR01_StaffAreNamed: no operation of staff is open to the anonymous, and whatever can be written by machines is by a scope that
// says so.
func TestR01_StaffAreNamed(t *testing.T) {
	t.Parallel()
	for _, route := range httpapi.Routes(httpapi.Services{}) {
		spec := route.Spec()
		if spec.Access.Anonymous && len(spec.Access.Staff) > 0 {
			t.Errorf("%s names staff and is open to everybody", spec.Name)
		}
		for _, scope := range spec.Access.MachineScopes() {
			if spec.Mutates() && strings.HasSuffix(scope, ":read") {
				t.Errorf("%s changes something by the scope %s", spec.Name, scope)
			}
		}
	}
}

// TestR02_NarrowedTokensReadNothingOfTheWhole: a machine token that is narrowed to a product or an environment is told why it may not read what is
// of the whole shop, however its scopes read; one that is not may.
func TestR02_NarrowedTokensReadNothingOfTheWhole(t *testing.T) {
	t.Parallel()
	h, f, routes := everything(t)
	whole := 0
	for _, route := range routes {
		spec := route.Spec()
		if family, _, _ := strings.Cut(spec.Name, "."); (family != "webhook" && family != "payment_event") || spec.Access.Machine == "" || spec.Name == "webhook.types" {
			continue
		}
		whole++
		actor := licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Scopes: spec.Access.MachineScopes()}
		if !spec.Access.Permits(actor) {
			t.Errorf("%s refuses a token of all products", spec.Name)
		}
		for name, narrow := range map[string]func(*licensing.Actor){"product": func(a *licensing.Actor) { a.Product = "prod_1" }, "environment": func(a *licensing.Actor) { a.Env = licensing.Test }} {
			narrowed := actor
			narrow(&narrowed)
			f.Actors.Know("Bearer "+name+spec.Name, narrowed)
			r := kittest.Request(spec)
			r.Header.Set("Authorization", "Bearer "+name+spec.Name)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "token-narrowed") {
				t.Errorf("%s by a token narrowed to a %s: %d %s", spec.Name, name, w.Code, w.Body)
			}
		}
	}
	if whole < 6 {
		t.Errorf("%d operations were tried only", whole)
	}
}

// TestI03_EveryRouteRefusesHostileBodies: no operation takes what is not strict JSON, and none answers it with 5xx. The bodies that
// are hostile by size alone are tried on every eighth, since all operations share their reader.
func TestI03_EveryRouteRefusesHostileBodies(t *testing.T) {
	t.Parallel()
	h, f, routes := everything(t)
	hostile := kittest.Hostile()
	for i, route := range routes {
		spec := route.Spec()
		if spec.Method == http.MethodGet || spec.Method == http.MethodDelete {
			continue
		}
		credential := admit(f, spec)
		for _, body := range hostile {
			if len(body.Text) > 50_000 && i%8 != 0 {
				continue
			}
			r := kittest.Request(spec)
			r = httptest.NewRequest(spec.Method, r.URL.Path, strings.NewReader(body.Text))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", credential)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code < 400 || w.Code > 499 || w.Code == 401 || w.Code == 403 {
				t.Errorf("%s answered %q with %d: %.200s", spec.Name, body.Name, w.Code, w.Body)
			}
		}
	}
}

// admit makes a credential that the operation lets in.
func admit(f *kittest.Fixture, spec kit.Spec) string {
	for _, caller := range kit.Callers(spec) {
		if !caller.Dead() && caller.Actor.Kind != licensing.Anonymous && caller.Actor.Kind != licensing.CLI && caller.Name != "customer:stale" && spec.Access.Permits(caller.Actor) {
			f.Actors.Know("Bearer for-"+spec.Name, caller.Actor)
			return "Bearer for-" + spec.Name
		}
	}
	return "Bearer nobody"
}

// TestServicesAreComplete: a Service that was not handed in is named, those within a group too.
func TestServicesAreComplete(t *testing.T) {
	t.Parallel()
	err := httpapi.Services{Account: &account.Service{}}.Complete()
	if err == nil || strings.Contains(err.Error(), "Account") || !strings.Contains(err.Error(), "Services.APIKey is missing") || !strings.Contains(err.Error(), "Services.Platform.Audit is missing") {
		t.Errorf("got %v", err)
	}
}

// TestAnswersHoldNoSecrets: no answer of the API has a member for something sealed, hashed or secret, but for the secrets that are
// shown once and say so.
func TestAnswersHoldNoSecrets(t *testing.T) {
	t.Parallel()
	doc, err := httpapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Paths      map[string]map[string]struct{ Responses any }
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(doc, &parsed); err != nil {
		t.Fatal(err)
	}
	secret := regexp.MustCompile(`(?i)sealed|hash|password|secret|private`)
	seen := map[string]bool{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(at, e)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && !seen[ref] {
				seen[ref] = true
				name := strings.TrimPrefix(ref, "#/components/schemas/")
				walk(name, parsed.Components.Schemas[name])
			}
			for key, inner := range v {
				if properties, ok := inner.(map[string]any); ok && key == "properties" {
					for name, property := range properties {
						if p, _ := property.(map[string]any); secret.MatchString(name) && p["x-secret"] != "once" && p["type"] != "boolean" {
							t.Errorf("%s answers with %s", at, name)
						}
					}
				}
				walk(at, inner)
			}
		}
	}
	operations := 0
	for path, item := range parsed.Paths {
		for method, op := range item {
			operations++
			walk(method+" "+path, op.Responses)
		}
	}
	if operations < 40 || len(seen) < 20 {
		t.Errorf("looked at %d operations and %d schemas only", operations, len(seen))
	}
}
