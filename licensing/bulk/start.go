package bulk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// RowSpec is one license of a bulk issue.
type RowSpec struct {
	Whom
	What
}

// IssueManyRequest asks for many licenses of one policy: so many alike, or one for each row.
type IssueManyRequest struct {
	From
	Whom
	Count int64     `json:"count,omitempty" doc:"How many licenses, all alike, at most 10,000; instead of rows."`
	Rows  []RowSpec `json:"rows,omitempty" doc:"One license each, at most 10,000. Rows that name nobody go to the owner or e-mail of the request."`
}

// Validate checks the form.
func (r *IssueManyRequest) Validate() error {
	c := &checker{err: errForm}
	r.From.check(c)
	r.Whom.check(c, "")
	n := int64(len(r.Rows))
	c.that((r.Count == 0) != (n == 0), "/count", "give either count or rows")
	c.that(r.Count >= 0 && r.Count <= MaxRows && n <= MaxRows, "/count", "must be 1 to %d", MaxRows)
	nobody := r.Owner == "" && r.Email == ""
	c.that(r.Count == 0 || !nobody, "/owner", "is missing, and email too: say who gets the licenses")
	seen := map[string]int{}
	for i := range r.Rows {
		row := &r.Rows[i]
		row.Whom.check(c, at(i, ""))
		c.that(!nobody || row.Owner != "" || row.Email != "", at(i, "/owner"), "is missing, and email too: say who gets the license")
		row.What.check(c, at(i, ""))
		if first, twice := seen[row.Reference]; twice && row.Reference != "" {
			c.that(false, at(i, "/reference"), "stands in row %d already", first)
		}
		seen[row.Reference] = i
	}
	return c.result()
}

// IssueMany writes down what is to be issued and answers with the run that will do it.
func (s *Service) IssueMany(ctx context.Context, r IssueManyRequest) (RunView, error) {
	m, err := s.making(ctx, r.From)
	if err != nil {
		return RunView{}, err
	}
	m.Source = license.FromGrant
	if r.Owner != "" || r.Email != "" {
		owner, err := s.owner(ctx, r.Whom)
		if err != nil {
			return RunView{}, err
		}
		m.Owner = string(owner)
	}
	nobody, err := s.nobody(ctx, len(r.Rows), func(i int) string { return r.Rows[i].Owner })
	if err != nil {
		return RunView{}, err
	}
	m.Items = make([]item, len(r.Rows))
	for i, row := range r.Rows {
		if nobody[row.Owner] {
			return RunView{}, errOwner.With(at(i, "/owner"), "is nobody's id")
		}
		if row.Email != "" {
			if row.Email, err = s.Owners.NormalEmail(row.Email); err != nil {
				return RunView{}, errForm.With(at(i, "/email"), "must be an address like name@example.com")
			}
		}
		m.Items[i] = item{Whom: row.Whom, What: row.What}
	}
	return s.start(ctx, Run{About: Licenses, Kind: Issue, ProductID: m.Product.ID, PolicyID: m.Policy, Env: m.Env, Reason: r.Reason, Total: max(r.Count, int64(len(r.Rows)))}, m)
}

// start keeps a run with its input and enqueues its work.
func (s *Service) start(ctx context.Context, r Run, input any) (RunView, error) {
	text, err := json.Marshal(input)
	if err != nil {
		return RunView{}, err
	}
	now := s.Clock.Now()
	r.ID, r.State, r.Actor, r.CreatedAt, r.UpdatedAt = s.IDs.New("run"), Running, licensing.ActorFrom(ctx).String(), now, now
	sealed, err := s.Seal.Seal(text, inputPlace(r.ID))
	if err != nil {
		return RunView{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Store.AddRun(ctx, r, sealed); err != nil {
			return err
		}
		if err := s.enqueue(ctx, &r, ""); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "run.start", Target: r.ID, Product: r.ProductID, Reason: r.Reason,
			Detail: map[string]any{"about": r.About, "kind": r.Kind, "rows": r.Total, "policy": r.PolicyID}})
	})
	if err != nil {
		return RunView{}, err
	}
	return viewOf(&r), nil
}

// enqueue adds the job that goes on with a run from its position. Position and why are the job's identity, so that a run whose worker died
// is picked up by another job while the dead one still counts as running.
func (s *Service) enqueue(ctx context.Context, r *Run, why string) error {
	return s.Jobs.Enqueue(ctx, licensing.Job{Kind: JobWork, Unique: fmt.Sprintf("%s/%d/%s", r.ID, r.Position, why), Args: Job{Run: r.ID}})
}

// RunView is a run as callers see it.
type RunView struct {
	ID        string     `json:"id" doc:"The run."`
	About     string     `json:"about" doc:"What it works on: licenses or API keys." enum:"license,key"`
	Kind      string     `json:"kind" doc:"What it does." enum:"issue,import,suspend,reinstate,revoke,extend,entitle"`
	State     string     `json:"state" doc:"Where it stands; one that was cancelled can be resumed." enum:"running,done,cancelled"`
	Product   string     `json:"product,omitempty" doc:"Id of the product; absent when it is about several."`
	Policy    string     `json:"policy,omitempty" doc:"Id of the policy that licenses are made from."`
	Env       string     `json:"env,omitempty" doc:"Environment." enum:"live,test"`
	Actor     string     `json:"actor" doc:"Who asked for it."`
	Reason    string     `json:"reason" doc:"Why."`
	Total     int64      `json:"total" doc:"Rows, licenses or keys that it is about."`
	Position  int64      `json:"position" doc:"How many of them have been dealt with."`
	Done      int64      `json:"done" doc:"Those that were issued or changed."`
	Unchanged int64      `json:"unchanged" doc:"Those for which nothing was to be done: the license or key existed, or stood like that already."`
	Failed    int64      `json:"failed" doc:"Those that could not be dealt with; the rows say why."`
	KeysTaken *time.Time `json:"keys_taken_at,omitempty" doc:"When the keys were fetched, which works once."`
	CreatedAt time.Time  `json:"created_at" doc:"When it was asked for."`
	UpdatedAt time.Time  `json:"updated_at" doc:"When it last moved."`
	EndedAt   *time.Time `json:"ended_at,omitempty" doc:"When it ended."`
}

func viewOf(r *Run) RunView {
	return RunView{ID: r.ID, About: string(r.About), Kind: string(r.Kind), State: string(r.State), Product: r.ProductID, Policy: r.PolicyID, Env: string(r.Env), Actor: r.Actor, Reason: r.Reason,
		Total: r.Total, Position: r.Position, Done: r.Done, Unchanged: r.Unchanged, Failed: r.Failed, KeysTaken: instant(r.KeysAt), CreatedAt: r.CreatedAt,
		UpdatedAt: r.UpdatedAt, EndedAt: instant(r.EndedAt)}
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
