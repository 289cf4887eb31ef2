package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// OrganisationRoutes are the operations of organisations. All of them concern the person who calls, whomever he acts for: what he may do
// in an organisation is his role in the one that is named.
func OrganisationRoutes(s *account.Service) []kit.Route {
	const tag = "Organisations"
	customers := kit.Allow{Customer: true, Members: true}
	read := kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleSupport, licensing.RoleAuditor}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "organisation.create", Method: http.MethodPost, Path: "/v1/organisations", Tag: tag, Access: customers, Status: http.StatusCreated,
			Summary: "Make an organisation", Detail: "The caller becomes its owner. To buy for it, act for it: PUT /v1/sessions/current/owner."}, s.CreateOrganisation).Again(s.OrganisationAgain),
		kit.New(kit.Spec{Name: "organisation.list", Method: http.MethodGet, Path: "/v1/organisations", Tag: tag, Access: read,
			Summary: "List organisations", Detail: "Those that the caller is a member of; for staff all of them. The newest first."}, s.ListOrganisations),
		kit.New(kit.Spec{Name: "organisation.get", Method: http.MethodGet, Path: "/v1/organisations/{id}", Tag: tag, Access: read,
			Summary: "Read an organisation"}, s.GetOrganisation),
		kit.New(kit.Spec{Name: "organisation.update", Method: http.MethodPut, Path: "/v1/organisations/{id}", Tag: tag, Access: customers,
			Summary: "Change what an organisation says of itself", Detail: "Its owners and admins may."}, s.UpdateOrganisation),
		kit.New(kit.Spec{Name: "organisation.delete", Method: http.MethodDelete, Path: "/v1/organisations/{id}", Tag: tag, Access: customers,
			Summary: "Remove an organisation", Detail: "Its owners may, as long as it has no order, license, key or ticket."}, s.DeleteOrganisation),
		kit.New(kit.Spec{Name: "organisation.members", Method: http.MethodGet, Path: "/v1/organisations/{id}/members", Tag: tag, Access: read,
			Summary: "List members and invites"}, s.OrganisationMembers),
		kit.New(kit.Spec{Name: "organisation.role", Method: http.MethodPut, Path: "/v1/organisation-members/{id}/role", Tag: tag, Access: customers,
			Summary: "Change a member's role", Detail: "Owners may. In force everywhere within two seconds. The last owner stays owner."}, s.SetMemberRole),
		kit.New(kit.Spec{Name: "organisation.remove", Method: http.MethodDelete, Path: "/v1/organisation-members/{id}", Tag: tag, Access: customers,
			Summary: "Remove a member", Detail: "Owners remove anybody, admins members. In force everywhere within two seconds. The last owner stays."}, s.RemoveMember),
		kit.New(kit.Spec{Name: "organisation.leave", Method: http.MethodPost, Path: "/v1/organisations/{id}/leave", Tag: tag, Access: customers,
			Summary: "Leave an organisation", Detail: "The last owner stays."}, s.LeaveOrganisation).Again(s.LeaveAgain),
		kit.New(kit.Spec{Name: "organisation.invite", Method: http.MethodPost, Path: "/v1/organisations/{id}/invites", Tag: tag, Access: customers, Status: http.StatusCreated,
			Summary: "Invite somebody", Detail: "Mails a link that works for seven days, once, for who signs in with the address. Owners give any role, admins that of a member. Inviting an address again ends the link before."}, s.Invite).Again(s.InviteAgain),
		kit.New(kit.Spec{Name: "organisation.invite-withdraw", Method: http.MethodDelete, Path: "/v1/organisation-invites/{id}", Tag: tag, Access: customers,
			Summary: "Withdraw an invite"}, s.WithdrawInvite),
		kit.New(kit.Spec{Name: "organisation.invite-show", Method: http.MethodPost, Path: "/v1/organisation-invites/show", Tag: tag, Access: kit.Allow{Anonymous: true}, Reads: true,
			Summary: "Read an invite by its token"}, s.ShowInvite),
		kit.New(kit.Spec{Name: "organisation.accept", Method: http.MethodPost, Path: "/v1/organisation-invites/accept", Tag: tag, Access: customers,
			Summary: "Accept an invite", Detail: "Works once, for who signed in with the address that it was mailed to."}, s.AcceptInvite).Again(s.OrganisationAgain),
		kit.New(kit.Spec{Name: "session.act-for", Method: http.MethodPut, Path: "/v1/sessions/current/owner", Tag: "Sessions", Access: customers,
			Summary: "Say for whom the session acts", Detail: "For oneself or for an organisation: from then on the session reaches what that owns, and buys for it. As a member it reads, downloads and asks for help; as an admin or owner it changes things too."}, s.ActFor),
	}
}
