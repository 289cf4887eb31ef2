package bench_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/feed"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/limit/redis"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// always is a licensing.Switches with everything on.
type always struct{}

func (always) Check(context.Context, licensing.Switch, string) error        { return nil }
func (always) CheckProduct(context.Context, licensing.Switch, string) error { return nil }

// BenchmarkAPIKey verifies keys whose records are cached, as they are in service: one without limits, one with two, a wrong one, and
// many callers at once. The base line is one take of a limit.
func BenchmarkAPIKey(b *testing.B) {
	e := storetest.SQLite(b)
	local := limit.NewLocal(time.Now)
	changes := feed.New(feed.Deps{Store: e.Store.Changes(), Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	if err := changes.Poll(b.Context()); err != nil {
		b.Fatal(err)
	}
	keys, err := apikey.New(apikey.Deps{
		Store: e.Store.APIKeys(), Changer: e.Store.KeyChanges(), Credits: e.Store.KeyCredits(), Uses: e.Store.KeyUses(), Templates: e.Store.KeyTemplates(), Limiter: local, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Switches: always{}, FeedAlive: changes.Fresh,
		Audit: audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs}),
	})
	if err != nil {
		b.Fatal(err)
	}
	issue := func(limits ...apikey.Limit) string {
		d, err := keys.Draft(b.Context(), apikey.IssueSpec{Source: apikey.Source{Kind: apikey.FromStaff}, Owner: "cus_a", ProductID: "prd_a", Env: licensing.Live, Limits: limits})
		if err != nil {
			b.Fatal(err)
		}
		err = e.Store.InTx(licensing.AsSystem(b.Context(), "bench"), func(ctx context.Context) error {
			_, err := keys.Issue(ctx, d)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		return d.Text.Full
	}
	free := issue()
	limited := issue(apikey.Limit{Name: "second", Count: 1_000_000, Seconds: 1}, apikey.Limit{Name: "owner", Per: apikey.PerOwner, Count: 1_000_000, Seconds: 1})
	b.Run("base", func(b *testing.B) { benchTake(b, local) })
	for name, c := range map[string]struct {
		text string
		want apikey.Code
	}{"unlimited": {free, apikey.Valid}, "two-limits": {limited, apikey.Valid}, "typo": {free[:47] + "-", apikey.NotFound}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ask(b, keys, c.text, c.want)
			}
		})
	}
	b.Run("two-limits-parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ask(b, keys, limited, apikey.Valid)
			}
		})
	})
}

func ask(b *testing.B, keys *apikey.Service, text string, want apikey.Code) {
	v, err := keys.Ask(b.Context(), []apikey.Question{{Text: text}})
	if err != nil || v[0].Code != want {
		b.Fatalf("%+v, %v", v, err)
	}
}

// endless is a rate that a benchmark does not use up.
var endless = limit.Rate{Count: 1_000_000, Period: time.Second, Burst: 1 << 40}

func benchTake(b *testing.B, l limit.Limiter) {
	group := []limit.Check{{Key: "hot", Rate: endless, Cost: 1}}
	for b.Loop() {
		take(b, l, group)
	}
}

func take(b *testing.B, l limit.Limiter, group []limit.Check) {
	out, err := l.Take(b.Context(), group)
	if err != nil || !out[0].Allowed || out[0].Degraded {
		b.Fatalf("%+v, %v", out, err)
	}
}

// BenchmarkLimit counts in process and on Redis, one caller and 64 at once, on one hot key and on many.
func BenchmarkLimit(b *testing.B) {
	local := limit.NewLocal(time.Now)
	b.Run("base", func(b *testing.B) { benchTake(b, local) })
	remote, err := redis.New(redis.Config{URL: limittest.Redis(b), Prefix: rand.Text(), Clock: time.Now, Budget: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = remote.Close() })
	if err := remote.Ping(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Run("redis", func(b *testing.B) { benchTake(b, remote) })
	for name, l := range map[string]limit.Limiter{"process": local, "redis": remote} {
		for _, keys := range []int64{1, 1000} {
			b.Run(fmt.Sprintf("%s-64-callers-%d-keys", name, keys), func(b *testing.B) {
				b.SetParallelism(32)
				var caller atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					for n := caller.Add(1); pb.Next(); n++ {
						take(b, l, []limit.Check{{Key: fmt.Sprint("key", n%keys), Rate: endless, Cost: 1}})
					}
				})
			})
		}
	}
}
