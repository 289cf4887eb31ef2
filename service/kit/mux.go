package kit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/mintreu/mintreu/licensing"
)

// Mux serves operations as the JSON API, and raw handlers beside them, over one ServeMux. It answers unknown paths and methods
// with problem details, and CORS preflights. It is an http.Handler, safe for concurrent use once built.
type Mux struct {
	bound    *bound
	mux      *http.ServeMux
	paths    map[string]*resource
	fallback http.Handler
}

var _ http.Handler = (*Mux)(nil)

// Values of headers that do not change; ServeMux writes the slices as they are.
var (
	noStore   = []string{"no-store"}
	jsonType  = []string{"application/json"}
	nosniff   = []string{"nosniff"}
	referrer  = []string{"no-referrer"}
	policy    = []string{"default-src 'none'; frame-ancestors 'none'"}
	framing   = []string{"DENY"}
	resources = []string{"same-origin"}
)

// NewMux binds the routes to the stack and mounts them. The error names every operation that is wrong, and how: nobody may call
// it, its name or path is taken, a POST that writes has no Again, a field that JSON cannot carry strictly.
func NewMux(stack Stack, routes ...Route) (*Mux, error) {
	b, err := newBound(stack)
	if err != nil {
		return nil, err
	}
	m := &Mux{bound: b, mux: http.NewServeMux(), paths: map[string]*resource{}}
	m.mux.HandleFunc("/", m.other)
	names := map[string]bool{}
	var wrong []error
	for _, route := range routes {
		spec := route.Spec()
		err := b.check(spec, route)
		if err == nil && names[spec.Name] {
			err = errors.New("the name is taken")
		}
		names[spec.Name] = true
		var handler http.Handler
		if err == nil {
			handler, err = route.bind(b)
		}
		if err == nil {
			err = m.mount(spec.Method, spec.Path, handler, spec.CORS)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("kit: operation %s: %w", spec.Name, err))
		}
	}
	return m, errors.Join(wrong...)
}

func newBound(stack Stack) (*bound, error) {
	switch {
	case stack.Auth == nil || stack.Switches == nil || stack.Clock == nil || stack.IDs == nil || stack.Logger == nil || stack.Metrics == nil:
		return nil, errors.New("kit: the stack lacks one of Auth, Switches, Clock, IDs, Logger, Metrics")
	case len(stack.CursorKey) < 16:
		return nil, errors.New("kit: the stack's CursorKey is shorter than 16 bytes")
	}
	if stack.Rate <= 0 {
		stack.Rate = 2000
	}
	if stack.Burst <= 0 {
		stack.Burst = int(2 * stack.Rate)
	}
	if stack.BodyTime <= 0 {
		stack.BodyTime = 9 * time.Second
	}
	m, err := newMeters(stack.Metrics)
	if err != nil {
		return nil, err
	}
	b := &bound{stack: stack, limiter: rate.NewLimiter(rate.Limit(stack.Rate), stack.Burst), meters: m, origins: map[string]bool{}}
	for _, origin := range stack.Origins {
		b.origins[origin] = true
	}
	return b, nil
}

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// check refuses a Spec that contradicts itself.
func (b *bound) check(spec Spec, route Route) error {
	noun, verb, ok := strings.Cut(spec.Name, ".")
	switch {
	case !ok || noun == "" || verb == "":
		return errors.New(`the name is not "noun.verb"`)
	case !slices.Contains(methods, spec.Method):
		return fmt.Errorf("no method %q", spec.Method)
	case !strings.HasPrefix(spec.Path, "/"):
		return fmt.Errorf("the path %q does not start with a slash", spec.Path)
	case spec.Access.empty():
		return errors.New("nobody may call it; its Access is empty")
	case spec.CORS && !spec.Access.Anonymous:
		return errors.New("only anonymous operations take CORS")
	case spec.Reads && spec.Method != http.MethodPost:
		return errors.New("only a POST takes Reads")
	case spec.Idempotent() && !route.replayable():
		return errors.New("a POST that writes needs Again, or Reads if it writes nothing")
	case spec.Idempotent() && b.stack.Replays == nil:
		return errors.New("the stack has no Replays")
	case spec.Status < 200 || spec.Status > 299:
		return fmt.Errorf("%d is no status of success", spec.Status)
	}
	return nil
}

// Handle mounts a raw handler (a webhook, a download, a page) under the name that log and metrics use. The pattern is
// ServeMux's, with or without a method; "/" replaces the answer to unknown paths. A raw handler has recover, request id, log,
// metrics and security headers around it, and its own authentication.
func (m *Mux) Handle(name, pattern string, h http.Handler) error {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "", pattern
	}
	h = m.bound.raw(name, h)
	if path == "/" && method == "" {
		m.fallback = h
		return nil
	}
	return m.mount(method, path, h, false)
}

// mount adds a method ("" for all) of a path.
func (m *Mux) mount(method, path string, h http.Handler, cors bool) (err error) {
	res, ok := m.paths[path]
	if !ok {
		res = &resource{bound: m.bound, methods: map[string]http.Handler{}, cors: map[string]bool{}}
		defer func() {
			if p := recover(); p != nil { // ServeMux panics when two patterns overlap
				err = fmt.Errorf("%v", p)
			}
		}()
		m.mux.Handle(path, res)
		m.paths[path] = res
	}
	if res.methods[method] != nil {
		return fmt.Errorf("%s %s is taken", method, path)
	}
	res.methods[method] = h
	res.cors[method] = cors
	return nil
}

// ServeHTTP implements http.Handler.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// other answers what no path matches.
func (m *Mux) other(w http.ResponseWriter, r *http.Request) {
	m.bound.begin(w, r)
	if m.fallback != nil {
		m.fallback.ServeHTTP(w, r)
		return
	}
	m.bound.refuse(w, r, errNoRoute)
}

// begin gives the request its id (the caller's if well-formed) and its deadline, and the answer its security headers.
func (b *bound) begin(w http.ResponseWriter, r *http.Request) {
	ids := r.Header[RequestIDHeader]
	if len(ids) != 1 || !validRequestID(ids[0]) {
		ids = []string{b.stack.IDs.New("req")}
		r.Header[RequestIDHeader] = ids // from here on the header holds the id in force
	}
	h := w.Header()
	h[RequestIDHeader] = ids
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = referrer
	h["Content-Security-Policy"] = policy
	h["X-Frame-Options"] = framing
	h["Cross-Origin-Resource-Policy"] = resources
	if len(r.TransferEncoding) > 0 {
		// The server lets chunks win over a Content-Length beside them, and no longer shows that there was one. A proxy may have gone
		// by the length; so whatever follows on this connection is not believed to be a request (RFC 9112 §6.1).
		h.Set("Connection", "close")
	}
	b.bounded(w, r)
}

// validRequestID reports whether a caller's id may be taken over: it goes into logs and answers.
func validRequestID(s string) bool {
	if len(s) < 8 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// refuse answers a request that reaches no operation, and logs it without its path, which may hold anything.
func (b *bound) refuse(w http.ResponseWriter, r *http.Request, e *licensing.Error) {
	start := time.Now()
	m := b.meters.of("unmatched")
	m.begin()
	call := &licensing.Call{RequestID: r.Header.Get(RequestIDHeader), Actor: licensing.Actor{Kind: licensing.Anonymous}}
	writeProblem(w, call.RequestID, e, "")
	m.end(statuses[e.Kind], time.Since(start))
	ctx := b.withOrigin(r.Context(), &Spec{}, r)
	b.line(ctx, "unmatched", statuses[e.Kind], time.Since(start), call, e)
}

func requestID(ctx context.Context) string { return licensing.CallFrom(ctx).RequestID }
