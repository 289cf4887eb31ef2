package sdktest_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// The server gives out exactly as many seats as the license has, however many
// ask at once.
func TestServer_ExactSeats(t *testing.T) {
	t.Parallel()
	s := sdktest.NewServer()
	defer s.Close()
	key := s.Issue(sdktest.Spec{Product: "editor", Seats: 5})
	var got, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, err := sdk.New(s.Config("editor"), append(s.Options(), sdk.WithDevice(sdktest.Device(fmt.Sprint(i))))...)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			switch d, err := c.Activate(context.Background(), key); {
			case err != nil:
				t.Error(err)
			case d.Allowed:
				got.Add(1)
			case d.Code == eval.TooManySeats:
				refused.Add(1)
			}
		}()
	}
	wg.Wait()
	if got.Load() != 5 || refused.Load() != 35 || s.Seats(key) != 5 {
		t.Fatalf("%d seats given, %d refused, %d taken", got.Load(), refused.Load(), s.Seats(key))
	}
}

// A fault that is to happen n times happens n times.
func TestServer_FailTimes(t *testing.T) {
	t.Parallel()
	s := sdktest.NewServer()
	defer s.Close()
	c, err := sdk.New(s.Config("editor"), s.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, f := range []sdktest.Fault{sdktest.Error, sdktest.Garbage, sdktest.Redirect} {
		s.FailTimes(f, 1)
		if err := c.Refresh(context.Background()); err == nil {
			t.Errorf("fault %d: no error", f)
		}
		if err := c.Refresh(context.Background()); err != nil {
			t.Errorf("after fault %d: %v", f, err)
		}
	}
}

// The clock tells those who wait for it when it moves.
func TestClock_Changed(t *testing.T) {
	t.Parallel()
	k := sdktest.NewClock(sdktest.Start)
	before := k.Changed()
	k.Advance(time.Hour)
	select {
	case <-before:
	default:
		t.Fatal("not told")
	}
	if k.Now() != sdktest.Start.Add(time.Hour) || k.Changed() == before {
		t.Fatal(k.Now())
	}
}

func Example() {
	srv := sdktest.NewServer()
	defer srv.Close()
	key := srv.Issue(sdktest.Spec{Product: "editor", Seats: 1, ValidFor: 30 * 24 * time.Hour})
	client, err := sdk.New(srv.Config("editor"), srv.Options()...)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	ctx := context.Background()
	client.Activate(ctx, key)

	srv.Clock.Advance(29 * 24 * time.Hour)
	decision, _ := client.Check(ctx)
	fmt.Println(decision.Allowed, decision.Code)
	srv.Clock.Advance(24 * time.Hour)
	decision, _ = client.Check(ctx)
	fmt.Println(decision.Allowed, decision.Code)
	// Output:
	// true EXPIRING_SOON
	// false EXPIRED
}
