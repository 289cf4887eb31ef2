// Package app puts the whole service together: [Config] → [New] → [App.Run] → [App.Close]. It is the only wiring; main, the command line
// and every end-to-end test use it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/telemetry"
)

// App is one process of the service: a replica, or the only one.
type App struct {
	config  Config
	log     *slog.Logger
	storage *storage
	server  *httpapi.Server // nil when New did not listen
	public  late
	ops     late
	local   late
	socket  net.Listener
	parts   *parts
	serving chan struct{}

	stopTracing func(context.Context) error
}

// late is a handler whose work begins after its listener is open, since the services need to know the port.
type late struct{ h atomic.Pointer[http.Handler] }

func (l *late) set(h http.Handler) { l.h.Store(&h) }

func (l *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := l.h.Load()
	if h == nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return
	}
	(*h).ServeHTTP(w, r)
}

// Options are what a caller of [New] decides besides the configuration.
type Options struct {
	// Log receives the structured log; nil discards it.
	Log io.Writer
	// Listen opens the listeners. Without it the operations can be called in process only.
	Listen bool
}

// New opens the database, brings it up to date, opens the listeners and makes every service. Nothing is served before [App.Run].
// The caller must Close.
func New(ctx context.Context, c Config, o Options) (*App, error) {
	c.setDefaults()
	if err := c.Check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	log, err := telemetry.NewLogger(o.Log, c.LogLevel)
	if err != nil {
		return nil, err
	}
	a := &App{config: c, log: log, serving: make(chan struct{})}
	if err := a.open(ctx, o); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context, o Options) (err error) {
	if a.stopTracing, err = telemetry.StartTracing(ctx, a.config.OTLPEndpoint, Version()); err != nil {
		return err
	}
	if a.storage, err = openStorage(ctx, a.config, a.log, owning); err != nil {
		return err
	}
	readiness := httpapi.NewReadiness(httpapi.Check{Name: "database", Run: a.storage.db.Ping})
	if o.Listen {
		if err := a.listen(ctx, readiness); err != nil {
			return err
		}
	}
	if a.config.BaseURL == "" {
		a.config.BaseURL = "http://" + a.publicHost()
	}
	a.config.BaseURL = strings.TrimSuffix(a.config.BaseURL, "/")
	a.parts, err = newParts(ctx, a, readiness)
	return err
}

// listen opens the public listener, the operator's and the unix socket.
func (a *App) listen(ctx context.Context, readiness *httpapi.Readiness) (err error) {
	c := httpapi.ServerConfig{Public: &a.public, Addr: a.config.Addr, Ops: &a.ops, Readiness: readiness, Logger: a.log, Local: &a.local}
	if a.config.OpsAddr != "off" {
		c.OpsAddr = a.config.OpsAddr
	}
	if a.socket, err = listenSocket(ctx, a.config.Socket()); err != nil {
		return err
	}
	c.LocalListener = a.socket
	a.server, err = httpapi.Listen(ctx, c)
	return err
}

// listenSocket opens the operator's socket, readable and writable by its owner alone. A socket left by a process that died is
// replaced: the database's lock has told already that no other process works here.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > 100 {
		return nil, fmt.Errorf("the path %s is too long for a unix socket; choose a shorter --data-dir", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// publicHost is host:port under which the public listener can be reached from this machine.
func (a *App) publicHost() string {
	addr := a.config.Addr
	if a.server != nil {
		addr = a.server.Addr().String()
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// BaseURL is where customers reach the service; OpsURL where the operator's listener is, "" when there is none.
func (a *App) BaseURL() string { return a.config.BaseURL }

// LocalURL is the public listener as this machine reaches it, whatever name customers know the service by.
func (a *App) LocalURL() string { return "http://" + a.publicHost() }

// OpsURL is the address of metrics, profiles and alert rules.
func (a *App) OpsURL() string {
	if a.server == nil || a.server.OpsAddr() == nil {
		return ""
	}
	return "http://" + a.server.OpsAddr().String()
}

// Run serves until ctx ends, then drains: readiness turns, requests under way end, jobs finish, the listeners close. It returns nil
// after a clean end.
func (a *App) Run(ctx context.Context) error {
	if a.server == nil {
		return errors.New("app: made without listeners")
	}
	if err := a.parts.check(ctx); err != nil {
		return err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	for _, loop := range a.parts.loops {
		wg.Go(func() { loop(background) })
	}
	if err := a.parts.jobs.Start(ctx); err != nil {
		stop()
		wg.Wait()
		return err
	}
	a.public.set(a.parts.handler)
	a.ops.set(a.parts.opsHandler)
	a.local.set(a.OperatorHandler())
	close(a.serving)
	err := a.server.Serve(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = errors.Join(err, a.parts.jobs.Stop(end))
	stop()
	wg.Wait()
	return err
}

// OperatorHandler serves the operations to the person at the machine: whoever may open the socket is the actor "cli:<name>".
func (a *App) OperatorHandler() http.Handler {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Authorization")
		actor := licensing.Actor{Kind: licensing.CLI, ID: name, Fresh: true}
		a.parts.handler.ServeHTTP(w, r.WithContext(licensing.WithCall(r.Context(), &licensing.Call{Actor: actor})))
	})
}

// Serving is closed when Run has begun to answer requests.
func (a *App) Serving() <-chan struct{} { return a.serving }

// Handler is the public handler, for tests that need no listener.
func (a *App) Handler() http.Handler { return a.parts.handler }

// Roots are the root public keys that products pin.
func (a *App) Roots(ctx context.Context) ([]string, error) { return a.parts.keyring.Roots(ctx) }

// RootOnline reports whether the private part of the root is in this installation.
func (a *App) RootOnline(ctx context.Context) (bool, error) {
	online, _, _, err := a.parts.keyring.RootOnline(ctx)
	return online, err
}

// Resign signs again what revoked keys left, until nothing is left: for a process that runs no jobs.
func (a *App) Resign(ctx context.Context) error {
	for {
		wait, err := a.parts.resign(licensing.AsSystem(ctx, keyring.JobResign))
		if err != nil || wait == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// OwnerLink is where the first owner is made, "" when there is one.
func (a *App) OwnerLink(ctx context.Context) (string, error) {
	out, err := a.parts.accounts.SetupLink(ctx, account.SetupLinkRequest{})
	return out.Link, err
}

// Close releases everything. It is safe after a failed New and after Run.
func (a *App) Close() error {
	var errs []error
	if a.server != nil {
		for _, err := range []error{a.server.Close()} {
			if err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	} else if a.socket != nil {
		errs = append(errs, a.socket.Close())
	}
	if a.parts != nil {
		errs = append(errs, a.parts.close())
	}
	if a.storage != nil {
		errs = append(errs, a.storage.db.Close())
	}
	if a.stopTracing != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		errs = append(errs, a.stopTracing(ctx))
	}
	return errors.Join(errs...)
}

// NewID makes identifiers of UUIDv7, as [licensing.IDs] wants them.
func NewID(prefix string) string {
	return prefix + "_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
}

// https reports whether customers reach the service over TLS.
func (c Config) https() bool {
	u, err := url.Parse(c.BaseURL)
	return err == nil && u.Scheme == "https"
}

// Engine names the database.
func (a *App) Engine() string { return a.config.engineName() }

// OpsHandler is the operator's handler: metrics, profiles, alert rules.
func (a *App) OpsHandler() http.Handler { return a.parts.opsHandler }

// SendMail hands over every mail that waits, for whoever runs no jobs.
func (a *App) SendMail(ctx context.Context) error {
	waiting, err := a.storage.store.Notices().DueNotices(ctx, a.config.Clock().Add(time.Microsecond), 500)
	for _, id := range waiting {
		err = errors.Join(err, a.parts.notices.Send(ctx, id))
	}
	return err
}

// PutSetting writes a small value of the installation; one durable row.
func (a *App) PutSetting(ctx context.Context, name string, value []byte) error {
	return a.storage.store.PutSetting(ctx, name, value)
}
