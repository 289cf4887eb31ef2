package redis

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/mintreu/mintreu/service/limit"
)

var (
	//go:embed take.lua
	takeSource string
	//go:embed rate.lua
	rateSource string
	//go:embed give.lua
	giveSource string

	takeScript, rateScript, giveScript = goredis.NewScript(takeSource), goredis.NewScript(rateSource), goredis.NewScript(giveSource)
)

// script is one run of the script for a bucket: part of a batch.
type script struct {
	bucket int
	groups []group
	places []int // of the groups in the batch
	known  []limit.Known

	keys []string
	args []byte // numbers, as take.lua reads them, or rate.lua
	easy bool   // for rate.lua

	one struct { // where groups, places and known lie when it is for one
		group [1]group
		place [1]int
		known [1]limit.Known
	}

	owing map[string]debt // what is owed, as sent
	warm  []string        // counters whose tokens up front were well used a moment ago
	back  []limit.Check   // what of quotas was taken up front and goes back with the script
	wants []leasing       // what is taken up front beside the groups
}

// newScript makes a script for a bucket, with room for groups.
func newScript(bucket, room int) *script {
	s := &script{bucket: bucket}
	if room > 1 {
		s.groups, s.places, s.known = make([]group, 0, room), make([]int, 0, room), make([]limit.Known, 0, room)
	} else {
		s.groups, s.places, s.known = s.one.group[:0], s.one.place[:0], s.one.known[:0]
	}
	return s
}

// program is what runs on Redis.
func (s *script) program() *goredis.Script {
	if s.easy {
		return rateScript
	}
	return takeScript
}

// rates lays out keys and arguments for rate.lua, which most batches are for: groups of one check each, of a rate, with a counter of its own
// about which there is nothing to say. It reports false for others, having changed nothing.
func (l *Limiter) rates(s *script) bool {
	var seen map[string]struct{}
	if len(s.groups) > 1 {
		seen = make(map[string]struct{}, len(s.groups))
	}
	for i := range s.groups {
		g := &s.groups[i]
		if len(g.checks) != 1 || g.look || g.checks[0].IsQuota() || l.stocks.has(g.counters[0]) || l.away.owes(g.counters[0]) != (debt{}) {
			return false
		}
		if seen != nil {
			seen[g.counters[0]] = struct{}{}
		}
	}
	if seen != nil && len(seen) < len(s.groups) {
		return false
	}
	s.easy, s.keys, s.args = true, make([]string, len(s.groups)), make([]byte, 0, 16*len(s.groups))
	for i := range s.groups {
		g := &s.groups[i]
		c, interval := &g.checks[0], g.checks[0].Rate.Interval().Microseconds()
		s.keys[i] = l.key(s.bucket, g.counters[0])
		s.args = number(number(s.args, float64(c.Rate.Burst*interval)), float64(c.Cost*interval))
	}
	return true
}

// packed is how numbers go to take.lua: eight bytes each, least byte first.
func packed(parts ...[]float64) []byte {
	var out []byte
	for _, part := range parts {
		out = slices.Grow(out, 8*len(part))
		for _, n := range part {
			out = number(out, n)
		}
	}
	return out
}

func number(to []byte, n float64) []byte {
	return binary.LittleEndian.AppendUint64(to, math.Float64bits(n))
}

var errAnswer = errors.New("redis: the script's answer is no text of numbers, or too short")

// answer are the numbers that take.lua answers, which are whole: two for each check.
func (s *script) answer(c *goredis.Cmd) ([]int64, error) {
	value, err := c.Result()
	if err != nil {
		return nil, err
	}
	text, several := value.(string)
	if n, one := value.(int64); one && s.easy && len(s.groups) == 1 {
		return s.over(make([]int64, 0, 2), n), nil
	}
	if !several || len(text)%8 != 0 || s.easy && len(text) != 8*len(s.groups) {
		return nil, errAnswer
	}
	out := make([]int64, 0, 2*len(text)/8)
	for at := 0; at < len(text); at += 8 {
		var b [8]byte
		copy(b[:], text[at:])
		n := int64(math.Float64frombits(binary.LittleEndian.Uint64(b[:])))
		if s.easy {
			out = s.over(out, n)
		} else {
			out = append(out, n)
		}
	}
	return out, nil
}

// over appends what take.lua would have answered where rate.lua answers a number: by how much the next check is over its span, and what is used.
func (s *script) over(to []int64, used int64) []int64 {
	if used >= 0 {
		return append(to, 0, used)
	}
	used = -used - 1
	c := &s.groups[len(to)/2].checks[0]
	return append(to, max(used+(c.Cost-c.Rate.Burst)*c.Rate.Interval().Microseconds(), 0), used)
}

// send runs the scripts, each once, together when they are several. A server that has forgotten the script, which it says instead
// of running it, gets its text. It uses a context of its own, since a script serves many callers.
func (l *Limiter) send(scripts []*script) (answers [][]int64, errs []error) {
	answers, errs = make([][]int64, len(scripts)), make([]error, len(scripts))
	if len(scripts) == 0 {
		return answers, errs
	}
	l.scripts.Add(int64(len(scripts)))
	ctx := l.ends.within(l.budget(scripts))
	defer l.ends.done(ctx)
	if len(scripts) == 1 {
		answers[0], errs[0] = scripts[0].answer(scripts[0].program().EvalSha(ctx, l.client, scripts[0].keys, scripts[0].args))
	} else {
		commands := make([]*goredis.Cmd, len(scripts))
		_, _ = l.client.Pipelined(ctx, func(p goredis.Pipeliner) error { // each command has its own error
			for i, s := range scripts {
				commands[i] = s.program().EvalSha(ctx, p, s.keys, s.args)
			}
			return nil
		})
		for i, c := range commands {
			answers[i], errs[i] = scripts[i].answer(c)
		}
	}
	for i, s := range scripts {
		if errs[i] == nil {
			continue
		}
		if moved(errs[i]) && l.cluster != nil {
			l.cluster.ReloadState(ctx) // the node has not run it: it is another's
			answers[i], errs[i] = s.answer(s.program().EvalSha(ctx, l.client, s.keys, s.args))
		}
		if goredis.HasErrorPrefix(errs[i], "NOSCRIPT") {
			answers[i], errs[i] = s.answer(s.program().Eval(ctx, l.client, s.keys, s.args))
		}
	}
	return answers, errs
}

// budget is how long scripts that go out together may take.
func (l *Limiter) budget(scripts []*script) time.Duration {
	for _, s := range scripts {
		if l.buckets[s.bucket].failures.Load() > 0 {
			return l.cfg.Budget
		}
	}
	return patience * l.cfg.Budget
}

func moved(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "MOVED ") }
