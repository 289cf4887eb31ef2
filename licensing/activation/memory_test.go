package activation_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/feed"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// watched counts what is read for validating; between, when set, is called when a row has been read and not yet been given.
type watched struct {
	activation.Store
	reads   atomic.Int64
	between func()
}

// Find implements [activation.Store].
func (w *watched) Find(ctx context.Context, s activation.Seek) (license.License, *activation.Activation, error) {
	w.reads.Add(1)
	l, a, err := w.Store.Find(ctx, s)
	if w.between != nil {
		w.between()
	}
	return l, a, err
}

// rememberer is a replica that keeps in memory what validating reads, as the service does, with a reader of the change feed of its own.
type rememberer struct {
	*replica
	reads *watched
	feed  *feed.Feed
}

func newRememberer(t *testing.T, e storetest.Env) *rememberer {
	t.Helper()
	r := &rememberer{replica: newReplica(t, e, e.DB)}
	r.feed = feed.New(feed.Deps{Store: r.store.Changes(), Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	r.reads = &watched{Store: r.deps.Store}
	known := r.licenses.Deps
	known.Fresh = r.feed.Fresh
	r.licenses = license.New(known)
	r.deps.Fresh, r.deps.Store, r.deps.Licenses = r.feed.Fresh, r.reads, r.licenses
	r.Service = activation.New(r.deps)
	for _, kind := range []string{"license", "activation"} {
		for _, forget := range []func(string){r.Forget, r.licenses.ForgetHolder} {
			r.feed.Subscribe(kind, func(_ context.Context, id string) { forget(id) })
			r.store.Watch(kind, forget)
		}
	}
	r.poll(t)
	return r
}

func (r *rememberer) poll(t *testing.T) {
	t.Helper()
	if err := r.feed.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// says demands an answer to the holder of a key on device n, and how often the database may be asked for it.
func (r *rememberer) says(t *testing.T, what, key string, n int, want eval.Code, reads int64) {
	t.Helper()
	before := r.reads.reads.Load()
	ctx, err := r.holder(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.Validate(ctx, activation.ValidateRequest{ValidateRequest: sdk.ValidateRequest{Product: "editor", Device: device(n)}})
	if err != nil || out.Decision.Code != want {
		t.Errorf("%s: %s, %v; want %s", what, out.Decision.Code, err, want)
	}
	if got := r.reads.reads.Load() - before; got != reads {
		t.Errorf("%s: the database was asked %d times, want %d", what, got, reads)
	}
}

// What one replica changes, it sees at once, and another that answers from memory after its next reading of the feed, which is due twice a
// second: a seat taken and given back, suspension, reinstatement, revocation.
func TestJ46_ValidateFromMemoryFollowsTheFeed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRememberer(t, e), newRememberer(t, e)
		w := &world{Env: e, replica: one.replica, replicas: []*replica{one.replica, two.replica}}
		d := w.issue(t, terms(2))
		key := d.Key
		both := func(what string, code eval.Code) {
			t.Helper()
			one.says(t, what+", where it was done", key, 1, code, 1)
			e.Clock.Advance(feed.Every)
			two.poll(t)
			one.poll(t)
			for _, r := range []*rememberer{one, two} {
				r.says(t, what+", after the feed", key, 1, code, 1)
				r.says(t, what+", again", key, 1, code, 0)
			}
		}
		both("no seat", eval.ActivationRequired)
		out, err := one.activate(t.Context(), key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		both("a seat taken", eval.Valid)
		state := func(change func(context.Context, license.StateRequest) (license.View, error)) {
			t.Helper()
			if _, err := change(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "r"}); err != nil {
				t.Fatal(err)
			}
		}
		state(one.licenses.Suspend)
		both("suspended", eval.Suspended)
		state(one.licenses.Reinstate)
		both("reinstated", eval.Valid)
		if _, err := one.leave(t.Context(), out.Lease); err != nil {
			t.Fatal(err)
		}
		both("the seat given back", eval.ActivationRequired)
		state(one.licenses.Revoke)
		both("revoked", eval.Revoked)
	})
}

// That a seat is borrowed no longer, or less long, is seen at once where it was called back, and elsewhere after the next reading of the feed.
func TestJ46_MemoryLearnsOfLending(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRememberer(t, e), newRememberer(t, e)
		w := &world{Env: e, replica: one.replica, replicas: []*replica{one.replica, two.replica}}
		d := w.issue(t, floating(1))
		out, err := one.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		lend := func(length time.Duration) {
			t.Helper()
			if _, err := one.Lend(owner(t.Context(), "cus_ada"), activation.LendRequest{ID: out.Activation, Until: e.Clock.Now().Add(length)}); err != nil {
				t.Fatal(err)
			}
		}
		both := func(what string, code eval.Code, reads int64) {
			t.Helper()
			e.Clock.Advance(feed.Every)
			one.poll(t)
			two.poll(t)
			one.says(t, what+", where it was done", d.Key, 1, code, reads)
			two.says(t, what+", elsewhere", d.Key, 1, code, reads)
		}
		lend(day)
		e.Clock.Advance(2 * time.Hour) // past the freshness of the lease
		both("lent", eval.Valid, 1)
		both("lent, again", eval.Valid, 0)
		lend(4 * time.Second)
		both("lent for less long", eval.Valid, 1)
		e.Clock.Advance(4 * time.Second)
		both("not lent any more", eval.LeaseExpired, 1)
		lend(day)
		both("lent once more", eval.Valid, 1)
		if _, err := one.Recall(owner(t.Context(), "cus_ada"), activation.RecallRequest{ID: out.Activation}); err != nil {
			t.Fatal(err)
		}
		both("called back", eval.LeaseStale, 1)
	})
}

// A replica whose feed has stopped asks the database again after two seconds, whatever it remembers.
func TestJ46_ValidateReadsThroughWithoutTheFeed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRememberer(t, e), newRememberer(t, e)
		w := &world{Env: e, replica: one.replica, replicas: []*replica{one.replica, two.replica}}
		d := w.issue(t, terms(1))
		two.says(t, "asked first", d.Key, 1, eval.ActivationRequired, 1)
		two.says(t, "asked again", d.Key, 1, eval.ActivationRequired, 0)
		if _, err := one.licenses.Suspend(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "r"}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(feed.Stale + time.Microsecond)
		for range 2 {
			two.says(t, "without the feed", d.Key, 1, eval.Suspended, 1)
		}
	})
}

// A heartbeat goes to another replica and into no feed: memory never calls a lease stale that was renewed.
func TestJ46_MemoryDoesNotOutvoteAHeartbeat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRememberer(t, e), newRememberer(t, e)
		w := &world{Env: e, replica: one.replica, replicas: []*replica{one.replica, two.replica}}
		d := w.issue(t, terms(1))
		out, err := one.activate(t.Context(), d.Key, device(1))
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(24*time.Hour - 3*time.Second)
		two.poll(t)
		two.says(t, "fresh still", d.Key, 1, eval.Valid, 1)
		if _, err := one.beat(t.Context(), out.Lease); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(4 * time.Second) // by what is remembered, and still believed, the lease is stale now
		two.poll(t)
		two.says(t, "renewed elsewhere", d.Key, 1, eval.Valid, 1)
	})
}

// Keys of no license reach the database once in five seconds; a license that nobody has is not asked for at all.
func TestJ46_ValidateRemembersWhatThereIsNot(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	r := newRememberer(t, e)
	for range 3 {
		r.says(t, "a key of nobody", "AAAAA-BBBBB-CCCCC-DDDDD", 1, eval.NotFound, 0)
	}
	ask := func(id string, reads int64) {
		t.Helper()
		before := r.reads.reads.Load()
		out, err := r.Validate(staff(t.Context()), activation.ValidateRequest{License: id})
		if err != nil || out.Decision.Code != eval.NotFound || r.reads.reads.Load()-before != reads {
			t.Errorf("%q: %+v, %v, %d reads", id, out, err, r.reads.reads.Load()-before)
		}
	}
	ask("lic_of_nobody", 1)
	ask("lic_of_nobody", 0)
	ask("", 0)
	e.Clock.Advance(5 * time.Second)
	r.poll(t)
	ask("lic_of_nobody", 1)
}

// A key that was asked for in vain, and that an import then brings, is known at once where it was imported, and elsewhere after the next
// reading of the feed.
func TestJ46_AnImportedKeyIsKnown(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRememberer(t, e), newRememberer(t, e)
		w := &world{Env: e, replica: one.replica, replicas: []*replica{one.replica, two.replica}}
		like := w.issue(t, terms(1)).License
		const key = "OLD-SHOP-0001"
		for _, r := range []*rememberer{one, two} {
			r.says(t, "before the import", key, 1, eval.NotFound, 0)
		}
		ctx := staff(t.Context())
		made, err := one.licenses.DraftMany(ctx, []license.IssueSpec{{Source: license.Source{Kind: license.FromImport, ID: "imp/1"}, ProductID: like.ProductID, ProductSlug: "editor",
			PolicyID: like.PolicyID, Owner: "cus_ada", Env: licensing.Live, Key: key}})
		if err == nil && made[0].Err != nil {
			err = made[0].Err
		}
		if err == nil {
			err = one.store.InTx(ctx, func(ctx context.Context) error {
				return one.licenses.IssueMany(ctx, []*license.Draft{made[0].Draft}, nil)
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(feed.Every)
		two.poll(t)
		for _, r := range []*rememberer{one, two} {
			r.says(t, "after the import", key, 1, eval.ActivationRequired, 1)
		}
	})
}

// retentive is a memory as one would write it at first: it keeps whatever was read, and forgets what it is told to.
type retentive struct {
	activation.Store
	kept map[string]license.License
}

func (f *retentive) find(ctx context.Context, s activation.Seek) (license.License, error) {
	if l, ok := f.kept[s.License]; ok {
		return l, nil
	}
	l, _, err := f.Find(ctx, s)
	f.kept[s.License] = l
	return l, err
}

// A row that was read before a change and arrives after memory was told of it is not kept. A memory that keeps it is wrong for good, which
// the same order of events shows.
func TestJ46_ARowReadBeforeAChangeIsNotKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRememberer(t, e), newRememberer(t, e)
		w := &world{Env: e, replica: one.replica, replicas: []*replica{one.replica, two.replica}}
		d := w.issue(t, terms(1))
		planted := &retentive{two.reads, map[string]license.License{}}
		suspend := func() {
			two.reads.between = nil
			if _, err := one.licenses.Suspend(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "r"}); err != nil {
				t.Error(err)
			}
			delete(planted.kept, d.License.ID)
			two.poll(t)
		}
		two.reads.between = suspend
		two.says(t, "read before the change", d.Key, 1, eval.ActivationRequired, 1)
		two.says(t, "after it", d.Key, 1, eval.Suspended, 1)

		if _, err := one.licenses.Reinstate(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "r"}); err != nil {
			t.Fatal(err)
		}
		two.reads.between = suspend
		for range 2 {
			if l, err := planted.find(t.Context(), activation.Seek{License: d.License.ID}); err != nil || l.State != license.Active {
				t.Errorf("the planted memory was right: %s, %v", l.State, err)
			}
		}
		if l, err := one.licenses.Store.LicenseByID(licensing.AsSystem(t.Context(), "test"), d.License.ID); err != nil || l.State != license.Suspended {
			t.Errorf("%s, %v", l.State, err)
		}
	})
}
