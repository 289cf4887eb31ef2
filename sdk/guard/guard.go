// Package guard puts what was sold in front of HTTP handlers: an API key that
// Mintreu must find good, and a feature that the license must grant.
//
//	keys, err := guard.New(guard.Config{BaseURL: "https://shop.example"})
//	mux.Handle("GET /notes", keys.Require(notes, "notes:read"))
//	mux.Handle("POST /drafts", keys.Reserve(drafts, 500, 0, "notes:write"))
//	mux.Handle("POST /export", guard.Feature(client, "export", export))
//
// Require asks Mintreu before each request, which also counts it against the
// key's limits; whose key it was, the handler learns from [CallerFrom]. A
// proxy can ask the same question (nginx auth_request, forward auth of Caddy and
// Traefik, ext_authz of Envoy); then the API needs no code at all. Reserve is for
// work whose cost is known only afterwards. Feature asks nobody: it decides
// from the signed documents that the SDK keeps.
//
// Refusals are problem details (RFC 9457) with a stable code. The package uses
// the standard library alone and is safe for concurrent use.
package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	patience  = 2 * time.Second // a request must not wait for long
	maxAnswer = 64 << 10
)

// Config says whom to ask and about what.
type Config struct {
	// BaseURL is the address of Mintreu as seen from this server: https, or
	// http to the machine itself.
	BaseURL string
	// Plain permits http to another machine, on a network that nobody listens on.
	Plain bool
	// Env is "live" or "test"; "" takes keys of both. Say "live" in production.
	Env string
	// Product is the id of the product whose keys are good, prod_…, and not its
	// slug; "" takes all.
	Product string
	// Token is a machine token with the scope keys:verify. Only Reserve needs it.
	Token string
	// Client asks; nil for one that waits two seconds. It never follows a
	// redirect, so that a key goes to nobody else.
	Client *http.Client
	// Logger is told when Mintreu could not be asked; nil for nobody. No key is logged.
	Logger *slog.Logger
}

// Guard lets requests pass whose API key is good for them.
type Guard struct {
	base   string
	token  string
	query  url.Values
	client http.Client
	log    *slog.Logger
}

// New makes a guard. It calls nobody.
func New(c Config) (*Guard, error) {
	u, err := url.Parse(strings.TrimRight(c.BaseURL, "/"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("guard: base URL: %w", err)
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("guard: base URL %q is not of the form https://host", c.BaseURL)
	case u.Scheme == "http" && !c.Plain && !loopback(u.Hostname()):
		return nil, fmt.Errorf("guard: base URL %q is not https; Plain permits that", c.BaseURL)
	}
	g := &Guard{base: u.String(), token: c.Token, query: url.Values{}, client: http.Client{Timeout: patience}, log: c.Logger}
	switch c.Env {
	case "":
	case "live", "test":
		g.query.Set("env", c.Env)
	default:
		return nil, fmt.Errorf("guard: environment %q is neither live nor test", c.Env)
	}
	if c.Product != "" && !strings.HasPrefix(c.Product, "prod_") { // a slug would refuse every key
		return nil, fmt.Errorf("guard: product %q is no id, such as prod_…, as `mintreu product list` shows it", c.Product)
	}
	if c.Product != "" {
		g.query.Set("product", c.Product)
	}
	if c.Client != nil {
		g.client = *c.Client
	}
	g.client.Jar = nil
	g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Caller is whose key a request came with.
type Caller struct {
	Key   string // id of the key, never the key itself
	Owner string // id of the customer or organisation
	Plan  string // code of the plan that the key was sold with, if any
}

type callerKey struct{}

// CallerFrom returns whose key the request of ctx came with. ok is false
// outside of handlers behind [Guard.Require].
func CallerFrom(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// Require lets requests reach next whose API key is good for every scope. The
// key comes as Authorization: Bearer. Others are answered 401, 403 or 429 as Mintreu
// says, with what it says of the limits; without an answer from Mintreu, 503.
func (g *Guard) Require(next http.Handler, scopes ...string) http.Handler {
	query := url.Values{}
	for name, v := range g.query {
		query[name] = v
	}
	if len(scopes) > 0 {
		query["scope"] = scopes
	}
	at := g.base + "/v1/keys/authorize"
	if len(query) > 0 {
		at += "?" + query.Encode()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bearer(w, r) == "" {
			return
		}
		a, err := g.ask(r, at)
		if err != nil {
			g.unanswered(w, r, err)
			return
		}
		for _, name := range []string{"RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate"} { // what the caller should know
			if v := a.header.Get(name); v != "" {
				w.Header().Set(name, v)
			}
		}
		if a.status != http.StatusOK {
			w.Header().Set("Content-Type", a.header.Get("Content-Type"))
			w.WriteHeader(a.status)
			_, _ = w.Write(a.body)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, a.caller)))
	})
}

// bearer is the key that a request came with. One without is refused.
func bearer(w http.ResponseWriter, r *http.Request) string {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if key = strings.TrimSpace(key); !strings.EqualFold(scheme, "Bearer") || key == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, "unauthorized", "Send your API key as Authorization: Bearer.")
		return ""
	}
	return key
}

// unanswered refuses a request about whose key Mintreu could not be asked.
func (g *Guard) unanswered(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		g.log.WarnContext(r.Context(), "an API key could not be checked", "error", err)
	}
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, "unavailable", "The key cannot be checked at the moment; try again.")
}

// answer is what Mintreu said of a key.
type answer struct {
	status int
	header http.Header
	body   []byte
	caller Caller
}

// ask sends the caller's key and address on, and nothing else of the request.
// Answers are 200, or a refusal to pass on; anything else, such as a page of a
// proxy in between, is an error.
func (g *Guard) ask(r *http.Request, at string) (answer, error) {
	q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, at, nil)
	if err != nil {
		return answer{}, err
	}
	q.Header.Set("Authorization", r.Header.Get("Authorization"))
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		q.Header.Set("X-Forwarded-For", host) // for the key's list of addresses, where Mintreu trusts this server to say it
	}
	res, err := g.client.Do(q)
	if err != nil {
		return answer{}, err // names the address, never a header
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return answer{}, err
	}
	if len(body) > maxAnswer {
		return answer{}, errors.New("the answer is too long")
	}
	a := answer{status: res.StatusCode, header: res.Header, body: body}
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		var said struct {
			Code string `json:"code"`
		}
		media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
		if media != "application/problem+json" || json.Unmarshal(body, &said) != nil || said.Code == "" { // of a proxy in between: the caller is good, or not, all the same
			return answer{}, fmt.Errorf("%s is no answer of Mintreu's", res.Status)
		}
		if said.Code == "authorize-from" { // it is not the caller who is refused
			return answer{}, errors.New("mintreu does not tell this network: name it with --authorize-from")
		}
	case http.StatusOK:
		var said struct {
			Key   string `json:"key_id"`
			Owner string `json:"owner"`
			Plan  string `json:"plan"`
		}
		if err := json.Unmarshal(body, &said); err != nil || said.Key == "" || said.Owner == "" {
			return answer{}, errors.New("the answer is none of Mintreu's")
		}
		a.caller = Caller{Key: said.Key, Owner: said.Owner, Plan: said.Plan}
	default:
		return answer{}, fmt.Errorf("mintreu answered %s", res.Status)
	}
	return a, nil
}

// License says what is granted; an *sdk.Client does.
type License interface {
	Allowed(feature string) bool
}

// Feature lets requests reach next while the license grants a feature, and
// answers others 403. Nobody is asked: who holds the license keeps it current,
// as sdk.Client.Run does.
func Feature(l License, feature string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.Allowed(feature) {
			refuse(w, http.StatusForbidden, "feature-not-licensed", fmt.Sprintf("The license does not include %q.", feature))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers with a problem.
func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
	}{http.StatusText(status), status, detail, code})
}
