package apikey

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/combine"
)

// Never is the period of credits that are not refilled.
const Never licensing.Every = ""

// refills reports whether credits can be refilled by e: each day, week or month of the calendar in UTC, or never.
func refills(e licensing.Every) bool {
	return e == Never || e == licensing.Daily || e == licensing.Weekly || e == licensing.Monthly
}

// next is the first start of a period after an instant, zero for [Never].
func next(e licensing.Every, t time.Time) time.Time {
	if e == Never {
		return time.Time{}
	}
	_, until := e.Period(t, time.UTC)
	return until.UTC()
}

// Credits are what a key may still spend, one for each unit of cost. At the start of each period the balance is raised to Refill; what
// is above stays.
type Credits struct {
	KeyID    string
	Balance  int64
	Refill   int64
	Every    licensing.Every
	RefillAt time.Time // zero without a period
	// Raised is what the last refill added, less what came back since that it need not have added; RaisedAt is when it was due, zero for none.
	Raised   int64
	RaisedAt time.Time
}

// at brings the credits up to an instant.
func (c *Credits) at(now time.Time) {
	if c.Every != Never && !now.Before(c.RefillAt) {
		c.Raised, c.RaisedAt = max(c.Refill-c.Balance, 0), c.RefillAt
		c.Balance, c.RefillAt = c.Balance+c.Raised, next(c.Every, now)
	}
}

// back gives units back that were taken when the last refill was the one due at an instant, as if they had never been taken: had they been there,
// a refill since would have added less, so that is what they make up for first.
func (c *Credits) back(units int64, raised time.Time) {
	if !c.RaisedAt.Equal(raised) {
		made := min(units, c.Raised)
		c.Raised, units = c.Raised-made, units-made
	}
	c.Balance += units
}

// CreditStore keeps credits. They are the one limit that is money, so they are counted in the database, never in memory alone.
type CreditStore interface {
	// HoldCredits returns the credits of keys with their rows locked, in the order of the ids. Keys without credits are left out.
	HoldCredits(ctx context.Context, ids []string) ([]Credits, error)
	// SaveCredits stores them, new or known.
	SaveCredits(ctx context.Context, credits []Credits) error
	// CreditsOf returns the credits of a key as they were last moved; without a KeyID when it has none.
	CreditsOf(ctx context.Context, id string) (Credits, error)
	// DropCredits lets a key go on without.
	DropCredits(ctx context.Context, id string) error
	// CreditsChanged tells the change feed that a key has credits now, or more.
	CreditsChanged(ctx context.Context, id string) error
}

// spending is what is to be taken of the credits of a key.
type spending struct {
	key  string
	cost int64
}

// spent is the outcome of a [spending]: the credits after it, and whether there were enough.
type spent struct {
	ok   bool
	left Credits
}

// moves are the spendings of one caller.
type moves struct {
	all []spending
	out []spent
	err error
}

const (
	// creditPatience bounds one transaction of credits, which serves many callers and so outlives each of them.
	creditPatience = 5 * time.Second
	// creditMost is how many spendings one transaction has at most.
	creditMost = 1000
)

// move spends, or gives back, each by itself. An error means that nothing moved. One transaction is under way at a time, and those who come
// meanwhile go together in the next, first in first out, so that a hundred callers on one key share a commit.
func (s *Service) move(ctx context.Context, all []spending) ([]spent, error) {
	mine := &moves{all: all}
	err := s.treasury.Do(context.WithoutCancel(ctx), &combine.Work[*moves]{Lanes: 1, Most: creditMost, Size: func(m *moves) int { return len(m.all) }, Run: func(batch []*moves) {
		err := s.settle(ctx, batch)
		for _, m := range batch {
			m.err = err
		}
	}}, mine)
	if err != nil {
		return nil, err
	}
	return mine.out, mine.err
}

// settle runs a batch of moves in one transaction.
func (s *Service) settle(ctx context.Context, batch []*moves) error {
	ctx, cancel := context.WithTimeout(licensing.AsSystem(context.WithoutCancel(ctx), "key.credits"), creditPatience)
	defer cancel()
	var ids []string
	for _, m := range batch {
		for _, sp := range m.all {
			ids = append(ids, sp.key)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		held, err := s.Credits.HoldCredits(ctx, ids)
		if err != nil {
			return err
		}
		purse, now := map[string]*Credits{}, s.Clock.Now()
		for i := range held {
			held[i].at(now)
			purse[held[i].KeyID] = &held[i]
		}
		for _, m := range batch {
			m.out = make([]spent, len(m.all))
			for i, sp := range m.all {
				m.out[i] = take(purse[sp.key], sp.cost)
			}
		}
		return s.Credits.SaveCredits(ctx, held)
	})
}

// take spends cost of c, all or nothing. A key that has no credits any more is without that limit.
func take(c *Credits, cost int64) spent {
	switch {
	case c == nil:
		return spent{ok: true}
	case cost > c.Balance:
		return spent{left: *c}
	}
	c.Balance -= cost
	return spent{ok: true, left: *c}
}

// refusal is an answer that a replica may give again without asking: to the same or a larger cost, until it ends or the key changes. It
// ends after [refusalLife] at the latest, since another replica may have given credits back.
type refusal struct {
	code    Code
	cost    int64
	until   time.Time
	retry   time.Time
	limits  []LimitState
	credits *Credits
}

const (
	refusalLife = time.Second
	maxRefusals = 10_000
)

// refusals are those of keys with credits, whose limits and credits would otherwise cost a transaction each time. Safe for concurrent use.
type refusals struct {
	mu sync.Mutex
	of map[string]refusal
}

func (r *refusals) get(id string, cost int64, now time.Time) (refusal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.of[id]
	return known, ok && cost >= known.cost && now.Before(known.until)
}

func (r *refusals) keep(id string, v *Verdict, cost int64, now time.Time) {
	if v.Degraded {
		return
	}
	until := now.Add(refusalLife)
	retry := now.Add(v.RetryAfter)
	if v.RetryAfter > 0 && retry.Before(until) {
		until = retry
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil || len(r.of) >= maxRefusals {
		r.of = map[string]refusal{}
	}
	r.of[id] = refusal{v.Code, cost, until, retry, v.Limits, v.Credits}
}

func (r *refusals) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == "" {
		clear(r.of)
	}
	delete(r.of, id)
}
