package bulk_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// overtaken is a store of licenses behind whose first look something happens.
type overtaken struct {
	license.Store
	once *sync.Once
	by   func()
}

// LicenseByID implements [license.Store].
func (o overtaken) LicenseByID(ctx context.Context, id string) (license.License, error) {
	l, err := o.Store.LicenseByID(ctx, id)
	o.once.Do(o.by)
	return l, err
}

// A license that is renewed while many are extended gets both: what was paid for, and the days.
func TestExtendKeepsARenewalAtTheSameTime(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.policy = w.makePolicy(t, "yearly", license.Terms{Type: doc.Timed, Duration: 365 * license.Day, RenewalBasis: license.FromExpiry, Seats: license.Seats{N: 1, By: doc.ByDevice}})
		if _, err := w.IssueMany(w.ctx, bulk.IssueManyRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}, Count: 1}); err != nil {
			t.Fatal(err)
		}
		w.work(t)
		var id string
		if err := w.DB.QueryRow(t.Context(), `SELECT id FROM license`).Scan(&id); err != nil {
			t.Fatal(err)
		}
		before, err := w.licenses.Get(w.ctx, license.GetRequest{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		deps := w.licenses.Deps
		deps.Renewals = e.Store.LicenseRenewals()
		payment := license.New(deps)
		deps.Store = overtaken{deps.Store, new(sync.Once), func() {
			if _, err := payment.Renew(w.ctx, license.RenewRequest{ID: id, Reason: "paid"}); err != nil {
				t.Error(err)
			}
		}}
		w.Service.Licenses = license.New(deps)
		if _, err := w.Act(w.ctx, bulk.ActRequest{Action: "extend", Search: bulk.Search{Owner: reseller}, Count: 1, Days: 30, Reason: "outage"}); err != nil {
			t.Fatal(err)
		}
		w.work(t)
		after, err := w.licenses.Get(w.ctx, license.GetRequest{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if want := before.ValidUntil.Add((365 + 30) * 24 * time.Hour); !after.ValidUntil.Equal(want) {
			t.Errorf("valid until %s, want %s", after.ValidUntil, want)
		}
		w.sound(t)
	})
}
