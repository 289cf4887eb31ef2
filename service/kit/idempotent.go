package kit

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"reflect"

	"github.com/go-json-experiment/json"

	"github.com/mintreu/mintreu/licensing"
)

// IdempotencyHeader is the request header that makes a POST safe to send again.
const IdempotencyHeader = "Idempotency-Key"

var (
	errKeyForm    = licensing.Fail(licensing.Invalid, "invalid-request", "The Idempotency-Key is not usable.").With(IdempotencyHeader, "must be 1 to 255 visible ASCII characters, 16 or more without a credential; a random UUID is best")
	errKeyMissing = licensing.Fail(licensing.Invalid, "idempotency-key-required", "This operation needs an Idempotency-Key header.").With(IdempotencyHeader, "is missing; send a random UUID and keep it for retries")
	errKeyReused  = licensing.Fail(licensing.Unprocessable, "idempotency-key-reused", "This Idempotency-Key was used for a different request. Use a new one.")
	errKeyBusy    = licensing.Fail(licensing.Conflict, "idempotency-key-busy", "A request with this Idempotency-Key is still under way. Try again.").After(1e9)
)

type keyKey struct{}

// WithIdempotencyKey gives the key to an operation called in process, as the header does over HTTP.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyKey{}, key)
}

// idempotencyKey reads and checks the key; "" when there is none.
func idempotencyKey(ctx context.Context, r *http.Request, spec *Spec, actor licensing.Actor) (string, error) {
	key, _ := ctx.Value(keyKey{}).(string)
	if r != nil {
		values := r.Header[IdempotencyHeader]
		if len(values) > 1 {
			return "", errKeyForm
		}
		if len(values) == 1 {
			if key = values[0]; key == "" {
				return "", errKeyForm
			}
		}
	}
	if key == "" {
		if spec.KeyRequired {
			return "", errKeyMissing
		}
		return "", nil
	}
	if len(key) > 255 || actor.Kind == licensing.Anonymous && len(key) < 16 {
		return "", errKeyForm
	}
	for i := 0; i < len(key); i++ {
		if key[i] <= ' ' || key[i] > '~' {
			return "", errKeyForm
		}
	}
	return key, nil
}

// requestHash is SHA-256 of the operation's name and the canonical request: every parameter and the whole body as decoded,
// so that spelling (spaces, order of members) does not matter and values do.
func requestHash(operation string, p *plan, req reflect.Value) ([]byte, error) {
	h := sha256.New()
	h.Write([]byte(operation + "\x00"))
	for _, params := range [][]param{p.path, p.query} {
		for _, q := range params {
			value, err := json.Marshal(req.FieldByIndex(q.index).Interface(), options)
			if err != nil {
				return nil, err
			}
			h.Write([]byte(q.name + "="))
			h.Write(append(value, 0))
		}
	}
	body, err := json.Marshal(req.Interface(), options)
	if err != nil {
		return nil, err
	}
	h.Write(body)
	return h.Sum(nil), nil
}

// replayed reads what the call's key led to before. found is false when it led to nothing yet.
func (c *core[Req, Resp]) replayed(ctx context.Context, call *licensing.Call) (resp Resp, found bool, err error) {
	hash, id, secret, found, err := c.bound.stack.Replays.Find(ctx, call.Actor.String(), call.Operation, call.IdempotencyKey)
	if err != nil || !found {
		return resp, false, err
	}
	if subtle.ConstantTimeCompare(hash, call.RequestHash) != 1 {
		return resp, true, errKeyReused
	}
	reading := *call
	reading.Mutating, reading.IdempotencyKey, reading.RequestHash = false, "", nil
	resp, err = c.again(licensing.WithCall(ctx, &reading), id, secret)
	return resp, true, err
}
