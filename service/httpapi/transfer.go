package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/service/kit"
)

// TransferRoutes are the operations of licenses that their owners give away.
func TransferRoutes(s *transfer.Service) []kit.Route {
	const tag = "Transfers"
	owner := kit.Allow{Customer: true}
	read := kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport, licensing.RoleAuditor}}
	decide := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "transfer.ask", Method: http.MethodPost, Path: "/v1/licenses/{id}/transfers", Tag: tag, Access: owner, Fresh: true, Switch: licensing.SwitchLicensing, Status: http.StatusCreated,
			Summary: "Offer a license to somebody else", Detail: "Where its policy allows it, as often as it allows. Mails a link that works for seven days, once, for who signs in with the address. Nothing changes until it is accepted and, where the policy wants it, approved by the shop."}, s.Ask).Again(s.AskAgain),
		kit.New(kit.Spec{Name: "transfer.list", Method: http.MethodGet, Path: "/v1/transfers", Tag: tag, Access: read,
			Summary: "List transfers", Detail: "For customers those of which they are one side, once accepted; for staff all of them. The newest first."}, s.List),
		kit.New(kit.Spec{Name: "transfer.get", Method: http.MethodGet, Path: "/v1/transfers/{id}", Tag: tag, Access: read,
			Summary: "Read a transfer"}, s.Get),
		kit.New(kit.Spec{Name: "transfer.cancel", Method: http.MethodPost, Path: "/v1/transfers/{id}/cancel", Tag: tag, Access: owner,
			Summary: "Take an offer back", Detail: "For who offered it, until the license has changed hands."}, s.Cancel).Again(s.AskAgain),
		kit.New(kit.Spec{Name: "transfer.show", Method: http.MethodPost, Path: "/v1/transfers/show", Tag: tag, Access: kit.Allow{Anonymous: true}, Reads: true,
			Summary: "Read an offer by its token"}, s.Show),
		kit.New(kit.Spec{Name: "transfer.accept", Method: http.MethodPost, Path: "/v1/transfers/accept", Tag: tag, Access: owner, Switch: licensing.SwitchLicensing,
			Summary: "Accept a license that is offered", Detail: "Works once, for who signed in with the address that it was offered to; the license goes to whomever the session acts for. The old owner's key and devices are good no longer."}, s.Accept).Again(s.AskAgain),
		kit.New(kit.Spec{Name: "transfer.approve", Method: http.MethodPost, Path: "/v1/transfers/{id}/approve", Tag: tag, Access: decide, Fresh: true, Switch: licensing.SwitchLicensing,
			Summary: "Approve a transfer", Detail: "One that was accepted, of a license whose policy wants an approval. Who is one of its two sides may not."}, s.Approve).Again(s.AskAgain),
		kit.New(kit.Spec{Name: "transfer.decline", Method: http.MethodPost, Path: "/v1/transfers/{id}/decline", Tag: tag, Access: decide,
			Summary: "Decline a transfer", Detail: "The license stays where it is; both sides are told why."}, s.Decline).Again(s.AskAgain),
	}
}
