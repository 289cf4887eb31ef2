package apikey

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// CreditsSpec asks for credits of a key.
type CreditsSpec struct {
	Balance int64           `json:"balance" doc:"Credits at the start." example:"1000"`
	Refill  int64           `json:"refill,omitempty" doc:"What the balance is raised to at the start of each period; more than that stays." example:"1000"`
	Every   licensing.Every `json:"every,omitempty" doc:"The period of refills, by the calendar in UTC; weeks begin on Monday." enum:"day,week,month"`
}

const maxCredits = 1_000_000_000_000

// bad says what is wrong with the credits, "" when nothing is.
func (c *CreditsSpec) bad() string {
	switch {
	case c == nil:
		return ""
	case c.Balance < 0 || c.Balance > maxCredits || c.Refill < 0 || c.Refill > maxCredits:
		return "must be 0 to 1000000000000"
	case !refills(c.Every) || (c.Every == Never) != (c.Refill == 0):
		return "a refill needs an amount and one of day, week, month"
	}
	return ""
}

func (c *CreditsSpec) of(id string, now time.Time) Credits {
	return Credits{KeyID: id, Balance: c.Balance, Refill: c.Refill, Every: c.Every, RefillAt: next(c.Every, now)}
}

// CreditsView is how the credits of a key stand.
type CreditsView struct {
	Remaining int64           `json:"remaining" doc:"Credits that are left."`
	Refill    int64           `json:"refill,omitempty" doc:"What they are raised to at the start of each period."`
	Every     licensing.Every `json:"every,omitempty" doc:"The period of refills." enum:"day,week,month"`
	RefillAt  *time.Time      `json:"refill_at,omitempty" doc:"When they are refilled next."`
}

func (c *Credits) view() *CreditsView {
	if c == nil || c.KeyID == "" {
		return nil
	}
	return &CreditsView{Remaining: c.Balance, Refill: c.Refill, Every: c.Every, RefillAt: instant(c.RefillAt)}
}

// SetCreditsRequest changes the credits of a key.
type SetCreditsRequest struct {
	ID     string           `path:"id" doc:"Id of the key."`
	Add    int64            `json:"add,omitempty" doc:"Credits to add, or to take when it is negative; never below 0." example:"500"`
	Refill *int64           `json:"refill,omitempty" doc:"What the balance is raised to from now on at the start of each period; 0 ends refills."`
	Every  *licensing.Every `json:"every,omitempty" doc:"The period of refills." enum:"day,week,month"`
	Off    bool             `json:"off,omitempty" doc:"Let the key go on without credits, limited by its limits alone."`
	Reason string           `json:"reason" doc:"Why, for the audit trail."`
}

// Validate refuses what makes no sense.
func (r SetCreditsRequest) Validate() error {
	e := licensing.Fail(licensing.Invalid, "invalid", "The credits cannot be changed like this.")
	switch {
	case r.Add > maxCredits || r.Add < -maxCredits:
		return e.With("/add", "must be at most 1000000000000")
	case r.Off && (r.Add != 0 || r.Refill != nil || r.Every != nil):
		return e.With("/off", "goes with nothing else")
	case !r.Off && r.Add == 0 && r.Refill == nil:
		return e.With("/add", "say what to change")
	case (r.Refill == nil) != (r.Every == nil) && (r.Refill == nil || *r.Refill != 0):
		return e.With("/every", "refill and every belong together")
	case r.Refill != nil && *r.Refill != 0 && (*r.Refill < 0 || *r.Refill > maxCredits || !refills(*r.Every) || *r.Every == Never):
		return e.With("/refill", "must be 0 to 1000000000000, with day, week or month")
	}
	return licensing.CheckReason(r.Reason)
}

// SetCredits adds or takes credits, changes how they are refilled, or ends that limit. Keys out of reach do not exist.
func (s *Service) SetCredits(ctx context.Context, r SetCreditsRequest) (KeyView, error) {
	if err := r.Validate(); err != nil {
		return KeyView{}, err
	}
	within, err := reach(ctx)
	if err != nil {
		return KeyView{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		k, err := s.Changer.HoldKey(ctx, r.ID, within)
		if err != nil {
			return err
		}
		if k.State(s.Clock.Now()) == Revoked {
			return ErrNotLive
		}
		detail, err := s.setCredits(ctx, r)
		if err != nil {
			return err
		}
		if err := s.Credits.CreditsChanged(ctx, r.ID); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "key.credits", Target: k.ID, Product: k.ProductID, Reason: r.Reason, Detail: detail})
	})
	if err != nil {
		return KeyView{}, err
	}
	s.Invalidate(r.ID)
	return s.Get(ctx, GetRequest{ID: r.ID})
}

// setCredits changes the credits of a key that is held, and returns what the audit trail keeps of it.
func (s *Service) setCredits(ctx context.Context, r SetCreditsRequest) (map[string]any, error) {
	if r.Off {
		return map[string]any{"off": true}, s.Credits.DropCredits(ctx, r.ID)
	}
	held, err := s.Credits.HoldCredits(ctx, []string{r.ID})
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	c := Credits{KeyID: r.ID}
	if len(held) > 0 {
		c = held[0]
		c.at(now)
	}
	c.Balance = min(max(c.Balance+r.Add, 0), maxCredits)
	if r.Refill != nil {
		c.Refill, c.Every = *r.Refill, Never
		if c.Refill > 0 {
			c.Every = *r.Every
		}
		c.RefillAt = next(c.Every, now)
	}
	return map[string]any{"add": r.Add, "balance": c.Balance, "refill": c.Refill, "every": c.Every}, s.Credits.SaveCredits(ctx, []Credits{c})
}

// SetCreditsAgain answers a replay of SetCredits.
func (s *Service) SetCreditsAgain(ctx context.Context, id, _ string) (KeyView, error) {
	return s.Get(ctx, GetRequest{ID: id})
}

// recall answers from memory what was refused a moment ago, and returns which uses of keys with credits are still to be decided.
func (s *Service) recall(questions []Question, verdicts []Verdict) (open []int) {
	now := s.Clock.Now()
	for i := range verdicts {
		v := &verdicts[i]
		if v.Code != Valid || !v.Key.Rationed {
			continue
		}
		if known, ok := s.refusals.get(v.Key.ID, questions[i].Cost, now); ok {
			v.Code, v.Limits, v.Credits, v.RetryAfter = known.code, known.limits, known.credits, max(0, known.retry.Sub(now))
			continue
		}
		open = append(open, i)
	}
	return open
}

// ration spends the credits of those open uses that the limits admitted at an instant, and tells of the others what is left. Those without enough
// become [NoCredits], and the limits get back what they took. When nothing can be spent, that goes for every use.
func (s *Service) ration(ctx context.Context, questions []Question, verdicts []Verdict, open []int, began time.Time) error {
	all := make([]spending, len(open))
	for n, i := range open {
		if all[n].key = verdicts[i].Key.ID; verdicts[i].Code == Valid {
			all[n].cost = questions[i].Cost
		}
	}
	out, err := s.move(ctx, all)
	now := s.Clock.Now()
	if err != nil {
		for i := range verdicts {
			if verdicts[i].Code == Valid {
				s.putBack(ctx, &verdicts[i], questions[i].Cost, began, now)
			}
		}
		return err
	}
	for n, i := range open {
		v := &verdicts[i]
		if out[n].left.KeyID != "" {
			v.Credits = &out[n].left
		}
		if !out[n].ok {
			s.putBack(ctx, v, all[n].cost, began, now)
			v.Code, v.Limits, v.Degraded = NoCredits, nil, false
			if at := out[n].left.RefillAt; !at.IsZero() && all[n].cost <= out[n].left.Refill {
				v.RetryAfter = at.Sub(now)
			}
		}
		if v.Code != Valid {
			s.refusals.keep(v.Key.ID, v, questions[i].Cost, now)
		}
	}
	return nil
}

// putBack gives the limits back what an admitted use took of them at an instant.
func (s *Service) putBack(ctx context.Context, v *Verdict, cost int64, began, now time.Time) {
	h := Hold{Cost: cost, Units: v.units(cost), AskedAt: began}
	if back := h.unused(0, now); len(back) > 0 {
		s.Limiter.Give(context.WithoutCancel(ctx), back)
	}
}
