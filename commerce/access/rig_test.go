package access_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// txn is a transaction under way.
type txn struct{ ctx context.Context }

// in runs fn in a transaction of an actor.
func (p *past) in(t *testing.T, a licensing.Actor, fn func(p *past, tx txn) error) {
	t.Helper()
	ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Actor: a})
	if err := p.Store.InTx(ctx, func(ctx context.Context) error { return fn(p, txn{ctx}) }); err != nil {
		t.Fatal(err)
	}
}

// transfer gives the license to another owner, as the row and the table of transfers know it.
func (p *past) transfer(t *testing.T, to licensing.Owner) {
	t.Helper()
	p.in(t, agent, func(p *past, tx txn) error {
		l, err := p.Store.Licenses().LicenseByID(tx.ctx, "lic_1")
		if err != nil {
			return err
		}
		from, was := l.Owner, l.Version
		l.Owner = to
		saved, err := p.Store.Licenses().SaveLicense(tx.ctx, l, was)
		if err != nil || !saved {
			return errors.Join(err, errors.New("the license was not saved"))
		}
		_, err = p.Store.LicenseOwners().AddTransfer(tx.ctx, license.Transferred{ID: p.IDs.New("trf"), LicenseID: "lic_1", From: from, To: to, At: p.Clock.Now()}, 0, p.Clock.Now())
		return err
	})
}
