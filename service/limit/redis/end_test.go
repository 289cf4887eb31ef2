package redis

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestEnds: a context ends after its time and not before, as one of the standard library does; one that has served and is asked for again has the
// whole time again, and one that has ended serves nobody else.
func TestEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all ends
		for range 3 {
			for range 5 {
				c := all.within(time.Second)
				if at, ok := c.Deadline(); !ok || !at.Equal(time.Now().Add(time.Second)) {
					t.Errorf("ends at %s", at)
				}
				time.Sleep(999 * time.Millisecond)
				synctest.Wait()
				if c.Err() != nil {
					t.Error(c.Err())
				}
				all.done(c)
			}
			c := all.within(time.Second)
			<-c.Done()
			if !errors.Is(c.Err(), context.DeadlineExceeded) {
				t.Error(c.Err())
			}
			all.done(c)
		}
	})
}
