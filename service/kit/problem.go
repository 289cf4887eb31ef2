package kit

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// Problem is the body of every failure: RFC 9457 problem details, application/problem+json.
type Problem struct {
	Type       string            `json:"type" doc:"URN of the kind of problem: urn:mintreu:problem: and the code." example:"urn:mintreu:problem:not-found"`
	Title      string            `json:"title" doc:"The HTTP status in words." example:"Not Found"`
	Status     int               `json:"status" doc:"The HTTP status." example:"404"`
	Detail     string            `json:"detail" doc:"What went wrong and what to do, for people."`
	Code       string            `json:"code" doc:"Stable, machine-readable code of the problem." example:"not-found"`
	RequestID  string            `json:"request_id" doc:"Id of the request; quote it to support."`
	Errors     []licensing.Field `json:"errors,omitempty" doc:"Each thing wrong with the request."`
	RetryAfter int64             `json:"retry_after,omitempty" doc:"Seconds after which to try again."`
}

// statuses is the one place where a kind of failure becomes an HTTP status.
var statuses = map[licensing.Kind]int{
	licensing.Internal: 500, licensing.Invalid: 400, licensing.Unauthorized: 401, licensing.Forbidden: 403, licensing.NotFound: 404,
	licensing.Conflict: 409, licensing.Gone: 410, licensing.TooLarge: 413, licensing.Unsupported: 415, licensing.Unprocessable: 422,
	licensing.TooMany: 429, licensing.Unavailable: 503, licensing.Timeout: 408,
	methodKind: 405,
}

// Failures that kit itself answers with.
var (
	errInternal     = licensing.Fail(licensing.Internal, "internal", "Something went wrong on our side. Nothing was changed; quote the request id to support.")
	errUnauthorized = licensing.Fail(licensing.Unauthorized, "unauthorized", "This needs a valid credential in the Authorization header.")
	errForbidden    = licensing.Fail(licensing.Forbidden, "forbidden", "Your credential does not permit this.")
	errReadOnly     = licensing.Fail(licensing.Forbidden, "read-only-session", "This session only looks at the account: it changes nothing and shows no secret.")
	errTOTP         = licensing.Fail(licensing.Forbidden, "totp-required", "Turn one-time codes on for your account first; this shop asks them of its staff.")
	errNarrowed     = licensing.Fail(licensing.Forbidden, "token-narrowed", "This tells of the whole shop. It takes a machine token that is narrowed to no product and no environment.")
	errMember       = licensing.Fail(licensing.Forbidden, "members-only-read", "You act for an organisation as a member, who may look, download and ask for help. Ask one of its admins to do this, or act for yourself.")
	errFresh        = licensing.Fail(licensing.Forbidden, "sign-in-again", "Sign in again to do this; the last sign-in is too long ago.")
	errBusy         = licensing.Fail(licensing.TooMany, "busy", "The service is at its limit. Try again in a moment.").After(time.Second)
	errAway         = licensing.Fail(licensing.Unavailable, "database-unavailable", "The service cannot reach its data at the moment. Try again.").After(5 * time.Second)
	errCancelled    = licensing.Fail(licensing.Timeout, "request-cancelled", "The request ended before its answer was ready.")
	errDeadline     = licensing.Fail(licensing.Unavailable, "timeout", "The answer took too long. Try again.").After(5 * time.Second)
	errNoRoute      = licensing.Fail(licensing.NotFound, "no-such-path", "There is nothing at this address. See /openapi.json for what there is.")
)

// Public returns what may be told of err: its *licensing.Error, or a general one that wraps it. Nil stays nil.
func Public(err error) *licensing.Error {
	if err == nil {
		return nil
	}
	var told *licensing.Error
	switch {
	case errors.As(err, &told) && told.Kind != licensing.Internal:
		return told
	case errors.Is(err, db.ErrUnavailable):
		return errAway.Because(err)
	case errors.Is(err, context.Canceled):
		return errCancelled.Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return errDeadline.Because(err)
	}
	return errInternal.Because(err)
}

// Status is the HTTP status that err becomes; 200 for nil.
func Status(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return statuses[Public(err).Kind]
}

// WriteError answers with err as problem details. It is for raw handlers; operations do so by themselves.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	noteFailure(w, err)
	writeProblem(w, requestID(r.Context()), Public(err), "")
}

// NoRoute answers an address at which there is nothing, to programs; pages have their own answer for people.
func NoRoute(w http.ResponseWriter, r *http.Request) { WriteError(w, r, errNoRoute) }

// writeProblem writes e; challenge is the WWW-Authenticate of a 401, "" for the general one.
func writeProblem(w http.ResponseWriter, id string, e *licensing.Error, challenge string) {
	status := statuses[e.Kind]
	p := Problem{
		Type: "urn:mintreu:problem:" + e.Code, Title: http.StatusText(status), Status: status, Detail: e.Text, Code: e.Code, RequestID: id, Errors: e.Fields,
	}
	h := w.Header()
	if e.RetryAfter > 0 {
		p.RetryAfter = int64(math.Ceil(e.RetryAfter.Seconds()))
		h.Set("Retry-After", strconv.FormatInt(p.RetryAfter, 10))
	}
	if status == http.StatusUnauthorized {
		if challenge == "" {
			challenge = `Bearer realm="mintreu"`
		}
		h.Set("WWW-Authenticate", challenge)
	}
	body, err := json.Marshal(p, options)
	if err != nil { // a text that is not UTF-8 reached an Error
		p.Detail, p.Errors = http.StatusText(status), nil
		body, _ = json.Marshal(p, options)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h["Cache-Control"] = noStore
	answering(w)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
