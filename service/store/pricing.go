package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

type prices struct{ *Store }

var _ pricing.Store = (*prices)(nil)

// Pricing returns the prices' Store.
func (s *Store) Pricing() pricing.Store { return &prices{s} }

const priceColumns = `id, plan_id, currency, version, amount, billing, effective_from, state, proposed_by, proposed_at, decided_by, decided_at, single_operator, archived_at`

func scanPrice(row db.Row) (p pricing.Price, err error) {
	var decided, archived *time.Time
	err = row.Scan(&p.ID, &p.PlanID, &p.Amount.Currency, &p.Version, &p.Amount.Minor, &p.Billing, &p.EffectiveFrom, &p.State,
		&p.ProposedBy, &p.ProposedAt, &p.DecidedBy, &decided, &p.SingleOperator, &archived)
	p.DecidedAt, p.ArchivedAt = instant(decided), instant(archived)
	return p, missing(err)
}

// Person implements [pricing.Store].
func (s *prices) Person(ctx context.Context, actor string) (string, error) {
	if id, ok := strings.CutPrefix(actor, "machine:"); ok {
		err := s.db.QueryRow(ctx, `SELECT created_by FROM machine_token WHERE id = $1`, id).Scan(&actor)
		if err != nil && !errors.Is(err, db.ErrNoRows) {
			return "", err
		}
	}
	id, ok := strings.CutPrefix(actor, "staff:")
	if !ok {
		return actor, nil
	}
	var email string
	err := s.db.QueryRow(ctx, `SELECT email FROM customer WHERE id = $1`, id).Scan(&email)
	if errors.Is(err, db.ErrNoRows) {
		return actor, nil
	}
	return licensing.Unaliased(email), err
}

// instant reads a column that may be NULL; NULL is the zero time.
func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// nullable writes the zero time as NULL.
func nullable(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *prices) PlanProduct(ctx context.Context, plan string) (product string, err error) {
	err = s.db.QueryRow(ctx, `SELECT product_id FROM plan WHERE id = $1`, plan).Scan(&product)
	return product, missing(err)
}

func (s *prices) AddPrice(ctx context.Context, p pricing.Price) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO price (`+priceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (plan_id, currency, billing, version) DO NOTHING`,
		p.ID, p.PlanID, p.Amount.Currency, p.Version, p.Amount.Minor, p.Billing, p.EffectiveFrom, p.State,
		p.ProposedBy, p.ProposedAt, p.DecidedBy, nullable(p.DecidedAt), p.SingleOperator, nullable(p.ArchivedAt))
	return s.touched(ctx, p.PlanID, n, err)
}

func (s *prices) Decide(ctx context.Context, p pricing.Price) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE price SET state = $2, decided_by = $3, decided_at = $4, single_operator = $5, effective_from = $6 WHERE id = $1 AND state = 'proposed'`,
		p.ID, p.State, p.DecidedBy, p.DecidedAt, p.SingleOperator, p.EffectiveFrom)
	return s.touched(ctx, p.PlanID, n, err)
}

func (s *prices) Archive(ctx context.Context, p pricing.Price) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE price SET archived_at = $2 WHERE id = $1 AND state = 'approved' AND archived_at IS NULL`, p.ID, p.ArchivedAt)
	return s.touched(ctx, p.PlanID, n, err)
}

// touched tells the replicas that what a plan's product costs has changed.
func (s *prices) touched(ctx context.Context, plan string, n int64, err error) (bool, error) {
	if err != nil || n == 0 {
		return false, err
	}
	product, err := s.PlanProduct(ctx, plan)
	if err != nil {
		return false, err
	}
	return true, s.changed(ctx, "product", product)
}

func (s *prices) Price(ctx context.Context, id string) (pricing.Price, error) {
	return scanPrice(s.db.QueryRow(ctx, `SELECT `+priceColumns+` FROM price WHERE id = $1`, id))
}

func (s *prices) Versions(ctx context.Context, plan string) (product string, all []pricing.Price, err error) {
	var products []string
	err = s.db.Ask(ctx, db.Question{SQL: `SELECT product_id FROM plan WHERE id = $1`, Args: []any{plan}, Each: db.Into(&products, scanText)},
		db.Question{SQL: `SELECT ` + priceColumns + ` FROM price WHERE plan_id = $1 ORDER BY currency, billing, version DESC`, Args: []any{plan}, Each: db.Into(&all, scanPrice)})
	product, err = only(products, err)
	return product, all, err
}

// scanText reads a row of one text.
func scanText(row db.Row) (text string, err error) { return text, row.Scan(&text) }

func (s *prices) Current(ctx context.Context, k pricing.Key, at time.Time) (pricing.Price, error) {
	return scanPrice(s.db.QueryRow(ctx, `SELECT `+priceColumns+` FROM price
		WHERE plan_id = $1 AND currency = $2 AND billing = $3 AND state = 'approved' AND effective_from <= $4
		ORDER BY effective_from DESC, version DESC LIMIT 1`, k.PlanID, k.Currency, k.Billing, at))
}
