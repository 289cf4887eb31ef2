package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
)

// policies implements [license.Policies].
type policies struct{ *Store }

var _ license.Policies = (*policies)(nil)

// Policies returns the store of policies.
func (s *Store) Policies() license.Policies { return &policies{s} }

const policyColumns = `id, product_id, code, name, terms, version, created_at, updated_at`

func scanPolicy(row db.Row) (license.Policy, error) {
	var p license.Policy
	var terms string
	err := row.Scan(&p.ID, &p.ProductID, &p.Code, &p.Name, &terms, &p.Version, &p.CreatedAt, &p.UpdatedAt)
	if errors.Is(err, db.ErrNoRows) {
		return p, licensing.ErrNotFound
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(terms), &p.Terms); err != nil {
		return p, fmt.Errorf("policy %s: terms: %w", p.ID, err)
	}
	return p, nil
}

// AddPolicy implements [license.Policies].
func (s *policies) AddPolicy(ctx context.Context, p license.Policy) error {
	terms, err := json.Marshal(p.Terms)
	if err != nil {
		return err
	}
	n, err := s.db.Exec(ctx, `INSERT INTO policy (id, product_id, code, name, terms, version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (product_id, code) DO NOTHING`,
		p.ID, p.ProductID, p.Code, p.Name, string(terms), p.Version, p.CreatedAt, p.UpdatedAt)
	if err == nil && n == 0 {
		return license.ErrPolicyCode
	}
	if err != nil {
		return err
	}
	return s.changed(ctx, "policy", p.ID)
}

// SavePolicy implements [license.Policies].
func (s *policies) SavePolicy(ctx context.Context, p license.Policy, was int64) (bool, error) {
	terms, err := json.Marshal(p.Terms)
	if err != nil {
		return false, err
	}
	n, err := s.db.Exec(ctx, `UPDATE policy SET name = $3, terms = $4, updated_at = $5, version = version + 1
		WHERE id = $1 AND version = $2`, p.ID, was, p.Name, string(terms), p.UpdatedAt)
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "policy", p.ID)
}

// Policy implements [license.Policies].
func (s *policies) Policy(ctx context.Context, id string) (license.Policy, error) {
	return scanPolicy(s.db.QueryRow(ctx, `SELECT `+policyColumns+` FROM policy WHERE id = $1`, id))
}

// ListPolicies implements [license.Policies]: newest first.
func (s *policies) ListPolicies(ctx context.Context, productID string, page licensing.Page) (licensing.List[license.Policy], error) {
	limit := pageSize(page)
	sql, args := new(narrowing).by("product_id =", productID).by("id <", page.Cursor).statement(`SELECT `+policyColumns+` FROM policy`, "id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanPolicy)
	if err != nil {
		return licensing.List[license.Policy]{}, err
	}
	return cut(items, limit, func(p license.Policy) string { return p.ID }), nil
}
