package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/license"
)

// errMoved says that somebody else went on with a run, or cancelled it.
var errMoved = errors.New("bulk: the run is not where it was")

// plan is the work of a run, read from its input.
type plan interface {
	// prepare does what belongs before the transaction for the n rows behind from, and returns what belongs inside: it says what
	// became of each row.
	prepare(ctx context.Context, r *Run, from int64, n int) (commit func(ctx context.Context) ([]Row, error), err error)
}

// Work goes on with a run until it is done, cancelled, or has worked for a while; then it enqueues itself again, so that no job runs for
// long. It is the handler of [JobWork].
func (s *Service) Work(ctx context.Context, args json.RawMessage) error {
	var j Job
	if err := json.Unmarshal(args, &j); err != nil {
		return err
	}
	r, err := s.Store.Run(ctx, j.Run)
	if err != nil || r.State != Running {
		return err
	}
	p, err := s.plan(ctx, &r)
	if err != nil {
		return err
	}
	began := s.Clock.Now()
	var ready *part
	for r.State == Running && r.Position < r.Total {
		if ready, err = s.step(ctx, &r, p, ready); errors.Is(err, errMoved) {
			return nil
		} else if err != nil {
			return err
		}
		if s.Clock.Now().Sub(began) > workFor {
			break
		}
	}
	if r.State == Running && r.Position < r.Total {
		return s.enqueue(ctx, &r, "")
	}
	return nil
}

// attempts is how often a batch is drafted anew when somebody else took one of its places.
const attempts = 5

// part is a batch that is ready for its transaction, or why it is not.
type part struct {
	n      int
	commit func(ctx context.Context) ([]Row, error)
	err    error
}

func (s *Service) part(ctx context.Context, r *Run, p plan, from int64) *part {
	b := &part{n: min(s.batch(r), int(r.Total-from))}
	b.commit, b.err = p.prepare(ctx, r, from, b.n)
	return b
}

// step does one batch, the one that is ready if any. Meanwhile the licenses of the batch behind it are made and signed, which is then ready: what
// it finds of the one before is decided when it is stored, as with anybody else's licenses. Where a transaction keeps all others from writing, they
// are made afterwards, so that it is short.
func (s *Service) step(ctx context.Context, r *Run, p plan, ready *part) (next *part, err error) {
	if ready == nil {
		ready = s.part(ctx, r, p, r.Position)
	}
	var making sync.WaitGroup
	if from, was := r.Position+int64(ready.n), *r; ready.err == nil && from < r.Total && r.Kind.makes() && !s.Small {
		making.Go(func() { next = s.part(ctx, &was, p, from) })
	}
	for attempt := 1; ; attempt++ {
		if err = ready.err; err == nil {
			err = s.commit(ctx, r, ready.n, ready.commit)
		}
		if attempt == attempts || !errors.Is(err, license.ErrCollision) && !errors.Is(err, license.ErrChanged) && !errors.Is(err, apikey.ErrTaken) {
			break
		}
		ready = s.part(ctx, r, p, r.Position)
	}
	making.Wait()
	return next, err
}

// commit does the part of a batch that belongs into a transaction, in which the run moves too. r is then as it stands.
func (s *Service) commit(ctx context.Context, r *Run, n int, do func(context.Context) ([]Row, error)) error {
	var after Run
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		held, err := s.Store.HoldRun(ctx, r.ID)
		if err != nil {
			return err
		}
		if held.State != Running || held.Position != r.Position {
			return errMoved
		}
		rows, err := do(ctx)
		if err != nil {
			return err
		}
		if len(rows) != n {
			return fmt.Errorf("bulk: %d rows of a batch of %d", len(rows), n)
		}
		now := s.Clock.Now()
		if err := s.Store.Advance(ctx, r.ID, rows, now); err != nil {
			return err
		}
		if after, err = s.Store.Run(ctx, r.ID); err != nil || after.Position < after.Total {
			return err
		}
		after.State, after.EndedAt = Done, now
		if err := s.Store.SetRun(ctx, r.ID, Done, now); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "run.done", Target: r.ID, Product: r.ProductID,
			Detail: map[string]any{"kind": r.Kind, "done": after.Done, "unchanged": after.Unchanged, "failed": after.Failed}})
	})
	if err == nil {
		*r = after
	}
	return err
}

// plan reads the input of a run.
func (s *Service) plan(ctx context.Context, r *Run) (plan, error) {
	sealed, err := s.Store.Input(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	text, err := s.Seal.Open(sealed, inputPlace(r.ID))
	if err != nil {
		return nil, err
	}
	if r.Kind == Import && r.About == APIKeys {
		p := &keyPlan{service: s}
		return p, json.Unmarshal(text, &p.keyMaking)
	}
	if r.Kind.makes() {
		p := &makingPlan{service: s}
		return p, json.Unmarshal(text, &p.making)
	}
	var a acting
	err = json.Unmarshal(text, &a)
	if r.About == APIKeys {
		return s.onKeys(a), err
	}
	return s.onLicenses(a), err
}

// Sweep enqueues the runs that nobody goes on with, because whoever did died.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Clock.Now()
	stalled, err := s.Store.Stalled(ctx, now.Add(-staleAfter), 100)
	for i := range stalled {
		err = errors.Join(err, s.enqueue(ctx, &stalled[i], now.Truncate(staleAfter).Format(time.RFC3339)))
	}
	return err
}

// makingPlan makes licenses.
type makingPlan struct {
	service *Service
	making
}

func (p *makingPlan) prepare(ctx context.Context, r *Run, from int64, n int) (func(context.Context) ([]Row, error), error) {
	items, err := p.owned(ctx, from, n)
	if err != nil {
		return nil, err
	}
	specs := make([]license.IssueSpec, n)
	for i := range items {
		specs[i] = p.spec(&items[i], p.sourceID(items[i].Reference, r.ID+"/"+strconv.FormatInt(from+int64(i)+1, 10)))
		specs[i].New = items[i].Reference == ""
	}
	drafted, err := p.service.Licenses.DraftMany(ctx, specs)
	if err != nil {
		return nil, err
	}
	rows, drafts := make([]Row, n), make([]*license.Draft, 0, n)
	for i, d := range drafted {
		rows[i] = Row{Num: from + int64(i) + 1, Reference: items[i].Reference}
		switch {
		case d.Err != nil:
			rows[i].Outcome, rows[i].Problem = OutcomeFailed, problem(d.Err)
		case d.Draft == nil:
			rows[i].Outcome, rows[i].License = OutcomeUnchanged, d.Existing
		default:
			rows[i].Outcome, rows[i].License = OutcomeDone, d.Draft.License.ID
			drafts = append(drafts, d.Draft)
		}
	}
	return func(ctx context.Context) ([]Row, error) {
		return rows, p.service.Licenses.IssueMany(ctx, drafts, map[string]any{"run": r.ID})
	}, nil
}

// owned are the items of a batch with the owner of each. Addresses become customers in a transaction of their own: to do that twice changes
// nothing.
func (p *makingPlan) owned(ctx context.Context, from int64, n int) ([]item, error) {
	items := make([]item, n)
	if len(p.Items) > 0 {
		copy(items, p.Items[from:from+int64(n)])
	}
	whom := make([]*Whom, n)
	for i := range items {
		whom[i] = &items[i].Whom
	}
	return items, p.service.own(ctx, whom, p.Owner)
}

// own replaces addresses by the customers whose they are, and nobody by an owner.
func (s *Service) own(ctx context.Context, whom []*Whom, nobody string) error {
	var emails []string
	seen := map[string]bool{}
	for _, w := range whom {
		if w.Email != "" && !seen[w.Email] {
			seen[w.Email] = true
			emails = append(emails, w.Email)
		}
	}
	owners, err := s.Owners.Guests(ctx, emails)
	if err != nil {
		return err
	}
	for _, w := range whom {
		switch {
		case w.Email != "":
			w.Owner = string(owners[w.Email])
		case w.Owner == "":
			w.Owner = nobody
		}
	}
	return nil
}

// problem is what a person reads of why a row failed.
func problem(err error) string {
	var e *licensing.Error
	if !errors.As(err, &e) {
		return "Something went wrong; see the log."
	}
	text := e.Text
	for _, f := range e.Fields {
		text += " " + f.Name + ": " + f.Detail + "."
	}
	return text
}
