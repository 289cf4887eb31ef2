package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

type switchCommand struct {
	List switchList `cmd:"" help:"Show all switches."`
	Off  switchOff  `cmd:"" help:"Stop what a switch names, everywhere within two seconds."`
	On   switchOn   `cmd:"" help:"Let it go on."`
}

type switchList struct{ output }

// Run shows all switches.
func (c *switchList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var out struct {
			Switches []map[string]any `json:"switches"`
		}
		if err := o.call(ctx, http.MethodGet, "/v1/switches", nil, &out); err != nil {
			return err
		}
		if !c.JSON {
			for _, row := range out.Switches {
				row["state"] = "on"
				if off, _ := row["off"].(bool); off {
					row["state"] = "OFF"
				}
			}
		}
		return c.list(s.out, out.Switches, "There are no switches.", "switch", "product_id", "state", "reason", "until", "actor")
	})
}

type switchFlip struct {
	output
	Name    string `arg:"" help:"payments, downloads, licensing, referrals, ai, support, signup, api or ads." enum:"payments,downloads,licensing,referrals,ai,support,signup,api,ads"`
	Product string `help:"Only for this product, by slug or id; without it the switch is for all." placeholder:"PRODUCT"`
	Reason  string `required:"" help:"Why, for the audit trail and for those on duty." placeholder:"TEXT"`
}

type switchOff struct {
	switchFlip
	Until *time.Time `help:"When it comes on by itself, as 2027-03-01 or 2027-03-01T12:00:00Z." placeholder:"WHEN"`
}

// Run switches off.
func (c *switchOff) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.flip(ctx, cfg, s, true, c.Until)
}

type switchOn struct{ switchFlip }

// Run switches on.
func (c *switchOn) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.flip(ctx, cfg, s, false, nil)
}

func (c *switchFlip) flip(ctx context.Context, cfg app.Config, s streams, off bool, until *time.Time) error {
	return with(ctx, cfg, func(o *operator) error {
		in := map[string]any{"off": off, "reason": c.Reason}
		if c.Product != "" {
			id, err := o.product(ctx, c.Product)
			if err != nil {
				return err
			}
			in["product_id"] = id
		}
		if until != nil {
			in["until"] = until
		}
		var raw json.RawMessage
		if err := o.call(ctx, http.MethodPut, "/v1/switches/"+url.PathEscape(c.Name), in, &raw); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, raw)
		}
		state := "on"
		if off {
			state = "off"
		}
		_, err := fmt.Fprintf(s.out, "%s is %s, in force everywhere within two seconds.\n", c.Name, state)
		return err
	})
}
