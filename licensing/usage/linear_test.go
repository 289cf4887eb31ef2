package usage_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// sent is a batch that a product sends: its number and how many events it says. No events ask for the total instead.
type sent struct{ seq, events int64 }

// What a product is told of a batch.
const (
	counted = -1 - iota // and has a receipt of it
	gap
	forked
	busy
)

// counting is a source of usage as one would specify it: its last number, what was counted under it, and the total.
type counting struct{ seq, events, total int64 }

// countModel answers each batch from what was counted before. The output is what the product is told, or the total.
var countModel = porcupine.Model{
	Init: func() any { return counting{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(counting), input.(sent), output.(int64)
		switch {
		case in.events == 0:
			return out == s.total, s
		case out == busy: // nothing was counted
			return true, s
		case in.seq == s.seq+1:
			return out == counted, counting{in.seq, in.events, s.total + in.events}
		case in.seq == s.seq && in.events == s.events: // its answer was lost
			return out == counted, s
		case in.seq <= s.seq:
			return out == forked, s
		}
		return out == gap, s
	},
}

// senders lets several processes that share a source send its batches at once: the next ones, old ones again, others under the same number and
// some too early; while somebody asks for the total. It returns what everybody was told. A receipt must be one of the batch sent.
func (w *world) senders(t *testing.T, seed uint64, s *usage.Service) []porcupine.Operation {
	t.Helper()
	ctx := w.seat(t, w.IDs.New("act"), "held")
	src := w.open(t, ctx)
	begin, before := time.Now(), w.total(t)
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for client := range 6 {
		rnd, call := rand.New(rand.NewPCG(seed, uint64(client))), *licensing.CallFrom(ctx)
		ctx := licensing.WithCall(ctx, &call)
		wg.Go(func() {
			next := int64(1)
			for range 12 {
				in := sent{seq: max(1, next+[]int64{0, 0, 0, 0, -1, 1}[rnd.IntN(6)]), events: 1 + rnd.Int64N(2)}
				if client == 0 {
					in = sent{}
				}
				op := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(begin))}
				told := int64(counted)
				if in.events == 0 {
					told = w.total(t) - before
				} else {
					b := w.batch(src, in.seq, in.events)
					res, err := s.Count(ctx, b)
					switch {
					case err == nil:
						r, err := w.keys.VerifyReceipt(ctx, res.Receipt)
						if err != nil || r.Source != src || r.Seq != in.seq || r.SHA != b.Digest() {
							t.Errorf("the receipt of %+v says %+v, %v", in, r, err)
						}
						next = in.seq + 1
					case errors.Is(err, usage.ErrGap):
						told = gap
					case errors.Is(err, usage.ErrForked):
						told, next = forked, in.seq+1
					case licensing.KindOf(err) == licensing.Unavailable:
						told = busy
					default:
						t.Error(err)
					}
				}
				op.Output, op.Return = told, int64(time.Since(begin))
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return history
}

// What processes are told that send the batches of one source at once, again and under used numbers, is what some one order of their calls would
// have told them, and so is the total at every instant: each number counts once, and its receipt is of what was counted.
func TestINV5_CountingIsLinearizable(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		for seed := range storetest.Soak(uint64(4), 300) {
			history := w.senders(t, seed, w.Service)
			if got := porcupine.CheckOperationsTimeout(countModel, history, time.Minute); got != porcupine.Ok {
				t.Fatalf("seed %d: the history of %d calls is %s", seed, len(history), got)
			}
		}
	})
}

// trusting is a naive store: that a number is the next one was looked up before, so it is counted.
type trusting struct{ usage.Store }

// Advance implements [usage.Store], wrongly.
func (s trusting) Advance(ctx context.Context, b usage.Batch) (bool, error) {
	src, err := s.Source(ctx, b.Source.ID)
	if err != nil || b.Seq > src.Seq+1 {
		return false, err
	}
	b.From = src.Seq
	return s.Store.Advance(ctx, b)
}

// The calls above find a store that looks before its transaction and counts in it.
func TestINV5_CallsFindTrust(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		deps := w.deps
		deps.Store = trusting{deps.Store}
		s := usage.New(deps)
		for seed := range uint64(20) {
			if porcupine.CheckOperationsTimeout(countModel, w.senders(t, seed, s), time.Minute) == porcupine.Illegal {
				return
			}
		}
		t.Error("they did not find it in 20 rounds")
	})
}
