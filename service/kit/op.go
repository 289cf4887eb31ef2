// Package kit makes operations. An operation is a value, [Op]: a Service's method together with its whole middleware chain
//
//	recover · request id · log · metrics · actor · role · limit · kill switch · decode · idempotency
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
	"reflect"
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
}

// Route is an operation of whatever types, as the mux and the generators see it. Only [New] makes one: its methods are
// unexported, so a handler that skips the chain cannot pass for a Route.
type Route interface {
	// Spec returns what the operation is.
	Spec() Spec
	types() (req, resp reflect.Type)
	replayable() bool
}

// New makes an operation of a Service's method. Mistakes in the Spec or in the types' tags are reported by [Mux], which
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
