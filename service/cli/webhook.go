package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/service/app"
)

type webhookCommand struct {
	List       webhookList       `cmd:"" help:"Show the endpoints that events are sent to."`
	Show       webhookShow       `cmd:"" help:"Show an endpoint, or one delivery with its attempts."`
	Create     webhookCreate     `cmd:"" help:"Make an endpoint. Its secret is shown this once."`
	Test       webhookTest       `cmd:"" help:"Send a test event to an endpoint and say what it answers."`
	Disable    webhookDisable    `cmd:"" help:"Stop sending to an endpoint."`
	Enable     webhookEnable     `cmd:"" help:"Send to an endpoint again, what waited first."`
	Rotate     webhookRotate     `cmd:"" name:"rotate-secret" help:"Give an endpoint a new secret; the old one signs on for a while."`
	Deliveries webhookDeliveries `cmd:"" help:"Show what was sent and what waits, the newest first."`
	Redeliver  webhookRedeliver  `cmd:"" help:"Send one event again, or all that failed of an endpoint."`
}

// endpointAt is the address of an endpoint's operations.
func endpointAt(id, rest string) string { return "/v1/webhook-endpoints/" + url.PathEscape(id) + rest }

type webhookList struct{ output }

// Run shows the endpoints.
func (c *webhookList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/webhook-endpoints", "There are no endpoints. Make one: mintreu webhook create --help", "id", "url", "description", "env", "types", "state", "failures", "created_at")
}

type webhookShow struct {
	output
	ID string `arg:"" help:"Id of an endpoint (wep_…) or of a delivery (wdl_…)."`
}

// Run shows one endpoint, or one delivery.
func (c *webhookShow) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		if !strings.HasPrefix(c.ID, "wdl_") {
			var e map[string]any
			if err := o.call(ctx, http.MethodGet, endpointAt(c.ID, ""), nil, &e); err != nil {
				return err
			}
			if c.JSON {
				return c.value(s.out, e)
			}
			if types, _ := e["types"].([]any); len(types) == 0 {
				e["types"] = "everything"
			}
			return pairs(s, e, "id", "url", "description", "env", "types", "state", "disabled_why", "disabled_at", "failures", "failing_since", "next_at", "created_at")
		}
		var d struct {
			Delivery map[string]any   `json:"delivery"`
			Attempts []map[string]any `json:"attempts"`
			Body     json.RawMessage  `json:"body"`
		}
		if err := o.call(ctx, http.MethodGet, "/v1/webhook-deliveries/"+url.PathEscape(c.ID), nil, &d); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, d)
		}
		if err := pairs(s, d.Delivery, "id", "endpoint", "event", "type", "state", "at", "next_at"); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(s.out)
		if err := c.list(s.out, d.Attempts, "It was not sent yet.", "n", "at", "took_ms", "status", "excerpt", "error"); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "\n%s\n", printable(string(d.Body), true))
		return err
	})
}

// pairs prints members of an object, a line each, those that hold nothing left out.
func pairs(s streams, v map[string]any, names ...string) error {
	for _, name := range names {
		if text := cell(v[name]); text != "-" {
			if _, err := fmt.Fprintf(s.out, "%-14s %s\n", strings.ReplaceAll(name, "_", " "), text); err != nil {
				return err
			}
		}
	}
	return nil
}

type webhookCreate struct {
	output
	URL         string   `arg:"" help:"Where events are sent: https://, a public name, port 443."`
	Types       []string `help:"What it hears of: types, or families such as license.*; repeat or set apart by commas. Default: everything." placeholder:"TYPE,…"`
	Env         string   `help:"Whose objects it hears of, live or test." enum:"live,test" default:"live" placeholder:"ENV"`
	Description string   `help:"What it is for." placeholder:"TEXT"`
}

// Run makes an endpoint and prints its secret on a line of its own.
func (c *webhookCreate) Run(ctx context.Context, cfg app.Config, s streams) error {
	in := map[string]any{"url": c.URL, "env": c.Env, "types": c.Types, "description": c.Description}
	return with(ctx, cfg, func(o *operator) error {
		return c.secret(ctx, o, s, call{http.MethodPost, "/v1/webhook-endpoints", in})
	})
}

// secret runs an operation that shows an endpoint's secret once: alone on standard output, the endpoint's id on the error stream.
func (o output) secret(ctx context.Context, op *operator, s streams, c call) error {
	var raw json.RawMessage
	if err := op.call(ctx, c.method, c.path, c.in, &raw); err != nil {
		return err
	}
	if o.JSON {
		return o.value(s.out, raw)
	}
	var made webhook.CreateResponse
	if err := json.Unmarshal(raw, &made); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(s.err, "%s, its secret shown this once\n", made.Endpoint.ID)
	_, err := fmt.Fprintln(s.out, made.Secret)
	return err
}

type webhookTest struct {
	output
	ID       string `arg:"" help:"Id of the endpoint, as \"mintreu webhook list\" shows it."`
	Detached bool   `help:"Do not wait for the answer."`
}

// answerFor is how long an answer is waited for: a receiver has ten seconds.
const answerFor = 15 * time.Second

// Run sends a test event. Where a service runs it waits until the event was sent, and fails when it was not taken.
func (c *webhookTest) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var d webhook.DetailView
		if err := o.call(ctx, http.MethodPost, endpointAt(c.ID, "/test"), map[string]any{}, &d.Delivery); err != nil {
			return err
		}
		running := o.work == nil
		for until := time.Now().Add(answerFor); running && !c.Detached && d.Delivery.Attempts == 0 && time.Now().Before(until); {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
			if err := o.call(ctx, http.MethodGet, "/v1/webhook-deliveries/"+d.Delivery.ID, nil, &d); err != nil {
				return err
			}
		}
		if c.JSON {
			if err := c.value(s.out, d.Delivery); err != nil {
				return err
			}
		}
		return c.outcome(s, &d)
	})
}

// outcome says what came of a test.
func (c *webhookTest) outcome(s streams, d *webhook.DetailView) error {
	if len(d.Attempts) == 0 {
		if !c.JSON {
			_, _ = fmt.Fprintf(s.out, "%s is on its way. See what becomes of it: mintreu webhook show %s\n", d.Delivery.ID, d.Delivery.ID)
		}
		return nil
	}
	a := d.Attempts[0]
	answer := fmt.Sprintf("status %d after %d ms", a.Status, a.TookMS)
	if a.Excerpt != "" {
		answer += ": " + word(a.Excerpt)
	}
	if a.Error != "" {
		answer = word(a.Error)
	}
	if d.Delivery.State != string(webhook.Delivered) {
		return fmt.Errorf("the endpoint did not take it: %s\nit is sent again; see mintreu webhook show %s", answer, d.Delivery.ID)
	}
	if !c.JSON {
		_, _ = fmt.Fprintf(s.out, "The endpoint took it: %s.\n", answer)
	}
	return nil
}

type webhookDisable struct {
	output
	consent
	ID     string `arg:"" help:"Id of the endpoint."`
	Reason string `help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run stops sending.
func (c *webhookDisable) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Stop sending to "+word(c.ID)+"? It does not hear of what happens meanwhile."); err != nil {
		return err
	}
	return c.change(ctx, cfg, s, call{http.MethodPost, endpointAt(c.ID, "/disable"), map[string]any{"reason": c.Reason}}, func(map[string]any) string {
		return c.ID + " is disabled. What waits already is sent when it is enabled again."
	})
}

type webhookEnable struct {
	output
	ID     string `arg:"" help:"Id of the endpoint."`
	Reason string `help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run sends again.
func (c *webhookEnable) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.change(ctx, cfg, s, call{http.MethodPost, endpointAt(c.ID, "/enable"), map[string]any{"reason": c.Reason}}, func(map[string]any) string {
		return c.ID + " is enabled. What waited is sent first."
	})
}

type webhookRotate struct {
	output
	ID      string        `arg:"" help:"Id of the endpoint."`
	Overlap time.Duration `help:"How long messages are signed with the old secret too, at most 7 days." default:"24h" placeholder:"TIME"`
}

// Run gives an endpoint a new secret and prints it on a line of its own.
func (c *webhookRotate) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		return c.secret(ctx, o, s, call{http.MethodPost, endpointAt(c.ID, "/rotate"), map[string]any{"overlap_seconds": int64(c.Overlap.Seconds())}})
	})
}

type webhookDeliveries struct {
	output
	ID    string `arg:"" optional:"" help:"Id of an endpoint. Default: all."`
	State string `help:"Those in this state: pending, delivered or failed." enum:"pending,delivered,failed," default:"" placeholder:"STATE"`
	Event string `help:"Those of this event, by its webhook-id." placeholder:"ID"`
	Last  int    `help:"How many to show; 0 shows all." default:"50" placeholder:"N"`
}

// Run shows what was sent.
func (c *webhookDeliveries) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		rows, err := o.some(ctx, "/v1/webhook-deliveries"+filter("endpoint", c.ID, "state", c.State, "event", c.Event), c.Last)
		if err != nil {
			return err
		}
		columns := []string{"id", "endpoint", "type", "state", "attempts", "at", "next_at"}
		if c.ID != "" {
			columns = append(columns[:1], columns[2:]...)
		}
		return c.list(s.out, rows, "Nothing was sent.", columns...)
	})
}

type webhookRedeliver struct {
	output
	consent
	ID    string `arg:"" help:"Id of a delivery (wdl_…), or of an endpoint (wep_…) for all of its that failed."`
	Since string `help:"Of an endpoint, events from here on: an instant, or how long ago, such as 24h. Default: thirty days ago." placeholder:"WHEN"`
	Until string `help:"Of an endpoint, events before this. Default: now." placeholder:"WHEN"`
	State string `help:"Of an endpoint, events in this state: failed or delivered." enum:"failed,delivered" default:"failed" placeholder:"STATE"`
}

// Run sends one event again, or counts, asks, and sends all that were found.
func (c *webhookRedeliver) Run(ctx context.Context, cfg app.Config, s streams) error {
	if strings.HasPrefix(c.ID, "wdl_") {
		if c.Since+c.Until != "" {
			return fmt.Errorf("--since and --until go with an endpoint; %s is one delivery", c.ID)
		}
		return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/webhook-deliveries/" + url.PathEscape(c.ID) + "/redeliver", map[string]any{}}, func(map[string]any) string {
			return c.ID + " is on its way again."
		})
	}
	now := time.Now()
	since, err := moment(c.Since, now, now.Add(-30*24*time.Hour))
	if err != nil {
		return err
	}
	until, err := moment(c.Until, now, now)
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		var found webhook.CountResponse
		search := filter("endpoint", c.ID, "state", c.State, "since", since.Format(time.RFC3339Nano), "until", until.Format(time.RFC3339Nano))
		if err := o.call(ctx, http.MethodGet, "/v1/webhook-deliveries/count"+search, nil, &found); err != nil {
			return err
		}
		if found.Count > 0 {
			if err := c.ask(ctx, s, fmt.Sprintf("Send %s again that %s?", count(int(found.Count), "event"), map[string]string{"failed": "failed", "delivered": "the endpoint took already"}[c.State])); err != nil {
				return err
			}
		}
		var done int64
		in := map[string]any{"state": c.State, "since": since, "until": until}
		for {
			var out webhook.RepeatResponse
			if err := o.call(ctx, http.MethodPost, endpointAt(c.ID, "/redeliver"), in, &out); err != nil {
				return err
			}
			done += out.Count
			if in["after"] = out.Next; out.Next == "" {
				break
			}
		}
		if c.JSON {
			return c.value(s.out, webhook.RepeatResponse{Endpoint: c.ID, Count: done})
		}
		is := "are"
		if done == 1 {
			is = "is"
		}
		_, err := fmt.Fprintf(s.out, "%s %s on the way again.\n", count(int(done), "event"), is)
		return err
	})
}

// moment reads an instant, or how long ago one was; nothing said is fallback.
func moment(text string, now, fallback time.Time) (time.Time, error) {
	if text == "" {
		return fallback.UTC(), nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago).UTC(), nil
	}
	at, err := instant(text)
	if err != nil {
		err = fmt.Errorf("%w, or how long ago it was, like 24h", err)
	}
	return at, err
}
