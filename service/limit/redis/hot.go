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
	// hotPart is which part of what is left of a quota is taken up front at most; take.lua knows it too. So what lies here shrinks towards the
	// end, of the last units nothing is taken, and what a replica wastes when it dies is little.
	hotPart = 64
)

// stocks are tokens of limits that many callers ask for at once, taken up front together with a batch and spent without asking. What is not
// spent goes back: with the next batch that names the counter, which a limit that was changed asks for too, when something else is given back to
// it, or after a while.
//
// The counter of a quota holds the tokens of a stock as spent, and so does the ledger, which is told of them by [Limiter.Held]: a counter that is
// lost begins with them.
//
// The stock of a rate never lets more through than the rate: the counter holds its tokens as spent, and forgets them no faster than the stock here
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
	used  int64     // of the counter, with all that was taken: units of a quota, microseconds of a rate's span
	asked time.Time // when; the counter counted them later
}

// of reports whether a check is of the limit that the stock was taken of. The period of a quota is in the counter's name.
func (s *stock) of(c *limit.Check) bool {
	return s.check.Rate == c.Rate && s.check.Quota.Most == c.Quota.Most
}

// since is the time that has passed since the stock was asked for, by whichever clock says more: one of them stands still while a machine
// is suspended, and the other may be set back.
func (s *stock) since(now time.Time) int64 {
	return max(now.Sub(s.asked), now.Round(0).Sub(s.asked.Round(0))).Microseconds()
}

// back is what may still be spent, as the counter counts: units of a quota, microseconds of a rate's span.
func (s *stock) back(now time.Time) int64 {
	if s.check.IsQuota() {
		return s.left
	}
	since, interval := s.since(now), s.check.Rate.Interval()
	if interval >= slowFrom && since < 2*hotLife.Microseconds() {
		since = 0
	}
	return max(min(s.left*interval.Microseconds(), s.taken*interval.Microseconds()-since), 0)
}

// valid is how many tokens may still be spent.
func (s *stock) valid(now time.Time) int64 {
	if s.check.IsQuota() {
		return s.left
	}
	return s.back(now) / s.check.Rate.Interval().Microseconds()
}

// answer is how the limit stands, where what lies here can be taken.
func (s *stock) answer(now time.Time) limit.Result {
	if s.check.IsQuota() {
		return limit.QuotaAnswer(s.check.Quota, s.used-s.left, now.UnixMicro(), true)
	}
	kept := s.valid(now) * s.check.Rate.Interval().Microseconds()
	return limit.Answer(s.check.Rate, max(s.used-s.since(now)-kept, 0), 0)
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
		if s == nil || !s.of(&g.checks[i]) || s.valid(now) < g.checks[i].Cost || slices.Contains(g.counters[:i], g.counters[i]) {
			return nil
		}
	}
	out := make([]limit.Result, len(g.checks))
	for i := range g.checks {
		s := h.of[g.counters[i]]
		s.left -= g.checks[i].Cost
		out[i] = s.answer(now)
	}
	return out
}

// drop takes away what is left of a counter's stock and returns it as the counter counts, and whether most of it was spent
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

// has reports whether a counter has a stock.
func (h *stocks) has(counter string) bool {
	if !h.some.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.of[counter] != nil
}

// held is what lies in the stock of a limit, as the counter counts.
func (h *stocks) held(counter string, c *limit.Check) int64 {
	if !h.some.Load() {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.of[counter]; s != nil && s.of(c) {
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
		if g.look || slices.ContainsFunc(g.checks, func(c limit.Check) bool { return portion(&c) < 2 }) ||
			slices.ContainsFunc(g.counters, func(c string) bool { return times[c] < hotFrom && !slices.Contains(s.warm, c) }) {
			continue
		}
		for j, counter := range g.counters {
			c := g.checks[j]
			if c.Cost = portion(&c); !slices.ContainsFunc(out, func(l leasing) bool { return l.counter == counter }) {
				out = append(out, leasing{counter, c})
			}
		}
	}
	return out
}

// takeBack takes away what is left of a counter's stock, for the script to give it back, and returns it as the counter counts.
func (l *Limiter) takeBack(s *script, c *limit.Check, counter string) int64 {
	back, warm := l.stocks.drop(counter)
	if warm {
		s.warm = append(s.warm, counter)
	}
	if back > 0 && c.IsQuota() {
		units := *c
		units.Cost = back
		s.back = append(s.back, units)
	}
	return back
}

// portion is how much is taken up front of a limit at most.
func portion(c *limit.Check) int64 {
	if c.IsQuota() {
		return min(c.Quota.Most/hotPart, maxLease)
	}
	return size(c)
}

// ask appends what the script is told of what is to be taken up front.
func (w *leasing) ask(to []float64, at int) []float64 {
	if !w.check.IsQuota() {
		return tuple(append(to, 1), &w.check, at, hotLeft*w.check.Cost)
	}
	wanted := w.check
	wanted.Cost = -wanted.Cost
	return tuple(append(to, 1), &wanted, at, 0)
}

// took tells how much the script took, from its answer; 0 for nothing.
func (w *leasing) took(over int64) int64 {
	switch {
	case w.check.IsQuota() && over < -1:
		return -over
	case !w.check.IsQuota() && over == 0:
		return w.check.Cost
	}
	return 0
}

// stock keeps what a script took up front. What there is no room for goes back.
func (l *Limiter) stock(of leasing, used int64, asked time.Time) {
	if !l.keep(of, used, asked) && of.check.IsQuota() { // units of a rate come back by themselves
		l.Give(context.Background(), []limit.Check{of.check})
	}
}

func (l *Limiter) keep(of leasing, used int64, asked time.Time) bool {
	h := &l.stocks
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shut || len(h.of) >= maxLeases || h.of[of.counter] != nil {
		return false
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
	return true
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

// all empties the stocks and returns what was left of them.
func (h *stocks) all() []limit.Check {
	h.mu.Lock()
	defer h.mu.Unlock()
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

// quotas is what lies here of quotas.
func (h *stocks) quotas() (held []limit.Spent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for counter, s := range h.of {
		if s.check.IsQuota() && s.left > 0 {
			held = append(held, limit.Spent{Counter: counter, Used: s.left, Until: s.check.Quota.Ends()})
		}
	}
	return held
}

// quota is what lies here of one quota.
func (h *stocks) quota(counter string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.of[counter]; s != nil && s.check.IsQuota() {
		return s.left
	}
	return 0
}

// Held implements [limit.Holder].
func (l *Limiter) Held() []limit.Spent {
	return append(l.stocks.quotas(), l.leases.quotas()...)
}

// HeldOf implements [limit.Holder].
func (l *Limiter) HeldOf(counter string) int64 {
	return l.stocks.quota(counter) + l.leases.quota(counter)
}

// Return implements [limit.Holder].
func (l *Limiter) Return(ctx context.Context) {
	if units := append(l.stocks.all(), l.leases.rest()...); len(units) > 0 {
		l.Give(ctx, units)
	}
}
