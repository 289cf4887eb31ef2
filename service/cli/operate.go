package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

type versionCommand struct{}

// Run prints the version and what it was built with.
func (*versionCommand) Run(s streams) error {
	_, err := fmt.Fprintf(s.out, "mintreu %s %s %s/%s\n", app.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

type verifyCommand struct {
	output
	Anchor []string `help:"File(s) with an audit checkpoint kept elsewhere, to compare with." type:"existingfile"`
}

// Run checks the invariants and fails when one does not hold.
func (c *verifyCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	var anchors []string
	for _, path := range c.Anchor {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		anchors = append(anchors, string(text))
	}
	found, err := app.Verify(ctx, cfg, anchors...)
	if err != nil {
		return err
	}
	rows := make([]map[string]any, len(found))
	for i, v := range found {
		rows[i] = map[string]any{"invariant": v.Invariant, "object": v.Object, "what": v.Text}
	}
	if err := c.list(s.out, rows, "Every invariant holds.", "invariant", "object", "what"); err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%d violations", len(found))
	}
	return nil
}

type backupCommand struct {
	To string `required:"" help:"File to make; it must not exist." type:"path"`
}

// Run takes a backup beside the running service.
func (c *backupCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	size, err := app.TakeBackup(ctx, cfg, c.To)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Backed up to %s (%d KiB, encrypted). Keep the master key elsewhere: without it the file is useless.\n", c.To, (size+1023)/1024)
	return err
}

type restoreCommand struct {
	From string `required:"" help:"Backup to restore." type:"existingfile"`
	Yes  bool   `help:"Do not ask."`
}

// Run restores a backup into an empty place and verifies it.
func (c *restoreCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := confirm(s, c.Yes, fmt.Sprintf("Restore %s into %s?", c.From, cfg.Target())); err != nil {
		return err
	}
	if err := app.RestoreBackup(ctx, cfg, c.From); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(s.out, "Restored. Verifying …")
	return (&verifyCommand{}).Run(ctx, cfg, s)
}

type migrateCommand struct {
	Up     migrateUp     `cmd:"" help:"Bring the database to the newest schema. \"serve\" does so by itself."`
	Down   migrateDown   `cmd:"" help:"Undo migrations above a version."`
	Status migrateStatus `cmd:"" help:"List migrations and whether they are applied."`
}

type migrateUp struct{}

// Run applies every migration that is missing.
func (*migrateUp) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := app.MigrateUp(ctx, cfg); err != nil {
		return err
	}
	return (&migrateStatus{}).Run(ctx, cfg, s)
}

type migrateDown struct {
	To  int64 `required:"" help:"Version to go back to; 0 removes every table."`
	Yes bool  `help:"Do not ask."`
}

// Run undoes migrations, which loses what they hold.
func (c *migrateDown) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := confirm(s, c.Yes, fmt.Sprintf("Undo every migration above %d in %s? What those tables hold is lost; take a backup first.", c.To, cfg.Target())); err != nil {
		return err
	}
	if err := app.MigrateDown(ctx, cfg, c.To); err != nil {
		return err
	}
	return (&migrateStatus{}).Run(ctx, cfg, s)
}

type migrateStatus struct{ output }

// Run lists migrations.
func (c *migrateStatus) Run(ctx context.Context, cfg app.Config, s streams) error {
	list, err := app.MigrationStatus(ctx, cfg)
	if err != nil {
		return err
	}
	rows := make([]map[string]any, len(list))
	for i, m := range list {
		rows[i] = map[string]any{"version": float64(m.Version), "file": m.File, "applied": "no"}
		if m.Applied {
			rows[i]["applied"] = m.AppliedAt.UTC().Format(time.RFC3339)
		}
	}
	return c.list(s.out, rows, "There are no migrations.", "version", "file", "applied")
}

type switchCommand struct {
	List switchList `cmd:"" help:"Show all switches."`
	Off  switchOff  `cmd:"" help:"Stop what a switch names, everywhere within two seconds."`
	On   switchOn   `cmd:"" help:"Let it go on."`
}

type switchList struct{ output }

// Run shows all switches.
func (c *switchList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var out struct {
			Switches []map[string]any `json:"switches"`
		}
		if err := o.call(ctx, http.MethodGet, "/v1/switches", nil, &out); err != nil {
			return err
		}
		for _, row := range out.Switches {
			row["state"] = "on"
			if off, _ := row["off"].(bool); off {
				row["state"] = "OFF"
			}
		}
		return c.list(s.out, out.Switches, "There are no switches.", "switch", "product_id", "state", "reason", "until", "actor")
	})
}

type switchFlip struct {
	Name    string `arg:"" help:"payments, downloads, licensing, referrals, ai, support, signup, api or ads."`
	Product string `help:"Id of the product; without it the switch is for all."`
	Reason  string `required:"" help:"Why, for the audit trail and for those on duty."`
}

type switchOff struct {
	switchFlip
	Until *time.Time `help:"When it comes on by itself (RFC 3339)."`
}

// Run switches off.
func (c *switchOff) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.flip(ctx, cfg, s, true, c.Until)
}

type switchOn struct{ switchFlip }

// Run switches on.
func (c *switchOn) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.flip(ctx, cfg, s, false, nil)
}

func (c *switchFlip) flip(ctx context.Context, cfg app.Config, s streams, off bool, until *time.Time) error {
	return with(ctx, cfg, func(o *operator) error {
		in := map[string]any{"off": off, "reason": c.Reason}
		if c.Product != "" {
			in["product_id"] = c.Product
		}
		if until != nil {
			in["until"] = until
		}
		if err := o.call(ctx, http.MethodPut, "/v1/switches/"+url.PathEscape(c.Name), in, nil); err != nil {
			return err
		}
		state := "on"
		if off {
			state = "off"
		}
		_, err := fmt.Fprintf(s.out, "%s is %s, in force everywhere within two seconds.\n", c.Name, state)
		return err
	})
}

type staffCommand struct {
	Add  staffAdd  `cmd:"" help:"Let somebody work here."`
	List staffList `cmd:"" help:"Show who works here."`
}

type staffAdd struct {
	Email        string `required:"" help:"E-mail address, which is also the name to sign in with."`
	Role         string `required:"" help:"owner, admin, finance, support, catalogue or auditor."`
	PasswordFile string `required:"" help:"File with the password to sign in with, 12 characters or more; - reads standard input." type:"path"`
}

// Run makes a staff account.
func (c *staffAdd) Run(ctx context.Context, cfg app.Config, s streams) error {
	password, err := readLine(s.in, c.PasswordFile)
	if err != nil {
		return err
	}
	if password == "" {
		return errors.New("the password is empty")
	}
	return with(ctx, cfg, func(o *operator) error {
		var out map[string]any
		if err := o.call(ctx, http.MethodPost, "/v1/staff", map[string]any{"email": c.Email, "role": c.Role, "password": password}, &out); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s is %s.\n", c.Email, c.Role)
		return err
	})
}

type staffList struct{ output }

// Run shows who works here.
func (c *staffList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		rows, err := o.all(ctx, "/v1/staff")
		if err != nil {
			return err
		}
		return c.list(s.out, rows, "Nobody works here yet; add yourself: mintreu staff add --role owner --email …", "id", "email", "role")
	})
}
