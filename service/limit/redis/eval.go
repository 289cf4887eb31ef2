package redis

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
)

// group is a group of checks with the names of its counters.
type group struct {
	checks   []limit.Check
	counters []string
	bucket   int
	look     bool // decided and not spent
}

func (l *Limiter) group(checks []limit.Check) group {
	return l.named(checks, make([]string, 0, len(checks)))
}

// named is group with room for the names.
func (l *Limiter) named(checks []limit.Check, room []string) group {
	g := group{checks: checks, counters: room}
	for i := range checks {
		g.counters = append(g.counters, limit.Counter(&checks[i]))
	}
	if len(l.buckets) > 1 {
		g.bucket = int(crc32.ChecksumIEEE([]byte(checks[0].Unit()))) % buckets
	}
	return g
}

// key is the name of a counter on Redis. On a cluster it carries its bucket as a hash tag, so that what one script needs lies together.
func (l *Limiter) key(bucket int, counter string) string {
	if l.cluster == nil {
		return l.cfg.Prefix + ":" + counter
	}
	return fmt.Sprintf("%s:{b%02d}:%s", l.cfg.Prefix, bucket, counter)
}

// run decides the groups of several calls in as few batches as their number of checks asks for.
func (l *Limiter) run(calls []*call) {
	if c := calls[0]; len(calls) == 1 && c.checks <= maxBatch {
		c.results = l.batch(c.groups, slices.Repeat([]limit.Known{c.known}, len(c.groups)))
		return
	}
	n := 0
	for _, c := range calls {
		n += len(c.groups)
	}
	all, known := make([]group, 0, n), make([]limit.Known, 0, n)
	for _, c := range calls {
		for range c.groups {
			known = append(known, c.known)
		}
		all = append(all, c.groups...)
	}
	results := make([][]limit.Result, 0, len(all))
	for len(all) > 0 {
		n, checks := 0, 0
		for n < len(all) && (n == 0 || checks+len(all[n].checks) <= maxBatch) {
			checks += len(all[n].checks)
			n++
		}
		results = append(results, l.batch(all[:n], known[:n])...)
		all, known = all[n:], known[n:]
	}
	for _, c := range calls {
		c.results, results = results[:len(c.groups):len(c.groups)], results[len(c.groups):]
	}
}

// batch decides groups, each bucket by one script and all scripts together. Those of a bucket that was away a moment ago, or does not
// answer in time, follow their degraded mode.
func (l *Limiter) batch(groups []group, known []limit.Known) [][]limit.Result {
	out := make([][]limit.Result, len(groups))
	var scripts []*script
	for i := range groups {
		g := &groups[i]
		if out[i] = l.remembers(g); out[i] != nil { // what was taken up front or refused while the group waited
			continue
		}
		if int64(time.Since(l.start)) < l.buckets[g.bucket].downUntil.Load() {
			out[i] = l.without(g)
			continue
		}
		n := slices.IndexFunc(scripts, func(s *script) bool { return s.bucket == g.bucket }) // of a few, those of a lane
		if n < 0 {
			n = len(scripts)
			scripts = append(scripts, newScript(g.bucket, (len(groups)-i)/len(l.combiners)+1))
		}
		s := scripts[n]
		s.groups, s.places, s.known = append(s.groups, *g), append(s.places, i), append(s.known, known[i])
	}
	for _, s := range scripts {
		if !l.rates(s) {
			l.prepare(s)
		}
	}
	asked := time.Now()
	answers, errs := l.send(scripts)
	for n, s := range scripts {
		results, err := [][]limit.Result(nil), errs[n]
		if err == nil {
			results, err = l.results(s, answers[n], asked)
		}
		switch {
		case err == nil:
		case !unsent(err):
			l.pay(s, nil)
		default: // what was never sent is still owed
			for i := range s.back {
				l.away.give(&s.back[i])
			}
		}
		l.health(s.bucket, err)
		for j, i := range s.places {
			if err != nil {
				out[i] = l.without(&s.groups[j])
			} else {
				out[i] = results[j]
			}
		}
	}
	return out
}

// health notes whether a bucket answers.
func (l *Limiter) health(n int, err error) {
	b := &l.buckets[n]
	if err == nil {
		failed := b.failures.Swap(0)
		if failed >= 2 {
			l.cfg.Logger.Info("redis is back", "bucket", n)
		}
		if failed > 0 {
			l.settle()
		}
		return
	}
	b.failedAt.Store(int64(time.Since(l.start)))
	failures := b.failures.Add(1)
	if failures == 2 {
		l.cfg.Logger.Warn("redis is away; limits follow their degraded mode", "bucket", n, "error", err)
	}
	if failures >= 2 {
		b.downUntil.Store(int64(time.Since(l.start) + min(pause<<min(failures-2, 8), longPause)))
	}
	if l.cluster != nil && l.reloading.CompareAndSwap(false, true) { // its slots may have moved, to a replica that took over
		go func() {
			defer l.reloading.Store(false)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			l.cluster.ReloadState(ctx)
		}()
	}
}

// What take.lua is told of the beginning of a counter.
const (
	unknownBegins = -1
	rateBegins    = -2
)

// prepare lays out keys and arguments.
func (l *Limiter) prepare(s *script) {
	place := map[string]int{}
	unknown := map[string]int{} // where told has the beginning of a counter of which no group so far knows one
	spent := s.spent()
	told, checks := []float64{0}, make([]float64, 0, 8*len(s.groups)) // the first of told is how many counters it tells of
	for i, g := range s.groups {
		size := float64(len(g.checks))
		if g.look {
			size = -size
		}
		checks = append(checks, size)
		for j := range g.checks {
			c, counter := &g.checks[j], g.counters[j]
			at, there := place[counter]
			if start, asked := unknown[counter]; asked { // somebody else asked first, who does not know it yet
				if used, ok := s.known[i](counter); ok {
					told[start] = float64(used)
					delete(unknown, counter)
				}
			}
			if !there {
				s.keys = append(s.keys, l.key(s.bucket, counter))
				at = len(s.keys)
				place[counter] = at
				owed, start := l.owes(s, counter), int64(rateBegins)
				back := int64(0)
				if spent == nil || spent[counter] { // who only looks leaves it where it is
					back = l.takeBack(s, c, counter)
				}
				if c.IsQuota() {
					owed -= back
					if start, there = s.known[i](counter); !there {
						start = unknownBegins
						unknown[counter] = len(told) + 1
					}
				} else {
					interval := c.Rate.Interval().Microseconds()
					start -= (max(owed, 0) + l.others(s.bucket, c, owed)) * interval
					owed = owed*interval - back
				}
				if c.IsQuota() || owed != 0 {
					told[0]++
					told = append(told, float64(at), float64(start), float64(owed))
				}
			}
			checks = tuple(checks, c, at, 0)
		}
	}
	s.wants = s.leasings()
	for i := range s.wants {
		checks = s.wants[i].ask(checks, place[s.wants[i].counter])
	}
	s.args = packed(append(told, float64(len(s.groups)+len(s.wants))), checks)
}

// spent are the counters that a group of the script spends, when others only look; nil means all.
func (s *script) spent() map[string]bool {
	if !slices.ContainsFunc(s.groups, func(g group) bool { return g.look }) {
		return nil
	}
	spent := map[string]bool{}
	for _, g := range s.groups {
		for _, counter := range g.counters {
			spent[counter] = spent[counter] || !g.look
		}
	}
	return spent
}

// others is how many units of a rate the other replicas may have admitted while the counters were away, of which they have not told yet. It
// counts when the counter turns out to be lost.
func (l *Limiter) others(bucket int, c *limit.Check, owed int64) int64 {
	n := l.cfg.Replicas()
	failed := l.buckets[bucket].failedAt.Load()
	if n < 2 || failed == 0 || c.Degraded != apikey.Open || time.Since(l.start)-time.Duration(failed) > c.Rate.Interval()*time.Duration(c.Rate.Burst) {
		return max(owed, 0) * max(n-1, 0)
	}
	part, _ := limit.Share(c.Rate, n)
	return max(owed, part.Burst, 0) * (n - 1)
}

// tuple appends what the script is told of a check, of a rate of which some units must be left.
func tuple(to []float64, c *limit.Check, at int, left int64) []float64 {
	if c.IsQuota() {
		return append(to, float64(at), float64(c.Quota.Most), float64(c.Cost), float64(c.Quota.Ends().UnixMicro()))
	}
	interval := c.Rate.Interval().Microseconds()
	return append(to, float64(at), float64(c.Rate.Burst*interval), float64(c.Cost*interval), float64(-left*interval))
}

// results puts the script's numbers into words, and remembers what was refused and what was owed.
func (l *Limiter) results(s *script, numbers []int64, asked time.Time) ([][]limit.Result, error) {
	out := make([][]limit.Result, len(s.groups))
	now := l.cfg.Clock.Now().UnixMicro()
	var paid map[string]bool
	if len(s.owing) > 0 {
		paid = map[string]bool{}
	}
	room := make([]limit.Result, len(numbers)/2)
	if rest := len(numbers) - 2*len(s.wants); rest >= 0 {
		for i, w := range s.wants {
			if n := w.took(numbers[rest+2*i]); n > 0 {
				w.check.Cost = n
				l.stock(w, numbers[rest+2*i+1], asked)
			}
		}
		numbers = numbers[:rest]
	}
	for n := range s.groups {
		g := &s.groups[n]
		if len(numbers) < 2*len(g.checks) {
			return nil, errAnswer
		}
		results := room[:len(g.checks):len(g.checks)]
		room = room[len(g.checks):]
		decided := true
		for i := range g.checks {
			c, over, used := &g.checks[i], numbers[2*i], numbers[2*i+1]
			switch {
			case over < 0:
				decided = false
			case c.IsQuota():
				if g.look { // what lies here can be taken
					if used -= l.stocks.held(g.counters[i], c); used+c.Cost <= c.Quota.Most {
						over = 0
					}
				}
				results[i] = limit.QuotaAnswer(c.Quota, used, now, over == 0)
				if paid != nil {
					paid[g.counters[i]] = true
				}
				l.away.saw(c, g.counters[i], used)
			default:
				l.away.saw(c, g.counters[i], now+used)
				if g.look { // what lies here can be taken
					back := l.stocks.held(g.counters[i], c)
					used, over = max(used-back, 0), max(over-back, 0)
				}
				results[i] = limit.Answer(c.Rate, used, over)
				if paid != nil {
					paid[g.counters[i]] = true
				}
			}
		}
		numbers = numbers[2*len(g.checks):]
		if decided {
			out[n] = results
		}
		if decided && !g.look {
			l.refused.note(g, results, asked)
			l.lease(g, results)
		}
	}
	l.pay(s, paid)
	return out, nil
}

// owes tells what is owed to a counter, in units, and notes that it is about to be sent.
func (l *Limiter) owes(s *script, counter string) int64 {
	d := l.away.owes(counter)
	if d != (debt{}) {
		if s.owing == nil {
			s.owing = map[string]debt{}
		}
		s.owing[counter] = d
	}
	return d.spent + d.given
}

// pay strikes what was sent off the debts of counters that were there, or begin where the ledger says. What was given back is struck off
// whatever came of it: sent twice it would be given twice.
func (l *Limiter) pay(s *script, paid map[string]bool) {
	for counter, d := range s.owing {
		if !paid[counter] {
			d.spent = 0
		}
		l.away.paid(counter, d)
	}
}

// unsent reports whether a command cannot have reached a server, for want of a connection.
func unsent(err error) bool {
	var dialed *net.OpError
	return errors.As(err, &dialed) && dialed.Op == "dial"
}

// Give implements [limit.Limiter]. What was never sent for want of a connection is struck off a quota when it is next asked for; what was sent
// and not answered stays spent, unless Redis did give it back.
func (l *Limiter) Give(ctx context.Context, units []limit.Check) {
	of := map[int][]int{}
	units = slices.Clone(units)
	for i := range units {
		g := l.group(units[i : i+1])
		of[g.bucket] = append(of[g.bucket], i)
		l.refused.forget(g.counters[0])
		if c := &units[i]; c.IsQuota() { // what lies here goes with it
			back, _ := l.stocks.drop(g.counters[0])
			c.Cost += back
		}
	}
	for bucket, places := range of {
		var keys []string
		var args []any
		for _, i := range places {
			c := &units[i]
			back := c.Cost
			if !c.IsQuota() {
				back = c.Back().Microseconds()
			}
			keys, args = append(keys, l.key(bucket, limit.Counter(c))), append(args, back)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Budget)
		err := giveScript.Run(ctx, l.client, keys, args...).Err()
		cancel()
		if err == nil || !unsent(err) { // what may have been given is not given again
			continue
		}
		for _, i := range places {
			if c := &units[i]; c.IsQuota() {
				l.away.give(c)
			}
		}
	}
}
