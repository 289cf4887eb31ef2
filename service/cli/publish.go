package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/mintreu/mintreu/service/app"
)

// findProduct returns the id of the product with a slug.
func (o *operator) findProduct(ctx context.Context, slug string) (string, error) {
	rows, err := o.all(ctx, "/v1/products")
	if err != nil {
		return "", err
	}
	for _, row := range rows {
		if row["slug"] == slug || row["id"] == slug {
			return cell(row["id"]), nil
		}
	}
	return "", fmt.Errorf("there is no product %q; \"mintreu product list\" shows all", slug)
}

type productPublish struct {
	Slug string `arg:"" help:"Slug of the product."`
}

// Run offers a product for sale: its plans that are drafts first, then the product, if it is one.
func (c *productPublish) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		id, err := o.findProduct(ctx, c.Slug)
		if err != nil {
			return err
		}
		var product struct {
			State string `json:"state"`
			Plans []struct {
				ID    string `json:"id"`
				Code  string `json:"code"`
				State string `json:"state"`
			} `json:"plans"`
		}
		if err := o.call(ctx, http.MethodGet, "/v1/products/"+url.PathEscape(id), nil, &product); err != nil {
			return err
		}
		for _, p := range product.Plans {
			if p.State != "draft" {
				continue
			}
			if err := o.call(ctx, http.MethodPost, "/v1/plans/"+url.PathEscape(p.ID)+"/publish", nil, nil); err != nil {
				return fmt.Errorf("plan %s: %w", p.Code, err)
			}
			_, _ = fmt.Fprintf(s.out, "plan %s is for sale\n", p.Code)
		}
		if product.State == "draft" {
			if err := o.call(ctx, http.MethodPost, "/v1/products/"+url.PathEscape(id)+"/publish", nil, nil); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintf(s.out, "%s is published.\n", c.Slug)
		return err
	})
}

type policyCommand struct {
	Create policyCreate `cmd:"" help:"Make a license policy of a product from a JSON file."`
	List   policyList   `cmd:"" help:"Show license policies."`
}

type policyCreate struct {
	Product string `arg:"" help:"Slug of the product."`
	File    string `arg:"" help:"JSON file with code, name and terms; - reads standard input."`
}

// Run makes a policy. Terms that the file leaves out take their defaults.
func (c *policyCreate) Run(ctx context.Context, cfg app.Config, s streams) error {
	in := s.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInspect))
	if err != nil {
		return err
	}
	var policy map[string]json.RawMessage
	if err := json.Unmarshal(text, &policy); err != nil {
		return fmt.Errorf("%s is not a JSON object: %w", c.File, err)
	}
	return with(ctx, cfg, func(o *operator) error {
		id, err := o.findProduct(ctx, c.Product)
		if err != nil {
			return err
		}
		policy["product_id"] = json.RawMessage(`"` + id + `"`)
		var out map[string]any
		if err := o.call(ctx, http.MethodPost, "/v1/policies", policy, &out); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "Policy %s of %s made.\n", cell(out["code"]), c.Product)
		return err
	})
}

type policyList struct{ output }

// Run shows policies.
func (c *policyList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return listed(ctx, cfg, s, c.output, "/v1/policies", "There are no policies; make one: mintreu policy create PRODUCT FILE", "id", "product_id", "code", "name", "version")
}
