package apikey_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// bring imports a key by its text.
func (r *rig) bring(t *testing.T, text string) string {
	t.Helper()
	d, err := r.DraftImport(apikey.ImportSpec{Digest: credential.Sum(text), IssueSpec: apikey.IssueSpec{Source: apikey.Source{ID: text[:8]}, Owner: "cus_a", ProductID: "prd_a", Env: licensing.Live}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Tx.InTx(as(t, admin), func(ctx context.Context) error { _, err := r.Issue(ctx, d); return err }); err != nil {
		t.Fatal(err)
	}
	return d.Key.ID
}

// TestA06_ForeignTexts: while no key was imported, a text that is not of our form reaches no lookup. Once one was, on whichever replica, such texts are
// looked up, each once for a while, and an address that guesses at them waits as for others; a text of our length and prefix still dies by its checksum.
func TestA06_ForeignTexts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, other := newRig(t, e), newRig(t, e)
		const text = "sk_other_system_0123456789"
		expect(t, "before any import", r.code(t, text), apikey.NotFound)
		expect(t, "before any import", other.code(t, text), apikey.NotFound)
		if n := r.store.reads.Load(); n != 0 {
			t.Errorf("%d lookups before any import", n)
		}
		id := r.bring(t, text)
		for _, replica := range []*rig{r, other} {
			replica.poll(t)
			v := replica.verify(t, apikey.VerifyCheck{Key: text})
			if v.Code != apikey.Valid || v.KeyID != id {
				t.Errorf("imported: %+v", v)
			}
		}
		actor, err := r.ByCredential(as(t, machine), text, netip.MustParseAddr("192.0.2.9"))
		if err != nil || actor.ID != id || !r.Takes(t.Context(), text) {
			t.Errorf("as its holder's credential: %+v, %v", actor, err)
		}
		_, ours := r.issue(t, nil)
		before := r.store.reads.Load()
		for _, bad := range []string{ours[:len(ours)-1] + "!", strings.Replace(ours, "live", "prod", 1), "short", "with a space in its middle", strings.Repeat("x", credential.MaxForeign+1), "sk_ünïcode_0123456789"} {
			if expect(t, bad, r.code(t, bad), apikey.NotFound); r.Takes(t.Context(), bad) {
				t.Errorf("%q may be a key", bad)
			}
		}
		if n := r.store.reads.Load(); n != before {
			t.Errorf("%d lookups of what can be no key", n-before)
		}
		for range 3 {
			expect(t, "unknown", r.code(t, "sk_other_system_unknown"), apikey.NotFound)
		}
		if n := r.store.reads.Load(); n != before+1 {
			t.Errorf("an unknown text was looked up %d times", n-before)
		}
		var last apikey.Code
		for i := range 150 {
			last = r.verify(t, apikey.VerifyCheck{Key: fmt.Sprint("sk_other_system_guess_", i), IP: "192.0.2.7"}).Code
		}
		expect(t, "who guesses", last, apikey.RateLimited)
		expect(t, "a key that is known, from there", r.verify(t, apikey.VerifyCheck{Key: text, IP: "192.0.2.7"}).Code, apikey.Valid)
	})
}

// TestParseDigest: a SHA-256 is read as hexadecimal in either case and as base64 of either alphabet, padded or not, and nothing else is.
func TestParseDigest(t *testing.T) {
	t.Parallel()
	want := credential.Sum("a key")
	std := base64.StdEncoding.EncodeToString(want[:])
	url := base64.RawURLEncoding.EncodeToString(want[:])
	for _, text := range []string{hex.EncodeToString(want[:]), strings.ToUpper(hex.EncodeToString(want[:])), std, url, strings.TrimSuffix(std, "=")} {
		if got, ok := apikey.ParseDigest(text); !ok || got != want {
			t.Errorf("%q is not read", text)
		}
	}
	for _, text := range []string{"", "sk_live_something", std + "=", std[1:], strings.Repeat("z", 64), hex.EncodeToString(want[:31]), url + "AA"} {
		if _, ok := apikey.ParseDigest(text); ok {
			t.Errorf("%q is read", text)
		}
	}
}

// TestA06_AskedBeforeItCame: a text that was asked for in vain a moment before its key was imported is good as soon as the change arrives, on every
// replica, since what is not there is not remembered beyond that.
func TestA06_AskedBeforeItCame(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, other := newRig(t, e), newRig(t, e)
		r.bring(t, "sk_first_of_all_0123456789")
		const text = "sk_comes_later_0123456789"
		for _, replica := range []*rig{r, other} {
			replica.poll(t)
			expect(t, "before its import", replica.code(t, text), apikey.NotFound)
		}
		r.bring(t, text)
		for _, replica := range []*rig{r, other} {
			replica.poll(t)
			expect(t, "imported", replica.code(t, text), apikey.Valid)
		}
	})
}
