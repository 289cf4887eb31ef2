package bulk_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

func hexOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func base64Of(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// importKeys imports a file and works until the run is over.
func (w *world) importKeys(t *testing.T, r bulk.ImportKeysRequest) bulk.RunView {
	t.Helper()
	r.Product, r.Reason = product, "they move to us"
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	report, err := w.ImportKeys(w.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	w.work(t)
	return w.get(t, report.Run.ID)
}

// Keys of another system, known by hashes alone, verify like any other, with their scopes, limits, states and ends; they are rotated into our own form,
// revoked, and end when their text is found in public. The same file a second time changes nothing.
func TestImportKeys_Live(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		old := func(n int) string { return fmt.Sprintf("sk_old_%020d", n) }
		if code := w.code(t, old(1)); code != apikey.NotFound {
			t.Fatalf("before the import: %s", code)
		}
		file := bulk.ImportKeysRequest{Whom: bulk.Whom{Email: "ada@example.com"}, Format: "csv", Plan: "pro", Source: "unkey", Data: "reference,hash,hint,scopes,limits,env,state,expires_at,owner,metadata_team\n" +
			"1," + hexOf(old(1)) + ",sk_old,read write,calls=2/60 monthly=100/month,,,,,ops\n" +
			"2," + base64Of(old(2)) + ",,,,test,disabled,,,\n" +
			"3," + hexOf(old(3)) + ",,,,,revoked,,,\n" +
			"4," + hexOf(old(4)) + ",,,,,,2026-04-01," + reseller + ",\n" +
			"5," + hexOf(old(5)) + ",,,,,,,,\n"}
		if run := w.importKeys(t, file); run.Done != 5 || run.State != "done" || run.About != "key" {
			t.Fatalf("%+v", run)
		}
		for n, want := range []apikey.Code{apikey.NotFound, apikey.Valid, apikey.SwitchedOff, apikey.IsRevoked, apikey.Valid, apikey.Valid} {
			if code := w.code(t, old(n)); code != want {
				t.Errorf("key %d is %s, want %s", n, code, want)
			}
		}
		out, err := w.keys.Verify(w.ctx, apikey.VerifyRequest{Batch: []apikey.VerifyCheck{{Key: old(1), Scopes: []string{"write"}}, {Key: old(1)}, {Key: old(5), Scopes: []string{"write"}}}})
		if err != nil || !out.Batch[0].Valid || out.Batch[1].Code != apikey.RateLimited || out.Batch[2].Code != apikey.InsufficientScope || out.Batch[0].Plan != "pro" || len(out.Batch[0].Limits) != 2 {
			t.Errorf("a batch: %+v, %v", out.Batch, err)
		}
		again, err := w.ImportKeys(w.ctx, bulk.ImportKeysRequest{Whom: file.Whom, Product: product, Format: "csv", Source: "unkey", Env: licensing.Live, Data: file.Data, DryRun: true})
		if err != nil || again.Unchanged != 5 || again.Fresh != 0 || again.Rows[0].Key == "" {
			t.Errorf("a dry run of the same: %+v, %v", again, err)
		}
		if run := w.importKeys(t, file); run.Unchanged != 5 || run.Done != 0 {
			t.Errorf("the same file again: %+v", run)
		}
		if n := w.number(t, `SELECT count(*) FROM api_key`); n != 5 {
			t.Errorf("%d keys", n)
		}
		rotated, err := w.keys.Rotate(w.ctx, apikey.RotateRequest{ID: again.Rows[4].Key})
		if err != nil || !strings.HasPrefix(rotated.Secret, "mtr_live_") {
			t.Fatalf("rotate: %v", err)
		}
		if a, b := w.code(t, old(5)), w.code(t, rotated.Secret); a != apikey.Valid || b != apikey.Valid {
			t.Errorf("within the overlap: %s and %s", a, b)
		}
		w.Clock.Advance(25 * time.Hour)
		if a, b := w.code(t, old(5)), w.code(t, rotated.Secret); a != apikey.IsExpired || b != apikey.Valid {
			t.Errorf("after the overlap: %s and %s", a, b)
		}
		if got, err := w.keys.Leak(w.ctx, apikey.LeakRequest{Key: old(4)}); err != nil || got.Action != "revoked" {
			t.Errorf("found in public: %+v, %v", got, err)
		}
		if code := w.code(t, old(4)); code != apikey.IsRevoked {
			t.Errorf("after that: %s", code)
		}
	})
}

// A dry run names what is wrong with each line and what would be right, without repeating what may be a key, and keeps nothing; nothing is imported
// while a line has a problem. A hash is one key, wherever the other stands.
func TestImportKeys_Problems(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		_, ours := w.key(t, apikey.CreateRequest{})
		const secret = "sk_old_this_is_a_key_itself"
		r := bulk.ImportKeysRequest{Product: product, Env: licensing.Live, Source: "import", Format: "json", Data: `{"keys": [
{"reference": "1", "hash": "` + secret + `", "owner": "` + reseller + `"},
{"reference": "2", "hash": "` + hexOf("2") + `"},
{"reference": "3", "hash": "` + hexOf("3") + `", "owner": "` + reseller + `", "scopes": ["A B"]},
{"reference": "3", "hash": "` + hexOf("4") + `", "owner": "` + reseller + `"},
{"reference": "5", "hash": "` + base64Of("4") + `", "owner": "` + reseller + `"},
{"reference": "6", "hash": "` + hexOf(ours) + `", "owner": "` + reseller + `"},
{"reference": "7", "hash": "` + hexOf("sk_hint_1") + `", "hint": "sk_hint_1", "owner": "` + reseller + `"},
{"reference": "8", "hash": "` + hexOf("8") + `", "owner": "cus_00000000000070008000000000000009"},
{"reference": "9", "hash": "` + hexOf("9") + `", "owner": "` + reseller + `", "colour": "red"},
{"reference": "10", "hash": "` + hexOf("10") + `", "owner": "` + reseller + `", "limits": [{"name": "a"}]},
{"reference": "11", "hash": "` + hexOf("11") + `", "owner": "` + reseller + `"}]}`, DryRun: true}
		report, err := w.ImportKeys(w.ctx, r)
		if err != nil || report.Failed != 10 || report.Fresh != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		for i, want := range []string{"hash", "email", "scopes", "reference", "hash", "hash", "hint", "owner", "colour", "limits"} {
			row := report.Rows[i]
			if row.Line != i+2 || row.Outcome != "failed" || row.Problems[0].Name != want {
				t.Errorf("line %d: %+v, want a problem with %s", i+2, row, want)
			}
		}
		if strings.Contains(fmt.Sprint(report), secret) {
			t.Error("the report repeats what may be a key")
		}
		r.DryRun, r.Reason = false, "x"
		_, err = w.ImportKeys(w.ctx, r)
		is(t, err, "import-refused")
		if n := w.number(t, `SELECT count(*) FROM api_key`); n != 1 {
			t.Errorf("%d keys, want the one that was there", n)
		}
		machine := w.as(licensing.Actor{Kind: licensing.Machine, Scopes: []string{"keys:write"}, Product: "prod_other"}, t.Context())
		_, err = w.ImportKeys(machine, r)
		is(t, err, "forbidden")
	})
}

// An import whose process dies in the middle, and that several workers pick up, makes each key once.
func TestImportKeys_Interrupted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		const n = 110
		data := "reference,hash\n"
		for i := range n {
			data += fmt.Sprintf("%d,%s\n", i, hexOf(fmt.Sprint("sk_old_key_number_", i)))
		}
		report, err := w.ImportKeys(w.ctx, bulk.ImportKeysRequest{Whom: bulk.Whom{Owner: reseller}, Product: product, Env: licensing.Live, Source: "import", Format: "csv", Data: data, Reason: "x"})
		if err != nil {
			t.Fatal(err)
		}
		tx := w.Service.Tx
		w.Service.Tx = &dying{Transactor: tx, after: 2}
		job, _ := w.jobs.take()
		if err := w.run(t.Context(), job); err == nil {
			t.Fatal("it lives")
		}
		w.Service.Tx = tx
		w.crowd(t, job)
		if run := w.get(t, report.Run.ID); run.Done != n || run.State != "done" {
			t.Errorf("%+v", run)
		}
		if got := w.number(t, `SELECT count(*) FROM api_key`); got != n {
			t.Errorf("%d keys", got)
		}
	})
}
