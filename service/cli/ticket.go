package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/service/app"
)

type ticketCommand struct {
	List   ticketList   `cmd:"" help:"Show tickets, those whose customer waits longest first."`
	Show   ticketShow   `cmd:"" help:"Show a ticket with what was written in it, notes included."`
	Answer ticketAnswer `cmd:"" help:"Answer a ticket; the customer gets the answer by mail."`
}

type ticketList struct {
	output
	Status   string `help:"Only those that are open, pending, solved or closed." enum:"open,pending,solved,closed," default:"" placeholder:"STATUS"`
	Assignee string `help:"Only those of this person, by id, or of nobody: unassigned." placeholder:"ID"`
	Find     string `help:"Only those with all of these words in number, subject, name or address." placeholder:"WORDS"`
}

// Run shows tickets.
func (c *ticketList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/tickets"+filter("status", c.Status, "assignee", c.Assignee, "q", c.Find), "There are no such tickets.",
		"id", "number", "status", "priority", "subject", "email", "waiting_since", "updated_at")
}

type ticketShow struct {
	output
	ID string `arg:"" help:"Id or number of the ticket."`
}

// Run shows a ticket.
func (c *ticketShow) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		t, err := o.ticket(ctx, c.ID)
		if err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, t)
		}
		return printTicket(s.out, t)
	})
}

// ticket reads a ticket by its id or number.
func (o *operator) ticket(ctx context.Context, name string) (t support.Thread, err error) {
	if !strings.HasPrefix(name, "tkt_") {
		rows, err := o.some(ctx, "/v1/tickets"+filter("q", name), 100)
		if err != nil {
			return t, err
		}
		id := ""
		for _, row := range rows {
			if number, _ := row["number"].(string); strings.EqualFold(number, name) {
				id, _ = row["id"].(string)
			}
		}
		if id == "" {
			return t, fmt.Errorf("there is no ticket %s", word(name))
		}
		name = id
	}
	return t, o.call(ctx, http.MethodGet, "/v1/tickets/"+url.PathEscape(name), nil, &t)
}

// printTicket writes a ticket for people. What strangers wrote sends nothing to the terminal.
func printTicket(w io.Writer, t support.Thread) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n%s, %s, from %s", t.Number, word(t.Subject), t.Status, t.Priority, word(t.Email))
	if t.Name != "" {
		fmt.Fprintf(&b, " (%s)", word(t.Name))
	}
	for _, about := range []struct{ what, id string }{{"order", t.Order}, {"license", t.License}, {"assigned to", t.Assignee}} {
		if about.id != "" {
			fmt.Fprintf(&b, ", %s %s", about.what, word(about.id))
		}
	}
	b.WriteString("\n")
	for _, m := range t.Messages {
		who := string(m.From)
		if m.Name != "" {
			who += " " + word(m.Name)
		}
		if m.Internal {
			who += ", note"
		}
		fmt.Fprintf(&b, "\n%s, %s\n", m.At.UTC().Format("2006-01-02 15:04:05Z"), who)
		for l := range strings.SplitSeq(printable(m.Body, true), "\n") {
			b.WriteString("  " + l + "\n")
		}
		for _, f := range m.Files {
			fmt.Fprintf(&b, "  [%s, %s, %d bytes, %s]\n", word(f.Name), word(f.Type), f.Size, f.ID)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type ticketAnswer struct {
	output
	ID     string `arg:"" help:"Id or number of the ticket."`
	Text   string `arg:"" optional:"" help:"The answer, plain text; left out, it is read from standard input."`
	Status string `help:"Where the ticket stands afterwards: open, pending, solved or closed." enum:"open,pending,solved,closed" default:"pending" placeholder:"STATUS"`
}

// maxAnswer is how much of standard input is read; the operation refuses less than that.
const maxAnswer = 1 << 20

// Run answers a ticket as it stands now.
func (c *ticketAnswer) Run(ctx context.Context, cfg app.Config, s streams) error {
	text := c.Text
	if text == "" {
		in, err := io.ReadAll(io.LimitReader(s.in, maxAnswer))
		if err != nil {
			return err
		}
		text = string(in)
	}
	return with(ctx, cfg, func(o *operator) error {
		t, err := o.ticket(ctx, c.ID)
		if err != nil {
			return err
		}
		in := map[string]any{"version": t.Version, "body": text, "status": c.Status}
		if err := o.call(ctx, http.MethodPost, "/v1/tickets/"+url.PathEscape(t.ID)+"/answers", in, &t); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, t)
		}
		_, err = fmt.Fprintf(s.out, "%s is %s; the answer is on its way to %s.\n", t.Number, t.Status, word(t.Email))
		return err
	})
}
