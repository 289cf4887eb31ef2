package cli

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/store"
)

type versionCommand struct{ output }

// Run prints the version and what it was built with.
func (c *versionCommand) Run(s streams) error {
	if c.JSON {
		return c.value(s.out, map[string]string{"version": app.Version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	}
	_, err := fmt.Fprintf(s.out, "mintreu %s %s %s/%s\n", app.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

type verifyCommand struct {
	output
	Anchor []string `help:"File(s) with an audit checkpoint kept elsewhere, to compare with." placeholder:"FILE" type:"existingfile"`
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
	return c.report(s, found)
}

// report prints what was found; anything is a failure.
func (c *verifyCommand) report(s streams, found []store.Violation) error {
	rows := make([]map[string]any, len(found))
	for i, v := range found {
		rows[i] = map[string]any{"invariant": v.Invariant, "object": v.Object, "what": v.Text}
	}
	if err := c.list(s.out, rows, "Every invariant holds.", "invariant", "object", "what"); err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%s found; the operations guide says what to do about each invariant", count(len(found), "violation"))
	}
	return nil
}

type backupCommand struct {
	output
	To string `required:"" help:"File to make; it must not exist." placeholder:"FILE" type:"path"`
}

// Run takes a backup beside the running service.
func (c *backupCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	size, err := app.TakeBackup(ctx, cfg, c.To)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.value(s.out, map[string]any{"file": c.To, "bytes": size})
	}
	_, err = fmt.Fprintf(s.out, "Backed up to %s (%d KiB, encrypted).\nKeep a copy of the master key elsewhere: without it nobody can open the file.\n", c.To, (size+1023)/1024)
	return err
}

type restoreCommand struct {
	output
	From string `required:"" help:"Backup to restore." placeholder:"FILE" type:"existingfile"`
}

// Run restores a backup into an empty place and verifies it. It overwrites nothing, so it does not ask.
func (c *restoreCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := app.RestoreBackup(ctx, cfg, c.From); err != nil {
		return err
	}
	if !c.JSON {
		_, _ = fmt.Fprintf(s.out, "Restored into %s. Verifying …\n", cfg.Target())
	}
	return (&verifyCommand{output: c.output}).Run(ctx, cfg, s)
}

type migrateCommand struct {
	Up     migrateUp     `cmd:"" help:"Bring the database to the newest schema. \"serve\" does so by itself."`
	Down   migrateDown   `cmd:"" help:"Undo migrations above a version."`
	Status migrateStatus `cmd:"" help:"List migrations and whether they are applied."`
}

type migrateUp struct{ output }

// Run applies every migration that is missing.
func (c *migrateUp) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := app.MigrateUp(ctx, cfg); err != nil {
		return err
	}
	return (&migrateStatus{c.output}).Run(ctx, cfg, s)
}

type migrateDown struct {
	output
	consent
	To int64 `required:"" help:"Version to go back to; 0 removes every table." placeholder:"VERSION"`
}

// Run undoes migrations, which loses what they hold.
func (c *migrateDown) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, fmt.Sprintf("Undo every migration above %d in %s? What those tables hold is lost; take a backup first.", c.To, cfg.Target())); err != nil {
		return err
	}
	if err := app.MigrateDown(ctx, cfg, c.To); err != nil {
		return err
	}
	return (&migrateStatus{c.output}).Run(ctx, cfg, s)
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
