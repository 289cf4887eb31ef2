package account_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// hold locks the row of a table that a column names, one after the other.
func (r *rig) hold(rows ...[3]string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for _, row := range rows {
			var one int
			if err := r.DB.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM `+row[0]+` WHERE `+row[1]+` = $1 FOR UPDATE) x`, row[2]).Scan(&one); err != nil {
				return errors.Join(errors.New(row[0]), err)
			}
		}
		return nil
	}
}

// F24: an owner is disabled while another person gets a role: both hold all owners before anybody else.
func TestF24_OwnerIsDisabledWhileARoleIsGiven(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Postgres(t))
	r.staff(t, "grace@example.com", licensing.RoleOwner)
	ada := r.signUp(t, "ada@example.com")
	storetest.Cross(t, r.Env, storetest.Crossing{
		First: r.hold([3]string{"customer", "role", string(licensing.RoleOwner)}),
		Then:  r.hold([3]string{"customer", "id", ada}),
		Other: func(context.Context) error {
			_, err := r.DisableCustomer(as(t, licensing.Actor{Kind: licensing.CLI, ID: "root"}), account.DisableRequest{ID: ada, Reason: "x"})
			return err
		},
	})
}

// F24: a member invites somebody while he is erased, which holds him and then the organisations that he leaves.
func TestF24_MemberInvitesWhileErased(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Postgres(t))
	ada := r.person(t, "ada@example.com")
	org := r.found(t, ada, "Analytical Engines")
	storetest.Cross(t, r.Env, storetest.Crossing{First: r.hold([3]string{"customer", "id", ada.id}), Then: r.hold([3]string{"organisation", "id", org.ID}),
		Other: func(context.Context) error {
			_, err := r.Invite(r.by(t, ada), account.InviteRequest{ID: org.ID, Email: "bob@example.com", Role: licensing.OrgMember})
			return err
		}})
}

// F24: somebody shows password and code again while he is erased, which holds him, his sessions and then his codes.
func TestF24_CodeIsShownWhileErased(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.Postgres(t))
	ada := r.person(t, "ada@example.com")
	_, recovery := r.enrol(t, ada.in)
	storetest.Cross(t, r.Env, storetest.Crossing{First: r.hold([3]string{"customer", "id", ada.id}, [3]string{"session_pass", "session_id", ada.in.ID}),
		Then: r.hold([3]string{"recovery_code", "customer_id", ada.id}),
		Other: func(context.Context) error {
			_, err := r.Freshen(r.by(t, ada), account.FreshenRequest{Password: password, Code: recovery[0]})
			return err
		}})
}
