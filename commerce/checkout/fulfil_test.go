package checkout_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// together runs n calls at the same moment and returns their errors.
func together(n int, do func() error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = do()
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// TestINV1_FulfilledOnceByThirtyTwo guarantees that thirty-two callers of Fulfil at once give exactly the grants of the paid units, one
// receipt, one sale in the ledger and one notice.
func TestINV1_FulfilledOnceByThirtyTwo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, 3)
		s.bank.pay(c.ID)
		for _, err := range together(32, func() error { return s.Fulfil(context.Background(), c.ID) }) {
			if err != nil {
				t.Errorf("a caller failed: %v", err)
			}
		}
		if l, k, r := s.count(t, `license`), s.count(t, `api_key`), s.count(t, `receipt`); l != 3 || k != 3 || r != 1 {
			t.Errorf("%d licenses, %d keys, %d receipts; want 3, 3, 1", l, k, r)
		}
		s.sound(t)
	})
}

// TestINV1_NaiveFulfilmentIsCaught guarantees that the race above would show a broken fulfilment: one that looks whether a grant exists
// and then inserts it, without unique key and conditional update, gives a paid unit more than once.
func TestINV1_NaiveFulfilmentIsCaught(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		if _, err := e.DB.Exec(t.Context(), `CREATE TABLE naive (id text NOT NULL, source text NOT NULL)`); err != nil {
			t.Fatal(err)
		}
		const callers = 32
		var looked sync.WaitGroup
		looked.Add(callers)
		naive := func() error {
			var n int
			err := e.DB.QueryRow(context.Background(), `SELECT count(*) FROM naive WHERE source = $1`, "orl_1/1/1").Scan(&n)
			looked.Done()
			looked.Wait() // the signing of a license takes that long
			if err != nil || n > 0 {
				return err
			}
			return e.DB.InTx(context.Background(), func(ctx context.Context) error {
				_, err := e.DB.Exec(ctx, `INSERT INTO naive (id, source) VALUES ($1, $2)`, e.IDs.New("lic"), "orl_1/1/1")
				return err
			})
		}
		for _, err := range together(callers, naive) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := rows(t, e.DB, `naive`); n < 2 {
			t.Errorf("the naive version gave %d: the race does not race", n)
		}
	})
}

func rows(t *testing.T, d db.DB, table string) (n int) {
	t.Helper()
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestC09_RedirectGivesNothing guarantees that visiting the page one returns to gives nothing without a payment.
func TestC09_RedirectGivesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t, storetest.SQLite(t))
	c := s.order(t, 1)
	for range 3 {
		s.Clock.Advance(2 * time.Second)
		got := must(s.Get(s.guest, checkout.GetRequest{ID: c.ID, Access: c.Access}))(t)
		if got.State != order.Pending || len(got.Grants) != 0 || got.Receipt != nil {
			t.Fatalf("%+v", got)
		}
	}
	if n := s.count(t, `license`) + s.count(t, `api_key`) + s.count(t, `ledger_entry`); n != 0 {
		t.Errorf("%d objects were made", n)
	}
}

// TestC10_ForeignCheckoutIsNotFound guarantees that an order shows to its access code, its customer and staff, and is not there for
// anybody else, with one and the same answer.
func TestC10_ForeignCheckoutIsNotFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		mine, other := s.order(t, 1), s.order(t, 1)
		eve := as(t.Context(), licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"})
		nobody := as(t.Context(), licensing.Actor{Kind: licensing.Customer, ID: "cus_x"})
		for name, try := range map[string]func() error{
			"other's code": func() error {
				_, err := s.Get(s.guest, checkout.GetRequest{ID: mine.ID, Access: other.Access})
				return err
			},
			"other's order": func() error {
				_, err := s.Get(s.guest, checkout.GetRequest{ID: other.ID, Access: mine.Access})
				return err
			},
			"no code":      func() error { _, err := s.Get(s.guest, checkout.GetRequest{ID: mine.ID}); return err },
			"empty order":  func() error { _, err := s.Get(s.guest, checkout.GetRequest{Access: mine.Access}); return err },
			"customer":     func() error { _, err := s.Get(eve, checkout.GetRequest{ID: mine.ID}); return err },
			"no owner":     func() error { _, err := s.Get(nobody, checkout.GetRequest{ID: mine.ID}); return err },
			"reveal":       func() error { _, err := s.Reveal(eve, checkout.RevealRequest{ID: mine.ID}); return err },
			"staff reveal": func() error { _, err := s.Reveal(s.staff, checkout.RevealRequest{ID: mine.ID}); return err },
			"receipt":      func() error { _, err := s.Receipt(eve, checkout.ReceiptRequest{ID: mine.ID}); return err },
			"order":        func() error { _, err := s.orders.Get(eve, order.GetRequest{ID: mine.ID}); return err },
		} {
			if err := try(); !errors.Is(err, licensing.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		must(s.Get(s.staff, checkout.GetRequest{ID: mine.ID}))(t)
		if list := must(s.orders.List(eve, order.ListRequest{Owner: s.load(t, mine.ID).Owner}))(t); len(list.Items) != 0 {
			t.Error("a customer lists somebody else's orders")
		}
	})
}

// apply applies an event the way the intake does: prepared outside, committed in a transaction.
func (s *shop) apply(t *testing.T, e payment.Event) {
	t.Helper()
	commit, err := s.Applier().Apply(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store.InTx(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
}

// TestW09_SecondEventOfOneOrderGivesNothingMore guarantees that different events about one order, completed and then
// async_payment_succeeded, give its grants once.
func TestW09_SecondEventOfOneOrderGivesNothingMore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, 1)
		s.bank.pay(c.ID)
		session := s.load(t, c.ID).Session
		s.apply(t, payment.Event{ID: "evt_1", Type: "checkout.session.completed", Object: session, ObjectKind: "checkout.session", Order: c.ID})
		s.apply(t, payment.Event{ID: "evt_2", Type: "checkout.session.async_payment_succeeded", Object: session, ObjectKind: "checkout.session"})
		s.apply(t, payment.Event{ID: "evt_3", Type: "charge.succeeded", Object: "ch_" + c.ID, ObjectKind: "charge"})
		if n := s.count(t, `license`); n != 1 {
			t.Errorf("%d licenses", n)
		}
		s.sound(t)
	})
}

// TestW12_UnpaidGivesNothing guarantees that a completed page without money waits for it, with a word to the buyer, and that the order
// is fulfilled when it comes and closed when it fails.
func TestW12_UnpaidGivesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		comes, fails := s.order(t, 1), s.order(t, 1)
		look := func(id string, want order.State) {
			t.Helper()
			if err := s.Fulfil(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if got := s.load(t, id).State; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		for _, c := range []checkout.Checkout{comes, fails} {
			s.bank.set(c.ID, func(p *payment.Session) { p.Status = payment.SessionComplete })
			look(c.ID, order.AwaitingFunds)
			look(c.ID, order.AwaitingFunds)
		}
		if n, m := s.count(t, `license`), s.mail.sent("awaiting_funds"); n != 0 || m != 2 {
			t.Errorf("%d licenses, %d mails", n, m)
		}
		s.bank.pay(comes.ID)
		look(comes.ID, order.Fulfilled)
		s.bank.set(fails.ID, func(p *payment.Session) { p.Failed = true })
		look(fails.ID, order.Closed)
		s.sound(t)
	})
}

// TestW13_ForgedPaymentIsParked guarantees that a payment which is not what was ordered, in any respect, gives nothing: the order is
// parked and people are alerted, and stays so however often it is looked at.
func TestW13_ForgedPaymentIsParked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		alerts := 0
		s := newShop(t, e, func(d *checkout.Deps) {
			d.Alert = func(_ context.Context, code, _ string) {
				if code == "order-parked" {
					alerts++
				}
			}
		})
		forgeries := map[string]func(*payment.Session){
			"total":    func(p *payment.Session) { p.Total = 1 },
			"subtotal": func(p *payment.Session) { p.Subtotal-- },
			"currency": func(p *payment.Session) { p.Currency = "JPY" },
			"discount": func(p *payment.Session) { p.Discount = 3999; p.Total = 1 },
			"tax":      func(p *payment.Session) { p.Tax = 5 },
			"quantity": func(p *payment.Session) {
				p.Lines = []payment.Line{{Name: p.Lines[0].Name, Unit: p.Lines[0].Unit, Quantity: 1}}
			},
			"unit":      func(p *payment.Session) { p.Lines = []payment.Line{{Name: p.Lines[0].Name, Unit: eur(1), Quantity: 2}} },
			"name":      func(p *payment.Session) { p.Lines = []payment.Line{{Name: "Other", Unit: eur(2000), Quantity: 2}} },
			"no lines":  func(p *payment.Session) { p.Lines = nil },
			"line more": func(p *payment.Session) { p.Lines = append(p.Lines[:1:1], p.Lines[0]) },
			"order":     func(p *payment.Session) { p.Order = "ord_other" },
			"mode":      func(p *payment.Session) { p.Live = false },
			"free":      func(p *payment.Session) { p.Payment = payment.NoPaymentNeed },
		}
		for name, forge := range forgeries {
			c := s.order(t, 2)
			s.bank.pay(c.ID)
			s.bank.set(c.ID, forge)
			for range 2 {
				if err := s.Fulfil(t.Context(), c.ID); err != nil {
					t.Fatal(err)
				}
			}
			if o := s.load(t, c.ID); o.State != order.Parked || o.Reason == "" {
				t.Errorf("%s: %s %q", name, o.State, o.Reason)
			}
		}
		if n := s.count(t, `license`) + s.count(t, `ledger_entry WHERE account NOT LIKE 'stray:%'`) + s.count(t, `receipt`); n != 0 {
			t.Errorf("%d objects were made", n)
		}
		if alerts != len(forgeries) || s.mail.sent("order_parked") != len(forgeries) {
			t.Errorf("%d alerts, %d mails for %d forgeries", alerts, s.mail.sent("order_parked"), len(forgeries))
		}
		s.sound(t)
	})
}

// TestW20_SweeperFindsPaymentsWithoutDeliveries guarantees that a payment of which no delivery ever arrived is found days later and
// fulfilled once, that what was never paid is closed, and that one order's failure does not stop the others.
func TestW20_SweeperFindsPaymentsWithoutDeliveries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		paid, expired := s.order(t, 1), s.order(t, 1)
		s.bank.before = func(string) error { return payment.ErrUnknown }
		_, err := s.Create(s.guest, s.basket(1)) // never gets a page
		refused(t, err, licensing.Unavailable, "payment-provider-away")
		s.Clock.Advance(72 * time.Hour)
		if _, err := s.Sweep(t.Context()); err == nil {
			t.Error("a sweep without the provider reports no failure")
		}
		s.bank.before = nil
		s.bank.pay(paid.ID)
		s.bank.set(expired.ID, func(p *payment.Session) { p.Status = payment.SessionExpired })
		s.Clock.Advance(time.Minute)
		if n, err := s.Sweep(t.Context()); n != 0 || err != nil {
			t.Fatalf("looked at %d old orders again after a minute: %v", n, err)
		}
		s.Clock.Advance(5 * time.Minute)
		if n, err := s.Sweep(t.Context()); n != 3 || err != nil {
			t.Fatalf("looked at %d: %v", n, err)
		}
		if n, err := s.Sweep(t.Context()); n != 0 || err != nil {
			t.Fatalf("then looked at %d: %v", n, err)
		}
		if got := s.load(t, paid.ID).State; got != order.Fulfilled {
			t.Errorf("paid order is %s", got)
		}
		if n := s.count(t, `orders WHERE state = 'closed'`); n != 2 {
			t.Errorf("%d closed, want 2", n)
		}
		if n := s.count(t, `license`); n != 1 {
			t.Errorf("%d licenses", n)
		}
		s.sound(t)
	})
}

// TestINV2_GrantsQueueWhileSwitchedOff guarantees that with licensing off a paid order keeps its grants queued and listed, and that the
// sweeper gives them when it is on again; meanwhile the checker finds nothing wrong only while the switch is off.
func TestINV2_GrantsQueueWhileSwitchedOff(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		c := s.order(t, 1)
		s.bank.pay(c.ID)
		s.killed.set(licensing.SwitchLicensing, true)
		if err := s.Fulfil(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		list := must(s.orders.List(s.staff, order.ListRequest{State: order.Paid}))(t)
		if len(list.Items) != 1 || list.Items[0].Reason == "" || s.count(t, `license`) != 0 {
			t.Fatalf("%+v", list.Items)
		}
		s.Clock.Advance(2 * time.Minute)
		violations := must(s.Store.OrderViolations(t.Context(), s.Clock.Now()))(t)
		if len(violations) != 1 || violations[0].Invariant != "INV2" {
			t.Errorf("without a switch that is off the checker says %v", violations)
		}
		s.killed.set(licensing.SwitchLicensing, false)
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.load(t, c.ID); got.State != order.Fulfilled || s.count(t, `receipt`) != 1 {
			t.Errorf("%s", got.State)
		}
		s.sound(t)
	})
}
