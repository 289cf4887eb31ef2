package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestQ11_WhatThePaymentProviderTold guarantees that of what the payment provider told nothing is left that names a person who wants to be
// forgotten: of the person's orders, of those bought for an organisation, and where the event names the payment alone; that the rows themselves stay, what was told of others does, and
// what is still to be worked on is found by its order; and that nothing comes back by what the provider tells later.
func TestQ11_WhatThePaymentProviderTold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		own, firm, other := paidOrder(t, e), paidOrder(t, e), paidOrder(t, e)
		set := func(id, sql string, args ...any) {
			t.Helper()
			if _, err := e.DB.Exec(t.Context(), `UPDATE orders SET `+sql+` WHERE id = $1`, append([]any{id}, args...)...); err != nil {
				t.Fatal(err)
			}
		}
		set(own.ID, `owner = 'cus_ada', email = 'ada@example.com', session = 'cs_1', intent = 'pi_1', charge = 'ch_1'`)
		set(firm.ID, `owner = 'org_1', email = 'ada@example.com', intent = 'pi_2'`)
		set(other.ID, `owner = 'cus_bob', email = 'bob@example.com', intent = 'pi_10', charge = 'ch_10'`)
		n := 0
		add := func(object, order, body string, state payment.State) string {
			t.Helper()
			n++
			r := payment.Row{Event: payment.Event{ID: fmt.Sprintf("evt_%d", n), Type: "x", Object: object, ObjectKind: "x", Order: order, Created: e.Clock.Now(), Raw: []byte(body)},
				Origin: "delivery", ReceivedAt: e.Clock.Now(), NextTry: e.Clock.Now()}
			if _, err := e.Store.Payments().AddEvent(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if state != payment.Pending {
				if _, err := e.Store.Payments().Settle(t.Context(), r.ID, payment.Pending, state, "", e.Clock.Now()); err != nil {
					t.Fatal(err)
				}
			}
			return r.ID
		}
		const ada, bob = `{"email":"ada@example.com"`, `{"email":"bob@example.com"`
		gone := []string{add("cs_1", own.ID, ada+`}`, payment.Done), add("cs_1", own.ID, ada+`}`, payment.Pending), add("cs_2", firm.ID, ada+`}`, payment.Parked),
			add("ch_1", "", ada+`}`, payment.Done), add("dp_1", "", ada+`,"charge":"ch_1"}`, payment.Done), add("re_1", "", ada+`,"payment_intent":"pi_2"}`, payment.Parked),
			add("dp_2", "", ada+`,"charge":"ch_1"}`, payment.Pending)}
		stays := []string{add("cs_10", other.ID, bob+`}`, payment.Done), add("dp_10", "", bob+`,"charge":"ch_10","payment_intent":"pi_10"}`, payment.Done)}
		p := account.Person{ID: "cus_ada", Email: "ada@example.com"}
		part := e.Store.Personal()[0]
		rows, err := part.ExportPerson(t.Context(), p)
		if text := fmt.Sprintf("%s", rows); err != nil || part.Name != "payments" || len(rows) != 2 || !strings.Contains(text, "ada@example.com") {
			t.Errorf("the export of %s has %s, %v", part.Name, text, err)
		}
		if err := e.Store.InTx(licensing.AsSystem(t.Context(), "test"), func(ctx context.Context) error {
			for _, part := range e.Store.Personal() {
				if err := part.ErasePerson(ctx, p, account.Pseudonym(p.ID), e.Clock.Now()); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		of := func(member, id string) string {
			return `{"data":{"object":` + ada + `,"` + member + `":"` + id + `"}}}`
		}
		late := map[string]string{add("cs_1", own.ID, ada+`}`, payment.Pending): own.ID, add("ch_1", "", ada+`}`, payment.Pending): own.ID, add("cs_2", firm.ID, ada+`}`, payment.Parked): firm.ID,
			add("dp_3", "", of("charge", "ch_1"), payment.Pending): own.ID, add("re_3", "", of("payment_intent", "pi_2"), payment.Done): firm.ID}
		for id, order := range late {
			if r, err := e.Store.Payments().EventRow(t.Context(), id); err != nil || r.Order != order {
				t.Errorf("%s, which came later, is of the order %q, want %q (%v)", id, r.Order, order, err)
			}
			gone = append(gone, id)
		}
		if r, err := e.Store.Payments().EventRow(t.Context(), "evt_7"); err != nil || r.Order != own.ID {
			t.Errorf("what is still to be worked on is of the order %q (%v)", r.Order, err)
		}
		stays = append(stays, add("cs_10", other.ID, bob+`}`, payment.Pending), add("dp_11", "", `{"data":{"object":`+bob+`,"charge":"ch_10"}}}`, payment.Pending), add("dp_12", "", of("charge", "ch_99"), payment.Pending),
			add("", "", ada+`}`, payment.Pending))
		for _, id := range gone {
			if r, err := e.Store.Payments().EventRow(t.Context(), id); err != nil || string(r.Raw) != "{}" || r.ID != id {
				t.Errorf("%s is %s, %v", id, r.Raw, err)
			}
		}
		for _, id := range stays {
			if r, err := e.Store.Payments().EventRow(t.Context(), id); err != nil || len(r.Raw) < 5 {
				t.Errorf("%s is %s, %v", id, r.Raw, err)
			}
		}
		if err := store.MigrateDown(t.Context(), e.DB, 63); err != nil {
			t.Fatal(err)
		}
		if err := store.Migrate(t.Context(), e.DB); err != nil {
			t.Fatal(err)
		}
	})
}

// TestQ11_AnEventWhileItsBuyerIsErased guarantees that what the payment provider tells of an order at the moment at which its buyer is erased keeps no address: it
// waits until that is over.
func TestQ11_AnEventWhileItsBuyerIsErased(t *testing.T) {
	t.Parallel()
	e := storetest.Postgres(t) // SQLite's writers follow each other
	o := paidOrder(t, e)
	if _, err := e.DB.Exec(t.Context(), `UPDATE orders SET owner = 'cus_ada', email = 'ada@example.com' WHERE id = $1`, o.ID); err != nil {
		t.Fatal(err)
	}
	stored := make(chan error, 1)
	p := account.Person{ID: "cus_ada", Email: "ada@example.com"}
	if err := e.Store.InTx(licensing.AsSystem(t.Context(), "test"), func(ctx context.Context) error {
		for i, part := range e.Store.Personal() {
			if err := part.ErasePerson(ctx, p, account.Pseudonym(p.ID), e.Clock.Now()); err != nil || i > 0 {
				if err != nil {
					return err
				}
				continue
			}
			go func() {
				_, err := e.Store.Payments().AddEvent(context.Background(), payment.Row{Event: payment.Event{ID: "evt_1", Type: "x", Object: "cs_1", ObjectKind: "x", Order: o.ID,
					Created: e.Clock.Now(), Raw: []byte(`{"email":"ada@example.com"}`)}, Origin: "delivery", ReceivedAt: e.Clock.Now(), NextTry: e.Clock.Now()})
				stored <- err
			}()
			select {
			case err := <-stored: // nothing held it up
				stored <- err
			case <-time.After(300 * time.Millisecond): // it waits, as it should
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	if r, err := e.Store.Payments().EventRow(t.Context(), "evt_1"); err != nil || string(r.Raw) != "{}" {
		t.Errorf("%s, %v", r.Raw, err)
	}
}

// TestW08_ADeliveryOfWhatIsBeingAppliedHoldsNoOrder guarantees that a second delivery of an event leaves its order alone: whoever applies the event holds it
// and then takes the order, so a delivery that held the order while it waits for the event would wait for ever.
func TestW08_ADeliveryOfWhatIsBeingAppliedHoldsNoOrder(t *testing.T) {
	t.Parallel()
	e := storetest.Postgres(t) // SQLite's writers follow each other
	o := paidOrder(t, e)
	deliver := func(ctx context.Context) (bool, error) {
		return e.Store.Payments().AddEvent(ctx, payment.Row{Event: payment.Event{ID: "evt_1", Type: "x", Object: "cs_1", ObjectKind: "x", Order: o.ID,
			Created: e.Clock.Now(), Raw: []byte(`{}`)}, Origin: "delivery", ReceivedAt: e.Clock.Now(), NextTry: e.Clock.Now()})
	}
	if added, err := deliver(t.Context()); err != nil || !added {
		t.Fatal(added, err)
	}
	again := make(chan error, 1)
	if err := e.Store.InTx(t.Context(), func(ctx context.Context) error {
		if won, err := e.Store.Payments().Settle(ctx, "evt_1", payment.Pending, payment.Done, "", e.Clock.Now()); err != nil || !won {
			t.Error(won, err)
		}
		go func() {
			added, err := deliver(context.Background())
			if added {
				t.Error("the event was new")
			}
			again <- err
		}()
		waits := make(chan error, 1)
		go func() { // beside the transaction, which would see the same each time
			n, err := 0, error(nil)
			for n == 0 && err == nil {
				err = e.DB.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
			}
			waits <- err
		}()
		if err := <-waits; err != nil {
			return err
		}
		_, err := e.DB.Exec(ctx, `SELECT 1 FROM orders WHERE id = $1 FOR UPDATE NOWAIT`, o.ID)
		return err
	}); err != nil {
		t.Error(err)
	}
	if err := <-again; err != nil {
		t.Error(err)
	}
}
