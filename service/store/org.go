package store

import (
	"context"
	"errors"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// organisations implements [account.Organisations].
type organisations struct{ *Store }

var _ account.Organisations = (*organisations)(nil)

// Organisations returns the store of organisations.
func (s *Store) Organisations() account.Organisations { return &organisations{s} }

const organisationColumns = `o.id, o.name, o.billing_email, o.country, o.vat_id, o.created_at, o.updated_at,
	(SELECT count(*) FROM organisation_member n WHERE n.organisation_id = o.id)`

func scanOrganisation(row db.Row) (o account.Joined, err error) {
	err = row.Scan(&o.ID, &o.Name, &o.BillingEmail, &o.Country, &o.VATID, &o.CreatedAt, &o.UpdatedAt, &o.Members, &o.Role)
	if errors.Is(err, db.ErrNoRows) {
		err = licensing.ErrNotFound
	}
	return o, err
}

// AddOrganisation implements [account.Organisations].
func (s *organisations) AddOrganisation(ctx context.Context, o account.Organisation, owner account.Membership) error {
	_, err := s.db.Exec(ctx, `INSERT INTO organisation (id, name, billing_email, country, vat_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		o.ID, o.Name, o.BillingEmail, o.Country, o.VATID, o.CreatedAt, o.UpdatedAt)
	if err != nil {
		return err
	}
	_, err = (&members{s.Store}).AddMember(ctx, owner)
	return err
}

// OrganisationOf implements [account.Organisations].
func (s *organisations) OrganisationOf(ctx context.Context, id, personID string) (account.Joined, error) {
	if personID == "" {
		return scanOrganisation(s.db.QueryRow(ctx, `SELECT `+organisationColumns+`, '' FROM organisation o WHERE o.id = $1`, id))
	}
	return scanOrganisation(s.db.QueryRow(ctx, `SELECT `+organisationColumns+`, m.role
		FROM organisation_member m JOIN organisation o ON o.id = m.organisation_id WHERE m.organisation_id = $1 AND m.customer_id = $2`, id, personID))
}

// HoldOrganisation implements [account.Organisations]. What is decided upon is read after the row was locked.
func (s *organisations) HoldOrganisation(ctx context.Context, id, personID string) (account.Joined, error) {
	if err := s.holdOrganisation(ctx, `$1`, id); err != nil {
		return account.Joined{}, err
	}
	return s.OrganisationOf(ctx, id, personID)
}

// holdOrganisation locks the organisation that an expression names.
func (s *Store) holdOrganisation(ctx context.Context, expression string, args ...any) error {
	var id string
	err := s.db.QueryRow(ctx, `SELECT id FROM organisation WHERE id = `+expression+` FOR UPDATE`, args...).Scan(&id)
	return missing(err)
}

// UpdateOrganisation implements [account.Organisations].
func (s *organisations) UpdateOrganisation(ctx context.Context, o account.Organisation) error {
	n, err := s.db.Exec(ctx, `UPDATE organisation SET name = $2, billing_email = $3, country = $4, vat_id = $5, updated_at = $6 WHERE id = $1`,
		o.ID, o.Name, o.BillingEmail, o.Country, o.VATID, o.UpdatedAt)
	if err != nil {
		return err
	}
	if n == 0 {
		return licensing.ErrNotFound
	}
	return s.changed(ctx, "organisation", o.ID)
}

// ListOrganisations implements [account.Organisations].
func (s *organisations) ListOrganisations(ctx context.Context, f account.OrgFilter, page licensing.Page) (licensing.List[account.Joined], error) {
	limit := pageSize(page)
	selected, id := `SELECT `+organisationColumns+`, '' FROM organisation o`, "o.id"
	if f.PersonID != "" {
		selected, id = `SELECT `+organisationColumns+`, m.role FROM organisation_member m JOIN organisation o ON o.id = m.organisation_id`, "m.organisation_id"
	}
	list := new(narrowing).by("m.customer_id =", f.PersonID).by(id+" <", page.Cursor)
	for _, word := range f.Words {
		list.byWrapped(`lower(o.name) LIKE`, "%"+likely.Replace(word)+"%", ` ESCAPE '!'`)
	}
	sql, args := list.statement(selected, id+" DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanOrganisation)
	return cut(items, limit, func(o account.Joined) string { return o.ID }), err
}

// OwnsAnything implements [account.Organisations].
func (s *organisations) OwnsAnything(ctx context.Context, owner licensing.Owner) (owns bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM orders WHERE owner = $1) OR EXISTS (SELECT 1 FROM license WHERE owner = $1)
		OR EXISTS (SELECT 1 FROM api_key WHERE owner = $1) OR EXISTS (SELECT 1 FROM ticket WHERE owner = $1)`, string(owner)).Scan(&owns)
	return owns, err
}

// DropOrganisation implements [account.Organisations].
func (s *organisations) DropOrganisation(ctx context.Context, id string) error {
	people, err := (&members{s.Store}).ListMembers(ctx, id, "")
	if err != nil {
		return err
	}
	if _, err := s.db.Exec(ctx, `UPDATE session SET organisation_id = '' WHERE `+inOrder("session", `organisation_id = $1
		AND customer_id IN (SELECT m.customer_id FROM organisation_member m WHERE m.organisation_id = $1)`), id); err != nil {
		return err
	}
	for _, m := range people {
		if err := s.changed(ctx, "customer", m.PersonID); err != nil {
			return err
		}
	}
	_, err = s.db.Batch(ctx, []db.Statement{
		{SQL: `DELETE FROM organisation_invite WHERE organisation_id = $1`, Args: []any{id}},
		{SQL: `DELETE FROM organisation_member WHERE organisation_id = $1`, Args: []any{id}},
		{SQL: `DELETE FROM organisation WHERE id = $1`, Args: []any{id}},
	})
	return err
}

// stopActing makes the sessions of a person act for the organisation no more, and has every replica look again.
func (s *Store) stopActing(ctx context.Context, m account.Membership) error {
	_, err := s.db.Exec(ctx, `UPDATE session SET organisation_id = '' WHERE `+inOrder("session", `customer_id = $1 AND organisation_id = $2`), m.PersonID, m.OrganisationID)
	if err != nil {
		return err
	}
	return s.changed(ctx, "customer", m.PersonID)
}
