package apikey

import (
	"context"
	"slices"

	"github.com/mintreu/mintreu/licensing"
)

// LimitsRequest replaces the limits of a key, whatever its plan says.
type LimitsRequest struct {
	ID     string  `path:"id" doc:"Id of the key."`
	Limits []Limit `json:"limits" doc:"Its limits from now on, all of them; none means unlimited. They hold for this key alone, so each is per key, or one that the key has already, unchanged. A limit that keeps its name goes on with what was counted."`
	Reason string  `json:"reason" doc:"Why, for the audit trail; 1 to 500 bytes."`
}

// Validate refuses limits that are none, and a change without a reason.
func (r LimitsRequest) Validate() error {
	e := licensing.Fail(licensing.Invalid, "invalid", "The limits cannot be changed like this.")
	limits := make([]Limit, len(r.Limits))
	for i, l := range r.Limits {
		limits[i] = l.normal()
	}
	if bad := badLimit(limits); bad != "" {
		return e.With("/limits", "%s", bad)
	}
	if r.Reason == "" {
		return e.With("/reason", "say why")
	}
	return licensing.CheckReason(r.Reason)
}

// errShared refuses to count what holds for one key together with others.
var errShared = licensing.Fail(licensing.Invalid, "invalid", "The limits cannot be changed like this.").
	With("/limits", "one that is counted together with other keys stays as it is or goes; what holds for this key alone is per key")

// SetLimits replaces the limits of a key. The audit trail keeps those before, those after and why. What a limit refused a moment ago is asked
// anew.
func (s *Service) SetLimits(ctx context.Context, r LimitsRequest) (RevokeResponse, error) {
	if err := r.Validate(); err != nil {
		return RevokeResponse{}, err
	}
	within, err := reach(ctx)
	if err != nil {
		return RevokeResponse{}, err
	}
	limits := make([]Limit, len(r.Limits))
	for i, l := range r.Limits {
		limits[i] = l.normal()
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		k, err := s.Changer.HoldKey(ctx, r.ID, within)
		if err != nil {
			return err
		}
		if k.State(s.Clock.Now()) == Revoked {
			return ErrNotLive
		}
		for _, l := range limits {
			if l.Per != PerKey && !slices.Contains(k.Limits, l) {
				return errShared
			}
		}
		if err := s.Changer.SetLimits(ctx, k.ID, limits, s.Clock.Now()); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "key.limits", Target: k.ID, Product: k.ProductID, Reason: r.Reason, Detail: map[string]any{"was": k.Limits, "now": limits}})
	})
	if err != nil {
		return RevokeResponse{}, err
	}
	s.Invalidate(r.ID)
	return s.RevokeAgain(ctx, r.ID, "")
}
