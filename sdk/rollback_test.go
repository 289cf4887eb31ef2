package sdk_test

import (
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// A clock set back by more than five minutes is noticed, also by a new process.
func TestL02_ClockSetBack(t *testing.T) {
	t.Parallel()
	for _, back := range []time.Duration{5*time.Minute + time.Second, 2 * time.Hour, 365 * day} {
		s := server(t)
		store := sdk.WithStore(new(sdk.MemoryStore))
		c := client(t, s, store)
		activate(t, c, s.Issue(sdktest.Spec{Product: "editor", Ent: features}))
		s.Fail(sdktest.Down)
		s.Clock.Advance(6 * time.Hour)
		expect(t, check(t, c), true, eval.Valid)
		s.Clock.Advance(-5 * time.Minute)
		expect(t, check(t, c), true, eval.Valid)
		s.Clock.Advance(5*time.Minute - back)
		for _, c := range []*sdk.Client{c, client(t, s, store)} {
			if c.Allowed("export") {
				t.Fatalf("%v back: still allowed", back)
			}
			expect(t, check(t, c), false, eval.ClockRollback)
		}
		s.Clock.Advance(back)
		expect(t, check(t, c), true, eval.Valid)
	}
}

// An answer that is shown again is no contact: it does not let the clock be set
// back behind the product's own last run.
func TestL02_ReplayedAnswerHealsNothing(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor"}))
	s.Clock.Advance(6 * time.Hour)
	expect(t, check(t, c), true, eval.Valid)
	s.Fail(sdktest.Replay)
	s.Clock.Advance(-2 * time.Hour)
	for range 2 {
		expect(t, check(t, c), false, eval.ClockRollback)
		s.Clock.Advance(time.Minute)
	}
	s.Fail(sdktest.None)
	s.Clock.Advance(10 * time.Minute)
	expect(t, check(t, c), true, eval.Valid)
}

// A clock that was a year ahead locks the product out only until the next
// contact with the server.
func TestL03_JumpForwardAndBackHeals(t *testing.T) {
	t.Parallel()
	s := server(t)
	ahead := sdktest.NewClock(sdktest.Start)
	c := client(t, s, sdk.WithClock(ahead))
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor"}))
	s.Fail(sdktest.Down)
	ahead.Advance(365 * day)
	expect(t, check(t, c), false, eval.LeaseExpired)
	ahead.Advance(-365 * day)
	expect(t, check(t, c), false, eval.ClockRollback)
	s.Fail(sdktest.None)
	s.Clock.Advance(2 * time.Hour)
	ahead.Advance(2 * time.Hour)
	expect(t, check(t, c), true, eval.Valid)
}

// Neither a change of time zone nor three days of sleep raise an alarm.
func TestL04_ZonesAndSleepAreNoAlarm(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor"}))
	s.Fail(sdktest.Down)
	for _, zone := range []int{-12, 0, 14, -3} {
		s.Clock.Set(s.Clock.Now().In(time.FixedZone("", zone*3600)))
		expect(t, check(t, c), true, eval.Valid)
	}
	s.Clock.Advance(3 * day)
	expect(t, check(t, c), true, eval.Valid)
}
