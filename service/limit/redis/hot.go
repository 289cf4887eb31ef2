package redis

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintreu/mintreu/service/limit"
)

const (
	// hotFrom is how often a batch must name a counter for it to be hot. It stays so while what is taken up front is spent.
	hotFrom = 8
	// hotLife is how long tokens are kept for callers who do not come.
	hotLife = time.Second
	// hotLeft is how many times what is taken up front must be left at the counter, so that other replicas are not refused for it.
	hotLeft  = 4
	slowFrom = 16 * hotLife
)

// stocks are tokens of rates that many callers ask for at once, taken up front together with a batch and spent without asking. What is not
// spent goes back: with the next batch that names the counter, or after a while. Quotas have none, since what is taken up front and not
// spent yet stands in no ledger, and a lost counter would begin without it.
//
// A stock never lets more through than the rate: the counter holds its tokens as spent, and forgets them no faster than the stock here
// shrinks. Of n tokens taken at some instant, n less those that came back since may be outstanding at most, so that in any window what is
// spent of stocks was still counted when it began. Where one token takes longer to come back than slowFrom, nothing comes back in the life of a
// stock, and all of it counts.
type stocks struct {
	mu   sync.Mutex
	of   map[string]*stock
	some atomic.Bool // of is not empty
	wake *time.Timer // gives back; nil when there is nothing
	shut bool
}

type stock struct {
	check limit.Check // one unit of the counter
	taken int64       // tokens
	left  int64
	used  int64     // microseconds of the counter's span, with all that was taken
	asked time.Time // when; the counter counted them later
}

// since is the time that has passed since the stock was asked for, by whichever clock says more: one of them stands still while a machine
// is suspended, and the other may be set back.
func (s *stock) since(now time.Time) int64 {
	return max(now.Sub(s.asked), now.Round(0).Sub(s.asked.Round(0))).Microseconds()
}

// back is what may still be spent, in microseconds of the counter's span.
func (s *stock) back(now time.Time) int64 {
	since, interval := s.since(now), s.check.Rate.Interval()
	if interval >= slowFrom && since < 2*hotLife.Microseconds() {
		since = 0
	}
	return max(min(s.left*interval.Microseconds(), s.taken*interval.Microseconds()-since), 0)
}

// valid is how many tokens may still be spent.
func (s *stock) valid(now time.Time) int64 {
	return s.back(now) / s.check.Rate.Interval().Microseconds()
}

// spend admits a group from stocks. It returns nil when not all of it can be, having spent nothing.
func (h *stocks) spend(g *group) []limit.Result {
	if !h.some.Load() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for i := range g.checks {
		s := h.of[g.counters[i]]
		if s == nil || s.check.Rate != g.checks[i].Rate || s.valid(now) < g.checks[i].Cost || slices.Contains(g.counters[:i], g.counters[i]) {
			return nil
		}
	}
	out := make([]limit.Result, len(g.checks))
	for i := range g.checks {
		s := h.of[g.counters[i]]
		s.left -= g.checks[i].Cost
		kept := s.valid(now) * s.check.Rate.Interval().Microseconds()
		out[i] = limit.Answer(s.check.Rate, max(s.used-s.since(now)-kept, 0), 0)
	}
	return out
}

// drop takes away what is left of a counter's stock and returns it in microseconds of the counter's span, and whether most of it was spent
// a moment ago. Whoever asks the counter gives it back with that, so that nobody is refused for tokens that lie here.
func (h *stocks) drop(counter string) (back int64, warm bool) {
	if !h.some.Load() {
		return 0, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.of[counter]
	if s == nil {
		return 0, false
	}
	h.remove(counter)
	now := time.Now()
	return s.back(now), s.left <= s.taken/2 && s.since(now) < hotLife.Microseconds()
}

// held is what lies in the stock of a rate, in microseconds of the counter's span.
func (h *stocks) held(counter string, r limit.Rate) int64 {
	if !h.some.Load() {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.of[counter]; s != nil && s.check.Rate == r {
		return s.back(time.Now())
	}
	return 0
}

// remove forgets a stock. Needs h.mu.
func (h *stocks) remove(counter string) {
	delete(h.of, counter)
	h.some.Store(len(h.of) > 0)
}

// leasing is a stock that a script is to take.
type leasing struct {
	counter string
	check   limit.Check
}

// leasings are the stocks that a script is to take beside its checks: of the groups whose counters are all hot, since a group is admitted from
// stocks whole or not at all.
func (s *script) leasings() []leasing {
	times := map[string]int{}
	for i := range s.groups {
		if s.groups[i].look {
			continue
		}
		for _, counter := range s.groups[i].counters {
			times[counter]++
		}
	}
	var out []leasing
	for i := range s.groups {
		g := &s.groups[i]
		if g.look || slices.ContainsFunc(g.checks, func(c limit.Check) bool { return c.IsQuota() || c.Rate.Burst/leaseShare < 2 }) ||
			slices.ContainsFunc(g.counters, func(c string) bool { return times[c] < hotFrom && !slices.Contains(s.warm, c) }) {
			continue
		}
		for j, counter := range g.counters {
			c := g.checks[j]
			if c.Cost = size(&c); !slices.ContainsFunc(out, func(l leasing) bool { return l.counter == counter }) {
				out = append(out, leasing{counter, c})
			}
		}
	}
	return out
}

// stock keeps what a script took up front.
func (l *Limiter) stock(of leasing, used int64, asked time.Time) {
	h := &l.stocks
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shut || len(h.of) >= maxLeases || h.of[of.counter] != nil { // wasted
		return
	}
	if h.of == nil {
		h.of = map[string]*stock{}
	}
	s := &stock{check: of.check, taken: of.check.Cost, left: of.check.Cost, used: used, asked: asked}
	s.check.Cost = 1
	h.of[of.counter] = s
	h.some.Store(true)
	if h.wake == nil {
		h.wake = time.AfterFunc(hotLife, func() {
			l.stocks.stale(func(units []limit.Check) {
				l.background.Go(func() { l.Give(context.Background(), units) })
			})
		})
	}
}

// rest empties the stocks for good and returns what is left of them. Nothing goes back by itself from then on.
func (h *stocks) rest() []limit.Check {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shut = true
	if h.wake != nil {
		h.wake.Stop()
	}
	return h.takeAll(func(*stock) bool { return true })
}

// stale takes away stocks that nobody came for, hands over what is left of them, unless rest was called, and comes back for the others.
func (h *stocks) stale(give func([]limit.Check)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shut {
		return
	}
	now := time.Now()
	units := h.takeAll(func(s *stock) bool { return now.Sub(s.asked) >= hotLife })
	if len(h.of) > 0 {
		h.wake.Reset(hotLife)
	} else {
		h.wake = nil
	}
	if len(units) > 0 {
		give(units)
	}
}

// takeAll removes stocks and returns what is left of them. Needs h.mu.
func (h *stocks) takeAll(which func(*stock) bool) []limit.Check {
	var units []limit.Check
	for counter, s := range h.of {
		if !which(s) {
			continue
		}
		c := s.check
		if c.Cost = s.valid(time.Now()); c.Cost > 0 {
			units = append(units, c)
		}
		h.remove(counter)
	}
	return units
}
