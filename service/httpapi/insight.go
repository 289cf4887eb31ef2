package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// InsightRoutes are the operations that tell how the shop goes, and customers what they have. None of them sits behind a switch.
func InsightRoutes(s *insight.Service) []kit.Route {
	return []kit.Route{
		kit.New(kit.Spec{Name: "overview.get", Method: http.MethodGet, Path: "/v1/overview", Tag: "Insight", Access: kit.Allow{Staff: licensing.AllRoles()},
			Summary: "See how the shop goes", Detail: "Each step of the golden path with its state and why, and what was sold a day. Counted from rows, at most every five seconds."}, s.Get),
		kit.New(kit.Spec{Name: "overview.mine", Method: http.MethodGet, Path: "/v1/account/overview", Tag: "Accounts", Access: kit.Allow{Customer: true},
			Summary: "See what one has", Detail: "How many licenses, devices, API keys and orders there are, which of them want attention, and the newest orders. Of licenses and keys the newest hundred count, of orders the newest twenty."}, s.Mine),
	}
}
