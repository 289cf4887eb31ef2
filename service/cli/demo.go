package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/walk"
)

type demoCommand struct {
	Exit bool `help:"End after the walk instead of serving on; the status tells whether every step held."`
	JSON bool `help:"Print one summary object as the last line of the output." short:"j"`
}

// demoDir is where the demo keeps its own data, apart from that of a shop.
const demoDir = "mintreu-demo"

// Run starts the whole service and walks the golden path against it.
func (c *demoCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	steps := s.out
	if c.JSON { // stdout then holds the summary alone
		steps = s.err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	started := time.Now()
	a, cfg, moved, err := openDemo(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = a.Close() }()
	served := make(chan error, 1)
	go func() { served <- a.Run(ctx) }()
	select {
	case <-a.Serving():
	case err := <-served:
		return err
	}
	_, _ = fmt.Fprintf(steps, "Mintreu %s on %s, started in %d ms\n", app.Version(), a.Engine(), time.Since(started).Milliseconds())
	if moved {
		_, _ = fmt.Fprintf(steps, "The usual port is taken by another program, so the demo listens on %s\n", a.LocalURL())
	}
	_, _ = fmt.Fprintln(steps)
	summary, broken := c.walk(ctx, a, cfg, steps)
	if c.JSON {
		if err := json.NewEncoder(s.out).Encode(summary); err != nil {
			return err
		}
	}
	if broken != nil || c.Exit {
		interrupted := ctx.Err()
		stop()
		err := <-served
		switch {
		case interrupted != nil:
			return interrupted
		case broken != nil:
			return errors.Join(fmt.Errorf("the walk did not hold: %w", broken), err)
		}
		return err
	}
	_, _ = fmt.Fprintln(steps)
	if err := greet(ctx, a, cfg, steps); err != nil {
		return err
	}
	if err := <-served; err != nil {
		return err
	}
	_, err = fmt.Fprintln(steps, "Stopped.")
	return err
}

// openDemo opens the service in the demo's own directory, and on free ports when the usual ones are taken: moved. What was asked for is
// never replaced.
func openDemo(ctx context.Context, asked app.Config) (a *app.App, cfg app.Config, moved bool, err error) {
	cfg = asked
	defaults(&cfg, demoDir)
	a, err = app.New(ctx, cfg, app.Options{Log: io.Discard, Listen: true})
	if !errors.Is(err, syscall.EADDRINUSE) || asked.Addr != "" && asked.OpsAddr != "" {
		return a, cfg, false, err
	}
	if asked.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if asked.OpsAddr == "" {
		cfg.OpsAddr = "127.0.0.1:0"
	}
	a, err = app.New(ctx, cfg, app.Options{Log: io.Discard, Listen: true})
	return a, cfg, true, err
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
			report(w, n, step)
		}})
	if err == nil {
		_, _ = fmt.Fprintf(w, "\nEvery step held, %.0f ms in all.\n", summary.Millis)
	}
	return summary, err
}

// report shows one step: what and how long, then what was seen.
func report(w io.Writer, n int, step walk.Step) {
	mark, detail := "ok  ", step.Detail
	if step.Err != "" {
		mark, detail = "FAIL", step.Err
	}
	_, _ = fmt.Fprintf(w, "%2d  %s  %-54s %9.1f ms\n", n, mark, step.Name, step.Millis)
	if detail != "" {
		_, _ = fmt.Fprintf(w, "          %s\n", strings.Join(wrap(printable(detail, false), helpWidth-10), "\n          "))
	}
}
