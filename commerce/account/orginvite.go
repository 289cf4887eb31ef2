package account

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// InviteRequest asks for somebody to be invited.
type InviteRequest struct {
	ID    string            `path:"id" doc:"Id of the organisation."`
	Email string            `json:"email" doc:"E-mail address to invite; only who signs in with it can accept." example:"grace@example.com"`
	Role  licensing.OrgRole `json:"role" doc:"Role to give. Admins give member, owners any." enum:"owner,admin,member"`
}

// InviteMail is what the mail to the invited says.
type InviteMail struct {
	ID           string // of the invite
	To           string
	Organisation string // its name
	By           string // the name of who invites, or the address
	Role         licensing.OrgRole
	ExpiresAt    time.Time
}

// Invite mails a link by which somebody joins an organisation within seven days. Inviting an address again ends the link before. Nothing
// tells whether there is an account with the address.
func (s *Service) Invite(ctx context.Context, r InviteRequest) (InviteView, error) {
	a, err := customer(ctx)
	if err != nil {
		return InviteView{}, err
	}
	if err := validOrgRole(r.Role); err != nil {
		return InviteView{}, err
	}
	email, err := NormalEmail(r.Email)
	if err != nil {
		return InviteView{}, err
	}
	if err := s.allow(ctx, "account:invite:by:"+a.ID, invitesAnHour, time.Hour); err != nil {
		return InviteView{}, err
	}
	if err := s.allow(ctx, "account:invite:to:"+email, 5, time.Hour); err != nil {
		return InviteView{}, err
	}
	token, err := newSecret(s.Random)
	if err != nil {
		return InviteView{}, err
	}
	now := s.Clock.Now()
	i := Invite{ID: s.IDs.New("inv"), OrganisationID: r.ID, Email: email, Role: r.Role, Digest: credential.Sum(token), InvitedBy: a.ID, CreatedAt: now, ExpiresAt: now.Add(inviteTTL)}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		by, err := s.People.HoldPerson(ctx, a.ID) // the invite names him, and people come before organisations
		if err != nil {
			return err
		}
		o, err := s.Organisations.HoldOrganisation(ctx, r.ID, a.ID)
		if err != nil {
			return err
		}
		if !grants(o.Role, "", r.Role) {
			return ErrOrgRole
		}
		if err := s.mayJoin(ctx, &o, email); err != nil {
			return err
		}
		if err := s.Invites.AddInvite(ctx, i); err != nil {
			return err
		}
		mail := InviteMail{ID: i.ID, To: email, Organisation: o.Name, By: by.Name, Role: i.Role, ExpiresAt: i.ExpiresAt}
		if mail.By == "" {
			mail.By = by.Email
		}
		if err := s.Notices.OrganisationInvite(ctx, mail, token); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "organisation.invite", Target: i.ID, Detail: map[string]any{"organisation": o.ID, "role": i.Role}})
	})
	if err != nil {
		return InviteView{}, err
	}
	return inviteView(&i), nil
}

// mayJoin refuses an address whose person is a member already, and one more in a full organisation.
func (s *Service) mayJoin(ctx context.Context, o *Joined, email string) error {
	invites, err := s.Invites.ListInvites(ctx, o.ID, s.Clock.Now())
	if err != nil {
		return err
	}
	if o.Members+int64(len(invites)) >= maxMembers {
		return ErrOrgFull
	}
	p, err := s.People.PersonByEmail(ctx, email)
	if errors.Is(err, licensing.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err = s.Members.MembershipIn(ctx, o.ID, p.ID); errors.Is(err, licensing.ErrNotFound) {
		return nil
	} else if err == nil {
		err = ErrMember
	}
	return err
}

// InviteAgain answers a replay of Invite.
func (s *Service) InviteAgain(ctx context.Context, id, _ string) (InviteView, error) {
	a, err := customer(ctx)
	if err != nil {
		return InviteView{}, err
	}
	i, _, err := s.Invites.InviteOf(ctx, id, a.ID)
	return inviteView(&i), err
}

// WithdrawInviteRequest names an invite.
type WithdrawInviteRequest struct {
	ID string `path:"id" doc:"Id of the invite."`
}

// WithdrawInvite ends an invite that waits for its answer. Who may give its role may.
func (s *Service) WithdrawInvite(ctx context.Context, r WithdrawInviteRequest) (InviteView, error) {
	a, err := customer(ctx)
	if err != nil {
		return InviteView{}, err
	}
	var i Invite
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		var mine Membership
		if i, mine, err = s.Invites.InviteOf(ctx, r.ID, a.ID); err != nil {
			return err
		}
		switch {
		case !leads(mine.Role):
			return licensing.ErrNotFound // members do not see invites
		case !grants(mine.Role, "", i.Role):
			return ErrOrgRole
		}
		live, err := s.Invites.EndInvite(ctx, i.ID, s.Clock.Now())
		if err != nil {
			return err
		}
		if !live {
			return ErrInvite
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "organisation.invite-withdraw", Target: i.ID, Detail: map[string]any{"organisation": i.OrganisationID, "role": i.Role}})
	})
	if err != nil {
		return InviteView{}, err
	}
	return inviteView(&i), nil
}

// InviteTokenRequest is the token of a mailed link.
type InviteTokenRequest struct {
	Token string `json:"token" doc:"The token of the mailed link."`
}

// InviteShown is what an invite says to whoever holds its link.
type InviteShown struct {
	Organisation string            `json:"organisation" doc:"Name of the organisation."`
	Email        string            `json:"email" doc:"E-mail address that it was mailed to; only who signs in with it can accept."`
	Role         licensing.OrgRole `json:"role" doc:"Role that it gives." enum:"owner,admin,member"`
	ExpiresAt    time.Time         `json:"expires_at" doc:"When it ends."`
}

// ShowInvite tells whoever holds the link of an invite what it is for. A used, withdrawn, expired and unknown token answer the same.
func (s *Service) ShowInvite(ctx context.Context, r InviteTokenRequest) (InviteShown, error) {
	if err := s.slowSource(ctx, "invite", 30, time.Minute); err != nil {
		return InviteShown{}, err
	}
	if len(r.Token) > 100 {
		return InviteShown{}, ErrInvite
	}
	i, err := s.Invites.InviteByDigest(ctx, credential.Sum(r.Token))
	if errors.Is(err, licensing.ErrNotFound) {
		err = ErrInvite
	}
	if err == nil {
		err = s.good(&i)
	}
	if err != nil {
		return InviteShown{}, err
	}
	return InviteShown{Organisation: i.Organisation, Email: i.Email, Role: i.Role, ExpiresAt: i.ExpiresAt}, nil
}

// good refuses an invite that is over, and one whose sender could not send it any more: what somebody was trusted to give ends with the trust.
func (s *Service) good(i *Sent) error {
	if !i.EndedAt.IsZero() || !s.Clock.Now().Before(i.ExpiresAt) {
		return ErrInvite
	}
	if !grants(i.By, "", i.Role) {
		return ErrInvite.Because(errors.New(i.ID + ": its sender may not give the role any more"))
	}
	return nil
}

// AcceptInvite makes the caller a member, once, if he signed in with the address that the invite was mailed to.
func (s *Service) AcceptInvite(ctx context.Context, r InviteTokenRequest) (OrganisationView, error) {
	a, err := customer(ctx)
	if err != nil {
		return OrganisationView{}, err
	}
	if err := s.slowSource(ctx, "invite", 30, time.Minute); err != nil {
		return OrganisationView{}, err
	}
	if len(r.Token) > 100 {
		return OrganisationView{}, ErrInvite
	}
	var o Joined
	now := s.Clock.Now()
	m := Membership{ID: s.IDs.New("mem"), PersonID: a.ID, JoinedAt: now}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		p, err := s.People.HoldPerson(ctx, a.ID) // people before organisations, wherever both are locked
		if err != nil {
			return err
		}
		i, err := s.Invites.HoldInvite(ctx, credential.Sum(r.Token))
		if errors.Is(err, licensing.ErrNotFound) {
			return ErrInvite
		}
		if err != nil {
			return err
		}
		if err := s.good(&i); err != nil {
			return err
		}
		if p.Email != i.Email || p.ConfirmedAt.IsZero() {
			return ErrInviteAddress
		}
		m.OrganisationID, m.Role = i.OrganisationID, i.Role
		if err := s.join(ctx, &i.Invite, m, now); err != nil {
			return err
		}
		o, err = s.Organisations.OrganisationOf(ctx, i.OrganisationID, a.ID)
		return err
	})
	if err != nil {
		return OrganisationView{}, err
	}
	return organisationView(&o), nil
}

// join spends an invite whose organisation is held. Who is a member already keeps the role he has, and the invite.
func (s *Service) join(ctx context.Context, i *Invite, m Membership, now time.Time) error {
	if err := s.roomFor(ctx, m.PersonID); err != nil {
		return err
	}
	added, err := s.Members.AddMember(ctx, m)
	if err != nil {
		return err
	}
	if !added {
		return ErrMember
	}
	live, err := s.Invites.EndInvite(ctx, i.ID, now)
	if err != nil {
		return err
	}
	if !live {
		return ErrInvite
	}
	return s.Audit.Record(ctx, licensing.Event{Action: "organisation.accept", Target: m.OrganisationID, Detail: map[string]any{"member": m.ID, "invite": i.ID, "role": m.Role}})
}
