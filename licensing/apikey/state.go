package apikey

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// RevokeRequest ends a key for good.
type RevokeRequest struct {
	ID     string `path:"id" doc:"Id of the key."`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Validate implements the check of requests.
func (r RevokeRequest) Validate() error { return licensing.CheckReason(r.Reason) }

// RevokeResponse says since when, and how soon everywhere.
type RevokeResponse struct {
	Key           KeyView `json:"key" doc:"The key as it stands."`
	WithinSeconds int     `json:"within_seconds" doc:"The change is in force on every replica within this many seconds." example:"2"`
}

// inForce is how many seconds a change may take to reach every replica.
const inForce = 2

const revoking = "key.revoke"

// Revoke ends a key for good, both secrets. Revoking a revoked key changes nothing and succeeds.
func (s *Service) Revoke(ctx context.Context, r RevokeRequest) (RevokeResponse, error) {
	return s.change(ctx, r.ID, revoking, r.Reason, func(ctx context.Context, id string, within Reach, now time.Time) (bool, error) {
		return s.Store.RevokeKey(ctx, id, within, now)
	})
}

// RevokeAgain answers a replay of Revoke, Disable or Enable.
func (s *Service) RevokeAgain(ctx context.Context, id, _ string) (RevokeResponse, error) {
	v, err := s.Get(ctx, GetRequest{ID: id})
	return RevokeResponse{Key: v, WithinSeconds: inForce}, err
}

// Disable stops a key until it is enabled again: the owner his own, the shop any. What the shop has stopped is answered [SwitchedOff], and
// only the shop lets it go on.
func (s *Service) Disable(ctx context.Context, r RevokeRequest) (RevokeResponse, error) {
	return s.stop(ctx, "key.disable", r, "", true)
}

// Enable lets go on what Disable stopped by the same hand: the shop's hold and the owner's own are apart, and so is a dispute.
func (s *Service) Enable(ctx context.Context, r RevokeRequest) (RevokeResponse, error) {
	return s.stop(ctx, "key.enable", r, "", false)
}

// Dispute stops a key, and those made by its plan that no other purchase lets go on, while its payment is disputed, whatever staff and its owner do
// with it meanwhile.
func (s *Service) Dispute(ctx context.Context, r RevokeRequest) (RevokeResponse, error) {
	return s.stop(ctx, "key.dispute", r, ByDispute, true)
}

// EndDispute lets a key go on as far as the dispute stopped it.
func (s *Service) EndDispute(ctx context.Context, r RevokeRequest) (RevokeResponse, error) {
	return s.stop(ctx, "key.dispute-end", r, ByDispute, false)
}

// stop sets or lifts a reason that stops a key, unless said the caller's own.
func (s *Service) stop(ctx context.Context, action string, r RevokeRequest, by Stop, on bool) (RevokeResponse, error) {
	return s.change(ctx, r.ID, action, r.Reason, func(ctx context.Context, id string, within Reach, now time.Time) (bool, error) {
		by := by
		switch {
		case by != "":
		case within.Owner != "":
			by = ByOwner
		default:
			by = ByStaff
		}
		return s.Store.SetKeyStopped(ctx, id, within, by, on, now)
	})
}

// alteration is one change of state, before it is made.
type alteration struct {
	id, action, reason string
	do                 func(ctx context.Context, id string, within Reach, now time.Time) (bool, error)
	// quiet leaves no audit row of a change that finds nothing to do; otherwise that is recorded too: somebody asked for it.
	quiet bool
	run   string // that it is part of, for the audit row
}

// change runs one change of state with its audit row and answers with the key after it.
func (s *Service) change(ctx context.Context, id, action, reason string, do func(ctx context.Context, id string, within Reach, now time.Time) (bool, error)) (RevokeResponse, error) {
	within, err := reach(ctx)
	if err != nil {
		return RevokeResponse{}, err
	}
	var k Key
	var touched []string
	err = s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		k, touched, _, err = s.alter(ctx, within, alteration{id: id, action: action, reason: reason, do: do})
		return err
	})
	if err != nil {
		return RevokeResponse{}, err
	}
	s.Invalidate(k.ID)
	for _, other := range touched {
		s.Invalidate(other)
	}
	return RevokeResponse{Key: s.view(&k), WithinSeconds: inForce}, nil
}

// alter makes a change of state in the caller's transaction and reports whether there was anything to change. What the shop does to a key that was
// bought it does to those made by its plan, unless another one is good under which they can be. Those that may have changed with it are touched.
func (s *Service) alter(ctx context.Context, within Reach, a alteration) (k Key, touched []string, changed bool, err error) {
	now := s.Clock.Now()
	if within.Owner == "" {
		if err := s.holdFamily(ctx, a.id, within); err != nil {
			return k, nil, false, err
		}
	}
	was, err := s.Changer.HoldKey(ctx, a.id, within)
	if err != nil {
		return k, nil, false, err
	}
	if changed, err = a.do(ctx, a.id, within, now); err != nil {
		return k, nil, false, err
	}
	if k, err = s.Store.Key(ctx, a.id, within); err != nil {
		return k, nil, false, err
	}
	if !changed && a.action != revoking && !k.RevokedAt.IsZero() {
		return k, nil, false, ErrNotLive
	}
	if a.action == "key.enable" && within.Owner != "" && !k.StoppedAt().IsZero() {
		return k, nil, false, ErrHeld
	}
	if a.action == "key.enable" && within.Owner == "" && !changed && k.State(now) == Disabled {
		return k, nil, false, ErrNotHeld
	}
	detail := map[string]any{"changed": changed, "from": was.State(now), "to": k.State(now)}
	if a.run != "" {
		detail["run"] = a.run
	}
	if within.Owner == "" && k.ParentID == "" && (changed || a.action == revoking) { // one revoked by its owner has left them
		moved, children, err := s.follow(ctx, &k, &a, now, detail)
		if err != nil {
			return k, nil, false, err
		}
		touched = append(moved, children...)
		changed = changed || a.action == revoking && len(touched) > 0
	}
	if a.quiet && !changed {
		return k, nil, false, nil
	}
	return k, touched, changed, s.Audit.Record(ctx, licensing.Event{Action: a.action, Target: k.ID, Product: k.ProductID, Reason: a.reason, Detail: detail})
}
