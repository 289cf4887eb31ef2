package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestQ11_WhatThePaymentProviderTold guarantees that of what the payment provider told nothing is left that names a person who wants to be
// forgotten: of the person's orders, of those bought for an organisation, and where the event names the payment alone; that the rows themselves stay, what was told of others does, and
// what is still to be worked on keeps what it is found by.
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
			add("ch_1", "", ada+`}`, payment.Done), add("dp_1", "", ada+`,"charge":"ch_1"}`, payment.Done), add("re_1", "", ada+`,"payment_intent":"pi_2"}`, payment.Parked)}
		stays := []string{add("cs_10", other.ID, bob+`}`, payment.Done), add("dp_10", "", bob+`,"charge":"ch_10","payment_intent":"pi_10"}`, payment.Done), add("dp_2", "", ada+`,"charge":"ch_1"}`, payment.Pending)}
		p := account.Person{ID: "cus_ada", Email: "ada@example.com"}
		part := e.Store.Personal()[0]
		rows, err := part.ExportPerson(t.Context(), p)
		if text := fmt.Sprintf("%s", rows); err != nil || part.Name != "payments" || len(rows) != 2 || !strings.Contains(text, "ada@example.com") {
			t.Errorf("the export of %s has %s, %v", part.Name, text, err)
		}
		if err := e.Store.InTx(licensing.AsSystem(t.Context(), "test"), func(ctx context.Context) error {
			return part.ErasePerson(ctx, p, account.Pseudonym(p.ID), e.Clock.Now())
		}); err != nil {
			t.Fatal(err)
		}
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
