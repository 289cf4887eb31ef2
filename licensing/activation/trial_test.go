package activation_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// trials issues n trials of one product, each to another customer.
func (w *world) trials(t *testing.T, n int) []*license.Draft {
	t.Helper()
	p := terms(2)
	p.Type, p.Duration, p.ReviveWithin = doc.Trial, 14*license.Day, license.Day
	ctx := staff(t.Context())
	policy, err := w.licenses.CreatePolicy(ctx, license.CreatePolicyRequest{ProductID: w.IDs.New("prod"), Code: license.TrialPolicy, Name: "Trial", Terms: p})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Exec(ctx, `INSERT INTO product (id, slug, name, description, purpose, key_prefix, state, version, created_at, updated_at)
		VALUES ($1, 'editor', 'Editor', '', 'revenue', 'EDIT', 'active', 1, $2, $2)`, policy.ProductID, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	out := make([]*license.Draft, n)
	for i := range out {
		owner := licensing.Owner(w.IDs.New("cus"))
		if out[i], err = w.licenses.Draft(ctx, license.IssueSpec{Source: license.Source{Kind: license.FromTrial, ID: string(owner)}, ProductID: policy.ProductID,
			ProductSlug: "editor", PolicyID: policy.ID, Owner: owner, Env: licensing.Live}); err != nil {
			t.Fatal(err)
		}
		if err := w.Store.InTx(ctx, func(ctx context.Context) error { _, err := w.licenses.Issue(ctx, out[i]); return err }); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// A device has one trial of a product, whoever's licenses it tries and however many of them at once, also when a component of it changes
// from one to the next; a reinstalled product gets the same seat of the same license and no more time; another device is as good as new.
func TestTrialOncePerDevice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		all := w.trials(t, 12)
		if got, won := w.tryAll(t, all, func(r *replica) activator { return r.activate }); got != 1 {
			t.Errorf("one device runs on %d trials, want 1", got)
		} else {
			first, err := w.activate(t.Context(), all[won].Key, device(1))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.leave(t.Context(), first.Lease); err != nil {
				t.Fatal(err)
			}
			e.Clock.Advance(2 * 24 * time.Hour)
			again, err := w.activate(t.Context(), all[won].Key, device(1)) // too late to be revived, so under a new activation
			if err != nil {
				t.Fatalf("reinstalled: %v", err)
			}
			l, err := w.keys.VerifyLicense(t.Context(), again.License)
			if err != nil || l.ValidUntil != all[won].License.ValidUntil.Unix() {
				t.Errorf("a reinstall moved the end to %d, %v", l.ValidUntil, err)
			}
			if _, err := w.activate(t.Context(), all[(won+1)%len(all)].Key, device(2)); err != nil {
				t.Errorf("another device: %v", err)
			}
		}
	})
}

// tryAll asks for a seat of each license at once, from devices that differ in one component, and returns how many got one and which.
func (w *world) tryAll(t *testing.T, all []*license.Draft, with func(*replica) activator) (got int64, won int) {
	t.Helper()
	var seats, last atomic.Int64
	var wg sync.WaitGroup
	for i, d := range all {
		activate := with(w.replicas[i%len(w.replicas)])
		wg.Go(func() {
			near := device(1)
			if i%2 == 1 {
				near["board"] = doc.DeviceDigest("editor", "board", d.License.ID) // disk and os still agree
			}
			switch _, err := activate(t.Context(), d.Key, near); {
			case err == nil:
				seats.Add(1)
				last.Store(int64(i))
			case !errors.Is(err, activation.ErrTrialUsed):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return seats.Load(), int(last.Load())
}

// trusting looks whether a device had a trial and then takes a seat as of any license. It is the shape that the race must find out.
type trusting struct{ activation.Store }

// TakeSeat implements [activation.Store], wrongly.
func (s trusting) TakeSeat(ctx context.Context, t activation.Take) (bool, error) {
	t.Try = activation.Try{}
	return s.Store.TakeSeat(ctx, t)
}

// The race of TestTrialOncePerDevice finds a store that looks first and takes afterwards: one device gets several trials.
func TestTrialRaceFindsLookThenTake(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		deps := w.deps
		deps.Store = trusting{deps.Store}
		bad := activation.New(deps)
		all := w.trials(t, 12)
		got, _ := w.tryAll(t, all, func(*replica) activator {
			return func(ctx context.Context, key string, device map[string]string) (sdk.ActivateResponse, error) {
				ctx, err := w.holder(ctx, key)
				if err != nil {
					return sdk.ActivateResponse{}, err
				}
				return bad.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device})
			}
		})
		if got < 2 {
			t.Errorf("the race did not find it: %d trials", got)
		}
	})
}
