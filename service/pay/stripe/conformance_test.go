package stripe_test

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/pay/stripe"
)

// TestOpenAndPay guarantees that a session says exactly what the order said, that paying it turns it complete and paid with the
// charge known, and that the buyer is sent to the success address with the session's id.
func TestOpenAndPay(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := s.request("ord_1")
	c := s.open(r)
	if c.Status != payment.SessionOpen || c.Payment != payment.Unpaid || c.Order != "ord_1" || c.Total != 7000 || c.Subtotal != 7000 || c.Currency != "EUR" || c.Live || c.Email != "buyer@example.com" {
		t.Fatalf("opened %+v", c)
	}
	if !reflect.DeepEqual(c.Lines, r.Lines) {
		t.Errorf("lines are %+v", c.Lines)
	}
	if !strings.HasPrefix(c.URL, s.server.URL+"/pay/cs_test_") {
		t.Errorf("url is %q", c.URL)
	}
	if status, to := s.pay(c, sandbox.CardSucceeds); status != 303 || to != "https://shop.example/thanks?session="+c.ID {
		t.Fatalf("paying answered %d to %q", status, to)
	}
	if got := s.flush(); !slices.Equal(got, []string{"checkout.session.completed"}) {
		t.Errorf("delivered %v", got)
	}
	p := s.session(c.ID)
	if p.Status != payment.SessionComplete || p.Payment != payment.Paid || p.Intent == "" || p.Charge == "" || p.URL != "" || p.Failed || p.Email != "payer@example.com" {
		t.Fatalf("paid %+v", p)
	}
	if found, err := s.gateway.FindSession(t.Context(), "ord_1", s.clock().Add(-time.Hour)); err != nil || !reflect.DeepEqual(found, p) {
		t.Errorf("found %+v, %v", found, err)
	}
	if _, err := s.gateway.FindSession(t.Context(), "ord_2", s.clock().Add(-time.Hour)); !errors.Is(err, payment.ErrNoObject) {
		t.Errorf("found an order that was never opened: %v", err)
	}
	if s.gateway.Env() != licensing.Test {
		t.Error("a test key makes live licenses")
	}
}

// TestDeclined guarantees that a declined card leaves the session open and unpaid, and that the next attempt can succeed.
func TestDeclined(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := s.open(s.request("ord_1"))
	if status, _ := s.pay(c, sandbox.CardDeclined); status != 402 {
		t.Fatalf("a declined card answered %d", status)
	}
	if p := s.session(c.ID); p.Status != payment.SessionOpen || p.Payment != payment.Unpaid || p.Charge != "" || p.Failed {
		t.Fatalf("after the decline %+v", p)
	}
	if got := s.flush(); len(got) != 0 {
		t.Errorf("delivered %v", got)
	}
	if status, _ := s.pay(c, sandbox.CardSucceeds); status != 303 {
		t.Fatalf("the second attempt answered %d", status)
	}
	if p := s.session(c.ID); p.Payment != payment.Paid || p.Charge == "" {
		t.Errorf("after the second attempt %+v", p)
	}
}

// TestW12_DelayedPayment guarantees that a delayed payment is complete and unpaid, without a charge, until the money has come or
// failed, and that each end is told by its own event.
func TestW12_DelayedPayment(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]struct {
		event   string
		payment payment.PaymentStatus
		failed  bool
	}{
		sandbox.DebitSucceeds: {"checkout.session.async_payment_succeeded", payment.Paid, false},
		sandbox.DebitFails:    {"checkout.session.async_payment_failed", payment.Unpaid, true},
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			c := s.open(s.request("ord_1"))
			if status, _ := s.pay(c, method); status != 303 {
				t.Fatalf("paying answered %d", status)
			}
			if got := s.flush(); !slices.Equal(got, []string{"checkout.session.completed"}) {
				t.Errorf("delivered at once %v", got)
			}
			if p := s.session(c.ID); p.Status != payment.SessionComplete || p.Payment != payment.Unpaid || p.Charge != "" || p.Failed {
				t.Fatalf("on the way %+v", p)
			}
			s.pass(10 * time.Second)
			if got := s.flush(); !slices.Equal(got, []string{want.event}) {
				t.Errorf("delivered later %v", got)
			}
			if p := s.session(c.ID); p.Payment != want.payment || p.Failed != want.failed || (p.Charge == "") != want.failed {
				t.Errorf("in the end %+v", p)
			}
		})
	}
}

// TestExpire guarantees that a session ends by time or by call, with one event, cannot be paid afterwards, and that expiring
// what is paid changes nothing.
func TestExpire(t *testing.T) {
	t.Parallel()
	s := open(t)
	byTime, byCall, paid := s.open(s.request("ord_1")), s.open(s.request("ord_2")), s.open(s.request("ord_3"))
	s.pay(paid, sandbox.CardSucceeds)
	s.flush()
	for _, c := range []payment.Session{byCall, byCall} {
		if p, err := s.gateway.ExpireSession(t.Context(), c.ID); err != nil || p.Status != payment.SessionExpired {
			t.Fatalf("expired to %+v, %v", p, err)
		}
	}
	if p, err := s.gateway.ExpireSession(t.Context(), paid.ID); err != nil || p.Payment != payment.Paid || p.Status != payment.SessionComplete {
		t.Errorf("expiring a paid session gave %+v, %v", p, err)
	}
	s.pass(time.Hour)
	if got := s.flush(); !slices.Equal(got, []string{"checkout.session.expired", "checkout.session.expired"}) {
		t.Errorf("delivered %v", got)
	}
	for _, c := range []payment.Session{byTime, byCall} {
		if status, _ := s.pay(c, sandbox.CardSucceeds); status != 200 {
			t.Errorf("paying an expired session answered %d", status)
		}
		if p := s.session(c.ID); p.Status != payment.SessionExpired || p.Payment != payment.Unpaid || p.URL != "" {
			t.Errorf("expired %+v", p)
		}
	}
	if _, err := s.gateway.ExpireSession(t.Context(), "cs_test_nothing"); !errors.Is(err, payment.ErrNoObject) {
		t.Errorf("expiring nothing gave %v", err)
	}
}

// TestDiscount guarantees that a discount reaches the session to the cent, that repeating the call makes neither a second
// coupon nor a second session, and that a full discount needs no payment.
func TestDiscount(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := s.request("ord_1")
	r.Discount = money.New(333, "EUR")
	c, again := s.open(r), s.open(r)
	if c.ID != again.ID || c.Discount != 333 || c.Total != 6667 || c.Subtotal != 7000 {
		t.Fatalf("opened %+v and %+v", c, again)
	}
	s.pass(25 * time.Hour) // the provider has forgotten the keys; the coupon's own id has not
	r.ExpiresAt = s.clock().Add(time.Hour)
	if late := s.open(r); late.Discount != 333 || late.ID == c.ID {
		t.Errorf("opened late %+v", late)
	}
	free := s.request("ord_2")
	free.Discount = money.New(7000, "EUR")
	c = s.open(free)
	if status, _ := s.pay(c, ""); status != 303 || c.Total != 0 {
		t.Fatalf("completing a free order answered %d", status)
	}
	if p := s.session(c.ID); p.Payment != payment.NoPaymentNeed || p.Intent != "" || p.Status != payment.SessionComplete {
		t.Errorf("free order %+v", p)
	}
}

// TestRefund guarantees that refunds are made once each, whatever is repeated and however late, that equal partial refunds
// stay apart, and that no more can be returned than was paid.
func TestRefund(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := s.open(s.request("ord_1"))
	s.pay(c, sandbox.CardSucceeds)
	s.flush()
	intent := s.session(c.ID).Intent
	back := func(id string, minor int64) (payment.Refund, error) {
		return s.gateway.Refund(t.Context(), payment.RefundRequest{Key: "mintreu:refund:" + id + ":0", Intent: intent, Amount: money.New(minor, "EUR"), Refund: id, Reason: "requested_by_customer"})
	}
	one, err := back("ref_1", 2000)
	if err != nil || one.Status != "succeeded" || one.Amount != money.New(2000, "EUR") || one.Refund != "ref_1" || one.Intent != intent {
		t.Fatalf("refunded %+v, %v", one, err)
	}
	s.pass(48 * time.Hour)
	if again, err := back("ref_1", 2000); err != nil || again.ID != one.ID {
		t.Errorf("repeated two days later: %+v, %v", again, err)
	}
	if two, err := back("ref_2", 2000); err != nil || two.ID == one.ID {
		t.Errorf("an equal second refund: %+v, %v", two, err)
	}
	if _, err := back("ref_3", 3001); !errors.Is(err, payment.ErrRefused) {
		t.Errorf("returned more than was paid: %v", err)
	}
	if p := s.session(c.ID); p.Refunded != 4000 {
		t.Errorf("refunded so far %d", p.Refunded)
	}
	if got := s.flush(); slices.Index(got, "charge.refunded") < 0 || len(got) != 4 {
		t.Errorf("delivered %v", got)
	}
	if found, err := s.gateway.FindRefund(t.Context(), intent, "ref_1"); err != nil || found.ID != one.ID {
		t.Errorf("found %+v, %v", found, err)
	}
	if _, err := s.gateway.FindRefund(t.Context(), intent, "ref_9"); !errors.Is(err, payment.ErrNoObject) {
		t.Errorf("found what was never refunded: %v", err)
	}
}

// TestDispute guarantees that a session tells whether its payment is disputed: while the dispute is open and when it is lost,
// which it says too, not when it is won; and that a disputed payment is not refunded.
func TestDispute(t *testing.T) {
	t.Parallel()
	for decision, want := range map[string]bool{"won": false, "lost": true} {
		t.Run(decision, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			c := s.open(s.request("ord_1"))
			s.pay(c, sandbox.CardSucceeds)
			s.flush()
			paid := s.session(c.ID)
			if status, body := s.call("POST", "/control/charges/"+paid.Charge+"/dispute", ""); status != 200 {
				t.Fatalf("disputing answered %d %s", status, body)
			}
			if got := s.session(c.ID); !got.Disputed || got.Lost {
				t.Errorf("an open dispute: disputed %t, lost %t", got.Disputed, got.Lost)
			}
			_, err := s.gateway.Refund(t.Context(), payment.RefundRequest{Key: "k", Intent: paid.Intent, Amount: money.New(1, "EUR"), Refund: "ref_1"})
			if !errors.Is(err, payment.ErrRefused) {
				t.Errorf("a refund while disputed gave %v", err)
			}
			_, list := s.call("GET", "/v1/disputes?charge="+paid.Charge, "")
			id := regexp.MustCompile(`dp_[0-9a-f]+`).FindString(list)
			if status, body := s.call("POST", "/control/disputes/"+id+"/decide", "outcome="+decision); status != 200 {
				t.Fatalf("deciding answered %d %s", status, body)
			}
			if got := s.session(c.ID); got.Disputed != want || got.Lost != want {
				t.Errorf("%s: disputed is %t, lost is %t", decision, got.Disputed, got.Lost)
			}
			if got := s.flush(); !slices.Equal(got, []string{"charge.dispute.created", "charge.dispute.closed"}) && !slices.Equal(got, []string{"charge.dispute.closed", "charge.dispute.created"}) {
				t.Errorf("delivered %v", got)
			}
		})
	}
}

// TestSameKey guarantees that a key used again gives the same session for the same order, and is refused for another.
func TestSameKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := s.request("ord_1")
	c, again := s.open(r), s.open(r)
	if c.ID != again.ID {
		t.Errorf("one key opened %s and %s", c.ID, again.ID)
	}
	r.Lines[0].Unit.Minor++
	if _, err := s.gateway.OpenSession(t.Context(), r); !errors.Is(err, payment.ErrRefused) {
		t.Errorf("the key of another request gave %v", err)
	}
}

// TestCurrencies guarantees that amounts survive the way to the provider and back in currencies with no, two and three
// decimals and in those where Stripe counts otherwise than ISO 4217, and that what Stripe cannot charge is refused at once.
func TestCurrencies(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, a := range []money.Amount{money.New(500, "JPY"), money.New(1990, "KWD"), money.New(1200, "ISK"), money.New(9000, "UGX"), money.New(500, "MGA")} {
		r := s.request("ord_" + string(a.Currency))
		r.Lines = []payment.Line{{Name: "Thing", Unit: a, Quantity: 3}}
		if c := s.open(r); c.Total != 3*a.Minor || c.Currency != a.Currency || c.Lines[0].Unit != a {
			t.Errorf("%s came back as %+v", a, c)
		}
	}
	r := s.request("ord_odd")
	r.Lines = []payment.Line{{Name: "Thing", Unit: money.New(1991, "KWD"), Quantity: 1}}
	if _, err := s.gateway.OpenSession(t.Context(), r); !errors.Is(err, payment.ErrRefused) {
		t.Errorf("a third decimal of a dinar gave %v", err)
	}
}

// TestManyLines guarantees that a session with more lines than one page holds is read whole and in order.
func TestManyLines(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := s.request("ord_1")
	r.Lines = nil
	for i := range 37 {
		r.Lines = append(r.Lines, payment.Line{Name: fmt.Sprintf("Item %d", i), Unit: money.New(int64(100+i), "EUR"), Quantity: int64(i%3 + 1)})
	}
	if c := s.open(r); !reflect.DeepEqual(c.Lines, r.Lines) {
		t.Errorf("lines are %+v", c.Lines)
	}
}

// TestEvents guarantees that the list of events is walked over several pages, oldest first, and can be taken in portions.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := open(t)
	start := s.clock()
	var want []string
	for i := range 130 {
		s.pass(time.Second)
		c := s.open(s.request(fmt.Sprintf("ord_%03d", i)))
		want = append(want, c.ID)
		if _, err := s.gateway.ExpireSession(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.gateway.Events(t.Context(), start, 1000)
	if err != nil || len(all) != 130 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	for i, e := range all {
		if e.Object != want[i] || e.Order != fmt.Sprintf("ord_%03d", i) || e.Type != "checkout.session.expired" || e.ObjectKind != "checkout.session" || e.APIVersion != stripe.Version {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
	some, err := s.gateway.Events(t.Context(), start.Add(11*time.Second), 7)
	if err != nil || len(some) != 7 || some[0].ID != all[10].ID || some[6].ID != all[16].ID {
		t.Errorf("a portion of %d, %v", len(some), err)
	}
}

// TestCheck guarantees that a good set-up passes, and that a wrong key, a wrong account, an unknown webhook endpoint and one of
// another API version are each told apart as the operator's to mend.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.gateway.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.adapter(stripe.Config{Account: "acct_sandbox"}).Check(t.Context()); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]stripe.Config{
		"key":      {Key: "sk_test_somebodyelse0000"},
		"account":  {Account: "acct_other"},
		"endpoint": {WebhookURL: "https://shop.example/other"},
	} {
		if err := s.adapter(c).Check(t.Context()); !errors.Is(err, payment.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.call("POST", "/v1/webhook_endpoints", "url=https%3A%2F%2Fshop.example%2Fold&enabled_events[0]=*&api_version=2020-08-27")
	if err := s.adapter(stripe.Config{WebhookURL: "https://shop.example/old"}).Check(t.Context()); !errors.Is(err, payment.ErrConfig) || !strings.Contains(err.Error(), "2020-08-27") {
		t.Errorf("an endpoint of an old version: %v", err)
	}
}
