package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mintreu/mintreu/service/app"
)

type apikeyAct struct {
	output
	consent
	Action   string   `arg:"" help:"revoke, suspend or reinstate." enum:"revoke,suspend,reinstate"`
	ID       []string `help:"These keys; repeat or set apart by commas." placeholder:"ID,…"`
	IDsFrom  string   `name:"ids-from" help:"The keys whose ids stand in a file, one a line, at most 1,000; - reads standard input." placeholder:"FILE"`
	Owner    string   `help:"Those of this customer or organisation, by id." placeholder:"ID"`
	Member   string   `help:"Those of this member of an organisation, by the id of the person." placeholder:"ID"`
	Product  string   `help:"Those of this product, by slug or id." placeholder:"PRODUCT"`
	Plan     string   `help:"Those of this plan, by its code." placeholder:"CODE"`
	Env      string   `help:"Those of this environment." enum:"live,test," default:"" placeholder:"ENV"`
	State    string   `help:"Those that are active, disabled, revoked or expired." enum:"active,disabled,revoked,expired," default:"" placeholder:"STATE"`
	Name     string   `help:"Those that have exactly this name." placeholder:"NAME"`
	Find     string   `help:"Those found by an owner's e-mail address, an id, or the hint inside a key's text." placeholder:"TEXT"`
	All      bool     `help:"All API keys there are, when nothing above narrows them."`
	Reason   string   `help:"Why, for the audit trail. A dry run needs none." placeholder:"TEXT"`
	DryRun   bool     `help:"Say how many keys it is about, and do nothing."`
	Detached bool     `help:"Do not wait until it is done."`
}

// Run counts, asks, and does one thing to all that the search finds.
func (c *apikeyAct) Run(ctx context.Context, cfg app.Config, s streams) error {
	ids := c.ID
	if c.IDsFrom != "" {
		text, err := readAll(s.in, c.IDsFrom, 1<<20)
		if err != nil {
			return err
		}
		ids = append(ids, strings.Fields(text)...)
		if len(ids) == 0 {
			return fmt.Errorf("%s names no keys", c.IDsFrom)
		}
	}
	where := map[string]any{}
	for name, value := range map[string]string{"owner": c.Owner, "member": c.Member, "product": c.Product, "plan": c.Plan, "env": c.Env, "state": c.State, "name": c.Name, "q": c.Find} {
		if value != "" {
			where[name] = value
		}
	}
	if len(ids) > 0 {
		where["ids"] = ids
	}
	if len(where) == 0 && !c.All {
		return errors.New("say which keys: --id, --ids-from, --owner, --member, --product, --plan, --env, --state, --name or --find, or --all")
	}
	if c.Reason == "" && !c.DryRun {
		return errors.New("say why, with --reason; the audit trail keeps it with each key")
	}
	return with(ctx, cfg, func(o *operator) (err error) {
		if c.Product != "" {
			if where["product"], err = o.product(ctx, c.Product); err != nil {
				return err
			}
		}
		in := map[string]any{"action": c.Action, "search": where, "dry_run": true}
		var found struct {
			Count int64 `json:"count"`
		}
		if err := o.call(ctx, http.MethodPost, "/v1/keys/actions", in, &found); err != nil {
			return err
		}
		switch {
		case c.DryRun && c.JSON:
			return c.value(s.out, found)
		case c.DryRun, found.Count == 0:
			_, err := fmt.Fprintf(s.out, "%s found.\n", count(int(found.Count), "API key"))
			return err
		}
		if err := confirmAct(ctx, s, c.consent, c.Action, count(int(found.Count), "API key"), found.Count); err != nil {
			return err
		}
		in["dry_run"], in["count"], in["reason"] = false, found.Count, c.Reason
		_, err = c.started(ctx, o, s, call{http.MethodPost, "/v1/keys/actions", in}, c.Detached)
		return err
	})
}
