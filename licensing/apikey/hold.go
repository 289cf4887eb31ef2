package apikey

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Hold is a reservation: what a key has spent in advance for work whose cost is known only afterwards.
type Hold struct {
	ID    string
	KeyID string
	// Cost is what was spent of every limit and of the credits, Used what the work did cost once it is settled.
	Cost, Used int64
	// Credits reports that credits were spent, RefillAt when they were to be refilled next and RaisedAt which refill was their last then.
	Credits            bool
	RefillAt, RaisedAt time.Time
	// Units are what was spent of limits, where counters were asked.
	Units     []Check
	AskedAt   time.Time // before anything was spent
	EndsAt    time.Time
	SettledAt time.Time // zero until then
}

// HoldStore keeps reservations. Statements that take a Reach put it in their WHERE clause.
type HoldStore interface {
	AddHold(ctx context.Context, h Hold) error
	// HoldOf returns a reservation of a key within reach, or [licensing.ErrNotFound].
	HoldOf(ctx context.Context, id string, r Reach) (Hold, error)
	// OpenHolds returns those that are not settled, the newest first. The filter names a key or an owner.
	OpenHolds(ctx context.Context, f HoldFilter) (licensing.List[Hold], error)
	// EndHold settles a reservation, and reports false, changing nothing, when it is settled already.
	EndHold(ctx context.Context, id string, used int64, at time.Time) (bool, error)
	// HoldsEnded returns those that have ended and are not settled, the oldest first.
	HoldsEnded(ctx context.Context, now time.Time, most int) ([]Hold, error)
	// PurgeHolds forgets what was settled before an instant.
	PurgeHolds(ctx context.Context, before time.Time) (int64, error)
}

// How long a reservation lasts in seconds, unless said and at most, and how long one is remembered after it was settled.
const (
	defaultHold = 300
	longestHold = 24 * 3600
	holdKept    = 24 * time.Hour
)

// The failures of settling.
var (
	ErrHoldEnded   = licensing.Fail(licensing.Conflict, "reservation-ended", "The reservation has ended, and what it held has come back. Verify the key for what the work did cost.")
	ErrHoldSettled = licensing.Fail(licensing.Conflict, "reservation-settled", "The reservation is settled already, with another cost.")
)

// ReserveRequest asks for a use of a key whose cost is known only afterwards.
type ReserveRequest struct {
	VerifyCheck
	Seconds int64 `json:"seconds,omitempty" doc:"How long the reservation waits to be settled, 300 seconds unless said, at most 86400. After that all of it comes back." example:"60"`
}

// Validate refuses what is no use of one key.
func (r ReserveRequest) Validate() error {
	if r.Seconds < 0 || r.Seconds > longestHold {
		return licensing.Fail(licensing.Invalid, "invalid", "The request cannot be answered as it stands.").With("/seconds", "must be 1 to %d", longestHold)
	}
	return VerifyRequest{VerifyCheck: r.VerifyCheck}.Validate()
}

// HoldView is a reservation as callers see it.
type HoldView struct {
	ID        string     `json:"id" doc:"Id of the reservation." example:"rsv_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d"`
	KeyID     string     `json:"key_id" doc:"Id of the key."`
	Cost      int64      `json:"cost" doc:"Units that are reserved."`
	AskedAt   time.Time  `json:"reserved_at" doc:"When it was reserved."`
	EndsAt    time.Time  `json:"ends_at" doc:"When all of it comes back unless it is settled before."`
	Used      int64      `json:"used" doc:"Units that the work did cost, once it is settled."`
	SettledAt *time.Time `json:"settled_at,omitempty" doc:"When it was settled."`
}

func (h *Hold) view() HoldView {
	return HoldView{ID: h.ID, KeyID: h.KeyID, Cost: h.Cost, AskedAt: h.AskedAt, EndsAt: h.EndsAt, Used: h.Used, SettledAt: instant(h.SettledAt)}
}

// ReserveResponse is the answer of a verification, with the reservation when the use may go on.
type ReserveResponse struct {
	VerifyResult
	Reservation *HoldView `json:"reservation,omitempty" doc:"What is reserved; absent when the use may not go on."`
}

// Reserve verifies a key and spends the most that the work may cost. What it does not cost comes back when the reservation is settled, or all of
// it when it ends. A process that dies between spending and writing the reservation down loses it: rates come back by themselves, the rest
// stays spent.
func (s *Service) Reserve(ctx context.Context, r ReserveRequest) (ReserveResponse, error) {
	if err := r.Validate(); err != nil {
		return ReserveResponse{}, err
	}
	within, err := reach(ctx)
	if err != nil {
		return ReserveResponse{}, err
	}
	h := Hold{ID: s.IDs.New("rsv"), Cost: 1, AskedAt: s.Clock.Now()}
	if r.Cost != nil {
		h.Cost = *r.Cost
	}
	h.EndsAt = h.AskedAt.Add(time.Duration(max(r.Seconds, 0)) * time.Second)
	if r.Seconds == 0 {
		h.EndsAt = h.AskedAt.Add(defaultHold * time.Second)
	}
	verdicts, err := s.ask(ctx, []VerifyCheck{r.VerifyCheck}, within)
	if err != nil {
		return ReserveResponse{}, err
	}
	v := verdicts[0]
	out := ReserveResponse{VerifyResult: s.result(v)}
	if v.Code != Valid {
		return out, nil
	}
	h.KeyID, h.Credits = v.Key.ID, v.Credits != nil
	if h.Credits {
		h.RefillAt, h.RaisedAt = v.Credits.RefillAt, v.Credits.RaisedAt
	}
	h.Units = v.units(h.Cost)
	err = s.Tx.InTx(system(ctx), func(ctx context.Context) error { return s.Holds.AddHold(ctx, h) })
	if err != nil {
		return ReserveResponse{}, s.unreserve(ctx, &h, err)
	}
	view := h.view()
	out.Reservation = &view
	return out, nil
}

// units are what an admitted use of a cost has taken of limits.
func (v *Verdict) units(cost int64) (out []Check) {
	for _, l := range v.Limits {
		if l.Degraded { // what was admitted without its counter is not the counter's to give back
			continue
		}
		c := Check{Key: l.Limit.counter(v.Key), Owner: v.Key.Owner, Cost: cost, Quota: l.Quota, Degraded: l.Limit.Degraded}
		if l.Limit.Every == "" {
			c.Rate = l.Limit.Rate()
		}
		out = append(out, c)
	}
	return out
}

// unreserve gives back what was spent for a reservation that could not be written down, and returns the reason. It is written again first: where
// the answer alone was lost it is there, and is settled once like any other; where nothing can be written, what was spent stays so.
func (s *Service) unreserve(ctx context.Context, h *Hold, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), creditPatience)
	defer cancel()
	_ = s.Tx.InTx(system(ctx), func(ctx context.Context) error { return s.Holds.AddHold(ctx, *h) }) // or it is there
	_, _ = s.end(system(ctx), h, 0, s.Clock.Now(), nil)                                             // or it ends by itself
	return why
}

// SettleRequest says what reserved work did cost.
type SettleRequest struct {
	ID   string `path:"id" doc:"Id of the reservation."`
	Cost *int64 `json:"cost" doc:"Units that the work did cost, at most what was reserved; 0 gives all of it back." example:"3"`
}

// Settle ends a reservation with what the work did cost. What is left of it comes back once, however often and by however many it is settled.
func (s *Service) Settle(ctx context.Context, r SettleRequest) (HoldView, error) {
	e := licensing.Fail(licensing.Invalid, "invalid", "The reservation cannot be settled like this.")
	if r.Cost == nil || *r.Cost < 0 {
		return HoldView{}, e.With("/cost", "must be at least 0")
	}
	within, err := reach(ctx)
	if err != nil {
		return HoldView{}, err
	}
	h, err := s.Holds.HoldOf(ctx, r.ID, within)
	if err != nil {
		return HoldView{}, err
	}
	if *r.Cost > h.Cost {
		return HoldView{}, e.With("/cost", "must be at most the %d that were reserved", h.Cost)
	}
	now := s.Clock.Now()
	ended := !now.Before(h.EndsAt)
	if h.SettledAt.IsZero() {
		used := *r.Cost
		if ended {
			used = 0
		}
		won, err := s.end(system(ctx), &h, used, now, nil)
		if err != nil {
			return HoldView{}, err
		}
		if !won {
			if h, err = s.Holds.HoldOf(ctx, r.ID, within); err != nil {
				return HoldView{}, err
			}
		}
	}
	switch {
	case !h.SettledAt.Before(h.EndsAt) && *r.Cost > 0:
		return HoldView{}, ErrHoldEnded
	case h.Used != *r.Cost:
		return HoldView{}, ErrHoldSettled
	}
	return h.view(), nil
}

// EndHolds gives back what was reserved and never settled, forgets what was settled long ago, and reports how many it ended. Any number of
// processes may do it at once.
func (s *Service) EndHolds(ctx context.Context) (n int, err error) {
	const page = 200
	for {
		ended, err := s.Holds.HoldsEnded(ctx, s.Clock.Now(), page)
		if err != nil {
			return n, err
		}
		for i := range ended {
			won, err := s.end(system(ctx), &ended[i], 0, s.Clock.Now(), nil)
			if err != nil {
				return n, err
			}
			if won {
				n++
			}
		}
		if len(ended) < page {
			break
		}
	}
	_, err = s.Holds.PurgeHolds(ctx, s.Clock.Now().Add(-holdKept))
	return n, err
}

// errOutrun ends a transaction in which there was nothing to settle.
var errOutrun = errors.New("apikey: the reservation is settled already")

// system is ctx for what is done with reservations on nobody's behalf, which leaves no row in the audit trail.
func system(ctx context.Context) context.Context { return licensing.AsSystem(ctx, "key.holds") }

// end settles a reservation at an instant and gives back what was not used, and reports false when somebody else has settled it. Credits come back in the
// same transaction, and so is what note keeps of it, unless that is nil. Units of limits are given after it, and stay spent when the process dies
// between.
func (s *Service) end(ctx context.Context, h *Hold, used int64, at time.Time, note func(context.Context) error) (won bool, err error) {
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if won, err = s.Holds.EndHold(ctx, h.ID, used, at); err != nil {
			return err
		}
		if !won {
			return errOutrun
		}
		if err := s.refund(ctx, h, used); err != nil || note == nil {
			return err
		}
		return note(ctx)
	})
	if errors.Is(err, errOutrun) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	h.Used, h.SettledAt = used, at
	if units := h.unused(used, at); len(units) > 0 {
		s.Limiter.Give(ctx, units)
	}
	s.refusals.forget(h.KeyID)
	return true, nil
}

// refund gives back the credits that were not used, as if only what was used had been spent, also where they were refilled since.
func (s *Service) refund(ctx context.Context, h *Hold, used int64) error {
	if !h.Credits || used == h.Cost {
		return nil
	}
	key, err := s.Templates.Newest(ctx, h.KeyID) // which went on with the credits
	if err != nil {
		return err
	}
	held, err := s.Credits.HoldCredits(ctx, []string{key})
	if err != nil || len(held) == 0 {
		return err
	}
	held[0].at(s.Clock.Now())
	held[0].back(h.Cost-used, h.RaisedAt)
	return s.Credits.SaveCredits(ctx, held)
}

// unused are the units to give back: of quotas whose period lasts, and of rates what has not come back by itself since they were taken, so that
// in no window more is admitted than without the reservation.
func (h *Hold) unused(used int64, now time.Time) []Check {
	var out []Check
	for _, c := range h.Units {
		c.Cost = h.Cost - used
		if c.IsQuota() && !now.Before(c.Quota.Until) {
			continue
		}
		if !c.IsQuota() {
			c.Less = max(now.Sub(h.AskedAt)-time.Duration(used)*c.Rate.Interval(), 0)
		}
		if c.Cost > 0 && (c.IsQuota() || c.Back() > 0) {
			out = append(out, c)
		}
	}
	return out
}
