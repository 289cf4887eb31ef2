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

// A seat that floats comes back by itself, as at the service: that of a device
// that may run no longer without contact, and a borrowed one at its date; the
// device that comes back is told when it is somebody else's. A fixed one stays.
func TestServer_FloatingSeatsComeBack(t *testing.T) {
	t.Parallel()
	s := sdktest.NewServer()
	defer s.Close()
	client := func(device string) *sdk.Client {
		t.Helper()
		c, err := sdk.New(s.Config("editor"), append(s.Options(), sdk.WithDevice(sdktest.Device(device)))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	says := func(what string, want eval.Code, d eval.Decision, err error) {
		t.Helper()
		if err != nil || d.Code != want {
			t.Errorf("%s: %s, %v, want %s", what, d.Code, err, want)
		}
	}
	pol := sdktest.Policy()
	offline := time.Duration(pol.OfflineMax()) * time.Second
	key := s.Issue(sdktest.Spec{Product: "editor", Seats: 1, Floating: true, Policy: &pol})
	one, two := client("1"), client("2")
	activate := func(what string, want eval.Code, c *sdk.Client) {
		t.Helper()
		d, err := c.Activate(t.Context(), key)
		says(what, want, d, err)
	}
	activate("the first", eval.Valid, one)
	s.Clock.Advance(offline - time.Second)
	activate("the second while the first may run", eval.TooManySeats, two)
	s.Clock.Advance(time.Second)
	activate("the second once it may not", eval.Valid, two)
	d, err := one.Check(t.Context())
	says("the first", eval.LeaseExpired, d, err)
	if d, err = two.Borrow(t.Context(), s.Clock.Now().Add(time.Hour)); !d.Allowed || err != nil {
		t.Fatalf("borrowed: %+v, %v", d, err)
	}
	s.Clock.Advance(time.Hour)
	if n := s.Seats(key); n != 0 {
		t.Errorf("%d seats are taken when the borrowed one is over", n)
	}
	activate("the first once the borrowed seat is over", eval.Valid, one)

	key = s.Issue(sdktest.Spec{Product: "editor", Seats: 1, Policy: &pol})
	three, four := client("3"), client("4")
	activate("a fixed seat", eval.Valid, three)
	s.Clock.Advance(10 * offline)
	activate("another for it", eval.TooManySeats, four)
}
