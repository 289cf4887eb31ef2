package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/mintreu/mintreu/service/app"
)

type productCommand struct {
	Import  productImport  `cmd:"" help:"Create and change products, plans and prices from a CSV or JSON file."`
	List    productList    `cmd:"" help:"Show products."`
	Publish productPublish `cmd:"" help:"Put a product and its drafts of plans on sale."`
}

type productImport struct {
	output
	File   string `arg:"" help:"File to read, .csv or .json; - reads standard input."`
	Format string `help:"csv or json. Default: what the file's name ends with." enum:"csv,json," default:"" placeholder:"FORMAT"`
	DryRun bool   `help:"Do everything, report it, and keep nothing."`
}

// maxImportFile is a little more than the operation takes, so that the refusal is the operation's.
const maxImportFile = 2 << 20

// Run imports a file and reports row by row.
func (c *productImport) Run(ctx context.Context, cfg app.Config, s streams) error {
	format := c.Format
	if format == "" {
		format = strings.ToLower(strings.TrimPrefix(filepath.Ext(c.File), "."))
	}
	if format != "csv" && format != "json" {
		return fmt.Errorf("%s: its name tells no format; give --format csv or --format json", c.File)
	}
	text, err := readAll(s.in, c.File, maxImportFile)
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		var raw json.RawMessage
		if err := o.call(ctx, http.MethodPost, "/v1/catalog/import", map[string]any{"format": format, "data": text, "dry_run": c.DryRun}, &raw); err != nil {
			return err
		}
		var report importReport
		if err := json.Unmarshal(raw, &report); err != nil {
			return err
		}
		if c.JSON {
			err = c.value(s.out, raw)
		} else {
			err = report.print(s.out)
		}
		if report.Failed > 0 {
			return errors.Join(err, fmt.Errorf("%s with errors; nothing was imported", count(report.Failed, "row")))
		}
		if c.JSON || err != nil {
			return err
		}
		if c.DryRun {
			_, err = fmt.Fprintln(s.out, "\nA dry run: nothing was kept. Run it without --dry-run to import.")
			return err
		}
		_, err = fmt.Fprintln(s.out, "\nImported. New products and plans are drafts: put them on sale with \"mintreu product publish SLUG\".")
		return err
	})
}

// importReport is the answer of an import.
type importReport struct {
	Failed int `json:"failed"`
	Rows   []struct {
		Line    int    `json:"line"`
		Object  string `json:"object"`
		Outcome string `json:"outcome"`
		Errors  []struct {
			Name   string `json:"name"`
			Detail string `json:"detail"`
		} `json:"errors"`
	} `json:"rows"`
}

func (r importReport) print(w io.Writer) error {
	for _, row := range r.Rows {
		if _, err := fmt.Fprintf(w, "line %-4d %-10s %s\n", row.Line, row.Outcome, word(row.Object)); err != nil {
			return err
		}
		for _, e := range row.Errors {
			_, _ = fmt.Fprintf(w, "          %s: %s\n", word(e.Name), word(e.Detail))
		}
	}
	return nil
}

// count is "1 row", "2 rows".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// readAll reads a file, or standard input for "-", up to a size.
func readAll(in io.Reader, path string, most int64) (string, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(text)) > most {
		return "", fmt.Errorf("%s is longer than %d KiB", path, most>>10)
	}
	return string(text), err
}

type productList struct {
	output
	State string `help:"Only those that are draft, active, sunset or retired." enum:"draft,active,sunset,retired," default:"" placeholder:"STATE"`
}

// Run shows products.
func (c *productList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/products"+filter("state", c.State), "There are no such products. Import some: mintreu product import FILE", "id", "slug", "name", "state", "purpose", "created_at")
}

// filter is a query of the pairs whose value is not empty.
func filter(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

type productPublish struct {
	output
	Product string `arg:"" help:"Slug or id of the product."`
}

// Run publishes the drafts of plans, then the product.
func (c *productPublish) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		id, err := o.product(ctx, c.Product)
		if err != nil {
			return err
		}
		var p struct {
			State string `json:"state"`
			Plans []struct{ ID, Code, State string }
		}
		if err := o.call(ctx, http.MethodGet, "/v1/products/"+url.PathEscape(id), nil, &p); err != nil {
			return err
		}
		for _, plan := range p.Plans {
			if plan.State == "draft" {
				if err := o.call(ctx, http.MethodPost, "/v1/plans/"+url.PathEscape(plan.ID)+"/publish", nil, nil); err != nil {
					return fmt.Errorf("plan %s: %w", plan.Code, err)
				}
			}
		}
		if p.State == "draft" {
			if err := o.call(ctx, http.MethodPost, "/v1/products/"+url.PathEscape(id)+"/publish", nil, nil); err != nil {
				return err
			}
		}
		var raw json.RawMessage
		if err := o.call(ctx, http.MethodGet, "/v1/products/"+url.PathEscape(id), nil, &raw); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, raw)
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s is %s, with %s.\n", c.Product, p.State, count(len(p.Plans), "plan"))
		return err
	})
}

// product returns the id of a product that is named by slug or id.
func (o *operator) product(ctx context.Context, name string) (string, error) {
	if strings.HasPrefix(name, "prod_") {
		return name, nil
	}
	rows, err := o.all(ctx, "/v1/products"+filter("slug", name))
	if err != nil {
		return "", err
	}
	for _, row := range rows {
		if row["slug"] == name {
			return cell(row["id"]), nil
		}
	}
	return "", fmt.Errorf("there is no product %q; \"mintreu product list\" shows them", name)
}
