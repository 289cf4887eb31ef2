package store

import (
	"context"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// members implements [account.Members].
type members struct{ *Store }

var _ account.Members = (*members)(nil)

// Members returns the store of memberships.
func (s *Store) Members() account.Members { return &members{s} }

const memberColumns = `m.id, m.organisation_id, m.customer_id, m.role, m.joined_at`

func memberDest(m *account.Membership) []any {
	return []any{&m.ID, &m.OrganisationID, &m.PersonID, &m.Role, &m.JoinedAt}
}

// AddMember implements [account.Members].
func (s *members) AddMember(ctx context.Context, m account.Membership) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO organisation_member (id, organisation_id, customer_id, role, joined_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organisation_id, customer_id) DO NOTHING`, m.ID, m.OrganisationID, m.PersonID, string(m.Role), m.JoinedAt)
	return n == 1, err
}

// HoldMember implements [account.Members].
func (s *members) HoldMember(ctx context.Context, id, personID string) (target, mine account.Membership, err error) {
	if err := s.holdOrganisation(ctx, `(SELECT t.organisation_id FROM organisation_member t
		JOIN organisation_member m ON m.organisation_id = t.organisation_id AND m.customer_id = $2 WHERE t.id = $1)`, id, personID); err != nil {
		return target, mine, err
	}
	err = s.db.QueryRow(ctx, `SELECT t.id, t.organisation_id, t.customer_id, t.role, t.joined_at, `+memberColumns+` FROM organisation_member t
		JOIN organisation_member m ON m.organisation_id = t.organisation_id AND m.customer_id = $2 WHERE t.id = $1`, id, personID).Scan(append(memberDest(&target), memberDest(&mine)...)...)
	return target, mine, missing(err)
}

// MembershipIn implements [account.Members].
func (s *members) MembershipIn(ctx context.Context, organisation, personID string) (m account.Membership, err error) {
	err = s.db.QueryRow(ctx, `SELECT `+memberColumns+` FROM organisation_member m WHERE m.organisation_id = $1 AND m.customer_id = $2`, organisation, personID).Scan(memberDest(&m)...)
	return m, missing(err)
}

// ListMembers implements [account.Members].
func (s *members) ListMembers(ctx context.Context, organisation, personID string) ([]account.Member, error) {
	rows, err := s.db.Query(ctx, `SELECT c.email, c.name, `+memberColumns+` FROM organisation_member m JOIN customer c ON c.id = m.customer_id
		WHERE m.organisation_id = $1 AND ($2 = '' OR EXISTS (SELECT 1 FROM organisation_member x WHERE x.organisation_id = $1 AND x.customer_id = $2))
		ORDER BY m.joined_at, m.id`, organisation, personID)
	return db.Collect(rows, err, func(row db.Row) (m account.Member, err error) {
		return m, row.Scan(append([]any{&m.Email, &m.Name}, memberDest(&m.Membership)...)...)
	})
}

// otherOwner is the condition that somebody besides the membership $1 of the organisation $2 is owner. The organisation is locked by then,
// so that two owners who leave at the same moment do it one after the other and the second finds nobody left.
const otherOwner = `EXISTS (SELECT 1 FROM organisation_member x JOIN customer c ON c.id = x.customer_id
	WHERE x.organisation_id = $2 AND x.role = 'owner' AND x.id <> $1 AND c.disabled_at IS NULL)`

// SetMemberRole implements [account.Members].
func (s *members) SetMemberRole(ctx context.Context, m account.Membership, role licensing.OrgRole) error {
	n, err := s.db.Exec(ctx, `UPDATE organisation_member SET role = $3 WHERE id = $1 AND organisation_id = $2 AND (role <> 'owner' OR $3 = 'owner' OR `+otherOwner+`)`,
		m.ID, m.OrganisationID, string(role))
	if err != nil {
		return err
	}
	if n == 0 {
		return account.ErrLastOwner
	}
	return s.changed(ctx, "customer", m.PersonID)
}

// RemoveMember implements [account.Members].
func (s *members) RemoveMember(ctx context.Context, m account.Membership) error {
	n, err := s.db.Exec(ctx, `DELETE FROM organisation_member WHERE id = $1 AND organisation_id = $2 AND (role <> 'owner' OR `+otherOwner+`)`, m.ID, m.OrganisationID)
	if err != nil {
		return err
	}
	if n == 0 {
		return account.ErrLastOwner
	}
	return s.stopActing(ctx, m)
}

// ActFor implements [account.Members].
func (s *members) ActFor(ctx context.Context, sessionID, personID, organisation string) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE session SET organisation_id = $3 WHERE id = $1 AND customer_id = $2 AND revoked_at IS NULL
		AND ($3 = '' OR EXISTS (SELECT 1 FROM organisation_member m WHERE m.organisation_id = $3 AND m.customer_id = $2))`, sessionID, personID, organisation)
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "session", sessionID)
}
