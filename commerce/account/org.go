package account

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// Organisation is a group of customers that owns things together. Its members act for it, one session at a time
// ([Service.ActFor]); what they then buy is the organisation's.
type Organisation struct {
	ID           string
	Name         string
	BillingEmail string
	Country      string // ISO 3166-1, empty if not said
	VATID        string
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Membership is a person's place in an organisation.
type Membership struct {
	ID             string
	OrganisationID string
	PersonID       string
	Role           licensing.OrgRole
	JoinedAt       time.Time
}

// Joined is an organisation as a person of it sees it. Role is empty for staff, who are none of it.
type Joined struct {
	Organisation
	Role    licensing.OrgRole
	Members int64
}

// Member is a membership with the person's name and address.
type Member struct {
	Membership
	Email string
	Name  string
}

// Invite is a mailed permission to join an organisation, as it is stored.
type Invite struct {
	ID             string
	OrganisationID string
	Email          string
	Role           licensing.OrgRole
	Digest         credential.Digest
	InvitedBy      string // id of the person
	CreatedAt      time.Time
	ExpiresAt      time.Time
	EndedAt        time.Time
}

// Sent is an invite with the name of its organisation and the role that its sender has there now, "" for no member.
type Sent struct {
	Invite
	Organisation string
	By           licensing.OrgRole
}

// Acting is the organisation that a session acts for; zero for none, and when the person is no member of it any more.
type Acting struct {
	ID   string
	Name string
	Role licensing.OrgRole
}

// OrgFilter narrows a list of organisations; empty members do not.
type OrgFilter struct {
	PersonID string   // only those of this person
	Words    []string // each is in the name, in lower case
}

// Organisations keeps organisations. A person's id narrows to what that person is a member of; "" is for staff.
type Organisations interface {
	// AddOrganisation stores an organisation with its first owner.
	AddOrganisation(ctx context.Context, o Organisation, owner Membership) error
	// OrganisationOf returns [licensing.ErrNotFound] for none, and for one that the person is no member of.
	OrganisationOf(ctx context.Context, id, personID string) (Joined, error)
	// HoldOrganisation is OrganisationOf with the organisation's row locked until the transaction ends. Whatever changes members or
	// invites, or gives the organisation something to own, holds it first.
	HoldOrganisation(ctx context.Context, id, personID string) (Joined, error)
	UpdateOrganisation(ctx context.Context, o Organisation) error
	ListOrganisations(ctx context.Context, f OrgFilter, page licensing.Page) (licensing.List[Joined], error)
	// OwnsAnything reports whether there are orders, licenses, keys or tickets of the owner.
	OwnsAnything(ctx context.Context, owner licensing.Owner) (bool, error)
	// DropOrganisation removes an organisation with its members and invites; nobody acts for it any more.
	DropOrganisation(ctx context.Context, id string) error
}

// Members keeps memberships.
type Members interface {
	// AddMember reports false, storing nothing, for somebody who is a member already.
	AddMember(ctx context.Context, m Membership) (bool, error)
	// HoldMember returns a membership and that of the person in the same organisation, whose row it locks until the transaction ends. It
	// is [licensing.ErrNotFound] unless the person is a member there.
	HoldMember(ctx context.Context, id, personID string) (target, mine Membership, err error)
	// MembershipIn returns a person's membership, or [licensing.ErrNotFound].
	MembershipIn(ctx context.Context, organisation, personID string) (Membership, error)
	// ListMembers returns the members of an organisation that the person is one of, or of any when personID is ""; nobody when there is
	// no such organisation.
	ListMembers(ctx context.Context, organisation, personID string) ([]Member, error)
	// SetMemberRole and RemoveMember return [ErrLastOwner], changing nothing, when nobody would be owner afterwards. Who is removed
	// acts for the organisation no more.
	SetMemberRole(ctx context.Context, m Membership, role licensing.OrgRole) error
	RemoveMember(ctx context.Context, m Membership) error
	// ActFor makes a person's live session act for an organisation, or for the person himself when it is "". It reports false, changing
	// nothing, unless the person is a member.
	ActFor(ctx context.Context, sessionID, personID, organisation string) (bool, error)
}

// Invites keeps invites.
type Invites interface {
	// AddInvite stores an invite and ends an earlier one of the same address.
	AddInvite(ctx context.Context, i Invite) error
	// InviteByDigest returns an invite whatever its state, or [licensing.ErrNotFound]. HoldInvite does so with its organisation's row
	// locked until the transaction ends.
	InviteByDigest(ctx context.Context, d credential.Digest) (Sent, error)
	HoldInvite(ctx context.Context, d credential.Digest) (Sent, error)
	// InviteOf returns an invite of an organisation that the person is a member of, and the person's membership.
	InviteOf(ctx context.Context, id, personID string) (Invite, Membership, error)
	// ListInvites returns the live invites of an organisation, oldest first.
	ListInvites(ctx context.Context, organisation string, at time.Time) ([]Invite, error)
	// EndInvite reports whether the invite was live.
	EndInvite(ctx context.Context, id string, at time.Time) (bool, error)
	// ForgetInvites removes every invite to an address.
	ForgetInvites(ctx context.Context, email string) error
	// PruneInvites removes invites that expired before an instant, and returns how many.
	PruneInvites(ctx context.Context, before time.Time) (int64, error)
}

// The bounds of an organisation. They keep its lists on one page and its invites from being a way to send mail.
const (
	inviteTTL     = 7 * 24 * time.Hour
	maxMembers    = 500 // with invites
	maxOrgs       = 50  // that one person is a member of
	invitesAnHour = 30
)

// The failures of organisations that callers may act on. A last owner is [ErrLastOwner].
var (
	ErrOrgRole       = licensing.Fail(licensing.Forbidden, "organisation-role", "Your role in the organisation does not permit this. Ask one of its owners.")
	ErrInviteAddress = licensing.Fail(licensing.Forbidden, "invite-other-address", "The invitation is for another e-mail address. Sign in with the address that it was mailed to.")
	ErrInvite        = licensing.Fail(licensing.Gone, "invite-over", "The invitation is used, withdrawn or over. Ask the organisation for a new one.")
	ErrMember        = licensing.Fail(licensing.Conflict, "already-member", "This person is a member of the organisation already.")
	ErrOrgFull       = licensing.Fail(licensing.Conflict, "organisation-full", "The organisation has as many members and invitations as there may be.")
	ErrOrgCount      = licensing.Fail(licensing.Conflict, "too-many-organisations", "You are a member of as many organisations as there may be. Leave one of them first.")
	ErrOrgOwns       = licensing.Fail(licensing.Conflict, "organisation-owns", "The organisation has orders, licenses, keys or tickets, so it stays. Leave it instead, or write to us to have them moved.")
	ErrHandOver      = licensing.Fail(licensing.Conflict, "hand-over-first", "You are the last owner of an organisation that owns something or has other members. Make somebody else owner of it first.")
)

// grants reports whether somebody with the role may move somebody else from one role to another; "" is no member. Owners may do
// whatever they like, admins invite and remove members.
func grants(mine, from, to licensing.OrgRole) bool {
	plain := func(r licensing.OrgRole) bool { return r == "" || r == licensing.OrgMember }
	return mine == licensing.OrgOwner || mine == licensing.OrgAdmin && plain(from) && plain(to)
}

// leads reports whether the role changes what the organisation is and owns.
func leads(r licensing.OrgRole) bool { return r == licensing.OrgOwner || r == licensing.OrgAdmin }

func validOrgRole(r licensing.OrgRole) error {
	switch r {
	case licensing.OrgOwner, licensing.OrgAdmin, licensing.OrgMember:
		return nil
	}
	return licensing.Fail(licensing.Invalid, "invalid", "There is no such role.").With("/role", "must be owner, admin or member")
}
