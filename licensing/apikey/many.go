package apikey

import (
	"context"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// MaxNamed is how many keys a search can name by id.
const MaxNamed = 1000

// Search selects keys for one thing that is done to all of them. Every member that is given narrows it.
type Search struct {
	IDs     []string        `json:"ids,omitempty" doc:"Only these keys, by id, at most 1,000."`
	Owner   licensing.Owner `json:"owner,omitempty" doc:"Only keys of this customer or organisation, by id."`
	Member  string          `json:"member,omitempty" doc:"Only keys of this member of an organisation, by the id of the person."`
	Product string          `json:"product,omitempty" doc:"Only keys of this product, by id."`
	Plan    string          `json:"plan,omitempty" doc:"Only keys of this plan, by its code."`
	Env     licensing.Env   `json:"env,omitempty" doc:"Only keys of this environment." enum:"live,test"`
	State   State           `json:"state,omitempty" doc:"Only keys that look like this now." enum:"active,disabled,revoked,expired"`
	Name    string          `json:"name,omitempty" doc:"Only keys that have exactly this name."`
	Query   string          `json:"q,omitempty" doc:"Find by what is at hand: the id of a key or of its owner, the owner's e-mail address, or the key's hint." example:"ada@example.com"`
}

// Fault is what is wrong with a search by itself, by the name of its member; empty names mean nothing.
func (q Search) Fault() (name, text string) {
	if len(q.IDs) > MaxNamed {
		return "ids", "must be at most 1000; narrow by other members, or do it in parts"
	}
	for _, id := range q.IDs {
		if !strings.HasPrefix(id, "key_") {
			return "ids", "must be ids of keys: key_…"
		}
	}
	return "", ""
}

// filter is the search within what the caller reaches; none reports that nothing can be found.
func (s *Service) filter(within Reach, q *Search) (f Filter, none bool) {
	f = Filter{Reach: within, IDs: q.IDs, Plan: q.Plan, Name: q.Name, Member: q.Member, State: q.State, At: s.Clock.Now()}
	none = narrow(&f.Owner, q.Owner) || narrow(&f.Product, q.Product) || narrow(&f.Env, q.Env) || f.search(q.Query)
	return f, none
}

// Find returns the ids of the keys that a search finds within the caller's reach, in order, at most limit.
func (s *Service) Find(ctx context.Context, q Search, limit int) ([]string, error) {
	within, err := reach(ctx)
	if err != nil {
		return nil, err
	}
	f, none := s.filter(within, &q)
	if none {
		return nil, nil
	}
	f.Limit = limit
	return s.Changer.FindKeys(ctx, f)
}

// Count counts what Find finds.
func (s *Service) Count(ctx context.Context, q Search) (int64, error) {
	within, err := reach(ctx)
	if err != nil {
		return 0, err
	}
	f, none := s.filter(within, &q)
	if none {
		return 0, nil
	}
	return s.Changer.CountKeys(ctx, f)
}

// Verb is what can be done to many keys.
type Verb string

// The verbs: what the shop's Revoke, Disable and Enable do to one.
const (
	ToRevoke    Verb = "revoke"
	ToSuspend   Verb = "suspend"
	ToReinstate Verb = "reinstate"
)

// Move is one thing done to one key as part of a run.
type Move struct {
	ID, Reason, Run string
	Do              Verb
}

// Move does to a key, in the caller's transaction, what staff do with Revoke, Disable and Enable. It reports false, and leaves no audit row,
// when the key stands like that already, [ErrNotLive] or [ErrNotHeld] when it cannot come to it; both write nothing. Whoever caches keys
// learns of it by the change feed.
func (s *Service) Move(ctx context.Context, m Move) (bool, error) {
	a := alteration{id: m.ID, reason: m.Reason, run: m.Run, quiet: true, action: revoking, do: func(ctx context.Context, id string, within Reach, now time.Time) (bool, error) {
		return s.Store.RevokeKey(ctx, id, within, now)
	}}
	if m.Do != ToRevoke {
		on := m.Do == ToSuspend
		a.action = map[bool]string{true: "key.disable", false: "key.enable"}[on]
		a.do = func(ctx context.Context, id string, within Reach, now time.Time) (bool, error) {
			return s.Store.SetKeyStopped(ctx, id, within, ByStaff, on, now)
		}
	}
	_, _, changed, err := s.alter(ctx, Reach{}, a)
	return changed, err
}
