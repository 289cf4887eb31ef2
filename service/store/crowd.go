package store

import (
	"context"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// crowd implements [account.Crowd].
type crowd struct{ *Store }

var _ account.Crowd = (*crowd)(nil)

// Crowd returns the store of people by the hundreds.
func (s *Store) Crowd() *crowd { return &crowd{s} }

// AddPeople implements [account.Crowd]. They are written in the order of their addresses, so that two who add the same people do not wait for each
// other.
func (s *crowd) AddPeople(ctx context.Context, people []account.Person) error {
	people = slices.SortedFunc(slices.Values(people), func(a, b account.Person) int { return strings.Compare(a.Email, b.Email) })
	statements := make([]db.Statement, len(people))
	for i, p := range people {
		statements[i] = db.Statement{SQL: `INSERT INTO customer (id, email, name, role, password, created_at, updated_at, name_fold)
			VALUES ($1, $2, '', '', '', $3, $3, '') ON CONFLICT (email) DO NOTHING`, Args: []any{p.ID, p.Email, p.CreatedAt}}
	}
	_, err := s.db.Batch(ctx, statements)
	return err
}

// IDsByEmail implements [account.Crowd].
func (s *crowd) IDsByEmail(ctx context.Context, emails []string) (map[string]string, error) {
	var args []any
	marks := among(&args, emails)
	return s.pairs(ctx, `SELECT email, id FROM customer WHERE email IN (`+marks+`)`, args, func(r db.Row) (p pair, err error) {
		return p, r.Scan(&p.of, &p.is)
	})
}

// OwnersExist implements [bulk.Owners].
func (s *crowd) OwnersExist(ctx context.Context, owners []licensing.Owner) (map[licensing.Owner]bool, error) {
	out := make(map[licensing.Owner]bool, len(owners))
	if len(owners) == 0 {
		return out, nil
	}
	var args []any
	marks := among(&args, owners)
	rows, err := s.db.Query(ctx, `SELECT id FROM customer WHERE id IN (`+marks+`) UNION ALL SELECT id FROM organisation WHERE id IN (`+marks+`)`, args...)
	found, err := db.Collect(rows, err, func(r db.Row) (o licensing.Owner, err error) { return o, r.Scan(&o) })
	for _, o := range found {
		out[o] = true
	}
	return out, err
}
