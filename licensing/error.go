package licensing

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the class of a failure. Transports map it once: kit maps it to an HTTP status.
type Kind uint8

// The kinds of failure and the HTTP status each becomes.
const (
	Internal      Kind = iota // 500: ours; its text is never shown
	Invalid                   // 400: the request cannot be understood or breaks a rule of form
	Unauthorized              // 401: no credential, or not a good one
	Forbidden                 // 403: a good credential that may not do this
	NotFound                  // 404: no such object for this caller
	Conflict                  // 409: the state of the object does not allow it
	Gone                      // 410: it existed and is over
	TooLarge                  // 413
	Unsupported               // 415
	Unprocessable             // 422: the idempotency key was used for another body
	TooMany                   // 429: a limit; RetryAfter says when
	Unavailable               // 503: switched off or a dependency is away; RetryAfter says when if known
	Timeout                   // 408
)

// Field is one thing wrong with a request, by JSON pointer or parameter name.
type Field struct {
	Name   string `json:"name" doc:"JSON pointer or parameter name."`
	Detail string `json:"detail" doc:"What is wrong and what would be right."`
}

// Error is a failure that may be told to a caller. Code is stable and machine readable ("price-archived"); Text is a
// sentence for people that says what to do. The wrapped error is for the log alone.
type Error struct {
	Kind       Kind
	Code       string
	Text       string
	Fields     []Field
	RetryAfter time.Duration
	Err        error
}

// Fail makes an [Error]; the text is formatted with args.
func Fail(kind Kind, code, text string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Text: fmt.Sprintf(text, args...)}
}

// Error returns the code, the public text and the internal cause.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Text
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the internal cause.
func (e *Error) Unwrap() error { return e.Err }

// Because returns a copy of e that wraps cause, which is logged and never shown.
func (e *Error) Because(cause error) *Error { c := *e; c.Err = cause; return &c }

// maxFields is how many fields an Error names; whoever breaks more rules learns of those first, at a bounded cost.
const maxFields = 50

// With returns a copy of e that also names a field, up to fifty.
func (e *Error) With(name, detail string, args ...any) *Error {
	if len(e.Fields) >= maxFields {
		return e
	}
	c := *e
	c.Fields = append(append([]Field(nil), e.Fields...), Field{Name: name, Detail: fmt.Sprintf(detail, args...)})
	return &c
}

// After returns a copy of e that says when to try again.
func (e *Error) After(d time.Duration) *Error { c := *e; c.RetryAfter = d; return &c }

// Is makes errors.Is compare kind and code, so that a package-level *Error works as a sentinel.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Code == e.Code
}

// KindOf is the kind of err, [Internal] when it has none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// ErrNotFound is the one answer for an object that does not exist and for one that is somebody else's.
var ErrNotFound = Fail(NotFound, "not-found", "There is no such object, or it is not yours.")

// ErrIdempotent is returned by a Transactor when the operation's Idempotency-Key already has a committed result; the
// operation layer then answers with that result. Services pass it on.
var ErrIdempotent = errors.New("licensing: idempotency key already has a result")

// maxReason is the longest reason in bytes.
const maxReason = 500

// CheckReason refuses a reason for the audit trail that is longer than 500 bytes. An empty one is good: an operation that needs one says
// so itself.
func CheckReason(reason string) error {
	if len(reason) > maxReason {
		return Fail(Invalid, "reason", "Say why, in at most 500 bytes.").With("/reason", "must have at most 500 bytes")
	}
	return nil
}
