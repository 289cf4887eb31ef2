package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/service/app"
)

type usersCommand struct {
	List   usersList   `cmd:"" help:"Show who holds the seats of a license of named users."`
	Add    usersAdd    `cmd:"" help:"Give a user a seat before the first sign-in."`
	Remove usersRemove `cmd:"" help:"Take a user's seat back."`
}

type usersList struct {
	output
	ID string `arg:"" help:"Id of the license."`
}

// Run shows the users who hold a seat.
func (c *usersList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		all, err := o.all(ctx, "/v1/licenses/"+url.PathEscape(c.ID)+"/activations?state="+string(activation.Held))
		if err != nil {
			return err
		}
		var rows []map[string]any
		for _, row := range all {
			if row["user"] != nil {
				rows = append(rows, row)
				if row["signed_in"] = "yes"; row["ahead"] == true {
					row["signed_in"] = "not yet"
				}
			}
		}
		return c.list(s.out, rows, "No user holds a seat.", "id", "name", "user", "signed_in", "last_seen_at")
	})
}

type usersAdd struct {
	output
	ID   string `arg:"" help:"Id of the license."`
	User string `arg:"" help:"The user as the product names them, to the letter; a digest of it is kept."`
	Name string `help:"What to show them as." placeholder:"TEXT"`
}

// Run gives a user a seat.
func (c *usersAdd) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/licenses/" + url.PathEscape(c.ID) + "/users", map[string]any{"user": c.User, "name": c.Name}}, func(a map[string]any) string {
		return fmt.Sprintf("%s has a seat: %s.", word(c.User), cell(a["id"]))
	})
}

type usersRemove struct {
	output
	ID     string `arg:"" help:"Id of the license."`
	User   string `arg:"" help:"The user as the product names them, to the letter."`
	Reason string `help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run takes a user's seat back.
func (c *usersRemove) Run(ctx context.Context, cfg app.Config, s streams) error {
	in := map[string]any{"user": c.User, "reason": c.Reason}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/licenses/" + url.PathEscape(c.ID) + "/users/remove", in}, func(a map[string]any) string {
		text := word(c.User) + " has no seat any more."
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(a["offline_until"])); err == nil && at.After(time.Now()) {
			text += " A device without a network may go on until " + at.UTC().Format(time.RFC3339) + "."
		}
		return text
	})
}

type licenseLend struct {
	output
	Activation string `arg:"" help:"Id of the activation, which holds a floating seat."`
	Until      string `help:"The date, as 2027-03-01 or 2027-03-01T12:00:00Z." placeholder:"WHEN" xor:"lend" required:""`
	End        bool   `help:"End the borrowing instead; the device keeps its seat." xor:"lend" required:""`
}

// Run lends a device its seat, or ends that.
func (c *licenseLend) Run(ctx context.Context, cfg app.Config, s streams) error {
	at, verb, in := "/v1/activations/"+url.PathEscape(c.Activation), "/recall", map[string]any{}
	if !c.End {
		until, err := instant(c.Until)
		if err != nil {
			return err
		}
		verb, in = "/lend", map[string]any{"until": until}
	}
	return c.change(ctx, cfg, s, call{http.MethodPost, at + verb, in}, func(a map[string]any) string {
		if c.End {
			return "The borrowing is over; the device keeps its seat."
		}
		return "It is borrowed until " + cell(a["borrowed_until"]) + ", once the device has been in contact."
	})
}
