package checkout_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const month = 30 * 24 * time.Hour

// yearly is a shop whose customer eve has a license of a plan of thirty days, which she may renew.
type yearly struct {
	*shop
	plan catalog.PlanView
	id   string
}

func newYearly(t *testing.T, e storetest.Env, basis string) *yearly {
	t.Helper()
	y := &yearly{shop: newShop(t, e)}
	must(y.licenses.CreatePolicy(y.staff, license.CreatePolicyRequest{ProductID: y.product.ID, Code: "month", Name: "Month",
		Terms: license.Terms{Type: doc.Timed, Duration: 30 * license.Day, RenewalBasis: basis, Seats: license.Seats{N: 1}}}))(t)
	y.plan = y.timed(t, "month", catalog.Grant{License: &catalog.LicenseGrant{Policy: "month"}})
	y.id = y.paid(t, y.buy(t, "", 1)).Grants[0].ID
	return y
}

func (y *yearly) timed(t *testing.T, code string, grants ...catalog.Grant) catalog.PlanView {
	t.Helper()
	p := must(y.catalog.CreatePlan(y.staff, catalog.CreatePlanRequest{Product: y.product.ID, Code: code, Name: "Plan " + code, Type: catalog.Timed, Grants: grants}))(t)
	must(y.pricing.SetPrice(y.staff, pricing.SetPriceRequest{Plan: p.ID, Price: eur(1000)}))(t)
	return must(y.catalog.PublishPlan(y.staff, catalog.PlanRequest{ID: p.ID}))(t)
}

func (y *yearly) as(ctx context.Context, owner licensing.Owner) context.Context {
	return as(ctx, licensing.Actor{Kind: licensing.Customer, ID: string(owner), Owner: owner})
}

func (y *yearly) basket(renews string, n int64) checkout.CreateRequest {
	return checkout.CreateRequest{Lines: []checkout.LineRequest{{Plan: y.plan.ID, Quantity: n, Renews: renews}}, Currency: "EUR", Consent: checkout.Consent{Terms: true, ImmediateDelivery: true}}
}

// buy orders n terms for a license, or for "" n new ones, and pays for them.
func (y *yearly) buy(t *testing.T, renews string, n int64) string {
	t.Helper()
	c := must(y.Create(y.as(t.Context(), "cus_eve"), y.basket(renews, n)))(t)
	y.bank.pay(c.ID)
	return c.ID
}

// paid brings an order to what the bank says, by several callers at once, and shows it.
func (y *yearly) paid(t *testing.T, id string) checkout.Checkout {
	t.Helper()
	for _, err := range together(6, func() error { return y.Fulfil(context.Background(), id) }) {
		if err != nil {
			t.Fatal(err)
		}
	}
	y.sound(t)
	return must(y.Get(y.as(t.Context(), "cus_eve"), checkout.GetRequest{ID: id}))(t)
}

func (y *yearly) set(t *testing.T, id string, change func(*payment.Session)) checkout.Checkout {
	t.Helper()
	y.bank.set(id, change)
	return y.paid(t, id)
}

// ends demands how long after it was issued the license ends.
func (y *yearly) ends(t *testing.T, what string, want time.Duration) license.View {
	t.Helper()
	l := must(y.licenses.Get(y.as(t.Context(), "cus_eve"), license.GetRequest{ID: y.id}))(t)
	if got := l.ValidUntil.Sub(l.CreatedAt.Truncate(time.Second)); got != want {
		t.Errorf("%s: it ends %s after its issue, want %s", what, got, want)
	}
	return l
}

// A paid order renews the license that its line names by as many terms as were bought, once, whoever calls and how often, makes no other, and
// its page says so; the license keeps its key, and gets one new token.
func TestINV1_RenewalIsGivenOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		y := newYearly(t, e, "")
		before := y.ends(t, "issued", month)
		c := y.paid(t, y.buy(t, y.id, 2))
		after := y.ends(t, "renewed by two terms", 3*month)
		if after.Version != before.Version+1 || after.KeyHint != before.KeyHint || y.count(t, `license`) != 1 || y.count(t, `license_renewal`) != 1 || y.count(t, `license_token`) != 2 {
			t.Errorf("version %d, was %d; %d licenses", after.Version, before.Version, y.count(t, `license`))
		}
		if len(c.Grants) != 1 || c.Grants[0].Kind != order.KindRenewal || c.Grants[0].ID != y.id || c.Grants[0].Key != "" || c.Grants[0].State != checkout.Active || c.Lines[0].Renews != y.id {
			t.Errorf("the order's page shows %+v, %+v", c.Grants, c.Lines)
		}
		if found := must(y.orders.List(y.staff, order.ListRequest{Query: y.id}))(t); len(found.Items) != 2 || found.Items[0].ID != c.ID {
			t.Errorf("by the license's id, %d orders are found: %+v", len(found.Items), found.Items)
		}
		if c.Total.Minor != 2000 || y.mail.sent("purchase") != 2 {
			t.Errorf("cost %s, %d mails", c.Total, y.mail.sent("purchase"))
		}
	})
}

// Orders that renew one license at once each do it once.
func TestINV1_RenewalsOfOneLicenseAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		y := newYearly(t, e, "")
		y.killed.set(licensing.SwitchLicensing, true)
		var ids []string
		for range 4 {
			ids = append(ids, y.buy(t, y.id, 1))
			if c := y.paid(t, ids[len(ids)-1]); c.State != order.Paid {
				t.Fatalf("%s while grants are off", c.State)
			}
		}
		y.ends(t, "while grants are off", month)
		y.killed.set(licensing.SwitchLicensing, false)
		next := make(chan string, 3*len(ids))
		for range 3 {
			for _, id := range ids {
				next <- id
			}
		}
		for _, err := range together(cap(next), func() error { return y.Fulfil(context.Background(), <-next) }) {
			if err != nil && !errors.Is(err, license.ErrChanged) { // too many at once: the sweeper comes again
				t.Error(err)
			}
		}
		for _, id := range ids {
			y.paid(t, id)
		}
		y.ends(t, "renewed by four orders", 5*month)
	})
}

// A refund takes exactly its own renewal back, whatever else moved the end before and since, and neither license, key nor another renewal; a
// dispute takes it back until it ends, and for good when it is lost. All of it happens once, however often it is looked at.
func TestW11_RefundTakesItsRenewalBack(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		y := newYearly(t, e, license.FromNowIfExpired)
		first := y.buy(t, y.id, 2)
		y.paid(t, first)
		second := y.buy(t, y.id, 1)
		y.paid(t, second)
		y.ends(t, "renewed twice", 4*month)
		y.set(t, second, func(p *payment.Session) { p.Disputed = true })
		y.ends(t, "the second is disputed", 3*month)
		must(y.licenses.Reissue(y.staff, license.StateRequest{ID: y.id, Reason: "leaked"}))(t)
		if c := y.set(t, first, func(p *payment.Session) { p.Refunded = 2000 }); c.State != order.Refunded || c.Grants[0].State != checkout.Revoked {
			t.Errorf("%s, %+v", c.State, c.Grants)
		}
		y.ends(t, "the first is refunded", month)
		if c := y.set(t, second, func(p *payment.Session) { p.Disputed = false }); c.Grants[0].State != checkout.Active {
			t.Errorf("after the dispute: %+v", c.Grants)
		}
		y.ends(t, "the dispute is over", 2*month)
		y.set(t, second, func(p *payment.Session) { p.Refunded = 400 })
		y.ends(t, "a part is refunded", 2*month)

		y.Clock.Advance(5 * month) // three after its end
		late := y.buy(t, y.id, 1)
		y.paid(t, late)
		y.ends(t, "renewed late", 6*month)
		later := y.buy(t, y.id, 1)
		y.paid(t, later)
		y.set(t, late, func(p *payment.Session) { p.Disputed = true })
		y.ends(t, "a late renewal is disputed, and one after it stays", 6*month)
		y.set(t, late, func(p *payment.Session) { p.Disputed, p.Refunded = false, 1000 })
		y.ends(t, "and lost", 6*month)
		y.set(t, later, func(p *payment.Session) { p.Refunded = 1000 })
		y.Clock.Advance(time.Second)
		if l := y.ends(t, "nothing of the late ones is left", 5*month); l.State != "expired" || l.SeatsMax != 1 {
			t.Errorf("%s, %d seats", l.State, l.SeatsMax)
		}
		for action, want := range map[string]int{"license.renew": 5, "license.unrenew": 4} {
			if n := y.count(t, `audit WHERE action = $1 AND target = $2`, action, y.id); n != want {
				t.Errorf("%d times %s in the trail, want %d", n, action, want)
			}
		}
	})
}

// A renewal that nothing followed leaves the end where it was, also when that was long over.
func TestW11_RefundOfALateRenewal(t *testing.T) {
	t.Parallel()
	y := newYearly(t, storetest.SQLite(t), license.FromNowIfExpired)
	y.Clock.Advance(5 * month)
	id := y.buy(t, y.id, 1)
	y.paid(t, id)
	y.ends(t, "renewed late", 6*month)
	y.set(t, id, func(p *payment.Session) { p.Disputed = true })
	y.ends(t, "disputed", month)
	y.set(t, id, func(p *payment.Session) { p.Disputed = false })
	y.ends(t, "the dispute is over", 6*month)
	y.set(t, id, func(p *payment.Session) { p.Refunded = 1000 })
	y.ends(t, "refunded", month)
}

// Only one's own license is renewed, by the plan that gave it, while it is good for it: another's, a guest's wish and an id of nothing are
// answered alike.
func TestR02_OnlyOnesOwnLicenseIsRenewed(t *testing.T) {
	t.Parallel()
	y := newYearly(t, storetest.SQLite(t), "")
	for name, c := range map[string]struct {
		ctx context.Context
		id  string
	}{
		"another's": {y.as(t.Context(), "cus_bob"), y.id}, "nothing": {y.as(t.Context(), "cus_bob"), y.IDs.New("lic")}, "a guest's": {y.guest, y.id},
		"staff's": {y.staff, y.id}, "another organisation's": {as(t.Context(), licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "org_1", Org: "org_1", OrgRole: licensing.OrgOwner}), y.id},
	} {
		r := y.basket(c.id, 1)
		r.Email = "bob@example.com"
		if _, err := y.Create(c.ctx, r); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	eve := y.as(t.Context(), "cus_eve")
	try := func(change func(*checkout.CreateRequest)) error {
		r := y.basket(y.id, 1)
		if change != nil {
			change(&r)
		}
		_, err := y.Create(eve, r)
		return err
	}
	twin := y.timed(t, "twin", catalog.Grant{License: &catalog.LicenseGrant{Policy: "month"}})
	refused(t, try(func(r *checkout.CreateRequest) { r.Lines[0].Plan = twin.ID }), licensing.Conflict, "no-renewal")
	refused(t, try(func(r *checkout.CreateRequest) { r.Lines = append(r.Lines, r.Lines[0]) }), licensing.Invalid, "invalid-request")
	refused(t, try(func(r *checkout.CreateRequest) { r.Lines[0].Renews = "lic" }), licensing.Invalid, "invalid-request")
	must(y.licenses.Suspend(y.staff, license.StateRequest{ID: y.id, Reason: "r"}))(t)
	refused(t, try(nil), licensing.Conflict, "no-renewal")
	must(y.licenses.Reinstate(y.staff, license.StateRequest{ID: y.id, Reason: "r"}))(t)
	grants := []catalog.Grant{{License: &catalog.LicenseGrant{Policy: "month"}}, {APIKey: &catalog.APIKeyGrant{RateCount: 1, RatePeriod: 1}}}
	must(y.catalog.UpdatePlan(y.staff, catalog.UpdatePlanRequest{ID: y.plan.ID, Grants: &grants}))(t)
	refused(t, try(nil), licensing.Conflict, "no-renewal")
	y.sound(t)
}

// When the license was revoked before its renewal was paid, the order waits for a person, gives nothing, however often it is looked at, and its
// refund ends it. A license that was revoked after its renewal stays as it is when that is refunded.
func TestW11_RenewalOfARevokedLicense(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		y := newYearly(t, e, "")
		before := y.buy(t, y.id, 1)
		y.paid(t, before)
		id := y.buy(t, y.id, 1)
		must(y.licenses.Revoke(y.staff, license.StateRequest{ID: y.id, Reason: "r"}))(t)
		for range 2 {
			if c := y.paid(t, id); c.State != order.Parked || len(c.Grants) != 0 || c.Receipt == nil {
				t.Errorf("%s, %+v", c.State, c.Grants)
			}
		}
		if reason := y.load(t, id).Reason; reason != "license "+y.id+" cannot be renewed any more; give the money back" {
			t.Errorf("it says %q", reason)
		}
		if c := y.set(t, id, func(p *payment.Session) { p.Refunded = 1000 }); c.State != order.Refunded {
			t.Errorf("%s after the refund", c.State)
		}
		if c := y.set(t, before, func(p *payment.Session) { p.Refunded = 1000 }); c.State != order.Refunded || c.Grants[0].State != checkout.Revoked {
			t.Errorf("%s, %+v", c.State, c.Grants)
		}
		if l := y.ends(t, "revoked", 2*month); l.State != string(license.Revoked) {
			t.Errorf("the license is %s", l.State)
		}
	})
}

// Under a policy that revokes at the end, a license whose renewal a dispute took back is not revoked while that is open: it has expired, and a dispute
// that is won gives everything back. One that is lost, by the refund of the payment, lets it end for good.
func TestW11_DisputedRenewalDoesNotEndForGood(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		y := &yearly{shop: newShop(t, e)}
		must(y.licenses.CreatePolicy(y.staff, license.CreatePolicyRequest{ProductID: y.product.ID, Code: "month", Name: "Month",
			Terms: license.Terms{Type: doc.Timed, Duration: 30 * license.Day, Expired: doc.ExpiredRevoke, Seats: license.Seats{N: 1}}}))(t)
		y.plan = y.timed(t, "month", catalog.Grant{License: &catalog.LicenseGrant{Policy: "month"}})
		y.id = y.paid(t, y.buy(t, "", 1)).Grants[0].ID
		renewal := y.buy(t, y.id, 2)
		y.paid(t, renewal)
		lapse := func(what, want string) {
			t.Helper()
			must(y.licenses.Lapse(t.Context()))(t)
			if l := must(y.licenses.Get(y.as(t.Context(), "cus_eve"), license.GetRequest{ID: y.id}))(t); l.State != want {
				t.Errorf("%s: %s, want %s", what, l.State, want)
			}
		}
		y.Clock.Advance(month + 24*time.Hour)
		y.set(t, renewal, func(p *payment.Session) { p.Disputed = true })
		y.ends(t, "disputed", month)
		lapse("disputed", "expired")
		y.set(t, renewal, func(p *payment.Session) { p.Disputed = false })
		y.ends(t, "the dispute is won", 3*month)
		lapse("the dispute is won", "active")
		y.set(t, renewal, func(p *payment.Session) { p.Disputed = true })
		lapse("disputed again", "expired")
		y.set(t, renewal, func(p *payment.Session) { p.Disputed, p.Refunded = false, 2000 })
		lapse("refunded", "revoked")
	})
}

// A license that is revoked because the order that gave it was refunded whole, or its dispute lost, takes its paid renewals with it: their orders are
// parked in that moment, once, and staff alerted, until their money went back too. Renewals that were refunded before are not; a part refunded, or a
// dispute under way, strands nothing.
func TestW11_RenewalsOfARevokedLicenseAreParked(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*payment.Session){
		"refunded":     func(p *payment.Session) { p.Disputed, p.Refunded = false, 1000 },
		"dispute lost": func(p *payment.Session) { p.Disputed, p.Lost = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, e storetest.Env) {
				y := newYearly(t, e, "")
				var alerts []string
				var mu sync.Mutex
				y.Alert = func(_ context.Context, code, text string) {
					mu.Lock()
					defer mu.Unlock()
					alerts = append(alerts, code+" "+text)
				}
				first := must(y.orders.List(y.staff, order.ListRequest{Query: y.id}))(t).Items[0].ID
				renewal := func() string { return y.paid(t, y.buy(t, y.id, 1)).ID }
				back, kept, disputed := renewal(), renewal(), renewal()
				y.set(t, back, func(p *payment.Session) { p.Refunded = 1000 })
				y.set(t, kept, func(p *payment.Session) { p.Refunded = 300 })
				y.set(t, disputed, func(p *payment.Session) { p.Disputed = true })
				y.set(t, first, func(p *payment.Session) { p.Refunded = 300 })
				y.set(t, first, func(p *payment.Session) { p.Refunded, p.Disputed = 0, true })
				if len(alerts) != 0 || y.count(t, `orders WHERE state = 'parked'`) != 0 {
					t.Fatalf("parked before anything is revoked: %q", alerts)
				}
				y.set(t, first, end)
				for _, id := range []string{kept, disputed} {
					o := y.load(t, id)
					if o.State != order.Parked || !strings.Contains(o.Reason, y.id) || strings.Contains(o.Reason, first) {
						t.Errorf("%s %q", o.State, o.Reason)
					}
					told := 0
					for _, a := range alerts {
						if strings.HasPrefix(a, "order-parked ") && strings.Contains(a, id) {
							told++
						}
					}
					if told == 0 || y.count(t, `order_event WHERE order_id = $1 AND kind = 'parked'`, id) != 1 || y.count(t, `order_event WHERE order_id = $1 AND kind = 'stranded' AND detail = $2`, id, first) != 1 || y.count(t, `audit WHERE target = $1 AND action = 'order.parked'`, id) != 1 {
						t.Errorf("of %s staff are told by %q", id, alerts)
					}
				}
				if o := y.load(t, back); o.State != order.Refunded {
					t.Errorf("the renewal that was refunded before is %s", o.State)
				}
				y.set(t, kept, func(p *payment.Session) { p.Refunded = 1000 })
				y.set(t, disputed, func(p *payment.Session) { p.Disputed = false })
				if o := y.load(t, disputed); o.State != order.Parked || o.Disputed != 0 {
					t.Errorf("after its own dispute: %s", o.State)
				}
				y.set(t, disputed, func(p *payment.Session) { p.Refunded = 1000 })
				for _, id := range []string{kept, disputed} {
					if o := y.load(t, id); o.State != order.Refunded {
						t.Errorf("refunded as well: %s", o.State)
					}
				}
			})
		})
	}
}
