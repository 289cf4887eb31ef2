package apikey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestA11_MisuseIsAudited: a key that is presented for a scope, a product or from a network that it does not have leaves one audit event of
// each kind an hour, however often it is; and last use is kept to the minute, without a write by each verification.
func TestA11_MisuseIsAudited(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, func(c *apikey.CreateRequest) { c.AllowFrom = []string{"192.0.2.0/24"} })
		other, product := r.issue(t, nil)
		use := func() {
			for range 50 {
				expect(t, "scope", r.verify(t, apikey.VerifyCheck{Key: text, Scopes: []string{"write"}, IP: "192.0.2.1"}).Code, apikey.InsufficientScope)
				expect(t, "product", r.verify(t, apikey.VerifyCheck{Key: product, Product: "prd_b"}).Code, apikey.InsufficientScope)
				expect(t, "address", r.verify(t, apikey.VerifyCheck{Key: text, IP: "203.0.113.1"}).Code, apikey.ForbiddenIP)
			}
		}
		misuse := func() {
			use()
			r.Invalidate("") // whatever drops the records, such as a change of the key, tells nothing twice
			if err := r.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		audited := func(id string) []string {
			rows, err := e.DB.Query(t.Context(), `SELECT detail FROM audit WHERE action = 'key.misuse' AND target = $1 ORDER BY detail`, id)
			found, err := db.Collect(rows, err, func(row db.Row) (s string, err error) { return s, row.Scan(&s) })
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		misuse()
		misuse()
		if v, err := r.Get(as(t, admin), apikey.GetRequest{ID: id}); err != nil || v.LastUsedAt != nil {
			t.Errorf("refusals count as a use: %v, %v", v.LastUsedAt, err)
		}
		for range 50 {
			expect(t, "good", r.verify(t, apikey.VerifyCheck{Key: text, IP: "192.0.2.1"}).Code, apikey.Valid)
		}
		used := e.Clock.Now()
		for range 2 {
			if err := r.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if v, err := r.Get(as(t, admin), apikey.GetRequest{ID: id}); err != nil || v.LastUsedAt == nil || !v.LastUsedAt.Equal(used) {
			t.Errorf("last used %v, want %s, %v", v.LastUsedAt, used, err)
		}
		if found := audited(id); len(found) != 2 || !strings.Contains(found[0], "FORBIDDEN_IP") || !strings.Contains(found[1], "INSUFFICIENT_SCOPE") {
			t.Errorf("of scope and address: %v", found)
		}
		if found := audited(other); len(found) != 1 || !strings.Contains(found[0], "INSUFFICIENT_SCOPE") {
			t.Errorf("of the product: %v", found)
		}
		e.Clock.Advance(e.Clock.Now().Truncate(time.Hour).Add(2*time.Hour - time.Second).Sub(e.Clock.Now()))
		r.poll(t)
		use() // which is written down in the hour after, whose own is written down too
		e.Clock.Advance(time.Second)
		r.poll(t)
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		misuse()
		misuse()
		if of, by := len(audited(id)), len(audited(other)); of != 6 || by != 3 {
			t.Errorf("after two more hours there are %d and %d events, want 6 and 3", of, by)
		}
	})
}
