package webhook

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/webhook"
)

const (
	claimFor     = time.Minute
	drainFor     = 40 * time.Second
	together     = 4               // messages that are under way to one endpoint at once
	breaks       = 5               // failures in a row that open the breaker
	openFor      = time.Minute     // how long at first; it doubles
	openMost     = time.Hour       //
	slowFrom     = 2 * time.Second // an answer that took as long is slow
	disableAfter = 72 * time.Hour  // of nothing but failures
	disableFrom  = 10              // failures
	maxExcerpt   = 256             // bytes of an answer that are kept
	keptFor      = 30 * 24 * time.Hour
	askedMost    = 24 * time.Hour  // the longest pause that a receiver may ask for
	closingFor   = 5 * time.Second // for keeping what came of what was sent when the process stops
)

// pauses are those after the first, second, … failed attempt of a delivery, as Standard Webhooks advise; after the last it has failed for
// good. Each is up to a fifth shorter or longer.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}
}

func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(2*d/5+1) }

// Drain sends what is due to an endpoint. When another process does so already it is told to look once more, and Drain returns. It enqueues a
// job for when the next delivery is due.
func (s *Service) Drain(ctx context.Context, id string) error { return s.drain(ctx, id, false) }

// drain is Drain; with leave it leaves an endpoint that fails or is slow to the job that it enqueues.
func (s *Service) drain(ctx context.Context, id string, leave bool) error {
	by := s.IDs.New("wcl")
	now := s.Clock.Now()
	if mine, err := s.Claims.Claim(ctx, id, by, now, now.Add(claimFor)); err != nil || !mine {
		return err
	}
	until := now.Add(drainFor)
	for {
		e, err := s.round(ctx, id, by, until, leave)
		if err == nil && e.ID == "" { // the claim is lost, or the endpoint gone
			return nil
		}
		released := false
		if err == nil {
			released, err = s.Claims.Release(ctx, id, by, e.Nudged)
		}
		if err != nil { // the job that failed, or the sweeper, comes again
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingFor)
			defer cancel()
			return errors.Join(err, s.Claims.Drop(closing, id, by))
		}
		if released {
			return s.later(ctx, &e)
		}
	}
}

// round sends until nothing is due, or not now, or it has gone on for long. It returns the endpoint as it was when it was last looked at, an
// empty one when the claim is lost or the endpoint removed. With leave it stops when the endpoint fails or is slow.
func (s *Service) round(ctx context.Context, id, by string, until time.Time, leave bool) (e Endpoint, err error) {
	for {
		now := s.Clock.Now()
		if mine, err := s.Claims.Hold(ctx, id, by, now.Add(claimFor)); err != nil || !mine {
			return Endpoint{}, err
		}
		if e, err = s.Endpoints.Endpoint(ctx, id); errors.Is(err, licensing.ErrNotFound) {
			return Endpoint{}, nil // it was removed, and nobody claims it any more
		}
		if err != nil || !e.live() || leave && e.ails() || now.Before(e.OpenUntil) || !now.Before(until) || s.Switches.Check(ctx, licensing.SwitchAPI, "") != nil {
			return e, err
		}
		n := together
		if e.Failures > 0 { // one is enough to learn whether it is back
			n = 1
		}
		due, err := s.Deliveries.Due(ctx, id, now, n)
		if err != nil || len(due) == 0 {
			return e, err
		}
		if err := s.sendAll(ctx, by, &e, due); err != nil {
			return e, err
		}
	}
}

// later enqueues the next work for an endpoint: when its next delivery is due and the breaker lets it through.
func (s *Service) later(ctx context.Context, e *Endpoint) error {
	if !e.live() {
		return nil
	}
	at, found, err := s.Deliveries.Next(ctx, e.ID)
	if err != nil || !found {
		return err
	}
	if e.OpenUntil.After(at) {
		at = e.OpenUntil
	}
	if now := s.Clock.Now(); s.Switches.Check(ctx, licensing.SwitchAPI, "") != nil {
		return nil // the sweeper comes back to it
	} else if at.Before(now) {
		at = now
	}
	return s.nudge(ctx, e, fmt.Sprintf("at/%d", at.UnixMicro()), at)
}

// sent is what came of one message.
type sent struct {
	Answer
	err  error
	at   time.Time
	took time.Duration
}

// sendAll sends a few messages at once and keeps what came of each.
func (s *Service) sendAll(ctx context.Context, by string, e *Endpoint, due []Delivery) error {
	secrets, err := s.secrets(ctx, e.ID)
	if err != nil {
		return err
	}
	results := make([]sent, len(due))
	var wait sync.WaitGroup
	for i := range due {
		wait.Go(func() { results[i] = s.send(ctx, e, &due[i], secrets) })
	}
	wait.Wait()
	stopped := ctx.Err()
	if stopped != nil { // the process stops: what was taken must not come again, what was not answered counts as not sent
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingFor)
		defer cancel()
		ctx = closing
	}
	for i := range due {
		if stopped != nil && !results[i].taken() {
			continue
		}
		if err := s.settle(ctx, by, e, due[i], results[i]); err != nil {
			return errors.Join(stopped, err)
		}
	}
	return stopped
}

// taken reports whether the receiver took the message.
func (r *sent) taken() bool { return r.err == nil && r.Status >= 200 && r.Status < 300 }

func (s *Service) send(ctx context.Context, e *Endpoint, d *Delivery, secrets []string) (r sent) {
	r.at = s.Clock.Now()
	h, err := webhook.Sign(d.EventID, r.at, []byte(d.Body), secrets...)
	if err != nil {
		r.err = err
		return r
	}
	h.Set("Content-Type", "application/json")
	r.Answer, r.err = s.Sender.Send(ctx, e.URL, h, []byte(d.Body))
	r.took = max(s.Clock.Now().Sub(r.at), 0)
	return r
}

// settle keeps an attempt and what follows from it. e learns what it tells.
func (s *Service) settle(ctx context.Context, by string, e *Endpoint, d Delivery, r sent) error {
	now, was := s.Clock.Now(), d
	d.Attempts++
	d.Tries++
	d.UpdatedAt = now
	a := Attempt{DeliveryID: d.ID, N: d.Attempts, At: r.at, Took: r.took, Status: int64(r.Status), Excerpt: printable(r.Excerpt, maxExcerpt)}
	if r.err != nil {
		a.Status, a.Excerpt, a.Error = 0, "", printable(r.err.Error(), maxExcerpt)
	}
	var h Health
	why := ""
	if r.taken() {
		d.State, h = Delivered, Health{Slow: r.took >= slowFrom}
	} else {
		h, why = e.failed(now, r)
		list := pauses()
		if d.Tries > int64(len(list)) {
			d.State = Failed
		} else {
			d.NextAt = now.Add(max(jitter(list[d.Tries-1]), min(r.RetryAfter, askedMost)))
		}
	}
	next, kept := *e, false
	next.Health = h
	err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		if kept, err = s.Deliveries.Settle(ctx, by, next, was, d, a); err != nil || !kept || why == "" {
			return err
		}
		return s.disable(ctx, e, why, now)
	})
	if err == nil && kept {
		e.Health = h
	}
	return err
}

// failed is the health of an endpoint after one more failure, and why it is to be disabled now, if it is.
func (e *Endpoint) failed(now time.Time, r sent) (h Health, why string) {
	h = e.Health
	h.Failures++
	if h.FailingSince.IsZero() {
		h.FailingSince = now
	}
	h.Slow = r.took >= slowFrom
	if h.Failures >= breaks {
		open := openMost
		if n := h.Failures - breaks; n < 6 {
			open = min(openMost, openFor<<n)
		}
		h.OpenUntil = now.Add(jitter(open))
	}
	switch {
	case r.err == nil && r.Status == 410:
		why = ByGone
	case h.Failures >= disableFrom && now.Sub(h.FailingSince) >= disableAfter:
		why = ByFailing
	}
	return h, why
}

// disable disables an endpoint that does not take anything, and tells the staff.
func (s *Service) disable(ctx context.Context, e *Endpoint, why string, at time.Time) error {
	done, err := s.Endpoints.SetDisabled(ctx, e.ID, why, at)
	if err != nil || !done {
		return err
	}
	disabled := *e
	disabled.DisabledAt, disabled.DisabledWhy = at, why
	if err := s.Notices.EndpointDisabled(ctx, disabled, at); err != nil {
		return err
	}
	return s.Audit.Record(ctx, licensing.Event{Action: "webhook.disable", Target: e.ID, Detail: map[string]any{"why": why, "failures": e.Failures + 1}})
}

// secrets are those that a message is signed with, the newest first.
func (s *Service) secrets(ctx context.Context, id string) ([]string, error) {
	list, err := s.Endpoints.Secrets(ctx, id, s.Clock.Now())
	out := make([]string, len(list))
	for i := range list {
		key, open := s.Seal.Open(list[i].Sealed, place(list[i].ID))
		err = errors.Join(err, open)
		out[i] = webhook.Secret(key)
	}
	if err == nil && len(out) == 0 {
		err = errors.New("webhook: the endpoint " + id + " has no secret")
	}
	return out, err
}

// place is where a secret is sealed.
func place(id string) string { return "webhook_secret/" + id + "/sealed" }

// printable is the beginning of a text from outside on one line, without what a terminal or a page would act upon.
func printable(text string, most int) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if unicode.IsControl(r) || !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r) {
			r = ' '
		}
		if b.Len()+len(string(r)) > most {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// Sweep gives endpoints whose job was lost, or that a switch held back, a new one, and forgets events that are a month old. It runs every
// few seconds.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Clock.Now()
	if err := s.Deliveries.Prune(ctx, now.Add(-keptFor), 500); err != nil {
		return err
	}
	if s.Switches.Check(ctx, licensing.SwitchAPI, "") != nil {
		return nil
	}
	waiting, err := s.Claims.Waiting(ctx, now, 200)
	if err != nil {
		return err
	}
	for i := range waiting {
		if err := s.nudge(ctx, &waiting[i], "sweep", time.Time{}); err != nil {
			return err
		}
	}
	return nil
}
