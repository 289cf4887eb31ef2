package storetest

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// CPU calls fn n times and returns how long each call took of the processor's time on its own thread, the shortest first. Unlike the time on
// the wall it does not grow with what else the machine does.
func CPU(t testing.TB, n int, fn func()) []time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ts.Nano())
	}
	out := make([]time.Duration, n)
	for i := range out {
		start := now()
		fn()
		out[i] = now() - start
	}
	slices.Sort(out)
	return out
}
