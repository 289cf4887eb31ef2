package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/mintreu/mintreu/service/app"
)

type apikeyImport struct {
	output
	File     string `arg:"" help:"File with hashes of keys; - reads standard input."`
	Product  string `required:"" help:"Product that the keys open, by slug or id." placeholder:"PRODUCT"`
	From     string `help:"Name of the system that they come from; a reference is one key of it." default:"import" placeholder:"NAME"`
	Plan     string `help:"Code of the plan of keys that name none." placeholder:"CODE"`
	Env      string `help:"Environment of keys that name none, live or test." enum:"live,test" default:"live" placeholder:"ENV"`
	Owner    string `help:"Customer or organisation that gets those that name nobody, by id." placeholder:"ID"`
	Email    string `help:"Or the customer's e-mail address; whoever has no account becomes a customer." placeholder:"ADDRESS"`
	Format   string `help:"csv or json. Default: what the file's name ends with." enum:"csv,json," default:"" placeholder:"FORMAT"`
	DryRun   bool   `help:"Check every row, report it, and keep nothing."`
	Reason   string `help:"Why, for the audit trail." default:"import" placeholder:"TEXT"`
	Detached bool   `help:"Do not wait until it is done."`
}

// Run checks a file row by row and imports it.
func (c *apikeyImport) Run(ctx context.Context, cfg app.Config, s streams) error {
	format := c.Format
	if format == "" {
		format = strings.ToLower(strings.TrimPrefix(filepath.Ext(c.File), "."))
	}
	if format != "csv" && format != "json" {
		return fmt.Errorf("%s: its name tells no format; give --format csv or --format json", c.File)
	}
	text, err := readAll(s.in, c.File, maxLicenseFile)
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		product, err := o.product(ctx, c.Product)
		if err != nil {
			return err
		}
		in := map[string]any{"product": product, "source": c.From, "env": c.Env, "format": format, "data": text, "reason": c.Reason, "dry_run": true}
		for name, value := range map[string]string{"plan": c.Plan, "owner": c.Owner, "email": c.Email} {
			if value != "" {
				in[name] = value
			}
		}
		var report licenseReport
		if err := o.call(ctx, http.MethodPost, "/v1/keys/import", in, &report); err != nil {
			return err
		}
		if c.DryRun && c.JSON {
			err = c.value(s.out, report)
		} else if c.DryRun || report.Failed > 0 {
			err = report.print(s.out)
		}
		if report.Failed > 0 {
			return errors.Join(err, fmt.Errorf("%s with problems; nothing was imported", count(report.Failed, "key")))
		}
		if c.DryRun || err != nil {
			return err
		}
		in["dry_run"] = false
		_, err = c.started(ctx, o, s, call{http.MethodPost, "/v1/keys/import", in}, c.Detached)
		return err
	})
}
