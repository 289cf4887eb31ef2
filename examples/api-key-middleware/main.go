// Command api-key-middleware is a small API whose callers come with the API keys that Mintreu sold them: the SDK's middleware asks
// Mintreu whether a request may pass, which also counts it against the key's limits.
//
//	go run ./examples/api-key-middleware -mintreu http://127.0.0.1:8080 -addr 127.0.0.1:8081
//	curl -H "Authorization: Bearer mtr_…" http://127.0.0.1:8081/notes
//
// The same question can be asked by a proxy (nginx auth_request, Caddy and Traefik forward auth, Envoy ext_authz); then the API
// itself needs no code at all.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/mintreu/mintreu/sdk/guard"
)

func main() {
	c := guard.Config{Logger: slog.Default()}
	flag.StringVar(&c.BaseURL, "mintreu", "http://127.0.0.1:8080", "address of Mintreu, as seen from this server")
	flag.StringVar(&c.Env, "env", "", "live or test; empty takes keys of both")
	addr := flag.String("addr", "127.0.0.1:8081", "address to listen on")
	flag.Parse()
	if err := serve(*addr, c); err != nil {
		fmt.Fprintln(os.Stderr, "api-key-middleware:", err)
		os.Exit(1)
	}
}

func serve(addr string, c guard.Config) error {
	h, err := handler(c)
	if err != nil {
		return err
	}
	server := http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// handler is the API: reading needs a key with the scope notes:read, and anybody may ask whether it runs.
func handler(c guard.Config) (http.Handler, error) {
	keys, err := guard.New(c)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /notes", keys.Require(http.HandlerFunc(notes), "notes:read"))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	return mux, nil
}

// notes is what is sold. Whose key it was stands in the request's context.
func notes(w http.ResponseWriter, r *http.Request) {
	caller, _ := guard.CallerFrom(r.Context())
	_, _ = fmt.Fprintf(w, "notes of %s\n", caller.Owner)
}
