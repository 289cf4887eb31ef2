package kit

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-kit/kit/endpoint"
	kithttp "github.com/go-kit/kit/transport/http"

	"github.com/mintreu/mintreu/licensing"
)

// RequestIDHeader carries the request's id both ways.
const RequestIDHeader = "X-Request-Id"

// reply is what the innermost endpoint returns. Over HTTP it holds the encoded body, so that encoding too happens inside
// recover, log and metrics.
type reply struct {
	value    any
	body     []byte
	media    []string // the body's type when it is not JSON
	replayed bool
}

// tabler is a response that has a second form: a table, whose first row names the columns. A caller who accepts text/csv and no JSON
// gets that.
type tabler interface{ CSV() [][]string }

var csvType = []string{"text/csv; charset=utf-8"}

// prefersCSV reports whether a request accepts a table and not JSON.
func prefersCSV(r *http.Request) bool {
	table := false
	for _, accept := range r.Header["Accept"] {
		for part := range strings.SplitSeq(accept, ",") {
			switch media, _, _ := mime.ParseMediaType(part); media {
			case "text/csv":
				table = true
			case "application/json", "application/*", "*/*":
				return false
			}
		}
	}
	return table
}

func newReply(in *inbound, spec *Spec, value any, replayed bool) (*reply, error) {
	out := &reply{value: value, replayed: replayed}
	if in.r == nil || spec.Status == http.StatusNoContent {
		return out, nil
	}
	var err error
	if table, ok := value.(tabler); ok && prefersCSV(in.r) {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		for _, row := range table.CSV() {
			_ = w.Write(licensing.Inert(row)) // w keeps the first error
		}
		w.Flush()
		out.media, out.body = csvType, b.Bytes()
		return out, w.Error()
	}
	out.body, err = json.Marshal(value, options, jsontext.AllowInvalidUTF8(true))
	return out, err
}

// handler serves an operation's endpoint over HTTP.
func (b *bound) handler(spec *Spec, run endpoint.Endpoint) http.Handler {
	challenge := spec.Access.challenge()
	cache := noStore
	if spec.Cache != "" {
		cache = []string{spec.Cache}
	}
	server := kithttp.NewServer(run,
		func(_ context.Context, r *http.Request) (any, error) {
			return &inbound{r: r, id: r.Header.Get(RequestIDHeader)}, nil
		},
		func(_ context.Context, w http.ResponseWriter, response any) error {
			out, h := response.(*reply), w.Header()
			h["Cache-Control"] = cache
			addHeaders(h, out.value)
			if out.replayed {
				h.Set("Idempotency-Replayed", "true")
			}
			if spec.Status == http.StatusNoContent {
				w.WriteHeader(spec.Status)
				return nil
			}
			h["Content-Type"] = jsonType
			if out.media != nil {
				h["Content-Type"] = out.media
			}
			h.Set("Content-Length", strconv.Itoa(len(out.body)))
			answering(w)
			w.WriteHeader(spec.Status)
			_, _ = w.Write(out.body) // a caller who has gone is nobody to tell
			return nil
		},
		kithttp.ServerErrorEncoder(func(_ context.Context, err error, w http.ResponseWriter) {
			e := Public(err)
			if e.Kind == licensing.Timeout {
				w.Header().Set("Connection", "close")
			}
			var headed headerer
			if errors.As(err, &headed) {
				addHeaders(w.Header(), headed)
			}
			writeProblem(w, w.Header().Get(RequestIDHeader), e, challenge)
		}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hasBody(r) {
			r.Body = http.MaxBytesReader(w, r.Body, spec.Body)
		}
		server.ServeHTTP(w, r)
	})
}

// headerer is a response or an error with header fields of its own, beyond what its body says.
type headerer interface{ Headers() http.Header }

func addHeaders(h http.Header, v any) {
	if headed, ok := v.(headerer); ok {
		for name, values := range headed.Headers() {
			h[http.CanonicalHeaderKey(name)] = values
		}
	}
}

func hasBody(r *http.Request) bool {
	return r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody
}

// timedBody lifts the deadline of its connection once the body has arrived, so that a long answer is not cut off by it.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

// bounded starts the time in which the body of r, if it has one, must arrive. It holds for bodies that nobody reads as well, since
// the server reads on to the end of a request before it takes the next.
func (b *bound) bounded(w http.ResponseWriter, r *http.Request) {
	if !hasBody(r) {
		return
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(b.stack.BodyTime)) == nil { // a writer without deadlines is a test's
		r.Body = &timedBody{ReadCloser: r.Body, control: control}
	}
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// read fills v, the addressable request, from r: path, query and body, strictly.
func (p *plan) read(v reflect.Value, spec *Spec, r *http.Request) error {
	if err := p.fill(v, r); err != nil {
		return err
	}
	enveloped := spec.Envelope.marks(r.Header, spec.Wraps)
	if !hasBody(r) {
		if enveloped {
			return p.open(v, spec, r.Header, nil)
		}
		for _, m := range p.body.members {
			if !m.optional {
				return licensing.Fail(licensing.Invalid, "body-missing", "This operation needs a JSON object as its body.").With("/"+m.name, "is missing")
			}
		}
		return nil
	}
	wrap, err := checkType(r.Header, spec.Wraps)
	if err != nil {
		return err
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(r.Body); err != nil {
		return bodyFailure(err, spec.Body)
	}
	body := buf.Bytes()
	if (enveloped || wrap != (Wrap{})) && !jsontext.Value(body).IsValid() {
		return malformed("The body is not one value of strict JSON (RFC 8259, UTF-8).")
	}
	if enveloped {
		return p.open(v, spec, r.Header, body)
	}
	if wrap != (Wrap{}) {
		body = slices.Concat([]byte(wrap.Open), body, []byte(wrap.Close))
	}
	return decodeBody(body, p.body, v.Addr().Interface())
}

// open fills v from headers and the body beside them.
func (p *plan) open(v reflect.Value, spec *Spec, h http.Header, data []byte) error {
	body, err := spec.Envelope.open(h, data)
	if err != nil {
		return err
	}
	return decodeBody(body, p.body, v.Addr().Interface())
}

// checkType refuses every body that is not declared to be plain, uncompressed UTF-8 JSON, in one way, and returns the wrap of a media
// type that has one.
func checkType(h http.Header, wraps map[string]Wrap) (Wrap, error) {
	fail := licensing.Fail(licensing.Unsupported, "unsupported-media-type", "The body must be JSON.")
	if e := h["Content-Encoding"]; len(e) > 0 && !(len(e) == 1 && strings.EqualFold(e[0], "identity")) {
		return Wrap{}, fail.With("Content-Encoding", "must be absent; send the body uncompressed")
	}
	types := h["Content-Type"]
	if len(types) == 1 {
		media, params, err := mime.ParseMediaType(types[0])
		charset, has := params["charset"]
		wrap, wrapped := wraps[media]
		if err == nil && (media == "application/json" || wrapped) && (len(params) == 0 || len(params) == 1 && has && strings.EqualFold(charset, "utf-8")) {
			return wrap, nil
		}
	}
	return Wrap{}, fail.With("Content-Type", "must be given once and be application/json (charset utf-8)")
}

func bodyFailure(err error, limit int64) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return licensing.Fail(licensing.TooLarge, "body-too-large", "The body is larger than the %d bytes this operation takes.", limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return licensing.Fail(licensing.Timeout, "body-too-slow", "The body did not arrive in time.").Because(err)
	}
	return licensing.Fail(licensing.Invalid, "body-incomplete", "The body ended before it was complete.").Because(err)
}
