// Command activate-in-app is a small product with a license: the customer activates it once with the key from the purchase mail; from then
// on it starts offline, and a paid feature asks before it runs.
//
//	activate-in-app -server URL -root ROOT -product editor activate EDIT-…   # once
//	activate-in-app … status                                               # what holds, and why
//	activate-in-app … export                                               # the paid feature
//	activate-in-app … deactivate                                           # give the seat back
//
// A real product has server, root and product built in as constants; here they are flags so that it can be tried against any
// Mintreu. What it keeps lies in the user's directory for configuration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "activate-in-app:", err)
		stop()
		os.Exit(1)
	}
}

// errRefused is what a command without permission ends with; the reason has been printed.
var errRefused = errors.New("the license does not permit it")

// run is one start of the product. Options are for tests.
func run(ctx context.Context, args []string, out io.Writer, options ...sdk.Option) error {
	flags := flag.NewFlagSet("activate-in-app", flag.ContinueOnError)
	cfg := sdk.Config{Version: "1.0.0"}
	root := flags.String("root", "", "root public key, as `mintreu keyring roots` prints it")
	flags.StringVar(&cfg.BaseURL, "server", "", "address of the vendor's Mintreu")
	flags.StringVar(&cfg.Product, "product", "", "slug of the product")
	flags.StringVar(&cfg.Env, "env", "live", "live, or test for licenses of the sandbox")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg.Roots = []string{*root}
	client, err := sdk.New(cfg, options...)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()

	switch flags.Arg(0) {
	case "activate":
		return tell(out)(client.Activate(ctx, flags.Arg(1)))
	case "status":
		return tell(out)(client.Check(ctx))
	case "export":
		return export(ctx, client, out)
	case "deactivate":
		if err := client.Deactivate(ctx); err != nil {
			return err
		}
		fmt.Fprintln(out, "The seat is free again.")
		return nil
	}
	return errors.New("say activate KEY, status, export or deactivate")
}

// export is the paid feature. Check decides from what is at hand and calls the server only when contact is due; Allowed is
// cheap enough for the innermost loop.
func export(ctx context.Context, client *sdk.Client, out io.Writer) error {
	if _, err := client.Check(ctx); err != nil {
		return err // not a no: nothing could be decided, for example because the disk cannot be read
	}
	if !client.Allowed("export") {
		fmt.Fprintln(out, "Export is part of the Pro plan. Activate a license to use it.")
		return errRefused
	}
	fmt.Fprintf(out, "Exported up to %d projects.\n", client.Limit("projects"))
	return nil
}

// tell prints a decision for the customer.
func tell(out io.Writer) func(eval.Decision, error) error {
	return func(d eval.Decision, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s\n", d.Code, d.Explanation)
		if !d.Allowed {
			return errRefused
		}
		return nil
	}
}
