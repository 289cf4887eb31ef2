package checkout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestF34_RememberedFailureGetsANewKey guarantees that an order whose first attempt the provider failed, and remembers as failed, gets its
// page with the key of a second attempt, and one page in all.
func TestF34_RememberedFailureGetsANewKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		s.bank.remember = true
		s.bank.before = func(call string) error {
			if call == "open" {
				return payment.ErrUnknown
			}
			return nil
		}
		_, err := s.Create(s.guest, s.basket(1))
		refused(t, err, licensing.Unavailable, "payment-provider-away")
		s.bank.before = nil
		var id string
		if err := s.DB.QueryRow(t.Context(), `SELECT id FROM orders`).Scan(&id); err != nil {
			t.Fatal(err)
		}
		first := must(s.Again(s.guest, id, ""))(t)
		second := must(s.Again(s.guest, id, ""))(t)
		if first.URL == "" || first.URL != second.URL || s.bank.opened() != 1 {
			t.Errorf("pages %q and %q, %d were opened", first.URL, second.URL, s.bank.opened())
		}
		if key := s.bank.requests[0].Key; key != "mintreu:session:"+id+":2" {
			t.Errorf("key %q", key)
		}
		s.sound(t)
	})
}

// TestF34_LostReplyIsLookedUp guarantees that a page which was opened although its answer was lost is found and used: no second one.
func TestF34_LostReplyIsLookedUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		s.bank.after = func(call string) error {
			if call == "open" {
				return payment.ErrUnknown
			}
			return nil
		}
		c := s.order(t, 1)
		if c.URL == "" || s.bank.opened() != 1 || s.count(t, `checkout_session`) != 1 {
			t.Errorf("page %q, %d opened, %d attempts", c.URL, s.bank.opened(), s.count(t, `checkout_session`))
		}
		s.bank.after = nil
		s.bank.pay(c.ID)
		if err := s.Fulfil(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		s.sound(t)
	})
}

// TestF34_UnheardAttemptGetsANewKey guarantees that after a crash during the call the first key is used while the call may be under way, and
// a new one once it cannot be; and that an order that never had a page is closed when it is too late for one, which makes room for the next.
func TestF34_UnheardAttemptGetsANewKey(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	eve := licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"}
	crash := errors.New("crash")
	s.bank.before = func(string) error { return crash }
	for range 2 {
		_, err := s.Create(as(t.Context(), eve), s.basket(1))
		refused(t, err, licensing.Unavailable, "payment-provider-away")
	}
	s.Clock.Advance(2 * time.Minute)
	s.bank.before = func(call string) error {
		if call == "open" {
			return crash
		}
		return nil
	}
	_, err := s.Create(as(t.Context(), eve), s.basket(1))
	refused(t, err, licensing.Unavailable, "payment-provider-away")
	if n := s.count(t, `checkout_session`); n != 2 || s.count(t, `orders`) != 1 {
		t.Errorf("%d attempts at %d orders", n, s.count(t, `orders`))
	}
	s.bank.before = nil
	s.Clock.Advance(30 * time.Minute)
	c := must(s.Create(as(t.Context(), eve), s.basket(1)))(t)
	if c.URL == "" || s.count(t, `orders WHERE state = 'closed'`) != 1 || !strings.HasSuffix(s.bank.requests[0].Key, c.ID+":1") {
		t.Errorf("%+v, %d closed", c, s.count(t, `orders WHERE state = 'closed'`))
	}
}

// TestINV2_MoneyIsKeptWhenGrantsFail guarantees that money which arrives is written down even when its grants cannot be made: the order
// is paid, people are told, and the sweeper gives the grants once that works again.
func TestINV2_MoneyIsKeptWhenGrantsFail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		broken := &brokenGiver{}
		s := newShop(t, e, func(d *checkout.Deps) {
			broken.Giver = d.Givers[order.KindAPIKey]
			d.Givers[order.KindAPIKey] = broken
		})
		broken.err = errors.New("no signing key")
		c := s.order(t, 2)
		s.bank.pay(c.ID)
		for range 2 {
			if err := s.Fulfil(t.Context(), c.ID); !errors.Is(err, broken.err) {
				t.Fatalf("the failure is not told: %v", err)
			}
		}
		o := s.load(t, c.ID)
		if o.State != order.Paid || o.Captured != o.Total || o.Receipt == "" || s.count(t, `license`) != 0 || s.count(t, `ledger_entry`) == 0 {
			t.Errorf("%s, captured %d, receipt %q, %d licenses", o.State, o.Captured, o.Receipt, s.count(t, `license`))
		}
		s.Clock.Advance(2 * time.Minute)
		if since, found, err := s.Store.OldestUngranted(t.Context()); err != nil || !found || since.IsZero() {
			t.Errorf("the alert does not see it: %v %v", found, err)
		}
		broken.err = nil
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o := s.load(t, c.ID); o.State != order.Fulfilled || s.count(t, `license`) != 2 || s.count(t, `api_key`) != 2 || s.count(t, `receipt`) != 1 {
			t.Errorf("%s, %d licenses", o.State, s.count(t, `license`))
		}
		s.sound(t)
	})
}

// brokenGiver fails while err is set.
type brokenGiver struct {
	checkout.Giver
	err error
}

func (b *brokenGiver) Draft(ctx context.Context, u checkout.Unit) (checkout.Draft, error) {
	if b.err != nil {
		return checkout.Draft{}, b.err
	}
	return b.Giver.Draft(ctx, u)
}

// TestW13_UnknownStatusChangesNothing guarantees that a status of a payment which did not exist when this was written counts as neither
// paid nor failed.
func TestW13_UnknownStatusChangesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	for _, odd := range []func(*payment.Session){
		func(p *payment.Session) { p.Payment = "in_escrow" },
		func(p *payment.Session) { p.Status, p.Payment = "paused", payment.Paid },
	} {
		c := s.order(t, 1)
		s.bank.pay(c.ID)
		s.bank.set(c.ID, odd)
		if err := s.Fulfil(t.Context(), c.ID); err == nil {
			t.Error("nobody is told")
		}
		if o := s.load(t, c.ID); o.State != order.Pending || s.count(t, `license`) != 0 {
			t.Errorf("%s", o.State)
		}
	}
}
