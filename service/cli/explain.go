package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/mintreu/mintreu/licensing/explain"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/app"
)

type licenseExplain struct {
	output
	ID      string `arg:"" help:"Id of the license."`
	Version string `help:"Version of the product that asks." placeholder:"VERSION"`
	Feature string `help:"Feature that is wanted." placeholder:"CODE"`
	N       int64  `help:"How much of the feature is wanted." placeholder:"N"`
}

// Run says what a product decides on a license where a device holds a seat, as the console does, and everything that was found.
func (c *licenseExplain) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var view license.View
		if err := o.call(ctx, http.MethodGet, "/v1/licenses/"+url.PathEscape(c.ID), nil, &view); err != nil {
			return err
		}
		in := map[string]any{"license": c.ID, "product": view.Product, "env": view.Env}
		for name, value := range map[string]string{"version": c.Version, "entitlement": c.Feature} {
			if value != "" {
				in[name] = value
			}
		}
		if c.N != 0 {
			in["n"] = c.N
		}
		var out sdk.ValidateResponse
		if err := o.call(ctx, http.MethodPost, sdk.PathValidate, in, &out); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, out.Decision)
		}
		d, verdict := out.Decision, "refused"
		if d.Allowed {
			verdict = "allowed"
		}
		if _, err := fmt.Fprintf(s.out, "%s, %s: %s\n", verdict, d.Code, d.Explanation); err != nil {
			return err
		}
		rows := make([]map[string]any, len(d.Findings))
		for i, f := range d.Findings {
			rows[i] = map[string]any{"code": f.Code, "effect": f.Effect, "detail": f.Detail, "do": explain.Code(f.Code, d.Allowed, explain.Of(&view)).ForStaff().Do}
		}
		return c.list(s.out, rows, "Nothing was found that denies or warns.", "code", "effect", "detail", "do")
	})
}
