package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/service/db"
)

var _ order.Credits = (*orders)(nil)

// Credits returns the Store of credit notes.
func (s *Store) Credits() order.Credits { return &orders{s} }

const creditColumns = `number, order_id, version, receipt, refunded_before, refunded_after, tax, at`

func scanCredit(row db.Row) (c order.Credit, err error) {
	err = row.Scan(&c.Number, &c.Order, &c.Version, &c.Receipt, &c.Before, &c.After, &c.Tax, &c.At)
	return c, missing(err)
}

func (s *orders) GiveCredit(ctx context.Context, c order.Credit, series string) (string, error) {
	var seq int64
	err := s.db.QueryRow(ctx, `INSERT INTO credit_note_counter (series, last) VALUES ($1, 1)
		ON CONFLICT (series) DO UPDATE SET last = credit_note_counter.last + 1 RETURNING last`, series).Scan(&seq)
	if err != nil {
		return "", err
	}
	number := fmt.Sprintf("%s-%06d", series, seq)
	_, err = s.db.Exec(ctx, `INSERT INTO credit_note (series, seq, `+creditColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		series, seq, number, c.Order, c.Version, c.Receipt, c.Before, c.After, c.Tax, c.At)
	if errors.Is(err, db.ErrUnique) {
		return "", errors.Join(order.ErrCredited, err)
	}
	return number, err
}

func (s *orders) Credits(ctx context.Context, id string) (out []order.Credit, err error) {
	return out, s.db.Ask(ctx, creditsAsked(id, &out))
}

// creditsAsked asks for the notes of an order.
func creditsAsked(id string, out *[]order.Credit) db.Question {
	return db.Question{SQL: `SELECT ` + creditColumns + ` FROM credit_note WHERE order_id = $1 ORDER BY version`, Args: []any{id}, Each: db.Into(out, scanCredit)}
}

func (s *orders) Credit(ctx context.Context, id, number string) (order.Credit, error) {
	return scanCredit(s.db.QueryRow(ctx, `SELECT `+creditColumns+` FROM credit_note WHERE order_id = $1 AND number = $2`, id, number))
}
