package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// A feature with an end of its own goes at that instant, without a check.
func TestAllowed_FeatureEnds(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor", Ent: features, EntUntil: map[string]int64{"export": sdktest.Start.Unix() + 3600}}))
	for _, after := range []time.Duration{0, time.Hour - time.Second, time.Hour, 20 * time.Hour} {
		s.Clock.Set(sdktest.Start.Add(after))
		if c.Allowed("export") != (after < time.Hour) || !c.Allowed("projects") {
			t.Fatalf("after %v: export is %v", after, c.Allowed("export"))
		}
	}
}

// Allowed and Limit allocate nothing.
func TestAllowed_NoAllocation(t *testing.T) {
	s := server(t)
	cfg := s.Config("editor")
	s.Clock.Set(time.Now())
	c, err := sdk.New(cfg, sdk.WithStore(new(sdk.MemoryStore)), sdk.WithDevice(sdktest.Device("device 1")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor", Ent: features}))
	if n := testing.AllocsPerRun(1000, func() {
		if !c.Allowed("export") || c.Allowed("nothing") || c.Limit("projects") != 25 {
			t.Fatal("wrong answer")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// One client serves many goroutines while it is closed, and nothing of it is
// left afterwards.
func TestL23_ConcurrentUseAndClose(t *testing.T) {
	s := server(t)
	key := s.Issue(sdktest.Spec{Product: "editor", Ent: features})
	before := runtime.NumGoroutine()
	c, err := sdk.New(s.Config("editor"), sdk.WithStore(new(sdk.MemoryStore)), sdk.WithDevice(sdktest.Device("device 1")))
	if err != nil {
		t.Fatal(err)
	}
	s.Clock.Set(time.Now())
	activate(t, c, key)
	token := s.Token(key)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 20 {
				c.Allowed("export")
				if _, err := c.Check(context.Background()); err != nil && !errors.Is(err, sdk.ErrClosed) {
					t.Error(err)
				}
				c.Verify(token)
			}
			if i == 100 {
				c.Close()
			}
		}()
	}
	wg.Wait()
	if c.Allowed("export") {
		t.Error("allowed after Close")
	}
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before+1; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func Example() {
	srv := sdktest.NewServer() // in production: your Mintreu
	defer srv.Close()
	key := srv.Issue(sdktest.Spec{Product: "editor", Ent: map[string]doc.Value{"export": doc.On(), "projects": doc.Int(25)}})

	client, err := sdk.New(srv.Config("editor"), srv.Options()...)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	decision, err := client.Activate(context.Background(), key)
	fmt.Println(decision.Allowed, decision.Code, err)
	fmt.Println(client.Allowed("export"), client.Limit("projects"))

	srv.Fail(sdktest.Down) // the network is gone for ten days
	srv.Clock.Advance(10 * 24 * time.Hour)
	decision, err = client.Check(context.Background())
	fmt.Println(decision.Allowed, decision.Code, err)
	// Output:
	// true VALID <nil>
	// true 25
	// true LEASE_STALE <nil>
}

func BenchmarkAllowed(b *testing.B) {
	s := server(b)
	s.Clock.Set(time.Now())
	c, err := sdk.New(s.Config("editor"), sdk.WithStore(new(sdk.MemoryStore)), sdk.WithDevice(sdktest.Device("device 1")))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	activate(b, c, s.Issue(sdktest.Spec{Product: "editor", Ent: features}))
	b.ReportAllocs()
	for b.Loop() {
		if !c.Allowed("export") {
			b.Fatal()
		}
	}
}
