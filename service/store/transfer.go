package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/service/db"
)

// transfers implements [transfer.Store] and [transfer.People].
type transfers struct{ *Store }

var (
	_ transfer.Store  = (*transfers)(nil)
	_ transfer.People = (*transfers)(nil)
)

// Transfers returns the store of what owners want to give away, and of the people on its two sides.
func (s *Store) Transfers() *transfers { return &transfers{s} }

const fromRequest = `SELECT r.id, r.license_id, r.from_owner, r.asked_by, r.email, r.hash, r.to_owner, r.accepted_by, r.state, r.reason, r.decided_by, r.created_at, r.expires_at, r.accepted_at, r.ended_at,
	l.product_id, l.product_slug, COALESCE(p.name, ''), l.plan_code, l.key_hint, l.terms FROM transfer_request r JOIN license l ON l.id = r.license_id LEFT JOIN product p ON p.id = l.product_id`

func scanTransfer(row db.Row) (r transfer.Request, err error) {
	var hash []byte
	var accepted, ended *time.Time
	var terms string
	if err := row.Scan(&r.ID, &r.LicenseID, &r.From, &r.AskedBy, &r.Email, &hash, &r.To, &r.AcceptedBy, &r.State, &r.Reason, &r.DecidedBy, &r.CreatedAt, &r.ExpiresAt, &accepted, &ended,
		&r.ProductID, &r.ProductSlug, &r.ProductName, &r.PlanCode, &r.KeyHint, &terms); err != nil {
		return r, missing(err)
	}
	r.AcceptedAt, r.EndedAt = instant(accepted), instant(ended)
	if copy(r.Digest[:], hash) != len(r.Digest) {
		return r, fmt.Errorf("transfer %s: the hash has %d bytes", r.ID, len(hash))
	}
	var t license.Terms
	if err := json.Unmarshal([]byte(terms), &t); err != nil {
		return r, fmt.Errorf("license %s: terms: %w", r.LicenseID, err)
	}
	r.Approval = t.Transfer.Approval
	return r, nil
}

// AddRequest implements [transfer.Store].
func (s *transfers) AddRequest(ctx context.Context, r transfer.Request) (bool, error) {
	n, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE transfer_request SET state = 'lapsed', ended_at = $2, email = '' WHERE license_id = $1 AND state IN ('offered', 'accepted') AND (expires_at <= $2 OR from_owner <> $3)`,
			Args: []any{r.LicenseID, r.CreatedAt, r.From}},
		{SQL: `INSERT INTO transfer_request (id, license_id, from_owner, asked_by, email, hash, state, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
			Args: []any{r.ID, r.LicenseID, r.From, r.AskedBy, r.Email, r.Digest[:], r.State, r.CreatedAt, r.ExpiresAt}},
	})
	return err == nil && n[1] == 1, err
}

// Request implements [transfer.Store].
func (s *transfers) Request(ctx context.Context, id string) (transfer.Request, error) {
	return scanTransfer(s.db.QueryRow(ctx, fromRequest+` WHERE r.id = $1`, id))
}

// RequestOf implements [transfer.Store].
func (s *transfers) RequestOf(ctx context.Context, id string, owner licensing.Owner) (transfer.Request, error) {
	return scanTransfer(s.db.QueryRow(ctx, fromRequest+` WHERE r.id = $1 AND (r.from_owner = $2 OR r.to_owner = $2)`, id, owner))
}

// RequestByDigest implements [transfer.Store].
func (s *transfers) RequestByDigest(ctx context.Context, d credential.Digest) (transfer.Request, error) {
	return scanTransfer(s.db.QueryRow(ctx, fromRequest+` WHERE r.hash = $1`, d[:]))
}

// ListRequests implements [transfer.Store].
func (s *transfers) ListRequests(ctx context.Context, f transfer.Filter, page licensing.Page) (licensing.List[transfer.Request], error) {
	limit := pageSize(page)
	list := new(narrowing).by("r.license_id =", f.License).by("r.state =", string(f.State)).by("r.id <", page.Cursor)
	if f.Owner != "" {
		list.args = append(list.args, f.Owner)
		list.conditions = append(list.conditions, fmt.Sprintf("(r.from_owner = $%[1]d OR r.to_owner = $%[1]d)", len(list.args))) // each side has its index
	}
	sql, args := list.statement(fromRequest, "r.id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanTransfer)
	if err != nil {
		return licensing.List[transfer.Request]{}, err
	}
	return cut(items, limit, func(r transfer.Request) string { return r.ID }), nil
}

// Take implements [transfer.Store].
func (s *transfers) Take(ctx context.Context, t transfer.Step) (bool, error) {
	if t.To == transfer.Accepted {
		n, err := s.db.Exec(ctx, `UPDATE transfer_request SET state = $3, to_owner = $4, accepted_by = $5, accepted_at = $6, expires_at = $7 WHERE id = $1 AND state = $2 AND expires_at > $6`,
			t.ID, t.From, t.To, t.Owner, t.AcceptedBy, t.At, t.ExpiresAt)
		return n == 1, err
	}
	n, err := s.db.Exec(ctx, `UPDATE transfer_request SET state = $3, to_owner = CASE WHEN $4 = '' THEN to_owner ELSE $4 END, accepted_by = CASE WHEN $5 = '' THEN accepted_by ELSE $5 END,
		accepted_at = CASE WHEN $3 = 'done' THEN COALESCE(accepted_at, $6) ELSE accepted_at END, decided_by = $7, reason = $8, ended_at = $6, email = ''
		WHERE id = $1 AND state = $2 AND ($3 <> 'done' OR expires_at > $6)`, t.ID, t.From, t.To, t.Owner, t.AcceptedBy, t.At, t.DecidedBy, t.Reason)
	return n == 1, err
}

// DueToLapse implements [transfer.Store].
func (s *transfers) DueToLapse(ctx context.Context, now time.Time, limit int) ([]transfer.Request, error) {
	rows, err := s.db.Query(ctx, fromRequest+` WHERE r.state IN ('offered', 'accepted') AND r.expires_at <= $1 ORDER BY r.expires_at, r.id LIMIT $2`, now, limit)
	return db.Collect(rows, err, scanTransfer)
}

func scanTransferPerson(row db.Row) (p transfer.Person, err error) {
	var confirmed *time.Time
	err = row.Scan(&p.ID, &p.Email, &p.Name, &confirmed)
	p.Confirmed = confirmed != nil
	return p, missing(err)
}

// TransferPerson implements [transfer.People].
func (s *transfers) TransferPerson(ctx context.Context, id string) (transfer.Person, error) {
	return scanTransferPerson(s.db.QueryRow(ctx, `SELECT c.id, c.email, c.name, c.confirmed_at FROM customer c WHERE c.id = $1`, id))
}

// Voices implements [transfer.People].
func (s *transfers) Voices(ctx context.Context, owner licensing.Owner) ([]transfer.Person, error) {
	rows, err := s.db.Query(ctx, `SELECT c.id, c.email, c.name, c.confirmed_at FROM customer c WHERE c.disabled_at IS NULL
		AND (c.id = $1 OR c.id IN (SELECT m.customer_id FROM organisation_member m WHERE m.organisation_id = $1 AND m.role IN ('owner', 'admin'))) ORDER BY c.id`, owner)
	return db.Collect(rows, err, scanTransferPerson)
}
