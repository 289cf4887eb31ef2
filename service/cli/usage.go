package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/app"
)

type usageCommand struct {
	Overview usageOverview `cmd:"" help:"Say what a customer or organisation uses at all, in the last 30 days, and what is left of quotas."`
	Query    usageQuery    `cmd:"" help:"Say what was counted, by window of time."`
	Explain  usageExplain  `cmd:"" help:"Say how it came to be: opening balance, batches, corrections, closing balance."`
	Correct  usageCorrect  `cmd:"" help:"Take back what was counted wrongly, as a negative batch with a reason."`
}

type usageOverview struct {
	output
	Owner string `arg:"" help:"Customer or organisation, by id, or the customer's e-mail address."`
}

// Run prints a line for each meter of each license and API key.
func (c *usageOverview) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		owner, err := o.owner(ctx, c.Owner)
		if err != nil {
			return err
		}
		list, err := o.all(ctx, "/v1/usage/overview"+filter("owner", owner))
		if err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, list)
		}
		var rows []map[string]any
		for _, of := range list {
			meters, _ := of["meters"].([]any)
			for _, m := range meters {
				row, _ := m.(map[string]any)
				row["of"], row["product_name"] = of["id"], of["product_name"]
				if q, ok := row["quota"].(map[string]any); ok {
					row["used"], row["quota"], row["left"], row["ends"] = q["used"], q["quota"], q["left"], q["ends"]
				}
				rows = append(rows, row)
			}
		}
		return c.list(s.out, rows, "Nothing was counted, and there is no quota.", "of", "product_name", "meter", "value", "unit", "used", "quota", "left", "ends")
	})
}

// usageOf is whose usage, of which meter and when.
type usageOf struct {
	Of    string `arg:"" help:"Id of the license or API key."`
	Meter string `arg:"" help:"Code of the meter."`
	From  string `required:"" help:"The first day, or an instant." placeholder:"DATE"`
	To    string `required:"" help:"The day after the last one, or an instant." placeholder:"DATE"`
}

// query is u as parameters of an operation.
func (u *usageOf) query() ([]string, error) {
	out := []string{"carrier", u.Of, "meter", u.Meter}
	for _, p := range []struct{ name, text string }{{"from", u.From}, {"to", u.To}} {
		at, err := instant(p.text)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", p.name, err)
		}
		out = append(out, p.name, at.Format(time.RFC3339))
	}
	return out, nil
}

type usageQuery struct {
	output
	usageOf
	Window  string `help:"Length of the windows: quarter (of an hour), hour, day or month." enum:"quarter,hour,day,month" default:"day" placeholder:"WINDOW"`
	Zone    string `help:"Time zone of the windows." default:"UTC" placeholder:"ZONE"`
	Subject string `help:"Only of this subject." placeholder:"CODE"`
	Group   string `help:"Only of this group." placeholder:"CODE"`
}

// Run prints the windows in which something happened.
func (c *usageQuery) Run(ctx context.Context, cfg app.Config, s streams) error {
	params, err := c.query()
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		var out usage.QueryResponse
		if err := o.call(ctx, http.MethodGet, "/v1/usage"+filter(append(params, "window", c.Window, "zone", c.Zone, "subject", c.Subject, "group", c.Group)...), nil, &out); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, out)
		}
		zone, ok := licensing.Zone(out.Zone)
		if !ok {
			return fmt.Errorf("the answer names a zone that is not known here: %q", out.Zone)
		}
		rows := make([]map[string]any, len(out.Windows))
		for i, w := range out.Windows {
			rows[i] = map[string]any{"starts": w.Starts.In(zone).Format("2006-01-02 15:04"), "value": w.Value, "events": w.Events, "sum": w.Sum, "max": w.Max, "late": w.Late}
		}
		return c.list(s.out, rows, "Nothing was counted.", "starts", "value", "events", "sum", "max", "late")
	})
}

type usageExplain struct {
	output
	usageOf
}

// Run prints the account.
func (c *usageExplain) Run(ctx context.Context, cfg app.Config, s streams) error {
	params, err := c.query()
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		var out usage.ExplainResponse
		if err := o.call(ctx, http.MethodGet, "/v1/usage/explain"+filter(params...), nil, &out); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, out)
		}
		rows := []map[string]any{{"day": "opening", "events": out.Opening.Events, "sum": out.Opening.Sum}}
		for _, b := range out.Batches {
			row := map[string]any{"day": b.Day.Format(time.DateOnly), "for": b.Month.Format("2006-01"), "source": b.Source, "events": b.Events, "sum": b.Sum, "late": b.Late}
			if b.First > 0 {
				row["batches"] = fmt.Sprintf("%d-%d", b.First, b.Last)
			}
			rows = append(rows, row)
		}
		for _, x := range out.Corrections {
			rows = append(rows, map[string]any{"day": x.At.Format(time.DateOnly), "for": x.Starts.Format("2006-01"), "source": x.ID, "events": x.Events, "sum": x.Sum, "reason": x.Reason})
		}
		rows = append(rows, map[string]any{"day": "closing", "events": out.Closing.Events, "sum": out.Closing.Sum})
		return c.list(s.out, rows, "", "day", "for", "source", "batches", "events", "sum", "late", "reason")
	})
}

type usageCorrect struct {
	output
	Of      string `arg:"" help:"Id of the license or API key."`
	Meter   string `arg:"" help:"Code of the meter."`
	At      string `required:"" help:"An instant in the quarter of an hour that it was counted in." placeholder:"INSTANT"`
	Events  int64  `help:"How many events to take back." placeholder:"N"`
	Sum     int64  `help:"How much of their sum to take back." placeholder:"N"`
	Subject string `help:"The subject it was counted for." placeholder:"CODE"`
	Group   string `help:"The group it was counted for." placeholder:"CODE"`
	Reason  string `required:"" help:"Why, for the audit trail and the account." placeholder:"TEXT"`
}

// Run takes it back.
func (c *usageCorrect) Run(ctx context.Context, cfg app.Config, s streams) error {
	at, err := instant(c.At)
	if err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	return with(ctx, cfg, func(o *operator) error {
		var out usage.CorrectionView
		in := map[string]any{"carrier": c.Of, "meter": c.Meter, "at": at, "events": c.Events, "sum": c.Sum, "subject": c.Subject, "group": c.Group, "reason": c.Reason}
		if err := o.call(ctx, http.MethodPost, "/v1/usage/corrections", in, &out); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, out)
		}
		_, err := fmt.Fprintf(s.out, "%s took back %s.\n", out.ID, strings.Join([]string{count(int(-out.Events), "event"), fmt.Sprintf("a sum of %d", -out.Sum)}, " and "))
		return err
	})
}
