package store

import (
	"context"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/service/db"
)

// Customers returns how staff find and stop people.
func (s *Store) Customers() account.Customers { return &people{s} }

var _ account.Customers = (*people)(nil)

// FindPeople implements [account.Customers]. Each way of being found has an index of its own.
func (s *people) FindPeople(ctx context.Context, q, after string, limit int) ([]account.Person, error) {
	n := new(narrowing).by("c.id <", after)
	if q != "" {
		end := q + string(utf8.MaxRune)
		n.args = append(n.args, q, end)
		from, to := "$"+strconv.Itoa(len(n.args)-1), "$"+strconv.Itoa(len(n.args))
		n.conditions = append(n.conditions, `c.id IN (SELECT id FROM customer WHERE email >= `+from+` AND email < `+to+`
			UNION SELECT id FROM customer WHERE name_fold >= `+from+` AND name_fold < `+to+` AND name_fold <> '' UNION SELECT id FROM customer WHERE id = `+from+`)`)
	}
	sql, args := n.statement(`SELECT `+personColumns+` FROM customer c`, "c.id DESC", limit)
	rows, err := s.db.Query(ctx, sql, args...)
	return db.Collect(rows, err, func(row db.Row) (account.Person, error) { return scanPerson(row) })
}

// SetDisabled implements [account.Customers]. The owners' rows are locked by then, as in SetRole.
func (s *people) SetDisabled(ctx context.Context, personID string, disabled, at time.Time) error {
	n, err := s.db.Exec(ctx, `UPDATE customer SET disabled_at = $2, updated_at = $3 WHERE id = $1 AND (role <> 'owner' OR $4
			OR EXISTS (SELECT 1 FROM customer o WHERE o.role = 'owner' AND o.role <> '' AND o.id <> $1 AND o.disabled_at IS NULL))`,
		personID, nullable(disabled), at, disabled.IsZero())
	if err != nil {
		return err
	}
	if n == 0 {
		if _, err := s.PersonByID(ctx, personID); err != nil {
			return err
		}
		return account.ErrLastOwner
	}
	return s.changed(ctx, "customer", personID)
}
