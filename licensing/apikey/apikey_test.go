package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestLifeOfAKey: issue, verify, disable, enable, expire and revoke, each with its code, on both engines.
func TestLifeOfAKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, func(c *apikey.CreateRequest) { c.ExpiresAt = ptr(e.Clock.Now().Add(time.Hour)) })
		got := r.verify(t, apikey.VerifyCheck{Key: text, Scopes: []string{"read"}})
		if got.Code != apikey.Valid || got.KeyID != id || got.Owner != "cus_a" || got.Product != "prd_a" || got.Plan != "pro" || got.Env != licensing.Live {
			t.Fatalf("%+v", got)
		}
		actor, err := r.ByCredential(t.Context(), text, netip.Addr{})
		if err != nil || actor.Kind != licensing.APIKey || actor.ID != id || actor.Owner != "cus_a" || !actor.Has("read") || actor.Product != "prd_a" {
			t.Fatalf("%+v, %v", actor, err)
		}
		owner := as(t, customer("cus_a"))
		if _, err := r.Disable(owner, apikey.RevokeRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		expect(t, "disabled", r.code(t, text), apikey.IsDisabled)
		if _, err := r.Enable(owner, apikey.RevokeRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		expect(t, "enabled", r.code(t, text), apikey.Valid)
		e.Clock.Advance(time.Hour - time.Microsecond)
		r.poll(t)
		expect(t, "a moment before its end", r.code(t, text), apikey.Valid)
		e.Clock.Advance(time.Microsecond)
		expect(t, "at its end", r.code(t, text), apikey.IsExpired)
		out, err := r.Revoke(owner, apikey.RevokeRequest{ID: id, Reason: "lost"})
		if err != nil || out.Key.State != apikey.Revoked || out.WithinSeconds != 2 {
			t.Fatalf("%+v, %v", out, err)
		}
		expect(t, "revoked", r.code(t, text), apikey.IsRevoked)
		if _, err := r.Revoke(owner, apikey.RevokeRequest{ID: id}); err != nil {
			t.Errorf("revoking again: %v", err)
		}
		_, err = r.Enable(owner, apikey.RevokeRequest{ID: id})
		fails(t, "enabling a revoked key", err, apikey.ErrNotLive)
		_, err = r.Rotate(owner, apikey.RotateRequest{ID: id})
		fails(t, "rotating a revoked key", err, apikey.ErrNotLive)
		_, err = r.ByCredential(t.Context(), text, netip.Addr{})
		fails(t, "a revoked key as a credential", err, apikey.ErrCredential)
	})
}

// TestIssueOncePerSource: a second issue for the same order unit stores nothing, concurrently too, and only the first text works.
func TestIssueOncePerSource(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		spec := apikey.IssueSpec{Source: apikey.Source{Kind: apikey.FromOrderUnit, ID: "line/1/1"}, Owner: "cus_a", ProductID: "prd_a", Env: licensing.Test,
			Limits: []apikey.Limit{{Name: "calls", Count: 5, Seconds: 60}}}
		var mu sync.Mutex
		var works []string
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				d, err := r.Draft(t.Context(), spec)
				if err != nil {
					t.Error(err)
					return
				}
				var issued bool
				err = e.Store.InTx(licensing.AsSystem(t.Context(), "fulfil"), func(ctx context.Context) error {
					var err error
					issued, err = r.Issue(ctx, d)
					return err
				})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if issued {
					works = append(works, d.Text.Full)
				} else if got := r.code(t, d.Text.Full); got != apikey.NotFound {
					t.Errorf("a text that was not issued: %s", got)
				}
			})
		}
		wg.Wait()
		if len(works) != 1 || !strings.HasPrefix(works[0], "mtr_test_") {
			t.Fatalf("%d keys issued", len(works))
		}
		got := r.verify(t, apikey.VerifyCheck{Key: works[0]})
		if got.Code != apikey.Valid || got.Env != licensing.Test || got.Limits[0].Burst != 5 || got.Limits[0].Remaining != 4 {
			t.Errorf("%+v", got)
		}
	})
}

// TestA01_OneAnswerForEveryReason: as a credential an unknown, malformed, revoked, disabled, expired or rotated-out text gives the same
// public answer, code and text, and the reason is wrapped for the log alone.
func TestA01_OneAnswerForEveryReason(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		unknown, err := r.Format().New(licensing.Live, nil)
		if err != nil {
			t.Fatal(err)
		}
		revoked, revokedText := r.issue(t, nil)
		disabled, disabledText := r.issue(t, nil)
		_, expiredText := r.issue(t, func(c *apikey.CreateRequest) { c.ExpiresAt = ptr(e.Clock.Now().Add(time.Second)) })
		rotated, rotatedText := r.issue(t, nil)
		ctx := as(t, admin)
		_, err1 := r.Revoke(ctx, apikey.RevokeRequest{ID: revoked})
		_, err2 := r.Disable(ctx, apikey.RevokeRequest{ID: disabled})
		_, err3 := r.Rotate(ctx, apikey.RotateRequest{ID: rotated, Overlap: ptr(int64(0))})
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(time.Second)
		for what, text := range map[string]string{
			"unknown": unknown.Full, "malformed": "mtr_live_x", "empty": "", "revoked": revokedText, "disabled": disabledText, "expired": expiredText, "rotated": rotatedText,
		} {
			_, err := r.ByCredential(t.Context(), text, netip.Addr{})
			var told *licensing.Error
			if !errors.As(err, &told) || told.Kind != licensing.Unauthorized || told.Code != apikey.ErrCredential.Code || told.Text != apikey.ErrCredential.Text || told.RetryAfter != 0 || len(told.Fields) != 0 {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// TestA06_BadChecksumTouchesNothing: texts without the right checksum reach neither the database nor the counters; unknown ones with
// it reach the database once.
func TestA06_BadChecksumTouchesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	_, text := r.issue(t, nil)
	r.store.reads.Store(0)
	for i := range 1000 {
		expect(t, "typo", r.code(t, fmt.Sprintf("%s%06d", text[:42], i)), apikey.NotFound)
	}
	if r.store.reads.Load() != 0 || r.limiter.asked.Load() != 0 {
		t.Errorf("%d reads, %d counts", r.store.reads.Load(), r.limiter.asked.Load())
	}
	unknown, err := r.Format().New(licensing.Live, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		expect(t, "unknown", r.code(t, unknown.Full), apikey.NotFound)
	}
	if n := r.store.reads.Load(); n != 1 {
		t.Errorf("an unknown key was read %d times, want once", n)
	}
}

// TestA08_EnvironmentsDoNotMix: a test key does not open a live resource nor the reverse, and a text with its environment swapped is
// no key at all.
func TestA08_EnvironmentsDoNotMix(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		_, live := r.issue(t, nil)
		_, test := r.issue(t, func(c *apikey.CreateRequest) { c.Env = licensing.Test })
		expect(t, "test on live", r.verify(t, apikey.VerifyCheck{Key: test, Env: licensing.Live}).Code, apikey.InsufficientScope)
		expect(t, "live on test", r.verify(t, apikey.VerifyCheck{Key: live, Env: licensing.Test}).Code, apikey.InsufficientScope)
		expect(t, "test on test", r.verify(t, apikey.VerifyCheck{Key: test, Env: licensing.Test}).Code, apikey.Valid)
		_, err := r.Authorize(t.Context(), apikey.Question{Text: test, Env: licensing.Live})
		if licensing.KindOf(err) != licensing.Forbidden {
			t.Errorf("authorize: %v, want forbidden", err)
		}
		expect(t, "swapped", r.code(t, strings.Replace(test, "test", "live", 1)), apikey.NotFound)
		narrow := licensing.Actor{Kind: licensing.Machine, ID: "mtk_2", Env: licensing.Live}
		out, err := r.Verify(as(t, narrow), apikey.VerifyRequest{VerifyCheck: apikey.VerifyCheck{Key: test}})
		if err != nil || out.Code != apikey.NotFound || out.KeyID != "" || out.Owner != "" {
			t.Errorf("a live machine token asks for a test key: %+v, %v", out, err)
		}
	})
}

// TestA09_RevokedEverywhere: what one replica revokes, another with a warm cache refuses after its next reading of the feed, which is
// due twice a second; and at once when its feed has stopped.
func TestA09_RevokedEverywhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		for _, feedRuns := range []bool{true, false} {
			id, text := one.issue(t, nil)
			two.poll(t)
			for range 3 {
				expect(t, "before", two.code(t, text), apikey.Valid)
			}
			reads := two.store.reads.Load()
			expect(t, "cached", two.code(t, text), apikey.Valid)
			if two.store.reads.Load() != reads {
				t.Fatal("the record is not cached, so the test shows nothing")
			}
			if _, err := one.Revoke(as(t, admin), apikey.RevokeRequest{ID: id}); err != nil {
				t.Fatal(err)
			}
			expect(t, "on the replica that revoked", one.code(t, text), apikey.IsRevoked)
			if feedRuns {
				e.Clock.Advance(500 * time.Millisecond)
				two.poll(t)
			} else {
				e.Clock.Advance(2*time.Second + time.Microsecond)
			}
			expect(t, fmt.Sprintf("on the other, feed runs: %v", feedRuns), two.code(t, text), apikey.IsRevoked)
		}
	})
}

// TestA10_RotationWithOverlap: both secrets work in the overlap and share limits, the old one dies at its end to the microsecond, a third
// is refused while two live, and id and counters stay.
func TestA10_RotationWithOverlap(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, old := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "calls", Count: 10, Seconds: 3600}} })
		owner := as(t, customer("cus_a"))
		out, err := r.Rotate(owner, apikey.RotateRequest{ID: id, Overlap: ptr(int64(60))})
		if err != nil || out.Key.ID != id || out.Secret == old {
			t.Fatalf("%+v, %v", out.Key, err)
		}
		if a, b := r.verify(t, apikey.VerifyCheck{Key: old}), r.verify(t, apikey.VerifyCheck{Key: out.Secret}); a.Code != apikey.Valid || b.Code != apikey.Valid || b.Limits[0].Remaining != 8 {
			t.Fatalf("in the overlap: %+v, %+v", a, b)
		}
		_, err = r.Rotate(owner, apikey.RotateRequest{ID: id})
		fails(t, "a third secret", err, apikey.ErrTwoSecrets)
		e.Clock.Advance(time.Minute - time.Microsecond)
		r.poll(t)
		expect(t, "old, a moment before", r.code(t, old), apikey.Valid)
		e.Clock.Advance(time.Microsecond)
		expect(t, "old, at the end", r.code(t, old), apikey.IsExpired)
		expect(t, "new", r.code(t, out.Secret), apikey.Valid)
		again, err := r.Rotate(owner, apikey.RotateRequest{ID: id, Overlap: ptr(int64(0))})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "rotated without overlap", r.code(t, out.Secret), apikey.IsExpired)
		expect(t, "newest", r.code(t, again.Secret), apikey.Valid)
		expect(t, "oldest", r.code(t, old), apikey.IsExpired)
	})
}

// TestA10_ConcurrentRotations: of many rotations at once exactly one wins, and exactly two secrets live.
func TestA10_ConcurrentRotations(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, old := r.issue(t, nil)
		var mu sync.Mutex
		var won []string
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				out, err := r.Rotate(as(t, admin), apikey.RotateRequest{ID: id})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, out.Secret)
				} else if !errors.Is(err, apikey.ErrTwoSecrets) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d rotations won", len(won))
		}
		expect(t, "old", r.code(t, old), apikey.Valid)
		expect(t, "new", r.code(t, won[0]), apikey.Valid)
	})
}

// TestA11_ScopesAndProducts: a key opens what its scopes and its product say and nothing else.
func TestA11_ScopesAndProducts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		_, text := r.issue(t, func(c *apikey.CreateRequest) { c.Scopes = []string{"docs:read", "usage:write"} })
		for _, c := range []struct {
			scopes  []string
			product string
			want    apikey.Code
		}{
			{nil, "", apikey.Valid}, {[]string{"docs:read"}, "prd_a", apikey.Valid}, {[]string{"docs:read", "usage:write"}, "", apikey.Valid},
			{[]string{"docs:write"}, "", apikey.InsufficientScope}, {[]string{"docs:read", "docs:write"}, "", apikey.InsufficientScope},
			{[]string{"docs"}, "", apikey.InsufficientScope}, {nil, "prd_b", apikey.InsufficientScope},
		} {
			expect(t, fmt.Sprint(c.scopes, c.product), r.verify(t, apikey.VerifyCheck{Key: text, Scopes: c.scopes, Product: c.product}).Code, c.want)
		}
		_, err := r.Authorize(t.Context(), apikey.Question{Text: text, Scopes: []string{"docs:write"}})
		if licensing.KindOf(err) != licensing.Forbidden {
			t.Errorf("authorize: %v, want forbidden", err)
		}
	})
}

// TestA12_Q01_TheDatabaseHoldsNoKey: no column of any row holds the text of a key or its secret part, and what is stored does not
// open anything.
func TestA12_Q01_TheDatabaseHoldsNoKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		_, text := r.issue(t, nil)
		secret := text[len(text)-28 : len(text)-6]
		type row struct{ hint, head, hash string }
		rows, err := e.DB.Query(t.Context(), `SELECT hint, head, hash FROM api_secret`)
		found, err := db.Collect(rows, err, func(s db.Row) (v row, err error) {
			var head, hash []byte
			err = s.Scan(&v.hint, &head, &hash)
			v.head, v.hash = string(head), string(hash)
			return v, err
		})
		if err != nil || len(found) != 1 || len(found[0].hash) != 32 || found[0].hash[:16] != found[0].head {
			t.Fatalf("%+v, %v", found, err)
		}
		dump := fmt.Sprintf("%+v", found)
		for _, sql := range []string{`SELECT name || scopes || limits || source_id FROM api_key`, `SELECT detail || target || reason FROM audit`, `SELECT kind || id FROM change`} {
			rows, err := e.DB.Query(t.Context(), sql)
			texts, err := db.Collect(rows, err, func(s db.Row) (v string, err error) { return v, s.Scan(&v) })
			if err != nil {
				t.Fatal(err)
			}
			dump += strings.Join(texts, "\n")
		}
		if strings.Contains(dump, secret) || strings.Contains(dump, text) {
			t.Error("the database holds the secret")
		}
		for _, stolen := range []string{found[0].hash, found[0].head, fmt.Sprintf("%x", found[0].hash), "mtr_live_" + found[0].hint + "_" + strings.Repeat("0", 28)} {
			expect(t, "stolen", r.code(t, stolen), apikey.NotFound)
		}
	})
}
