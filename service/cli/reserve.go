package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

type apikeyReserve struct {
	output
	File  string        `required:"" help:"File with the key on its first line; - reads standard input. A key never belongs on a command line." placeholder:"FILE"`
	Cost  int64         `required:"" help:"Units that the work may cost at most." placeholder:"N"`
	For   time.Duration `help:"How long the reservation waits to be settled, at most 24h; after that all of it comes back." default:"5m" placeholder:"TIME"`
	Scope []string      `help:"Scopes that the use needs." placeholder:"SCOPE,…"`
	IP    string        `help:"Address that the use comes from." placeholder:"ADDRESS"`
}

// Run verifies a key, spends the most that the work may cost, and prints the reservation's id on a line of its own.
func (c *apikeyReserve) Run(ctx context.Context, cfg app.Config, s streams) error {
	if c.For <= 0 {
		return fmt.Errorf("--for %s: a reservation lasts at least a second, such as --for 5m", c.For)
	}
	key, err := readLine(s.in, c.File)
	if err != nil {
		return err
	}
	in := map[string]any{"key": key, "cost": c.Cost, "scopes": c.Scope, "seconds": inWhole(c.For)}
	if c.IP != "" {
		in["ip"] = c.IP
	}
	return with(ctx, cfg, func(o *operator) error {
		var raw json.RawMessage
		if err := o.call(ctx, http.MethodPost, "/v1/keys/reserve", in, &raw); err != nil {
			return err
		}
		var out struct {
			Code        string `json:"code"`
			Reservation *struct {
				ID     string    `json:"id"`
				EndsAt time.Time `json:"ends_at"`
			} `json:"reservation"`
		}
		if err := json.Unmarshal(raw, &out); err != nil {
			return err
		}
		if c.JSON {
			if err := c.value(s.out, raw); err != nil {
				return err
			}
		}
		if out.Reservation == nil {
			return fmt.Errorf("the key is not good for this: %s", word(out.Code))
		}
		if c.JSON {
			return nil
		}
		_, _ = fmt.Fprintf(s.err, "%d reserved until %s; settle what the work did cost\n", c.Cost, out.Reservation.EndsAt.UTC().Format(time.RFC3339))
		_, err := fmt.Fprintln(s.out, out.Reservation.ID)
		return err
	})
}

// inWhole is a length of time in seconds, a part of one counting as one.
func inWhole(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

type apikeySettle struct {
	output
	ID   string `arg:"" help:"Id of the reservation, as \"mintreu apikey reserve\" prints it."`
	Cost int64  `required:"" help:"Units that the work did cost, at most what was reserved; 0 gives all of it back." placeholder:"N"`
}

// Run ends a reservation with what the work did cost.
func (c *apikeySettle) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/key-reservations/" + url.PathEscape(c.ID) + "/settle", map[string]any{"cost": c.Cost}}, func(a map[string]any) string {
		return fmt.Sprintf("%s is settled: %s of %s were used.", c.ID, cell(a["used"]), cell(a["cost"]))
	})
}

type apikeyReservations struct {
	output
	Key   string `arg:"" optional:"" help:"Id of the key, as \"mintreu apikey list\" shows it. Without one give --owner."`
	Owner string `help:"Those of all keys of this customer or organisation, by id, or by the customer's e-mail address." placeholder:"WHO"`
}

// Run lists what is reserved and not settled, the newest first.
func (c *apikeyReservations) Run(ctx context.Context, cfg app.Config, s streams) error {
	if c.Key == "" && c.Owner == "" {
		return errors.New("say whose: give the id of a key, or --owner")
	}
	return with(ctx, cfg, func(o *operator) error {
		owner, err := o.owner(ctx, c.Owner)
		if err != nil {
			return err
		}
		rows, err := o.all(ctx, "/v1/key-reservations"+filter("key", c.Key, "owner", owner))
		if err != nil {
			return err
		}
		return c.list(s.out, rows, "Nothing is reserved.", "id", "key_id", "cost", "reserved_at", "ends_at")
	})
}

type apikeyRelease struct {
	output
	consent
	ID     string `arg:"" help:"Id of the reservation, as \"mintreu apikey reservations\" lists it."`
	Reason string `help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run gives back a reservation.
func (c *apikeyRelease) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Release "+word(c.ID)+"? Work that goes on under it cannot be settled any more."); err != nil {
		return err
	}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/key-reservations/" + url.PathEscape(c.ID) + "/release", map[string]any{"reason": c.Reason}}, func(a map[string]any) string {
		return fmt.Sprintf("%s is released: all %s came back.", c.ID, cell(a["cost"]))
	})
}
