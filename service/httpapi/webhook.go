package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// WebhookRoutes are the operations on the endpoints to which events are sent, and on what was sent.
func WebhookRoutes(s *webhook.Service) []kit.Route {
	const tag = "Webhooks"
	admins := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin}}
	readers := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport, licensing.RoleAuditor}, Machine: "webhooks:read", Whole: true}
	senders := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "webhook.types", Method: http.MethodGet, Path: "/v1/webhook-event-types", Tag: tag, Access: kit.Allow{Staff: licensing.AllRoles(), Machine: "webhooks:read"},
			Summary: "List the types of events", Detail: "What endpoints can be told of."}, s.Catalogue),
		kit.New(kit.Spec{Name: "webhook.create", Method: http.MethodPost, Path: "/v1/webhook-endpoints", Tag: tag, Access: admins, Fresh: true, Status: http.StatusCreated,
			Summary: "Make an endpoint that events are sent to",
			Detail:  "Messages are signed as Standard Webhooks describe, with the secret that the answer shows once, and are sent until they are answered with 2xx, for three days."}, s.Create).Again(s.CreateAgain),
		kit.New(kit.Spec{Name: "webhook.list", Method: http.MethodGet, Path: "/v1/webhook-endpoints", Tag: tag, Access: readers, Summary: "List endpoints"}, s.List),
		kit.New(kit.Spec{Name: "webhook.get", Method: http.MethodGet, Path: "/v1/webhook-endpoints/{id}", Tag: tag, Access: readers, Summary: "Read an endpoint"}, s.Get),
		kit.New(kit.Spec{Name: "webhook.change", Method: http.MethodPut, Path: "/v1/webhook-endpoints/{id}", Tag: tag, Access: admins, Fresh: true,
			Summary: "Change an endpoint", Detail: "What waits for it goes to the new address."}, s.Change),
		kit.New(kit.Spec{Name: "webhook.disable", Method: http.MethodPost, Path: "/v1/webhook-endpoints/{id}/disable", Tag: tag, Access: admins,
			Summary: "Stop sending to an endpoint", Detail: "It does not hear of what happens meanwhile. What waits already is sent when it is enabled again."}, s.Disable).Again(s.Again),
		kit.New(kit.Spec{Name: "webhook.enable", Method: http.MethodPost, Path: "/v1/webhook-endpoints/{id}/enable", Tag: tag, Access: admins,
			Summary: "Send to an endpoint again"}, s.Enable).Again(s.Again),
		kit.New(kit.Spec{Name: "webhook.remove", Method: http.MethodDelete, Path: "/v1/webhook-endpoints/{id}", Tag: tag, Access: admins,
			Summary: "Remove an endpoint", Detail: "With its secrets, and what waits for it is not sent. What was sent stays in the log for thirty days."}, s.Remove),
		kit.New(kit.Spec{Name: "webhook.rotate", Method: http.MethodPost, Path: "/v1/webhook-endpoints/{id}/rotate", Tag: tag, Access: admins, Fresh: true,
			Summary: "Give an endpoint a new secret", Detail: "Until the overlap ends messages are signed with both."}, s.Rotate).Again(s.CreateAgain),
		kit.New(kit.Spec{Name: "webhook.test", Method: http.MethodPost, Path: "/v1/webhook-endpoints/{id}/test", Tag: tag, Access: senders, Status: http.StatusCreated,
			Summary: "Send a test event to an endpoint", Detail: "Of the type webhook.test, whatever the endpoint wants. The answer is the delivery; read it again to see what came of it."}, s.Try).Again(s.DeliveryAgain),
		kit.New(kit.Spec{Name: "webhook.deliveries", Method: http.MethodGet, Path: "/v1/webhook-deliveries", Tag: tag, Access: readers,
			Summary: "List what was sent and what waits", Detail: "Of the last thirty days, the newest first."}, s.ListDeliveries),
		kit.New(kit.Spec{Name: "webhook.count", Method: http.MethodGet, Path: "/v1/webhook-deliveries/count", Tag: tag, Access: readers,
			Summary: "Count what was sent and what waits", Detail: "What sending it again would be about."}, s.CountDeliveries),
		kit.New(kit.Spec{Name: "webhook.delivery", Method: http.MethodGet, Path: "/v1/webhook-deliveries/{id}", Tag: tag, Access: readers,
			Summary: "Read a delivery", Detail: "With its attempts, and what is sent."}, s.GetDelivery),
		kit.New(kit.Spec{Name: "webhook.redeliver", Method: http.MethodPost, Path: "/v1/webhook-deliveries/{id}/redeliver", Tag: tag, Access: senders,
			Summary: "Send an event again", Detail: "Now, whatever became of it, with the webhook-id it always had."}, s.Redeliver).Again(s.DeliveryAgain),
		kit.New(kit.Spec{Name: "webhook.redeliver-many", Method: http.MethodPost, Path: "/v1/webhook-endpoints/{id}/redeliver", Tag: tag, Access: senders,
			Summary: "Send many events of an endpoint again",
			Detail:  "All that failed, or those of a time, with the webhook-ids they always had; a thousand a request, the oldest first. What is pending already is left as it is, so that asking twice sends nothing twice."}, s.Repeat).Again(s.RepeatAgain),
	}
}
