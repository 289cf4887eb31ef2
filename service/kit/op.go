// Package kit makes operations. An operation is a value, [Op]: a Service's method together with its whole middleware chain
//
//	request id · log and metrics · recover · actor · role · limit · kill switch · decode · idempotency
//
// so that nothing which reaches the method can have skipped one of them. [New] makes an operation of a method value and a
// [Spec] in one expression; [Mux] binds operations to a [Stack] and serves them as the JSON API; [Op.Call] runs a bound
// operation in process, for pages and the command line, through the same chain. The same table of operations yields the role
// matrix ([Matrix]) and the OpenAPI document ([Document]).
//
// kit is built on go-kit's endpoint, ratelimit and transport/http, and shows none of their types.
package kit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/go-kit/kit/endpoint"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/failpoint"
)

// Op is an operation with the request type Req and the response type Resp. It is a small value; copies are the same operation.
type Op[Req, Resp any] struct {
	core *core[Req, Resp]
}

// core is the state that copies of an Op share.
type core[Req, Resp any] struct {
	spec  Spec
	fn    func(context.Context, Req) (Resp, error)
	again func(ctx context.Context, resultID, secret string) (Resp, error)

	// Set by bind.
	bound *bound
	plan  *plan
	next  []int // where Resp keeps the cursor of the next page; nil when it is no list
	run   endpoint.Endpoint
}

// Route is an operation of whatever types, as the mux and the generators see it. Only [New] makes one: its methods are
// unexported, so a handler that skips the chain cannot pass for a Route.
type Route interface {
	// Spec returns what the operation is.
	Spec() Spec
	types() (req, resp reflect.Type)
	replayable() bool
	bind(b *bound) (http.Handler, error)
}

// New makes an operation of a Service's method. A Resp, and an error, may have header fields of its own by a method
// Headers() http.Header; a Req may check itself by a method Validate() error, which returns a *licensing.Error. Mistakes in the Spec or in the types' tags are reported by [Mux], which
// names the operation.
func New[Req, Resp any](spec Spec, fn func(ctx context.Context, req Req) (Resp, error)) Op[Req, Resp] {
	if spec.Status == 0 {
		spec.Status = 200
		if t := reflect.TypeFor[Resp](); t.Kind() == reflect.Struct && t.NumField() == 0 {
			spec.Status = 204
		}
	}
	if spec.Body == 0 {
		spec.Body = DefaultBody
	}
	return Op[Req, Resp]{&core[Req, Resp]{spec: spec, fn: fn}}
}

// Again says how a replay of the operation's Idempotency-Key is answered: by reading the result anew. resultID is the target of
// the operation's first audit event; secret is what was shown once, "" when it is kept no longer. Every POST that writes
// needs it.
func (o Op[Req, Resp]) Again(read func(ctx context.Context, resultID, secret string) (Resp, error)) Op[Req, Resp] {
	c := *o.core
	c.again = read
	return Op[Req, Resp]{&c}
}

// Spec implements [Route].
func (o Op[Req, Resp]) Spec() Spec { return o.core.spec }

func (o Op[Req, Resp]) types() (req, resp reflect.Type) {
	return reflect.TypeFor[Req](), reflect.TypeFor[Resp]()
}

func (o Op[Req, Resp]) replayable() bool { return o.core.again != nil }

// bind fastens the operation to what it runs on, once, and returns its HTTP handler.
func (o Op[Req, Resp]) bind(b *bound) (http.Handler, error) {
	c := o.core
	if c.bound != nil {
		return nil, errors.New("is bound already; make a new one")
	}
	req, resp := o.types()
	p, err := newPlan(&b.shapes, req, c.spec.Path)
	if err != nil {
		return nil, err
	}
	shown, err := b.shapes.of(resp)
	if err != nil {
		return nil, fmt.Errorf("the response: %w", err)
	}
	c.plan, c.next, c.bound = p, nextIndex(resp), b
	c.run = b.chain(&c.spec, c.spec.Secret || shown.secret(map[*shape]bool{}))(c.handle)
	return b.handler(&c.spec, c.run), nil
}

// Call runs the operation in process, through its whole chain but the transport. The actor is the one in ctx (see
// [licensing.WithCall]), the anonymous one if there is none. Errors are fit to be shown after [Public].
func (o Op[Req, Resp]) Call(ctx context.Context, req Req) (Resp, error) {
	var none Resp
	if o.core == nil || o.core.run == nil {
		return none, errors.New("kit: the operation is not bound to a stack")
	}
	out, err := o.core.run(ctx, &inbound{req: req})
	if err != nil {
		return none, err
	}
	return out.(*reply).value.(Resp), nil
}

// handle is the innermost endpoint: decode, page, validate, replay, and the Service's method.
func (c *core[Req, Resp]) handle(ctx context.Context, request any) (any, error) {
	in := request.(*inbound)
	var req Req
	v := reflect.ValueOf(&req).Elem()
	if in.r == nil {
		req = in.req.(Req)
	} else if err := c.plan.read(v, &c.spec, in.r); err != nil {
		return nil, err
	}
	if c.plan.page != nil {
		page := v.FieldByIndex(c.plan.page).Addr().Interface().(*licensing.Page)
		if err := c.bound.openPage(in.call, c.spec.Access.Anonymous, page); err != nil {
			return nil, err
		}
	}
	if checks, ok := any(&req).(interface{ Validate() error }); ok {
		if err := checks.Validate(); err != nil {
			return nil, err
		}
	}
	failpoint.Hit("request-read")
	resp, replayed, err := c.once(ctx, in, req)
	if err != nil {
		return nil, err
	}
	failpoint.Hit("answer-made")
	if c.next != nil {
		c.bound.sealNext(in.call, c.spec.Access.Anonymous, reflect.ValueOf(&resp).Elem().FieldByIndex(c.next))
	}
	return newReply(in, &c.spec, resp, replayed)
}

// once calls the Service's method, unless the caller's Idempotency-Key led to a result before.
func (c *core[Req, Resp]) once(ctx context.Context, in *inbound, req Req) (resp Resp, replayed bool, err error) {
	if !c.spec.Idempotent() {
		resp, err = c.fn(ctx, req)
		return resp, false, err
	}
	key, err := idempotencyKey(ctx, in.r, &c.spec, in.call.Actor)
	if err != nil {
		return resp, false, err
	}
	if key == "" {
		resp, err = c.fn(ctx, req)
		return resp, false, err
	}
	hash, err := requestHash(c.spec.Name, c.plan, reflect.ValueOf(req))
	if err != nil {
		return resp, false, err
	}
	in.call.IdempotencyKey, in.call.RequestHash = key, hash
	if resp, found, err := c.replayed(ctx, in.call); found || err != nil {
		return resp, true, err
	}
	resp, err = c.fn(ctx, req)
	if !errors.Is(err, licensing.ErrIdempotent) {
		return resp, false, err
	}
	// Another request with this key committed first: what this one did is undone, and that one's result is the answer.
	resp, found, err := c.replayed(ctx, in.call)
	if err == nil && !found {
		err = errKeyBusy
	}
	return resp, true, err
}

// Find returns the operation with the given name and types among routes, for callers in process.
func Find[Req, Resp any](routes []Route, name string) (Op[Req, Resp], error) {
	for _, r := range routes {
		if r.Spec().Name != name {
			continue
		}
		if op, ok := r.(Op[Req, Resp]); ok {
			return op, nil
		}
		return Op[Req, Resp]{}, errors.New("kit: operation " + name + " has other types")
	}
	return Op[Req, Resp]{}, errors.New("kit: no operation " + name)
}

// fill makes o the operation that route is, and reports false when route has other types.
func (o *Op[Req, Resp]) fill(route Route) bool {
	op, ok := route.(Op[Req, Resp])
	if ok {
		*o = op
	}
	return ok
}

// Fill sets each field of the struct that ops points to, which are all of type [Op], to the operation among routes that the field's tag
// `op:"noun.verb"` names. It is how pages and other callers in process say which operations they use.
func Fill(routes []Route, ops any) error {
	named := make(map[string]Route, len(routes))
	for _, r := range routes {
		named[r.Spec().Name] = r
	}
	v := reflect.ValueOf(ops).Elem()
	var errs []error
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("op")
		field, ok := v.Field(i).Addr().Interface().(interface{ fill(Route) bool })
		switch route := named[name]; {
		case !ok:
			errs = append(errs, fmt.Errorf("kit: field %s is no operation", v.Type().Field(i).Name))
		case route == nil:
			errs = append(errs, fmt.Errorf("kit: no operation %q", name))
		case !field.fill(route):
			errs = append(errs, fmt.Errorf("kit: operation %s has other types", name))
		}
	}
	return errors.Join(errs...)
}
