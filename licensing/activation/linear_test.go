package activation_test

import (
	"errors"
	"math/bits"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// step is what one device asked: to take a seat or to give it back.
type step struct {
	device int
	leave  bool
}

// seatModel is a license with three seats as one would specify it: the state is the set of devices that hold one, the output
// whether the device got what it asked for.
var seatModel = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, input, output any) (bool, any) {
		held, in, ok := state.(uint64), input.(step), output.(bool)
		bit := uint64(1) << in.device
		switch {
		case in.leave:
			return ok, held &^ bit
		case held&bit != 0 || bits.OnesCount64(held) < 3:
			return ok, held | bit
		}
		return !ok, held
	},
}

// What devices are told while they come and go at once, through two replicas, is what some one order of their requests would have
// told them: a seat is refused only when all are taken and given only when one is free.
func TestS03_StormIsLinearizable(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(3))
		begin := time.Now()
		var mu sync.Mutex
		var history []porcupine.Operation
		var wg sync.WaitGroup
		for i := range 8 {
			r, rnd := w.replicas[i%2], rand.New(rand.NewPCG(uint64(i), 11))
			wg.Go(func() {
				lease := ""
				for range 15 {
					op := porcupine.Operation{ClientId: i, Call: int64(time.Since(begin)), Output: true}
					if lease != "" && rnd.IntN(2) == 0 {
						op.Input = step{i, true}
						if _, err := r.leave(t.Context(), lease); err != nil {
							t.Error(err)
						}
						lease = ""
					} else {
						op.Input = step{i, false}
						out, err := r.activate(t.Context(), d.Key, device(i))
						if err == nil {
							lease = out.Lease
						} else if op.Output = false; !errors.Is(err, activation.ErrSeats) {
							t.Error(err)
						}
					}
					op.Return = int64(time.Since(begin))
					mu.Lock()
					history = append(history, op)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if got := porcupine.CheckOperationsTimeout(seatModel, history, time.Minute); got != porcupine.Ok {
			t.Errorf("the history of %d requests is %s", len(history), got)
		}
	})
}
