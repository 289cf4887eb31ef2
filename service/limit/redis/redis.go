// Package redis counts on Redis 7.0, so that all replicas share their counters: the algorithm of package limit as one Lua script on
// Redis's own clock. It is the only package that names go-redis.
//
// Calls are combined: one script is under way at a time, an idle caller runs his own at once, and those who come meanwhile go
// together in the next. A script has a budget, 10 ms unless said, and is never sent twice: a lost reply leaves its tokens
// spent. When Redis does not answer in time the checks follow their limits' degraded mode: closed refuses, open admits up to this
// replica's share of the limit, counted in process. Nothing in Redis is needed to start, and nothing there cannot be lost: what is
// admitted stays within the limit in any window in which Redis kept its data, and within twice the limit in one in which it did not.
package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/dial"
	"github.com/mintreu/mintreu/service/limit"
)

//go:embed gcra.lua
var source string

const (
	// maxBatch is how many checks one script decides at most.
	maxBatch = 256
	// pause is how long Redis is left alone after two failures in a row.
	pause = 200 * time.Millisecond
	// degradedRetry is the retry-after of a refusal in degraded mode.
	degradedRetry = time.Second
)

// Config sets up a [Limiter].
type Config struct {
	// URL is "redis://user:password@host:port/db", or rediss:// with TLS.
	URL string
	// Prefix starts every key, "mtr" unless said.
	Prefix string
	// Budget is how long a script may take, 10 ms unless said.
	Budget time.Duration
	// Replicas tells how many replicas are alive, for the share in degraded mode. Nil means one. Zero closes every limit.
	Replicas func() int64
	// Clock times the counters of the degraded mode.
	Clock licensing.Clock
	// Logger is told when Redis goes away and when it is back. Nil tells nobody.
	Logger *slog.Logger
}

// Limiter counts on Redis. It is safe for concurrent use.
type Limiter struct {
	cfg    Config
	client *goredis.Client
	script *goredis.Script
	local  *limit.Local

	failures  atomic.Int64
	downUntil atomic.Int64 // since start, nanoseconds
	degraded  atomic.Int64 // checks answered by the degraded mode
	start     time.Time

	mu    sync.Mutex
	busy  bool
	queue []*call
}

var _ limit.Limiter = (*Limiter)(nil)

// New makes a limiter. It does not connect: until Redis answers, limits follow their degraded mode.
func New(cfg Config) (*Limiter, error) {
	if cfg.Clock == nil {
		return nil, errors.New("redis: a limiter needs a clock")
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "mtr"
	}
	if cfg.Budget <= 0 {
		cfg.Budget = 10 * time.Millisecond
	}
	if cfg.Replicas == nil {
		cfg.Replicas = func() int64 { return 1 }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	silence.Do(func() { goredis.SetLogger(mute{}) })
	opts, err := goredis.ParseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	opts.MaxRetries = -1 // a retry after a lost reply would count twice
	opts.DialTimeout, opts.DialerRetries = time.Second, 1
	connect := dial.Trusted()
	if opts.TLSConfig != nil {
		connect = dial.OverTLS(connect, opts.TLSConfig)
	}
	opts.Dialer = dial.Within(connect, opts.DialTimeout)
	opts.ReadTimeout, opts.WriteTimeout, opts.PoolTimeout = cfg.Budget, cfg.Budget, cfg.Budget
	opts.ContextTimeoutEnabled = true
	opts.PoolSize, opts.MinIdleConns = 4, 1 // one script at a time; the rest is for pings and for a connection that hangs
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &Limiter{
		cfg: cfg, client: goredis.NewClient(opts), script: goredis.NewScript(source), local: limit.NewLocal(cfg.Clock), start: time.Now(),
	}, nil
}

// go-redis logs every failed dial to standard error, for the whole process; here the limiter's own logger is told once.
var silence sync.Once

type mute struct{}

func (mute) Printf(context.Context, string, ...any) {}

// Close ends the connections.
func (l *Limiter) Close() error { return l.client.Close() }

// Ping reports whether Redis answers, within a second.
func (l *Limiter) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return l.client.Ping(ctx).Err()
}

// Degraded is how many checks were answered by the degraded mode since the start, for metrics.
func (l *Limiter) Degraded() int64 { return l.degraded.Load() }

// Take implements [limit.Limiter].
func (l *Limiter) Take(ctx context.Context, group []limit.Check) ([]limit.Result, error) {
	out, err := l.TakeEach(ctx, [][]limit.Check{group})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// TakeEach implements [limit.Limiter].
func (l *Limiter) TakeEach(ctx context.Context, groups [][]limit.Check) ([][]limit.Result, error) {
	checks := 0
	for _, group := range groups {
		if err := limit.Validate(group); err != nil {
			return nil, err
		}
		checks += len(group)
	}
	c := &call{groups: groups, checks: checks, ready: make(chan []*call, 1)}
	if err := l.combine(ctx, c); err != nil {
		return nil, err
	}
	return c.results, nil
}

// run decides the groups of several calls in as few scripts as their number of checks asks for.
func (l *Limiter) run(calls []*call) {
	var groups [][]limit.Check
	for _, c := range calls {
		groups = append(groups, c.groups...)
	}
	results := make([][]limit.Result, 0, len(groups))
	for len(groups) > 0 {
		n, checks := 0, 0
		for n < len(groups) && (n == 0 || checks+len(groups[n]) <= maxBatch) {
			checks += len(groups[n])
			n++
		}
		results = append(results, l.decide(groups[:n])...)
		groups = groups[n:]
	}
	for _, c := range calls {
		c.results, results = results[:len(c.groups):len(c.groups)], results[len(c.groups):]
	}
}

// decide asks Redis, or the degraded mode when Redis was away a moment ago or does not answer in time.
func (l *Limiter) decide(groups [][]limit.Check) [][]limit.Result {
	if int64(time.Since(l.start)) < l.downUntil.Load() {
		return l.without(groups)
	}
	results, err := l.eval(groups)
	if err != nil {
		failures := l.failures.Add(1)
		if failures == 2 {
			l.cfg.Logger.Warn("redis is away; limits follow their degraded mode", "error", err)
		}
		if failures >= 2 {
			l.downUntil.Store(int64(time.Since(l.start) + pause))
		}
		return l.without(groups)
	}
	if l.failures.Swap(0) >= 2 {
		l.cfg.Logger.Info("redis is back")
	}
	return results
}

// eval runs the script once. It uses a context of its own, since a script serves many callers.
func (l *Limiter) eval(groups [][]limit.Check) ([][]limit.Result, error) {
	place := map[string]int{}
	var keys []string
	args := []any{len(groups)}
	for _, group := range groups {
		args = append(args, len(group))
		for i := range group {
			c := &group[i]
			at, known := place[c.Key]
			if !known {
				keys = append(keys, l.cfg.Prefix+":"+c.Key)
				at = len(keys)
				place[c.Key] = at
			}
			interval := c.Rate.Interval().Microseconds()
			args = append(args, at, c.Rate.Burst*interval, c.Cost*interval)
		}
	}
	if len(keys) == 0 {
		return make([][]limit.Result, len(groups)), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Budget)
	defer cancel()
	numbers, err := l.script.Run(ctx, l.client, keys, args...).Int64Slice()
	if err != nil {
		return nil, err
	}
	return results(groups, numbers)
}

// results puts the script's numbers into words.
func results(groups [][]limit.Check, numbers []int64) ([][]limit.Result, error) {
	out := make([][]limit.Result, len(groups))
	for g, group := range groups {
		out[g] = make([]limit.Result, len(group))
		for i := range group {
			if len(numbers) < 2 {
				return nil, errors.New("redis: the script's answer is too short")
			}
			out[g][i] = limit.Answer(group[i].Rate, numbers[1], numbers[0])
			numbers = numbers[2:]
		}
	}
	return out, nil
}

// without answers by the degraded modes. A group with a closed limit is refused whole; one whose limits are all open is
// admitted up to this replica's share of each.
func (l *Limiter) without(groups [][]limit.Check) [][]limit.Result {
	replicas := l.cfg.Replicas()
	out := make([][]limit.Result, len(groups))
	for g, group := range groups {
		l.degraded.Add(int64(len(group)))
		out[g] = l.shared(group, replicas)
	}
	return out
}

func (l *Limiter) shared(group []limit.Check, replicas int64) []limit.Result {
	share := make([]limit.Check, len(group))
	for i, c := range group {
		rate, ok := limit.Share(c.Rate, replicas)
		if c.Degraded != apikey.Open || replicas < 1 || !ok || c.Cost > rate.Burst {
			return refused(group)
		}
		c.Rate = rate
		share[i] = c
	}
	out, err := l.local.Take(context.Background(), share)
	if err != nil { // every check was validated, and its share too
		return refused(group)
	}
	for i := range out {
		out[i].Degraded = true
	}
	return out
}

func refused(group []limit.Check) []limit.Result {
	out := make([]limit.Result, len(group))
	for i := range out {
		out[i] = limit.Result{RetryAfter: degradedRetry, Degraded: true}
	}
	return out
}
