package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/app"
)

// looked is what the commands share that show what will happen to a license, ask, and do it.
type looked struct {
	output
	consent
	ID     string `arg:"" help:"Id of the license."`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
	DryRun bool   `help:"Show what would happen, and do nothing."`
}

// preview is what will happen, as rows of a table, and the call that does it.
type preview struct {
	rows  []map[string]any
	notes []string // what the rows do not tell
	call  call
	done  func(l *license.View) string
}

// run shows the preview, asks and does it. With --json the preview is not printed, but for a dry run.
func (c *looked) run(ctx context.Context, cfg app.Config, s streams, question string, look func(o *operator, l *license.View) (preview, error)) error {
	return with(ctx, cfg, func(o *operator) error {
		at := "/v1/licenses/" + url.PathEscape(c.ID)
		var l license.View
		if err := o.call(ctx, http.MethodGet, at, nil, &l); err != nil {
			return err
		}
		p, err := look(o, &l)
		if err != nil {
			return err
		}
		if c.DryRun || !c.JSON {
			if err := c.list(s.out, p.rows, "Nothing changes.", "what", "from", "to"); err != nil {
				return err
			}
		}
		for _, note := range p.notes { // beside a document, where there is one
			if _, err := fmt.Fprintln(s.err, "Note: "+printable(note, false)); err != nil {
				return err
			}
		}
		if c.DryRun || len(p.rows) == 0 {
			return nil
		}
		if err := c.ask(ctx, s, question); err != nil {
			return err
		}
		var out license.View
		if err := o.call(ctx, p.call.method, at+p.call.path, p.call.in, &out); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, out)
		}
		_, err = fmt.Fprintln(s.out, printable(p.done(&out), false))
		return err
	})
}

func row(what string, from, to any) map[string]any {
	return map[string]any{"what": what, "from": from, "to": to}
}

// end is an end for people.
func end(t *time.Time) string {
	if t == nil {
		return "none"
	}
	return t.UTC().Format(time.RFC3339)
}

type licenseRenew struct {
	looked
	Terms int64  `help:"How many of its policy's terms to add; 1 unless said." placeholder:"N" xor:"length"`
	Until string `help:"The new end instead, as 2027-03-01 or 2027-03-01T12:00:00Z." placeholder:"WHEN" xor:"length"`
}

// Run renews a license.
func (c *licenseRenew) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.run(ctx, cfg, s, "Renew it?", func(_ *operator, l *license.View) (preview, error) {
		in, until := map[string]any{"reason": c.Reason}, time.Time{}
		if c.Until != "" {
			var err error
			if until, err = instant(c.Until); err != nil {
				return preview{}, err
			}
			in["until"] = until
		} else {
			in["terms"] = max(1, c.Terms)
		}
		if !l.Renewable {
			return preview{}, fmt.Errorf("%s cannot be renewed: it has neither a term nor an end of updates, or it is revoked", l.ID)
		}
		to, err := l.Renewed(time.Now(), until, max(1, c.Terms))
		if err != nil {
			return preview{}, refusal(err)
		}
		return preview{rows: renewed(l, to), call: call{http.MethodPost, "/renew", in}, done: func(out *license.View) string {
			text := "It is valid until " + end(out.ValidUntil)
			if out.UpdatesUntil != nil {
				text += ", with updates until " + end(out.UpdatesUntil)
			}
			return text + ". Products learn of it with their next contact."
		}}, nil
	})
}

// renewed is what a renewal moves.
func renewed(l *license.View, to license.Ends) []map[string]any {
	rows := []map[string]any{}
	switch {
	case to.TermAdded > 0:
		rows = append(rows, row("term", spell(l.Terms.Duration), spell(to.TermAdded)+" more than it had, from its first use"))
	case !to.ValidUntil.IsZero():
		rows = append(rows, row("valid until", end(l.ValidUntil), end(&to.ValidUntil)))
	}
	if l.UpdatesUntil != nil {
		rows = append(rows, row("updates until", end(l.UpdatesUntil), end(&to.UpdatesUntil)))
	}
	if l.LapsedAt != nil && l.HeldAt == nil && l.DisputedAt == nil {
		rows = append(rows, row("state", l.State, string(license.Active)))
	}
	return rows
}

// refusal is a public error of the domain with what its fields say, for people.
func refusal(err error) error {
	var e *licensing.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return err
	}
	return errors.New(e.Fields[0].Detail)
}

// spell is a number of seconds in its largest whole unit.
func spell(n int64) string {
	for _, u := range []struct {
		of   int64
		name string
	}{{86400, "day"}, {3600, "hour"}, {60, "minute"}} {
		if n >= u.of && n%u.of == 0 {
			return count(int(n/u.of), u.name)
		}
	}
	return count(int(n), "second")
}

type licenseTransfer struct {
	looked
	To string `required:"" help:"New owner: the id of a customer or organisation, or a customer's e-mail address." placeholder:"OWNER"`
}

// Run gives a license to another owner.
func (c *licenseTransfer) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.run(ctx, cfg, s, "Transfer it? The old key stops working, and every device must be activated anew.", func(o *operator, l *license.View) (preview, error) {
		if !l.Terms.Transfer.Allowed {
			return preview{}, fmt.Errorf("the policy of %s allows no transfer; put it under one that does (mintreu license repolicy)", l.ID)
		}
		to, err := o.owner(ctx, c.To)
		if err != nil {
			return preview{}, err
		}
		rows := []map[string]any{row("owner", l.Owner, to), row("key", "…"+l.KeyHint, "a new one"), row("seats held", l.SeatsUsed, int64(0))}
		if l.Terms.Transfer.Expiry == license.ResetExpiry && l.Terms.Duration > 0 {
			rows = append(rows, row("valid until", end(l.ValidUntil), spell(l.Terms.Duration)+" anew"))
		}
		return preview{rows: rows, call: call{http.MethodPost, "/transfer", map[string]any{"to": to, "reason": c.Reason}}, done: func(out *license.View) string {
			return "It belongs to " + out.Owner + " now, who finds its key on the license's page."
		}}, nil
	})
}

// owner is the id of a customer or organisation, who is named by it, or the customer by the e-mail address.
func (o *operator) owner(ctx context.Context, name string) (string, error) {
	if !strings.Contains(name, "@") {
		return name, nil
	}
	rows, err := o.all(ctx, "/v1/customers"+filter("q", name)) // finds whose address begins with it as well
	if err != nil {
		return "", err
	}
	for _, row := range rows {
		if text, _ := row["email"].(string); strings.EqualFold(text, name) {
			return cell(row["id"]), nil
		}
	}
	return "", fmt.Errorf("nobody has the address %s: an owner has an account, or has ordered once; \"mintreu customer list\" shows them", word(name))
}

type licenseRepolicy struct {
	looked
	Policy string `help:"Policy to go over to, PRODUCT/CODE or its id; its own, as it is now, unless said." placeholder:"POLICY"`
}

// Run puts a license under a policy as it is now.
func (c *licenseRepolicy) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.run(ctx, cfg, s, "Put it under these terms?", func(o *operator, l *license.View) (preview, error) {
		policy := ""
		if c.Policy != "" {
			var err error
			if policy, err = o.policy(ctx, c.Policy); err != nil {
				return preview{}, err
			}
		}
		var look license.RepolicyView
		if err := o.call(ctx, http.MethodGet, "/v1/licenses/"+url.PathEscape(l.ID)+"/repolicy"+filter("policy", policy), nil, &look); err != nil {
			return preview{}, err
		}
		var rows []map[string]any
		for _, change := range look.Changes {
			rows = append(rows, row(change.Name, change.From, change.To))
		}
		var notes []string
		for _, n := range look.Notices {
			notes = append(notes, n.Detail)
		}
		in := map[string]any{"policy": look.Policy, "version": look.Version, "policy_version": look.PolicyVersion, "reason": c.Reason}
		return preview{rows: rows, notes: notes, call: call{http.MethodPost, "/repolicy", in}, done: func(out *license.View) string {
			return "It is under " + look.PolicyName + " as it is now. Devices keep their seats and learn of it with their next contact."
		}}, nil
	})
}
