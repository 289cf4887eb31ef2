package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/service/app"
)

type apikeyCommand struct {
	Create       apikeyCreate       `cmd:"" help:"Issue an API key. Its text is shown this once."`
	List         apikeyList         `cmd:"" help:"Find API keys."`
	Rotate       apikeyRotate       `cmd:"" help:"Give an API key a new text; the old one works on for a while."`
	Limits       apikeyLimits       `cmd:"" help:"Show the limits of an API key, or change them."`
	Revoke       apikeyRevoke       `cmd:"" help:"Revoke an API key for good."`
	Act          apikeyAct          `cmd:"" help:"Do one thing to all API keys that a search finds."`
	Import       apikeyImport       `cmd:"" help:"Import API keys of another system by their hashes."`
	Verify       apikeyVerify       `cmd:"" help:"Ask whether an API key is good for a use, as a product's back end does. Spends its limits."`
	Reserve      apikeyReserve      `cmd:"" help:"Verify an API key for work whose cost is known only afterwards, and reserve the most it may cost."`
	Settle       apikeySettle       `cmd:"" help:"Settle a reservation with what the work did cost; the rest comes back."`
	Reservations apikeyReservations `cmd:"" help:"List what is reserved of an API key, or of an owner's, and not settled."`
	Release      apikeyRelease      `cmd:"" help:"Give back a reservation before it ends by itself."`
	Rules        apikeyRules        `cmd:"" name:"scanner-rules" help:"Print rules by which secret scanners find leaked API keys."`
}

type apikeyCreate struct {
	output
	Owner     string     `required:"" help:"Customer or organisation that will own it, by id, or by the customer's e-mail address." placeholder:"WHO"`
	Product   string     `required:"" help:"Product that it opens, by slug or id." placeholder:"PRODUCT"`
	Name      string     `required:"" help:"What people call it." placeholder:"NAME"`
	Env       string     `help:"Environment, live or test." enum:"live,test" default:"live" placeholder:"ENV"`
	Scope     []string   `help:"What it may do; repeat or set apart by commas." placeholder:"SCOPE,…"`
	AllowFrom []string   `help:"Networks it may be used from. Default: everywhere." placeholder:"NETWORK,…"`
	Limit     []string   `help:"A limit as name=units/seconds or name=units/month, such as calls=60/60; repeat for more." placeholder:"LIMIT"`
	Credits   *int64     `help:"Credits that it may spend. Default: they are not counted." placeholder:"N"`
	Expires   *time.Time `help:"When it ends by itself, as 2027-03-01 or 2027-03-01T12:00:00Z. Default: never." placeholder:"WHEN"`
}

// Run issues a key and prints its text on a line of its own.
func (c *apikeyCreate) Run(ctx context.Context, cfg app.Config, s streams) error {
	in := map[string]any{"name": c.Name, "env": c.Env, "scopes": c.Scope, "allow_from": c.AllowFrom}
	var limits []any
	for _, text := range c.Limit {
		limit, err := parseLimit("--limit", text)
		if err != nil {
			return err
		}
		limits = append(limits, limit)
	}
	if in["limits"] = limits; limits == nil {
		delete(in, "limits")
	}
	if c.Credits != nil {
		in["credits"] = map[string]any{"balance": *c.Credits}
	}
	if c.Expires != nil {
		in["expires_at"] = c.Expires
	}
	return with(ctx, cfg, func(o *operator) (err error) {
		if in["product"], err = o.product(ctx, c.Product); err != nil {
			return err
		}
		if in["owner"], err = o.owner(ctx, c.Owner); err != nil {
			return err
		}
		return c.shown(ctx, o, s, call{http.MethodPost, "/v1/keys", in})
	})
}

// parseLimit reads name=units/seconds, a rate, or name=units/period, a quota by the calendar in UTC.
func parseLimit(flag, text string) (map[string]any, error) {
	name, rest, ok := strings.Cut(text, "=")
	units, period, both := strings.Cut(rest, "/")
	n, err := strconv.ParseInt(units, 10, 64)
	if every := licensing.Every(period); ok && both && err == nil && every.Valid() {
		return map[string]any{"name": name, "count": n, "every": every}, nil
	}
	per, bad := strconv.ParseInt(period, 10, 64)
	if !ok || !both || errors.Join(err, bad) != nil {
		return nil, fmt.Errorf("%s %s: write it as name=units/seconds or name=units/month, such as calls=60/60", flag, word(text))
	}
	return map[string]any{"name": name, "count": n, "seconds": per}, nil
}

// shown runs an operation that shows a key once: its text alone on standard output, its id on the error stream.
func (o output) shown(ctx context.Context, op *operator, s streams, c call) error {
	var raw json.RawMessage
	if err := op.call(ctx, c.method, c.path, c.in, &raw); err != nil {
		return err
	}
	if o.JSON {
		return o.value(s.out, raw)
	}
	var made struct {
		Secret string              `json:"secret"`
		Key    struct{ ID string } `json:"key"`
	}
	if err := json.Unmarshal(raw, &made); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(s.err, "%s, its text shown this once\n", made.Key.ID)
	_, err := fmt.Fprintln(s.out, made.Secret)
	return err
}

type apikeyList struct {
	output
	Query string `arg:"" optional:"" help:"Id of a key or of its owner, the owner's e-mail address, or the hint inside a key's text. Default: all."`
}

// Run finds keys.
func (c *apikeyList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/keys"+filter("q", c.Query), "There are no such keys.", "id", "owner", "product_name", "plan", "env", "name", "state", "scopes", "last_used_at", "expires_at", "created_at")
}

type apikeyRotate struct {
	output
	ID      string        `arg:"" help:"Id of the key, as \"mintreu apikey list\" shows it."`
	Overlap time.Duration `help:"How long the old text still works, at most 30 days." default:"24h" placeholder:"TIME"`
}

// Run gives a key a new text and prints it on a line of its own.
func (c *apikeyRotate) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		return c.shown(ctx, o, s, call{http.MethodPost, "/v1/keys/" + url.PathEscape(c.ID) + "/rotate", map[string]any{"overlap_seconds": inWhole(c.Overlap)}})
	})
}

type apikeyRevoke struct {
	output
	consent
	ID     string `arg:"" help:"Id of the key, as \"mintreu apikey list\" shows it."`
	Reason string `help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run revokes a key.
func (c *apikeyRevoke) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Revoke "+word(c.ID)+" for good? What uses it is refused within two seconds."); err != nil {
		return err
	}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/keys/" + url.PathEscape(c.ID) + "/revoke", map[string]any{"reason": c.Reason}}, func(map[string]any) string {
		return c.ID + " is revoked, everywhere within two seconds."
	})
}

type apikeyVerify struct {
	output
	File  string   `required:"" help:"File with the key on its first line; - reads standard input. A key never belongs on a command line." placeholder:"FILE"`
	Scope []string `help:"Scopes that the use needs." placeholder:"SCOPE,…"`
	IP    string   `help:"Address that the use comes from." placeholder:"ADDRESS"`
	Cost  int64    `help:"Units that the use spends." default:"1" placeholder:"N"`
}

// Run asks as a product's back end would.
func (c *apikeyVerify) Run(ctx context.Context, cfg app.Config, s streams) error {
	key, err := readLine(s.in, c.File)
	if err != nil {
		return err
	}
	in := map[string]any{"key": key, "cost": c.Cost, "scopes": c.Scope}
	if c.IP != "" {
		in["ip"] = c.IP
	}
	refused := ""
	err = c.change(ctx, cfg, s, call{http.MethodPost, "/v1/keys/verify", in}, func(a map[string]any) string {
		if a["valid"] != true {
			refused = cell(a["code"])
		}
		text := cell(a["code"])
		for _, name := range []string{"key_id", "owner", "plan", "env", "retry_after_seconds"} {
			if a[name] != nil {
				text += "\n" + strings.ReplaceAll(name, "_", " ") + ": " + cell(a[name])
			}
		}
		return text
	})
	if err == nil && refused != "" {
		return fmt.Errorf("the key is not good for this: %s", refused)
	}
	return err
}

type apikeyRules struct {
	Prefix string `help:"First word of the keys, where it is not this installation's." placeholder:"WORD"`
	For    string `arg:"" help:"The scanner: gitleaks or trufflehog." enum:"gitleaks,trufflehog"`
}

// Run prints the rules. It needs neither a service nor a database.
func (c *apikeyRules) Run(_ context.Context, cfg app.Config, s streams) error {
	f := credential.Format{Prefix: cfg.KeyPrefix}
	if c.Prefix != "" {
		f.Prefix = c.Prefix
	}
	if err := f.Validate(); err != nil {
		return err
	}
	text := fmt.Sprintf("[[rules]]\nid = \"%[1]s-api-key\"\ndescription = \"API key; report it to /v1/leaks of the shop that issued it\"\nregex = '''%[2]s'''\nkeywords = [\"%[1]s_live_\", \"%[1]s_test_\"]\n", f.Prefix, f.Pattern())
	if c.For == "trufflehog" {
		text = fmt.Sprintf("detectors:\n  - name: %[1]s API key\n    keywords:\n      - %[1]s_live_\n      - %[1]s_test_\n    regex:\n      key: '%[2]s'\n", f.Prefix, f.Pattern())
	}
	_, err := fmt.Fprint(s.out, text)
	return err
}
