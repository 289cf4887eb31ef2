package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// sessions implements [account.Sessions] and [account.Renewals].
type sessions struct{ *Store }

var (
	_ account.Sessions = (*sessions)(nil)
	_ account.Renewals = (*sessions)(nil)
)

// Sessions returns the store of sessions.
func (s *Store) Sessions() account.Sessions { return &sessions{s} }

// Renewals returns the store of the renewals of sessions.
func (s *Store) Renewals() account.Renewals { return &sessions{s} }

// sessionColumns are read into sessionDest, in this order.
const sessionColumns = `s.id, s.customer_id, s.source, s.browser, s.remembered, s.opened_by, s.turn, s.signed_in_at, s.seen_at, s.idle_at, s.ends_at, s.revoked_at`

func sessionDest(v *account.Session, revoked **time.Time) []any {
	return []any{&v.ID, &v.PersonID, &v.Source, &v.Browser, &v.Remembered, &v.OpenedBy, &v.Turn, &v.SignedInAt, &v.SeenAt, &v.IdleAt, &v.EndsAt, revoked}
}

// AddSession implements [account.Sessions].
func (s *sessions) AddSession(ctx context.Context, v account.Session) error {
	_, err := s.db.Exec(ctx, `INSERT INTO session (id, customer_id, source, browser, remembered, opened_by, turn, signed_in_at, seen_at, idle_at, ends_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		v.ID, v.PersonID, append([]byte{}, v.Source...), v.Browser, v.Remembered, v.OpenedBy, v.Turn, v.SignedInAt, v.SeenAt, v.IdleAt, v.EndsAt)
	return err
}

// AddPass implements [account.Sessions].
func (s *sessions) AddPass(ctx context.Context, p account.Pass) error {
	_, err := s.db.Exec(ctx, `INSERT INTO session_pass (id, session_id, head, hash, fresh_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		p.ID, p.SessionID, p.Digest.Head(), p.Digest[:], nullable(p.FreshAt), p.ExpiresAt)
	return err
}

// PassByDigest implements [account.Sessions].
func (s *sessions) PassByDigest(ctx context.Context, head []byte) (account.SignedIn, error) {
	var in account.SignedIn
	var hash []byte
	var fresh, revoked *time.Time
	row := s.db.QueryRow(ctx, `SELECT COALESCE(o.id, ''), COALESCE(o.name, ''), COALESCE(m.role, ''), p.id, p.hash, p.fresh_at, p.expires_at, `+sessionColumns+`, `+personColumns+`
		FROM session_pass p JOIN session s ON s.id = p.session_id JOIN customer c ON c.id = s.customer_id
			LEFT JOIN organisation_member m ON m.organisation_id = s.organisation_id AND m.customer_id = s.customer_id
			LEFT JOIN organisation o ON o.id = m.organisation_id
		WHERE p.head = $1`, head)
	person, err := scanPerson(row, append([]any{&in.Acting.ID, &in.Acting.Name, &in.Acting.Role, &in.Pass.ID, &hash, &fresh, &in.Pass.ExpiresAt}, sessionDest(&in.Session, &revoked)...)...)
	if err != nil {
		return in, err
	}
	in.Person, in.Session.RevokedAt = person, instant(revoked)
	in.Pass.SessionID, in.Pass.FreshAt = in.Session.ID, instant(fresh)
	if copy(in.Pass.Digest[:], hash) != len(in.Pass.Digest) {
		return in, fmt.Errorf("pass %s: the hash has %d bytes", in.Pass.ID, len(hash))
	}
	return in, nil
}

// Freshen implements [account.Sessions].
func (s *sessions) Freshen(ctx context.Context, p account.Pass) error {
	n, err := s.db.Exec(ctx, `UPDATE session_pass SET fresh_at = $3 WHERE id = $1 AND session_id = $2`, p.ID, p.SessionID, p.FreshAt)
	if err != nil {
		return err
	}
	if n == 0 {
		return licensing.ErrNotFound
	}
	return s.changed(ctx, "session", p.SessionID)
}

// FreshAt implements [account.Sessions].
func (s *sessions) FreshAt(ctx context.Context, passID string) (time.Time, error) {
	var at *time.Time
	err := s.db.QueryRow(ctx, `SELECT fresh_at FROM session_pass WHERE id = $1`, passID).Scan(&at)
	if errors.Is(err, db.ErrNoRows) {
		return time.Time{}, licensing.ErrNotFound
	}
	return instant(at), err
}

// ListSessions implements [account.Sessions].
func (s *sessions) ListSessions(ctx context.Context, personID string, at time.Time) ([]account.Session, error) {
	rows, err := s.db.Query(ctx, `SELECT `+sessionColumns+` FROM session s
		WHERE s.customer_id = $1 AND s.revoked_at IS NULL AND s.idle_at > $2 AND s.opened_by = '' ORDER BY s.id DESC LIMIT 100`, personID, at)
	return db.Collect(rows, err, func(row db.Row) (v account.Session, err error) {
		var revoked *time.Time
		return v, row.Scan(sessionDest(&v, &revoked)...)
	})
}

// EndSession implements [account.Sessions].
func (s *sessions) EndSession(ctx context.Context, id, personID string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE session SET revoked_at = $3 WHERE id = $1 AND customer_id = $2 AND revoked_at IS NULL AND idle_at > $3`, id, personID, at)
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "session", id)
}

// EndSessions implements [account.Sessions].
func (s *sessions) EndSessions(ctx context.Context, personID, but string, at time.Time) error {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE session SET revoked_at = $3 WHERE ` + inOrder("session", `(customer_id = $1 AND id <> $2 OR opened_by = $1 AND opened_by <> '') AND revoked_at IS NULL`),
			Args: []any{personID, but, at}},
	})
	if err != nil {
		return err
	}
	return s.changed(ctx, "customer", personID)
}

// KnownSource implements [account.Sessions].
func (s *sessions) KnownSource(ctx context.Context, personID string, source []byte, since time.Time) (bool, error) {
	var n int64
	err := s.db.QueryRow(ctx, `SELECT count(*) FROM session WHERE customer_id = $1 AND source = $2 AND idle_at > $3`, personID, source, since).Scan(&n)
	return n > 0, err
}

// PruneSessions implements [account.Sessions].
func (s *sessions) PruneSessions(ctx context.Context, before time.Time) (int64, error) {
	gone, err := s.db.Batch(ctx, []db.Statement{
		{SQL: held("session", `idle_at < $1`), Args: []any{before}}, // who renews or ends one holds it first
		{SQL: `DELETE FROM session_pass WHERE ` + inOrder("session_pass", `expires_at < $1`), Args: []any{before}},
		{SQL: `DELETE FROM session_renewal WHERE session_id IN (SELECT id FROM session WHERE idle_at < $1)`, Args: []any{before}},
		{SQL: `DELETE FROM session_pass WHERE session_id IN (SELECT id FROM session WHERE idle_at < $1)`, Args: []any{before}},
		{SQL: `DELETE FROM session WHERE idle_at < $1`, Args: []any{before}},
		{SQL: `DELETE FROM account_token WHERE ` + inOrder("account_token", `expires_at < $1`), Args: []any{before}},
		{SQL: `DELETE FROM email_change WHERE ` + inOrder("email_change", `expires_at < $1`), Args: []any{before}},
		{SQL: `DELETE FROM sign_in_challenge WHERE ` + inOrder("sign_in_challenge", `expires_at < $1`), Args: []any{before}},
	})
	if err != nil {
		return 0, err
	}
	return gone[4] + gone[5], nil
}

// AddRenewal implements [account.Renewals].
func (s *sessions) AddRenewal(ctx context.Context, r account.Renewal) error {
	_, err := s.db.Exec(ctx, `INSERT INTO session_renewal (session_id, turn, head, hash) VALUES ($1, $2, $3, $4)`, r.SessionID, r.Turn, r.Digest.Head(), r.Digest[:])
	return err
}

// HoldRenewal implements [account.Renewals]. The session's row is locked before anything is read that the decision rests on.
func (s *sessions) HoldRenewal(ctx context.Context, head []byte) (account.Renewal, account.SignedIn, error) {
	var r account.Renewal
	var in account.SignedIn
	err := s.db.QueryRow(ctx, `SELECT id FROM session WHERE id = (SELECT session_id FROM session_renewal WHERE head = $1) FOR UPDATE`, head).Scan(&r.SessionID)
	if errors.Is(err, db.ErrNoRows) {
		return r, in, licensing.ErrNotFound
	}
	if err != nil {
		return r, in, err
	}
	var hash []byte
	var spent, revoked *time.Time
	row := s.db.QueryRow(ctx, `SELECT r.turn, r.hash, r.spent_at, `+sessionColumns+`, `+personColumns+`
		FROM session_renewal r JOIN session s ON s.id = r.session_id JOIN customer c ON c.id = s.customer_id WHERE r.head = $1`, head)
	in.Person, err = scanPerson(row, append([]any{&r.Turn, &hash, &spent}, sessionDest(&in.Session, &revoked)...)...)
	if err != nil {
		return r, in, err
	}
	r.SpentAt, in.Session.RevokedAt = instant(spent), instant(revoked)
	if copy(r.Digest[:], hash) != len(r.Digest) {
		return r, in, fmt.Errorf("renewal %d of session %s: the hash has %d bytes", r.Turn, r.SessionID, len(hash))
	}
	return r, in, nil
}

// Spend implements [account.Renewals].
func (s *sessions) Spend(ctx context.Context, r account.Renewal, v account.Session) error {
	n, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE session_renewal SET spent_at = $3 WHERE session_id = $1 AND turn = $2 AND spent_at IS NULL`, Args: []any{r.SessionID, r.Turn, r.SpentAt}},
		{SQL: `UPDATE session SET turn = $2, seen_at = $3, idle_at = $4 WHERE id = $1 AND turn = $2 - 1`, Args: []any{v.ID, v.Turn, v.SeenAt, v.IdleAt}},
	})
	if err == nil && (n[0] != 1 || n[1] != 1) {
		err = fmt.Errorf("session %s: renewal %d was spent already", v.ID, r.Turn)
	}
	return err
}
