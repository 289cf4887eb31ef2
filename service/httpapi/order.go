package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// OrderRoutes are the operations that read orders.
func OrderRoutes(s *order.Service) []kit.Route {
	const tag = "Orders"
	read := kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleSupport, licensing.RoleAuditor}, Machine: "orders:read"}
	return []kit.Route{
		kit.New(kit.Spec{Name: "order.list", Method: http.MethodGet, Path: "/v1/orders", Tag: tag, Access: read,
			Summary: "List orders", Detail: "Newest first. Customers see their own."}, s.List),
		kit.New(kit.Spec{Name: "order.get", Method: http.MethodGet, Path: "/v1/orders/{id}", Tag: tag, Access: read,
			Summary: "Read an order", Detail: "With its timeline, for staff."}, s.Get),
	}
}
