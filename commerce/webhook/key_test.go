package webhook_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// keys is the service of API keys whose changes the world's trail has.
func (w *world) keys(t *testing.T) *apikey.Service {
	t.Helper()
	s, err := apikey.New(apikey.Deps{Store: w.Store.APIKeys(), Changer: w.Store.KeyChanges(), Credits: w.Store.KeyCredits(), Uses: w.Store.KeyUses(), Templates: w.Store.KeyTemplates(),
		Holds: w.Store.KeyHolds(), Imports: w.Store.KeyImports(), Limiter: limit.NewLocal(w.Clock.Now), Clock: w.Clock.Now, IDs: w.IDs, Tx: w.Store, Switches: noSwitches{}, Audit: w.trail})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type noSwitches struct{}

func (noSwitches) Check(context.Context, licensing.Switch, string) error        { return nil }
func (noSwitches) CheckProduct(context.Context, licensing.Switch, string) error { return nil }

// told are the events that arrived, in their order: type, and the states before and after.
func (w *world) told(t *testing.T) []string {
	t.Helper()
	w.relayed(t)
	messages := w.work(t)
	slices.SortFunc(messages, func(a, b message) int { return strings.Compare(a.id, b.id) })
	var out []string
	for _, m := range messages {
		var p struct {
			Type string
			Data struct {
				Change struct {
					From, To string
					Children []string
				}
			}
		}
		if err := json.Unmarshal([]byte(m.body), &p); err != nil {
			t.Fatal(err)
		}
		text := p.Type + " " + p.Data.Change.From + "-" + p.Data.Change.To
		if n := len(p.Data.Change.Children); n > 0 {
			text += " and others"
		}
		out = append(out, text)
	}
	return out
}

// Whoever shuts off a service by these events hears of every key that stops and goes on, for whatever reason, and of none that stays as it is
// because something else stops it as well.
func TestKeysTellWhetherTheyAreGood(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		keys := w.keys(t)
		w.endpoint(t, "key.disabled", "key.enabled")
		staff := licensing.WithCall(w.staff, &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleAdmin}})
		owner := licensing.WithCall(w.staff, &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_a", Owner: "cus_a"}})
		made, err := keys.Create(staff, apikey.CreateRequest{Owner: "cus_a", Product: "prd_a", Name: "k"})
		if err != nil {
			t.Fatal(err)
		}
		r := apikey.RevokeRequest{ID: made.Key.ID, Reason: "try"}
		type step func(context.Context, apikey.RevokeRequest) (apikey.RevokeResponse, error)
		for _, c := range []struct {
			name string
			do   step
			as   context.Context
			want []string
		}{
			{"a dispute", keys.Dispute, staff, []string{"key.disabled active-disabled"}},
			{"the owner as well", keys.Disable, owner, nil},
			{"the dispute is over, the owner's hold is not", keys.EndDispute, staff, nil},
			{"the owner lets it go on", keys.Enable, owner, []string{"key.enabled disabled-active"}},
			{"staff", keys.Disable, staff, []string{"key.disabled active-disabled"}},
			{"a dispute as well", keys.Dispute, staff, nil},
			{"staff let it go on, the dispute does not", keys.Enable, staff, nil},
			{"the dispute is over", keys.EndDispute, staff, []string{"key.enabled disabled-active"}},
			{"again", keys.EndDispute, staff, nil},
		} {
			if _, err := c.do(c.as, r); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if got := w.told(t); !slices.Equal(got, c.want) {
				t.Errorf("%s: told %q, want %q", c.name, got, c.want)
			}
		}
	})
}

// Whoever shuts off a service by these events hears of keys made by a plan that end with the one bought, also where the owner had revoked that one
// himself before, and of none that was revoked already.
func TestKeysMadeByAPlanEndAloud(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.endpoint(t, "key.revoked")
		w.happens(t, "key.revoke", "key_1", map[string]any{"changed": false, "children": []string{"key_2"}})
		w.happens(t, "key.revoke", "key_1", map[string]any{"changed": false})
		if got := w.told(t); !slices.Equal(got, []string{"key.revoked - and others"}) {
			t.Errorf("told %q", got)
		}
	})
}
