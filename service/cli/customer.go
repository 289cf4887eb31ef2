package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/mintreu/mintreu/service/app"
)

type customerCommand struct {
	List    customerList    `cmd:"" help:"Find customers."`
	Show    customerShow    `cmd:"" help:"Show a customer."`
	Disable customerDisable `cmd:"" help:"Keep a customer from signing in."`
	Enable  customerEnable  `cmd:"" help:"Let a disabled customer sign in again."`
}

type customerList struct {
	output
	Query string `arg:"" optional:"" help:"Start of the e-mail address or of the name, or the id. Default: everybody."`
}

// Run finds customers.
func (c *customerList) Run(ctx context.Context, cfg app.Config, s streams) error {
	path := "/v1/customers"
	if c.Query != "" {
		path += "?" + url.Values{"q": {c.Query}}.Encode()
	}
	return c.listed(ctx, cfg, s, path, "There are no such customers.", "id", "email", "name", "role", "confirmed_at", "disabled_at", "created_at")
}

type customerShow struct {
	output
	ID string `arg:"" help:"Id of the customer, as \"mintreu customer list\" shows it."`
}

// Run shows one customer.
func (c *customerShow) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var customer map[string]any
		if err := o.call(ctx, http.MethodGet, "/v1/customers/"+url.PathEscape(c.ID), nil, &customer); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, customer)
		}
		return c.list(s.out, []map[string]any{customer}, "", "id", "email", "name", "role", "totp", "confirmed_at", "disabled_at", "created_at")
	})
}

type customerDisable struct {
	output
	consent
	ID     string `arg:"" help:"Id of the customer."`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run keeps a customer out.
func (c *customerDisable) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Keep "+word(c.ID)+" from signing in? Every session ends; licenses go on."); err != nil {
		return err
	}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/customers/" + url.PathEscape(c.ID) + "/disable", map[string]any{"reason": c.Reason}}, func(a map[string]any) string {
		return cell(a["email"]) + " is disabled."
	})
}

type customerEnable struct {
	output
	ID     string `arg:"" help:"Id of the customer."`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run lets a customer in again.
func (c *customerEnable) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/customers/" + url.PathEscape(c.ID) + "/enable", map[string]any{"reason": c.Reason}}, func(a map[string]any) string {
		return cell(a["email"]) + " may sign in again."
	})
}
