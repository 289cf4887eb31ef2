package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/mintreu/mintreu/service/app"
)

type policyCommand struct {
	Create policyCreate `cmd:"" help:"Make a license policy of a product from a JSON file."`
	Apply  policyApply  `cmd:"" help:"Make policies as a YAML file says, after showing what changes."`
	Export policyExport `cmd:"" help:"Write policies as a YAML file that applies as unchanged."`
	List   policyList   `cmd:"" help:"Show license policies."`
}

type policyCreate struct {
	output
	Product string `arg:"" help:"Slug or id of the product."`
	File    string `arg:"" help:"JSON file with code, name and terms; - reads standard input."`
}

// Run makes a policy. Terms that the file leaves out take their defaults.
func (c *policyCreate) Run(ctx context.Context, cfg app.Config, s streams) error {
	text, err := readAll(s.in, c.File, maxInspect)
	if err != nil {
		return err
	}
	var policy map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return fmt.Errorf("%s is not a JSON object: %w", c.File, err)
	}
	return with(ctx, cfg, func(o *operator) error {
		id, err := o.product(ctx, c.Product)
		if err != nil {
			return err
		}
		if policy["product_id"], err = json.Marshal(id); err != nil {
			return err
		}
		var raw json.RawMessage
		if err := o.call(ctx, http.MethodPost, "/v1/policies", policy, &raw); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, raw)
		}
		var made struct{ Code string }
		if err := json.Unmarshal(raw, &made); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "Policy %s of %s made.\n", word(made.Code), c.Product)
		return err
	})
}

type policyList struct{ output }

// Run shows policies.
func (c *policyList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/policies", "There are no policies; make one: mintreu policy create PRODUCT FILE", "id", "product_id", "code", "name", "version")
}
