// Package cli is the command line of mintreu: it reads flags, environment and file into an [app.Config], runs the service, and
// calls operations as the operator at the machine, over the service's unix socket or, when none runs, on the opened data
// directory. Whatever it changes goes through the same operations as everything else and stands in the audit trail.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
	kongyaml "github.com/alecthomas/kong-yaml"

	"github.com/mintreu/mintreu/service/app"
)

// root is the command tree.
type root struct {
	app.Config `embed:""`

	ConfigFile kong.ConfigFlag `name:"config" help:"YAML file with any of these options (base-url: https://…)." env:"MINTREU_CONFIG" type:"path" group:"where"`

	Demo  demoCommand  `cmd:"" help:"Show the whole path on this machine: checkout, payment, license, offline check, rate limit."`
	Serve serveCommand `cmd:"" help:"Run the service."`

	Product productCommand `cmd:"" group:"sell" help:"Import, publish and list products."`
	Policy  policyCommand  `cmd:"" group:"sell" help:"License policies: what a sold license grants and demands."`
	Order   orderCommand   `cmd:"" group:"sell" help:"List orders, drive one again."`
	Event   eventCommand   `cmd:"" group:"sell" help:"Payment events: what waits, what is parked."`
	License licenseCommand `cmd:"" group:"license" help:"Inspect documents; list, suspend, reinstate and revoke licenses."`
	Keyring keyringCommand `cmd:"" group:"license" help:"Signing keys and roots."`

	Switch  switchCommand  `cmd:"" group:"operate" help:"Kill switches."`
	Staff   staffCommand   `cmd:"" group:"operate" help:"People who work here."`
	Verify  verifyCommand  `cmd:"" group:"operate" help:"Check every invariant on the live database; changes nothing."`
	Backup  backupCommand  `cmd:"" group:"operate" help:"Copy the database consistently, while the service runs."`
	Restore restoreCommand `cmd:"" group:"operate" help:"Restore a backup into an empty place, and verify it."`
	Migrate migrateCommand `cmd:"" group:"operate" help:"Database migrations."`
	Version versionCommand `cmd:"" group:"operate" help:"Print version and build."`
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// exit carries a status through kong's Exit.
type exit int

// Main runs one command line and returns the process's exit status: 0 for success, 1 for failure, 2 for a command line that cannot
// be understood.
func Main(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) (status int) {
	defer func() {
		if r := recover(); r != nil {
			code, ok := r.(exit)
			if !ok {
				panic(r)
			}
			status = int(code)
		}
	}()
	var c root
	parser, err := kong.New(&c,
		kong.Name("mintreu"),
		kong.Description("Sell and license digital products. \"mintreu demo\" shows how; \"mintreu serve\" runs it.\n\nEvery option can also be an environment variable (MINTREU_…) or a line of the --config file."),
		kong.Configuration(kongyaml.Loader),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "where", Title: "Where things are"}, {Key: "how", Title: "How it runs"}, {Key: "payment", Title: "Payments"}, {Key: "mail", Title: "Mail"},
			{Key: "sell", Title: "Sell"}, {Key: "license", Title: "License"}, {Key: "operate", Title: "Operate"},
		}),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{in, out, errOut}),
	)
	if err != nil {
		_, _ = fmt.Fprintln(errOut, "mintreu:", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintf(errOut, "mintreu: %v\nTry \"mintreu --help\", or \"mintreu COMMAND --help\".\n", err)
		return 2
	}
	if err := k.Run(c.Config); err != nil {
		if !errors.Is(err, errSaid) {
			_, _ = fmt.Fprintln(errOut, "mintreu:", err)
		}
		return 1
	}
	return 0
}

// errSaid is a failure whose text has been printed already.
var errSaid = errors.New("said")

// with opens the operator's connection for one command.
func with(ctx context.Context, cfg app.Config, fn func(*operator) error) error {
	o, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(fn(o), o.close())
}

// confirm asks before what cannot be undone; yes skips the question. Without a terminal to ask it refuses.
func confirm(s streams, yes bool, question string) error {
	if yes {
		return nil
	}
	if f, ok := s.in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 {
			return errors.New("this cannot be undone; pass --yes to do it without a terminal to ask")
		}
	}
	_, _ = fmt.Fprintf(s.out, "%s [y/N] ", question)
	var answer string
	if _, err := fmt.Fscanln(s.in, &answer); err != nil || (answer != "y" && answer != "yes") {
		return errors.New("nothing was changed")
	}
	return nil
}
