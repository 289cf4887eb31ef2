package activation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// product is a product on one device: the documents that it holds, as the server gave them.
type product struct {
	w       *world
	key     string
	id      string
	device  map[string]string
	user    string
	license string
	lease   string
}

// contact does what an SDK does when it reaches the server: it renews its lease, takes a seat if it has none, or asks for its token.
func (p *product) contact(t *testing.T) {
	t.Helper()
	if p.lease != "" {
		out, err := p.w.beat(t.Context(), p.lease)
		if err == nil {
			if p.lease = out.Lease; out.License != "" {
				p.license = out.License
			}
			return
		}
	}
	ctx, err := p.w.holder(t.Context(), p.key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.w.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: p.device, User: p.user, Name: "box"})
	if err == nil {
		p.license, p.lease = out.License, out.Lease
		return
	}
	if now, err := p.w.licenses.Current(ctx, struct{}{}); err == nil {
		p.license = now.License
	}
}

// decide is what the product decides on its documents and the status list as it is now, and whether they are the newest: a license that was changed while
// it is suspended gives its lease no successor before that ends.
func (p *product) decide(t *testing.T, r *sdk.ValidateRequest) (eval.Decision, bool) {
	t.Helper()
	lic, err := p.w.keys.VerifyLicense(context.Background(), p.license)
	if err != nil {
		t.Fatal(err)
	}
	in := eval.Input{License: lic, Request: r.Evaluation(), Now: p.w.Clock.Now().Unix()}
	if p.lease != "" {
		if in.Lease, err = p.w.keys.VerifyLease(context.Background(), p.lease); err != nil {
			t.Fatal(err)
		}
	}
	l, err := p.w.store.Licenses().LicenseByID(t.Context(), p.id)
	if err != nil {
		t.Fatal(err)
	}
	status := map[license.State]byte{license.Active: doc.StatusValid, license.Suspended: doc.StatusSuspended, license.Revoked: doc.StatusInvalid}[l.State]
	in.Status = &eval.Status{Value: status, IssuedAt: in.Now}
	return eval.Evaluate(in), l.Token.JTI == lic.TokenID && (in.Lease == nil || in.Lease.RestsOn(lic) == nil)
}

// The server and a product that just reached it decide alike, whatever policy, overrides, states, ends and requests come together: the same
// answer, the same code and the same findings.
func TestJ46_ServerAndProductDecideAlike(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 46))
			terms := someTerms(r)
			d := w.issue(t, terms)
			p := &product{w: w, key: d.Key, id: d.License.ID, device: device(int(seed))}
			if terms.Seats.By == doc.ByUser {
				p.user = fmt.Sprint("user", seed)
			}
			var told []string
			for range 12 {
				told = append(told, w.something(t, r, p.id))
				if p.contact(t); p.license == "" {
					continue // refused from the beginning
				}
				for range 4 {
					q := someQuestion(r, p)
					ctx, err := w.holder(t.Context(), p.key)
					if err != nil {
						t.Fatal(err)
					}
					server, err := w.Validate(ctx, activation.ValidateRequest{ValidateRequest: q})
					if err != nil {
						t.Fatal(err)
					}
					mine, same := p.decide(t, &q)
					if a, b := findings(server.Decision), findings(mine); same && a != b {
						t.Errorf("seed %d %+v\nafter %s\nasked %+v: server %s\nproduct %s", seed, terms, strings.Join(told, ", "), q, a, b)
						break
					}
				}
			}
		}
	})
}

func findings(d eval.Decision) string {
	if d.Code == eval.Revoked { // which ended the seats as well, as the server alone knows
		return fmt.Sprint(d.Allowed, " ", d.Mode, " ", d.Code)
	}
	out, code := "", eval.Valid
	for _, f := range d.Findings {
		if f.Code == eval.TooManySeats { // the server alone knows
			continue
		}
		if out == "" {
			code = f.Code
		}
		out += fmt.Sprintf(" %s/%s", f.Code, f.Effect)
	}
	if !d.Allowed {
		code = d.Code
	}
	return fmt.Sprint(d.Allowed, " ", d.Mode, " ", code, out, " again ", d.RecheckAt)
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func someTerms(r *rand.Rand) license.Terms {
	t := license.Terms{Type: pick(r, doc.Perpetual, doc.Timed, doc.Subscription, doc.Timed), Seats: license.Seats{N: 2, By: pick(r, doc.ByDevice, doc.ByUser)}, Match: 2,
		Fresh: license.Day, Stale: pick(r, 0, license.Day), Grace: pick(r, 0, license.Day), Recheck: 3600, Activation: pick(r, doc.ActivationNone, doc.ActivationRequired),
		Expired: pick(r, doc.ExpiredRestrict, doc.ExpiredMaintain, doc.ExpiredAllow, doc.ExpiredRevoke), ExpiryGrace: pick(r, 0, 2*license.Day), Then: pick(r, doc.ThenStop, doc.ThenDegrade, doc.ThenAdvisory),
		Status: pick(r, doc.StatusOff, doc.StatusWarn, doc.StatusRequire), StatusMaxAge: license.Day, MaxVersion: pick(r, "", "2.5"),
		Entitlements: license.Entitlements{"export": doc.On(), "projects": doc.Int(5), "tier": doc.Text("gold")}, EntitledFor: pick(r, nil, map[string]int64{"export": 3 * license.Day}),
		Meters: pick(r, nil, map[string]license.Meter{"renders": {Quota: 10, Period: "month"}})}
	if t.Type != doc.Perpetual {
		t.Duration = pick(r, 5*license.Day, 40*license.Day)
	}
	if t.Activation == doc.ActivationRequired && t.Type == doc.Timed {
		t.ExpiryBasis = pick(r, license.FromCreation, license.FromFirstActivation, license.FromFirstValidation)
	}
	if t.Then == doc.ThenDegrade {
		t.Keep = []string{"export"}
	}
	if r.IntN(2) == 0 && t.Then != doc.ThenAdvisory {
		t.Seats.Floating, t.DeadAfter = true, 3*license.Day
	}
	return t
}

// something happens to a license, or time goes by.
func (w *world) something(t *testing.T, r *rand.Rand, id string) (what string) {
	t.Helper()
	ctx, ask := staff(t.Context()), license.StateRequest{ID: id, Reason: "r"}
	now := w.Clock.Now()
	var err error
	switch n := r.IntN(14); n {
	case 0:
		what = "suspend"
		_, err = w.licenses.Suspend(ctx, ask)
	case 1, 2:
		what = "reinstate"
		_, err = w.licenses.Reinstate(ctx, ask)
	case 3:
		if r.IntN(6) == 0 {
			what = "revoke"
			_, err = w.licenses.Revoke(ctx, ask)
		}
	case 4:
		what = "seats"
		_, err = w.licenses.Change(ctx, license.ChangeRequest{ID: id, Reason: "r", Seats: pick(r, ptr(int64(0)), ptr(int64(1)), ptr(int64(3)))})
	case 5:
		what = "valid_until"
		_, err = w.licenses.Change(ctx, license.ChangeRequest{ID: id, Reason: "r", ValidUntil: ptr(now.Add(time.Duration(r.IntN(20)-6) * 12 * time.Hour))})
	case 6:
		what = "ent_until"
		_, err = w.licenses.Change(ctx, license.ChangeRequest{ID: id, Reason: "r", EntUntil: map[string]time.Time{pick(r, "projects", "export"): now.Add(time.Duration(r.IntN(20)-6) * 12 * time.Hour)}})
	case 7:
		what = "features"
		_, err = w.licenses.Change(ctx, license.ChangeRequest{ID: id, Reason: "r", Entitlements: license.Entitlements{"projects": doc.Int(r.Int64N(9)), "extra": doc.On()}, Remove: pick(r, nil, []string{"tier"}), Endless: pick(r, nil, []string{"export"})})
	case 8:
		what = "max_version"
		_, err = w.licenses.Change(ctx, license.ChangeRequest{ID: id, Reason: "r", MaxVersion: ptr(pick(r, "", "3", "2.5.1"))})
	case 9:
		what = "renew"
		_, err = w.licenses.Renew(ctx, license.RenewRequest{ID: id, Reason: "r"})
	default:
		by := pick(r, time.Second, time.Hour, 12*time.Hour, 24*time.Hour, 47*time.Hour, 120*time.Hour)
		what = by.String()
		w.Clock.Advance(by)
		if _, err := w.licenses.Lapse(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		what += " refused"
	}
	return what
}

func ptr[T any](v T) *T { return &v }

func someQuestion(r *rand.Rand, p *product) sdk.ValidateRequest {
	q := sdk.ValidateRequest{Product: pick(r, "editor", "editor", "editor", "other", ""), Env: pick(r, "", "live", "live", "test"), Version: pick(r, "", "1.0", "2.5", "2.5.1", "3.1", "v"), Device: p.device, User: p.user,
		Entitlement: pick(r, "", "export", "projects", "tier", "extra", "renders", "nothing"), N: pick[int64](r, 0, 1, 5, 11)}
	return q
}
