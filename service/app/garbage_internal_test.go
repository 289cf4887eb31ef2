package app

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// Garbage has room for 64 MiB beside little that is live, and for as much as is live beside more; so the heap is bounded by the greater of both.
func TestGarbagePercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 1600, 1 << 20: 1600, 4 << 20: 1600, 16 << 20: 400, 64 << 20: 100, 1 << 30: 100} {
		if got := garbagePercent(live); got != want {
			t.Errorf("%d live bytes: %d %%, want %d", live, got, want)
		}
	}
}

// The room follows what is live, goes when it is stopped, and is not taken from who decides himself.
func TestRoomForGarbage(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	was := percentNow()
	stop := RoomForGarbage()
	defer stop()
	if got := percentNow(); got <= 100 {
		t.Errorf("it collects at %d %%", got)
	}
	live := make([]byte, 80<<20)
	for end := time.Now().Add(time.Minute); percentNow() != 100; time.Sleep(time.Millisecond) {
		if runtime.GC(); time.Now().After(end) {
			t.Fatalf("with %d bytes live it still collects at %d %%", len(live), percentNow())
		}
	}
	runtime.KeepAlive(live)
	stop()
	if got := percentNow(); got != was {
		t.Errorf("afterwards it collects at %d %%, before at %d", got, was)
	}
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Setenv("GOGC", "")
		t.Setenv(name, "1GiB")
		RoomForGarbage()
		if got := percentNow(); got != was {
			t.Errorf("with %s set it collects at %d %%", name, got)
		}
	}
}

// percentNow is at which percentage of garbage the runtime collects.
func percentNow() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}
