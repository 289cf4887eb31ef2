// Package cli is the command line of mintreu: it reads flags, environment and file into an [app.Config], runs the service, and
// calls operations as the operator at the machine, over the service's unix socket or, when none runs, on the opened data
// directory. Whatever it changes goes through the same operations as everything else and stands in the audit trail.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/mintreu/mintreu/service/app"
)

// root is the command tree.
type root struct {
	app.Config `embed:""`

	File string `name:"config" help:"YAML file with any of the options, one a line (base-url: https://…)." placeholder:"FILE" env:"MINTREU_CONFIG" type:"path" group:"where"`

	Demo  demoCommand  `cmd:"" group:"run" help:"Show the whole path on this machine: sign-up, payment, license, download, offline check, rate limit, support."`
	Serve serveCommand `cmd:"" group:"run" help:"Run the service."`

	Product productCommand `cmd:"" group:"sell" help:"Products: import, list, publish."`
	Policy  policyCommand  `cmd:"" group:"sell" help:"License policies: what a sold license grants and demands."`
	Order   orderCommand   `cmd:"" group:"sell" help:"Orders: list, drive one that is stuck, or end the wait of one that is parked."`
	Event   eventCommand   `cmd:"" group:"sell" help:"Payment events: what waits, what is parked."`
	Ticket  ticketCommand  `cmd:"" group:"sell" help:"Tickets of customers: list, show, answer."`
	License licenseCommand `cmd:"" group:"license" help:"Licenses: issue, import, inspect offline, list, suspend, revoke, one or many."`
	Access  accessCommand  `cmd:"" group:"license" help:"Why somebody has access, or has not."`
	Run     runCommand     `cmd:"" name:"run" group:"license" help:"Work on many licenses: list, follow, cancel, resume, fetch keys."`
	Apikey  apikeyCommand  `cmd:"" group:"license" help:"API keys: issue, find, limit, rotate, revoke, verify, and rules for scanners."`
	Usage   usageCommand   `cmd:"" group:"license" help:"Usage: what products reported, how it came to be, corrections."`
	Keyring keyringCommand `cmd:"" group:"license" help:"Signing keys, and the root keys that your product pins."`

	Switch    switchCommand    `cmd:"" group:"operate" help:"Kill switches."`
	Customer  customerCommand  `cmd:"" group:"sell" help:"Customers: find, disable, enable."`
	Staff     staffCommand     `cmd:"" group:"operate" help:"People who work here."`
	OwnerLink ownerLinkCommand `cmd:"" group:"operate" help:"The link by which the first owner is made."`
	Token     tokenCommand     `cmd:"" group:"operate" help:"Machine tokens: credentials of servers and scripts."`
	Audit     auditCommand     `cmd:"" group:"operate" help:"The audit trail and its signed head."`
	Webhook   webhookCommand   `cmd:"" group:"operate" help:"Endpoints that events are sent to: make, try, follow, send again."`
	Mail      mailCommand      `cmd:"" group:"operate" help:"Mail kept in the database while there is no SMTP server."`
	Verify    verifyCommand    `cmd:"" group:"operate" help:"Check every invariant on the live database; changes nothing."`
	Backup    backupCommand    `cmd:"" group:"operate" help:"Copy everything consistently into one encrypted file, while the service runs."`
	Restore   restoreCommand   `cmd:"" group:"operate" help:"Restore a backup into an empty place, and verify it."`
	Migrate   migrateCommand   `cmd:"" group:"operate" help:"Database migrations: up, down, status."`
	Version   versionCommand   `cmd:"" group:"operate" help:"Print version and build."`
}

// groups titles the groups of options and commands.
func groups() []kong.Group {
	return []kong.Group{
		{Key: "where", Title: "Where the data is"}, {Key: "listen", Title: "Addresses"}, {Key: "how", Title: "How it runs"},
		{Key: "payment", Title: "Payments"}, {Key: "mail", Title: "Mail"},
		{Key: "run", Title: "Run"}, {Key: "sell", Title: "Sell"}, {Key: "license", Title: "License"}, {Key: "operate", Title: "Operate"},
	}
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Statuses of a process.
const (
	done      = 0
	failed    = 1
	misspoken = 2 // the command line or the configuration cannot be understood
)

// exit carries a status through kong's Exit.
type exit int

// Main runs one command line and returns the process's exit status: 0 for success, 1 for failure, 2 for a command line or a
// configuration that cannot be understood.
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
	s := streams{in, out, errOut}
	var c root
	parser, err := kong.New(&c,
		kong.Name("mintreu"),
		kong.Help(printHelp),
		kong.ExplicitGroups(groups()),
		kong.Writers(out, errOut),
		kong.NamedMapper("path", kong.MapperFunc(decodePath)),
		kong.TypeMapper(reflect.TypeFor[*time.Time](), kong.MapperFunc(decodeInstant)),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s),
	)
	if err != nil {
		return s.complain(err, misspoken)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(keys(parser, args))
	if err != nil {
		_ = s.complain(err, misspoken)
		_, _ = fmt.Fprintf(errOut, "Try \"%s --help\".\n", nearest(err))
		return misspoken
	}
	warnOfSecrets(errOut, args)
	if k.Selected().Path() != "demo" {
		defaults(&c.Config, "mintreu-data")
	}
	if err := k.Run(c.Config); err != nil {
		var fault *app.ConfigError
		if errors.As(err, &fault) {
			return s.complain(err, misspoken)
		}
		return s.complain(err, failed)
	}
	return done
}

// dashed is an Ed25519 public key or its thumbprint (RFC 7638) in base64url that begins with a dash, as one in 64 does.
var dashed = regexp.MustCompile(`^-[A-Za-z0-9_-]{42}$`)

// keys keeps the parser from reading such a key as flags: as the value of a flag it is joined to that, and as an argument it goes behind the mark that
// ends the flags.
func keys(parser *kong.Kong, args []string) []string {
	valued := map[string]bool{}
	takeValues(parser.Model.Node, valued)
	var before, behind []string
	for i, a := range args {
		switch {
		case a == "--":
			return slices.Concat(before, args[i:i+1], behind, args[i+1:])
		case !dashed.MatchString(a):
			before = append(before, a)
		case i > 0 && valued[args[i-1]]:
			before[len(before)-1] += "=" + a
		default:
			behind = append(behind, a)
		}
	}
	if len(behind) > 0 {
		before = append(before, "--")
	}
	return append(before, behind...)
}

// takeValues adds the flags of a command and of those below it that are followed by a value.
func takeValues(n *kong.Node, flags map[string]bool) {
	for _, f := range n.Flags {
		if !f.IsBool() {
			flags["--"+f.Name] = true
		}
	}
	for _, below := range n.Children {
		takeValues(below, flags)
	}
}

// decodePath makes a path absolute; an empty one, as of an empty environment variable, says nothing.
func decodePath(ctx *kong.DecodeContext, target reflect.Value) error {
	var path string
	if err := ctx.Scan.PopValueInto("file", &path); err != nil {
		return err
	}
	if path != "" {
		path = kong.ExpandPath(path)
	}
	target.SetString(path)
	return nil
}

// decodeInstant reads an instant as all commands do: a date, which begins at midnight in UTC, or an instant.
func decodeInstant(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("instant", &text); err != nil {
		return err
	}
	at, err := instant(text)
	if err != nil {
		return err
	}
	target.Set(reflect.ValueOf(&at))
	return nil
}

// defaults fills in what was not said. The demo has its own.
func defaults(c *app.Config, dir string) {
	if c.DataDir == "" {
		c.DataDir = kong.ExpandPath(dir)
	}
	if c.Addr == "" {
		c.Addr = defaultAddr
	}
	if c.OpsAddr == "" {
		c.OpsAddr = defaultOpsAddr
	}
}

const (
	defaultAddr    = "127.0.0.1:8080"
	defaultOpsAddr = "127.0.0.1:9090"
)

// complain prints an error with what can be done about it, and returns the status.
func (s streams) complain(err error, status int) int {
	text := err.Error()
	var op *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		text = "interrupted"
	case errors.Is(err, syscall.EADDRINUSE) && errors.As(err, &op) && op.Addr != nil:
		text = fmt.Sprintf("%s is in use by another program: stop that one, or give another --addr or --ops-addr (port 0 takes a free one)", op.Addr)
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	_, _ = fmt.Fprintf(s.err, "mintreu: %s\n", strings.Join(lines, "\n  "))
	return status
}

// nearest names the command whose help serves after a wrong command line.
func nearest(err error) string {
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		if node := p.Context.Selected(); node != nil {
			return node.FullPath()
		}
		for i := len(p.Context.Path) - 1; i >= 0; i-- {
			if n := p.Context.Path[i].Command; n != nil {
				return n.FullPath()
			}
		}
	}
	return "mintreu"
}

// warnOfSecrets tells of a password that every user of the machine can read in the list of processes.
func warnOfSecrets(w io.Writer, args []string) {
	for i, a := range args {
		name, value, glued := strings.Cut(a, "=")
		if !glued && i+1 < len(args) {
			value = args[i+1]
		}
		if (name == "--postgres-url" || name == "--redis-url" || name == "--smtp-url") && app.HasPassword(value) {
			_, _ = fmt.Fprintf(w, "mintreu: the password in %s shows in the list of processes; put the URL into a --config file (mode 0600)\n", name)
		}
	}
}

// with opens the operator's connection for one command.
func with(ctx context.Context, cfg app.Config, fn func(*operator) error) error {
	o, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(fn(o), o.close())
}

// consent is the flag of commands that ask first.
type consent struct {
	Yes bool `help:"Do not ask." short:"y"`
}

// ask asks on the error stream before what cannot be undone, and reads the answer from standard input.
func (c consent) ask(ctx context.Context, s streams, question string) error {
	return c.typed(ctx, s, question+" [y/N] ", "y", "yes")
}

// typed goes on only when one of the answers is typed.
func (c consent) typed(ctx context.Context, s streams, question string, answers ...string) error {
	if c.Yes {
		return nil
	}
	_, _ = fmt.Fprint(s.err, question)
	answered := make(chan string, 1)
	go func() {
		var answer string
		_, _ = fmt.Fscanln(s.in, &answer)
		answered <- strings.ToLower(answer)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer := <-answered:
		if slices.Contains(answers, answer) {
			return nil
		}
		return fmt.Errorf("nothing was changed; answer %s, or give --yes where nobody can answer", answers[0])
	}
}
