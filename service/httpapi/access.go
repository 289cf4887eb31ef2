package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// AccessRoutes are the operations that explain access and tell the history of licenses. They sit behind no switch, since they tell of
// switches too; of the staff they are for those who may read orders.
func AccessRoutes(s *access.Service) []kit.Route {
	readers := kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleSupport, licensing.RoleAuditor}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "license.timeline", Method: http.MethodGet, Path: "/v1/licenses/{id}/timeline", Tag: "Licenses", Access: readers,
			Summary: "Read what happened to a license",
			Detail: "Issued, activated, renewed, suspended, transferred, answered offline, reported usage, mailed: the newest first, from the audit trail, its order and its mail. " +
				"Staff read by whom and why; its owner reads what happened since it is theirs, without names and reasons of the staff."}, s.Timeline),
		kit.New(kit.Spec{Name: "access.explain", Method: http.MethodGet, Path: "/v1/access/explain", Tag: "Access",
			Access:  readers,
			Summary: "Explain why somebody has access, or has not",
			Detail: "The chain from payment over order and grant to kill switch and limit, for a license, an API key, an order, a product or a customer: each step with its state, what to do, and where it is found. " +
				"Customers ask for what is theirs; what is not is answered as what is not there."}, s.Explain),
	}
}
