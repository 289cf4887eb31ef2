package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
)

// holdings implements [insight.Holdings].
type holdings struct{ *Store }

var _ insight.Holdings = (*holdings)(nil)

// Holdings returns the reader of what owners have.
func (s *Store) Holdings() insight.Holdings { return &holdings{s} }

// heldRow is a row of what an owner has. What a column is of depends on the kind, which its id begins with:
//
//	kind  name           ref       state              detail    a, b, c                       until
//	lic   id of product  slug      as stored          terms     seats, seats_max, seats_used  valid_until
//	ord   receipt        currency  as stored          contents  total, refunded               none
//	key   id of product  order     revoked, disabled  its name  1 when it waits to be shown   expires_at
//
// An order without contents has its snapshot for detail, which is an object of JSON.
type heldRow struct {
	id, name, ref, state, env, detail string
	a, b, c                           int64
	at                                time.Time
	until                             *time.Time
}

// What an owner has, as rows of [heldRow]. All kinds are read in one statement: a statement costs a round trip on PostgreSQL, and on SQLite its
// locks and columns cost more than a customer's rows.
const (
	heldLicenses = `SELECT l.id, l.product_id, l.product_slug, l.state, l.env, l.terms, l.seats, l.seats_max, l.seats_used, l.created_at, l.valid_until
		FROM license l WHERE l.owner = $1`
	heldOrders = `SELECT o.id, o.receipt, o.currency, o.state, o.env, CASE WHEN o.contents <> '' THEN o.contents ELSE o.snapshot END, o.total, o.refunded, 0, o.created_at, CAST(NULL AS timestamptz)
		FROM orders o WHERE o.owner = $1`
	heldKeys = `SELECT k.id, k.product_id, COALESCE(g.order_id, ''), CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.disabled_at IS NOT NULL OR ` + stoppedKey + ` THEN 'disabled' ELSE 'active' END, k.env, k.name,
			CASE WHEN g.sealed IS NOT NULL AND g.state = 'active' THEN 1 ELSE 0 END, 0, 0, k.created_at, k.expires_at
		FROM api_key k LEFT JOIN order_grant g ON g.object_id = k.id WHERE k.owner = $1`

	// anyHeld is everything, which most owners have few of, up to so many rows.
	anyHeld = heldLicenses + ` UNION ALL ` + heldOrders + ` UNION ALL ` + heldKeys + ` LIMIT $2`
	// newestHeld is the newest of each kind. Each part begins at the last id that it may show, which its index alone tells; a part with ORDER
	// BY and LIMIT of its own would make SQLite copy every column of it.
	newestHeld = heldLicenses + ` AND l.id >= COALESCE((SELECT id FROM license WHERE owner = $1 ORDER BY id DESC LIMIT 1 OFFSET $2), '')
		UNION ALL ` + heldOrders + ` AND o.id >= COALESCE((SELECT id FROM orders WHERE owner = $1 ORDER BY id DESC LIMIT 1 OFFSET $3), '')
		UNION ALL ` + heldKeys + ` AND k.id >= COALESCE((SELECT id FROM api_key WHERE owner = $1 ORDER BY id DESC LIMIT 1 OFFSET $4), '')`
)

// Holdings implements [insight.Holdings].
func (s *holdings) Holdings(ctx context.Context, owner licensing.Owner, now time.Time, limits insight.Limits) (insight.Held, error) {
	most := limits.Licenses + limits.Orders + limits.Keys
	held, n, err := s.read(ctx, owner, now, anyHeld, string(owner), most)
	if err == nil && n == most { // there may be more
		held, _, err = s.read(ctx, owner, now, newestHeld, string(owner), limits.Licenses, limits.Orders, limits.Keys)
	}
	// The parts of a UNION may come in any order.
	held.Licenses = newest(held.Licenses, limits.Licenses, func(l *license.License) string { return l.ID })
	held.Orders = newest(held.Orders, limits.Orders, func(o *insight.OrderBrief) string { return o.ID })
	held.Keys = newest(held.Keys, limits.Keys, func(k *insight.KeyBrief) string { return k.ID })
	return held, err
}

// newest sorts rows by id, the newest first, and leaves one more than a limit.
func newest[T any](rows []T, limit int, id func(*T) string) []T {
	slices.SortFunc(rows, func(a, b T) int { return strings.Compare(id(&b), id(&a)) })
	return rows[:min(len(rows), limit+1)]
}

// read asks one of the questions above, and returns how many rows there were.
func (s *holdings) read(ctx context.Context, owner licensing.Owner, now time.Time, question string, args ...any) (held insight.Held, n int, err error) {
	rows, err := s.db.Query(ctx, question, args...)
	if err != nil {
		return held, 0, err
	}
	defer rows.Close()
	var h heldRow
	into := []any{&h.id, &h.name, &h.ref, &h.state, &h.env, &h.detail, &h.a, &h.b, &h.c, &h.at, &h.until}
	for ; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			return held, n, err
		}
		if err := h.addTo(&held, s.terms, owner, now); err != nil {
			return held, n, fmt.Errorf("%s: %w", h.id, err)
		}
	}
	return held, n, rows.Err()
}

func (h *heldRow) addTo(held *insight.Held, known *knownTerms, owner licensing.Owner, now time.Time) error {
	env := licensing.Env(h.env)
	switch kind, _, _ := strings.Cut(h.id, "_"); kind {
	case "lic":
		l := license.License{ID: h.id, ProductID: h.name, ProductSlug: h.ref, State: license.State(h.state), Env: env, Owner: owner,
			Seats: h.a, SeatsMax: h.b, SeatsUsed: h.c, CreatedAt: h.at, ValidUntil: instant(h.until)}
		var err error
		l.Terms, err = known.read(h.detail)
		held.Licenses = append(held.Licenses, l)
		return err
	case "ord":
		lines, err := briefLines(h.detail)
		if err != nil {
			return err
		}
		currency := money.Currency(h.ref)
		o := insight.OrderBrief{ID: h.id, State: h.state, Env: env, Receipt: h.name, Total: money.New(h.a, currency), Refunded: money.New(h.b, currency), CreatedAt: h.at, Lines: lines}
		held.Orders = append(held.Orders, o)
	case "key":
		held.Keys = append(held.Keys, insight.KeyBrief{ID: h.id, Name: h.detail, ProductID: h.name, Env: env, Order: h.ref, Unrevealed: h.a == 1,
			Active: h.state == "active" && (h.until == nil || now.Before(*h.until))})
	}
	return nil
}

// contentsOf is what a list tells of an order, for its column contents: empty where a name does not go into a line.
func contentsOf(lines []order.Line) string {
	var b strings.Builder
	for i, l := range lines {
		name := l.ProductName + ": " + l.PlanName
		if strings.Contains(name, "\n") {
			return ""
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(strconv.FormatInt(l.Quantity, 10) + " " + name)
	}
	return b.String()
}

// briefLines reads an order's contents, or its snapshot.
func briefLines(detail string) ([]insight.LineBrief, error) {
	if strings.HasPrefix(detail, "{") {
		return snapshotLines(detail)
	}
	out := make([]insight.LineBrief, 0, 4)
	for line := range strings.SplitSeq(detail, "\n") {
		quantity, name, _ := strings.Cut(line, " ")
		n, err := strconv.ParseInt(quantity, 10, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, insight.LineBrief{Name: name, Quantity: n})
	}
	return out, nil
}

func snapshotLines(snapshot string) ([]insight.LineBrief, error) {
	var frozen struct {
		Lines []struct {
			Product  string `json:"product_name"`
			Plan     string `json:"plan_name"`
			Quantity int64  `json:"quantity"`
		} `json:"lines"`
	}
	if err := json.Unmarshal([]byte(snapshot), &frozen); err != nil {
		return nil, err
	}
	out := make([]insight.LineBrief, len(frozen.Lines))
	for i, l := range frozen.Lines {
		out[i] = insight.LineBrief{Name: l.Product + ": " + l.Plan, Quantity: l.Quantity}
	}
	return out, nil
}

// ProductNames implements [insight.Holdings].
func (s *holdings) ProductNames(ctx context.Context, ids []string) (map[string]string, error) {
	out := make(map[string]string, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	var args []any
	places := among(&args, ids)
	return out, s.db.Ask(ctx, db.Question{SQL: `SELECT id, name FROM product WHERE id IN (` + places + `)`, Args: args, Each: func(r db.Row) error {
		var id, name string
		err := r.Scan(&id, &name)
		out[id] = name
		return err
	}})
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
