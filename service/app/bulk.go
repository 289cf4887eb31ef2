package app

import (
	"context"
	"encoding/json"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
)

// licenseOwners are the people and organisations that licenses are given to.
type licenseOwners struct {
	accounts *account.Service
	known    interface {
		OwnersExist(ctx context.Context, owners []licensing.Owner) (map[licensing.Owner]bool, error)
	}
}

var _ bulk.Owners = licenseOwners{}

// NormalEmail implements [bulk.Owners].
func (o licenseOwners) NormalEmail(email string) (string, error) { return account.NormalEmail(email) }

// Guests implements [bulk.Owners].
func (o licenseOwners) Guests(ctx context.Context, emails []string) (map[string]licensing.Owner, error) {
	return o.accounts.Guests(ctx, emails)
}

// OwnersExist implements [bulk.Owners].
func (o licenseOwners) OwnersExist(ctx context.Context, owners []licensing.Owner) (map[licensing.Owner]bool, error) {
	return o.known.OwnersExist(ctx, owners)
}

// bulk makes what works on many licenses.
func (p *parts) bulk(context.Context) error {
	a, st := p.app, p.app.storage.store
	p.runs = bulk.New(bulk.Deps{Store: st.Runs(), Results: st.Runs(), Licenses: p.licenses, APIKeys: p.keys, Products: st.Runs(), Owners: licenseOwners{p.accounts, st.Crowd()}, Jobs: p.jobs, Seal: a.storage.key,
		Clock: a.config.Clock, IDs: a.config.IDs, Tx: st, Joint: st, Audit: p.audit, Switches: p.switches, Logger: a.log, Small: a.storage.lite != nil, Fresh: p.feed.Fresh})
	p.feed.Subscribe("product", drop(p.runs.ForgetProduct))
	return nil
}

// WorkOn goes on with a run until it is over, for whoever runs no jobs.
func (a *App) WorkOn(ctx context.Context, run string) error {
	ctx = licensing.AsSystem(ctx, bulk.JobWork)
	args, err := json.Marshal(bulk.Job{Run: run})
	for err == nil {
		var r bulk.RunView
		if r, err = a.parts.runs.GetRun(ctx, bulk.RunRequest{ID: run}); err != nil || r.State != string(bulk.Running) {
			return err
		}
		err = a.parts.runs.Work(ctx, args)
	}
	return err
}
