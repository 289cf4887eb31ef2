package bulk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/combine"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Joint runs one transaction for several calls: for each of them holds what a [licensing.Transactor] promises one, so each must leave an
// audit row and keeps its Idempotency-Key. All commit, or none does. [ErrUndone] says that none did, because of one of them perhaps; with
// any other error nobody can say. What fn writes may be sent after it has returned.
type Joint interface {
	InTxFor(ctx context.Context, calls []*licensing.Call, fn func(ctx context.Context) error) error
}

const (
	jointMost = 64 // licenses of one transaction
	liteMost  = 32 // where it keeps all others from writing
	lanes     = 2  // transactions at once, so that one is filled while another is made durable
)

// asked is a single license on its way into the database.
type asked struct {
	license.Asked
	look  licensing.Owner // who must exist; empty when that is known
	named bool            // whether the source is the caller's own name, which may have a license

	err   error // why there is no license
	alone bool  // the transaction it was in is undone: it is to have one of its own
}

// store stores a license with others that are asked for at the same time, in a transaction that is made durable once for all of them; no
// answer is given before. One that keeps the others from being stored fails alone: when a transaction is undone, each of its licenses has
// one of its own. So has a trial.
func (s *Service) store(ctx context.Context, a *asked) error {
	if a.License.Terms.Type == doc.Trial {
		return s.storeAlone(ctx, a)
	}
	w := combine.Work[*asked]{Lanes: lanes, Most: jointMost, Run: func(all []*asked) { s.storeJoint(ctx, all) }}
	if s.Small {
		w.Lanes, w.Most = 1, liteMost
	}
	if err := s.together.Do(ctx, &w, a); err != nil {
		return err
	}
	if a.alone {
		return s.storeAlone(ctx, a)
	}
	return a.err
}

// Waiting is how many callers gather for the next transaction.
func (s *Service) Waiting() int { return s.together.Waiting() }

// storeJoint deals with licenses, the caller's own first.
func (s *Service) storeJoint(ctx context.Context, all []*asked) {
	// What follows is everybody's: it ends neither with the leader's patience nor does it bear his name.
	ctx = licensing.WithCall(context.WithoutCancel(ctx), &licensing.Call{Operation: licensing.CallFrom(ctx).Operation, Actor: licensing.Actor{Kind: licensing.System}})
	good, err := s.known(ctx, all)
	if err == nil {
		err = s.storeAll(ctx, good)
	}
	for _, a := range good {
		a.err = err
	}
	if errors.Is(err, ErrUndone) {
		for _, a := range good {
			a.alone = true
		}
	}
}

// known looks who exists and which sources have a license, for all in as few questions as there are kinds of them, and returns those that may be
// stored. When it cannot tell, those are all, and the error [ErrUndone].
func (s *Service) known(ctx context.Context, all []*asked) ([]*asked, error) {
	var owners []licensing.Owner
	var sources []string
	for _, a := range all {
		if a.look != "" && !slices.Contains(owners, a.look) {
			owners = append(owners, a.look)
		}
		if a.named {
			sources = append(sources, a.License.Source.ID)
		}
	}
	existing, err := s.Owners.OwnersExist(ctx, owners)
	var has map[string]string
	if err == nil {
		has, err = s.Licenses.Many.IDsFrom(ctx, license.FromGrant, sources)
	}
	if err != nil {
		return all, fmt.Errorf("%w: %w", ErrUndone, err)
	}
	out := make([]*asked, 0, len(all))
	for _, a := range all {
		switch {
		case a.look != "" && !existing[a.look]:
			a.err = errOwner.With("/owner", "is nobody's id")
		case has[a.License.Source.ID] != "":
			a.err = errExists
		default:
			out = append(out, a)
		}
	}
	return out, nil
}

// ErrUndone says that nothing of what several calls share was stored, because of one of them perhaps.
var ErrUndone = errors.New("bulk: several licenses were not stored")

// storeAll stores licenses in one transaction. When that is undone because of one of them, the error is [ErrUndone]; with any other nobody can
// say whether it was.
func (s *Service) storeAll(ctx context.Context, all []*asked) error {
	if len(all) == 0 {
		return nil
	}
	calls, rows := make([]*licensing.Call, len(all)), make([]*license.Asked, len(all))
	for i, a := range all {
		calls[i], rows[i] = a.Call, &a.Asked
		a.Call.Secret = a.Key // shown once, and again to whoever asks again soon
	}
	return s.Joint.InTxFor(ctx, calls, func(ctx context.Context) error { return s.Licenses.IssueFor(ctx, rows) })
}

// storeAlone stores a license in a transaction of its own.
func (s *Service) storeAlone(ctx context.Context, a *asked) error {
	a.err = nil
	if good, err := s.known(ctx, []*asked{a}); err != nil || len(good) == 0 {
		return errors.Join(a.err, err)
	}
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		issued, err := s.Licenses.IssueAsked(ctx, &a.Asked)
		if err != nil {
			return err
		}
		if !issued {
			return errExists
		}
		licensing.KeepOnce(ctx, a.Key)
		return nil
	})
}
