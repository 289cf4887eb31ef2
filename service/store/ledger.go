package store

import (
	"context"
	"errors"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/service/db"
)

// Post adds a posting, all legs or none. One that is not balanced in each currency, or whose source is posted already, is refused.
// Rows of the ledger are never changed.
func (s *orders) Post(ctx context.Context, p order.Posting) error {
	if err := p.Check(); err != nil {
		return err
	}
	batch := make([]db.Statement, len(p.Legs))
	for i, l := range p.Legs {
		batch[i] = db.Statement{SQL: `INSERT INTO ledger_entry (source, leg, order_id, account, currency, amount, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			Args: []any{p.Source, int64(i + 1), p.Order, l.Account, string(l.Amount.Currency), l.Amount.Minor, p.At}}
	}
	_, err := s.db.Batch(ctx, batch)
	if errors.Is(err, db.ErrUnique) {
		return errors.Join(order.ErrPosted, err)
	}
	return err
}

// Balance is the sum of an account in a currency.
type Balance struct {
	Account string
	Amount  money.Amount
}

// Balances sums the ledger by account and currency. They are projections: nothing stores them.
func (s *Store) Balances(ctx context.Context) ([]Balance, error) {
	rows, err := s.db.Query(ctx, `SELECT account, currency, CAST(SUM(amount) AS bigint) FROM ledger_entry GROUP BY account, currency ORDER BY account, currency`)
	return db.Collect(rows, err, func(row db.Row) (b Balance, err error) {
		err = row.Scan(&b.Account, &b.Amount.Currency, &b.Amount.Minor)
		return b, err
	})
}
