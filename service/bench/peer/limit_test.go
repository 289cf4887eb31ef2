package peer_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/limit/redis"
)

// share is how many checks each caller makes in a turn.
const share = 100

// shape is how callers ask: how many of them, how many limits each asks for at once, and whether all of them ask for the same ones.
type shape struct {
	name    string
	callers int
	limits  int
	shared  bool
}

// BenchmarkLimit takes from limits on one Redis server, in turns of the limiter and of redis_rate over go-redis, which asks for one limit a
// call. It reports the medians' ratios: how many times the checks a second (×throughput), and the part of the processor's time for a check, that
// of this process and of the server's together (×cpu).
func BenchmarkLimit(b *testing.B) {
	url := limittest.Redis(b)
	ours, err := redis.New(redis.Config{URL: url, Prefix: rand.Text(), Clock: time.Now, Budget: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ours.Close() })
	if err := ours.Ping(b.Context()); err != nil {
		b.Fatal(err)
	}
	options, err := goredis.ParseURL(url)
	if err != nil {
		b.Fatal(err)
	}
	options.PoolSize = 64
	server := goredis.NewClient(options)
	b.Cleanup(func() { _ = server.Close() })
	theirs := redis_rate.NewLimiter(server)
	prefix := rand.Text()
	for _, s := range []shape{{"one-caller", 1, 1, false}, {"64-callers", 64, 1, false}, {"64-callers-three-limits", 64, 3, false}, {"64-callers-hot-key", 64, 1, true}} {
		b.Run(s.name, func(b *testing.B) {
			takes := func(ctx context.Context, keys []string) error {
				group := make([]limit.Check, len(keys))
				for i, key := range keys {
					group[i] = limit.Check{Key: key, Owner: licensing.Owner(prefix), Rate: limit.Rate{Count: 1_000_000, Period: time.Second, Burst: 1 << 40}, Cost: 1}
				}
				out, err := ours.Take(ctx, group)
				if err == nil && (!out[0].Allowed || out[0].Degraded) {
					err = fmt.Errorf("refused: %+v", out)
				}
				return err
			}
			allows := func(ctx context.Context, keys []string) error {
				for _, key := range keys {
					out, err := theirs.Allow(ctx, key, redis_rate.Limit{Rate: 1_000_000, Burst: 1_000_000_000, Period: time.Second})
					if err != nil || out.Allowed != 1 {
						return fmt.Errorf("refused: %+v, %w", out, err)
					}
				}
				return nil
			}
			var speed, work []float64
			for b.Loop() {
				us, peer := turn(b, server, s, prefix, takes), turn(b, server, s, prefix, allows)
				speed, work = append(speed, peer.wall/us.wall), append(work, us.cpu/peer.cpu)
			}
			b.ReportMetric(median(speed), "×throughput")
			b.ReportMetric(median(work), "×cpu")
		})
	}
}

// spent is what a turn took, in seconds: of the clock, and of the processors.
type spent struct{ wall, cpu float64 }

// turn lets every caller make its share of checks, all at once.
func turn(b *testing.B, server *goredis.Client, s shape, prefix string, check func(context.Context, []string) error) spent {
	work, start := processors(b, server), time.Now()
	failed := make(chan error, s.callers)
	var wg sync.WaitGroup
	for c := range s.callers {
		keys := make([]string, s.limits)
		for i := range keys {
			keys[i] = fmt.Sprint(prefix, ":", i)
			if !s.shared {
				keys[i] = fmt.Sprint(prefix, c, ":", i)
			}
		}
		wg.Go(func() {
			for range share {
				if err := check(b.Context(), keys); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	out := spent{wall: time.Since(start).Seconds()}
	out.cpu = processors(b, server) - work
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
	return out
}

var used = regexp.MustCompile(`(?m)^used_cpu_(?:sys|user):([\d.]+)`)

// processors is the processors' time that this process and the server have used, in seconds.
func processors(b *testing.B, server *goredis.Client) float64 {
	text, err := server.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	sum := time.Duration(own.Utime.Nano() + own.Stime.Nano()).Seconds()
	for _, m := range used.FindAllStringSubmatch(text, -1) {
		seconds, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += seconds
	}
	return sum
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
