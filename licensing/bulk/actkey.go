package bulk

import (
	"context"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
)

// MaxKeyAct bounds the request of an action on keys, which may name a thousand.
const MaxKeyAct = 128 << 10

// ActKeysRequest asks for one thing to be done to every API key that a search finds.
type ActKeysRequest struct {
	Action string        `json:"action" doc:"What is done to each key: revoked for good, suspended until it is reinstated, or reinstated as far as the shop suspended it." enum:"revoke,suspend,reinstate"`
	Search apikey.Search `json:"search" doc:"Which keys. Without any member it is all of them."`
	Count  int64         `json:"count,omitempty" doc:"How many keys the search found when it was looked at. Another number now refuses the action. A dry run needs none."`
	Reason string        `json:"reason,omitempty" doc:"Why, for the audit trail; 1 to 500 bytes. A dry run needs none."`
	DryRun bool          `json:"dry_run,omitempty" doc:"Answer how many keys it is about, and do nothing."`
}

// Validate checks the form.
func (r *ActKeysRequest) Validate() error {
	c := &checker{err: errForm}
	kind := Kind(r.Action)
	c.that(kind == Suspend || kind == Reinstate || kind == Revoke, "/action", "must be revoke, suspend or reinstate")
	if name, text := r.Search.Fault(); name != "" {
		c.that(false, "/search/"+name, "%s", text)
	}
	c.that(r.DryRun || r.Reason != "" && len(r.Reason) <= 500, "/reason", "say why, in at most 500 bytes")
	c.that(r.DryRun || r.Count > 0 && r.Count <= MaxActed, "/count", "must be 1 to %d; narrow the search, or do it in parts", MaxActed)
	return c.result()
}

// ActKeysResponse is how many keys it is about, and the run that deals with them.
type ActKeysResponse struct {
	Count int64    `json:"count" doc:"How many keys the search finds."`
	Run   *RunView `json:"run,omitempty" doc:"The run that does it; absent for a dry run."`
}

// ActKeys writes down which keys the search finds now, within the caller's reach, and answers with the run that will do it to each of them.
func (s *Service) ActKeys(ctx context.Context, r ActKeysRequest) (ActKeysResponse, error) {
	if r.DryRun {
		n, err := s.APIKeys.Count(ctx, r.Search)
		return ActKeysResponse{Count: n}, err
	}
	ids, err := s.APIKeys.Find(ctx, r.Search, int(r.Count)+1)
	if err != nil {
		return ActKeysResponse{}, err
	}
	if int64(len(ids)) != r.Count {
		return ActKeysResponse{}, ErrCount
	}
	run := Run{About: APIKeys, Kind: Kind(r.Action), ProductID: r.Search.Product, Env: r.Search.Env, Reason: r.Reason, Total: r.Count}
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Machine { // which sees its own runs again
		if a.Product != "" {
			run.ProductID = a.Product
		}
		if a.Env != "" {
			run.Env = a.Env
		}
	}
	started, err := s.start(ctx, run, acting{IDs: ids})
	return ActKeysResponse{Count: r.Count, Run: &started}, err
}

// ActKeysAgain answers a replay of ActKeys: how far its run is.
func (s *Service) ActKeysAgain(ctx context.Context, id, _ string) (ActKeysResponse, error) {
	run, err := s.GetRun(ctx, RunRequest{ID: id})
	return ActKeysResponse{Count: run.Total, Run: &run}, err
}

// onKeys is the plan of an action on API keys.
func (s *Service) onKeys(a acting) *actionPlan {
	return &actionPlan{ids: a.IDs, row: func(id string) Row { return Row{Key: id} }, hold: s.APIKeys.HoldFamilies, change: func(_ context.Context, r *Run, id string) (change, error) {
		return func(ctx context.Context) (bool, error) {
			return s.APIKeys.Move(ctx, apikey.Move{ID: id, Do: apikey.Verb(r.Kind), Reason: r.Reason, Run: r.ID})
		}, nil
	}}
}
