package license_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// nudges takes jobs and runs none.
type nudges struct{}

func (nudges) Enqueue(context.Context, licensing.Job) error { return nil }

// replica is another process on the world's database, with a memory of its own.
func (w *world) replica(t *testing.T) *world {
	t.Helper()
	other := *w
	keys, deps := w.keys.Deps, w.Service.Deps
	other.keys = keyring.New(keys)
	if err := other.keys.Ensure(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	deps.Signer, deps.Verifier = other.keys, other.keys
	other.Service = license.New(deps)
	return &other
}

// many issues n licenses, a hundred in each transaction.
func (w *world) many(t testing.TB, n int) {
	t.Helper()
	for first := 0; first < n; first += 100 {
		var drafts []*license.Draft
		for i := first; i < min(first+100, n); i++ {
			d, err := w.Draft(w.ctx, w.spec(fmt.Sprint("many/", i)))
			if err != nil {
				t.Fatal(err)
			}
			drafts = append(drafts, d)
		}
		if err := w.Store.InTx(licensing.AsSystem(w.ctx, "fulfil"), func(ctx context.Context) error {
			for _, d := range drafts {
				if _, err := w.Issue(ctx, d); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// watch makes the database write down every token whose text changes.
func (w *world) watch(t *testing.T) {
	t.Helper()
	statements := []string{`CREATE TABLE signed_again (jti text NOT NULL)`,
		`CREATE TRIGGER signed_again AFTER UPDATE OF token ON license_token BEGIN INSERT INTO signed_again VALUES (NEW.jti); END`}
	if w.DB.Engine() == db.Postgres {
		statements = []string{statements[0], `CREATE FUNCTION signed_again() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO signed_again VALUES (NEW.jti); RETURN NEW; END'`,
			`CREATE TRIGGER signed_again AFTER UPDATE OF token ON license_token FOR EACH ROW EXECUTE FUNCTION signed_again()`}
	}
	for _, s := range statements {
		if _, err := w.DB.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	if err := w.DB.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// dying is a database that dies in the middle of a transaction: after so many of them, with all statements done and nothing committed.
type dying struct {
	licensing.Transactor
	left *int
	end  context.CancelFunc
}

func (d dying) InTx(ctx context.Context, fn func(context.Context) error) error {
	return d.Transactor.InTx(ctx, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			return err
		}
		if *d.left--; *d.left < 0 {
			d.end()
			return context.Canceled
		}
		return nil
	})
}

// meddling does something before each transaction.
type meddling struct {
	licensing.Transactor
	before func()
}

func (m meddling) InTx(ctx context.Context, fn func(context.Context) error) error {
	m.before()
	return m.Transactor.InTx(ctx, fn)
}

// fetchNext fetches, as a product does, the token that the work is about to write: it was read and signed, and not stored yet.
func (w *world) fetchNext(t *testing.T, kid string) {
	var id string
	if err := w.DB.QueryRow(t.Context(), `SELECT license_id FROM license_token WHERE kid = $1 AND current ORDER BY jti LIMIT 1`, kid).Scan(&id); err != nil {
		t.Error(err)
		return
	}
	l, err := w.Store.Licenses().LicenseByID(t.Context(), id)
	if err == nil {
		_, err = w.TokenText(w.ctx, &l)
	}
	if err != nil {
		t.Error(err)
	}
}

// After a signing key was revoked, every license that is not revoked is signed again exactly once: though the work dies in the middle of a
// batch and goes on elsewhere, though two processes do it at once, though products fetch some meanwhile, and though a process that had
// not heard of it yet signs with the old key after the work has passed. In the long form, a hundred thousand take ten minutes at most.
func TestK07_EveryLiveLicenseIsSignedAgainOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		d := w.keys.Deps
		d.Works, d.IDs, d.Jobs = e.Store.Resignings(), e.IDs, nudges{}
		w.keys = keyring.New(d)
		w = w.replica(t)
		n := storetest.Soak(1100, 100_000)
		w.many(t, n)
		list, err := w.List(w.ctx, license.ListRequest{Page: licensing.Page{Limit: 2}})
		if err != nil {
			t.Fatal(err)
		}
		paused, gone := list.Items[0].ID, list.Items[1].ID
		if _, err := w.Suspend(w.ctx, license.StateRequest{ID: paused, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Revoke(w.ctx, license.StateRequest{ID: gone, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
		stale := w.replica(t)
		before, err := w.Store.Licenses().LicenseByID(t.Context(), paused)
		if err != nil {
			t.Fatal(err)
		}
		w.watch(t)
		work, err := w.keys.Compromise(w.ctx, keyring.CompromiseRequest{KID: before.Token.KID, Reason: "drill"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.keys.Compromise(w.ctx, keyring.CompromiseRequest{KID: before.Token.KID, Reason: "again"}); !errors.Is(err, keyring.ErrRevoked) {
			t.Errorf("revoked twice: %v", err)
		}

		began := time.Now()
		w.dies(t, 2)
		if done := w.count(t, `SELECT count(*) FROM signed_again`); done == 0 || done >= n/2 {
			t.Fatalf("%d were signed before the work died; the test wants some", done)
		}
		var once sync.Once
		var wg sync.WaitGroup
		for range 2 {
			other := w.replica(t)
			deps := other.Service.Deps
			deps.Tx = meddling{deps.Tx, func() { once.Do(func() { w.fetchNext(t, work.KID) }) }}
			other.Service = license.New(deps)
			wg.Go(func() {
				if _, err := other.keys.WorkOff(t.Context(), other.Service); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		late := stale.issue(t, stale.spec("late")).License
		if late.Token.KID != work.KID {
			t.Fatal("the stale process knew of the revocation")
		}
		e.Clock.Advance(time.Minute)
		if wait, err := w.keys.WorkOff(t.Context(), w.Service); err != nil || wait != 0 {
			t.Fatalf("the last walk: %v, %v", wait, err)
		}
		took := time.Since(began)
		rate := float64(n) / took.Seconds()
		t.Logf("%d licenses signed again in %v: %.0f a second, a hundred thousand in %.0f s", n, took.Round(time.Millisecond), rate, 100_000/rate)
		if n == 100_000 && took > 10*time.Minute {
			t.Errorf("a hundred thousand took %v, ten minutes at most", took)
		}

		w.signedOnce(t, work)
		if got := w.count(t, `SELECT count(*) FROM signed_again WHERE jti = $1`, late.Token.JTI); got != 1 {
			t.Errorf("the license of the stale process was signed again %d times", got)
		}
		after, err := w.Store.Licenses().LicenseByID(t.Context(), paused)
		if err != nil {
			t.Fatal(err)
		}
		if after.Token.JTI != before.Token.JTI || after.Token.Index != before.Token.Index || after.Token.List != before.Token.List {
			t.Error("signing again changed the token's identity or its place in the status list")
		}
		v := &doc.Verifier{Keys: w.trust(t), Audience: "editor", Now: e.Clock.Now}
		if _, err := v.License(after.Token.Text); err != nil {
			t.Errorf("the new text: %v", err)
		}
		if _, err := v.License(before.Token.Text); !errors.Is(err, doc.ErrKeyRevoked) {
			t.Errorf("the old text: %v", err)
		}
		// Asked often enough by turns, the process that has not heard of it yet takes nothing back, and makes nobody forget the old text.
		for range 5 {
			for _, r := range []*world{stale, w} {
				l := after
				if text, err := r.TokenText(w.ctx, &l); err != nil || text != after.Token.Text {
					t.Fatalf("a text other than the one that was signed again: %v", err)
				}
			}
		}
		// Whoever has the old text still gets the new one; whoever made up a text of his own with the stolen key does not.
		if a, err := w.ByCredential(t.Context(), before.Token.Text); err != nil || a.License != paused {
			t.Errorf("the holder of the old text is %+v, %v", a, err)
		}
		forged := []byte(before.Token.Text)
		forged[len(forged)-10] ^= 1
		if a, err := w.ByCredential(t.Context(), string(forged)); err != nil || a.License != "" {
			t.Errorf("the holder of another text is %+v, %v", a, err)
		}
	})
}

// dies lets the work die in the middle of a transaction, after so many batches.
func (w *world) dies(t *testing.T, batches int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	victim := w.replica(t)
	deps := victim.Service.Deps
	deps.Tx = dying{deps.Tx, &batches, cancel}
	if _, err := victim.keys.WorkOff(ctx, license.New(deps)); !errors.Is(err, context.Canceled) {
		t.Fatalf("the work did not die: %v", err)
	}
}

// signedOnce demands that every live license has a token of the new key, that each was signed again once, and that the work says so.
func (w *world) signedOnce(t *testing.T, work keyring.Resigning) {
	t.Helper()
	const live = ` FROM license_token t JOIN license l ON l.id = t.license_id WHERE t.current AND l.state <> 'revoked'`
	if left := w.count(t, `SELECT count(*)`+live+` AND t.kid = $1`, work.KID); left != 0 {
		t.Errorf("%d live licenses are still signed by the revoked key", left)
	}
	if twice := w.count(t, `SELECT count(*) FROM (SELECT jti FROM signed_again GROUP BY jti HAVING count(*) > 1) x`); twice != 0 {
		t.Errorf("%d licenses were signed more than once", twice)
	}
	all, total := w.count(t, `SELECT count(*) FROM signed_again`), w.count(t, `SELECT count(*)`+live)
	if all != total {
		t.Errorf("%d licenses were signed again, want %d", all, total)
	}
	list, err := w.keys.Resignings(t.Context(), keyring.ResigningsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	// One was fetched by its product meanwhile, which the work does not count.
	if got := list.Items[0]; got.FinishedAt == nil || got.Done != int64(total)-1 || got.Failed != 0 || got.Total != int64(total)-1 {
		t.Errorf("the work says %+v, want %d done", got, total-1)
	}
}
