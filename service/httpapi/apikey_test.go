package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// bearers authenticates by the two services, as the application does.
type bearers struct {
	accounts *account.Service
	keys     *apikey.Service
}

func (b bearers) Authenticate(ctx context.Context, scheme, text string) (licensing.Actor, error) {
	switch {
	case scheme != "Bearer":
		return licensing.Actor{}, account.ErrCredential
	case strings.HasPrefix(text, b.keys.Prefix+"_"):
		return b.keys.ByCredential(ctx, text, kit.ClientIP(ctx))
	}
	return b.accounts.ByBearer(ctx, text)
}

// silent is an account.Notices for tests without mail.
type silent struct{ account.Notices }

func (silent) AccountConfirm(context.Context, account.Person, string, time.Time) error { return nil }
func (silent) AccountExists(context.Context, account.Person, string, time.Time) error  { return nil }

// people is the API of accounts and keys on a database, with its parts at hand.
type people struct {
	storetest.Env
	*kittest.Fixture
	http.Handler
	accounts *account.Service
	keys     *apikey.Service
}

func newPeople(t *testing.T, e storetest.Env) *people {
	t.Helper()
	p := &people{Env: e, Fixture: kittest.NewFixture(t)}
	record := audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	counters := limit.NewLocal(e.Clock.Now)
	var err1, err2, err3 error
	p.accounts, err1 = account.New(account.Deps{People: e.Store.People(), Tokens: e.Store.Tokens(), Factors: e.Store.Factors(), Customers: e.Store.Customers(), Personal: e.Store.Personal(), Sessions: e.Store.Sessions(), Renewals: e.Store.Renewals(), Machines: e.Store.Machines(), Notices: silent{},
		Throttle: limit.Throttle{Limiter: counters}, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: record})
	p.keys, err2 = apikey.New(apikey.Deps{Store: e.Store.APIKeys(), Changer: e.Store.KeyChanges(), Credits: e.Store.KeyCredits(), Uses: e.Store.KeyUses(), Templates: e.Store.KeyTemplates(), Limiter: counters, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: record, Switches: p.Off})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	p.Stack.Auth, p.Stack.Clock, p.Stack.IDs = bearers{p.accounts, p.keys}, e.Clock.Now, e.IDs
	p.Stack.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	p.Stack.Forwarders = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	p.Handler, err3 = kit.NewMux(p.Stack, append(httpapi.AccountRoutes(p.accounts), httpapi.APIKeyRoutes(p.keys)...)...)
	if err3 != nil {
		t.Fatal(err3)
	}
	return p
}

// call sends one request and decodes the answer into out, if that is not nil.
func (p *people) call(t *testing.T, method, path, bearer, body string, out any, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	r.RemoteAddr = "10.1.1.1:1234"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
		}
	}
	return w
}

// owner makes the first owner and returns the text of a session.
func (p *people) owner(t *testing.T) string {
	t.Helper()
	ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: "staff.create", Actor: licensing.Actor{Kind: licensing.CLI, ID: "root"}, Mutating: true})
	if _, err := p.accounts.CreateStaff(ctx, account.CreateStaffRequest{Email: "owner@example.com", Role: licensing.RoleOwner, Password: "correct horse battery"}); err != nil {
		t.Fatal(err)
	}
	var in account.SignInResponse
	if w := p.call(t, "POST", "/v1/sessions", "", `{"email":"owner@example.com","password":"correct horse battery"}`, &in); w.Code != 201 {
		t.Fatalf("sign in: %d %s", w.Code, w.Body)
	}
	return in.Token
}

func (p *people) issue(t *testing.T, session, more string) apikey.CreateResponse {
	t.Helper()
	var out apikey.CreateResponse
	if w := p.call(t, "POST", "/v1/keys", session, `{"owner":"cus_a","product":"prd_a","name":"n"`+more+`}`, &out); w.Code != 201 {
		t.Fatalf("issue: %d %s", w.Code, w.Body)
	}
	return out
}

// TestA13_AuthorizeUntil429: a key passes until its limit is used up, each answer with the RateLimit fields; then it is 429 with Retry-After
// and problem details, and passes again when that time is over.
func TestA13_AuthorizeUntil429(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		p := newPeople(t, e)
		key := p.issue(t, p.owner(t), `,"limits":[{"name":"calls","count":3,"seconds":60}]`)
		for _, want := range []string{`"calls";r=2;t=20`, `"calls";r=1;t=40`, `"calls";r=0;t=60`} {
			var out httpapi.AuthorizeResponse
			w := p.call(t, "GET", "/v1/keys/authorize", key.Secret, "", &out)
			if w.Code != 200 || out.KeyID != key.Key.ID || w.Header().Get("RateLimit") != want || w.Header().Get("RateLimit-Policy") != `"calls";q=3;w=60` || w.Header().Get("X-Mintreu-Owner") != "cus_a" {
				t.Fatalf("%d %s %v", w.Code, w.Body, w.Header())
			}
		}
		var problem kit.Problem
		w := p.call(t, "GET", "/v1/keys/authorize", key.Secret, "", &problem)
		if w.Code != 429 || w.Header().Get("Retry-After") != "20" || problem.Code != "quota-exceeded" || w.Header().Get("Content-Type") != "application/problem+json" ||
			w.Header().Get("RateLimit") != `"calls";r=0;t=20` {
			t.Fatalf("%d %s %v", w.Code, w.Body, w.Header())
		}
		e.Clock.Advance(20 * time.Second)
		if w := p.call(t, "GET", "/v1/keys/authorize", key.Secret, "", nil); w.Code != 200 {
			t.Errorf("after the wait: %d", w.Code)
		}
	})
}

// TestAuthorizeAnswers: 401 without a good key, 403 for address, scope, product and environment, and a spoofed address from a stranger
// counts for nothing (A19).
func TestAuthorizeAnswers(t *testing.T) {
	t.Parallel()
	p := newPeople(t, storetest.SQLite(t))
	session := p.owner(t)
	free := p.issue(t, session, `,"scopes":["docs:read"]`)
	fenced := p.issue(t, session, `,"allow_from":["192.0.2.0/24"]`)
	for name, c := range map[string]struct {
		path, bearer, from string
		want               int
	}{
		"no key": {"", "", "", 401}, "a session": {"", session, "", 403}, "garbage": {"", "mtr_live_x", "", 401}, "typo": {"", free.Secret[:47] + "!", "", 401},
		"good": {"", free.Secret, "", 200}, "scope": {"?scope=docs:read", free.Secret, "", 200}, "missing scope": {"?scope=docs:read&scope=docs:write", free.Secret, "", 403},
		"other product": {"?product=prd_b", free.Secret, "", 403}, "other environment": {"?env=test", free.Secret, "", 403},
		"inside": {"", fenced.Secret, "192.0.2.7", 200}, "outside": {"", fenced.Secret, "203.0.113.9", 403}, "spoofed before the proxy": {"", fenced.Secret, "192.0.2.7, 203.0.113.9", 403},
		"bad cost": {"?cost=-1", free.Secret, "", 400}, "no cost": {"?cost=0", free.Secret, "", 400}, "a cost": {"?cost=2", free.Secret, "", 200}, "key in the query": {"?key=" + free.Secret, free.Secret, "", 401},
	} {
		var headers []string
		if c.from != "" {
			headers = []string{"X-Forwarded-For", c.from}
		}
		if w := p.call(t, "GET", "/v1/keys/authorize"+c.path, c.bearer, "", nil, headers...); w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if log := p.Log.String(); strings.Contains(log, free.Secret) || strings.Contains(log, fenced.Secret) || strings.Contains(log, session) {
		t.Error("A04: a credential is in the log")
	}
}

// TestA03_APrefixTellsNothing: of a live key every beginning, with whatever rest, is answered as a text that has nothing to do with it,
// byte for byte; and no operation lists keys to one that is not good.
func TestA03_APrefixTellsNothing(t *testing.T) {
	t.Parallel()
	p := newPeople(t, storetest.SQLite(t))
	live := p.issue(t, p.owner(t), "").Secret
	answer := func(text string) string {
		w := p.call(t, "GET", "/v1/keys/authorize", text, "", nil, "X-Request-Id", "req_00000000000000000000000000000000")
		header := w.Header().Clone()
		header.Del("Date")
		return fmt.Sprint(w.Code, header, w.Body)
	}
	stranger, err := p.keys.Format().New(licensing.Live, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := answer(stranger.Full)
	if !strings.HasPrefix(want, "401 ") {
		t.Fatal(want)
	}
	for n := 1; n < len(live); n++ {
		for _, text := range []string{live[:n], live[:n] + stranger.Full[n:], resummed(live[:n] + stranger.Full[n:])} {
			if text == live {
				continue
			}
			if got := answer(text); got != want {
				t.Errorf("%d characters right:\n%s\nwant\n%s", n, got, want)
			}
			if w := p.call(t, "GET", "/v1/keys?q="+live[:min(n, 8)], text, "", nil); w.Code != 401 {
				t.Fatalf("a list for %d characters: %d", n, w.Code)
			}
		}
	}
}

// resummed gives a text the checksum that its beginning asks for.
func resummed(text string) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := []byte(text)
	v := crc32.ChecksumIEEE(out[:len(out)-6])
	for i := len(out) - 1; i >= len(out)-6; i-- {
		out[i] = alphabet[v%62]
		v /= 62
	}
	return string(out)
}

// TestVerifyByMachineToken: a machine token with the scope verifies, one without does not, and a customer never; a refused key is an
// answer, not an error.
func TestVerifyByMachineToken(t *testing.T) {
	t.Parallel()
	p := newPeople(t, storetest.SQLite(t))
	session := p.owner(t)
	key := p.issue(t, session, "")
	token := func(scope string) string {
		var out account.CreateMachineResponse
		if w := p.call(t, "POST", "/v1/machine-tokens", session, `{"name":"n","scopes":["`+scope+`"]}`, &out); w.Code != 201 {
			t.Fatalf("machine token: %d %s", w.Code, w.Body)
		}
		return out.Secret
	}
	verifier, writer := token("keys:verify"), token("keys:write")
	body := `{"key":"` + key.Secret + `"}`
	var out apikey.VerifyResponse
	if w := p.call(t, "POST", "/v1/keys/verify", verifier, body, &out); w.Code != 200 || !out.Valid || out.KeyID != key.Key.ID {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := p.call(t, "POST", "/v1/keys/"+key.Key.ID+"/revoke", writer, `{}`, nil); w.Code != 200 {
		t.Errorf("revoke: %d %s", w.Code, w.Body)
	}
	out = apikey.VerifyResponse{}
	if w := p.call(t, "POST", "/v1/keys/verify", verifier, body, &out); w.Code != 200 || out.Valid || out.Code != apikey.IsRevoked {
		t.Errorf("revoked: %d %s", w.Code, w.Body)
	}
	for what, bearer := range map[string]string{"another scope": writer, "an API key": p.issue(t, session, "").Secret} {
		if w := p.call(t, "POST", "/v1/keys/verify", bearer, body, nil); w.Code != 403 {
			t.Errorf("%s: %d", what, w.Code)
		}
	}
	if w := p.call(t, "POST", "/v1/keys/verify", "", body, nil); w.Code != 401 {
		t.Errorf("nobody: %d", w.Code)
	}
}

// TestU11_KeysNeedAFreshSignIn: ten minutes after the password was entered keys, machine tokens and roles can no longer be made.
func TestU11_KeysNeedAFreshSignIn(t *testing.T) {
	t.Parallel()
	p := newPeople(t, storetest.SQLite(t))
	session := p.owner(t)
	p.issue(t, session, "")
	p.Env.Clock.Advance(10 * time.Minute)
	for path, body := range map[string]string{
		"/v1/keys": `{"owner":"cus_a","product":"prd_a","name":"n"}`, "/v1/machine-tokens": `{"name":"n","scopes":["a:b"]}`, "/v1/staff": `{"email":"a@example.com","role":"support"}`,
	} {
		var problem kit.Problem
		if w := p.call(t, "POST", path, session, body, &problem); w.Code != 403 || problem.Code != "sign-in-again" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := p.call(t, "GET", "/v1/me", session, "", nil); w.Code != 200 {
		t.Errorf("me: %d", w.Code)
	}
	if w := p.call(t, "DELETE", "/v1/sessions/current", session, "", nil); w.Code != 204 {
		t.Errorf("sign out: %d", w.Code)
	}
	if w := p.call(t, "GET", "/v1/me", session, "", nil); w.Code != 401 {
		t.Errorf("me after signing out: %d", w.Code)
	}
}

// TestR05_NobodyAssignsARole: members that an operation does not have are refused by name, whoever sends them.
func TestR05_NobodyAssignsARole(t *testing.T) {
	t.Parallel()
	p := newPeople(t, storetest.SQLite(t))
	session := p.owner(t)
	for path, body := range map[string]string{
		"/v1/accounts": `{"email":"a@example.com","role":"owner"}`, "/v1/accounts/confirm": `{"token":"x","password":"correct horse battery","role":"owner"}`,
		"/v1/keys": `{"owner":"cus_a","product":"prd_a","name":"n","id":"key_x"}`, "/v1/machine-tokens": `{"name":"n","scopes":["a:b"],"created_by":"x"}`,
	} {
		if w := p.call(t, "POST", path, session, body, nil); w.Code != 400 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
