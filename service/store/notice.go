package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
	"github.com/mintreu/mintreu/service/mail"
)

type notices struct{ *Store }

var (
	_ notice.Store = (*notices)(nil)
	_ mail.Store   = (*notices)(nil)
)

// Notices returns the outbox of mail.
func (s *Store) Notices() notice.Store { return &notices{s} }

// Mails returns the mail kept in the database.
func (s *Store) Mails() mail.Store { return &notices{s} }

// AddNotice implements [notice.Store].
func (s *notices) AddNotice(ctx context.Context, n notice.Notice) (bool, error) {
	rows, err := s.db.Exec(ctx, `INSERT INTO notice (id, template, subject, epoch, recipient, lang, data, state, attempts, last_error, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (template, subject, epoch) DO NOTHING`,
		n.ID, n.Template, n.Subject, n.Epoch, n.To, n.Lang, n.Data, n.State, n.Attempts, n.LastError, n.CreatedAt, n.UpdatedAt)
	if err == nil && rows > 0 {
		failpoint.Hit("outbox-row")
	}
	return rows > 0, err
}

// Notice implements [notice.Store].
func (s *notices) Notice(ctx context.Context, id string) (n notice.Notice, err error) {
	err = s.db.QueryRow(ctx, `SELECT id, template, subject, epoch, recipient, lang, data, state, attempts, last_error, created_at, updated_at
		FROM notice WHERE id = $1`, id).Scan(&n.ID, &n.Template, &n.Subject, &n.Epoch, &n.To, &n.Lang, &n.Data, &n.State, &n.Attempts,
		&n.LastError, &n.CreatedAt, &n.UpdatedAt)
	if errors.Is(err, db.ErrNoRows) {
		return n, licensing.ErrNotFound
	}
	return n, err
}

// EndNotice implements [notice.Store].
func (s *notices) EndNotice(ctx context.Context, id string, to notice.State, reason string, at time.Time) error {
	if to != notice.Sent {
		_, err := s.db.Exec(ctx, `UPDATE notice SET state = $2, last_error = $3, updated_at = $4, attempts = attempts + 1
			WHERE id = $1 AND state = 'pending'`, id, to, reason, at)
		return err
	}
	_, err := s.db.Exec(ctx, `UPDATE notice SET state = $2, last_error = $3, updated_at = $4, attempts = attempts + 1, data = $5
		WHERE id = $1 AND state = 'pending'`, id, to, reason, at, []byte{})
	return err
}

// TouchNotice implements [notice.Store].
func (s *notices) TouchNotice(ctx context.Context, id, reason string, at time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE notice SET last_error = $2, updated_at = $3, attempts = attempts + 1
		WHERE id = $1 AND state = 'pending'`, id, reason, at)
	return err
}

// DueNotices implements [notice.Store].
func (s *notices) DueNotices(ctx context.Context, before time.Time, limit int) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT id FROM notice WHERE state = 'pending' AND updated_at < $1 ORDER BY updated_at, id LIMIT $2`, before, limit)
	return db.Collect(rows, err, func(r db.Row) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	})
}

// ListNotices implements [notice.Outbox].
func (s *notices) ListNotices(ctx context.Context, f notice.Filter, page licensing.Page) (licensing.List[notice.Notice], error) {
	limit := pageSize(page)
	list := new(narrowing).by("id <", page.Cursor).by("state =", string(f.State)).by("recipient =", f.To)
	sql, args := list.statement(`SELECT id, template, subject, epoch, recipient, lang, state, attempts, last_error, created_at, updated_at FROM notice`, "id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, func(r db.Row) (n notice.Notice, err error) {
		err = r.Scan(&n.ID, &n.Template, &n.Subject, &n.Epoch, &n.To, &n.Lang, &n.State, &n.Attempts, &n.LastError, &n.CreatedAt, &n.UpdatedAt)
		return n, err
	})
	return cut(items, limit, func(n notice.Notice) string { return n.ID }), err
}

// RetryNotice implements [notice.Outbox].
func (s *notices) RetryNotice(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE notice SET state = 'pending', updated_at = $2 WHERE id = $1 AND state <> 'sent' AND length(data) > 0`, id, at)
	return n > 0, err
}

// ForgetFailed implements [notice.Outbox].
func (s *notices) ForgetFailed(ctx context.Context, before time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE notice SET data = $2 WHERE `+inOrder("notice", `state = 'failed' AND updated_at < $1 AND length(data) > 0`), before, []byte{})
	return err
}

// mailPlace is where a kept mail's body is sealed.
func mailPlace(id string) string { return "mail/" + id + "/body" }

// KeepMail implements [mail.Store]. A mail that is there already stays as it is.
func (s *notices) KeepMail(ctx context.Context, m notice.Mail) error {
	if s.seal == nil {
		return errNoSeal
	}
	plain, err := json.Marshal(mail.Body{HTML: m.HTML, Text: m.Text})
	if err != nil {
		return err
	}
	body, err := s.seal.Seal(plain, mailPlace(m.ID))
	if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO mail (id, message_id, sender, recipient, subject, body, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO NOTHING`, m.ID, m.MessageID, m.From, m.To, m.Subject, body, m.At)
	return err
}

// errNoSeal is a mistake in the wiring: what must be sealed cannot be.
var errNoSeal = errors.New("store: mail is kept sealed, and this store has no master key")

// ListMail implements [mail.Store]. The newest come first.
func (s *notices) ListMail(ctx context.Context, to string, page licensing.Page) (licensing.List[notice.Mail], error) {
	limit := pageSize(page)
	list := new(narrowing).by("id <", page.Cursor).by("recipient =", to)
	sql, args := list.statement(`SELECT id, message_id, sender, recipient, subject, body, at FROM mail`, "id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, s.scanMail)
	return cut(items, limit, func(m notice.Mail) string { return m.ID }), err
}

// MailByID implements [mail.Store].
func (s *notices) MailByID(ctx context.Context, id string) (notice.Mail, error) {
	m, err := s.scanMail(s.db.QueryRow(ctx, `SELECT id, message_id, sender, recipient, subject, body, at FROM mail WHERE id = $1`, id))
	return m, missing(err)
}

func (s *notices) scanMail(r db.Row) (m notice.Mail, err error) {
	var sealed []byte
	if err := r.Scan(&m.ID, &m.MessageID, &m.From, &m.To, &m.Subject, &sealed, &m.At); err != nil {
		return m, err
	}
	if s.seal == nil {
		return m, errNoSeal
	}
	plain, err := s.seal.Open(sealed, mailPlace(m.ID))
	if err != nil {
		return m, err
	}
	var body mail.Body
	err = json.Unmarshal(plain, &body)
	m.HTML, m.Text = body.HTML, body.Text
	return m, err
}
