package activation_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// The server's decision follows state, seats and contact: what it says before and after revocation, release and activation.
func TestJ46_ValidateFollowsRevocation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(1))
		ask := func(n int) eval.Code {
			t.Helper()
			ctx, err := w.holder(t.Context(), d.Key)
			if err != nil {
				t.Fatal(err)
			}
			out, err := w.Validate(ctx, activation.ValidateRequest{ValidateRequest: sdk.ValidateRequest{Product: "editor", Device: device(n)}})
			if err != nil {
				t.Fatal(err)
			}
			return out.Decision.Code
		}
		want := func(n int, code eval.Code) {
			t.Helper()
			if got := ask(n); got != code {
				t.Errorf("got %s, want %s", got, code)
			}
		}
		want(1, eval.ActivationRequired)
		out, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		want(1, eval.Valid)
		want(2, eval.ActivationRequired)
		if _, err := w.licenses.Suspend(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "r"}); err != nil {
			t.Fatal(err)
		}
		want(1, eval.Suspended)
		if _, err := w.beat(t.Context(), out.Lease); !errors.Is(err, activation.ErrSuspended) {
			t.Errorf("heartbeat while suspended: %v", err)
		}
		if _, err := w.licenses.Revoke(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "r"}); err != nil {
			t.Fatal(err)
		}
		want(1, eval.Revoked)
		if _, err := w.beat(t.Context(), out.Lease); !errors.Is(err, activation.ErrRevoked) {
			t.Errorf("heartbeat after revocation: %v", err)
		}
		none, err := w.Validate(licensing.WithCall(context.Background(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Holder}}), activation.ValidateRequest{})
		if err != nil || none.Decision.Code != eval.NotFound || none.Decision.Allowed {
			t.Errorf("unknown: %+v, %v", none, err)
		}
	})
}

// Staff who ask for the decision on a license only look: no term begins by it, whoever of them asks and whatever of a device they name. Without a device
// they are told what the license's view tells, with the same findings; with one, what its product is told.
func TestValidate_StaffOnlyLook(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		terms := terms(1)
		terms.Type, terms.Duration, terms.ExpiryBasis, terms.MaxVersion = doc.Timed, 30*license.Day, license.FromFirstValidation, "2"
		d := w.issue(t, terms)
		ask := func(q sdk.ValidateRequest) eval.Decision {
			t.Helper()
			q.Product = "editor"
			out, err := w.Validate(staff(t.Context()), activation.ValidateRequest{ValidateRequest: q, License: d.License.ID})
			if err != nil {
				t.Fatal(err)
			}
			return out.Decision
		}
		told := func(when string) {
			t.Helper()
			v, err := w.licenses.Get(staff(t.Context()), license.GetRequest{ID: d.License.ID})
			if err != nil {
				t.Fatal(err)
			}
			if got := ask(sdk.ValidateRequest{}); !reflect.DeepEqual(got, v.Decision) {
				t.Errorf("%s: staff are told %+v, the license tells %+v", when, got, v.Decision)
			}
		}
		told("new")
		ask(sdk.ValidateRequest{Device: device(1), Version: "1"})
		if v, err := w.licenses.Get(staff(t.Context()), license.GetRequest{ID: d.License.ID}); err != nil || v.StartedAt != nil || v.ValidUntil != nil {
			t.Fatalf("a look began the term: %v until %v, %v", v.StartedAt, v.ValidUntil, err)
		}
		ctx, err := w.holder(t.Context(), d.Key)
		if err != nil {
			t.Fatal(err)
		}
		q := activateRequest(1)
		q.Version = "1"
		if _, err := w.Activate(ctx, q); err != nil {
			t.Fatal(err)
		}
		told("activated")
		if got := ask(sdk.ValidateRequest{Version: "3", Entitlement: "import"}); got.Code != eval.VersionNotCovered || len(got.Findings) != 2 {
			t.Errorf("a newer version and a feature that is not there: %+v", got)
		}
		if got := ask(sdk.ValidateRequest{Device: device(2), Version: "1"}); got.Code != eval.ActivationRequired || got.Allowed {
			t.Errorf("another device: %+v", got)
		}
		if _, err := w.licenses.Suspend(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "r"}); err != nil {
			t.Fatal(err)
		}
		told("suspended")
	})
}

// A license token is no lease, a lease no license token, and neither is a key.
func TestJ24_DocumentsAreNotInterchangeable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	d := w.issue(t, terms(1))
	out, err := w.activate(t.Context(), d.Key, device(1))
	if err != nil {
		t.Fatal(err)
	}
	status, err := w.licenses.StatusList(t.Context(), d.License.Token.List)
	if err != nil {
		t.Fatal(err)
	}
	keyset, err := w.keys.Keyset(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"license": out.License, "status list": status, "keyset": keyset, "key": d.Key, "session": "mts_0123456789abcdef", "empty": ""} {
		if _, err := w.ByLease(t.Context(), text); licensing.KindOf(err) != licensing.Unauthorized {
			t.Errorf("%s as lease: %v", name, err)
		}
	}
	for name, text := range map[string]string{"lease": out.Lease, "status list": status, "keyset": keyset, "session": "mts_0123456789abcdef", "empty": ""} {
		if a, err := w.licenses.ByCredential(t.Context(), text); err != nil || a.License != "" {
			t.Errorf("%s as license: %+v, %v", name, a, err)
		}
	}
}

// spent answers what was counted.
type spent int64

func (n spent) Used(context.Context, *license.License, string) (int64, error) { return int64(n), nil }

// A question about a meter is decided with what was counted: allowed up to the quota, denied beyond it, and when nothing is left for one
// more; other features and licenses without the meter are not asked about.
func TestValidate_QuotaCountsWhatWasUsed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		with := terms(1)
		with.Activation, with.Meters = "none", map[string]license.Meter{"renders": {Quota: 100, Period: "month"}}
		d := w.issue(t, with)
		ctx, err := w.holder(t.Context(), d.Key)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			used, n int64
			feature string
			code    eval.Code
		}{{0, 100, "renders", eval.Valid}, {0, 101, "renders", eval.QuotaExceeded}, {99, 1, "renders", eval.Valid}, {99, 2, "renders", eval.QuotaExceeded}, {99, 0, "renders", eval.Valid},
			{100, 0, "renders", eval.QuotaExceeded}, {120, 0, "renders", eval.QuotaExceeded}, {120, 0, "export", eval.Valid}, {120, 0, "", eval.Valid}} {
			deps := w.deps
			deps.Usage = spent(c.used)
			out, err := activation.New(deps).Validate(ctx, activation.ValidateRequest{ValidateRequest: sdk.ValidateRequest{Product: "editor", Entitlement: c.feature, N: c.n}})
			if err != nil || out.Decision.Code != c.code || out.Decision.Allowed != (c.code == eval.Valid) {
				t.Errorf("%d used and %d more of %q: %s, want %s (%v)", c.used, c.n, c.feature, out.Decision.Code, c.code, err)
			}
		}
	})
}
