package bulk

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/license"
)

// Search finds licenses, as the list of licenses does.
type Search struct {
	Owner   string `json:"owner,omitempty" doc:"Only those of this customer or organisation, by id."`
	Product string `json:"product,omitempty" doc:"Only those of this product, by id."`
	State   string `json:"state,omitempty" doc:"Only those in this state." enum:"active,suspended,revoked"`
	Env     string `json:"env,omitempty" doc:"Only those of this environment." enum:"live,test"`
	Query   string `json:"q,omitempty" doc:"Find by what is at hand: the id of a license or of its owner, the owner's e-mail address, or the last characters of the key." example:"ada@example.com"`
}

func (f Search) filter() license.Filter {
	return license.ListRequest{Owner: f.Owner, Product: f.Product, State: f.State, Env: f.Env, Query: f.Query}.Filter()
}

// CountRequest asks how many licenses a search finds.
type CountRequest struct {
	Owner   string `query:"owner" doc:"Only those of this customer or organisation, by id."`
	Product string `query:"product" doc:"Only those of this product, by id."`
	State   string `query:"state" doc:"Only those in this state." enum:"active,suspended,revoked"`
	Env     string `query:"env" doc:"Only those of this environment." enum:"live,test"`
	Query   string `query:"q" doc:"Find by what is at hand: the id of a license or of its owner, the owner's e-mail address, or the last characters of the key." example:"ada@example.com"`
}

// CountResponse is how many a search finds.
type CountResponse struct {
	Count int64 `json:"count" doc:"How many licenses the search finds now."`
}

// Count counts the licenses that a search finds: what an action on them would be about.
func (s *Service) Count(ctx context.Context, r CountRequest) (CountResponse, error) {
	n, err := s.Results.Count(ctx, Search(r).filter())
	return CountResponse{Count: n}, err
}

// ActRequest asks for one thing to be done to every license that a search finds.
type ActRequest struct {
	Action       string               `json:"action" doc:"What is done to each license." enum:"suspend,reinstate,revoke,extend,entitle"`
	Search       Search               `json:"search" doc:"Which licenses. Without any member it is all of them."`
	Count        int64                `json:"count" doc:"How many licenses the search found when it was looked at. Another number now refuses the action."`
	Reason       string               `json:"reason" doc:"Why, for the audit trail and the holders' support; 1 to 500 bytes."`
	Days         int64                `json:"days,omitempty" doc:"For extend: how many days are added to the end. Licenses without an end stay as they are."`
	Entitlements license.Entitlements `json:"entitlements,omitempty" doc:"For entitle: features to add or replace, by code."`
}

// Validate checks the form.
func (r *ActRequest) Validate() error {
	c := &checker{err: errForm}
	kind := Kind(r.Action)
	c.that(kind == Suspend || kind == Reinstate || kind == Revoke || kind == Extend || kind == Entitle, "/action", "must be suspend, reinstate, revoke, extend or entitle")
	c.that(r.Reason != "" && len(r.Reason) <= 500, "/reason", "say why, in at most 500 bytes")
	c.that(r.Count > 0 && r.Count <= MaxActed, "/count", "must be 1 to %d; narrow the search, or do it in parts", MaxActed)
	c.that((kind == Extend) == (r.Days != 0), "/days", "belongs to extend, and to nothing else")
	c.that(r.Days >= 0 && r.Days <= 36_600, "/days", "must be 1 to 36600")
	c.that((kind == Entitle) == (len(r.Entitlements) > 0), "/entitlements", "belong to entitle, and to nothing else")
	if text := r.Entitlements.Fault(); text != "" {
		c.that(false, "/entitlements", "%s", text)
	}
	return c.result()
}

// ErrCount refuses an action on another number of licenses or keys than was looked at.
var ErrCount = licensing.Fail(licensing.Conflict, "count-changed", "The search finds another number than the one given. Look again before you go on.")

// acting is the input of an action: which licenses, and what about them. A license that begins to match the search later is none of them.
type acting struct {
	IDs          []string             `json:"ids"`
	Days         int64                `json:"days,omitempty"`
	Entitlements license.Entitlements `json:"entitlements,omitempty"`
}

// Act writes down which licenses the search finds now and answers with the run that will do it to each of them.
func (s *Service) Act(ctx context.Context, r ActRequest) (RunView, error) {
	ids, err := s.Results.Find(ctx, r.Search.filter(), int(r.Count)+1)
	if err != nil {
		return RunView{}, err
	}
	if int64(len(ids)) != r.Count {
		return RunView{}, ErrCount
	}
	return s.start(ctx, Run{About: Licenses, Kind: Kind(r.Action), ProductID: r.Search.Product, Env: licensing.Env(r.Search.Env), Reason: r.Reason, Total: r.Count},
		acting{IDs: ids, Days: r.Days, Entitlements: r.Entitlements})
}

// actionPlan changes licenses or keys that are there.
type actionPlan struct {
	ids []string
	row func(id string) Row
	// hold locks, inside the transaction, what comes before the licenses or keys themselves; nil when nothing does.
	hold func(ctx context.Context, ids []string) error
	// change prepares what is done to one of them.
	change func(ctx context.Context, r *Run, id string) (change, error)
}

// change is what is done to one license or key inside the transaction; it reports false when nothing was to be done.
type change func(ctx context.Context) (bool, error)

// refused reports whether an error is about one license or key alone, of which nothing was written.
func refused(err error) bool {
	return errors.Is(err, license.ErrState) || errors.Is(err, license.ErrDisputed) || errors.Is(err, apikey.ErrNotLive) || errors.Is(err, apikey.ErrNotHeld)
}

func (p *actionPlan) prepare(ctx context.Context, r *Run, from int64, n int) (func(context.Context) ([]Row, error), error) {
	changes, rows, ids := make([]change, n), make([]Row, n), p.ids[from:from+int64(n)]
	for i, id := range ids {
		rows[i] = p.row(id)
		rows[i].Num = from + int64(i) + 1
		do, err := p.change(ctx, r, id)
		if err != nil && licensing.KindOf(err) == licensing.Internal {
			return nil, err
		}
		if err != nil {
			rows[i].Outcome, rows[i].Problem = OutcomeFailed, problem(err)
		}
		changes[i] = do
	}
	turns := inTurn(n, func(i int) string { return ids[i] })
	return func(ctx context.Context) ([]Row, error) {
		if p.hold != nil {
			if err := p.hold(ctx, ids); err != nil {
				return nil, err
			}
		}
		for _, i := range turns {
			do := changes[i]
			if rows[i].Outcome == OutcomeFailed && do == nil {
				continue
			}
			changed, err := do(ctx)
			switch {
			case err == nil && changed:
				rows[i].Outcome, rows[i].Problem = OutcomeDone, ""
			case err == nil:
				rows[i].Outcome, rows[i].Problem = OutcomeUnchanged, ""
			case refused(err):
				rows[i].Outcome, rows[i].Problem = OutcomeFailed, problem(err)
			default:
				return nil, err
			}
		}
		return rows, nil
	}, nil
}

// inTurn are the rows of a batch in the order in which a transaction takes them: of their names, whatever that of the input, since others change
// several of the same at once.
func inTurn(n int, name func(i int) string) []int {
	turns := make([]int, n)
	for i := range turns {
		turns[i] = i
	}
	slices.SortStableFunc(turns, func(a, b int) int { return strings.Compare(name(a), name(b)) })
	return turns
}

// onLicenses is the plan of an action on licenses.
func (s *Service) onLicenses(a acting) *actionPlan {
	return &actionPlan{ids: a.IDs, row: func(id string) Row { return Row{License: id} }, change: func(ctx context.Context, r *Run, id string) (change, error) {
		return s.changeLicense(ctx, r, &a, id)
	}}
}

func (s *Service) changeLicense(ctx context.Context, r *Run, a *acting, id string) (change, error) {
	to := map[Kind]license.State{Suspend: license.Suspended, Reinstate: license.Active, Revoke: license.Revoked}[r.Kind]
	if to != "" {
		return func(ctx context.Context) (bool, error) { return s.Licenses.Move(ctx, id, to, r.Reason) }, nil
	}
	if r.Kind == Extend {
		return s.Licenses.PrepareExtension(ctx, id, a.Days, r.Reason)
	}
	return s.Licenses.PrepareChange(ctx, license.ChangeRequest{ID: id, Reason: r.Reason, Entitlements: a.Entitlements})
}
