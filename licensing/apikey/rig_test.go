package apikey_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/feed"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// switches is a licensing.Switches of which the API switch can be turned off for a product, or for all with "".
type switches struct{ off sync.Map }

func (s *switches) Check(_ context.Context, which licensing.Switch, product string) error {
	for _, p := range []string{"", product} {
		if off, _ := s.off.Load(p); off == true && which == licensing.SwitchAPI {
			return licensing.Fail(licensing.Unavailable, "switched-off", "off")
		}
	}
	return nil
}

// CheckProduct is Check for the press on the product alone.
func (s *switches) CheckProduct(_ context.Context, which licensing.Switch, product string) error {
	if off, _ := s.off.Load(product); off == true && product != "" && which == licensing.SwitchAPI {
		return licensing.Fail(licensing.Unavailable, "switched-off", "off")
	}
	return nil
}

// counted is a Store that counts what verification reads.
type counted struct {
	apikey.Store
	reads atomic.Int64
}

func (c *counted) KeyByDigest(ctx context.Context, head []byte) (apikey.Record, error) {
	c.reads.Add(1)
	return c.Store.KeyByDigest(ctx, head)
}

// countedLimiter counts how often it is asked.
type countedLimiter struct {
	apikey.Limiter
	asked atomic.Int64
}

func (c *countedLimiter) TakeEach(ctx context.Context, groups [][]apikey.Check) ([][]apikey.Taken, error) {
	c.asked.Add(1)
	return c.Limiter.TakeEach(ctx, groups)
}

// rig is one replica: a service on the test's database with its own cache, feed and counters.
type rig struct {
	storetest.Env
	*apikey.Service
	store    *counted
	limiter  *countedLimiter
	switches *switches
	feed     *feed.Feed
}

func newRig(t *testing.T, e storetest.Env) *rig {
	t.Helper()
	r := &rig{Env: e, store: &counted{Store: e.Store.APIKeys()}, limiter: &countedLimiter{Limiter: limit.NewLocal(e.Clock.Now)}, switches: &switches{}}
	r.feed = feed.New(feed.Deps{Store: e.Store.Changes(), Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	s, err := apikey.New(apikey.Deps{
		Store: r.store, Changer: e.Store.KeyChanges(), Credits: e.Store.KeyCredits(), Uses: e.Store.KeyUses(), Templates: e.Store.KeyTemplates(), Holds: e.Store.KeyHolds(), Imports: e.Store.KeyImports(), Limiter: r.limiter, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Switches: r.switches, FeedAlive: r.feed.Fresh,
		Audit: audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs}),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Service = s
	r.feed.Subscribe("api_key", func(_ context.Context, id string) { s.Invalidate(id) })
	r.poll(t)
	return r
}

func (r *rig) poll(t *testing.T) {
	t.Helper()
	if err := r.feed.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// as is a context in which an actor runs a mutating operation.
func as(t *testing.T, a licensing.Actor) context.Context {
	t.Helper()
	return licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Actor: a, Mutating: true})
}

func customer(id string) licensing.Actor {
	return licensing.Actor{Kind: licensing.Customer, ID: id, Owner: licensing.Owner(id)}
}

var (
	admin   = licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleAdmin}
	machine = licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Scopes: []string{"keys:verify"}}
)

// issue makes a key as staff and returns its id and text.
func (r *rig) issue(t *testing.T, change func(*apikey.CreateRequest)) (id, text string) {
	t.Helper()
	req := apikey.CreateRequest{Owner: "cus_a", Product: "prd_a", Plan: "pro", Name: "key", Scopes: []string{"read"}}
	if change != nil {
		change(&req)
	}
	out, err := r.Create(as(t, admin), req)
	if err != nil {
		t.Fatal(err)
	}
	return out.Key.ID, out.Secret
}

func (r *rig) verify(t *testing.T, c apikey.VerifyCheck) apikey.VerifyResult {
	t.Helper()
	out, err := r.Verify(as(t, machine), apikey.VerifyRequest{VerifyCheck: c})
	if err != nil {
		t.Fatal(err)
	}
	if out.Valid != (out.Code == apikey.Valid) {
		t.Fatalf("valid %v with code %s", out.Valid, out.Code)
	}
	return out.VerifyResult
}

func (r *rig) code(t *testing.T, text string) apikey.Code {
	t.Helper()
	return r.verify(t, apikey.VerifyCheck{Key: text}).Code
}

func expect(t *testing.T, what string, got, want apikey.Code) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func fails(t *testing.T, what string, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func ptr[T any](v T) *T { return &v }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
