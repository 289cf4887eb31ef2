package e2e_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/pay/sandbox"
)

// deliver sends a delivery as the provider does and returns the answer's status.
func deliver(t *testing.T, base, body, signature string) (int, error) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/webhooks/stripe", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Stripe-Signature", signature)
	res, err := browser.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// A bank debit gives nothing while it is under way, however often the buyer looks; when it arrives it gives everything, once.
func TestW12_DelayedPaymentArrives(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		p := s.pays(t, 2, sandbox.DebitSucceeds)
		s.becomes(t, p, "awaiting_funds")
		for range 3 {
			if c, err := p.look(t.Context()); err != nil || c.State != "awaiting_funds" || len(c.Grants) != 0 {
				t.Errorf("while the debit is under way the buyer sees %+v (%v)", c, err)
			}
		}
		s.exactly(t, p, account{})
		s.bank.settle(t, p, "succeeded")
		s.bought(t, p)
		if n := number(t, s.rows, `SELECT count(*) FROM notice WHERE template = 'awaiting_funds' AND subject = $1`, p.id); n != 1 {
			t.Errorf("the buyer was told %d times that the payment is under way, want 1", n)
		}
	})
}

// A bank debit that bounces closes the order; nothing was given and nothing is in the books.
func TestW12_DelayedPaymentFails(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		p := s.pays(t, 1, sandbox.DebitFails)
		s.becomes(t, p, "awaiting_funds")
		s.bank.settle(t, p, "failed")
		s.becomes(t, p, "closed")
		s.exactly(t, p, account{})
		if n := number(t, s.rows, `SELECT count(*) FROM notice WHERE template = 'purchase' AND subject = $1`, p.id); n != 0 {
			t.Errorf("%d purchase mails for a payment that failed", n)
		}
	})
}

// Several events of one payment under different ids (completed, then succeeded, in either order and twice) make one license a unit.
func TestW09_NewEventOfTheSameObject(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]sandbox.Behaviour{"in order": {}, "newest first": {Reorder: 2}, "twice": {Copies: 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachSite(t, siteOptions{events: []string{completed, "checkout.session.async_payment_succeeded"}}, func(t *testing.T, s *site) {
				s.bank.Deliveries().Set(rule)
				p := s.pays(t, 1, sandbox.DebitSucceeds)
				s.bank.settle(t, p, "succeeded")
				s.bank.settled(t, 2)
				s.bought(t, p)
				eventually(t, "both events are done", 2*time.Minute, func() bool { return s.inbox(t, `state = 'done' AND order_id = $1`, p.id) == 2 })
				s.exactly(t, p, granted(1))
			})
		})
	}
}

// A payment that was refunded before its completion was heard of gives no license, then or when the completion comes.
func TestW11_RefundBeforeCompleted(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{events: []string{completed, "charge.refunded", "refund.created"}}, func(t *testing.T, s *site) {
		s.bank.unlisted.Store(true)
		s.bank.Deliveries().Set(sandbox.Behaviour{Drop: true, Type: completed})
		p := s.pays(t, 2, sandbox.CardSucceeds)
		var page struct {
			Intent string `json:"payment_intent"`
		}
		decode(t, s.bank.call(t, http.MethodGet, "/v1/checkout/sessions/"+p.url[strings.LastIndex(p.url, "/")+1:], nil), &page)
		s.bank.call(t, http.MethodPost, "/v1/refunds", url.Values{"payment_intent": {page.Intent}})
		s.becomes(t, p, "refunded")
		refunded := account{Receipts: 1, CreditNotes: 1}
		s.exactly(t, p, refunded)

		s.bank.Deliveries().Clear()
		event := s.bank.events(t, completed)[0]
		if err := s.bank.Deliveries().Resend(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the completion is done with", 2*time.Minute, func() bool { return s.inbox(t, `id = $1 AND state = 'done'`, event) == 1 })
		if _, err := p.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.exactly(t, p, refunded)
		if got := state(t, s.rows, p.id); got != "refunded" {
			t.Errorf("the order is %s", got)
		}
	})
}

// refunded waits for an order's grants and refunds it whole, with each event delivered ten times.
func (s *site) refunded(t *testing.T, p *purchase) {
	t.Helper()
	s.bought(t, p)
	var page struct {
		Intent string `json:"payment_intent"`
	}
	decode(t, s.bank.call(t, http.MethodGet, "/v1/checkout/sessions/"+p.url[strings.LastIndex(p.url, "/")+1:], nil), &page)
	s.bank.Deliveries().Set(sandbox.Behaviour{Copies: 10})
	s.bank.call(t, http.MethodPost, "/v1/refunds", url.Values{"payment_intent": {page.Intent}})
	s.becomes(t, p, "refunded")
}

// A refund after the grants takes them all back: every license and key of the order is revoked, the ledger is at zero, and
// one credit note says so.
func TestW11_RefundAfterGrants(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		p := s.pays(t, 2, sandbox.CardSucceeds)
		s.refunded(t, p)
		s.exactly(t, p, account{Licenses: 2, Keys: 2, Grants: 4, Receipts: 1, CreditNotes: 1})
		if n := number(t, s.rows, `SELECT count(*) FROM api_key k JOIN order_grant g ON g.object_id = k.id WHERE g.order_id = $1 AND k.revoked_at IS NULL`, p.id); n != 0 {
			t.Errorf("%d keys of the refunded order still work", n)
		}
	})
}

// A payment that is not what was ordered (amount, currency, quantity, name, one line more, forged between shop and
// provider) gives nothing: the order is parked for a person.
func TestW13_ForgedPaymentIsParked(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(url.Values){
		"amount":   func(f url.Values) { f.Set("line_items[0][price_data][unit_amount]", "1") },
		"currency": func(f url.Values) { f.Set("line_items[0][price_data][currency]", "usd") },
		"quantity": func(f url.Values) { f.Set("line_items[0][quantity]", "1") },
		"name":     func(f url.Values) { f.Set("line_items[0][price_data][product_data][name]", "Something cheap") },
		"one more": func(f url.Values) {
			for _, member := range []string{"[quantity]", "[price_data][currency]", "[price_data][unit_amount]", "[price_data][product_data][name]"} {
				f.Set("line_items[1]"+member, f.Get("line_items[0]"+member))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
				struck := false
				s.bank.rewriteForm(func(f url.Values) {
					struck = f.Has("line_items[0][quantity]")
					forge(f)
				})
				p := s.pays(t, 2, sandbox.CardSucceeds)
				s.bank.onRequest(nil)
				if !struck {
					t.Fatal("the forger saw no session")
				}
				s.becomes(t, p, "parked")
				if c, err := p.look(t.Context()); err != nil || c.State != "parked" || len(c.Grants) != 0 {
					t.Errorf("the buyer sees %+v (%v)", c, err)
				}
				s.exactly(t, p, account{})
				if n := number(t, s.rows, `SELECT count(*) FROM notice WHERE template = 'order_parked' AND subject = $1`, p.id); n != 1 {
					t.Errorf("%d notices of the parked order, want 1", n)
				}
			})
		})
	}
}
