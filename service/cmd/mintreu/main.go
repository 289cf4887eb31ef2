// Command mintreu sells and licenses digital products: "mintreu demo" shows the whole path, "mintreu serve" runs it,
// "mintreu --help" teaches the rest.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/mintreu/mintreu/service/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
