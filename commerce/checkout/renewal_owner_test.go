package checkout_test

import (
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// giving is a shop whose customer eve has a license of thirty days that she may give away, as expiry says.
func giving(t *testing.T, e storetest.Env, expiry string) (*yearly, string) {
	t.Helper()
	y, bob := &yearly{shop: newShop(t, e)}, e.IDs.New("cus")
	if _, err := e.DB.Exec(t.Context(), `INSERT INTO customer (id, email, name, role, password, created_at, updated_at) VALUES ($1, 'bob@example.com', '', '', '', $2, $2)`, bob, e.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	must(y.licenses.CreatePolicy(y.staff, license.CreatePolicyRequest{ProductID: y.product.ID, Code: "month", Name: "Month",
		Terms: license.Terms{Type: doc.Timed, Duration: 30 * license.Day, UpdatesFor: 30 * license.Day, Seats: license.Seats{N: 1}, Transfer: license.Transfer{Allowed: true, Expiry: expiry}}}))(t)
	y.plan = y.timed(t, "month", catalog.Grant{License: &catalog.LicenseGrant{Policy: "month"}})
	y.id = y.paid(t, y.buy(t, "", 1)).Grants[0].ID
	return y, bob
}

// What a renewal gave is taken back from a license that was given away since, and not more than is left of it: where the term began anew with
// the new owner nothing of the renewal is in it, so a refund takes nothing of it and the end of a dispute adds nothing. The updates, which do
// not begin anew, lose what they got.
func TestW11_RenewalOfALicenseGivenAway(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for expiry, want := range map[string]struct{ given, refunded, won time.Duration }{
		license.KeepExpiry:  {3 * month, month, 2 * month},
		license.ResetExpiry: {day + month, day + month, day + month},
	} {
		t.Run(expiry, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, e storetest.Env) {
				y, bob := giving(t, e, expiry)
				refund := y.buy(t, y.id, 2)
				y.paid(t, refund)
				dispute := y.buy(t, y.id, 1)
				y.paid(t, dispute)
				y.ends(t, "renewed twice", 4*month)
				y.set(t, dispute, func(p *payment.Session) { p.Disputed = true })
				y.Clock.Advance(day)
				must(y.licenses.Transfer(y.staff, license.TransferRequest{ID: y.id, To: bob, Reason: "sold"}))(t)
				has := func(what string, valid, updates time.Duration) {
					t.Helper()
					l := must(y.licenses.Get(y.as(t.Context(), licensing.Owner(bob)), license.GetRequest{ID: y.id}))(t)
					issued := l.CreatedAt.Truncate(time.Second)
					if got := l.ValidUntil.Sub(issued); got != valid {
						t.Errorf("%s: it ends %s after its issue, want %s", what, got, valid)
					}
					if got := l.UpdatesUntil.Sub(issued); got != updates {
						t.Errorf("%s: its updates end %s after its issue, want %s", what, got, updates)
					}
				}
				has("given away", want.given, 3*month)
				y.set(t, refund, func(p *payment.Session) { p.Refunded = 2000 })
				has("a renewal is refunded", want.refunded, month)
				y.set(t, dispute, func(p *payment.Session) { p.Disputed = false })
				has("a dispute is won", want.won, 2*month)
				if l := must(y.licenses.Renew(y.staff, license.RenewRequest{ID: y.id, Reason: "r"}))(t); l.ValidUntil.Sub(l.CreatedAt.Truncate(time.Second)) != want.won+month {
					t.Errorf("renewed by its new owner, it ends %s", l.ValidUntil)
				}
			})
		})
	}
}

// A renewal that was paid for after the license was given away renews nobody else's license: the order waits for a person to give the money
// back. One that was asked for by the new owner does.
func TestW11_RenewalPaidAfterTheLicenseWasGivenAway(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		y, bob := giving(t, e, license.KeepExpiry)
		late := must(y.Create(y.as(t.Context(), "cus_eve"), y.basket(y.id, 1)))(t).ID
		must(y.licenses.Transfer(y.staff, license.TransferRequest{ID: y.id, To: bob, Reason: "sold"}))(t)
		y.bank.pay(late)
		if c := y.paid(t, late); c.State != order.Parked || len(c.Grants) != 0 || y.count(t, `license_renewal`) != 0 {
			t.Errorf("%s, %+v", c.State, c.Grants)
		}
		if c := y.set(t, late, func(p *payment.Session) { p.Refunded = 1000 }); c.State != order.Refunded {
			t.Errorf("%s after the refund", c.State)
		}
		his := must(y.Create(y.as(t.Context(), licensing.Owner(bob)), y.basket(y.id, 1)))(t).ID
		y.bank.pay(his)
		if err := y.Fulfil(t.Context(), his); err != nil || y.load(t, his).State != order.Fulfilled {
			t.Errorf("the new owner's renewal: %s, %v", y.load(t, his).State, err)
		}
		y.sound(t)
	})
}
