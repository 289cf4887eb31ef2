package transfer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// meanwhile are licenses to which something happens just before one is given away.
type meanwhile struct {
	*license.Service
	do func()
}

// DraftTransfer implements [transfer.Licenses].
func (m meanwhile) DraftTransfer(ctx context.Context, s license.TransferSpec) (*license.Move, error) {
	m.do()
	return m.Service.DraftTransfer(ctx, s)
}

// A license that goes over to terms under which the shop approves a transfer, between the look at the offer and its acceptance, changes no hands
// before the shop did: the acceptance is refused, and waits for the shop when it is tried again.
func TestApprovalThatCameMeanwhile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(false))
		ada, bob := w.person(t, "ada@example.com", licensing.Customer), w.person(t, "bob@example.com", licensing.Customer)
		d := w.give(t, ada, "line/1/1")
		strict, err := w.licenses.CreatePolicy(w.staff, license.CreatePolicyRequest{ProductID: w.policy.ProductID, Code: "strict", Name: "Strict", Terms: movable(true)})
		if err != nil {
			t.Fatal(err)
		}
		late := w.serve(meanwhile{w.licenses, func() {
			look, err := w.licenses.LookRepolicy(w.staff, license.RepolicyLookRequest{ID: d.License.ID, Policy: strict.ID})
			if err == nil {
				_, err = w.licenses.Repolicy(w.staff, license.RepolicyRequest{ID: d.License.ID, Policy: strict.ID, Version: look.Version, PolicyVersion: look.PolicyVersion, Reason: "test"})
			}
			if err != nil {
				t.Error(err)
			}
		}})
		_, token := w.ask(t, ada, d.License.ID, "bob@example.com")
		if _, err := late.Accept(bob, transfer.TokenRequest{Token: token}); !errors.Is(err, license.ErrChanged) {
			t.Errorf("accepted under the terms of before: %v", err)
		}
		v, err := w.Accept(bob, transfer.TokenRequest{Token: token})
		if err != nil || v.State != string(transfer.Accepted) || w.owner(t, d.License.ID) != licensing.ActorFrom(ada).Owner {
			t.Errorf("accepted again: %+v, %v", v, err)
		}
	})
}
