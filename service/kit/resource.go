package kit

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// resource is one path: its methods and what it says to all others.
type resource struct {
	bound   *bound
	methods map[string]http.Handler // "" is every method
	cors    map[string]bool
}

// ServeHTTP implements http.Handler.
func (res *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	res.bound.begin(w, r)
	method := r.Method
	if method == http.MethodHead && res.methods[method] == nil {
		method = http.MethodGet
	}
	h := res.methods[method]
	if h == nil {
		h = res.methods[""]
	}
	switch {
	case h != nil:
		if res.cors[method] {
			res.share(w, r)
		}
		h.ServeHTTP(w, r)
	case r.Method == http.MethodOptions:
		res.options(w, r)
	default:
		w.Header().Set("Allow", res.allow())
		res.bound.refuse(w, r, &licensing.Error{Kind: methodKind, Code: "method-not-allowed", Text: "This address does not take " + clip(r.Method) + "; it takes " + res.allow() + "."})
	}
}

// methodKind is the one kind of failure that only the mux has.
const methodKind licensing.Kind = 255

func (res *resource) allow() string {
	known := slices.Sorted(maps.Keys(res.methods))
	if slices.Contains(known, http.MethodGet) {
		known = append(known, http.MethodHead)
	}
	return strings.Join(append(known, http.MethodOptions), ", ")
}

// share lets the pages of a configured origin read the answer. Credentials are never allowed: there is no
// Access-Control-Allow-Credentials, and preflights do not admit Authorization.
func (res *resource) share(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Add("Vary", "Origin")
	origins := r.Header["Origin"]
	if len(origins) != 1 || !res.bound.origins[origins[0]] {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origins[0])
	h.Set("Access-Control-Expose-Headers", RequestIDHeader+", Retry-After, Idempotency-Replayed")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return true
}

// options answers OPTIONS, and so CORS preflights: a configured origin learns what it may send, any other nothing.
func (res *resource) options(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", res.allow())
	if wanted := r.Header.Get("Access-Control-Request-Method"); res.cors[wanted] && res.share(w, r) {
		h.Set("Access-Control-Allow-Methods", wanted)
		h.Set("Access-Control-Allow-Headers", "Content-Type, "+IdempotencyHeader+", "+RequestIDHeader)
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// raw puts around a handler what every operation has: call, recover, log and metrics.
func (b *bound) raw(name string, next http.Handler) http.Handler {
	m := b.meters.of(name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := &licensing.Call{Operation: name, RequestID: r.Header.Get(RequestIDHeader), Actor: licensing.Actor{Kind: licensing.Anonymous}}
		if actor := licensing.ActorFrom(r.Context()); actor.Kind != "" {
			call.Actor = actor
		}
		ctx := b.withOrigin(r.Context(), &Spec{}, r)
		ctx = licensing.WithCall(ctx, call)
		rec := &recorder{ResponseWriter: w}
		start := time.Now()
		var failure error
		m.begin()
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				failure = panicked(p)
				if rec.status == 0 {
					writeProblem(rec, call.RequestID, Public(failure), "")
				}
			}
			status := rec.status
			switch {
			case failure != nil:
				status = http.StatusInternalServerError
			case status == 0:
				status = http.StatusOK
			}
			took := time.Since(start)
			m.end(status, took)
			b.line(ctx, name, status, took, call, cmp.Or(failure, rec.failure))
			if p == http.ErrAbortHandler || p != nil && rec.status != http.StatusInternalServerError {
				panic(http.ErrAbortHandler) // the answer had begun: cut the connection rather than end it as if it were whole
			}
		}()
		next.ServeHTTP(rec, r.WithContext(ctx))
	})
}

// recorder notes the status that a raw handler wrote, and why, if [WriteError] wrote it. http.ResponseController reaches the writer
// beneath by Unwrap.
type recorder struct {
	http.ResponseWriter
	status  int
	failure error
}

// noteFailure tells the recorder around w, if there is one, why its handler failed.
func noteFailure(w http.ResponseWriter, err error) {
	for {
		switch inner := w.(type) {
		case *recorder:
			inner.failure = err
			return
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return
		}
	}
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		answering(w.ResponseWriter)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
		answering(w.ResponseWriter)
	}
	return w.ResponseWriter.Write(p)
}

// answerTime is how long a caller may take to receive an answer, counted from its first byte; whoever reads slower is let go. A raw
// handler that sends more than fits into it moves the deadline, after its status, with http.ResponseController.
const answerTime = 9 * time.Second

// answering starts the time in which an answer must leave.
func answering(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime)) // a writer without deadlines is a test's
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
