package apikey

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Stray is a key made by a plan, and the key that was bought under which it is.
type Stray struct {
	ID, ParentID string
}

// FamilyStore keeps together what an owner bought and what he made by it. Its methods belong into a transaction that has called HoldFamily, and
// that holds none of the owner's keys before it.
type FamilyStore interface {
	// HoldFamily makes the transactions that call it for an owner follow each other.
	HoldFamily(ctx context.Context, owner licensing.Owner) error
	// Families returns the owners whose families keys belong to, in their order.
	Families(ctx context.Context, keys []string) ([]licensing.Owner, error)
	// Home returns the key bought under which keys made by a plan are good, the one that lasts the longest; without a good one, one that
	// the shop only stops, under which they stand still; and [licensing.ErrNotFound] when none is left.
	Home(ctx context.Context, owner licensing.Owner, planID string, env licensing.Env, now time.Time) (Key, error)
	// Strays returns the keys made by the plan of home, and not revoked, that are better off under it than where they are: under the one named
	// ended and, unless home is stopped itself, under one that is stopped by the shop or ends sooner.
	Strays(ctx context.Context, home *Key, ended string) ([]Stray, error)
	// Rehome puts them under another key.
	Rehome(ctx context.Context, strays []Stray, home string, at time.Time) error
}

// bought reports whether the key is one that an order gave, by whose plan its owner may make others.
func (k *Key) bought() bool { return k.Source.Kind == FromOrderUnit && k.ParentID == "" }

// holdFamily holds the family of a key that was bought or made by a plan, before the key itself is held.
func (s *Service) holdFamily(ctx context.Context, id string, within Reach) error {
	k, err := s.Store.Key(ctx, id, within)
	if err != nil || !k.bought() && k.ParentID == "" {
		return err
	}
	return s.Templates.HoldFamily(ctx, k.Owner)
}

// HoldFamilies holds the families of many keys, in the order of their owners, before any of the keys is moved in the caller's transaction.
func (s *Service) HoldFamilies(ctx context.Context, keys []string) error {
	owners, err := s.Templates.Families(ctx, keys)
	for _, owner := range owners {
		if err == nil {
			err = s.Templates.HoldFamily(ctx, owner)
		}
	}
	return err
}

// follow does to the keys that were made by the plan of k what the shop did to k: they go over to another good key that was bought, or else stand
// still, go on or, where it was revoked, end with it. It returns those that went over and those that share its fate, and adds both to the detail.
func (s *Service) follow(ctx context.Context, k *Key, a *alteration, now time.Time, detail map[string]any) (moved, children []string, err error) {
	if k.bought() {
		var home string
		if moved, home, err = s.rehome(ctx, k, a, now); err != nil {
			return nil, nil, err
		}
		if len(moved) > 0 {
			detail["moved"], detail["under"] = moved, home
		}
	}
	if children, err = s.Changer.Children(ctx, k.ID); err != nil {
		return nil, nil, err
	}
	if len(children) > 0 {
		detail["children"] = children
	}
	if a.action == revoking {
		for _, child := range children {
			if _, err := a.do(ctx, child, Reach{}, now); err != nil {
				return nil, nil, err
			}
		}
	}
	return moved, children, nil
}

// rehome puts the keys that an owner made by a plan under another key of it that he bought and that is good, where the one they are under does not
// let them be, with an audit row for each, and returns their ids and the id of that key. Those under a key that a revokes stand still under one
// that is only stopped, if that is all there is: it may go on. Without another one they stay.
func (s *Service) rehome(ctx context.Context, k *Key, a *alteration, now time.Time) (moved []string, home string, err error) {
	to, err := s.Templates.Home(ctx, k.Owner, k.PlanID, k.Env, now)
	if licensing.KindOf(err) == licensing.NotFound {
		return nil, "", nil
	}
	ended := ""
	if a.action == revoking {
		ended = k.ID
	}
	if err != nil || ended == "" && !to.StoppedAt().IsZero() {
		return nil, "", err
	}
	strays, err := s.Templates.Strays(ctx, &to, ended)
	if err != nil || len(strays) == 0 {
		return nil, "", err
	}
	if err := s.Templates.Rehome(ctx, strays, to.ID, now); err != nil {
		return nil, "", err
	}
	for _, stray := range strays {
		detail := map[string]any{"from": stray.ParentID, "under": to.ID, "cause": a.action, "of": k.ID}
		if a.run != "" {
			detail["run"] = a.run
		}
		if err := s.Audit.Record(ctx, licensing.Event{Action: "key.rehome", Target: stray.ID, Product: k.ProductID, Reason: a.reason, Detail: detail}); err != nil {
			return nil, "", err
		}
		moved = append(moved, stray.ID)
	}
	return moved, to.ID, nil
}

// adopt is rehome for a key that was just bought: what stands still under others goes on under it.
func (s *Service) adopt(ctx context.Context, k *Key) error {
	if err := s.Templates.HoldFamily(ctx, k.Owner); err != nil {
		return err
	}
	strays, err := s.Templates.Strays(ctx, k, "")
	if err != nil || len(strays) == 0 {
		return err
	}
	_, _, err = s.rehome(ctx, k, &alteration{action: "key.issue"}, k.CreatedAt)
	return err
}
