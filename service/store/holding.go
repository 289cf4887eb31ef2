package store

import (
	"context"
	"fmt"
	"github.com/go-json-experiment/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// holdings implements [insight.Holdings].
type holdings struct{ *Store }

var _ insight.Holdings = (*holdings)(nil)

// Holdings returns the reader of what owners have.
func (s *Store) Holdings() insight.Holdings { return &holdings{s} }

// heldRow is a row of holdingsAsked. What a column is of depends on the kind:
//
//	kind     name              ref      state              detail    a, b, c                      until
//	license  product           slug     as stored          terms     seats, seats_max, seats_used valid_until
//	order    receipt           currency as stored          snapshot  total, refunded              none
//	key      product           order    revoked, disabled  its name  1 when it waits to be shown  expires_at
type heldRow struct {
	kind, id, name, ref, state, env, detail string
	a, b, c                                 int64
	at                                      time.Time
	until                                   *time.Time
}

// holdingsAsked reads all kinds in one statement: a statement costs a round trip on PostgreSQL, and on SQLite its locks and columns cost
// more than a customer's rows.
const holdingsAsked = `SELECT * FROM (SELECT 'license', l.id, COALESCE((SELECT p.name FROM product p WHERE p.id = l.product_id), ''), l.product_slug, l.state, l.env, l.terms,
		l.seats, l.seats_max, l.seats_used, l.created_at, l.valid_until FROM license l WHERE l.owner = $1 ORDER BY l.id DESC LIMIT $2) AS licensed
	UNION ALL SELECT * FROM (SELECT 'order', o.id, o.receipt, o.currency, o.state, o.env, o.snapshot, o.total, o.refunded, 0, o.created_at, CAST(NULL AS timestamptz)
		FROM orders o WHERE o.owner = $1 ORDER BY o.id DESC LIMIT $3) AS ordered
	UNION ALL SELECT * FROM (SELECT 'key', k.id, COALESCE((SELECT p.name FROM product p WHERE p.id = k.product_id), ''), COALESCE(g.order_id, ''),
		CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.disabled_at IS NOT NULL THEN 'disabled' ELSE 'active' END, k.env, k.name,
		CASE WHEN g.sealed IS NOT NULL AND g.state = 'active' THEN 1 ELSE 0 END, 0, 0, k.created_at, k.expires_at
		FROM api_key k LEFT JOIN order_grant g ON g.object_id = k.id WHERE k.owner = $1 ORDER BY k.id DESC LIMIT $4) AS keyed`

// Holdings implements [insight.Holdings].
func (s *holdings) Holdings(ctx context.Context, owner licensing.Owner, now time.Time, limits insight.Limits) (held insight.Held, err error) {
	rows, err := s.db.Query(ctx, holdingsAsked, string(owner), limits.Licenses+1, limits.Orders+1, limits.Keys+1)
	if err != nil {
		return held, err
	}
	defer rows.Close()
	for rows.Next() {
		var h heldRow
		if err := rows.Scan(&h.kind, &h.id, &h.name, &h.ref, &h.state, &h.env, &h.detail, &h.a, &h.b, &h.c, &h.at, &h.until); err != nil {
			return held, err
		}
		if err := h.addTo(&held, s.terms, owner, now); err != nil {
			return held, fmt.Errorf("%s %s: %w", h.kind, h.id, err)
		}
	}
	// The parts of a UNION may come in any order.
	slices.SortFunc(held.Licenses, func(a, b license.License) int { return strings.Compare(b.ID, a.ID) })
	slices.SortFunc(held.Orders, func(a, b insight.OrderBrief) int { return strings.Compare(b.ID, a.ID) })
	slices.SortFunc(held.Keys, func(a, b insight.KeyBrief) int { return strings.Compare(b.ID, a.ID) })
	return held, rows.Err()
}

func (h *heldRow) addTo(held *insight.Held, known *knownTerms, owner licensing.Owner, now time.Time) error {
	env := licensing.Env(h.env)
	switch h.kind {
	case "license":
		l := license.License{ID: h.id, ProductName: h.name, ProductSlug: h.ref, State: license.State(h.state), Env: env, Owner: owner,
			Seats: h.a, SeatsMax: h.b, SeatsUsed: h.c, CreatedAt: h.at, ValidUntil: instant(h.until)}
		var err error
		l.Terms, err = known.read(h.detail)
		held.Licenses = append(held.Licenses, l)
		return err
	case "order":
		var frozen struct {
			Lines []struct {
				Product  string `json:"product_name"`
				Plan     string `json:"plan_name"`
				Quantity int64  `json:"quantity"`
			} `json:"lines"`
		}
		if err := json.Unmarshal([]byte(h.detail), &frozen); err != nil {
			return err
		}
		currency := money.Currency(h.ref)
		o := insight.OrderBrief{ID: h.id, State: h.state, Env: env, Receipt: h.name, Total: money.New(h.a, currency), Refunded: money.New(h.b, currency), CreatedAt: h.at, Lines: []insight.LineBrief{}}
		for _, l := range frozen.Lines {
			o.Lines = append(o.Lines, insight.LineBrief{Name: l.Product + ": " + l.Plan, Quantity: l.Quantity})
		}
		held.Orders = append(held.Orders, o)
	case "key":
		held.Keys = append(held.Keys, insight.KeyBrief{ID: h.id, Name: h.detail, ProductName: h.name, Env: env, Order: h.ref, Unrevealed: h.a == 1,
			Active: h.state == "active" && (h.until == nil || now.Before(*h.until))})
	}
	return nil
}

// knownTerms remembers what texts of terms say. Terms are frozen into each license of a policy, so a few texts stand in many licenses; what
// a text says never changes. The terms are shared: who gets them only reads them.
type knownTerms struct {
	texts sync.Map // string -> license.Terms
	count atomic.Int64
}

// maxTerms bounds the texts that are remembered, of some kilobytes each.
const maxTerms = 256

func (k *knownTerms) read(text string) (license.Terms, error) {
	if t, ok := k.texts.Load(text); ok {
		return t.(license.Terms), nil
	}
	var t license.Terms
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return t, err
	}
	if k.count.Add(1) <= maxTerms {
		k.texts.Store(text, t)
	}
	return t, nil
}
