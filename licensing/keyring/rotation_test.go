package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// publishes serves what a key ring publishes, as caches on the way may serve it: up to five minutes late.
func publishes(t testing.TB, e storetest.Env, k *keyring.Service) string {
	t.Helper()
	var mu sync.Mutex
	var kept string
	var at time.Time
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+sdk.PathKeyset, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if now := e.Clock.Now(); kept == "" || now.Sub(at) >= 5*time.Minute {
			text, err := k.Keyset(r.Context())
			if err != nil {
				t.Error(err)
			}
			kept, at = text, now
		}
		_, _ = fmt.Fprint(w, kept)
	})
	mux.HandleFunc("GET "+sdk.PathRoots, func(w http.ResponseWriter, r *http.Request) {
		text, err := k.RootKeysets(r.Context())
		if err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprint(w, text)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// product is a program that pins roots.
func product(t testing.TB, e storetest.Env, url string, roots []string) *sdk.Client {
	t.Helper()
	c, err := sdk.New(sdk.Config{BaseURL: url, Product: "editor", Issuer: issuer, Roots: roots}, sdk.WithStore(new(sdk.MemoryStore)), sdk.WithClock(e.Clock))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// load is products that verify what is signed while keys are rotated.
type load struct {
	verified, failed atomic.Int64
	mu               sync.Mutex
	first            error // why the first one failed
}

// rotates has products, which fetch the keyset once a day through caches that are five minutes late, verify what two replicas sign at that moment, one
// of which hears of each rotation late; and rotates the key six times, once in so many hours.
func rotates(t *testing.T, e storetest.Env, k, late *keyring.Service, every int) *load {
	t.Helper()
	roots := must(k.Roots(t.Context()))(t)
	url := publishes(t, e, k)
	clients := make([]*sdk.Client, 4)
	for i := range clients {
		clients[i] = product(t, e, url, roots)
		if err := clients[i].Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l := new(load)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 8 {
		ring := []*keyring.Service{k, late}[i%2]
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				claims := sample(fmt.Sprint("tok_", i, "_", n), e.Clock.Now().Unix())
				claims.Expires = 0
				claims.ValidUntil, claims.Pol.ExpiryGrace, claims.Type = 0, 0, doc.Perpetual
				text, _, err := ring.SignLicense(t.Context(), claims)
				if err == nil {
					_, err = clients[n%len(clients)].Verify(text)
				}
				if err != nil {
					l.fails(fmt.Errorf("verification %d of worker %d: %w", n, i, err))
				}
				l.verified.Add(1)
			}
		})
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	work := func(n int64) { // waits until so many more verifications are done
		for end := l.verified.Load() + n; l.verified.Load() < end && l.failed.Load() == 0; {
			<-tick.C
		}
	}
	for hour := range 6 * every {
		e.Clock.Advance(time.Hour)
		if i := hour % 24 / 6; hour%6 == 5 { // each product once a day
			if err := clients[i].Refresh(t.Context()); err != nil {
				t.Error(err)
			}
		}
		work(storetest.Soak[int64](20, 1000))
		if hour%every != every-1 {
			continue
		}
		if _, err := k.Rotate(staff(t.Context()), keyring.RotateRequest{Reason: "drill"}); err != nil {
			t.Error(err)
		}
		work(100)
		late.Forget() // the change feed comes
	}
	stop()
	wg.Wait()
	return l
}

func (l *load) fails(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed.Add(1) == 1 {
		l.first = err
	}
}

// Rotation under load fails no verification: a key is published a day before it signs.
func TestK04_RotationUnderLoadFailsNoVerification(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		began := time.Now()
		l := rotates(t, e, founded(t, e), newRingStarted(t, e), 24)
		if l.failed.Load() > 0 {
			t.Errorf("%d failed, the first was %v", l.failed.Load(), l.first)
		}
		t.Logf("%d verifications over 6 rotations, %.0f a second, %d failed", l.verified.Load(), float64(l.verified.Load())/time.Since(began).Seconds(), l.failed.Load())
	})
}

// hasty is a store of keys that may sign from the moment at which they were made.
type hasty struct{ keyring.Store }

// Keys implements [keyring.Store], wrongly.
func (h hasty) Keys(ctx context.Context) ([]keyring.Key, error) {
	list, err := h.Store.Keys(ctx)
	for i := range list {
		if k := &list[i]; k.Role == keyring.Signing {
			k.NotBefore = k.CreatedAt
		}
	}
	return list, err
}

// The load finds a rotation that does not wait until products had the time to fetch a key.
func TestK04_LoadFindsHaste(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	founded(t, e)
	d := newRing(t, e, 7).Deps
	d.Store = hasty{d.Store}
	k := keyring.New(d)
	if err := k.Ensure(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	if l := rotates(t, e, k, newRingStarted(t, e), 2); l.failed.Load() == 0 || !errors.Is(l.first, doc.ErrUnknownKey) {
		t.Errorf("of %d verifications %d failed, the first with %v: the load does not find it", l.verified.Load(), l.failed.Load(), l.first)
	}
}

// A product that was away while the root was replaced three times comes to the present one by the keysets in between, each signed by the root
// before; one that pins a stranger's root does not; and afterwards a keyset of the first root is believed no more.
func TestRootsReplaced_ProductsFollow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		k := whole(t, e)
		pinned := must(k.Roots(t.Context()))(t)
		url := publishes(t, e, k)
		asleep, store := product(t, e, url, pinned), new(sdk.MemoryStore)
		if err := asleep.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		old := must(k.Keyset(t.Context()))(t)
		for range 3 { // the third key that signs was not in the keyset that it knows
			must(k.RotateRoot(staff(t.Context()), keyring.RotateRootRequest{Reason: "drill"}))(t)
			must(k.Compromise(staff(t.Context()), keyring.CompromiseRequest{KID: must(k.ActiveKID(t.Context()))(t), Reason: "drill"}))(t)
		}
		now := must(k.Roots(t.Context()))(t)
		if len(now) != 1 || now[0] == pinned[0] {
			t.Fatalf("roots %v after three rotations of %v", now, pinned)
		}
		e.Clock.Advance(time.Hour)
		text, _, err := k.SignLicense(t.Context(), sample("tok_1", e.Clock.Now().Unix()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := asleep.Verify(text); !errors.Is(err, doc.ErrUnknownKey) {
			t.Fatalf("before it fetched anything: %v", err)
		}
		for name, c := range map[string]*sdk.Client{"that was away": asleep, "that is new": product(t, e, url, pinned), "with the present root": product(t, e, url, now)} {
			if err := c.Refresh(t.Context()); err != nil {
				t.Errorf("a product %s: %v", name, err)
			} else if _, err := c.Verify(text); err != nil {
				t.Errorf("a product %s: %v", name, err)
			}
		}
		stranger := must(keyringRoot(t))(t)
		if err := product(t, e, url, []string{stranger}).Refresh(t.Context()); !errors.Is(err, doc.ErrUnknownKey) {
			t.Errorf("a product that pins a stranger's root: %v", err)
		}
		// The way is remembered: a later run believes no keyset of the first root.
		first, err := sdk.New(sdk.Config{BaseURL: url, Product: "editor", Issuer: issuer, Roots: pinned}, sdk.WithStore(store), sdk.WithClock(e.Clock))
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = first.Close()
		file := must(doc.EncodeFile(doc.File{License: text, Keyset: old}))(t)
		next, err := sdk.New(sdk.Config{BaseURL: url, Product: "editor", Issuer: issuer, Roots: pinned}, sdk.WithStore(store), sdk.WithClock(e.Clock))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = next.Close() }()
		if _, err := next.Install(t.Context(), file); !errors.Is(err, doc.ErrUnknownKey) {
			t.Errorf("a keyset of the first root: %v", err)
		}
	})
}

func keyringRoot(t *testing.T) (string, error) { return doc.FormatPublicKey(mustKey(t)), nil }

// A revocation, the import of a keyset and the replacement of a root that are interrupted between the writing of keys, the keyset and the end of the
// transaction leave exactly one active key that signs, one root, and the keyset that was in force; and can be done again.
func TestK06_RevocationImportAndRootAfterEveryInterruption(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		k, ctx := whole(t, e), staff(t.Context())
		crash := errors.New("crash")
		broken := func(deps keyring.Deps, depth int) *keyring.Service {
			deps.Tx = failing{e.Store, crash, depth}
			b := keyring.New(deps)
			if err := b.Ensure(t.Context(), issuer); err != nil {
				t.Fatal(err)
			}
			return b
		}
		asked := must(k.Request(ctx, keyring.AskRequest{Reason: "keys"}))(t)
		online := k.Deps
		steps := map[string]func(k *keyring.Service) error{
			"revocation": func(k *keyring.Service) error {
				kid := must(k.ActiveKID(t.Context()))(t)
				_, err := k.Compromise(ctx, keyring.CompromiseRequest{KID: kid, Reason: "drill"})
				return err
			},
			"root": func(k *keyring.Service) error {
				_, err := k.RotateRoot(ctx, keyring.RotateRootRequest{Reason: "drill"})
				return err
			},
		}
		look := func(name string) {
			fresh := newRingStarted(t, e)
			if got := states(t, fresh); got["revoked"] != 0 || got["standby"] != 2 {
				t.Errorf("%s: keys %v", name, got)
			}
			if set := trust(t, fresh, e, 1); set.Num() != 1 {
				t.Errorf("%s: keyset %d", name, set.Num())
			}
		}
		for depth := 1; depth <= 2; depth++ {
			for name, step := range steps {
				if err := step(broken(online, depth)); !errors.Is(err, crash) {
					t.Fatalf("%s: %v", name, err)
				}
				look(name)
			}
		}
		root := offline(t, k)
		keyset := ceremony(t, e, asked, root)
		if _, err := broken(online, 1).Import(ctx, keyring.ImportRequest{Keyset: keyset}); !errors.Is(err, crash) {
			t.Fatalf("import: %v", err)
		}
		look("import")
		must(k.Import(ctx, keyring.ImportRequest{Keyset: keyset}))(t)
		if set := trust(t, newRingStarted(t, e), e, 2); set.Num() != 2 {
			t.Errorf("keyset %d", set.Num())
		}
	})
}
