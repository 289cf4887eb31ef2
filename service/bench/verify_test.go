package bench_test

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// verifier is a back end that asks the service about API keys.
type verifier struct {
	*issuer
	product string
}

// newVerifier starts the service on PostgreSQL and Redis, with a product whose keys a machine may make and verify.
func newVerifier(b *testing.B, postgres string) *verifier {
	b.Helper()
	a := serve(b, app.Config{DataDir: b.TempDir(), Addr: "127.0.0.1:0", OpsAddr: "off", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop",
		Ceiling: 1_000_000, PostgresURL: postgres, RedisURL: limittest.Redis(b)})
	v := &verifier{issuer: newIssuer(b, a)}
	ctx, call := context.WithoutCancel(b.Context()), operator(a)
	var token struct{ Secret string }
	var products struct{ Items []struct{ ID string } }
	if err := call(ctx, http.MethodPost, "/v1/machine-tokens", map[string]any{"name": "back end", "scopes": []string{"keys:write", "keys:verify", "usage:read"}}, &token); err != nil {
		b.Fatal(err)
	}
	if err := call(ctx, http.MethodGet, "/v1/products", nil, &products); err != nil {
		b.Fatal(err)
	}
	v.token, v.product = token.Secret, products.Items[0].ID
	return v
}

// key makes a key with limits that nobody reaches.
func (v *verifier) key(b *testing.B, limits ...string) string {
	b.Helper()
	in := map[string]any{"owner": v.owner, "product": v.product, "name": "bench"}
	var list []any
	for _, name := range limits {
		list = append(list, map[string]any{"name": name, "count": 1_000_000, "seconds": 1})
	}
	if list != nil {
		in["limits"] = list
	}
	var made struct{ Secret string }
	if err := v.send(http.MethodPost, "/v1/keys", in, &made); err != nil {
		b.Fatal(err)
	}
	return made.Secret
}

// ask verifies one key, whose code must be the one named.
func (v *verifier) ask(b *testing.B, key, code string) {
	var out struct{ Code string }
	if err := v.send(http.MethodPost, "/v1/keys/verify", map[string]any{"key": key}, &out); err != nil || out.Code != code {
		b.Fatalf("%+v, %v", out, err)
	}
}

// BenchmarkVerify verifies API keys over HTTP, in turn with a constant on the same stack: the answer to a text that is no key, which is decided
// before any lookup. "batch" verifies a hundred keys in one call, in turn with one key in one, and reports the cost of a key beside it.
func BenchmarkVerify(b *testing.B) {
	v := newVerifier(b, storetest.PostgresURL(b))
	free, limited := v.key(b), v.key(b, "second")
	constant := func() { v.ask(b, free[:len(free)-1]+"-", "NOT_FOUND") }
	b.Run("unlimited", func(b *testing.B) { beside(b, constant, func() { v.ask(b, free, "VALID") }) })
	b.Run("limited", func(b *testing.B) { beside(b, constant, func() { v.ask(b, limited, "VALID") }) })
	b.Run("batch", func(b *testing.B) {
		const size = 100
		var batch []any
		for range size {
			batch = append(batch, map[string]any{"key": v.key(b, "second")})
		}
		var out struct{ Batch []struct{ Code string } }
		call := beside(b, func() { v.ask(b, limited, "VALID") }, func() {
			if err := v.send(http.MethodPost, "/v1/keys/verify", map[string]any{"batch": batch}, &out); err != nil || len(out.Batch) != size || out.Batch[size-1].Code != "VALID" {
				b.Fatalf("%+v, %v", out, err)
			}
		})
		b.ReportMetric(call/size, "×base")
	})
}

// BenchmarkConstantRate verifies limited keys at a thousand a second, whatever becomes of those before, with the service, its databases and this
// generator on one machine. An operation is one verification, so that -benchtime 600000x is ten minutes. It reports the quantiles of the time
// from when each was due to its answer, and by how much the heap is larger at the end than after the first tenth.
func BenchmarkConstantRate(b *testing.B) {
	const rate, keys = 1000, 100
	v := newVerifier(b, storetest.PostgresURL(b))
	texts := make([]string, keys)
	for i := range texts {
		texts[i] = v.key(b, "second")
		v.ask(b, texts[i], "VALID")
	}
	took := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	var failed atomic.Int64
	var before runtime.MemStats
	b.ResetTimer()
	start := time.Now()
	for i := range b.N {
		due := start.Add(time.Duration(i) * time.Second / rate)
		time.Sleep(time.Until(due))
		if i == b.N/10 {
			runtime.ReadMemStats(&before)
		}
		wg.Go(func() {
			var out struct{ Code string }
			if err := v.send(http.MethodPost, "/v1/keys/verify", map[string]any{"key": texts[i%keys]}, &out); err != nil || out.Code != "VALID" {
				failed.Add(1)
			}
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	b.StopTimer()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	slices.Sort(took)
	for name, q := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99, "p999-ms": 0.999} {
		b.ReportMetric(float64(took[int(q*float64(len(took)-1))].Microseconds())/1000, name)
	}
	b.ReportMetric(float64(failed.Load()), "errors")
	b.ReportMetric((float64(after.HeapInuse)-float64(before.HeapInuse))/(1<<20), "MiB-grown")
}
