package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// works implements [keyring.Works].
type works struct{ *Store }

var _ keyring.Works = (*works)(nil)

// Resignings returns the store of what has to be signed again.
func (s *Store) Resignings() keyring.Works { return &works{s} }

const workColumns = `id, kid, keyset, reason, total, done, failed, part, after, pass, pass_at, started_at, finished_at`

func scanWork(r db.Row) (w keyring.Work, err error) {
	var pass, finished *time.Time
	err = r.Scan(&w.ID, &w.KID, &w.Keyset, &w.Reason, &w.Total, &w.Done, &w.Failed, &w.Part, &w.After, &w.Pass, &pass, &w.StartedAt, &finished)
	w.PassAt, w.FinishedAt = instant(pass), instant(finished)
	return w, missing(err)
}

// AddWork implements [keyring.Works]. A key that the keyset had no room for may be revoked later; then everything is looked through once more.
func (s *works) AddWork(ctx context.Context, w keyring.Work) error {
	_, err := s.db.Exec(ctx, `INSERT INTO resigning (id, kid, keyset, reason, total, done, failed, part, after, pass, worker, started_at)
		VALUES ($1, $2, $3, $4, $5, 0, 0, 0, '', 0, '', $6)
		ON CONFLICT (kid) DO UPDATE SET id = excluded.id, keyset = excluded.keyset, reason = excluded.reason, total = excluded.total, done = 0, failed = 0, part = 0, after = '',
			pass = 0, pass_at = NULL, worker = '', held_until = NULL, started_at = excluded.started_at, finished_at = NULL`, w.ID, w.KID, w.Keyset, w.Reason, w.Total, w.StartedAt)
	return err
}

// ListWork implements [keyring.Works].
func (s *works) ListWork(ctx context.Context) ([]keyring.Work, error) {
	rows, err := s.db.Query(ctx, `SELECT `+workColumns+` FROM resigning ORDER BY id DESC LIMIT 100`)
	return db.Collect(rows, err, scanWork)
}

// OpenWork implements [keyring.Works].
func (s *works) OpenWork(ctx context.Context) ([]keyring.Work, error) {
	rows, err := s.db.Query(ctx, `SELECT `+workColumns+` FROM resigning WHERE finished_at IS NULL ORDER BY started_at LIMIT 100`)
	return db.Collect(rows, err, scanWork)
}

// TakeWork implements [keyring.Works].
func (s *works) TakeWork(ctx context.Context, id, worker string, now, until time.Time) (keyring.Work, bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE resigning SET worker = $2, held_until = $4
		WHERE id = $1 AND finished_at IS NULL AND (held_until IS NULL OR held_until <= $3)`, id, worker, now, until)
	if err != nil || n == 0 {
		return keyring.Work{}, false, err
	}
	w, err := scanWork(s.db.QueryRow(ctx, `SELECT `+workColumns+` FROM resigning WHERE id = $1`, id))
	return w, err == nil, err
}

// SaveWork implements [keyring.Works].
func (s *works) SaveWork(ctx context.Context, w keyring.Work, worker string, until time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE resigning SET total = $3, done = $4, failed = $5, part = $6, after = $7, pass = $8, pass_at = $9, finished_at = $10, held_until = $11
		WHERE id = $1 AND worker = $2 AND finished_at IS NULL`,
		w.ID, worker, w.Total, w.Done, w.Failed, w.Part, w.After, w.Pass, nullable(w.PassAt), nullable(w.FinishedAt), until)
	if err == nil && n > 0 && !w.FinishedAt.IsZero() {
		err = s.changed(ctx, "signing_key", w.KID)
	}
	return n > 0, err
}

// LeaveWork implements [keyring.Works].
func (s *works) LeaveWork(ctx context.Context, id, worker string) error {
	_, err := s.db.Exec(ctx, `UPDATE resigning SET held_until = NULL WHERE id = $1 AND worker = $2`, id, worker)
	return err
}

// live is what of a token and its license must hold for the token to be signed again: t is the token, l the license.
const live = `t.current AND l.state <> 'revoked'`

// CountSigned implements [license.Tokens]. It looks at a bounded number of rows, so that it holds nobody up.
func (s *tokens) CountSigned(ctx context.Context, kid, after string) (n int64, next string, err error) {
	err = s.db.QueryRow(ctx, `SELECT jti FROM license_token WHERE jti > $1 ORDER BY jti LIMIT 1 OFFSET 4999`, after).Scan(&next)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return 0, "", err
	}
	last := next
	if last == "" {
		last = "~" // after every id
	}
	err = s.db.QueryRow(ctx, `SELECT count(*)`+fromToken+`WHERE t.jti > $1 AND t.jti <= $2 AND t.kid = $3 AND `+live, after, last, kid).Scan(&n)
	return n, next, err
}

// fromToken joins the license of a token.
const fromToken = ` FROM license_token t JOIN license l ON l.id = t.license_id `

// SignedBy implements [license.Tokens].
func (s *tokens) SignedBy(ctx context.Context, kid, after string, limit int) ([]license.License, error) {
	rows, err := s.db.Query(ctx, `SELECT `+licenseColumns+fromToken+`WHERE t.jti > $1 AND t.kid = $2 AND `+live+` ORDER BY t.jti LIMIT $3`, after, kid, limit)
	return db.Collect(rows, err, scanLicense)
}

// ResignTokens implements [license.Tokens]: one round trip. The licenses are held first, as by everybody else who changes tokens of several.
func (s *tokens) ResignTokens(ctx context.Context, list []license.Token, was string) (int64, error) {
	if len(list) == 0 {
		return 0, nil
	}
	ids, statements := make([]string, len(list)), make([]db.Statement, 1, len(list)+1)
	for i, t := range list {
		ids[i], statements = t.LicenseID, append(statements, resign(t, was))
	}
	var args []any
	statements[0] = db.Statement{SQL: held("license", `id IN (`+among(&args, ids)+`)`), Args: args}
	counts, err := s.db.Batch(ctx, statements)
	var n int64
	for _, c := range counts[min(1, len(counts)):] {
		n += c
	}
	failpoint.Hit("tokens-resigned")
	return n, err
}

// resign replaces the text of a token that was signed by key was, and remembers the digests of the last eight texts. What a revoked key signed
// replaces nothing: a replica may not know yet that it is.
func resign(t license.Token, was string) db.Statement {
	return db.Statement{SQL: `UPDATE license_token SET token = $3, kid = $4, signed_at = $5, prior = substr($6 || prior, 1, 256) WHERE jti = $1 AND kid = $2
			AND NOT EXISTS (SELECT 1 FROM signing_key k WHERE k.kid = $4 AND k.state = 'revoked')`,
		Args: []any{t.JTI, was, t.Text, t.KID, t.SignedAt, t.Prior}}
}

// WasText implements [license.Tokens].
func (s *tokens) WasText(ctx context.Context, jti, digest string) (bool, error) {
	var prior string
	err := s.db.QueryRow(ctx, `SELECT prior FROM license_token WHERE jti = $1`, jti).Scan(&prior)
	for ; err == nil && len(prior) >= len(digest) && digest != ""; prior = prior[len(digest):] {
		if prior[:len(digest)] == digest {
			return true, nil
		}
	}
	return false, missing(err)
}
