package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestINV1_RefundedKeyDisabledByItsOwner: a key of a refunded order that its owner has disabled, and may enable again, is found; one that the
// shop stops or that is revoked is not.
func TestINV1_RefundedKeyDisabledByItsOwner(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		o, now := paidOrder(t, e), e.Clock.Now()
		line := o.Snapshot.Lines[0].ID
		exec := func(sql string, args ...any) {
			t.Helper()
			if _, err := e.DB.Exec(t.Context(), sql, args...); err != nil {
				t.Fatal(err)
			}
		}
		exec(`UPDATE orders SET state = 'refunded', snapshot = REPLACE(snapshot, '"license"', '"apikey"') WHERE id = $1`, o.ID)
		for id, set := range map[string]string{"key_owner": "disabled_at", "key_gone": "revoked_at"} {
			source := line + "/" + map[string]string{"key_owner": "1", "key_gone": "2"}[id] + "/1"
			exec(`INSERT INTO api_key (id, source_kind, source_id, owner, product_id, plan_id, plan_code, env, name, scopes, allow_from, limits, created_at, updated_at, `+set+`)
				VALUES ($1, 'order_unit', $2, 'cus_1', 'prod_1', 'plan_1', '', 'live', '', '[]', '[]', '[]', $3, $3, $3)`, id, source, now)
			exec(`INSERT INTO order_grant (source, order_id, line_id, kind, object_id, state, hint, created_at, updated_at) VALUES ($1, $2, $3, 'apikey', $4, 'revoked', '', $5, $5)`, source, o.ID, line, id, now)
		}
		found := func() (out []string) {
			violations, err := e.Store.OrderViolations(t.Context(), now.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range violations {
				if v.Invariant == "INV1" {
					out = append(out, v.Text)
				}
			}
			return out
		}
		if got := found(); len(got) != 1 || !strings.Contains(got[0], "key_owner") {
			t.Errorf("%q", got)
		}
		exec(`UPDATE api_key SET held_at = $1 WHERE id = 'key_owner'`, now)
		if got := found(); len(got) != 0 {
			t.Errorf("stopped by the shop: %q", got)
		}
	})
}
