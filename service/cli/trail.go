package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mintreu/mintreu/service/app"
)

type auditCommand struct {
	List       auditList       `cmd:"" help:"Show what was done, by whom and why, newest first."`
	Checkpoint auditCheckpoint `cmd:"" help:"Print the signed head of the trail, to keep elsewhere."`
}

type auditList struct {
	output
	Target  string `help:"Only what was done to this object, by id." placeholder:"ID"`
	Actor   string `help:"Only what this actor did, such as cli:root or staff:ID." placeholder:"KIND:ID"`
	Action  string `help:"Only this action, such as license.revoked." placeholder:"ACTION"`
	Product string `help:"Only what concerns this product, by slug or id." placeholder:"PRODUCT"`
	Last    int    `help:"No more than this many rows; 0 for all." default:"50" placeholder:"N"`
}

// Run shows the trail.
func (c *auditList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		product := ""
		if c.Product != "" {
			var err error
			if product, err = o.product(ctx, c.Product); err != nil {
				return err
			}
		}
		rows, err := o.some(ctx, "/v1/audit"+filter("target", c.Target, "actor", c.Actor, "action", c.Action, "product", product), c.Last)
		if err != nil {
			return err
		}
		return c.list(s.out, rows, "There are no such rows.", "num", "at", "actor", "action", "target", "reason")
	})
}

type auditCheckpoint struct{ output }

// Run prints the signed note as it is, so that it can be kept in a file and given to verify --anchor.
func (c *auditCheckpoint) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var raw json.RawMessage
		if err := o.call(ctx, http.MethodGet, "/v1/audit/checkpoint", nil, &raw); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, raw)
		}
		var head struct {
			Note string `json:"note"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return err
		}
		if head.Note == "" {
			return errors.New("there is no checkpoint yet: a running service signs one within a minute of a change")
		}
		_, err := fmt.Fprint(s.out, head.Note)
		return err
	})
}

type mailCommand struct {
	List mailList `cmd:"" help:"Show the mail kept in the database, newest first."`
	Show mailShow `cmd:"" help:"Print one mail."`
}

type mailList struct {
	output
	To string `help:"Only mail to this address." placeholder:"ADDRESS"`
}

// Run shows kept mail.
func (c *mailList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/mails"+filter("to", c.To), "No mail is kept here. With --smtp-url it is sent instead.", "id", "to", "subject", "at")
}

type mailShow struct {
	output
	ID   string `arg:"" help:"Id of the mail, as \"mintreu mail list\" shows it; \"last\" for the newest."`
	HTML bool   `help:"Print its HTML form." name:"html"`
}

// Run prints a mail.
func (c *mailShow) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		rows, err := o.all(ctx, "/v1/mails")
		if err != nil {
			return err
		}
		for _, m := range rows {
			if m["id"] != c.ID && c.ID != "last" {
				continue
			}
			if c.JSON {
				return c.value(s.out, m)
			}
			if c.HTML {
				html, _ := m["html"].(string)
				_, err := fmt.Fprintln(s.out, printable(html, true))
				return err
			}
			text, _ := m["text"].(string)
			_, err := fmt.Fprintf(s.out, "From:    %s\nTo:      %s\nSubject: %s\nDate:    %s\n\n%s\n", cell(m["from"]), cell(m["to"]), cell(m["subject"]), cell(m["at"]), strings.TrimRight(printable(text, true), "\n"))
			return err
		}
		return fmt.Errorf("there is no mail %s; \"mintreu mail list\" shows what is kept", word(c.ID))
	})
}
