package insight_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// holder is an owner in a shop whose rows the test writes by hand. Its licenses are judged by their state and seats alone.
type holder struct {
	rig
	owner string
}

func newHolder(t *testing.T, e storetest.Env) *holder {
	h := &holder{rig: rig{Env: e, t: t}, owner: "cus_1"}
	h.Service = insight.New(insight.Deps{Store: e.Store.Insight(), Holdings: e.Store.Holdings(), Clock: e.Clock.Now, Judge: func(l *license.License, _ time.Time) eval.Decision {
		switch {
		case l.State == license.Suspended:
			return eval.Decision{Code: eval.Suspended}
		case l.SeatsUsed == 0 && l.Terms.Activation == doc.ActivationRequired:
			return eval.Decision{Allowed: true, Code: eval.ActivationRequired, Findings: []eval.Finding{{Code: eval.ActivationRequired}}}
		}
		return eval.Decision{Allowed: true, Code: eval.Valid}
	}})
	return h
}

func (h *holder) license(state string, used int64) string {
	h.t.Helper()
	id := h.IDs.New("lic")
	h.exec(`INSERT INTO license (id, source_kind, source_id, product_id, product_slug, plan_id, plan_code, policy_id, owner, env, licensee, state, state_reason, terms, entitlements,
		seats, seats_max, seats_used, seats_kept, device_match, seat_taken_by, key_prefix, key_lookup, key_sealed, key_hint, token_jti, version, created_at, updated_at, valid_until)
		VALUES ($1, 'grant', $1, 'prd_1', 'notes', 'pln_1', 'pro', 'pol_1', $2, 'live', '', $3, '', '{"activation": "required"}', '{}', 3, 3, $4, 0, 1, '', 'MTR', $5, $5, 'AAAA', $1, 1, $6, $6, $6)`,
		id, h.owner, state, used, []byte(id), h.Clock.Now())
	return id
}

func (h *holder) bought(state string, total int64) string {
	h.t.Helper()
	id, now := h.IDs.New("ord"), h.Clock.Now()
	var at any
	captured := int64(0)
	if state == "fulfilled" {
		at, captured = now, total
	}
	h.exec(`INSERT INTO orders (id, owner, email, env, state, reason, currency, subtotal, discount, tax, total, captured, refunded, disputed, snapshot, secret_hash, access, version,
		session, intent, charge, receipt, created_at, updated_at, expires_at, checked_at, paid_at)
		VALUES ($1, $2, 'a@example.com', 'live', $3, '', 'EUR', $4, 0, 0, $4, $5, 0, 0, '{"lines": [{"product_name": "Notes", "plan_name": "Pro", "quantity": 2}]}', $6, $6, 1, '', '', '', 'R-1', $7, $7, $7, $7, $8)`,
		id, h.owner, state, total, captured, []byte{1}, now, at)
	return id
}

func (h *holder) key(name string, ends, disabled any, order string) string {
	h.t.Helper()
	id, now := h.IDs.New("key"), h.Clock.Now()
	h.exec(`INSERT INTO api_key (id, source_kind, source_id, owner, product_id, plan_id, plan_code, env, name, scopes, allow_from, limits, expires_at, disabled_at, created_at, updated_at)
		VALUES ($1, 'grant', $1, $2, 'prd_1', 'pln_1', 'pro', 'live', $3, '[]', '[]', '[]', $4, $5, $6, $6)`, id, h.owner, name, ends, disabled, now)
	if order != "" {
		line := h.IDs.New("orl")
		h.exec(`INSERT INTO order_line (id, order_id, n, product_id, plan_id, price_id, quantity, unit) VALUES ($1, $2, 1, 'prd_1', 'pln_1', 'prc_1', 1, 1)`, line, order)
		h.exec(`INSERT INTO order_grant (source, order_id, line_id, kind, object_id, state, sealed, hint, created_at, updated_at) VALUES ($1, $2, $1, 'apikey', $3, 'active', $4, '', $5, $5)`,
			line, order, id, []byte{1}, now)
	}
	return id
}

func (h *holder) mine() insight.Mine {
	h.t.Helper()
	m, err := h.Mine(h.as(h.owner), insight.MineRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *holder) as(owner string) context.Context {
	return licensing.WithCall(h.t.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Customer, ID: owner, Owner: licensing.Owner(owner)}})
}

// A customer is told how much there is and what wants attention, newest first, and nothing of what is another's.
func TestMine(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		h := newHolder(t, e)
		if m := h.mine(); m.Licenses.Count+m.Keys.Count+m.Orders.Count+m.Devices != 0 || m.Recent == nil || m.Attention == nil {
			t.Fatalf("of nothing: %+v", m)
		}
		h.license("active", 2)
		suspended := h.license("suspended", 1)
		h.license("active", 0)
		paid, unpaid := h.bought("fulfilled", 900), h.bought("pending", 500)
		h.bought("pending", 0)
		past := h.Clock.Now()
		h.Clock.Advance(time.Minute)
		waits := h.key("ci", nil, nil, paid)
		h.key("", past, nil, "")
		h.key("", nil, past, "")
		h.owner = "cus_2"
		h.license("suspended", 5)
		h.bought("pending", 100)
		h.key("theirs", nil, nil, "")
		h.owner = "cus_1"

		m := h.mine()
		if m.Licenses != (insight.Tally{Count: 3, InOrder: 2}) || m.Devices != 3 || m.Keys != (insight.Tally{Count: 3, InOrder: 1}) || m.Orders != (insight.Tally{Count: 3, InOrder: 1}) {
			t.Errorf("%+v", m)
		}
		if len(m.Attention) != 1 || m.Attention[0].ID != suspended || m.Attention[0].Product != "notes" || m.Attention[0].ValidUntil == nil {
			t.Errorf("attention: %+v", m.Attention)
		}
		if len(m.Unpaid) != 1 || m.Unpaid[0].ID != unpaid || m.Unpaid[0].Total.String() != "5.00 EUR" {
			t.Errorf("unpaid: %+v", m.Unpaid)
		}
		if len(m.Recent) != 3 || m.Recent[2].ID != paid || !slices.Equal(m.Recent[2].Lines, []insight.LineBrief{{Name: "Notes: Pro", Quantity: 2}}) || m.Recent[2].Receipt != "R-1" {
			t.Errorf("recent: %+v", m.Recent)
		}
		if len(m.Unrevealed) != 1 || m.Unrevealed[0].ID != waits || m.Unrevealed[0].Name != "ci" || m.Unrevealed[0].Order != paid {
			t.Errorf("unrevealed: %+v", m.Unrevealed)
		}
	})
}

// Of many, so many are looked at as was said, the newest ones, and that there are more is said.
func TestMineOfMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		h := newHolder(t, e)
		var last string
		for range 21 {
			last = h.bought("fulfilled", 100)
		}
		m := h.mine()
		if m.Orders != (insight.Tally{Count: 20, InOrder: 20, More: true}) || len(m.Recent) != 5 || m.Recent[0].ID != last {
			t.Errorf("%+v", m)
		}
	})
}

// Nobody but a customer has an overview of their own.
func TestMineIsForCustomers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		h := newHolder(t, e)
		for _, actor := range []licensing.Actor{{}, {Kind: licensing.Staff, ID: "cus_1"}, {Kind: licensing.Customer}} {
			ctx := licensing.WithCall(t.Context(), &licensing.Call{Actor: actor})
			if _, err := h.Mine(ctx, insight.MineRequest{}); licensing.KindOf(err) != licensing.NotFound {
				t.Errorf("%+v: %v", actor, err)
			}
		}
	})
}
