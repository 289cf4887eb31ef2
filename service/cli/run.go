package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

type runCommand struct {
	List   runList   `cmd:"" help:"Show bulk issues, imports and actions, newest first."`
	Show   runShow   `cmd:"" help:"Show how far a run is, and the rows that failed."`
	Keys   runKeys   `cmd:"" help:"Fetch the keys of a bulk issue into a file, once."`
	Cancel runCancel `cmd:"" help:"Cancel a run; what is done stays done."`
	Resume runResume `cmd:"" help:"Go on with a run that was cancelled."`
}

type runList struct {
	output
	State string `help:"Only those that are running, done or cancelled." enum:"running,done,cancelled," default:"" placeholder:"STATE"`
	About string `help:"Only those about licenses or about API keys." enum:"license,key," default:"" placeholder:"WHAT"`
	Kind  string `help:"Only those of this kind: issue, import, suspend, reinstate, revoke, extend, entitle." placeholder:"KIND"`
}

// Run shows runs.
func (c *runList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/runs"+filter("about", c.About, "state", c.State, "kind", c.Kind), "There are no such runs.", "id", "about", "kind", "state", "position", "total", "failed", "actor", "created_at")
}

type runShow struct {
	output
	ID string `arg:"" help:"Id of the run."`
}

// Run shows a run.
func (c *runShow) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		path := "/v1/runs/" + url.PathEscape(c.ID)
		if c.JSON {
			return c.pass(ctx, o, s, call{http.MethodGet, path, nil})
		}
		var r runState
		if err := o.call(ctx, http.MethodGet, path, nil, &r); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(s.out, r.text())
		if r.Failed == 0 {
			return nil
		}
		rows, err := o.some(ctx, path+"/rows?outcome=failed", 100)
		if err != nil {
			return err
		}
		return c.list(s.out, rows, "", "row", "reference", "license", "key", "problem")
	})
}

type runKeys struct {
	output
	ID string `arg:"" help:"Id of the run."`
	To string `required:"" help:"File to make with the keys, as CSV; it must not exist." placeholder:"FILE" type:"path"`
}

// Run fetches keys.
func (c *runKeys) Run(ctx context.Context, cfg app.Config, s streams) error {
	file, err := keysFile(c.To)
	if err != nil {
		return err
	}
	defer unused(file)
	return with(ctx, cfg, func(o *operator) error {
		if err := saveKeys(ctx, o, s, url.PathEscape(c.ID), file); err != nil || !c.JSON {
			return err
		}
		return c.value(s.out, map[string]string{"id": c.ID, "file": c.To})
	})
}

// runMove is what the commands that cancel or resume share.
type runMove struct {
	output
	ID     string `arg:"" help:"Id of the run."`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

type runCancel struct{ runMove }

// Run cancels.
func (c *runCancel) Run(ctx context.Context, cfg app.Config, s streams) error {
	in := map[string]any{"reason": c.Reason}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/runs/" + url.PathEscape(c.ID) + "/cancel", in}, func(a map[string]any) string {
		return fmt.Sprintf("Cancelled: %s of %s are done.", cell(a["position"]), cell(a["total"]))
	})
}

type runResume struct {
	runMove
	Detached bool `help:"Do not wait until it is done."`
}

// Run resumes.
func (c *runResume) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		_, err := c.started(ctx, o, s, call{http.MethodPost, "/v1/runs/" + url.PathEscape(c.ID) + "/resume", map[string]any{"reason": c.Reason}}, c.Detached)
		return err
	})
}

// runState is a run as a command needs it.
type runState struct {
	ID        string `json:"id"`
	Kind      string `json:"kind"`
	State     string `json:"state"`
	Total     int64  `json:"total"`
	Position  int64  `json:"position"`
	Done      int64  `json:"done"`
	Unchanged int64  `json:"unchanged"`
	Failed    int64  `json:"failed"`
}

func (r *runState) text() string {
	return fmt.Sprintf("%s: %s, %s; %d of %d: %d done, %d unchanged, %d failed.", r.ID, r.Kind, r.State, r.Position, r.Total, r.Done, r.Unchanged, r.Failed)
}

// started starts a run and, unless detached, shows how it goes until it is over. Where no service works on it, this process does.
func (o output) started(ctx context.Context, op *operator, s streams, c call, detached bool) (id string, err error) {
	var answer struct {
		runState
		Run *runState `json:"run"`
	}
	if err := op.call(ctx, c.method, c.path, c.in, &answer); err != nil {
		return "", err
	}
	r := answer.runState
	if answer.Run != nil {
		r = *answer.Run
	}
	path := "/v1/runs/" + url.PathEscape(r.ID)
	if !detached {
		if op.work != nil {
			if err := op.work(ctx, r.ID); err != nil {
				return "", err
			}
		}
		if err := follow(ctx, op, s, path, &r); err != nil {
			return "", err
		}
	}
	if o.JSON {
		err = o.pass(ctx, op, s, call{http.MethodGet, path, nil})
	} else {
		_, err = fmt.Fprintln(s.out, r.text())
	}
	if err == nil && r.Failed > 0 {
		err = fmt.Errorf("%d failed; \"mintreu run show %s\" says why", r.Failed, r.ID)
	}
	return r.ID, err
}

// follow reads a run until it is over and writes a bar on the error stream.
func follow(ctx context.Context, op *operator, s streams, path string, r *runState) error {
	for shown := int64(-1); ; {
		if err := op.call(ctx, http.MethodGet, path, nil, r); err != nil {
			return err
		}
		if r.Position != shown {
			const width = 30
			n := int(width * r.Position / max(r.Total, 1))
			_, _ = fmt.Fprintf(s.err, "[%s%s] %d of %d\n", strings.Repeat("#", n), strings.Repeat(".", width-n), r.Position, r.Total)
			shown = r.Position
		}
		if r.State == "cancelled" {
			return errors.New("the run was cancelled")
		}
		if r.State != "running" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the run goes on without this command; \"mintreu run show %s\": %w", r.ID, ctx.Err())
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// pass runs an operation and prints its answer as JSON.
func (o output) pass(ctx context.Context, op *operator, s streams, c call) error {
	var raw json.RawMessage
	if err := op.call(ctx, c.method, c.path, c.in, &raw); err != nil {
		return err
	}
	return o.value(s.out, raw)
}
