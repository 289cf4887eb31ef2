package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mintreu/mintreu/service/app"
)

type serveCommand struct{}

// Run serves until it is told to stop.
func (*serveCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	defer app.RoomForGarbage()()
	a, err := app.New(ctx, cfg, app.Options{Log: s.err, Listen: true})
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	if err := greet(ctx, a, cfg, s.out); err != nil {
		return err
	}
	if err := a.Run(ctx); err != nil && (ctx.Err() == nil || !errors.Is(err, context.Canceled)) { // a signal during the start is a clean end too
		return err
	}
	_, err = fmt.Fprintln(s.out, "Stopped.")
	return err
}

// greet says where everything is, and what must change before customers come.
func greet(ctx context.Context, a *app.App, cfg app.Config, w io.Writer) error {
	roots, err := a.Roots(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "Mintreu %s\n\n", app.Version())
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "  %-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("shop and API", "%s", a.BaseURL())
	row("documentation", "%s/docs/", a.BaseURL())
	row("API reference", "%s/docs/api", a.BaseURL())
	if own := a.LocalURL(); own != a.BaseURL() {
		row("listens on", "%s", own)
	}
	if ops := a.OpsURL(); ops != "" {
		row("metrics", "%s/metrics", ops)
	}
	row("database", "%s", a.Engine())
	row("data", "%s", cfg.DataDir)
	for _, r := range roots {
		row("root key", "%s", r)
	}
	link, err := a.OwnerLink(ctx)
	if err != nil {
		return err
	}
	if link != "" {
		_, _ = fmt.Fprintf(w, "\n  Nobody is owner yet. Whoever opens this link first becomes it:\n  %s\n", link)
	}
	online, err := a.RootOnline(ctx)
	if err != nil {
		return err
	}
	var warnings []string
	if online {
		warnings = append(warnings, "Root online: its private part is in this installation. Whoever copies the data directory and the master key can sign licenses; back both up, apart from each other. \"mintreu keyring root export\" moves the root offline.")
	}
	if cfg.Sandbox() {
		warnings = append(warnings, "Payments go to the sandbox: no real money moves. Give --stripe-key-file and --stripe-webhook-secret-file to sell.")
	}
	if !cfg.Production {
		warnings = append(warnings, "This is not --production, which refuses whatever must not reach customers.")
	}
	_, _ = fmt.Fprintln(w)
	for _, text := range warnings {
		_, _ = fmt.Fprintf(w, "  ! %s\n", strings.Join(wrap(text, helpWidth-6), "\n    "))
	}
	_, err = fmt.Fprintf(w, "\nPin the root key in your product. Stop with Ctrl-C. Meanwhile, in another terminal:\n  mintreu %slicense list\n", where(cfg))
	return err
}

// where is how other commands name the same installation.
func where(cfg app.Config) string {
	if base := strings.TrimSuffix(cfg.DataDir, "/"); !strings.HasSuffix(base, "/mintreu-data") {
		return "--data-dir " + base + " "
	}
	return ""
}
