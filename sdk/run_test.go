package sdk_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// Run renews the lease by itself, reports each change once, and ends with its
// context or the client.
func TestRun_RenewsAndReports(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor", ValidFor: 40 * day})
	activate(t, c, key)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, ended := make(chan sdk.Event, 8), make(chan error, 1)
	go func() { ended <- c.Run(ctx, events) }()
	expectEvent := func(kind sdk.EventKind, allowed bool) {
		t.Helper()
		select {
		case e := <-events:
			if e.Kind != kind || e.Decision.Allowed != allowed {
				t.Fatalf("got %s (%+v), want %s", e.Kind, e.Decision, kind)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no event %s", kind)
		}
	}
	s.Suspend(key)
	s.Clock.Advance(2 * day)
	expectEvent(sdk.Revoked, false)
	s.Reinstate(key)
	s.Clock.Advance(time.Hour)
	expectEvent(sdk.Recovered, true)
	s.Fail(sdktest.Down)
	s.Clock.Advance(8 * day)
	expectEvent(sdk.OutOfContact, true)
	s.Clock.Advance(-3 * time.Hour)
	expectEvent(sdk.ClockRollback, false)
	s.Fail(sdktest.None)
	s.Clock.Advance(4 * time.Hour)
	expectEvent(sdk.Recovered, true)
	s.Clock.Set(sdktest.Start.Add(35 * day))
	expectEvent(sdk.ExpiringSoon, true)
	s.Clock.Advance(6 * day)
	expectEvent(sdk.Expired, false)
	if seq := c.Lease().Seq; seq < 3 {
		t.Fatalf("the lease was renewed %d times", seq)
	}
	c.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, sdk.ErrClosed) {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Run goes on after Close")
	}
	cancel()
	if err := client(t, s).Run(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
