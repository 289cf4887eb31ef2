package stripe_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/pay/stripe"
)

// TestF34_ProviderFaults guarantees, for every way in which a call can fail and every call there is: the outcome is called
// unknown (or, for refused credentials, a matter of configuration), never a refusal; repeated with the same key the call
// succeeds and has taken effect exactly once. Only a failure that the provider remembers under the key needs a new one.
func TestF34_ProviderFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range sandbox.FaultKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.gateway = s.adapter(stripe.Config{Timeout: time.Second})
			paid := s.open(s.request("ord_paid"))
			s.pay(paid, sandbox.CardSucceeds)
			intent := s.session(paid.ID).Intent
			discounted := s.request("ord_1")
			discounted.Discount = money.New(100, "EUR")
			back := payment.RefundRequest{Key: "mintreu:refund:ref_1:0", Intent: intent, Amount: money.New(500, "EUR"), Refund: "ref_1"}

			epoch := ""
			opens := func(ctx context.Context, r payment.SessionRequest) (string, error) {
				r.Key += epoch
				c, err := s.gateway.OpenSession(ctx, r)
				return c.ID, err
			}

			calls := []struct {
				name, method, path string
				call               func(ctx context.Context) (string, error)
			}{
				{"open", "POST", "/v1/checkout/sessions", func(ctx context.Context) (string, error) {
					return opens(ctx, s.request("ord_0"))
				}},
				{"coupon", "POST", "/v1/coupons", func(ctx context.Context) (string, error) {
					return opens(ctx, discounted)
				}},
				{"session", "GET", "/v1/checkout/sessions/", func(ctx context.Context) (string, error) {
					c, err := s.gateway.Session(ctx, paid.ID)
					return c.ID, err
				}},
				{"find session", "GET", "/v1/checkout/sessions", func(ctx context.Context) (string, error) {
					c, err := s.gateway.FindSession(ctx, "ord_paid", s.clock().Add(-time.Hour))
					return c.ID, err
				}},
				{"refund", "POST", "/v1/refunds", func(ctx context.Context) (string, error) {
					r := back
					r.Key += epoch
					f, err := s.gateway.Refund(ctx, r)
					return f.ID, err
				}},
				{"find refund", "GET", "/v1/refunds", func(ctx context.Context) (string, error) {
					f, err := s.gateway.FindRefund(ctx, intent, "ref_1")
					return f.ID, err
				}},
				{"events", "GET", "/v1/events", func(ctx context.Context) (string, error) {
					_, err := s.gateway.Events(ctx, s.clock().Add(-time.Hour), 10)
					return "", err
				}},
				{"check", "GET", "/v1/account", func(ctx context.Context) (string, error) { return "", s.gateway.Check(ctx) }},
			}
			for _, c := range calls {
				epoch = ""
				if err := s.box.Faults().Add(sandbox.Fault{Kind: kind, Method: c.method, Path: c.path, Calls: -1}); err != nil {
					t.Fatal(err)
				}
				_, err := c.call(t.Context())
				s.box.Faults().Clear()
				want := payment.ErrUnknown
				if kind == sandbox.Unauthorized {
					want = payment.ErrConfig
				}
				if !errors.Is(err, want) || errors.Is(err, payment.ErrRefused) || errors.Is(err, payment.ErrNoObject) {
					t.Errorf("%s: %v", c.name, err)
				}
				if err == nil {
					continue
				}
				if want == payment.ErrUnknown && licensing.KindOf(err) != licensing.Unavailable {
					t.Errorf("%s: %v is no failure to be told as a temporary one", c.name, err)
				}
				if strings.Contains(err.Error(), apiKey) {
					t.Errorf("%s: the error tells the key", c.name)
				}
				if kind == sandbox.ServerError && c.method == "POST" {
					if _, err := c.call(t.Context()); !errors.Is(err, payment.ErrUnknown) {
						t.Errorf("%s: the provider forgot that it broke: %v", c.name, err)
					}
					epoch = ":1"
				}
				first, err := c.call(t.Context())
				if err != nil {
					t.Fatalf("%s, repeated: %v", c.name, err)
				}
				if again, err := c.call(t.Context()); err != nil || again != first {
					t.Errorf("%s took effect twice: %q and %q, %v", c.name, first, again, err)
				}
			}
			s.effects(intent)
		})
	}
}

// effects checks that each thing asked for above exists once.
func (s *shop) effects(intent string) {
	s.t.Helper()
	if _, body := s.call("GET", "/v1/refunds?payment_intent="+intent, ""); strings.Count(body, `"object":"refund"`) != 1 {
		s.t.Errorf("refunds are %s", body)
	}
	for order, want := range map[string]int{"ord_0": 1, "ord_1": 1, "ord_paid": 1} {
		_, body := s.call("GET", "/v1/checkout/sessions?limit=100", "")
		if got := strings.Count(body, `"client_reference_id":"`+order+`"`); got != want {
			s.t.Errorf("%d sessions of %s", got, order)
		}
	}
	if _, body := s.call("GET", "/v1/coupons?limit=100", ""); strings.Count(body, `"object":"coupon"`) != 1 {
		s.t.Errorf("coupons are %s", body)
	}
}

// TestF34_CallerGone guarantees that a caller who gives up gets an unknown outcome and not a refusal.
func TestF34_CallerGone(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.gateway.OpenSession(ctx, s.request("ord_1")); !errors.Is(err, payment.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

// TestF34_ProviderUnreachable guarantees that a provider that cannot be reached at all is an unknown outcome too.
func TestF34_ProviderUnreachable(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.server.Close()
	if _, err := s.gateway.Session(t.Context(), "cs_test_1"); !errors.Is(err, payment.ErrUnknown) {
		t.Errorf("%v", err)
	}
}
