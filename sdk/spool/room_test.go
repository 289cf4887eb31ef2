package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Room that was read is room again: a spool that was full takes records once they were drained, also when all that fills it are segments to which
// processes go on appending.
func TestL18_DrainedSegmentsInUseAreNotFull(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{MaxBytes: 4 << 10}, {MaxBytes: 1 << 10, SegmentBytes: 1 << 20}, {MaxBytes: 4 << 10, SegmentBytes: 1 << 10}} {
		for _, n := range []int{1, 4} {
			t.Run(fmt.Sprintf("%d of %d, %d processes", o.SegmentBytes, o.MaxBytes, n), func(t *testing.T) {
				t.Parallel()
				o.Dir, o.Sync = fastDir(t), time.Hour
				var all []*Spool
				for range n {
					all = append(all, open(t, o))
				}
				want, got := 0, 0
				for range 5 {
					for full := 0; full < n; {
						for _, s := range all {
							switch err := s.Append([]byte("a record of some length")); {
							case err == nil:
								want++
							case errors.Is(err, ErrFull):
								full++
							default:
								t.Fatal(err)
							}
						}
					}
					before := want
					for range 2 { // what one process could not know to be scarce, it does when it drains again
						for _, s := range all {
							got += len(take(t, s, ""))
						}
						for _, s := range all {
							if s.Append([]byte("room again")) == nil {
								want++
							}
						}
					}
					if want < before+n {
						t.Fatalf("%d records were taken over, and there is room for %d", got, want-before)
					}
				}
				for _, s := range all {
					got += len(take(t, s, ""))
				}
				if got != want {
					t.Errorf("%d records came out, of %d", got, want)
				}
			})
		}
	}
}

// A directory that somebody removes while it is in use is made again, and nothing is acknowledged that is nowhere: what was not durable yet, and what
// comes later, is there.
func TestSpool_RemovedWhileInUse(t *testing.T) {
	t.Parallel()
	for _, sync := range []time.Duration{0, time.Nanosecond, time.Hour} {
		for _, end := range []string{"drain", "sync", "close"} {
			t.Run(fmt.Sprint(sync, " ", end), func(t *testing.T) {
				t.Parallel()
				o := Options{Dir: filepath.Join(fastDir(t), "usage"), Sync: sync}
				s := open(t, o)
				put(t, s, "taken over")
				same(t, take(t, s, ""), []string{"taken over"})
				want := []string{}
				if sync == time.Hour { // not durable: it is still ours to keep
					put(t, s, "before")
					want = append(want, "before")
				}
				if err := os.RemoveAll(o.Dir); err != nil {
					t.Fatal(err)
				}
				put(t, s, "after")
				put(t, s, "later")
				want = append(want, "after", "later")
				switch end {
				case "drain":
					same(t, take(t, s, ""), want)
					return
				case "sync":
					if err := s.Sync(); err != nil {
						t.Fatal(err)
					}
				case "close":
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
				s.Close()
				same(t, take(t, open(t, o), ""), want)
			})
		}
	}
}

// A directory that was removed is drained as an empty one, and not made a failure of.
func TestSpool_DrainOfARemovedDirectory(t *testing.T) {
	t.Parallel()
	o := Options{Dir: filepath.Join(fastDir(t), "usage")}
	s := open(t, o)
	put(t, s, "gone")
	if err := os.RemoveAll(o.Dir); err != nil {
		t.Fatal(err)
	}
	same(t, take(t, s, ""), nil)
	put(t, s, "after")
	same(t, take(t, s, ""), []string{"after"})
}
