package combine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mintreu/mintreu/licensing/combine"
)

// item is a caller's piece of work and what came of it.
type item struct{ n, size, out int }

// crowd is a group whose batches are seen, and whose first one waits until it may go on.
type crowd struct {
	combine.Group[*item]
	open    chan struct{}
	mu      sync.Mutex
	batches [][]int
	fail    func(batch int)
}

func (c *crowd) work() *combine.Work[*item] {
	return &combine.Work[*item]{Lanes: 1, Most: 10, Size: func(i *item) int { return i.size }, Run: func(all []*item) {
		c.mu.Lock()
		var seen []int
		for _, i := range all {
			seen = append(seen, i.n)
		}
		c.batches = append(c.batches, seen)
		n := len(c.batches)
		c.mu.Unlock()
		if n == 1 {
			<-c.open
		}
		if c.fail != nil {
			c.fail(n)
		}
		for _, i := range all {
			i.out = i.n * i.n
		}
	}}
}

// call has a caller ask, and returns his error, or his panic as one.
func (c *crowd) call(ctx context.Context, i *item) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return c.Do(ctx, c.work(), i)
}

// TestDo: who finds the lane free goes at once; those who come meanwhile go together in their order, as many as fit, one that is too large by
// itself; each finds his own outcome, and the lane is free in the end.
func TestDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{open: make(chan struct{})}
		items := []*item{{1, 1, 0}, {2, 4, 0}, {3, 6, 0}, {4, 1, 0}, {5, 50, 0}, {6, 1, 0}}
		var wg sync.WaitGroup
		for _, i := range items {
			wg.Go(func() {
				if err := c.call(t.Context(), i); err != nil || i.out != i.n*i.n {
					t.Errorf("%d: %v, %v", i.n, i.out, err)
				}
			})
			synctest.Wait()
		}
		if !c.Busy() || c.Waiting() != 5 {
			t.Errorf("%d wait", c.Waiting())
		}
		close(c.open)
		wg.Wait()
		if want := [][]int{{1}, {2, 3}, {4}, {5}, {6}}; !slices.EqualFunc(c.batches, want, slices.Equal) {
			t.Errorf("batches %v, want %v", c.batches, want)
		}
		if c.Busy() || c.Waiting() != 0 {
			t.Error("busy afterwards")
		}
	})
}

// TestDo_GivenUp: who gives up while he waits is in no batch.
func TestDo_GivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{open: make(chan struct{})}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				with := t.Context()
				if n == 2 {
					with = ctx
				}
				if err := c.call(with, &item{n: n, size: 1}); (n == 2) != errors.Is(err, gone) || n != 2 && err != nil {
					t.Errorf("%d: %v", n, err)
				}
			})
			synctest.Wait()
		}
		cancel(gone)
		synctest.Wait()
		close(c.open)
		wg.Wait()
		if want := [][]int{{0}, {1, 3}}; !slices.EqualFunc(c.batches, want, slices.Equal) {
			t.Errorf("batches %v, want %v", c.batches, want)
		}
	})
}

// TestDo_Panic: when a batch panics, its leader does, the others of the batch are told that it broke, those who come after go on, and the
// lane is free in the end.
func TestDo_Panic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for broken := 1; broken <= 2; broken++ {
			c := &crowd{open: make(chan struct{}), fail: func(n int) {
				if n == broken {
					panic("planted")
				}
			}}
			var wg sync.WaitGroup
			errs := make([]error, 5)
			for n, size := range []int{1, 5, 5, 5, 5} {
				wg.Go(func() { errs[n] = c.call(t.Context(), &item{n: n, size: size}) })
				synctest.Wait()
			}
			close(c.open)
			wg.Wait()
			for n, want := range [][]string{1: {"panic: planted", "", "", "", ""}, 2: {"", "panic: planted", combine.ErrBroken.Error(), "", ""}}[broken] {
				if got := errs[n]; want == "" && got != nil || want != "" && (got == nil || got.Error() != want) {
					t.Errorf("batch %d broken, caller %d: %v, want %q", broken, n, got, want)
				}
			}
			if c.Busy() || c.call(t.Context(), &item{n: 9, size: 1}) != nil {
				t.Error("stuck afterwards")
			}
		}
	})
}
