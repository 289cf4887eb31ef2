package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/walk"
)

type serveCommand struct{}

// Run serves until it is told to stop.
func (*serveCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	a, err := app.New(ctx, cfg, app.Options{Log: s.err, Listen: true})
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	if err := greet(ctx, a, cfg, s.out); err != nil {
		return err
	}
	return a.Run(ctx)
}

// greet says where everything is.
func greet(ctx context.Context, a *app.App, cfg app.Config, w io.Writer) error {
	roots, err := a.Roots(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, `Mintreu %s

  shop and API   %s
  documentation  %s/docs/
  API reference  %s/docs/api
`, app.Version(), a.BaseURL(), a.BaseURL(), a.BaseURL())
	if own := a.LocalURL(); own != a.BaseURL() {
		_, _ = fmt.Fprintf(w, "  listens on     %s\n", own)
	}
	if ops := a.OpsURL(); ops != "" {
		_, _ = fmt.Fprintf(w, "  metrics        %s/metrics\n", ops)
	}
	_, _ = fmt.Fprintf(w, "  data           %s (%s)\n  root key       %s (online; pin it in your product)\n", cfg.DataDir, a.Engine(), roots[0])
	if cfg.Sandbox() {
		_, _ = fmt.Fprintln(w, "  payments       sandbox: no real money moves")
	}
	_, err = fmt.Fprintln(w, "\nStop with Ctrl-C. \"mintreu --help\" lists what you can do meanwhile.")
	return err
}

type demoCommand struct {
	Exit bool `help:"End after the walk instead of serving on; the status tells whether every step held."`
	JSON bool `help:"Print one summary object as the last line."`
}

// Run starts the whole service and walks the golden path against it.
func (c *demoCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	started := time.Now()
	a, err := app.New(ctx, cfg, app.Options{Log: io.Discard, Listen: true})
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	served := make(chan error, 1)
	go func() { served <- a.Run(ctx) }()
	steps := s.out
	if c.JSON { // stdout then holds the summary alone
		steps = s.err
	}
	select {
	case <-a.Serving():
	case err := <-served:
		return err
	}
	_, _ = fmt.Fprintf(steps, "Mintreu %s on %s, started in %s\n\n", app.Version(), a.Engine(), time.Since(started).Round(time.Millisecond))
	summary, failed := c.walk(ctx, a, cfg, steps)
	if c.JSON {
		if err := json.NewEncoder(s.out).Encode(summary); err != nil {
			return err
		}
	}
	if failed != nil || c.Exit {
		stop()
		err := <-served
		if failed != nil {
			return errors.Join(fmt.Errorf("the walk did not hold: %w", failed), err)
		}
		return err
	}
	_, _ = fmt.Fprintln(steps)
	if err := greet(ctx, a, cfg, steps); err != nil {
		return err
	}
	return <-served
}

func (c *demoCommand) walk(ctx context.Context, a *app.App, cfg app.Config, w io.Writer) (walk.Summary, error) {
	roots, err := a.Roots(ctx)
	if err != nil {
		return walk.Summary{}, err
	}
	o, err := connect(ctx, cfg)
	if err != nil {
		return walk.Summary{}, err
	}
	defer func() { _ = o.close() }()
	n := 0
	summary, err := walk.Run(ctx, walk.Params{BaseURL: a.BaseURL(), Operator: o.call, Roots: roots,
		Invariants: func(ctx context.Context) ([]string, error) {
			found, err := a.Verify(ctx)
			words := make([]string, len(found))
			for i, v := range found {
				words[i] = v.Invariant + " " + v.Object + " " + v.Text
			}
			return words, err
		},
		Report: func(step walk.Step) {
			n++
			mark, detail := "ok  ", step.Detail
			if step.Err != "" {
				mark, detail = "FAIL", step.Err
			}
			_, _ = fmt.Fprintf(w, "%2d  %s  %-28s %9.1f ms   %s\n", n, mark, step.Name, step.Millis, detail)
		}})
	if err == nil {
		_, _ = fmt.Fprintf(w, "\nEvery step held, %.0f ms in all.\n", summary.Millis)
	}
	return summary, err
}
