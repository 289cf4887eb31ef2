package apikey

import (
	"context"

	"github.com/mintreu/mintreu/licensing"
)

// HoldFilter narrows a list of reservations that nobody has settled: of a key, of an owner's keys or of both.
type HoldFilter struct {
	Reach
	Key  string
	Page licensing.Page
}

// HoldsRequest asks for what is reserved and not settled.
type HoldsRequest struct {
	licensing.Page
	Key   string          `query:"key" doc:"Only those of this key, by id."`
	Owner licensing.Owner `query:"owner" doc:"Only those of the keys of this customer or organisation. Customers see their own; others name a key or an owner."`
}

var errHolds = licensing.Fail(licensing.Invalid, "reservations-of", "Say whose reservations: of a key or of an owner.")

// OpenHolds lists what is reserved of keys within the caller's reach and not settled, the newest first. What has ended stays in it until it was
// given back, some seconds later.
func (s *Service) OpenHolds(ctx context.Context, r HoldsRequest) (licensing.List[HoldView], error) {
	within, err := reach(ctx)
	if err != nil {
		return licensing.List[HoldView]{}, err
	}
	out := licensing.List[HoldView]{Items: []HoldView{}}
	if narrow(&within.Owner, r.Owner) {
		return out, nil
	}
	if r.Key == "" && within.Owner == "" {
		return out, errHolds.With("/key", "give a key, or an owner")
	}
	open, err := s.Holds.OpenHolds(ctx, HoldFilter{Reach: within, Key: r.Key, Page: r.Page})
	if err != nil {
		return out, err
	}
	out.Next = open.Next
	for i := range open.Items {
		out.Items = append(out.Items, open.Items[i].view())
	}
	return out, nil
}

// ReleaseRequest ends a reservation before its time.
type ReleaseRequest struct {
	ID     string `path:"id" doc:"Id of the reservation."`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Validate checks the form.
func (r ReleaseRequest) Validate() error { return licensing.CheckReason(r.Reason) }

// Release gives back all of a reservation before it ends by itself, as settling with nothing used does, and keeps in the audit trail who did.
// Work that still goes on under it cannot be settled any more, so this is for the shop, not for the owner of the key. Releasing again changes
// nothing; one that was settled with what it did cost is refused.
func (s *Service) Release(ctx context.Context, r ReleaseRequest) (HoldView, error) {
	within, err := reach(ctx)
	if err != nil {
		return HoldView{}, err
	}
	h, err := s.Holds.HoldOf(ctx, r.ID, within)
	if err != nil {
		return HoldView{}, err
	}
	if h.SettledAt.IsZero() {
		k, err := s.Store.Key(ctx, h.KeyID, within)
		if err != nil {
			return HoldView{}, err
		}
		won, err := s.end(ctx, &h, 0, s.Clock.Now(), func(ctx context.Context) error {
			return s.Audit.Record(ctx, licensing.Event{Action: "reservation.release", Target: h.ID, Product: k.ProductID, Reason: r.Reason, Detail: map[string]any{"key": h.KeyID, "cost": h.Cost}})
		})
		if err != nil {
			return HoldView{}, err
		}
		if !won {
			if h, err = s.Holds.HoldOf(ctx, r.ID, within); err != nil {
				return HoldView{}, err
			}
		}
	}
	if h.Used != 0 {
		return HoldView{}, ErrHoldSettled
	}
	return h.view(), nil
}

// ReleaseAgain answers a replay of Release.
func (s *Service) ReleaseAgain(ctx context.Context, id, _ string) (HoldView, error) {
	within, err := reach(ctx)
	if err != nil {
		return HoldView{}, err
	}
	h, err := s.Holds.HoldOf(ctx, id, within)
	return h.view(), err
}
