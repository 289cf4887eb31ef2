package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// patience is how long a delivery is tried.
	patience = 72 * time.Hour
	// lease is how long one attempt owns its delivery; longer than any attempt takes.
	lease = 2 * time.Minute
	// parallel is how many deliveries one tick sends at a time.
	parallel = 8
)

// delivery is one copy of one event on its way to one endpoint. State is waiting, delivered, dropped or failed.
type delivery struct {
	ID, Event, Endpoint, State string
	Group                      string // deliveries of a group leave one after the other
	BadSignature               bool
	Attempts                   int
	Status                     int    // of the last attempt, 0 when there was no answer
	Header                     string // signature of the last attempt
	Body                       []byte // as first sent; a replay sends the same bytes
	Next, Created              time.Time
}

func (d *delivery) record() Record {
	r := Record{Kind: "delivery", ID: d.ID, Ref: d.Event, At: d.Created}
	if d.State == "waiting" {
		r.Due = d.Next
	}
	return r
}

func (d *delivery) show() fields {
	return fields{"id": d.ID, "object": "delivery", "event": d.Event, "endpoint": d.Endpoint, "state": d.State, "attempts": d.Attempts, "status": d.Status, "next": unix(d.Next), "created": unix(d.Created)}
}

// tick does what is due once. Deliveries run in the background under sending; it returns how many things were begun.
func (s *Server) tick(ctx context.Context, sending *sync.WaitGroup) (int, error) {
	due, err := s.Store.Due(ctx, s.Clock.Now(), 100)
	if err != nil {
		return 0, err
	}
	done := 0
	var errs []error
	groups := map[string][]*delivery{}
	var order []string
	for _, rec := range due {
		var err error
		switch rec.Kind {
		case "event":
			err = s.schedule(ctx, rec.ID)
		case "checkout.session":
			err = s.advance(ctx, rec.ID)
		case "delivery":
			var d *delivery
			if d, err = s.claim(ctx, rec.ID); d != nil {
				key := d.Group
				if key == "" {
					key = d.ID
				}
				if groups[key] == nil {
					order = append(order, key)
				}
				groups[key] = append(groups[key], d)
			}
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		done++
	}
	slots := make(chan struct{}, parallel)
	for _, key := range order {
		slots <- struct{}{}
		sending.Go(func() {
			defer func() { <-slots }()
			for _, d := range groups[key] {
				s.send(ctx, d)
			}
		})
	}
	return done, errors.Join(errs...)
}

// advance does what time does to a session.
func (s *Server) advance(ctx context.Context, id string) error {
	return s.update(ctx, func(u *unit) error {
		var c session
		if err := u.get("checkout.session", id, &c); err != nil {
			return err
		}
		switch {
		case c.Status == "open" && !u.now.Before(c.ExpiresAt):
			return u.expire(&c)
		case !c.SettleAt.IsZero() && !u.now.Before(c.SettleAt):
			return u.settle(&c, c.SettleFails)
		}
		return nil
	})
}

// schedule makes the deliveries of a fresh event.
func (s *Server) schedule(ctx context.Context, id string) error {
	var typ string
	var b Behaviour
	asked := false // ask for the behaviour once, though the unit may run again
	return s.update(ctx, func(u *unit) error {
		var e event
		if err := u.get("event", id, &e); err != nil {
			return err
		}
		if !e.Fresh {
			return nil
		}
		if typ = e.Type; !asked {
			b, asked = s.deliveries.take(typ), true
		}
		e.Fresh = false
		return u.deliver(&e, b)
	})
}

// deliver makes deliveries of an event to every endpoint that wants it, as the behaviour says.
func (u *unit) deliver(e *event, b Behaviour) error {
	endpoints, err := u.endpoints()
	if err != nil {
		return err
	}
	for _, to := range endpoints {
		if !to.wants(e.Type) {
			continue
		}
		for range max(b.Copies, 1) {
			d := &delivery{
				ID: u.s.IDs("whd"), Event: e.ID, Endpoint: to.ID, State: "waiting", BadSignature: b.BadSignature, Created: u.now,
				Next: u.now.Add(time.Duration(b.DelaySeconds * float64(time.Second))),
			}
			if b.Drop {
				d.State = "dropped"
			}
			if b.Reorder > 1 && !b.Drop {
				d.State = "held"
			} else if !b.Drop {
				e.Pending++
			}
			if err := u.put(d); err != nil {
				return err
			}
		}
	}
	if err := u.put(e); err != nil || b.Reorder < 2 {
		return err
	}
	return u.release(b.Reorder)
}

// release lets held deliveries go, newest first, once there are enough of them.
func (u *unit) release(enough int) error {
	records, err := u.s.Store.List(u.ctx, Query{Kind: "delivery", Limit: 1000})
	if err != nil {
		return err
	}
	var held []*delivery
	for _, key := range u.writes { // those of this very unit are the newest
		if d := new(delivery); u.read[key].Kind == "delivery" && json.Unmarshal(u.read[key].Data, d) == nil && d.State == "held" {
			held = append([]*delivery{d}, held...)
		}
	}
	for _, rec := range records {
		d := new(delivery)
		if err := json.Unmarshal(rec.Data, d); err != nil {
			return err
		}
		if d.State == "held" {
			u.read["delivery/"+d.ID] = rec
			held = append(held, d)
		}
	}
	if len(held) < enough {
		return nil
	}
	for i, d := range held {
		d.State, d.Group = "waiting", "reordered"
		d.Next = u.now.Add(time.Duration(i-len(held)) * time.Microsecond)
		if err := u.put(d); err != nil {
			return err
		}
	}
	return nil
}

// claim takes a delivery for one attempt, or returns nil when another server has it.
func (s *Server) claim(ctx context.Context, id string) (*delivery, error) {
	var out *delivery
	err := s.update(ctx, func(u *unit) error {
		out = nil
		d := new(delivery)
		if err := u.get("delivery", id, d); err != nil {
			return err
		}
		if d.State != "waiting" || d.Next.After(u.now) {
			return nil
		}
		d.Next = u.now.Add(lease)
		d.Attempts++
		if d.Body == nil {
			var e event
			if err := u.get("event", d.Event, &e); err != nil {
				return err
			}
			body, err := encode(e.show())
			if err != nil {
				return err
			}
			d.Body = bytes.TrimSpace(body)
		}
		out = d
		return u.put(d)
	})
	return out, err
}

// send makes one attempt and records how it went.
func (s *Server) send(ctx context.Context, d *delivery) {
	to, err := s.endpoint(ctx, d.Endpoint)
	if err == nil {
		secret := to.Secret
		if d.BadSignature {
			secret = "whsec_of_somebody_else_entirely"
		}
		d.Header = Sign(d.Body, secret, s.Clock.Now())
		d.Status, err = s.post(ctx, to.URL, d.Body, d.Header)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "sandbox: delivery got no answer", "event", d.Event, "err", err)
	}
	// The outcome is recorded even when the server is stopping: the receiver has acted on it.
	err = s.update(context.WithoutCancel(ctx), func(u *unit) error {
		now := new(delivery)
		if err := u.get("delivery", d.ID, now); err != nil {
			return err
		}
		now.Status, now.Header = d.Status, d.Header
		pause := s.RetryAfter << min(d.Attempts-1, 20)
		now.Next = u.now.Add(min(pause, time.Hour))
		switch {
		case d.Status/100 == 2:
			now.State = "delivered"
		case now.Next.Sub(d.Created) > patience:
			now.State = "failed"
		}
		if now.State != "waiting" {
			var e event
			if err := u.get("event", d.Event, &e); err != nil {
				return err
			}
			e.Pending = max(e.Pending-1, 0)
			if err := u.put(&e); err != nil {
				return err
			}
		}
		return u.put(now)
	})
	if err != nil {
		s.Log.ErrorContext(ctx, "sandbox: outcome of a delivery was not recorded", "delivery", d.ID, "err", err)
	}
}

func (s *Server) endpoint(ctx context.Context, id string) (*endpoint, error) {
	u := &unit{ctx: ctx, s: s, read: map[string]Record{}}
	all, err := u.endpoints()
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.ID == id {
			return e, nil
		}
	}
	return nil, fmt.Errorf("sandbox: endpoint %s is gone", id)
}

// post sends the bytes once and returns the answer's status.
func (s *Server) post(ctx context.Context, url string, body []byte, header string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", header)
	resp, err := s.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // only so that the connection can be used again
	return resp.StatusCode, nil
}

// Sign returns the Stripe-Signature header of a delivery: "t=<seconds>,v1=<hex HMAC-SHA-256>".
func Sign(body []byte, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}
