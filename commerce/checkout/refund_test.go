package checkout_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestW11_RefundBeforeCompletion guarantees that an order whose money went back before we heard of its payment never has an active
// license: the ledger shows sale and refund, nothing is given, and a later look changes nothing.
func TestW11_RefundBeforeCompletion(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, 1)
		if _, err := s.Applier().Apply(t.Context(), payment.Event{Type: "charge.refunded", ObjectKind: "charge", Object: "ch_" + c.ID}); !errors.Is(err, payment.ErrPending) {
			t.Errorf("a charge not known yet: %v, want ErrPending", err)
		}
		s.bank.pay(c.ID)
		s.bank.set(c.ID, func(p *payment.Session) { p.Refunded = 2000 })
		for range 2 {
			if err := s.Fulfil(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
		}
		if o := s.load(t, c.ID); o.State != order.Refunded || o.Refunded != 2000 {
			t.Errorf("%s, refunded %d", o.State, o.Refunded)
		}
		if n := s.count(t, `license`) + s.count(t, `api_key`); n != 0 {
			t.Errorf("%d objects were given", n)
		}
		s.sound(t)
	})
}

// TestW11_RefundAfterFulfilmentRevokes guarantees that a full refund revokes every grant and that partial ones only move money, each once
// and together exactly the sale.
func TestW11_RefundAfterFulfilmentRevokes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, 1)
		s.bank.pay(c.ID)
		for _, refunded := range []int64{0, 700, 700, 1999, 2000, 2000} {
			s.bank.set(c.ID, func(p *payment.Session) { p.Refunded = refunded })
			if err := s.Fulfil(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
			wantActive := 1
			if refunded == 2000 {
				wantActive = 0
			}
			if n := s.count(t, `license WHERE state = 'active'`); n != wantActive {
				t.Errorf("refunded %d: %d active licenses", refunded, n)
			}
			if n := s.count(t, `api_key WHERE revoked_at IS NULL`); n != wantActive {
				t.Errorf("refunded %d: %d live keys", refunded, n)
			}
			s.sound(t)
		}
		for _, b := range must(s.Store.Balances(t.Context()))(t) {
			if b.Amount.Minor != 0 {
				t.Errorf("%s is left with %s", b.Account, b.Amount)
			}
		}
	})
}

// TestW11_DisputeSuspendsAndItsEndReinstates guarantees that a disputed payment leaves no active grant, before or after fulfilment, and
// that a dispute that ends well gives back what was held.
func TestW11_DisputeSuspendsAndItsEndReinstates(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		before, after := s.order(t, 1), s.order(t, 1)
		dispute := func(id string, on bool) {
			s.bank.set(id, func(p *payment.Session) { p.Disputed = on })
			if err := s.Fulfil(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			s.sound(t)
		}
		active := func() int {
			return s.count(t, `license WHERE state = 'active'`) + s.count(t, `api_key WHERE disabled_at IS NULL AND held_at IS NULL AND disputed_at IS NULL`)
		}
		s.bank.pay(before.ID)
		dispute(before.ID, true)
		if n := s.count(t, `license`); n != 0 || s.load(t, before.ID).State != order.Paid {
			t.Errorf("%d licenses of a payment disputed before completion", n)
		}
		s.bank.pay(after.ID)
		dispute(after.ID, false)
		dispute(after.ID, true)
		if n := active(); n != 0 {
			t.Errorf("%d active while disputed", n)
		}
		if err := store.MigrateDown(t.Context(), s.DB, 61); err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context(), s.DB); err != nil {
			t.Fatal(err)
		}
		if n := s.count(t, `license WHERE disputed_at IS NOT NULL AND held_at IS NULL AND state = 'suspended'`); n != s.count(t, `license`) {
			t.Errorf("%d licenses are disputed for the program after that knew one mark alone", n)
		}
		dispute(after.ID, false)
		dispute(before.ID, false)
		if n := active(); n != 4 {
			t.Errorf("%d active after the disputes, want 4", n)
		}
	})
}

// TestRevealShowsEachKeyOnce guarantees that an API key is shown by the first reveal and never again, and that the kept copy is gone.
func TestRevealShowsEachKeyOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, 2)
		s.bank.pay(c.ID)
		if err := s.Fulfil(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		shown := map[string]int{}
		for _, err := range together(8, func() error {
			got, err := s.Reveal(as(context.Background(), licensing.Actor{Kind: licensing.Anonymous}), checkout.RevealRequest{ID: c.ID, Access: c.Access})
			mu.Lock()
			defer mu.Unlock()
			for _, k := range got.Keys {
				shown[k.Key]++
			}
			return err
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		if len(shown) != 2 {
			t.Errorf("shown %v", shown)
		}
		for key, n := range shown {
			if n != 1 {
				t.Errorf("%s was shown %d times", key, n)
			}
		}
		if n := s.count(t, `order_grant WHERE kind = 'apikey' AND sealed IS NOT NULL`); n != 0 {
			t.Errorf("%d keys are still kept", n)
		}
	})
}

// TestSandboxPaymentsMakeTestObjects guarantees that an order paid in test mode gives test licenses, test keys and a receipt of its own
// series.
func TestSandboxPaymentsMakeTestObjects(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t), func(d *checkout.Deps) { d.Gateway.(*bank).env = licensing.Test })
	c := s.order(t, 1)
	s.bank.pay(c.ID)
	if err := s.Fulfil(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if n := s.count(t, `license WHERE env = 'test'`) + s.count(t, `api_key WHERE env = 'test'`); n != 2 {
		t.Errorf("%d test objects, want 2", n)
	}
	if o := s.load(t, c.ID); o.Receipt != "T2026-000001" {
		t.Errorf("receipt %s", o.Receipt)
	}
	s.sound(t)
}

// TestW11_FailedRefundIsParked guarantees that money which comes back after a failed refund is in the ledger again, that what was revoked
// stays revoked, and that a person is asked.
func TestW11_FailedRefundIsParked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, 1)
		s.bank.pay(c.ID)
		for _, refunded := range []int64{0, 700, 2000, 700, 700, 2000, 700} {
			s.bank.set(c.ID, func(p *payment.Session) { p.Refunded = refunded })
			if err := s.Fulfil(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
			s.sound(t)
		}
		if o := s.load(t, c.ID); o.State != order.Parked || o.Refunded != 700 || s.mail.sent("order_parked") == 0 {
			t.Errorf("%s, refunded %d, %d mails", o.State, o.Refunded, s.mail.sent("order_parked"))
		}
		if n := s.count(t, `license WHERE state = 'active'`); n != 0 || s.count(t, `license`) != 1 {
			t.Errorf("%d active", n)
		}
	})
}

// TestW11_EventsOfMoneyFindTheirOrder guarantees that refunds and disputes, which name no order, are led to it by their charge or payment
// intent, and that those of an unknown one stay pending.
func TestW11_EventsOfMoneyFindTheirOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	c := s.order(t, 1)
	s.bank.pay(c.ID)
	if err := s.Fulfil(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	raw := func(member, id string) []byte {
		return []byte(`{"data":{"object":{"id":"x_1","` + member + `":"` + id + `"}}}`)
	}
	s.bank.set(c.ID, func(p *payment.Session) { p.Disputed = true })
	s.apply(t, payment.Event{Type: "charge.dispute.created", ObjectKind: "dispute", Object: "dp_1", Raw: raw("charge", "ch_"+c.ID)})
	if o := s.load(t, c.ID); o.Disputed != 2000 {
		t.Errorf("the dispute did not arrive: %d", o.Disputed)
	}
	s.bank.set(c.ID, func(p *payment.Session) { p.Disputed, p.Refunded = false, 2000 })
	s.apply(t, payment.Event{Type: "refund.updated", ObjectKind: "refund", Object: "re_1", Raw: raw("payment_intent", "pi_"+c.ID)})
	if o := s.load(t, c.ID); o.State != order.Refunded {
		t.Errorf("the refund did not arrive: %s", o.State)
	}
	for _, e := range []payment.Event{{Object: "re_2", Raw: raw("charge", "ch_other")}, {Object: "re_2", Raw: []byte(`{"data":{"object":{"charge":{"id":1}}}}`)}, {Object: ""}, {Order: "ord_other"}} {
		if _, err := s.Applier().Apply(t.Context(), e); !errors.Is(err, payment.ErrPending) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	s.sound(t)
}

// TestW11_RefundDuringFulfilment guarantees that a refund which becomes known while many fulfil the order leaves nothing active at rest,
// whoever saw what first.
func TestW11_RefundDuringFulfilment(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		for range 4 {
			c := s.order(t, 2)
			s.bank.pay(c.ID)
			var once sync.Once
			for _, err := range together(12, func() error {
				err := s.Fulfil(context.Background(), c.ID)
				once.Do(func() { s.bank.set(c.ID, func(p *payment.Session) { p.Refunded = p.Total }) })
				return errors.Join(err, s.Fulfil(context.Background(), c.ID))
			}) {
				if err != nil {
					t.Error(err)
				}
			}
			if err := s.Fulfil(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
			if o := s.load(t, c.ID); o.State != order.Refunded {
				t.Errorf("%s", o.State)
			}
		}
		if n := s.count(t, `license WHERE state = 'active'`) + s.count(t, `api_key WHERE revoked_at IS NULL`); n != 0 {
			t.Errorf("%d objects are active", n)
		}
		s.sound(t)
	})
}

// TestMachineTokenSeesItsProductOnly guarantees that a machine token narrowed to a product or an environment sees the orders within it and
// no other.
func TestMachineTokenSeesItsProductOnly(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	c := s.order(t, 1)
	for name, m := range map[string]struct {
		actor licensing.Actor
		sees  bool
	}{
		"wide":          {licensing.Actor{}, true},
		"this product":  {licensing.Actor{Product: s.product.ID, Env: licensing.Live}, true},
		"other product": {licensing.Actor{Product: "prod_other"}, false},
		"other env":     {licensing.Actor{Env: licensing.Test}, false},
	} {
		m.actor.Kind, m.actor.ID = licensing.Machine, "mtk_1"
		ctx := as(t.Context(), m.actor)
		_, err := s.orders.Get(ctx, order.GetRequest{ID: c.ID})
		list := must(s.orders.List(ctx, order.ListRequest{}))(t)
		if (err == nil) != m.sees || (len(list.Items) == 1) != m.sees {
			t.Errorf("%s: %v, %d listed", name, err, len(list.Items))
		}
		if _, err := s.orders.List(ctx, order.ListRequest{Product: "prod_x"}); m.actor.Product != "" && err == nil {
			t.Errorf("%s: lists another product", name)
		}
	}
}

// TestTimelineTellsTheStory guarantees that staff see each step of an order with its actor, that every transition is audited, and that
// staff see no keys.
func TestTimelineTellsTheStory(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	c := s.order(t, 1)
	s.bank.pay(c.ID)
	got := must(s.Redrive(s.staff, checkout.RedriveRequest{ID: c.ID}))(t)
	if got.State != order.Fulfilled || len(got.Grants) != 2 || got.Grants[0].Key+got.Grants[1].Key != "" {
		t.Errorf("redriven: %+v", got)
	}
	var kinds []string
	for _, e := range must(s.orders.Get(s.staff, order.GetRequest{ID: c.ID}))(t).Timeline {
		kinds = append(kinds, e.Kind+" by "+e.Actor)
	}
	want := []string{"created by anonymous", "session by anonymous", "redrive by staff:cus_boss", "paid by system:checkout.redrive", "fulfilled by system:checkout.redrive"}
	if strings.Join(kinds, "; ") != strings.Join(want, "; ") {
		t.Errorf("timeline: %v", kinds)
	}
	for _, action := range []string{"order.create", "order.session", "order.redrive", "order.fulfilled", "license.issue", "key.issue"} {
		if n := s.count(t, `audit WHERE action = $1`, action); n != 1 {
			t.Errorf("%s was audited %d times", action, n)
		}
	}
}
