package cli

import (
	"bufio"
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
	Import  productImport  `cmd:"" help:"Create and update products, plans and prices from a CSV or JSON file."`
	Publish productPublish `cmd:"" help:"Offer a product and its plans for sale."`
	List    productList    `cmd:"" help:"Show products."`
}

type productImport struct {
	output
	File   string `arg:"" help:"File to read; its ending says which format." type:"existingfile"`
	DryRun bool   `help:"Do everything, report it, and keep nothing."`
}

// maxImportFile is a little more than the operation takes, so that the refusal is the operation's.
const maxImportFile = 2 << 20

// Run imports a file and reports row by row.
func (c *productImport) Run(ctx context.Context, cfg app.Config, s streams) error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxImportFile))
	if err != nil {
		return err
	}
	format := strings.TrimPrefix(filepath.Ext(c.File), ".")
	return with(ctx, cfg, func(o *operator) error {
		var raw json.RawMessage
		if err := o.call(ctx, http.MethodPost, "/v1/catalog/import", map[string]any{"format": format, "data": string(text), "dry_run": c.DryRun}, &raw); err != nil {
			return err
		}
		var report struct {
			Committed bool `json:"committed"`
			Failed    int  `json:"failed"`
			Rows      []struct {
				Line    int    `json:"line"`
				Object  string `json:"object"`
				Outcome string `json:"outcome"`
				Errors  []struct {
					Name   string `json:"name"`
					Detail string `json:"detail"`
				} `json:"errors"`
			} `json:"rows"`
		}
		if err := json.Unmarshal(raw, &report); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, raw)
		}
		for _, r := range report.Rows {
			_, _ = fmt.Fprintf(s.out, "line %-4d %-10s %s\n", r.Line, r.Outcome, r.Object)
			for _, e := range r.Errors {
				_, _ = fmt.Fprintf(s.out, "          %s: %s\n", e.Name, e.Detail)
			}
		}
		switch {
		case report.Failed > 0:
			return fmt.Errorf("%d rows have errors; nothing was imported", report.Failed)
		case c.DryRun:
			_, err = fmt.Fprintln(s.out, "A dry run: nothing was kept. Run it without --dry-run to import.")
		default:
			_, err = fmt.Fprintln(s.out, "Imported. New products and plans are drafts until they are published: mintreu product publish SLUG")
		}
		return err
	})
}

type productList struct{ output }

// Run shows products.
func (c *productList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return listed(ctx, cfg, s, c.output, "/v1/products", "There are no products; import some: mintreu product import FILE", "id", "slug", "name", "state", "purpose")
}

// listed prints every page of a list operation.
func listed(ctx context.Context, cfg app.Config, s streams, o output, path, empty string, columns ...string) error {
	return with(ctx, cfg, func(op *operator) error {
		rows, err := op.all(ctx, path)
		if err != nil {
			return err
		}
		return o.list(s.out, rows, empty, columns...)
	})
}

type orderCommand struct {
	List   orderList   `cmd:"" help:"Show orders, newest first."`
	Fulfil orderFulfil `cmd:"" help:"Drive an order again: ask the payment provider and give what is due. Safe at any time."`
}

type orderList struct {
	output
	State string `help:"Only orders of this state: pending, awaiting_funds, paid, fulfilled, refunded, closed, parked."`
}

// Run shows orders.
func (c *orderList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return listed(ctx, cfg, s, c.output, "/v1/orders"+filter("state", c.State), "There are no such orders.", "id", "state", "total", "email", "reason", "created_at")
}

func filter(name, value string) string {
	if value == "" {
		return ""
	}
	return "?" + name + "=" + url.QueryEscape(value)
}

type orderFulfil struct {
	ID string `arg:"" help:"Id of the order."`
}

// Run drives an order.
func (c *orderFulfil) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var out map[string]any
		if err := o.call(ctx, http.MethodPost, "/v1/checkouts/"+url.PathEscape(c.ID)+"/redrive", nil, &out); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s is %s. %s\n", c.ID, cell(out["state"]), cell(out["next"]))
		return err
	})
}

type eventCommand struct {
	List  eventList  `cmd:"" help:"Show payment events."`
	Retry eventRetry `cmd:"" help:"Put a parked event back and apply it."`
}

type eventList struct {
	output
	State string `help:"Only events of this state: pending, done, ignored, parked."`
}

// Run shows events.
func (c *eventList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return listed(ctx, cfg, s, c.output, "/v1/payment-events"+filter("state", c.State), "There are no such events.", "id", "type", "state", "order", "reason", "received_at")
}

type eventRetry struct {
	ID string `arg:"" help:"Id of the event."`
}

// Run retries an event.
func (c *eventRetry) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var out map[string]any
		if err := o.call(ctx, http.MethodPost, "/v1/payment-events/"+url.PathEscape(c.ID)+"/retry", nil, &out); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s is %s. %s\n", c.ID, cell(out["state"]), cell(out["reason"]))
		return err
	})
}

type licenseCommand struct {
	Inspect   inspectCommand   `cmd:"" help:"Read a license file or token, and verify it against your roots. Needs no network."`
	List      licenseList      `cmd:"" help:"Show licenses."`
	Suspend   licenseSuspend   `cmd:"" help:"Suspend a license until it is reinstated."`
	Reinstate licenseReinstate `cmd:"" help:"Reinstate a suspended license."`
	Revoke    licenseRevoke    `cmd:"" help:"Revoke a license for good."`
}

type licenseList struct{ output }

// Run shows licenses.
func (c *licenseList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return listed(ctx, cfg, s, c.output, "/v1/licenses", "There are no licenses yet.", "id", "product", "plan", "state", "environment", "owner", "created_at")
}

// licenseChange is what the commands that change a license's state share.
type licenseChange struct {
	ID     string `arg:"" help:"Id of the license."`
	Reason string `required:"" help:"Why, for the audit trail."`
}

func (c *licenseChange) change(ctx context.Context, cfg app.Config, s streams, verb string) error {
	return with(ctx, cfg, func(o *operator) error {
		var out map[string]any
		if err := o.call(ctx, http.MethodPost, "/v1/licenses/"+url.PathEscape(c.ID)+"/"+verb, map[string]any{"reason": c.Reason}, &out); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s is %s.\n", c.ID, cell(out["state"]))
		return err
	})
}

type licenseSuspend struct{ licenseChange }

// Run suspends.
func (c *licenseSuspend) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.change(ctx, cfg, s, "suspend")
}

type licenseReinstate struct{ licenseChange }

// Run reinstates.
func (c *licenseReinstate) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.change(ctx, cfg, s, "reinstate")
}

type licenseRevoke struct {
	licenseChange
	Yes bool `help:"Do not ask."`
}

// Run revokes, which is final.
func (c *licenseRevoke) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := confirm(s, c.Yes, "Revoke "+c.ID+" for good? Its seats are released and it can never be reinstated."); err != nil {
		return err
	}
	return c.change(ctx, cfg, s, "revoke")
}

type keyringCommand struct {
	List   keyringList   `cmd:"" help:"Show signing keys."`
	Roots  keyringRoots  `cmd:"" help:"Print the root public keys to pin in your product."`
	Rotate keyringRotate `cmd:"" help:"Let the next standby key sign from now on; the old one goes on verifying."`
}

type keyringList struct{ output }

// Run shows the signing keys.
func (c *keyringList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var out struct {
			Keys []map[string]any `json:"keys"`
		}
		if err := o.call(ctx, http.MethodGet, "/v1/signing-keys", nil, &out); err != nil {
			return err
		}
		return c.list(s.out, out.Keys, "There are no keys.", "kid", "role", "state", "not_before", "created_at")
	})
}

type keyringRoots struct{}

// Run prints a root a line.
func (*keyringRoots) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var out struct {
			Roots []string `json:"roots"`
		}
		if err := o.call(ctx, http.MethodGet, "/v1/signing-keys", nil, &out); err != nil {
			return err
		}
		_, err := fmt.Fprintln(s.out, strings.Join(out.Roots, "\n"))
		return err
	})
}

type keyringRotate struct {
	Reason string `required:"" help:"Why, for the audit trail."`
}

// Run rotates.
func (c *keyringRotate) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var out map[string]any
		if err := o.call(ctx, http.MethodPost, "/v1/signing-keys/rotate", map[string]any{"reason": c.Reason}, &out); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s signs from now on.\n", cell(out["kid"]))
		return err
	})
}

// readLine reads the first line of a file, or of standard input for "-".
func readLine(in io.Reader, path string) (string, error) {
	if path != "-" && filepath.Base(path) != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}
