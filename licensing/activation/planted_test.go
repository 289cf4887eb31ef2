package activation_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// naive takes seats as one would at first: count, then insert. It is the shape that the race must find out.
type naive struct {
	activation.Store
	db db.DB
}

// TakeSeat implements [activation.Store], wrongly.
func (n naive) TakeSeat(ctx context.Context, t activation.Take) (bool, error) {
	var seats, held int64
	if err := n.db.QueryRow(ctx, `SELECT seats_max, (SELECT count(*) FROM activation WHERE license_id = $1 AND state = 'held')
		FROM license WHERE id = $1`, t.License).Scan(&seats, &held); err != nil || held >= seats {
		return false, err
	}
	dev, err := json.Marshal(t.Device)
	if err != nil {
		return false, err
	}
	_, err = n.db.Batch(ctx, []db.Statement{
		{SQL: `INSERT INTO activation (id, license_id, subject, state, name, dev, usr, seq, seq_seen, activated_at, last_seen_at, released_by)
			VALUES ($1, $2, $3, 'held', '', $4, '', 1, 0, $5, $5, '')`, Args: []any{t.ID, t.License, t.Subject, string(dev), t.At}},
		{SQL: `UPDATE license SET seats_used = seats_used + 1 WHERE id = $1`, Args: []any{t.License}},
	})
	return err == nil, err
}

// The race of S01 finds a store that counts first and inserts afterwards: it hands out more seats than there are, and the checker
// names the license. So the race is strong enough to trust, and the checker sees what it is for.
func TestS01_RaceFindsCountThenInsert(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		good := newReplica(t, e, e.DB)
		w := &world{Env: e, replica: good, replicas: []*replica{good}}
		deps := good.deps
		deps.Store = naive{good.deps.Store, e.DB}
		bad := activation.New(deps)
		activate := func(ctx context.Context, key string, device map[string]string) (sdk.ActivateResponse, error) {
			ctx, err := good.holder(ctx, key)
			if err != nil {
				return sdk.ActivateResponse{}, err
			}
			return bad.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device})
		}
		for range 100 {
			d := w.issue(t, terms(5))
			got := w.race(t, d.Key, 60, func(*replica) activator { return activate })
			if got <= 5 {
				continue // lucky once; the next round need not be
			}
			found, err := e.Store.LicenseViolations(t.Context(), e.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range found {
				if v.Invariant == "INV4" && v.Object == d.License.ID {
					return
				}
			}
			t.Fatalf("%d devices on 5 seats, and the checker found %+v", got, found)
		}
		t.Error("the race did not find it in 100 rounds")
	})
}

// The checker names every kind of damage to licenses, seats and keys, and nothing in a sound database.
func TestLicenseViolationsNameTheDamage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newReplica(t, e, e.DB)
		w := &world{Env: e, replica: r, replicas: []*replica{r}}
		d := w.issue(t, terms(2))
		out, err := w.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		w.sound(t)
		for _, damage := range []struct{ sql, undo, invariant, object string }{
			{`UPDATE license SET seats_used = 0`, `UPDATE license SET seats_used = 1`, "INV4", d.License.ID},
			{`UPDATE license SET seats_max = 0`, `UPDATE license SET seats_max = 2`, "INV4", d.License.ID},
			{`UPDATE license SET state = 'revoked'`, `UPDATE license SET state = 'active'`, "INV9", out.Activation},
			{`UPDATE license SET state = 'revoked'`, `UPDATE license SET state = 'active'`, "INV9", d.License.Token.JTI},
			{`UPDATE license_token SET kid = kid, current = (1 = 0)`, `UPDATE license_token SET current = (1 = 1)`, "TOKEN", d.License.ID},
			{`UPDATE signing_key SET sealed = NULL WHERE state = 'active' AND role = 'signing'`, `UPDATE signing_key SET state = 'retired' WHERE state = 'active' AND role = 'signing'`, "KEYS", ""},
			{`UPDATE signing_key SET state = 'retired' WHERE role = 'signing'`, `UPDATE signing_key SET state = 'standby' WHERE role = 'signing'`, "KEYS", "signing_key"},
		} {
			if _, err := e.DB.Exec(t.Context(), damage.sql); err != nil {
				t.Fatalf("%s: %v", damage.sql, err)
			}
			found, err := e.Store.LicenseViolations(t.Context(), e.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			named := false
			for _, v := range found {
				named = named || v.Invariant == damage.invariant && (v.Object == damage.object || damage.object == "") && v.Text != ""
			}
			if !named {
				t.Errorf("%s: found %+v", damage.sql, found)
			}
			if _, err := e.DB.Exec(t.Context(), damage.undo); err != nil {
				t.Fatalf("%s: %v", damage.undo, err)
			}
		}
	})
}
