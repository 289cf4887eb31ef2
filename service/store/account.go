package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// people implements [account.People].
type people struct{ *Store }

var _ account.People = (*people)(nil)

// People returns the store of persons.
func (s *Store) People() account.People { return &people{s} }

// personColumns are read into personDest, in this order.
const personColumns = `c.id, c.email, c.name, c.role, c.password, c.confirmed_at, c.disabled_at, c.totp_at, c.created_at`

func scanPerson(row db.Row, before ...any) (account.Person, error) {
	var p account.Person
	var confirmed, disabled, totp *time.Time
	err := row.Scan(append(before, &p.ID, &p.Email, &p.Name, &p.Role, &p.Password, &confirmed, &disabled, &totp, &p.CreatedAt)...)
	if errors.Is(err, db.ErrNoRows) {
		return p, licensing.ErrNotFound
	}
	p.ConfirmedAt, p.DisabledAt, p.TOTPAt = instant(confirmed), instant(disabled), instant(totp)
	return p, err
}

// AddPerson implements [account.People].
func (s *people) AddPerson(ctx context.Context, p account.Person) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO customer (id, email, name, role, password, confirmed_at, disabled_at, created_at, updated_at, name_fold)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9) ON CONFLICT (email) DO NOTHING`,
		p.ID, p.Email, p.Name, string(p.Role), p.Password, nullable(p.ConfirmedAt), nullable(p.DisabledAt), p.CreatedAt, strings.ToLower(p.Name))
	return n == 1, err
}

// PersonByEmail implements [account.People].
func (s *people) PersonByEmail(ctx context.Context, email string) (account.Person, error) {
	return scanPerson(s.db.QueryRow(ctx, `SELECT `+personColumns+` FROM customer c WHERE c.email = $1`, email))
}

// PersonByID implements [account.People].
func (s *people) PersonByID(ctx context.Context, id string) (account.Person, error) {
	return scanPerson(s.db.QueryRow(ctx, `SELECT `+personColumns+` FROM customer c WHERE c.id = $1`, id))
}

// HoldPerson implements [account.People].
func (s *people) HoldPerson(ctx context.Context, id string) (account.Person, error) {
	return scanPerson(s.db.QueryRow(ctx, `SELECT `+personColumns+` FROM customer c WHERE c.id = $1 FOR UPDATE`, id))
}

// SetPassword implements [account.People].
func (s *people) SetPassword(ctx context.Context, personID, hash string, at time.Time) error {
	n, err := s.db.Exec(ctx, `UPDATE customer SET password = $2, confirmed_at = COALESCE(confirmed_at, $3), updated_at = $3 WHERE id = $1`, personID, hash, at)
	if err != nil {
		return err
	}
	if n == 0 {
		return licensing.ErrNotFound
	}
	return s.changed(ctx, "customer", personID)
}

// Statements that look for staff say "role <> ''" beside what they want, which lets SQLite use the index of those few rows.

// SetRole implements [account.People]. The owners' rows are locked first, in one order, so that two owners who demote each
// other at the same moment do it one after the other and the second finds nobody left.
func (s *people) SetRole(ctx context.Context, personID string, role licensing.Role, at time.Time) error {
	if err := s.HoldOwners(ctx); err != nil {
		return err
	}
	n, err := s.db.Exec(ctx, `UPDATE customer SET role = $2, updated_at = $3 WHERE id = $1 AND (role <> 'owner' OR $2 = 'owner'
			OR EXISTS (SELECT 1 FROM customer o WHERE o.role = 'owner' AND o.role <> '' AND o.id <> $1 AND o.disabled_at IS NULL))`,
		personID, string(role), at)
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

// HoldOwners implements [account.Customers].
func (s *people) HoldOwners(ctx context.Context) error {
	rows, err := s.db.Query(ctx, `SELECT id FROM customer WHERE role = 'owner' AND role <> '' ORDER BY id FOR UPDATE`)
	_, err = db.Collect(rows, err, func(row db.Row) (id string, err error) { return id, row.Scan(&id) })
	return err
}

// ListStaff implements [account.People].
func (s *people) ListStaff(ctx context.Context) ([]account.Person, error) {
	rows, err := s.db.Query(ctx, `SELECT `+personColumns+` FROM customer c WHERE c.role <> '' ORDER BY c.role, c.id`)
	staff, err := db.Collect(rows, err, func(row db.Row) (account.Person, error) { return scanPerson(row) })
	slices.SortFunc(staff, func(a, b account.Person) int { return strings.Compare(a.ID, b.ID) })
	return staff, err
}

// SetName implements [account.People].
func (s *people) SetName(ctx context.Context, personID, name string, at time.Time) error {
	if err := s.setPerson(ctx, `name_fold`, personID, strings.ToLower(name), at); err != nil {
		return err
	}
	return s.setPerson(ctx, `name`, personID, name, at)
}

// SetEmail implements [account.People].
func (s *people) SetEmail(ctx context.Context, personID, email string, at time.Time) error {
	err := s.setPerson(ctx, `email`, personID, email, at)
	if errors.Is(err, db.ErrUnique) {
		return account.ErrTaken
	}
	return err
}

func (s *people) setPerson(ctx context.Context, column, personID string, value any, at time.Time) error {
	n, err := s.db.Exec(ctx, `UPDATE customer SET `+column+` = $2, updated_at = $3 WHERE id = $1`, personID, value, at)
	if err != nil {
		return err
	}
	if n == 0 {
		return licensing.ErrNotFound
	}
	return s.changed(ctx, "customer", personID)
}
