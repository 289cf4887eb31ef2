// Command gate-feature is a small self-hosted web application whose plan decides what it does: a feature that is on or off, and one
// with a number.
//
//	go run ./examples/gate-feature -server http://127.0.0.1:8080 -root ROOT -product editor -env test -license EDIT-…
//	curl -X POST http://127.0.0.1:8082/projects   # as many as the plan's "projects"
//	curl -X POST http://127.0.0.1:8082/export     # with the plan's "export"
//	curl http://127.0.0.1:8082/license            # what holds, and why
//
// The key is needed at the first start alone. From then on the application decides from signed documents that it keeps, while a
// goroutine renews them: an outage of the server stops nothing until the license's policy says so.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/guard"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "gate-feature:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("gate-feature", flag.ContinueOnError)
	cfg := sdk.Config{Version: "1.0.0"}
	root := flags.String("root", "", "root public key, as `mintreu keyring roots` prints it")
	flags.StringVar(&cfg.BaseURL, "server", "", "address of the vendor's Mintreu")
	flags.StringVar(&cfg.Product, "product", "", "slug of the product")
	flags.StringVar(&cfg.Env, "env", "live", "live, or test for licenses of the sandbox")
	key := flags.String("license", "", "license key, at the first start")
	addr := flags.String("addr", "127.0.0.1:8082", "address to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg.Roots = []string{*root}
	client, err := sdk.New(cfg, sdk.WithLogger(slog.Default()))
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	if err := unlock(ctx, client, *key); err != nil {
		return err
	}
	go func() { _ = client.Run(ctx, nil) }() // renews until ctx ends

	server := http.Server{Addr: *addr, Handler: application(client), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return ctx.Err()
}

// unlock activates the license if there is a key and nothing was activated yet. Without a license the application runs as well,
// with what is free.
func unlock(ctx context.Context, client *sdk.Client, key string) error {
	decision, err := client.Check(ctx)
	if err == nil && !decision.Allowed && key != "" {
		decision, err = client.Activate(ctx, key)
	}
	if err == nil {
		slog.Info("license", "code", decision.Code, "explanation", decision.Explanation)
	}
	return err
}

// application is the product. Export is behind a middleware; how many projects there may be is asked where one is made.
func application(client *sdk.Client) http.Handler {
	a := &projects{client: client}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /projects", a.create)
	mux.Handle("POST /export", guard.Feature(client, "export", http.HandlerFunc(a.export)))
	mux.HandleFunc("GET /license", a.license)
	return mux
}

// freeProjects is how many projects there may be without a license.
const freeProjects = 1

type projects struct {
	client *sdk.Client

	mu    sync.Mutex
	count int64
}

// create makes a project while the plan has room for one. Limit takes no lock and allocates nothing.
func (a *projects) create(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if limit := max(a.client.Limit("projects"), freeProjects); a.count >= limit {
		http.Error(w, fmt.Sprintf("Your plan has room for %d. Upgrade for more; nothing you made is lost.", limit), http.StatusForbidden)
		return
	}
	a.count++
	_, _ = fmt.Fprintf(w, "project %d\n", a.count)
}

func (a *projects) export(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.client.Report("projects.exported", a.count); err != nil { // on disk; Run sends it, counted once
		slog.Warn("usage was not noted", "error", err)
	}
	_, _ = fmt.Fprintf(w, "%d exported\n", a.count)
}

// license tells the customer what holds and why. Check calls the server only when contact is due.
func (a *projects) license(w http.ResponseWriter, r *http.Request) {
	decision, err := a.client.Check(r.Context())
	if err != nil {
		http.Error(w, "The license cannot be read at the moment.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(decision)
}
