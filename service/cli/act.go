package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/mintreu/mintreu/service/app"
)

type licenseAct struct {
	output
	consent
	Action      string   `arg:"" help:"suspend, reinstate, revoke, extend or entitle." enum:"suspend,reinstate,revoke,extend,entitle"`
	Product     string   `help:"Licenses of this product, by slug or id." placeholder:"PRODUCT"`
	State       string   `help:"Those in this state." enum:"active,suspended,revoked," default:"" placeholder:"STATE"`
	Env         string   `help:"Those of this environment." enum:"live,test," default:"" placeholder:"ENV"`
	Owner       string   `help:"Those of this customer or organisation, by id." placeholder:"ID"`
	Find        string   `help:"Those found by an owner's e-mail address, an id, or the last characters of the key." placeholder:"TEXT"`
	All         bool     `help:"All licenses there are, when nothing above narrows them."`
	Days        int64    `help:"For extend: days added to the end." placeholder:"N"`
	Entitlement []string `help:"For entitle: features to add or replace." placeholder:"CODE[=VALUE]"`
	Reason      string   `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
	DryRun      bool     `help:"Say how many licenses it is about, and do nothing."`
	Detached    bool     `help:"Do not wait until it is done."`
}

// Run counts, asks, and does one thing to all that the search finds.
func (c *licenseAct) Run(ctx context.Context, cfg app.Config, s streams) error {
	if c.Product+c.State+c.Env+c.Owner+c.Find == "" && !c.All {
		return fmt.Errorf("say which licenses: --product, --state, --env, --owner or --find, or --all")
	}
	var granted map[string]any
	if len(c.Entitlement) > 0 {
		var err error
		if granted, err = features(c.Entitlement); err != nil {
			return err
		}
	}
	return with(ctx, cfg, func(o *operator) error {
		product := ""
		if c.Product != "" {
			var err error
			if product, err = o.product(ctx, c.Product); err != nil {
				return err
			}
		}
		var found struct {
			Count int64 `json:"count"`
		}
		search := []string{"product", product, "state", c.State, "env", c.Env, "owner", c.Owner, "q", c.Find}
		if err := o.call(ctx, http.MethodGet, "/v1/licenses/count"+filter(search...), nil, &found); err != nil {
			return err
		}
		switch {
		case c.DryRun && c.JSON:
			return c.value(s.out, found)
		case c.DryRun, found.Count == 0:
			_, err := fmt.Fprintf(s.out, "%s found.\n", count(int(found.Count), "license"))
			return err
		}
		if err := confirmAct(ctx, s, c.consent, c.Action, count(int(found.Count), "license"), found.Count); err != nil {
			return err
		}
		where := map[string]any{}
		for i := 0; i < len(search); i += 2 {
			if search[i+1] != "" {
				where[search[i]] = search[i+1]
			}
		}
		in := map[string]any{"action": c.Action, "search": where, "count": found.Count, "reason": c.Reason}
		if c.Days != 0 {
			in["days"] = c.Days
		}
		if granted != nil {
			in["entitlements"] = granted
		}
		_, err := c.started(ctx, o, s, call{http.MethodPost, "/v1/licenses/actions", in}, c.Detached)
		return err
	})
}

// confirmAct asks; what cannot be undone wants the number, n, typed.
func confirmAct(ctx context.Context, s streams, c consent, action, many string, n int64) error {
	if action != "revoke" {
		return c.ask(ctx, s, fmt.Sprintf("%s %s?", strings.ToUpper(action[:1])+action[1:], many))
	}
	return c.typed(ctx, s, fmt.Sprintf("Revoke %s for good? Type the number to go on: ", many), fmt.Sprint(n))
}
