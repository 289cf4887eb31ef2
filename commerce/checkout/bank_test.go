package checkout_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
)

// bank is a payment provider in memory whose sessions a test moves: pays, expires, refunds, forges.
type bank struct {
	mu       sync.Mutex
	env      licensing.Env
	now      licensing.Clock
	byID     map[string]*payment.Session
	byKey    map[string]string
	requests []payment.SessionRequest
	// fault, when set, may break a call: before it takes effect, or after (the reply is lost).
	before, after func(call string) error
	// remember keeps, as Stripe does, the failure of a call under its key.
	remember bool
	failed   map[string]error
}

func newBank(env licensing.Env, now licensing.Clock) *bank {
	return &bank{env: env, now: now, byID: map[string]*payment.Session{}, byKey: map[string]string{}, failed: map[string]error{}}
}

var _ payment.Gateway = (*bank)(nil)

func (b *bank) call(name string, do func() (payment.Session, error)) (payment.Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.before != nil {
		if err := b.before(name); err != nil {
			return payment.Session{}, err
		}
	}
	s, err := do()
	if err == nil && b.after != nil {
		err = b.after(name)
	}
	return s, err
}

func (b *bank) OpenSession(_ context.Context, r payment.SessionRequest) (payment.Session, error) {
	if b.remember {
		return b.remembered(r, func() (payment.Session, error) { return b.open(r) })
	}
	return b.open(r)
}

func (b *bank) remembered(r payment.SessionRequest, do func() (payment.Session, error)) (payment.Session, error) {
	if err := b.failed[r.Key]; err != nil {
		return payment.Session{}, err
	}
	s, err := do()
	if err != nil {
		b.failed[r.Key] = err
	}
	return s, err
}

func (b *bank) open(r payment.SessionRequest) (payment.Session, error) {
	return b.call("open", func() (payment.Session, error) {
		if id, ok := b.byKey[r.Key]; ok {
			return *b.byID[id], nil
		}
		for _, l := range r.Lines {
			if _, err := money.ToStripe(l.Unit); err != nil {
				return payment.Session{}, fmt.Errorf("%w: %w", payment.ErrRefused, err)
			}
		}
		b.requests = append(b.requests, r)
		s := payment.Session{ID: fmt.Sprintf("cs_%d", len(b.byID)+1), Order: r.Order, Status: payment.SessionOpen, Payment: payment.Unpaid, Live: b.env == licensing.Live,
			Email: r.Email, Discount: r.Discount.Minor, Lines: r.Lines, Created: b.now.Now()}
		s.URL = "https://pay.example/" + s.ID
		for _, l := range r.Lines {
			s.Currency = l.Unit.Currency
			s.Subtotal += l.Unit.Minor * l.Quantity
		}
		s.Total = s.Subtotal - s.Discount
		b.byID[s.ID], b.byKey[r.Key] = &s, s.ID
		return s, nil
	})
}

func (b *bank) Session(_ context.Context, id string) (payment.Session, error) {
	return b.call("session", func() (payment.Session, error) {
		s, ok := b.byID[id]
		if !ok {
			return payment.Session{}, payment.ErrNoObject
		}
		return *s, nil
	})
}

func (b *bank) FindSession(_ context.Context, order string, since time.Time) (payment.Session, error) {
	return b.call("find", func() (payment.Session, error) {
		for _, s := range b.byID {
			if s.Order == order && !s.Created.Before(since) {
				return *s, nil
			}
		}
		return payment.Session{}, payment.ErrNoObject
	})
}

// set moves the session of an order.
func (b *bank) set(order string, change func(*payment.Session)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.byID {
		if s.Order == order {
			change(s)
		}
	}
}

func (b *bank) pay(order string) {
	b.set(order, func(s *payment.Session) {
		s.Status, s.Payment, s.URL, s.Intent, s.Charge = payment.SessionComplete, payment.Paid, "", "pi_"+order, "ch_"+order
	})
}

func (b *bank) opened() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.requests)
}

func (b *bank) Check(context.Context) error { return nil }
func (b *bank) Env() licensing.Env          { return b.env }
func (b *bank) ExpireSession(ctx context.Context, id string) (payment.Session, error) {
	return b.call("expire", func() (payment.Session, error) {
		s := b.byID[id]
		if s.Status == payment.SessionOpen {
			s.Status, s.URL = payment.SessionExpired, ""
		}
		return *s, nil
	})
}
func (b *bank) Refund(context.Context, payment.RefundRequest) (payment.Refund, error) {
	return payment.Refund{}, payment.ErrRefused
}
func (b *bank) FindRefund(context.Context, string, string) (payment.Refund, error) {
	return payment.Refund{}, payment.ErrNoObject
}
func (b *bank) Events(context.Context, time.Time, int) ([]payment.Event, error) { return nil, nil }
func (b *bank) Verify([]byte, string, time.Time) (payment.Event, error) {
	return payment.Event{}, payment.ErrSignature
}

// eur is an amount in euro cents.
func eur(minor int64) money.Amount { return money.New(minor, "EUR") }
