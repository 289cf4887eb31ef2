// Command apikey is a small API whose callers come with the API keys that Mintreu sold them: a middleware asks Mintreu whether a
// request may pass, which also counts it against the key's limits.
//
//	go run ./examples/apikey -mintreu http://127.0.0.1:8080 -addr 127.0.0.1:8081
//	curl -H "Authorization: Bearer mtr_…" http://127.0.0.1:8081/notes
//
// The same question can be asked by a proxy (nginx auth_request, Caddy and Traefik forward auth, Envoy ext_authz); then the API
// itself needs no code at all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

func main() {
	mintreu := flag.String("mintreu", "http://127.0.0.1:8080", "address of Mintreu, as seen from this server")
	addr := flag.String("addr", "127.0.0.1:8081", "address to listen on")
	env := flag.String("env", "", "live or test; empty takes keys of both")
	flag.Parse()
	guard := Guard{Mintreu: *mintreu, Env: *env, Scope: "notes:read", Client: &http.Client{Timeout: 2 * time.Second}}
	mux := http.NewServeMux()
	mux.Handle("GET /notes", guard.Protect(http.HandlerFunc(notes)))
	server := http.Server{Addr: *addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, "apikey:", err)
		os.Exit(1)
	}
}

// notes is the API that is sold. Whose key it was stands in the request's context.
func notes(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "notes of %s\n", OwnerFrom(r.Context()))
}

// Guard lets requests pass whose API key is good for them.
type Guard struct {
	Mintreu string       // base URL
	Env     string       // live or test; "" takes both
	Scope   string       // what the key must be good for; "" for nothing in particular
	Client  *http.Client // with a timeout: a request must not wait for long
}

type ownerKey struct{}

// OwnerFrom returns the id of the customer whose key the request came with.
func OwnerFrom(ctx context.Context) string {
	owner, _ := ctx.Value(ownerKey{}).(string)
	return owner
}

// Protect asks before each request. Without an answer from Mintreu it refuses with 503: who must rather serve than count may let
// such requests pass instead.
func (g Guard) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := g.ask(r)
		if err != nil {
			http.Error(w, "The key cannot be checked at the moment; try again.", http.StatusServiceUnavailable)
			return
		}
		defer func() { _ = answer.Body.Close() }()
		for _, name := range []string{"RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate"} { // what the caller should know
			if v := answer.Header.Get(name); v != "" {
				w.Header().Set(name, v)
			}
		}
		if answer.StatusCode != http.StatusOK {
			w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
			w.WriteHeader(answer.StatusCode)
			_, _ = io.Copy(w, io.LimitReader(answer.Body, 64<<10))
			return
		}
		ctx := context.WithValue(r.Context(), ownerKey{}, answer.Header.Get("X-Mintreu-Owner"))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// ask forwards the caller's key, and nothing else of the request. Answers are 200, or the refusal to pass on; anything else, such
// as a page of a proxy in between, is an error.
func (g Guard) ask(r *http.Request) (*http.Response, error) {
	query := url.Values{}
	if g.Env != "" {
		query.Set("env", g.Env)
	}
	if g.Scope != "" {
		query.Set("scope", g.Scope)
	}
	question, err := http.NewRequestWithContext(r.Context(), http.MethodGet, strings.TrimSuffix(g.Mintreu, "/")+"/v1/keys/authorize?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	question.Header.Set("Authorization", r.Header.Get("Authorization"))
	answer, err := g.Client.Do(question)
	if err != nil {
		return nil, err
	}
	switch answer.StatusCode {
	case http.StatusOK, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return answer, nil
	}
	_ = answer.Body.Close()
	return nil, errors.New("mintreu answered " + answer.Status)
}
