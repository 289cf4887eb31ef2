package kit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/go-kit/kit/endpoint"
	"github.com/go-kit/kit/ratelimit"
	"golang.org/x/time/rate"

	"github.com/mintreu/mintreu/licensing"
)

// bound is a Stack made ready: what all operations of one mux share. It is safe for concurrent use.
type bound struct {
	stack   Stack
	shapes  shapes
	limiter *rate.Limiter
	meters  *meters
	origins map[string]bool
}

// inbound is a request on its way through the chain. It is decoded at the innermost place, so that nobody's body is parsed
// before his role is known.
type inbound struct {
	r    *http.Request // nil in process
	req  any           // the request in process
	id   string
	call *licensing.Call
}

// origin is where an HTTP request comes from: an address, and what the client calls itself.
type origin struct {
	address netip.Addr
	agent   string
	stray   bool // forward authentication was asked for by somebody who is no forwarder
}

type originKey struct{}

// withOrigin remembers where r comes from.
func (b *bound) withOrigin(ctx context.Context, spec *Spec, r *http.Request) context.Context {
	ip, forwarded := clientIP(r, b.stack.TrustedProxies), true
	if spec.Forward {
		ip, forwarded = asked(r, b.stack.TrustedProxies, b.stack.Forwarders)
	}
	return context.WithValue(ctx, originKey{}, origin{ip, r.UserAgent(), !forwarded})
}

// ClientIP is the address of the caller of the HTTP request under way, for those who count by address: the peer's, or what a
// trusted proxy says. It is the zero Addr in process.
func ClientIP(ctx context.Context) netip.Addr {
	o, _ := ctx.Value(originKey{}).(origin)
	return o.address
}

// UserAgent is the User-Agent of the HTTP request under way: whatever the client wrote, of any length. It is "" in process.
func UserAgent(ctx context.Context) string {
	o, _ := ctx.Value(originKey{}).(origin)
	return o.agent
}

// chain is what stands around every operation, outermost first.
func (b *bound) chain(spec *Spec, secret bool) endpoint.Middleware {
	return endpoint.Chain(
		b.identified(spec),
		b.observed(spec),
		recovered,
		b.authenticated,
		permitted(spec, secret),
		ratelimit.NewErroringLimiter(b.limiter),
		b.switched(spec),
	)
}

// identified gives the request its id and puts the call into the context.
func (b *bound) identified(spec *Spec) endpoint.Middleware {
	mutates := spec.Mutates()
	return func(next endpoint.Endpoint) endpoint.Endpoint {
		return func(ctx context.Context, request any) (any, error) {
			in := request.(*inbound)
			outer := licensing.CallFrom(ctx)
			if in.id == "" {
				if in.id = outer.RequestID; in.id == "" {
					in.id = b.stack.IDs.New("req")
				}
			}
			in.call = &licensing.Call{Operation: spec.Name, RequestID: in.id, Mutating: mutates, Actor: outer.Actor}
			if in.r != nil {
				ctx = b.withOrigin(ctx, spec, in.r)
			}
			return next(licensing.WithCall(ctx, in.call), in)
		}
	}
}

// observed writes the one access line and counts. Neither ever holds a credential, a path or a query: the operation's name
// stands for them.
func (b *bound) observed(spec *Spec) endpoint.Middleware {
	m := b.meters.of(spec.Name)
	return func(next endpoint.Endpoint) endpoint.Endpoint {
		return func(ctx context.Context, request any) (any, error) {
			in := request.(*inbound)
			start := time.Now()
			m.begin()
			out, err := next(ctx, in)
			status := spec.Status
			if err != nil {
				status = Status(limited(err))
			}
			took := time.Since(start)
			m.end(status, took)
			b.line(ctx, spec.Name, status, took, in.call, err)
			return out, limited(err)
		}
	}
}

// line writes one access line.
func (b *bound) line(ctx context.Context, name string, status int, took time.Duration, call *licensing.Call, err error) {
	level := slog.LevelInfo
	if status >= 500 && (err == nil || Public(limited(err)).Code != "switched-off") { // a switch that somebody pressed is no failure
		level = slog.LevelError
	}
	if !b.stack.Logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs, slog.String("operation", name), slog.Int("status", status), slog.Duration("took", took),
		slog.String("actor", call.Actor.String()), slog.String("request_id", call.RequestID))
	if ip := ClientIP(ctx); ip.IsValid() {
		attrs = append(attrs, slog.String("ip", ip.String()))
	}
	if err != nil {
		attrs = append(attrs, slog.String("code", Public(limited(err)).Code), slog.String("error", err.Error()))
	}
	b.stack.Logger.LogAttrs(ctx, level, "request", attrs...)
}

// limited words the limiter's refusal.
func limited(err error) error {
	if errors.Is(err, ratelimit.ErrLimited) {
		return errBusy
	}
	return err
}

// recovered turns a panic into an internal error. It stands inside log and metrics, so that they see it. A transaction under way
// was rolled back while the panic passed through InTx.
func recovered(next endpoint.Endpoint) endpoint.Endpoint {
	return func(ctx context.Context, request any) (out any, err error) {
		defer func() {
			if p := recover(); p != nil {
				out, err = nil, panicked(p)
			}
		}()
		return next(ctx, request)
	}
}

func panicked(p any) error {
	return errInternal.Because(fmt.Errorf("panic: %.500v\n%s", p, debug.Stack()))
}

// authenticated finds out who calls.
func (b *bound) authenticated(next endpoint.Endpoint) endpoint.Endpoint {
	return func(ctx context.Context, request any) (any, error) {
		in := request.(*inbound)
		if in.r == nil {
			if in.call.Actor.Kind == "" {
				in.call.Actor = licensing.Actor{Kind: licensing.Anonymous}
			}
			return next(ctx, in)
		}
		actor, err := b.authenticate(ctx, in.r)
		if err != nil {
			return nil, err
		}
		in.call.Actor = actor
		return next(ctx, in)
	}
}

// permitted lets in whom the Spec allows. Sessions that only look reach nothing that changes something or shows a secret.
func permitted(spec *Spec, secret bool) endpoint.Middleware {
	return func(next endpoint.Endpoint) endpoint.Endpoint {
		return func(ctx context.Context, request any) (any, error) {
			switch actor := request.(*inbound).call.Actor; {
			case !spec.Access.Permits(actor) && actor.Kind == licensing.Anonymous:
				return nil, errUnauthorized
			case !spec.Access.Permits(actor) && spec.Access.narrowed(actor) && carries(actor, spec.Access.Machine):
				return nil, errNarrowed
			case !spec.Access.Permits(actor):
				return nil, errForbidden
			case actor.ReadOnly && !spec.ReadOnlyToo && (spec.Mutates() || secret):
				return nil, errReadOnly
			case actor.Unenrolled && !spec.Unenrolled && !spec.Access.Anonymous:
				return nil, errTOTP
			case spec.shuts(actor):
				return nil, errMember
			case spec.Fresh && !actor.Fresh && (actor.Kind == licensing.Customer || actor.Kind == licensing.Staff):
				return nil, errFresh
			}
			return next(ctx, request)
		}
	}
}

// switched asks the operation's kill switch.
func (b *bound) switched(spec *Spec) endpoint.Middleware {
	return func(next endpoint.Endpoint) endpoint.Endpoint {
		if spec.Switch == "" {
			return next
		}
		return func(ctx context.Context, request any) (any, error) {
			if err := b.stack.Switches.Check(ctx, spec.Switch, ""); err != nil {
				return nil, err
			}
			return next(ctx, request)
		}
	}
}
