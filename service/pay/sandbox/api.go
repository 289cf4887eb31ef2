package sandbox

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// keyLife is how long an Idempotency-Key is remembered.
const keyLife = 24 * time.Hour

// request is one API call as a handler sees it.
type request struct {
	*unit
	http *http.Request
	*params
}

func (r *request) id() string { return r.http.PathValue("id") }

// handler answers one API call with a value to be shown as JSON. It may run twice, see [Server.update].
type handler func(*request) (any, error)

// reply is a finished answer; the store keeps it under its Idempotency-Key.
type reply struct {
	Key         string
	Fingerprint string
	Status      int
	Body        []byte
	Created     time.Time
	again       bool // is shown a second time
}

// breakDown fails as Stripe does when it breaks in the middle of a call. Whoever repeats the call under the same Idempotency-Key gets
// this very answer for as long as the key is remembered.
func breakDown(*request) (any, error) {
	return nil, &apiError{status: 500, Type: "api_error", Message: "An unknown error occurred."}
}

func (p *reply) record() Record { return Record{Kind: "idempotency", ID: p.Key, At: p.Created} }

// api wraps a handler: credentials, faults, parameters, idempotency, one unit of work, Stripe's error shape.
func (s *Server) api(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault, hit := s.faults.take(r)
		if strings.HasPrefix(r.URL.Path, "/control/") {
			hit = false
		}
		if hit && fault.before(w, r) {
			return
		}
		run := h
		if hit && fault.Kind == ServerError {
			run = breakDown
		}
		answer := s.answer(run, w, r)
		if hit && fault.after(w) {
			return
		}
		if answer.again {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Request-Id", s.IDs("req"))
		w.Header().Set("Stripe-Version", APIVersion)
		w.WriteHeader(answer.Status)
		_, _ = w.Write(answer.Body) // the caller may be gone; the effect is stored either way
	})
}

// answer runs the call and returns what to send.
func (s *Server) answer(h handler, w http.ResponseWriter, r *http.Request) *reply {
	if !s.authentic(r) {
		return failed(&apiError{status: 401, Type: "invalid_request_error", Message: "Invalid API Key provided."})
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	form, err := readForm(r)
	if err != nil {
		return failed(err)
	}
	var out *reply
	err = s.update(r.Context(), func(u *unit) error {
		out, err = u.once(h, r, form)
		return err
	})
	if err != nil {
		return failed(err)
	}
	return out
}

func (s *Server) authentic(r *http.Request) bool {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		key, _, _ = r.BasicAuth()
	}
	return subtle.ConstantTimeCompare([]byte(key), []byte(s.APIKey)) == 1
}

// readForm reads the parameters: from the query of a GET, from the form-encoded body of a POST. Control calls may send JSON,
// which reaches its handler as the parameter "json".
func readForm(r *http.Request) (url.Values, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodDelete {
		return parseQuery(r.URL.RawQuery)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, invalid("", "", "The request body could not be read.")
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") && strings.HasPrefix(r.URL.Path, "/control/") {
		return url.Values{"json": {string(body)}}, nil
	}
	return parseQuery(string(body))
}

func parseQuery(text string) (url.Values, error) {
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil, invalid("", "", "Invalid form: %s", err)
	}
	return form, nil
}

// once runs the call unless its Idempotency-Key already has an answer.
func (u *unit) once(h handler, r *http.Request, form url.Values) (*reply, error) {
	key := r.Header.Get("Idempotency-Key")
	if len(key) > 255 {
		return nil, invalid("", "", "Keys for idempotent requests can be up to 255 characters long.")
	}
	saved := &reply{Key: digest(key), Fingerprint: digest(r.Method + " " + r.URL.Path + "\n" + form.Encode()), Created: u.now}
	keyed := key != "" && r.Method == http.MethodPost
	if keyed {
		var old reply
		if err := u.get("idempotency", saved.Key, &old); err == nil && u.now.Sub(old.Created) < keyLife {
			if old.Fingerprint != saved.Fingerprint {
				return nil, &apiError{status: 400, Type: "idempotency_error", Message: fmt.Sprintf("Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.", key)}
			}
			old.again = true
			return &old, nil
		} else if isAPI := new(apiError); err != nil && !errors.As(err, &isAPI) {
			return nil, err
		}
	}
	p, err := parseParams(form)
	if err != nil {
		return nil, err
	}
	value, err := h(&request{unit: u, http: r, params: p})
	if broken := new(apiError); errors.As(err, &broken) && broken.status >= http.StatusInternalServerError {
		answer := failed(broken)
		saved.Status, saved.Body = answer.Status, answer.Body
		if keyed {
			return saved, u.put(saved)
		}
		return saved, nil
	}
	if err == nil {
		err = p.unknown()
	}
	if err != nil {
		return nil, err
	}
	saved.Status = http.StatusOK
	if saved.Body, err = encode(value); err != nil {
		return nil, err
	}
	if keyed {
		return saved, u.put(saved)
	}
	return saved, nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// failed shows an error in Stripe's shape; what is no API error is the server's own fault.
func failed(err error) *reply {
	e := new(apiError)
	if !errors.As(err, &e) {
		e = &apiError{status: 500, Type: "api_error", Message: err.Error()}
	}
	body, _ := encode(fields{"error": e}) // a struct of strings always encodes
	return &reply{Status: e.status, Body: body}
}

// shower is an object of the API.
type shower interface {
	object
	show() fields
}

// decode makes the object of a record.
func decode(r Record) (shower, error) {
	var o shower
	switch r.Kind {
	case "customer":
		o = new(customer)
	case "product":
		o = new(product)
	case "price":
		o = new(price)
	case "coupon":
		o = new(coupon)
	case "checkout.session":
		o = new(session)
	case "payment_intent":
		o = new(intent)
	case "charge":
		o = new(charge)
	case "refund":
		o = new(refund)
	case "dispute":
		o = new(dispute)
	case "event":
		o = new(event)
	case "webhook_endpoint":
		o = new(endpoint)
	case "delivery":
		o = new(delivery)
	default:
		return nil, fmt.Errorf("sandbox: unknown kind %q", r.Kind)
	}
	return o, json.Unmarshal(r.Data, o)
}

// retrieve answers GET /v1/<kind>s/{id}.
func (s *Server) retrieve(kind string) handler {
	return func(r *request) (any, error) {
		rec, err := r.record(kind, r.id())
		if errors.Is(err, ErrMissing) {
			return nil, missing(kind, r.id())
		}
		if err != nil {
			return nil, err
		}
		o, err := decode(rec)
		if err != nil {
			return nil, err
		}
		return o.show(), nil
	}
}

// list answers GET /v1/<kind>s with Stripe's pagination.
func (s *Server) list(kind, path string) handler {
	return func(r *request) (any, error) { return r.page(kind, path, Query{}, nil) }
}

// page lists one page of a kind, newest first; keep, if not nil, drops objects that do not match.
func (r *request) page(kind, path string, q Query, keep func(shower) bool) (any, error) {
	limit, err := r.integer("limit")
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = 10
	}
	if limit < 1 || limit > 100 {
		return nil, invalid("", "limit", "Invalid limit: must be between 1 and 100.")
	}
	q.Kind = kind
	if err := r.created(&q); err != nil {
		return nil, err
	}
	if id := r.str("starting_after"); id != "" {
		rec, err := r.record(kind, id)
		if err != nil {
			return nil, missing(kind, id)
		}
		q.After = &rec
	}
	data, more, err := r.matching(q, int(limit), keep)
	if err != nil {
		return nil, err
	}
	return fields{"object": "list", "url": path, "has_more": more, "data": data}, nil
}

// created reads the filter on creation time: created, created[gt|gte|lt|lte], in whole seconds.
func (r *request) created(q *Query) error {
	exact := r.at("created")
	bounds := []struct {
		step  string
		until bool
		add   int64
	}{{"gte", false, 0}, {"gt", false, 1}, {"lte", true, 1}, {"lt", true, 0}}
	for _, b := range bounds {
		if exact.kids[b.step] == nil {
			continue
		}
		n, err := r.integer("created", b.step)
		if err != nil {
			return err
		}
		if b.until {
			q.Until = time.Unix(n+b.add, 0).UTC().Add(-time.Microsecond)
		} else {
			q.Since = time.Unix(n+b.add, 0).UTC()
		}
	}
	if exact.filled {
		n, err := r.integer("created")
		q.Since, q.Until = time.Unix(n, 0).UTC(), time.Unix(n+1, 0).UTC().Add(-time.Microsecond)
		return err
	}
	return nil
}

// matching collects up to limit objects and whether there are more.
func (r *request) matching(q Query, limit int, keep func(shower) bool) ([]fields, bool, error) {
	out := []fields{}
	q.Limit = limit + 1
	for {
		records, err := r.s.Store.List(r.ctx, q)
		if err != nil {
			return nil, false, err
		}
		for _, rec := range records {
			o, err := decode(rec)
			if err != nil {
				return nil, false, err
			}
			if keep != nil && !keep(o) {
				continue
			}
			if len(out) == limit {
				return out, true, nil
			}
			out = append(out, o.show())
		}
		if len(records) < q.Limit {
			return out, false, nil
		}
		q.After = &records[len(records)-1]
	}
}
