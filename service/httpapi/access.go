package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// AccessRoutes is the operation that explains access. It sits behind no switch, since it tells of switches too; of the staff it is for
// those who may read orders.
func AccessRoutes(s *access.Service) []kit.Route {
	return []kit.Route{
		kit.New(kit.Spec{Name: "access.explain", Method: http.MethodGet, Path: "/v1/access/explain", Tag: "Access",
			Access:  kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleSupport, licensing.RoleAuditor}},
			Summary: "Explain why somebody has access, or has not",
			Detail: "The chain from payment over order and grant to kill switch and limit, for a license, an API key, an order, a product or a customer: each step with its state, what to do, and where it is found. " +
				"Customers ask for what is theirs; what is not is answered as what is not there."}, s.Explain),
	}
}
