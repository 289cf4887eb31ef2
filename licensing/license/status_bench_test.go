package license_test

import (
	"fmt"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// fill puts n licenses into the database, 125,000 in each status list, as issued one after the other: one in twenty is revoked, one in two
// hundred suspended. It returns the number of lists.
func fill(t testing.TB, w *world, n int) int64 {
	t.Helper()
	const full, chunk = 125_000, 10_000
	now := w.Clock.Now()
	for first := 0; first < n; first += chunk {
		var licenses, tokens [][]any
		for i := first; i < min(first+chunk, n); i++ {
			id, jti, state := fmt.Sprintf("lic_%032x", i), fmt.Sprintf("tok_%032x", i), "active"
			switch {
			case i%20 == 0:
				state = "revoked"
			case i%200 == 1:
				state = "suspended"
			}
			licenses = append(licenses, []any{id, "import", id, "prod_1", "editor", "", "pro", "pol_1", "cus_ada", "live", "", state, "", "{}", "{}",
				3, 3, 0, 0, 1, "", "MINT", []byte(id), []byte{1}, "AAAAA", jti, 1, now, now})
			place := int64(i%full) * 37 % doc.StatusListSize // odd, so that no two are the same
			tokens = append(tokens, []any{jti, id, int64(i/full + 1), place, state != "revoked", "kid", "x", now, now})
		}
		insert(t, w, "license", []string{"id", "source_kind", "source_id", "product_id", "product_slug", "plan_id", "plan_code", "policy_id", "owner", "env", "licensee", "state",
			"state_reason", "terms", "entitlements", "seats", "seats_max", "seats_used", "seats_kept", "device_match", "seat_taken_by", "key_prefix", "key_lookup", "key_sealed",
			"key_hint", "token_jti", "version", "created_at", "updated_at"}, licenses)
		insert(t, w, "license_token", []string{"jti", "license_id", "list", "idx", "current", "kid", "token", "created_at", "signed_at"}, tokens)
	}
	lists := int64((n + full - 1) / full)
	for num := int64(1); num <= lists; num++ {
		if err := w.Store.LicenseTokens().OpenStatusList(t.Context(), num, now); err != nil {
			t.Fatal(err)
		}
	}
	return lists
}

func insert(t testing.TB, w *world, table string, columns []string, rows [][]any) {
	t.Helper()
	if _, err := w.DB.BulkInsert(t.Context(), table, columns, rows); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkStatusLists reads, builds and signs the status lists of a million licenses: one operation is all eight of them, two seconds at
// most.
func BenchmarkStatusLists(b *testing.B) {
	for name, env := range map[string]func(testing.TB) storetest.Env{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, env(b), perpetual())
			lists := fill(b, w, 1_000_000)
			for b.Loop() {
				w.Forget()
				for n := int64(1); n <= lists; n++ {
					if _, err := w.StatusList(b.Context(), n); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/million")
		})
	}
}

// A list of many licenses says of each what it is, and of places that nobody has, that they are valid.
func TestStatusList_SaysWhatEachLicenseIs(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, perpetual())
		const n = 4000
		fill(t, w, n)
		text, err := w.StatusList(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		list, err := (&doc.Verifier{Keys: w.trust(t), Audience: "editor", Now: e.Clock.Now}).StatusList(text, issuer+"/v1/status/1")
		if err != nil {
			t.Fatal(err)
		}
		bits, err := list.Bits()
		if err != nil {
			t.Fatal(err)
		}
		want := map[int64]byte{}
		for i := range int64(n) {
			switch place := i * 37 % doc.StatusListSize; {
			case i%20 == 0:
				want[place] = doc.StatusInvalid
			case i%200 == 1:
				want[place] = doc.StatusSuspended
			}
		}
		for place := range int64(doc.StatusListSize) {
			if got := bits.Get(place); got != want[place] {
				t.Fatalf("place %d is %d, want %d", place, got, want[place])
			}
		}
	})
}
