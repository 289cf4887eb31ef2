package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/mintreu/mintreu/service/app"
)

type orderCommand struct {
	List    orderList    `cmd:"" help:"Show orders, newest first."`
	Fulfil  orderFulfil  `cmd:"" help:"Drive an order again: ask the payment provider and give what is due."`
	Resolve orderResolve `cmd:"" help:"Say how a parked order was dealt with, which ends its wait for a person."`
}

type orderList struct {
	output
	State string `help:"Only those that are pending, awaiting_funds, paid, fulfilled, refunded, closed or parked." enum:"pending,awaiting_funds,paid,fulfilled,refunded,closed,parked," default:"" placeholder:"STATE"`
	Email string `help:"Only those of this buyer." placeholder:"ADDRESS"`
}

// Run shows orders.
func (c *orderList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/orders"+filter("state", c.State, "email", c.Email), "There are no such orders.", "id", "state", "total", "email", "reason", "created_at")
}

type orderFulfil struct {
	output
	ID string `arg:"" help:"Id of the order."`
}

// Run drives an order.
func (c *orderFulfil) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/checkouts/" + url.PathEscape(c.ID) + "/redrive", nil}, func(a map[string]any) string {
		return fmt.Sprintf("%s is %s. %s", c.ID, cell(a["state"]), optional(a["next"]))
	})
}

type orderResolve struct {
	output
	ID     string `arg:"" help:"Id of the order."`
	Reason string `required:"" help:"What was done about it, for the audit trail and the order's page, where its buyer may read it." placeholder:"TEXT"`
}

// Run ends the wait of an order.
func (c *orderResolve) Run(ctx context.Context, cfg app.Config, s streams) error {
	in := map[string]any{"reason": c.Reason}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/orders/" + url.PathEscape(c.ID) + "/resolve", in}, func(a map[string]any) string {
		return fmt.Sprintf("%s is %s: %s", c.ID, cell(a["state"]), cell(a["reason"]))
	})
}

// optional is the cell of what may be absent.
func optional(v any) string {
	if text := cell(v); text != "-" {
		return text
	}
	return ""
}

type eventCommand struct {
	List  eventList  `cmd:"" help:"Show payment events, newest first."`
	Retry eventRetry `cmd:"" help:"Put a parked event back and apply it."`
}

type eventList struct {
	output
	State string `help:"Only those that are pending, done, ignored or parked." enum:"pending,done,ignored,parked," default:"" placeholder:"STATE"`
}

// Run shows events.
func (c *eventList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/payment-events"+filter("state", c.State), "There are no such events.", "id", "type", "state", "order", "reason", "received_at")
}

type eventRetry struct {
	output
	ID     string `arg:"" help:"Id of the event."`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run retries an event.
func (c *eventRetry) Run(ctx context.Context, cfg app.Config, s streams) error {
	in := map[string]any{"reason": c.Reason}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/payment-events/" + url.PathEscape(c.ID) + "/retry", in}, func(a map[string]any) string {
		return fmt.Sprintf("%s is %s. %s", c.ID, cell(a["state"]), optional(a["reason"]))
	})
}
