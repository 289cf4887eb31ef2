package store

import (
	"context"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
)

// tokens implements [license.Tokens].
type tokens struct{ *Store }

var _ license.Tokens = (*tokens)(nil)

// LicenseTokens returns the store of license tokens and status lists.
func (s *Store) LicenseTokens() license.Tokens { return &tokens{s} }

// ReplaceToken implements [license.Tokens].
func (s *tokens) ReplaceToken(ctx context.Context, old string, t license.Token) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE license_token SET current = $3, ended_at = $4 WHERE license_id = $1 AND jti = $2 AND current`,
		t.LicenseID, old, false, t.CreatedAt)
	if err != nil || n == 0 {
		return false, err
	}
	if err := s.addToken(ctx, t); err != nil {
		return false, err
	}
	if _, err := s.db.Exec(ctx, `UPDATE license SET token_jti = $2 WHERE id = $1`, t.LicenseID, t.JTI); err != nil {
		return false, err
	}
	return true, s.changed(ctx, "license", t.LicenseID)
}

// ResignToken implements [license.Tokens].
func (s *tokens) ResignToken(ctx context.Context, t license.Token, was string) (bool, error) {
	one := resign(t, was)
	n, err := s.db.Exec(ctx, one.SQL, one.Args...)
	return n > 0, err
}

// LicenseByToken implements [license.Tokens].
func (s *tokens) LicenseByToken(ctx context.Context, jti string) (license.License, string, error) {
	given := license.Token{JTI: jti}
	l, err := scanLicense(joined{s.db.QueryRow(ctx, `SELECT `+licenseColumns+`, given.first_jti`+fromLicense+`
		JOIN license_token given ON given.license_id = l.id WHERE given.jti = $1`, jti), []any{&given.First}})
	return l, given.Line(), err
}

// TakenIndexes implements [license.Tokens]. Each place is looked up for itself: asked for all at once, PostgreSQL reads everything that the list holds as
// long as its statistics do not know of it.
func (s *tokens) TakenIndexes(ctx context.Context, list int64, indexes []int64) ([]int64, error) {
	args := []any{list, int64(-1)}
	marks := among(&args, indexes)
	rows, err := s.db.Query(ctx, `WITH place (idx) AS (VALUES (CAST($2 AS bigint)), (`+strings.ReplaceAll(marks, ", ", "), (")+`))
		SELECT DISTINCT p.idx FROM place p WHERE (SELECT count(*) FROM license_token t WHERE t.list = $1 AND t.idx = p.idx) > 0`, args...)
	return db.Collect(rows, err, func(r db.Row) (idx int64, err error) { return idx, r.Scan(&idx) })
}

// StatusLists implements [license.Tokens].
func (s *tokens) StatusLists(ctx context.Context, above int64) (map[int64]int64, error) {
	type count struct{ num, used int64 }
	rows, err := s.db.Query(ctx, `SELECT n.num, (SELECT count(*) FROM license_token t WHERE t.list = n.num) FROM status_list n WHERE n.num > $1`, above)
	counts, err := db.Collect(rows, err, func(r db.Row) (c count, err error) {
		return c, r.Scan(&c.num, &c.used)
	})
	out := make(map[int64]int64, len(counts))
	for _, c := range counts {
		out[c.num] = c.used
	}
	return out, err
}

// OpenStatusList implements [license.Tokens].
func (s *tokens) OpenStatusList(ctx context.Context, num int64, at time.Time) error {
	_, err := s.db.Exec(ctx, `INSERT INTO status_list (num, opened_at) VALUES ($1, $2) ON CONFLICT (num) DO NOTHING`, num, at)
	return err
}

// EndedIndexes implements [license.Tokens].
func (s *tokens) EndedIndexes(ctx context.Context, list int64) ([]int64, bool, error) {
	var found int64
	if err := s.db.QueryRow(ctx, `SELECT count(*) FROM status_list WHERE num = $1`, list).Scan(&found); err != nil || found == 0 {
		return nil, false, err
	}
	// A token that is not current any more is invalid, whether its license was revoked or has another one. It costs what the list holds of
	// them, not what it holds.
	rows, err := s.db.Query(ctx, `SELECT idx FROM license_token WHERE list = $1 AND NOT current`, list)
	ended, err := db.Collect(rows, err, func(r db.Row) (idx int64, err error) { return idx, r.Scan(&idx) })
	return ended, true, err
}

// PausedIndexes implements [license.Tokens]. Which list a suspended license is in can be told only by looking at its token, so all are looked at once.
func (s *tokens) PausedIndexes(ctx context.Context) (map[int64][]int64, error) {
	type place struct{ list, idx int64 }
	rows, err := s.db.Query(ctx, `SELECT t.list, t.idx FROM license l JOIN license_token t ON t.jti = l.token_jti WHERE l.state = 'suspended' AND t.current`)
	places, err := db.Collect(rows, err, func(r db.Row) (p place, err error) { return p, r.Scan(&p.list, &p.idx) })
	out := map[int64][]int64{}
	for _, p := range places {
		out[p.list] = append(out[p.list], p.idx)
	}
	return out, err
}
