package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/kit"
)

// scopeUsage is what an API key must have to report usage.
const scopeUsage = "usage:write"

func usageRoutes(s *usage.Service) []kit.Route {
	const tag = "Usage"
	report := kit.Allow{Device: true, Holder: true, APIKey: scopeUsage}
	ask := kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "usage:read"}
	return []kit.Route{
		kit.New(kit.Spec{Name: "usage.open", Method: http.MethodPost, Path: "/v1/usage/sources", Tag: tag, Reads: true, Switch: licensing.SwitchAPI, Access: report,
			Summary: "Get a source to report usage with", Detail: "It is the caller's alone. Asking again with the same nonce answers with the same source. An API key's usage counts for the key, that of a lease or license token for the license."}, s.Open),
		kit.New(kit.Spec{Name: "usage.count", Method: http.MethodPost, Path: "/v1/usage", Tag: tag, Reads: true, Switch: licensing.SwitchAPI, Access: report,
			Summary: "Report a batch of usage",
			Detail: "Counts it exactly once: a batch that is sent again, after a lost answer, changes nothing and gets its receipt. " +
				"A number that was used for another batch is refused (source-forked), and so is one too high (usage-gap) unless the receipt of the batch before comes with it."}, s.Count),
		kit.New(kit.Spec{Name: "usage.events", Method: http.MethodPost, Path: "/v1/usage/events", Tag: tag, Reads: true, Switch: licensing.SwitchAPI, Access: report, Body: 1 << 20,
			Wraps:    map[string]kit.Wrap{"application/cloudevents+json": {Open: `{"events":[`, Close: `]}`}, "application/cloudevents-batch+json": {Open: `{"events":`, Close: `}`}},
			Envelope: &kit.Envelope{Prefix: "Ce-", Mark: "Ce-Specversion", Data: "data", Wrap: kit.Wrap{Open: `{"events":[`, Close: `]}`}},
			Summary:  "Report single events",
			Detail: "As CloudEvents 1.0: one as application/cloudevents+json, a list as application/cloudevents-batch+json, one in binary mode, whose attributes are headers (ce-id, ce-type and so on) and whose data is the JSON of the body, or as this object. " +
				"Each is counted exactly once by its source and id, by every meter of the product whose event type it has; all are counted or none."}, s.Events),
		kit.New(kit.Spec{Name: "usage.query", Method: http.MethodGet, Path: "/v1/usage", Tag: tag, Access: ask,
			Summary: "Ask what was counted", Detail: "By window of time in any zone, of a license, an API key or, for staff and machine tokens, a product. Customers ask for their own. A year of quarters of an hour fits in an answer."}, s.Query),
		kit.New(kit.Spec{Name: "usage.glance", Method: http.MethodGet, Path: "/v1/usage/meters", Tag: tag, Access: ask,
			Summary: "See what is counted at all", Detail: "Every meter that counted something for a license, an API key or a product, with the numbers of this month and the last and what is used of quotas."}, s.Glance),
		kit.New(kit.Spec{Name: "usage.overview", Method: http.MethodGet, Path: "/v1/usage/overview", Tag: tag, Access: ask,
			Summary: "See everything that an owner uses", Detail: "All licenses and API keys of a customer or organisation that counted something or have a quota: the last 30 days of each meter and what is left of quotas. Customers see their own."}, s.Overview),
		kit.New(kit.Spec{Name: "usage.top", Method: http.MethodGet, Path: "/v1/usage/top", Tag: tag, Access: ask,
			Summary: "Ask who used most", Detail: "The subjects or groups of a license or key, or the licenses and keys of a product."}, s.Top),
		kit.New(kit.Spec{Name: "usage.explain", Method: http.MethodGet, Path: "/v1/usage/explain", Tag: tag, Access: ask,
			Summary: "Explain how usage came to be", Detail: "The account of a meter of a license or key, by the days on which it was counted: opening balance, batches, corrections, closing balance, which add up exactly."}, s.Explain),
		kit.New(kit.Spec{Name: "usage.correct", Method: http.MethodPost, Path: "/v1/usage/corrections", Tag: tag, Status: http.StatusCreated,
			Access:  kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}, Machine: "usage:correct"},
			Summary: "Take back what was counted wrongly", Detail: "As a negative batch with a reason; what was counted is never edited. No more than was counted in that quarter of an hour."}, s.Correct).Again(s.CorrectionAgain),
		kit.New(kit.Spec{Name: "usage.quotas", Method: http.MethodGet, Path: "/v1/licenses/{id}/quotas", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "licenses:read"},
			Summary: "Read what is used of a license's quotas", Detail: "By meter, in the present period in UTC."}, s.Quotas),
		kit.New(kit.Spec{Name: "usage.set-thresholds", Method: http.MethodPut, Path: "/v1/licenses/{id}/thresholds", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}},
			Summary: "Set at which parts of a quota its owner is told", Detail: "By mail and by the event usage.threshold, once for each part in a period. Unless set they are 50, 80 and 100 percent."}, s.SetThresholds),
		kit.New(kit.Spec{Name: "usage.license", Method: http.MethodGet, Path: "/v1/licenses/{id}/usage", Tag: tag,
			Access:  kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "licenses:read"},
			Summary: "Read what was counted for a license", Detail: "By meter and calendar month in UTC, the newest month first."}, s.OfLicense),
	}
}

func meterRoutes(s *usage.Service) []kit.Route {
	const tag = "Meters"
	read := kit.Allow{Staff: licensing.AllRoles(), Machine: "meters:read"}
	change := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleCatalogue}, Machine: "meters:write"}
	return []kit.Route{
		kit.New(kit.Spec{Name: "meter.create", Method: http.MethodPost, Path: "/v1/meters", Tag: tag, Access: change, Status: http.StatusCreated,
			Summary: "Define a meter", Detail: "What products report under a code that is not defined is counted as a sum until it is."}, s.CreateMeter).Again(s.MeterAgain),
		kit.New(kit.Spec{Name: "meter.list", Method: http.MethodGet, Path: "/v1/meters", Tag: tag, Access: read, Summary: "List meters"}, s.ListMeters),
		kit.New(kit.Spec{Name: "meter.get", Method: http.MethodGet, Path: "/v1/meters/{id}", Tag: tag, Access: read, Summary: "Read a meter"}, s.GetMeter),
		kit.New(kit.Spec{Name: "meter.change", Method: http.MethodPut, Path: "/v1/meters/{id}", Tag: tag, Access: change,
			Summary: "Change a meter", Detail: "Its name and what feeds it from now on. Its code and kind stay."}, s.ChangeMeter),
	}
}
