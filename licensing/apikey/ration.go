package apikey

import (
	"context"
	"errors"
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

// ration spends the credits of good keys, before their limits are asked: verdicts without enough become [NoCredits]. It returns what to
// give back should a limit refuse. Refusals of a moment ago are answered from memory.
func (s *Service) ration(ctx context.Context, questions []Question, verdicts []Verdict) ([]spending, error) {
	var all []spending
	var of []int
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
		all, of = append(all, spending{key: v.Key.ID, cost: questions[i].Cost}), append(of, i)
	}
	if len(all) == 0 {
		return nil, nil
	}
	out, err := s.move(ctx, all)
	if err != nil {
		return nil, err
	}
	back := make([]spending, len(verdicts))
	for n, i := range of {
		v := &verdicts[i]
		if out[n].left.KeyID != "" {
			v.Credits = &out[n].left
		}
		if out[n].ok {
			back[i] = spending{key: all[n].key, cost: -all[n].cost, refill: out[n].left.RefillAt}
			continue
		}
		v.Code = NoCredits
		if at := out[n].left.RefillAt; !at.IsZero() && all[n].cost <= out[n].left.Refill {
			v.RetryAfter = at.Sub(now)
		}
		s.refusals.keep(v.Key.ID, v, all[n].cost, now)
	}
	return back, nil
}

// giveBack returns the credits of verdicts that a limit refused, or of all when the limits could not be asked.
func (s *Service) giveBack(ctx context.Context, verdicts []Verdict, back []spending, failed bool) error {
	var all []spending
	var of []int
	for i, sp := range back {
		if sp.key != "" && (failed || verdicts[i].Code != Valid) {
			all, of = append(all, sp), append(of, i)
		}
	}
	if len(all) == 0 {
		return nil
	}
	out, err := s.move(ctx, all)
	if err != nil {
		return errors.Join(err, errors.New("credits were spent and could not be given back"))
	}
	now := s.Clock.Now()
	for n, i := range of {
		if out[n].left.KeyID != "" {
			verdicts[i].Credits = &out[n].left
		}
		if !failed {
			s.refusals.keep(all[n].key, &verdicts[i], -all[n].cost, now)
		}
	}
	return nil
}
