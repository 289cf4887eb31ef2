package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// Service shows the job table to staff and lets them move what is stuck. It is safe for concurrent use.
type Service struct {
	Runner *Runner
	Tx     licensing.Transactor
	Audit  licensing.Auditor
}

// The failures that callers may act on.
var (
	ErrBusy = licensing.Fail(licensing.Conflict, "job-running", "The job runs at this moment. Look again when it has ended.")
	ErrTwin = licensing.Fail(licensing.Conflict, "job-doubled", "Another job for the same is on its way already.")
	ErrOver = licensing.Fail(licensing.Conflict, "job-over", "The job has ended already, so there is nothing to do.")
)

// View is one job as staff see it.
type View struct {
	ID          int64           `json:"id" doc:"Number of the job."`
	Kind        string          `json:"kind" doc:"What it does."`
	State       string          `json:"state" doc:"Where it stands. Retryable failed and will be tried again; discarded failed for the last time." enum:"available,scheduled,pending,running,retryable,completed,cancelled,discarded"`
	Queue       string          `json:"queue" doc:"The queue it waits in."`
	Attempt     int             `json:"attempt" doc:"How often it was tried."`
	MaxAttempts int             `json:"max_attempts" doc:"How often it may be tried."`
	Args        json.RawMessage `json:"args" doc:"What it is about: ids, never secrets."`
	Error       string          `json:"error,omitempty" doc:"Why it failed the last time."`
	CreatedAt   time.Time       `json:"created_at" doc:"When it was enqueued."`
	ScheduledAt time.Time       `json:"scheduled_at" doc:"When it runs, or could have run at the earliest."`
	AttemptedAt *time.Time      `json:"attempted_at,omitempty" doc:"When it was tried last."`
	FinalizedAt *time.Time      `json:"finalized_at,omitempty" doc:"When it ended."`
}

// maxError is how much of an error's text is shown, in bytes.
const maxError = 500

func viewOf(j *rivertype.JobRow) View {
	v := View{ID: j.ID, Kind: j.Kind, State: string(j.State), Queue: j.Queue, Attempt: j.Attempt, MaxAttempts: j.MaxAttempts, Args: json.RawMessage("null"),
		CreatedAt: j.CreatedAt.UTC(), ScheduledAt: j.ScheduledAt.UTC(), AttemptedAt: utc(j.AttemptedAt), FinalizedAt: utc(j.FinalizedAt)}
	var e envelope
	if json.Unmarshal(j.EncodedArgs, &e) == nil && len(e.Args) > 0 {
		v.Args = e.Args
	}
	if n := len(j.Errors); n > 0 {
		v.Error = strings.ToValidUTF8(j.Errors[n-1].Error, "?")
		if len(v.Error) > maxError {
			v.Error = strings.ToValidUTF8(v.Error[:maxError], "") + "…"
		}
	}
	return v
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// ListRequest asks for a page of jobs.
type ListRequest struct {
	licensing.Page
	State string `query:"state" doc:"Only jobs in this state." enum:"available,scheduled,pending,running,retryable,completed,cancelled,discarded"`
	Kind  string `query:"kind" doc:"Only jobs of this kind." example:"notice.send"`
}

// List returns jobs, the newest first. Finished ones are kept for an hour at least, failed ones for a week.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	limit := 20
	if r.Limit > 0 {
		limit = min(r.Limit, 100)
	}
	params := river.NewJobListParams().OrderBy(river.JobListOrderByID, river.SortOrderDesc).First(limit + 1)
	if r.State != "" {
		params = params.States(rivertype.JobState(r.State))
	}
	if r.Kind != "" {
		params = params.Kinds(r.Kind)
	}
	if r.Cursor != "" {
		before, err := strconv.ParseInt(r.Cursor, 10, 64)
		if err != nil {
			return licensing.List[View]{}, licensing.Fail(licensing.Invalid, "invalid-cursor", "The cursor is not one of this list.")
		}
		params = params.Where("id < @before", river.NamedArgs{"before": before})
	}
	found, err := s.Runner.outbox.List(ctx, params)
	if err != nil {
		return licensing.List[View]{}, err
	}
	out := licensing.List[View]{Items: []View{}}
	for i, j := range found.Jobs {
		if i == limit {
			out.Next = strconv.FormatInt(found.Jobs[i-1].ID, 10)
			break
		}
		out.Items = append(out.Items, viewOf(j))
	}
	return out, nil
}

// Request names a job and why it is moved.
type Request struct {
	ID     int64  `path:"id" doc:"Number of the job."`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Retry runs a job again at once that waits for its time, failed for good or was cancelled. It gets one more attempt when it had used
// all of them. A job that runs, or is done, is left alone.
func (s *Service) Retry(ctx context.Context, r Request) (View, error) {
	return s.move(ctx, r, "job.retry", func(state rivertype.JobState) error {
		switch state {
		case rivertype.JobStateRunning:
			return ErrBusy
		case rivertype.JobStateCompleted:
			return ErrOver
		}
		return nil
	}, s.Runner.outbox.Retry)
}

// Cancel gives a job up. One that runs is told to stop, and ends when it notices.
func (s *Service) Cancel(ctx context.Context, r Request) (View, error) {
	return s.move(ctx, r, "job.cancel", func(state rivertype.JobState) error {
		switch state {
		case rivertype.JobStateCompleted, rivertype.JobStateCancelled, rivertype.JobStateDiscarded:
			return ErrOver
		}
		return nil
	}, s.Runner.outbox.Cancel)
}

func (s *Service) move(ctx context.Context, r Request, action string, allowed func(rivertype.JobState) error,
	do func(ctx context.Context, id int64) (*rivertype.JobRow, error)) (v View, err error) {
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		j, err := s.Runner.outbox.Get(ctx, r.ID)
		if err != nil {
			return err
		}
		if err := allowed(j.State); err != nil {
			return err
		}
		if j, err = do(ctx, r.ID); err != nil {
			return err
		}
		v = viewOf(j)
		return s.Audit.Record(ctx, licensing.Event{Action: action, Target: strconv.FormatInt(r.ID, 10), Reason: r.Reason, Detail: map[string]any{"kind": j.Kind}})
	})
	return v, found(err)
}

// found says in the house's words that a job is not there, or that its twin is on its way already.
func found(err error) error {
	switch {
	case errors.Is(err, rivertype.ErrNotFound):
		return licensing.ErrNotFound
	case errors.Is(err, db.ErrUnique):
		return ErrTwin.Because(err)
	}
	return err
}

// Again answers the replay of an operation whose result is the job with the given number.
func (s *Service) Again(ctx context.Context, id, _ string) (View, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return View{}, licensing.ErrNotFound
	}
	j, err := s.Runner.outbox.Get(ctx, n)
	if err != nil {
		return View{}, found(err)
	}
	return viewOf(j), nil
}
