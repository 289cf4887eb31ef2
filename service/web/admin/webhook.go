package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// webhookOps are the operations on endpoints that events are sent to.
type webhookOps struct {
	Types      kit.Op[webhook.TypesRequest, webhook.TypesResponse]                     `op:"webhook.types"`
	Endpoints  kit.Op[webhook.ListRequest, licensing.List[webhook.View]]               `op:"webhook.list"`
	Endpoint   kit.Op[webhook.EndpointRequest, webhook.View]                           `op:"webhook.get"`
	Create     kit.Op[webhook.CreateRequest, webhook.CreateResponse]                   `op:"webhook.create"`
	Change     kit.Op[webhook.ChangeRequest, webhook.View]                             `op:"webhook.change"`
	Disable    kit.Op[webhook.StateRequest, webhook.View]                              `op:"webhook.disable"`
	Enable     kit.Op[webhook.StateRequest, webhook.View]                              `op:"webhook.enable"`
	Remove     kit.Op[webhook.EndpointRequest, webhook.Removed]                        `op:"webhook.remove"`
	Rotate     kit.Op[webhook.RotateRequest, webhook.CreateResponse]                   `op:"webhook.rotate"`
	Test       kit.Op[webhook.EndpointRequest, webhook.DeliveryView]                   `op:"webhook.test"`
	Deliveries kit.Op[webhook.DeliveriesRequest, licensing.List[webhook.DeliveryView]] `op:"webhook.deliveries"`
	Delivery   kit.Op[webhook.DeliveryRequest, webhook.DetailView]                     `op:"webhook.delivery"`
	Redeliver  kit.Op[webhook.DeliveryRequest, webhook.DeliveryView]                   `op:"webhook.redeliver"`
	Count      kit.Op[webhook.CountRequest, webhook.CountResponse]                     `op:"webhook.count"`
	Repeat     kit.Op[webhook.RepeatRequest, webhook.RepeatResponse]                   `op:"webhook.redeliver-many"`
}

func (p *pages) webhookPages() []site.Page {
	back := to("/admin/webhooks/{id}", "Endpoint")
	list := func(string) ui.Link { return ui.Link{Href: "/admin/webhooks", Name: "Webhooks"} }
	state := func(id, reason string) webhook.StateRequest { return webhook.StateRequest{ID: id, Reason: reason} }
	named := func(id, _ string) webhook.EndpointRequest { return webhook.EndpointRequest{ID: id} }
	out := []site.Page{get("webhooks", "/admin/webhooks", p.webhooks), get("webhook", "/admin/webhooks/{id}", p.webhook), get("delivery", "/admin/deliveries/{id}", p.delivery)}
	out = append(out, both("webhook_new", "/admin/webhooks/new", p.newWebhook)...)
	out = append(out, both("webhook_change", "/admin/webhooks/{id}/change", p.changeWebhook)...)
	out = append(out, both("webhook_redeliver", "/admin/webhooks/{id}/redeliver", p.repeat)...)
	out = append(out, both("webhook_rotate", "/admin/webhooks/{id}/rotate", p.rotateWebhook)...)
	return append(out, p.asked(
		action{name: "webhook_disable", path: "/admin/webhooks/{id}/disable", spec: p.hooks.Disable.Spec(), back: back,
			title: "Disable the endpoint", button: "Stop sending", done: "Nothing is sent to it any more.",
			what: "It does not hear of what happens meanwhile. What waits already is sent when you enable it again.",
			do:   plain(func() op[webhook.StateRequest, webhook.View] { return p.hooks.Disable }, state)},
		action{name: "webhook_enable", path: "/admin/webhooks/{id}/enable", spec: p.hooks.Enable.Spec(), calm: true, back: back,
			title: "Enable the endpoint", button: "Send again", done: "Events are sent to it again.",
			what: "What waited is sent first, as if the endpoint had never failed.",
			do:   plain(func() op[webhook.StateRequest, webhook.View] { return p.hooks.Enable }, state)},
		action{name: "webhook_remove", path: "/admin/webhooks/{id}/remove", spec: p.hooks.Remove.Spec(), back: list, silent: true,
			title: "Remove the endpoint", button: "Remove it for good", done: "The endpoint is removed.",
			what: "This cannot be undone. Its secret is forgotten and what waits for it is not sent; what was sent stays in the log for thirty days.",
			do:   plain(func() op[webhook.EndpointRequest, webhook.Removed] { return p.hooks.Remove }, named)},
		action{name: "webhook_test", path: "/admin/webhooks/{id}/test", spec: p.hooks.Test.Spec(), calm: true, back: back, silent: true,
			title: "Send a test event", button: "Send it", done: "A test event is on its way; look at it below in a moment.",
			what: "An event of the type webhook.test, whatever the endpoint wants, signed like any other.",
			do:   plain(func() op[webhook.EndpointRequest, webhook.DeliveryView] { return p.hooks.Test }, named)},
		action{name: "delivery_again", path: "/admin/deliveries/{id}/redeliver", spec: p.hooks.Redeliver.Spec(), calm: true, back: to("/admin/deliveries/{id}", "Delivery"), silent: true,
			title: "Send the event again", button: "Send it again", done: "The event is on its way again.",
			what: "Now, whatever became of it before. It has the webhook-id that it always had, so a receiver that took it already can tell.",
			do: plain(func() op[webhook.DeliveryRequest, webhook.DeliveryView] { return p.hooks.Redeliver }, func(id, _ string) webhook.DeliveryRequest {
				return webhook.DeliveryRequest{ID: id}
			})})...)
}

func deliveryStates() []ui.Option { return choices("Any state", "pending", "delivered", "failed") }

func (p *pages) webhooks(v *site.Visit) error {
	list, err := p.hooks.Endpoints.Call(v.Ctx(), webhook.ListRequest{Page: page(v, 25)})
	if err != nil {
		return err
	}
	return v.Show(webhooksPage(v.Frame("Webhooks"), list, next(v, list.Next), may(v, p.hooks.Create.Spec())))
}

// endpointView is what the page of an endpoint shows.
type endpointView struct {
	webhook.View
	Deliveries   licensing.List[webhook.DeliveryView]
	More         string
	Narrowed     bool
	Change, Test bool
	Repeat       bool
}

func (p *pages) webhook(v *site.Visit) error {
	e, err := p.hooks.Endpoint.Call(v.Ctx(), webhook.EndpointRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	view := endpointView{View: e, Narrowed: filtered(v), Change: may(v, p.hooks.Change.Spec()), Test: may(v, p.hooks.Test.Spec()), Repeat: may(v, p.hooks.Repeat.Spec())}
	view.Deliveries, err = p.hooks.Deliveries.Call(v.Ctx(), webhook.DeliveriesRequest{Endpoint: e.ID, State: webhook.State(pick(v, "state", deliveryStates())), Page: page(v, 25)})
	if err != nil {
		return err
	}
	view.More = next(v, view.Deliveries.Next)
	return v.Show(webhookPage(v.Frame(hostOf(e.URL), ui.Link{Href: "/admin/webhooks", Name: "Webhooks"}), v.Filter(), view))
}

// hostOf is the part of an endpoint's URL that names it.
func hostOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

func (p *pages) delivery(v *site.Visit) error {
	d, err := p.hooks.Delivery.Call(v.Ctx(), webhook.DeliveryRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	return v.Show(deliveryPage(v.Frame(d.Delivery.Type, to("/admin/webhooks/{id}", "Endpoint")(d.Delivery.Endpoint)), d, may(v, p.hooks.Redeliver.Spec())))
}

// eventChoices are the families of events and their types.
func (p *pages) eventChoices(v *site.Visit) ([]ui.Option, error) {
	types, err := p.hooks.Types.Call(v.Ctx(), webhook.TypesRequest{})
	var out []ui.Option
	for _, t := range types.Items {
		family, _, _ := strings.Cut(t.Name, ".")
		if all := family + ".*"; !slices.ContainsFunc(out, func(o ui.Option) bool { return o.Value == all }) {
			out = append(out, ui.Option{Value: all, Name: "All of these that there are, and those to come."})
		}
		out = append(out, ui.Option{Value: t.Name, Name: t.Summary})
	}
	return out, err
}

func (p *pages) newWebhook(v *site.Visit) error {
	if err := v.Ready(p.hooks.Create.Spec()); err != nil {
		return err
	}
	f, back := v.Form(), ui.Link{Href: "/admin/webhooks", Name: "Webhooks"}
	types, err := p.eventChoices(v)
	if err != nil {
		return err
	}
	show := func() templ.Component {
		return webhookFormPage(v.Frame("New endpoint", back), f, webhookForm{Title: "New endpoint", Button: "Make the endpoint", Types: types, New: true})
	}
	f.Default("env", "live")
	if !v.Posted() {
		return v.Show(show())
	}
	out, err := p.hooks.Create.Call(v.Ctx(), webhook.CreateRequest{URL: f.Text("url"), Description: f.Text("description"), Env: licensing.Env(f.Text("env")), Types: f.Values["type"]})
	if other := f.Refuse(err, map[string]string{"/types": "type"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(show())
	}
	return v.Render(http.StatusOK, oncePage(v.Frame("New endpoint", back), "New endpoint", "Your receiver verifies messages with this secret.", "Signing secret", out.Secret, to("/admin/webhooks/{id}", "Endpoint")(out.Endpoint.ID)))
}

// webhookForm is what the form of an endpoint says.
type webhookForm struct {
	Title, Button string
	Types         []ui.Option
	New           bool
}

func (p *pages) changeWebhook(v *site.Visit) error {
	if err := v.Ready(p.hooks.Change.Spec()); err != nil {
		return err
	}
	e, err := p.hooks.Endpoint.Call(v.Ctx(), webhook.EndpointRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	types, err := p.eventChoices(v)
	if err != nil {
		return err
	}
	f, back := v.Form(), to("/admin/webhooks/{id}", "Endpoint")(e.ID)
	show := func() templ.Component {
		return webhookFormPage(v.Frame("Change the endpoint", back), f, webhookForm{Title: "Change the endpoint", Button: "Save", Types: types})
	}
	f.Default("url", e.URL)
	f.Default("description", e.Description)
	f.Default("version", fmt.Sprint(e.Version))
	if !v.Posted() {
		f.Values["type"] = e.Types
		return v.Show(show())
	}
	_, err = p.hooks.Change.Call(v.Ctx(), webhook.ChangeRequest{ID: e.ID, Version: f.Int("version", 0), URL: f.Text("url"), Description: f.Text("description"), Types: f.Values["type"]})
	if other := f.Refuse(err, map[string]string{"/types": "type"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(show())
	}
	return v.Go(back.Href, "good", "The endpoint is changed.")
}

func (p *pages) rotateWebhook(v *site.Visit) error {
	if err := v.Ready(p.hooks.Rotate.Spec()); err != nil {
		return err
	}
	f, back := v.Form(), to("/admin/webhooks/{id}", "Endpoint")(v.Param("id"))
	f.Default("overlap", "86400")
	if !v.Posted() {
		return v.Show(rotatePage(v.Frame("Give the endpoint a new secret", back), f, back))
	}
	overlap := f.Int("overlap", 86400)
	out, err := p.hooks.Rotate.Call(v.Ctx(), webhook.RotateRequest{ID: v.Param("id"), Overlap: &overlap})
	if other := f.Refuse(err, map[string]string{"/overlap_seconds": "overlap"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(rotatePage(v.Frame("Give the endpoint a new secret", back), f, back))
	}
	return v.Render(http.StatusOK, oncePage(v.Frame("New secret", back), "New secret", "Until the time you chose is over, messages are signed with the old one too.", "Signing secret", out.Secret, back))
}
