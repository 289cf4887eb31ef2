package account

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// MemberView is a member of an organisation.
type MemberView struct {
	ID       string            `json:"id" doc:"Id of the membership." example:"mem_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d"`
	Person   string            `json:"person" doc:"Id of the person."`
	Email    string            `json:"email" doc:"The person's e-mail address."`
	Name     string            `json:"name,omitempty" doc:"The person's name."`
	Role     licensing.OrgRole `json:"role" doc:"Role in the organisation." enum:"owner,admin,member"`
	JoinedAt time.Time         `json:"joined_at" doc:"When the person joined."`
}

// InviteView is an invite that waits for its answer.
type InviteView struct {
	ID        string            `json:"id" doc:"Id of the invite." example:"inv_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d"`
	Email     string            `json:"email" doc:"E-mail address that it was mailed to."`
	Role      licensing.OrgRole `json:"role" doc:"Role that it gives." enum:"owner,admin,member"`
	CreatedAt time.Time         `json:"created_at" doc:"When it was sent."`
	ExpiresAt time.Time         `json:"expires_at" doc:"When it ends."`
}

func inviteView(i *Invite) InviteView {
	return InviteView{ID: i.ID, Email: i.Email, Role: i.Role, CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt}
}

// MembersResponse is everybody in an organisation.
type MembersResponse struct {
	Members []MemberView `json:"members" doc:"The members, in the order in which they joined."`
	Invites []InviteView `json:"invites" doc:"Invites that wait for their answer; none for those who cannot invite."`
}

// OrganisationMembers lists the members of one's organisation, or of any for staff; who can invite sees the invites too.
func (s *Service) OrganisationMembers(ctx context.Context, r OrganisationRequest) (MembersResponse, error) {
	out := MembersResponse{Members: []MemberView{}, Invites: []InviteView{}}
	personID, err := insider(ctx)
	if err != nil {
		return out, err
	}
	members, err := s.Members.ListMembers(ctx, r.ID, personID)
	if err != nil {
		return out, err
	}
	if len(members) == 0 { // every organisation has an owner
		return out, licensing.ErrNotFound
	}
	all := personID == ""
	for _, m := range members {
		all = all || m.PersonID == personID && leads(m.Role)
		out.Members = append(out.Members, MemberView{ID: m.ID, Person: m.PersonID, Email: m.Email, Name: m.Name, Role: m.Role, JoinedAt: m.JoinedAt})
	}
	if !all {
		return out, nil
	}
	invites, err := s.Invites.ListInvites(ctx, r.ID, s.Clock.Now())
	for i := range invites {
		out.Invites = append(out.Invites, inviteView(&invites[i]))
	}
	return out, err
}

// MemberRoleRequest gives a member another role.
type MemberRoleRequest struct {
	ID   string            `path:"id" doc:"Id of the membership."`
	Role licensing.OrgRole `json:"role" doc:"Role to give." enum:"owner,admin,member"`
}

// MemberChanged is a membership after a change.
type MemberChanged struct {
	ID           string            `json:"id" doc:"Id of the membership."`
	Organisation string            `json:"organisation" doc:"Id of the organisation."`
	Role         licensing.OrgRole `json:"role,omitempty" doc:"Role in the organisation; absent once it is no membership any more." enum:"owner,admin,member"`
}

// SetMemberRole changes a member's role, in force everywhere within two seconds. Owners may; the last owner stays owner.
func (s *Service) SetMemberRole(ctx context.Context, r MemberRoleRequest) (MemberChanged, error) {
	if err := validOrgRole(r.Role); err != nil {
		return MemberChanged{}, err
	}
	return s.changeMember(ctx, r.ID, r.Role)
}

// MemberRequest names a membership.
type MemberRequest struct {
	ID string `path:"id" doc:"Id of the membership."`
}

// RemoveMember ends a membership, in force everywhere within two seconds. Owners remove anybody, admins members; the last owner stays.
func (s *Service) RemoveMember(ctx context.Context, r MemberRequest) (MemberChanged, error) {
	return s.changeMember(ctx, r.ID, "")
}

// changeMember moves a member of an organisation that the caller belongs to from one role to another; "" is none.
func (s *Service) changeMember(ctx context.Context, id string, to licensing.OrgRole) (MemberChanged, error) {
	a, err := customer(ctx)
	if err != nil {
		return MemberChanged{}, err
	}
	var target Membership
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		var mine Membership
		if target, mine, err = s.Members.HoldMember(ctx, id, a.ID); err != nil {
			return err
		}
		if own := to == "" && target.PersonID == a.ID; !own && !grants(mine.Role, target.Role, to) { // whoever removes himself leaves
			return ErrOrgRole
		}
		return s.moveMember(ctx, target, to)
	})
	if err != nil {
		return MemberChanged{}, err
	}
	s.Invalidate(target.PersonID)
	return MemberChanged{ID: target.ID, Organisation: target.OrganisationID, Role: to}, nil
}

// moveMember stores the change of a membership whose organisation is held.
func (s *Service) moveMember(ctx context.Context, m Membership, to licensing.OrgRole) error {
	action, detail := "organisation.role", map[string]any{"organisation": m.OrganisationID, "from": m.Role, "to": to}
	var err error
	if to == "" {
		action, detail = "organisation.remove", map[string]any{"organisation": m.OrganisationID, "role": m.Role}
		err = s.Members.RemoveMember(ctx, m)
	} else {
		err = s.Members.SetMemberRole(ctx, m, to)
	}
	if err != nil {
		return err
	}
	detail["person"] = m.PersonID
	return s.Audit.Record(ctx, licensing.Event{Action: action, Target: m.ID, Detail: detail})
}

// LeaveRequest names the organisation to leave.
type LeaveRequest struct {
	ID string `path:"id" doc:"Id of the organisation."`
}

// LeaveOrganisation ends the caller's own membership; the last owner stays.
func (s *Service) LeaveOrganisation(ctx context.Context, r LeaveRequest) (OrganisationGone, error) {
	a, err := customer(ctx)
	if err != nil {
		return OrganisationGone{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if _, err := s.Organisations.HoldOrganisation(ctx, r.ID, a.ID); err != nil {
			return err
		}
		m, err := s.Members.MembershipIn(ctx, r.ID, a.ID)
		if err != nil {
			return err
		}
		if err := s.Audit.Record(ctx, licensing.Event{Action: "organisation.leave", Target: r.ID, Detail: map[string]any{"member": m.ID, "role": m.Role}}); err != nil {
			return err
		}
		return s.Members.RemoveMember(ctx, m)
	})
	if err != nil {
		return OrganisationGone{}, err
	}
	s.Invalidate(a.ID)
	return OrganisationGone(r), nil
}

// LeaveAgain answers a replay of LeaveOrganisation.
func (s *Service) LeaveAgain(_ context.Context, id, _ string) (OrganisationGone, error) {
	return OrganisationGone{ID: id}, nil
}

// ActForRequest says for whom the session acts.
type ActForRequest struct {
	Organisation *string `json:"organisation" doc:"Id of the organisation to act for; empty to act for oneself."`
}

// ActForResponse says for whom the session acts now.
type ActForResponse struct {
	Session      string            `json:"session" doc:"Id of the session."`
	Organisation string            `json:"organisation,omitempty" doc:"Id of the organisation that it acts for; absent for the person."`
	Name         string            `json:"name,omitempty" doc:"Name of the organisation."`
	Role         licensing.OrgRole `json:"role,omitempty" doc:"The person's role in it." enum:"owner,admin,member"`
}

// ActFor makes the caller's session act for an organisation that he is a member of, or for himself. It counts as long as the membership does.
func (s *Service) ActFor(ctx context.Context, r ActForRequest) (ActForResponse, error) {
	a, err := customer(ctx)
	if err != nil {
		return ActForResponse{}, err
	}
	if r.Organisation == nil {
		return ActForResponse{}, licensing.Fail(licensing.Invalid, "invalid", "Say for whom to act.").With("/organisation", "is missing; send \"\" to act for yourself")
	}
	out := ActForResponse{Session: a.Session}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		out.Organisation, out.Name, out.Role = strings.TrimSpace(*r.Organisation), "", ""
		if out.Organisation != "" {
			o, err := s.Organisations.OrganisationOf(ctx, out.Organisation, a.ID)
			if err != nil {
				return err
			}
			out.Name, out.Role = o.Name, o.Role
		}
		ok, err := s.Members.ActFor(ctx, a.Session, a.ID, out.Organisation)
		if err != nil {
			return err
		}
		if !ok {
			return licensing.ErrNotFound
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "session.act-for", Target: a.Session, Detail: map[string]any{"organisation": out.Organisation}})
	})
	if err != nil {
		return ActForResponse{}, err
	}
	s.Invalidate(a.Session)
	return out, nil
}

// Depart ends every membership of a person who is about to be no more, and the invites to the address, inside the caller's transaction. It
// is [ErrHandOver] while the person is the last owner of an organisation with other members or with something to its name; one that
// is the person's alone and owns nothing goes too.
func (s *Service) Depart(ctx context.Context, p Person) error {
	mine, err := s.Organisations.ListOrganisations(ctx, OrgFilter{PersonID: p.ID}, licensing.Page{Limit: maxOrgs})
	if err != nil {
		return err
	}
	for _, o := range mine.Items {
		if err := s.depart(ctx, o.ID, p.ID); err != nil {
			return err
		}
	}
	return s.Invites.ForgetInvites(ctx, p.Email)
}

func (s *Service) depart(ctx context.Context, organisation, personID string) error {
	o, err := s.Organisations.HoldOrganisation(ctx, organisation, personID)
	if errors.Is(err, licensing.ErrNotFound) {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	owns, err := s.Organisations.OwnsAnything(ctx, licensing.Owner(o.ID))
	if err != nil {
		return err
	}
	if o.Members == 1 && !owns {
		return s.Organisations.DropOrganisation(ctx, o.ID)
	}
	m, err := s.Members.MembershipIn(ctx, o.ID, personID)
	if err != nil {
		return err
	}
	if err = s.Members.RemoveMember(ctx, m); errors.Is(err, ErrLastOwner) {
		err = ErrHandOver
	}
	return err
}
