package store

import (
	"context"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/service/db"
)

// invites implements [account.Invites].
type invites struct{ *Store }

var _ account.Invites = (*invites)(nil)

// Invites returns the store of invites to organisations.
func (s *Store) Invites() account.Invites { return &invites{s} }

const inviteColumns = `i.id, i.organisation_id, i.email, i.role, i.hash, i.invited_by, i.created_at, i.expires_at, i.ended_at`

func scanInvite(row db.Row, after ...any) (i account.Invite, err error) {
	var hash []byte
	var ended *time.Time
	err = row.Scan(append([]any{&i.ID, &i.OrganisationID, &i.Email, &i.Role, &hash, &i.InvitedBy, &i.CreatedAt, &i.ExpiresAt, &ended}, after...)...)
	if err != nil {
		return i, missing(err)
	}
	i.EndedAt = instant(ended)
	if copy(i.Digest[:], hash) != len(i.Digest) {
		return i, fmt.Errorf("invite %s: the hash has %d bytes", i.ID, len(hash))
	}
	return i, nil
}

// AddInvite implements [account.Invites].
func (s *invites) AddInvite(ctx context.Context, i account.Invite) error {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE organisation_invite SET ended_at = $3 WHERE organisation_id = $1 AND email = $2 AND ended_at IS NULL`, Args: []any{i.OrganisationID, i.Email, i.CreatedAt}},
		{SQL: `INSERT INTO organisation_invite (id, organisation_id, email, role, hash, invited_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			Args: []any{i.ID, i.OrganisationID, i.Email, string(i.Role), i.Digest[:], i.InvitedBy, i.CreatedAt, i.ExpiresAt}},
	})
	return err
}

// InviteByDigest implements [account.Invites].
func (s *invites) InviteByDigest(ctx context.Context, d credential.Digest) (out account.Sent, err error) {
	out.Invite, err = scanInvite(s.db.QueryRow(ctx, `SELECT `+inviteColumns+`, o.name, COALESCE(m.role, '') FROM organisation_invite i JOIN organisation o ON o.id = i.organisation_id
		LEFT JOIN organisation_member m ON m.organisation_id = i.organisation_id AND m.customer_id = i.invited_by WHERE i.hash = $1`, d[:]), &out.Organisation, &out.By)
	return out, err
}

// HoldInvite implements [account.Invites].
func (s *invites) HoldInvite(ctx context.Context, d credential.Digest) (account.Sent, error) {
	if err := s.holdOrganisation(ctx, `(SELECT organisation_id FROM organisation_invite WHERE hash = $1)`, d[:]); err != nil {
		return account.Sent{}, err
	}
	return s.InviteByDigest(ctx, d)
}

// InviteOf implements [account.Invites].
func (s *invites) InviteOf(ctx context.Context, id, personID string) (account.Invite, account.Membership, error) {
	var mine account.Membership
	i, err := scanInvite(s.db.QueryRow(ctx, `SELECT `+inviteColumns+`, `+memberColumns+` FROM organisation_invite i
		JOIN organisation_member m ON m.organisation_id = i.organisation_id AND m.customer_id = $2 WHERE i.id = $1`, id, personID), memberDest(&mine)...)
	return i, mine, err
}

// ListInvites implements [account.Invites].
func (s *invites) ListInvites(ctx context.Context, organisation string, at time.Time) ([]account.Invite, error) {
	rows, err := s.db.Query(ctx, `SELECT `+inviteColumns+` FROM organisation_invite i WHERE i.organisation_id = $1 AND i.ended_at IS NULL AND i.expires_at > $2 ORDER BY i.id`, organisation, at)
	return db.Collect(rows, err, func(row db.Row) (account.Invite, error) { return scanInvite(row) })
}

// EndInvite implements [account.Invites].
func (s *invites) EndInvite(ctx context.Context, id string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE organisation_invite SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL AND expires_at > $2`, id, at)
	return n == 1, err
}

// ForgetInvites implements [account.Invites].
func (s *invites) ForgetInvites(ctx context.Context, email string) error {
	_, err := s.db.Exec(ctx, `DELETE FROM organisation_invite WHERE `+inOrder("organisation_invite", `email = $1`), email)
	return err
}

// PruneInvites implements [account.Invites].
func (s *invites) PruneInvites(ctx context.Context, before time.Time) (int64, error) {
	return s.db.Exec(ctx, `DELETE FROM organisation_invite WHERE `+inOrder("organisation_invite", `expires_at < $1`), before)
}
