package bench_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// beside runs base and ours in turn, in spans of about 100 µs, so that the load of the machine hits both alike, and reports
// the ratio of the medians (ours to base), which it returns, and what one call of ours allocates.
func beside(b *testing.B, base, ours func()) float64 {
	span := func(f func(), n int) float64 {
		start := time.Now()
		for range n {
			f()
		}
		return float64(time.Since(start)) / float64(n)
	}
	rounds := func(f func()) int {
		n := 1
		for float64(n)*min(span(f, n), span(f, n), span(f, n)) < 1e5 {
			n *= 2
		}
		return n
	}
	nb, no := rounds(base), rounds(ours)
	var bases, all []float64
	for b.Loop() {
		bases, all = append(bases, span(base, nb)), append(all, span(ours, no))
	}
	slices.Sort(bases)
	slices.Sort(all)
	median := all[len(all)/2]
	b.ReportMetric(median, "ns/op")
	ratio := median / bases[len(bases)/2]
	b.ReportMetric(ratio, "×base")
	b.ReportMetric(testing.AllocsPerRun(100, ours), "allocs/op")
	return ratio
}

// license is a license whose token has 874 bytes.
func license(now time.Time) *doc.License {
	return &doc.License{
		Issuer: "https://licenses.example.com", Audience: "editor", ID: "lic_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d", TokenID: "tok_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d",
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Env: doc.EnvLive, Type: doc.Perpetual, Plan: "pro", Customer: "cus_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d",
		Seats: doc.Seats{N: 5, By: doc.ByDevice}, Ent: map[string]doc.Value{"export": doc.On()},
		Pol: doc.Policy{Expired: doc.ExpiredRestrict, Activation: doc.ActivationNone, Then: doc.ThenStop, Status: doc.StatusOff},
	}
}

// BenchmarkDocument sets reading and signing a license token of 874 bytes beside the raw Ed25519 operation over the same
// bytes: a new token, the same one again, garbage of several kinds, and minting.
func BenchmarkDocument(b *testing.B) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := doc.NewSigner(private)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	lic := license(now)
	token, err := signer.Sign(lic)
	if err != nil {
		b.Fatal(err)
	}
	keys, err := doc.Pin(public)
	if err != nil {
		b.Fatal(err)
	}
	verifier := doc.Verifier{Keys: keys, Issuer: lic.Issuer, Audience: lic.Audience, Now: func() time.Time { return now }}
	client, err := sdk.New(sdk.Config{Product: lic.Audience, Issuer: lic.Issuer, BaseURL: lic.Issuer, Keys: []string{doc.FormatPublicKey(public)}},
		sdk.WithStore(new(sdk.MemoryStore)), sdk.WithClock(sdktest.NewClock(now)), sdk.WithDevice(sdktest.Device("bench")))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	message := []byte(token[:strings.LastIndexByte(token, '.')])
	signature := ed25519.Sign(private, message)
	verify := func() {
		if !ed25519.Verify(public, message, signature) {
			b.Fatal("the signature is wrong")
		}
	}
	good := func(t string) func() {
		return func() {
			if _, err := verifier.License(t); err != nil {
				b.Fatal(err)
			}
		}
	}
	bad := func(t string) func() {
		return func() {
			if _, err := verifier.License(t); err == nil {
				b.Fatal("accepted")
			}
		}
	}
	b.Run("verify", func(b *testing.B) { beside(b, verify, good(token)) })
	b.Run("verify-again", func(b *testing.B) {
		beside(b, verify, func() {
			if _, err := client.Verify(token); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("refuse-text", func(b *testing.B) { beside(b, verify, bad(strings.Repeat("not a token ", 60))) })
	b.Run("refuse-other-key", func(b *testing.B) {
		beside(b, verify, bad("eyJhbGciOiJIUzI1NiJ9"+token[strings.IndexByte(token, '.'):]))
	})
	b.Run("refuse-too-long", func(b *testing.B) { beside(b, verify, bad(token+strings.Repeat("A", 32<<20))) })
	b.Run("sign", func(b *testing.B) {
		beside(b, func() { ed25519.Sign(private, message) }, func() {
			if _, err := signer.Sign(lic); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// BenchmarkAllowed sets a question for a feature beside one reading of the clock, and two goroutines that ask beside one.
func BenchmarkAllowed(b *testing.B) {
	s := sdktest.NewServer()
	b.Cleanup(s.Close)
	s.Clock.Set(time.Now())
	client, err := sdk.New(s.Config("editor"), sdk.WithStore(new(sdk.MemoryStore)), sdk.WithDevice(sdktest.Device("bench")))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	if _, err := client.Activate(b.Context(), s.Issue(sdktest.Spec{Product: "editor", Ent: map[string]doc.Value{"export": doc.On()}})); err != nil {
		b.Fatal(err)
	}
	ask := func() {
		if !client.Allowed("export") {
			b.Fatal("refused")
		}
	}
	b.Run("clock", func(b *testing.B) { beside(b, func() { _ = time.Now() }, ask) })
	b.Run("two-cores", func(b *testing.B) {
		const calls = 200_000
		some := func() {
			for range calls {
				if !client.Allowed("export") {
					panic("refused")
				}
			}
		}
		var one, two []time.Duration
		for b.Loop() {
			start := time.Now()
			some()
			one = append(one, time.Since(start))
			var wg sync.WaitGroup
			start = time.Now()
			for range 2 {
				wg.Go(some)
			}
			wg.Wait()
			two = append(two, time.Since(start))
		}
		b.ReportMetric(float64(slices.Min(two))/(2*calls), "ns/op")
		b.ReportMetric(2*float64(slices.Min(one))/float64(slices.Min(two)), "×throughput")
	})
}
