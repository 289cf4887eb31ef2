package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

type products struct{ *Store }

var (
	_ catalog.Store    = (*products)(nil)
	_ catalog.Offers   = (*products)(nil)
	_ catalog.Policies = (*products)(nil)
)

// Catalog returns the catalogue's Store.
func (s *Store) Catalog() catalog.Store { return &products{s} }

// Offers returns the reader of current prices.
func (s *Store) Offers() catalog.Offers { return &products{s} }

// GrantPolicies returns the reader of the policies that plans name.
func (s *Store) GrantPolicies() catalog.Policies { return &products{s} }

const productColumns = `id, slug, name, description, purpose, key_prefix, state, version, created_at, updated_at`

func scanProduct(row db.Row) (p catalog.Product, err error) {
	err = row.Scan(&p.ID, &p.Slug, &p.Name, &p.Description, &p.Purpose, &p.KeyPrefix, &p.State, &p.Version, &p.CreatedAt, &p.UpdatedAt)
	return p, missing(err)
}

// missing turns the seam's "no rows" into the domain's "not found".
func missing(err error) error {
	if errors.Is(err, db.ErrNoRows) {
		return licensing.ErrNotFound
	}
	return err
}

func (s *products) AddProduct(ctx context.Context, p catalog.Product) error {
	_, err := s.db.Exec(ctx, `INSERT INTO product (`+productColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		p.ID, p.Slug, p.Name, p.Description, p.Purpose, p.KeyPrefix, p.State, p.Version, p.CreatedAt, p.UpdatedAt)
	if errors.Is(err, db.ErrUnique) {
		return catalog.ErrTaken.Because(err)
	}
	if err != nil {
		return err
	}
	return s.changed(ctx, "product", p.ID)
}

func (s *products) SaveProduct(ctx context.Context, p catalog.Product) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE product SET slug = $2, name = $3, description = $4, purpose = $5, key_prefix = $6, state = $7, version = $8, updated_at = $9
		WHERE id = $1 AND version = $10`,
		p.ID, p.Slug, p.Name, p.Description, p.Purpose, p.KeyPrefix, p.State, p.Version, p.UpdatedAt, p.Version-1)
	if errors.Is(err, db.ErrUnique) {
		return false, catalog.ErrTaken.Because(err)
	}
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "product", p.ID)
}

func (s *products) Product(ctx context.Context, id string) (catalog.Product, error) {
	return scanProduct(s.db.QueryRow(ctx, `SELECT `+productColumns+` FROM product WHERE id = $1`, id))
}

func (s *products) Whole(ctx context.Context, id string) (catalog.Product, []catalog.Plan, error) {
	var found []catalog.Product
	var plans []catalog.Plan
	err := s.db.Ask(ctx, db.Question{SQL: `SELECT ` + productColumns + ` FROM product WHERE id = $1`, Args: []any{id}, Each: db.Into(&found, scanProduct)},
		db.Question{SQL: `SELECT ` + planColumns + ` FROM plan WHERE product_id = $1 ORDER BY product_id, code`, Args: []any{id}, Each: db.Into(&plans, scanPlan)})
	p, err := only(found, err)
	return p, plans, err
}

// only is the one row that was asked for, or [licensing.ErrNotFound].
func only[T any](found []T, err error) (one T, _ error) {
	if err != nil {
		return one, err
	}
	if len(found) == 0 {
		return one, licensing.ErrNotFound
	}
	return found[0], nil
}

func (s *products) ProductBySlug(ctx context.Context, slug string) (catalog.Product, error) {
	return scanProduct(s.db.QueryRow(ctx, `SELECT `+productColumns+` FROM product WHERE slug = $1`, slug))
}

func (s *products) ListProducts(ctx context.Context, f catalog.Filter, page licensing.Page) (licensing.List[catalog.Product], error) {
	limit := pageSize(page)
	list := new(narrowing).by("id >", page.Cursor).by("state =", string(f.State)).by("slug =", f.Slug)
	for _, word := range f.Words {
		list.byWrapped(`lower(name || ' ' || description) LIKE`, "%"+likely.Replace(word)+"%", ` ESCAPE '!'`)
	}
	list.byWrapped("id IN (SELECT product_id FROM plan WHERE state = 'active' AND type =", string(f.Sells), ")")
	sql, args := list.statement(`SELECT `+productColumns+` FROM product`, "id", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanProduct)
	return cut(items, limit, func(p catalog.Product) string { return p.ID }), err
}

// likely escapes what LIKE would take for a pattern; statements say ESCAPE '!'.
var likely = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

const planColumns = `id, product_id, code, name, description, type, state, grants, version, created_at, updated_at`

func scanPlan(row db.Row) (p catalog.Plan, err error) {
	var grants string
	if err = row.Scan(&p.ID, &p.ProductID, &p.Code, &p.Name, &p.Description, &p.Type, &p.State, &grants, &p.Version, &p.CreatedAt, &p.UpdatedAt); err != nil {
		return p, missing(err)
	}
	return p, json.Unmarshal([]byte(grants), &p.Grants)
}

func (s *products) AddPlan(ctx context.Context, p catalog.Plan) error {
	grants, err := json.Marshal(p.Grants)
	if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO plan (`+planColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		p.ID, p.ProductID, p.Code, p.Name, p.Description, p.Type, p.State, string(grants), p.Version, p.CreatedAt, p.UpdatedAt)
	if errors.Is(err, db.ErrUnique) {
		return catalog.ErrTaken.Because(err)
	}
	if err != nil {
		return err
	}
	return s.changed(ctx, "product", p.ProductID)
}

func (s *products) SavePlan(ctx context.Context, p catalog.Plan) (bool, error) {
	grants, err := json.Marshal(p.Grants)
	if err != nil {
		return false, err
	}
	n, err := s.db.Exec(ctx, `UPDATE plan SET code = $2, name = $3, description = $4, type = $5, state = $6, grants = $7, version = $8, updated_at = $9
		WHERE id = $1 AND version = $10`,
		p.ID, p.Code, p.Name, p.Description, p.Type, p.State, string(grants), p.Version, p.UpdatedAt, p.Version-1)
	if errors.Is(err, db.ErrUnique) {
		return false, catalog.ErrTaken.Because(err)
	}
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "product", p.ProductID)
}

func (s *products) Plan(ctx context.Context, id string) (catalog.Plan, error) {
	return scanPlan(s.db.QueryRow(ctx, `SELECT `+planColumns+` FROM plan WHERE id = $1`, id))
}

func (s *products) Plans(ctx context.Context, ids []string) ([]catalog.Plan, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := inList(ids, 1)
	rows, err := s.db.Query(ctx, `SELECT `+planColumns+` FROM plan WHERE product_id IN (`+in+`) ORDER BY product_id, code`, args...)
	return db.Collect(rows, err, scanPlan)
}

// inList spells the placeholders of an IN list, the first being $from, and returns its arguments. The list is never empty and
// never longer than a page or an import.
func inList(values []string, from int) (string, []any) {
	var b strings.Builder
	args := make([]any, len(values))
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", from+i)
		args[i] = v
	}
	return b.String(), args
}

// Offers reads what is in force, and with it the versions that are to come.
func (s *products) Offers(ctx context.Context, plans []string, at time.Time) (offers []catalog.Offer, next time.Time, err error) {
	if len(plans) == 0 {
		return nil, next, nil
	}
	in, args := inList(plans, 2)
	rows, err := s.db.Query(ctx, `SELECT p.plan_id, p.id, p.amount, p.currency, p.billing, p.effective_from, p.archived_at FROM price p
		WHERE p.plan_id IN (`+in+`) AND p.state = 'approved' AND (p.archived_at IS NULL OR p.archived_at > $1)
		AND NOT EXISTS (SELECT 1 FROM price q WHERE q.plan_id = p.plan_id AND q.currency = p.currency AND q.billing = p.billing AND q.state = 'approved'
			AND q.effective_from <= $1 AND (q.effective_from > p.effective_from OR (q.effective_from = p.effective_from AND q.version > p.version)))
		ORDER BY p.plan_id, p.currency, p.billing`, append([]any{at}, args...)...)
	_, err = db.Collect(rows, err, func(row db.Row) (o catalog.Offer, err error) {
		var from time.Time
		var until *time.Time
		err = row.Scan(&o.Plan, &o.ID, &o.Price.Minor, &o.Price.Currency, &o.Period, &from, &until)
		if !from.After(at) {
			offers = append(offers, o)
		}
		for _, turn := range []time.Time{from, instant(until)} {
			if turn.After(at) && (next.IsZero() || turn.Before(next)) {
				next = turn
			}
		}
		return o, err
	})
	return offers, next, err
}

func (s *products) Policy(ctx context.Context, product, ref string) (p catalog.Policy, err error) {
	err = s.db.QueryRow(ctx, `SELECT id, terms FROM policy WHERE product_id = $1 AND (id = $2 OR code = $2)`, product, ref).Scan(&p.ID, &p.Terms)
	return p, missing(err)
}
