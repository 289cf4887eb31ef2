// Package redis counts on Redis 7.0, one server or a cluster, so that all replicas share their counters: what package limit says, as
// one Lua script on Redis's own clock. It is the only package that names go-redis.
//
// Calls are combined: one batch is under way at a time, an idle caller runs his own at once, and those who come meanwhile go
// together in the next. A batch is one script; on a cluster it is one script for each bucket, of 64 by owner, and the scripts for a
// node go out together. A script has a budget, 10 ms unless said, and is never sent twice: a lost reply leaves its tokens spent.
//
// Of a limit that many ask for at once a replica takes tokens up front, with a batch that is under way anyhow, and spends them without asking.
// What it does not spend goes back; a replica that dies wastes them, and no window admits more for it. Of a quota they are a 64th part of what
// is left at most, and stand in the ledger as used: see [Limiter.Held].
//
// What was refused is refused again from memory for as long as Redis said, two seconds at most, so that a flood over a limit
// reaches nobody.
//
// When Redis does not answer in time the checks follow their limits' degraded mode: closed refuses, lease_only admits what this
// replica took up front, open admits up to this replica's share of the limit, counted in process. Nothing in Redis is needed to
// start, and nothing there cannot be lost: what is admitted stays within the limit in any window in which Redis kept its data, and
// within twice the limit in one in which it did not.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/combine"
	"github.com/mintreu/mintreu/service/dial"
	"github.com/mintreu/mintreu/service/limit"
)

const (
	// maxBatch is how many checks one script decides at most.
	maxBatch = 256
	// pause is how long a bucket is left alone after two failures in a row. It doubles with each further one, up to longPause, so that a
	// moment's trouble costs a moment and a server that is away is not asked all the time.
	pause, longPause = 25 * time.Millisecond, 200 * time.Millisecond
	// patience is how many budgets a script has while the one before was answered. Whoever waits for one that fails has a budget more for his own, so
	// a check takes four of them, 40 ms, before it follows its degraded mode; a pause of the machine adds its own time.
	patience = 3
	// remembered is how long counters that were away count as such, since nobody may have asked for them since.
	remembered = 10 * time.Second
	// buckets is into how many parts a cluster's counters fall, by owner; each is one script.
	buckets = 64
	// lanes is how many batches a cluster may have under way, each of its own buckets.
	lanes = 8
)

// Config sets up a [Limiter].
type Config struct {
	// URL is "redis://user:password@host:port/db", or rediss:// with TLS. A cluster is named by some of its nodes:
	// "redis://host1:port?addr=host2:port&addr=host3:port".
	URL string
	// Prefix starts every key, "mtr" unless said.
	Prefix string
	// Budget is how long a script may take, 10 ms unless said; thrice as long while the one before was answered, and once more where the machine
	// paused meanwhile.
	Budget time.Duration
	// Replicas tells how many replicas are alive, for the share in degraded mode. Nil means one. Zero closes every limit.
	Replicas func() int64
	// Clock times the counters of the degraded mode.
	Clock licensing.Clock
	// Logger is told when Redis goes away and when it is back. Nil tells nobody.
	Logger *slog.Logger
}

// client is what there is of go-redis for one server and for a cluster.
type client interface {
	goredis.Scripter
	Ping(ctx context.Context) *goredis.StatusCmd
	Pipelined(ctx context.Context, fn func(goredis.Pipeliner) error) ([]goredis.Cmder, error)
	Close() error
}

// Limiter counts on Redis. It is safe for concurrent use.
type Limiter struct {
	cfg       Config
	client    client
	cluster   *goredis.ClusterClient // nil for one server
	combiners []*combiner            // one, or those of a cluster's lanes
	shared    *combine.Work[*call]   // what they do
	buckets   []bucket
	start     time.Time
	degraded  atomic.Int64 // checks answered by the degraded mode
	scripts   atomic.Int64 // sent
	reloading atomic.Bool
	settling  atomic.Bool

	background sync.WaitGroup // leases being taken, stocks given back, and debts paid

	ends    ends
	refused refusals
	leases  leases
	stocks  stocks
	away    away
}

// bucket is how it stands with a part of the counters.
type bucket struct {
	failures  atomic.Int64
	failedAt  atomic.Int64 // since start, nanoseconds; 0 never
	downUntil atomic.Int64 // the same
}

var (
	_ limit.Limiter = (*Limiter)(nil)
	_ limit.Engine  = (*Limiter)(nil)
	_ limit.Holder  = (*Limiter)(nil)
)

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
	l := &Limiter{cfg: cfg, start: time.Now(), away: away{local: limit.NewLocal(cfg.Clock), clock: cfg.Clock}}
	l.shared = l.work()
	err := l.connect()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	return l, nil
}

// connect makes the client: no timeout is longer than a script may take, and nothing is ever sent twice, since a retry after a lost reply would
// count twice.
func (l *Limiter) connect() error {
	const dialTimeout, connections = time.Second, 4 // a few, for pings and for a connection that hangs
	longest := patience * l.cfg.Budget
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	u, err := url.Parse(l.cfg.URL)
	if err != nil {
		return err
	}
	if !u.Query().Has("addr") {
		opts, err := goredis.ParseURL(l.cfg.URL)
		if err != nil {
			return err
		}
		opts.MaxRetries, opts.DialTimeout, opts.DialerRetries = -1, dialTimeout, 1
		opts.Dialer = dial.Within(l.dialer(opts.TLSConfig), dialTimeout)
		opts.ReadTimeout, opts.WriteTimeout, opts.PoolTimeout = longest, longest, longest
		opts.PoolSize, opts.MinIdleConns = connections, 1
		opts.Protocol, opts.ContextTimeoutEnabled, opts.DisableIdentity, opts.MaintNotificationsConfig = 2, true, true, quiet
		l.client, l.combiners, l.buckets = goredis.NewClient(opts), []*combiner{{}}, make([]bucket, 1)
		return nil
	}
	opts, err := goredis.ParseClusterURL(l.cfg.URL)
	if err != nil {
		return err
	}
	opts.MaxRedirects, opts.MaxRetries, opts.DialTimeout, opts.DialerRetries = -1, -1, dialTimeout, 1
	opts.Dialer = dial.Within(l.dialer(opts.TLSConfig), dialTimeout)
	opts.ReadTimeout, opts.WriteTimeout, opts.PoolTimeout = longest, longest, longest
	opts.PoolSize, opts.MinIdleConns = connections+lanes, 1
	opts.Protocol, opts.ContextTimeoutEnabled, opts.DisableIdentity, opts.MaintNotificationsConfig = 2, true, true, quiet
	l.cluster = goredis.NewClusterClient(opts)
	l.client, l.buckets = l.cluster, make([]bucket, buckets)
	for range lanes {
		l.combiners = append(l.combiners, &combiner{})
	}
	return nil
}

// dialer opens connections, with TLS where there is a configuration for it.
func (l *Limiter) dialer(config *tls.Config) dial.Dialer {
	d := fair(dial.Trusted(), l.cfg.Budget)
	if config != nil {
		d = dial.OverTLS(d, config)
	}
	return d
}

// go-redis logs every failed dial to standard error, for the whole process; here the limiter's own logger is told once.
var silence sync.Once

type mute struct{}

func (mute) Printf(context.Context, string, ...any) {}

// Close gives leases back and ends the connections.
func (l *Limiter) Close() error {
	stocks := l.stocks.rest()
	l.background.Wait()
	if units := append(l.leases.rest(), stocks...); len(units) > 0 {
		l.Give(context.Background(), units)
	}
	return l.client.Close()
}

// Ping reports whether Redis answers, within a second.
func (l *Limiter) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return l.client.Ping(ctx).Err()
}

// Degraded is how many checks were answered by the degraded mode since the start, for metrics.
func (l *Limiter) Degraded() int64 { return l.degraded.Load() }

// Scripts is how many scripts that decide checks were sent since the start, for metrics.
func (l *Limiter) Scripts() int64 { return l.scripts.Load() }

// Away reports whether a part of the counters is away, or was in the last seconds.
func (l *Limiter) Away() bool {
	now := int64(time.Since(l.start))
	for i := range l.buckets {
		if down := l.buckets[i].downUntil.Load(); down > 0 && now < down+int64(remembered) {
			return true
		}
	}
	return false
}

// Take implements [limit.Limiter].
func (l *Limiter) Take(ctx context.Context, group []limit.Check) ([]limit.Result, error) {
	if err := limit.Validate(group); err != nil {
		return nil, err
	}
	return l.one(ctx, group, fromZero, false)
}

// TakeEach implements [limit.Limiter]. Quotas whose counters are not there begin at nothing used.
func (l *Limiter) TakeEach(ctx context.Context, groups [][]limit.Check) ([][]limit.Result, error) {
	return l.Decide(ctx, groups, fromZero)
}

func fromZero(string) (int64, bool) { return 0, true }

// Look implements [limit.Limiter].
func (l *Limiter) Look(ctx context.Context, groups [][]limit.Check) ([][]limit.Result, error) {
	return l.LookAt(ctx, groups, fromZero)
}

// Decide implements [limit.Engine].
func (l *Limiter) Decide(ctx context.Context, groups [][]limit.Check, known limit.Known) ([][]limit.Result, error) {
	return l.decide(ctx, groups, known, false)
}

// LookAt implements [limit.Engine].
func (l *Limiter) LookAt(ctx context.Context, groups [][]limit.Check, known limit.Known) ([][]limit.Result, error) {
	return l.decide(ctx, groups, known, true)
}

func (l *Limiter) decide(ctx context.Context, groups [][]limit.Check, known limit.Known, look bool) ([][]limit.Result, error) {
	for _, g := range groups {
		if err := limit.Validate(g); err != nil {
			return nil, err
		}
	}
	out := make([][]limit.Result, len(groups))
	if len(groups) == 1 {
		var err error
		out[0], err = l.one(ctx, groups[0], known, look)
		return out, err
	}
	calls := make([]*call, len(l.combiners))
	places := make([][]int, len(l.combiners))
	for i, checks := range groups {
		if len(checks) == 0 {
			out[i] = []limit.Result{}
			continue
		}
		g := l.group(checks)
		g.look = look
		if out[i] = l.remembers(&g); out[i] != nil {
			continue
		}
		lane := g.bucket % len(l.combiners)
		if calls[lane] == nil {
			calls[lane] = &call{known: known}
		}
		calls[lane].groups, calls[lane].checks = append(calls[lane].groups, g), calls[lane].checks+len(checks)
		places[lane] = append(places[lane], i)
	}
	if err := l.each(ctx, calls); err != nil {
		return nil, err
	}
	for lane, c := range calls {
		for j, i := range places[lane] {
			out[i] = c.results[j]
		}
	}
	return out, nil
}

// one decides one group, as decide does several.
func (l *Limiter) one(ctx context.Context, checks []limit.Check, known limit.Known, look bool) ([]limit.Result, error) {
	if len(checks) == 0 {
		return []limit.Result{}, nil
	}
	c := &call{known: known, checks: len(checks)}
	c.groups = append(c.single[:0], l.named(checks, c.names[:0]))
	g := &c.groups[0]
	g.look = look
	if out := l.remembers(g); out != nil {
		return out, nil
	}
	if err := l.combiners[g.bucket%len(l.combiners)].Do(ctx, l.shared, c); err != nil {
		return nil, err
	}
	return c.results[0], nil
}

// remembers answers a group from what was taken up front or refused a moment ago. It returns nil when it must be asked.
func (l *Limiter) remembers(g *group) []limit.Result {
	if g.look {
		return nil
	}
	if out := l.stocks.spend(g); out != nil {
		return out
	}
	return l.refused.answer(g)
}

// each runs the calls of the lanes, side by side when they are several.
func (l *Limiter) each(ctx context.Context, calls []*call) error {
	var busy []int
	for lane, c := range calls {
		if c != nil {
			busy = append(busy, lane)
		}
	}
	errs := make([]error, len(calls))
	do := func(lane int) { errs[lane] = l.combiners[lane].Do(ctx, l.shared, calls[lane]) }
	var wg sync.WaitGroup
	for i, lane := range busy {
		if i == len(busy)-1 {
			do(lane)
			break
		}
		wg.Go(func() { do(lane) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
