package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/service/app"
)

type accessCommand struct {
	Explain accessExplain `cmd:"" help:"Say why somebody has access or has not: payment, order, grant, switch, limit."`
}

type accessExplain struct {
	output
	Who     string `arg:"" help:"Whatever is at hand: an e-mail address, the id of a license, key, order, customer or organisation, or the last characters of a key."`
	Product string `help:"Only what is for this product, by slug or id." placeholder:"PRODUCT"`
}

// Run explains, each step in a row.
func (c *accessExplain) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var out access.Explanation
		if err := o.call(ctx, http.MethodGet, "/v1/access/explain"+filter("q", access.Handy(c.Who), "product", c.Product), nil, &out); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, out)
		}
		verdict := "no access"
		if out.Allowed {
			verdict = "access"
		}
		if _, err := fmt.Fprintf(s.out, "%s: %s\n", verdict, printable(strings.TrimSpace(out.Text+" "+out.Do), false)); err != nil {
			return err
		}
		for i := range out.Chains {
			if err := c.chain(s, &out.Chains[i]); err != nil {
				return err
			}
		}
		if out.More {
			_, _ = fmt.Fprintln(s.err, "There is more; name a license, key, order or --product.")
		}
		return nil
	})
}

// chain prints a chain as a table.
func (c *accessExplain) chain(s streams, chain *access.Chain) error {
	if _, err := fmt.Fprintf(s.out, "\n%s  %s  %s  %s\n", word(chain.ProductName), word(chain.Plan), word(chain.ID), strings.ToUpper(word(chain.Title))); err != nil {
		return err
	}
	rows := make([]map[string]any, 0, len(chain.Steps))
	for _, step := range chain.Steps {
		rows = append(rows, map[string]any{"step": step.Step, "state": strings.ReplaceAll(string(step.State), "_", " "), "what": step.Text, "do": step.Do})
		for _, also := range step.Also {
			rows = append(rows, map[string]any{"step": "", "state": "", "what": also.Word + ": " + also.Text, "do": also.Do})
		}
	}
	return c.list(s.out, rows, "", "step", "state", "what", "do")
}

type licenseHistory struct {
	output
	ID   string `arg:"" help:"Id of the license."`
	Most int    `help:"So many events at most, the newest." default:"100" placeholder:"N"`
}

// Run tells what happened to a license, the newest first.
func (c *licenseHistory) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		rows, err := o.some(ctx, "/v1/licenses/"+url.PathEscape(c.ID)+"/timeline", c.Most)
		if err != nil {
			return err
		}
		return c.list(s.out, rows, "Nothing happened yet.", "at", "title", "by", "text", "reason")
	})
}
