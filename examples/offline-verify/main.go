// Command offline-verify checks a license on a machine that has never been online: it reads a license file, verifies every document in it
// against the vendor's pinned root key, and decides, without a network, whether the product may run.
//
//	go run ./examples/offline-verify -product editor -root "$(mintreu keyring roots)" license.txt
//
// Its heart is [check], a dozen lines to copy.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "offline-verify:", err)
		os.Exit(1)
	}
}

// run reads the command line and the file, and prints what was found. Options are for tests.
func run(ctx context.Context, args []string, out io.Writer, options ...sdk.Option) error {
	flags := flag.NewFlagSet("offline-verify", flag.ContinueOnError)
	cfg := sdk.Config{BaseURL: "http://127.0.0.1"} // never called: nothing here needs a server; your product names yours
	flags.StringVar(&cfg.Product, "product", "", "slug of the product")
	flags.StringVar(&cfg.Env, "env", "live", "live, or test for licenses of the sandbox")
	flags.StringVar(&cfg.Version, "version", "", "version of the product, for licenses that cover versions up to a limit")
	flags.Func("root", "root public key, as `mintreu keyring roots` prints it; may be repeated", func(root string) error {
		cfg.Roots = append(cfg.Roots, root)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("name one license file")
	}
	text, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	return check(ctx, cfg, string(text), out, options...)
}

// check verifies a license file and prints what it permits. An error means that the file is not authentic, or that its license
// does not permit the product to run.
func check(ctx context.Context, cfg sdk.Config, file string, out io.Writer, options ...sdk.Option) error {
	options = append([]sdk.Option{sdk.WithStore(&sdk.MemoryStore{})}, options...) // look, but keep nothing
	client, err := sdk.New(cfg, options...)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	decision, err := client.Install(ctx, file)
	if err != nil {
		return fmt.Errorf("not authentic: %w", err)
	}
	license := client.License()
	fmt.Fprintf(out, "license   %s, plan %s, for %s\n", license.ID, license.Plan, license.Customer)
	fmt.Fprintf(out, "decision  %s: %s\n", decision.Code, decision.Explanation)
	for _, feature := range features(license.Ent) {
		fmt.Fprintf(out, "feature   %-12s allowed %t\n", feature, client.Allowed(feature))
	}
	if !decision.Allowed {
		return fmt.Errorf("not allowed: %s", decision.Code)
	}
	if decision.Mode == eval.ModeDegraded {
		fmt.Fprintln(out, "note      only the features that the license keeps are on")
	}
	return nil
}

func features[V any](granted map[string]V) []string {
	var names []string
	for name := range granted {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
