package bulk

import (
	"context"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// RunRequest names a run.
type RunRequest struct {
	ID string `path:"id" doc:"The run."`
}

// run is the one door by which operations reach a run by id: a machine token sees those of its product and environment alone, about what it has
// the scope for.
func (s *Service) run(ctx context.Context, id string) (Run, error) {
	r, err := s.Store.Run(ctx, id)
	a := licensing.ActorFrom(ctx)
	if err == nil && a.Kind == licensing.Machine && (!a.Has(r.About.Scope()) || a.Product != "" && a.Product != r.ProductID || a.Env != "" && a.Env != r.Env) {
		return Run{}, licensing.ErrNotFound
	}
	return r, err
}

// GetRun tells how far a run is.
func (s *Service) GetRun(ctx context.Context, r RunRequest) (RunView, error) {
	run, err := s.run(ctx, r.ID)
	return viewOf(&run), err
}

// RunAgain answers a replay of an operation whose result is the run with the given id.
func (s *Service) RunAgain(ctx context.Context, id, _ string) (RunView, error) {
	return s.GetRun(ctx, RunRequest{ID: id})
}

// ListRequest asks for a page of runs.
type ListRequest struct {
	licensing.Page
	About   string `query:"about" doc:"Only those that work on these." enum:"license,key"`
	Kind    string `query:"kind" doc:"Only those that do this." enum:"issue,import,suspend,reinstate,revoke,extend,entitle"`
	State   string `query:"state" doc:"Only those in this state." enum:"running,done,cancelled"`
	Product string `query:"product" doc:"Only those about this product (its id)."`
}

// ListRuns lists runs, the newest first.
func (s *Service) ListRuns(ctx context.Context, r ListRequest) (licensing.List[RunView], error) {
	f := Filter{About: About(r.About), Kind: Kind(r.Kind), State: State(r.State), Product: r.Product}
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Machine {
		if f.Env = a.Env; a.Product != "" {
			f.Product = a.Product
		}
		open := slices.DeleteFunc([]About{Licenses, APIKeys}, func(about About) bool { return !a.Has(about.Scope()) || f.About != "" && f.About != about })
		if len(open) == 0 {
			return licensing.List[RunView]{Items: []RunView{}}, nil
		}
		if len(open) == 1 {
			f.About = open[0]
		}
	}
	list, err := s.Store.ListRuns(ctx, f, r.Page)
	if err != nil {
		return licensing.List[RunView]{}, err
	}
	out := licensing.List[RunView]{Items: make([]RunView, len(list.Items)), Next: list.Next}
	for i := range list.Items {
		out.Items[i] = viewOf(&list.Items[i])
	}
	return out, nil
}

// RowsRequest asks for the rows of a run.
type RowsRequest struct {
	licensing.Page
	ID      string `path:"id" doc:"The run."`
	Outcome string `query:"outcome" doc:"Only rows that ended like this." enum:"done,unchanged,failed"`
}

// RowView is what became of a row.
type RowView struct {
	Row       int64  `json:"row" doc:"Number of the row, from 1."`
	Outcome   string `json:"outcome" doc:"What became of it." enum:"done,unchanged,failed"`
	License   string `json:"license,omitempty" doc:"The license that was made, found or changed."`
	Key       string `json:"key,omitempty" doc:"The API key, by id, that was made, found or changed."`
	Reference string `json:"reference,omitempty" doc:"The reference that the row gave."`
	Problem   string `json:"problem,omitempty" doc:"Why it failed, and what would be right."`
}

// Rows lists the rows of a run that have been dealt with, in order.
func (s *Service) Rows(ctx context.Context, r RowsRequest) (licensing.List[RowView], error) {
	if _, err := s.run(ctx, r.ID); err != nil {
		return licensing.List[RowView]{}, err
	}
	list, err := s.Results.Rows(ctx, r.ID, Outcome(r.Outcome), r.Page)
	if err != nil {
		return licensing.List[RowView]{}, err
	}
	out := licensing.List[RowView]{Items: make([]RowView, len(list.Items)), Next: list.Next}
	for i, row := range list.Items {
		out.Items[i] = RowView{Row: row.Num, Outcome: string(row.Outcome), License: row.License, Key: row.Key, Reference: row.Reference, Problem: row.Problem}
	}
	return out, nil
}

// The failures that callers may act on.
var (
	ErrOver  = licensing.Fail(licensing.Conflict, "run-over", "The run has ended already, so there is nothing to do.")
	ErrGoing = licensing.Fail(licensing.Conflict, "run-running", "The run is still under way. Look again when it has ended.")
	ErrKeys  = licensing.Fail(licensing.Gone, "keys-taken", "The keys of this run were fetched before. Single keys can still be shown, license by license.")
	ErrNoKey = licensing.Fail(licensing.Conflict, "no-keys", "Only a run that issued licenses has keys.")
)

// MoveRequest names a run and says why it is cancelled or resumed.
type MoveRequest struct {
	ID     string `path:"id" doc:"The run."`
	Reason string `json:"reason" doc:"Why, for the audit trail; at most 500 bytes."`
}

// Validate checks the form.
func (r *MoveRequest) Validate() error { return licensing.CheckReason(r.Reason) }

// Cancel stops a run behind the batch that is under way; what is done stays done, and the answer says exactly how much that is.
func (s *Service) Cancel(ctx context.Context, r MoveRequest) (RunView, error) {
	return s.move(ctx, r, "run.cancel", Running, Cancelled)
}

// Resume goes on with a run that was cancelled.
func (s *Service) Resume(ctx context.Context, r MoveRequest) (RunView, error) {
	return s.move(ctx, r, "run.resume", Cancelled, Running)
}

func (s *Service) move(ctx context.Context, r MoveRequest, action string, from, to State) (RunView, error) {
	if _, err := s.run(ctx, r.ID); err != nil {
		return RunView{}, err
	}
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		run, err := s.Store.HoldRun(ctx, r.ID)
		if err != nil {
			return err
		}
		if run.State != from {
			if run.State == Running {
				return ErrGoing
			}
			return ErrOver
		}
		if err := s.Store.SetRun(ctx, r.ID, to, s.Clock.Now()); err != nil {
			return err
		}
		if to == Running {
			if err := s.enqueue(ctx, &run, "resumed"); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, licensing.Event{Action: action, Target: run.ID, Product: run.ProductID, Reason: r.Reason,
			Detail: map[string]any{"position": run.Position, "done": run.Done, "unchanged": run.Unchanged, "failed": run.Failed}})
	})
	if err != nil {
		return RunView{}, err
	}
	return s.GetRun(ctx, RunRequest{ID: r.ID})
}

// KeysResponse is the keys of a run, once.
type KeysResponse struct {
	ID  string `json:"id" doc:"The run."`
	CSV string `json:"csv" doc:"A CSV file: row, reference, license, owner, email, licensee, key, valid_until. Cells that a spreadsheet would take for a formula begin with an apostrophe." secret:"once"`
}

// Keys returns the license keys that a run of kind issue made, as a CSV file, once. A replay of the Idempotency-Key within ten minutes gets
// them again; after that single keys can be shown, license by license.
func (s *Service) Keys(ctx context.Context, r RunRequest) (KeysResponse, error) {
	run, err := s.run(ctx, r.ID)
	switch {
	case err != nil:
		return KeysResponse{}, err
	case run.Kind != Issue:
		return KeysResponse{}, ErrNoKey
	case run.State == Running:
		return KeysResponse{}, ErrGoing
	case !run.KeysAt.IsZero():
		return KeysResponse{}, ErrKeys
	}
	text, err := s.keysText(ctx, run.ID)
	if err != nil {
		return KeysResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		held, err := s.Store.HoldRun(ctx, run.ID)
		if err != nil {
			return err
		}
		if held.State == Running || held.Position != run.Position {
			return ErrGoing
		}
		taken, err := s.Results.TakeKeys(ctx, run.ID, s.Clock.Now())
		if err != nil {
			return err
		}
		if !taken {
			return ErrKeys
		}
		licensing.KeepOnce(ctx, "taken") // the keys themselves are where the licenses are
		return s.Audit.Record(ctx, licensing.Event{Action: "run.keys", Target: run.ID, Product: run.ProductID, Detail: map[string]any{"keys": run.Done}})
	})
	if err != nil {
		return KeysResponse{}, err
	}
	return KeysResponse{ID: run.ID, CSV: text}, nil
}

// KeysAgain answers a replay of Keys.
func (s *Service) KeysAgain(ctx context.Context, id, secret string) (KeysResponse, error) {
	if secret == "" {
		return KeysResponse{}, ErrKeys
	}
	text, err := s.keysText(ctx, id)
	return KeysResponse{ID: id, CSV: text}, err
}

// keysText writes the file of keys.
func (s *Service) keysText(ctx context.Context, run string) (string, error) {
	var b strings.Builder
	out := csv.NewWriter(&b)
	if err := out.Write([]string{"row", "reference", "license", "owner", "email", "licensee", "key", "valid_until"}); err != nil {
		return "", err
	}
	for after := int64(0); ; {
		page, err := s.Results.Issued(ctx, run, after, 1000)
		if err != nil {
			return "", err
		}
		if len(page) == 0 {
			out.Flush()
			return b.String(), out.Error()
		}
		for _, l := range page {
			key, err := s.Seal.Open(l.KeySealed, license.KeyPlace(l.License))
			if err != nil {
				return "", err
			}
			end := ""
			if !l.ValidUntil.IsZero() {
				end = l.ValidUntil.UTC().Format(time.RFC3339)
			}
			row := []string{strconv.FormatInt(l.Num, 10), l.Reference, l.License, l.Owner, l.Email, l.Licensee, string(key), end}
			if err := out.Write(licensing.Inert(row)); err != nil {
				return "", err
			}
			after = l.Num
		}
	}
}
