package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
)

// Behaviour is how events are delivered. The zero Behaviour delivers each once, at once, rightly signed.
type Behaviour struct {
	// Copies is how many times each event is delivered, 1 unless said.
	Copies int `json:"copies,omitempty"`
	// DelaySeconds holds each delivery back.
	DelaySeconds float64 `json:"delay_seconds,omitempty"`
	// Drop loses the delivery for good; the event stays in the list of events.
	Drop bool `json:"drop,omitempty"`
	// Reorder gathers so many deliveries, then sends them newest first, one after the other.
	Reorder int `json:"reorder,omitempty"`
	// BadSignature signs with another secret, on every attempt.
	BadSignature bool `json:"bad_signature,omitempty"`
	// Type narrows it to events of one type; Events is for how many events it holds, 0 until the next call of Set or Clear.
	Type   string `json:"type,omitempty"`
	Events int    `json:"events,omitempty"`
}

// Deliveries tells the server how to deliver. What it was told lives in the process, not in the store. Safe for concurrent use.
type Deliveries struct {
	server *Server
	mu     sync.Mutex
	rules  []Behaviour
}

// Set replaces what was told before; the first behaviour that matches an event holds for it.
func (d *Deliveries) Set(rules ...Behaviour) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rules = append([]Behaviour(nil), rules...)
}

// Clear goes back to proper delivery.
func (d *Deliveries) Clear() { d.Set() }

// take returns the behaviour for an event of the type, using it up.
func (d *Deliveries) take(typ string) Behaviour {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, b := range d.rules {
		if b.Type != "" && b.Type != typ || b.Events < 0 {
			continue
		}
		if b.Events > 0 {
			if d.rules[i].Events--; d.rules[i].Events == 0 {
				d.rules[i].Events = -1 // used up
			}
		}
		return b
	}
	return Behaviour{}
}

// Sent is one delivery as the server remembers it.
type Sent struct {
	ID       string `json:"id"`
	Event    string `json:"event"`
	State    string `json:"state"` // waiting, held, delivered, dropped, failed
	Attempts int    `json:"attempts"`
	Status   int    `json:"status"` // HTTP status of the last attempt, 0 without an answer
	Header   string `json:"-"`      // signature of the last attempt
	Body     []byte `json:"-"`
}

// All lists the newest thousand deliveries, newest first.
func (d *Deliveries) All(ctx context.Context) ([]Sent, error) {
	records, err := d.server.Store.List(ctx, Query{Kind: "delivery", Limit: 1000})
	if err != nil {
		return nil, err
	}
	out := make([]Sent, len(records))
	for i, rec := range records {
		var one delivery
		if err := json.Unmarshal(rec.Data, &one); err != nil {
			return nil, err
		}
		out[i] = Sent{one.ID, one.Event, one.State, one.Attempts, one.Status, one.Header, one.Body}
	}
	return out, nil
}

// Resend delivers an event once more, freshly signed, whatever became of it before.
func (d *Deliveries) Resend(ctx context.Context, eventID string) error {
	return d.server.update(ctx, func(u *unit) error { return u.resend(eventID) })
}

func (u *unit) resend(eventID string) error {
	var e event
	if err := u.get("event", eventID, &e); err != nil {
		return err
	}
	e.Fresh = false
	return u.deliver(&e, Behaviour{})
}

// Replay sends the very bytes and signature of the last attempt to deliver an event again, as somebody who recorded them
// would. It returns the receiver's status.
func (d *Deliveries) Replay(ctx context.Context, eventID string) (int, error) {
	records, err := d.server.Store.List(ctx, Query{Kind: "delivery", Ref: eventID, Limit: 100})
	if err != nil {
		return 0, err
	}
	for _, rec := range records {
		var one delivery
		if err := json.Unmarshal(rec.Data, &one); err != nil {
			return 0, err
		}
		if one.Header == "" {
			continue
		}
		to, err := d.server.endpoint(ctx, one.Endpoint)
		if err != nil {
			return 0, err
		}
		return d.server.post(ctx, to.URL, one.Body, one.Header)
	}
	return 0, errors.New("sandbox: that event was never sent")
}

// controlled decodes the JSON body of a control call strictly.
func controlled(r *request, v any) error {
	text := r.str("json")
	if text == "" {
		return invalid("", "", "Send a JSON object with Content-Type: application/json.")
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return invalid("", "", "Invalid JSON: %s", err.Error())
	}
	return nil
}

func (s *Server) controlDeliveries(r *request) (any, error) {
	var b Behaviour
	if err := controlled(r, &b); err != nil {
		return nil, err
	}
	if b.Copies < 0 || b.Copies > 1000 || b.DelaySeconds < 0 || b.Reorder < 0 || b.Reorder > 500 || b.Events < 0 {
		return nil, invalid("", "", "A number is out of range.")
	}
	s.deliveries.Set(b)
	return b, nil
}

func (s *Server) controlClear(*request) (any, error) {
	s.deliveries.Clear()
	s.faults.Clear()
	return fields{"cleared": true}, nil
}

func (s *Server) controlListDeliveries(r *request) (any, error) {
	return r.page("delivery", "/control/deliveries", Query{Ref: r.str("event")}, nil)
}

func (s *Server) controlFaults(r *request) (any, error) {
	var f Fault
	if err := controlled(r, &f); err != nil {
		return nil, err
	}
	if err := s.faults.Add(f); err != nil {
		return nil, invalid("", "kind", "%s", err.Error())
	}
	return f, nil
}

func (s *Server) controlResend(r *request) (any, error) {
	return fields{"resent": r.id()}, r.resend(r.id())
}

func (s *Server) controlReplay(r *request) (any, error) {
	status, err := s.deliveries.Replay(r.ctx, r.id())
	if err != nil {
		return nil, invalid("", "", "%s", err.Error())
	}
	return fields{"replayed": r.id(), "status": status}, nil
}

// controlComplete does what the pay page does, for callers without a browser: parameters card and email.
func (s *Server) controlComplete(r *request) (any, error) {
	var c session
	if err := r.get("checkout.session", r.id(), &c); err != nil {
		return nil, err
	}
	card, ok := cardNumber(r.str("card"))
	if !ok {
		return nil, invalid("incorrect_number", "card", "Your card number is incorrect.")
	}
	email := r.str("email")
	if email == "" {
		email = c.AskedEmail
	}
	if _, err := r.pay(&c, card, email); err != nil {
		return nil, invalid("", "", "%s", err.Error())
	}
	return c.show(), nil
}

// controlSettle ends a delayed payment at once: parameter outcome, succeeded or failed.
func (s *Server) controlSettle(r *request) (any, error) {
	outcome := r.str("outcome")
	if outcome != "succeeded" && outcome != "failed" {
		return nil, invalid("", "outcome", "Invalid outcome: must be succeeded or failed.")
	}
	var c session
	if err := r.get("checkout.session", r.id(), &c); err != nil {
		return nil, err
	}
	if err := r.settle(&c, outcome == "failed"); errors.Is(err, errClosed) {
		return nil, invalid("", "", "This session has no payment under way.")
	} else if err != nil {
		return nil, err
	}
	return c.show(), nil
}
