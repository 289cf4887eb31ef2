package activation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What a device of the floating storm asks for; hand is the owner's, who gives the license to another.
const (
	ask = iota
	beat
	leave
	hand
)

// floatStep is one request, at a time in rounds, with the key of the given owner.
type floatStep struct {
	what, device, round, owner int
}

// The storm has fewer seats than devices. A seat whose device was silent for so many rounds is free for whoever asks.
const (
	floatSeats   = 3
	floatDevices = 6
	floatSilence = 3
)

// floatState is a floating license as one would specify it: for each device the round in which its seat dies, 0 when it holds none,
// and how often the license changed hands.
type floatState struct {
	dies  [floatDevices]int
	owner int
}

// held is how many seats are held.
func (s floatState) held() (n int) {
	for _, d := range s.dies {
		if d > 0 {
			n++
		}
	}
	return n
}

// faded are the states that s may be in when time takes seats: a dead one may go at any instant, and need not.
func (s floatState) faded(round int) []floatState {
	out := []floatState{s}
	for i, d := range s.dies {
		if d == 0 || d > round {
			continue
		}
		for _, t := range out[:len(out):len(out)] {
			t.dies[i] = 0
			out = append(out, t)
		}
	}
	return out
}

// next is the state after a request that got what it asked for, or did not; ok is false when that cannot be.
func (s floatState) next(in floatStep, got bool) (_ floatState, ok bool) {
	mine := &s.dies[in.device]
	switch in.what {
	case ask:
		may := in.owner == s.owner && (*mine > 0 || s.held() < floatSeats)
		if may {
			*mine = in.round + floatSilence
		}
		return s, got == may
	case beat: // as long as it holds the seat, however late
		may := *mine > 0
		if may {
			*mine = in.round + floatSilence
		}
		return s, got == may
	case leave:
		*mine = 0
		return s, got
	}
	if got {
		s = floatState{owner: s.owner + 1}
	}
	return s, got
}

var floatModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{floatState{}} },
	Step: func(state, input, output any) (out []any) {
		in := input.(floatStep)
		seen := map[floatState]bool{}
		for _, s := range state.(floatState).faded(in.round) {
			if after, ok := s.next(in, output.(bool)); ok && !seen[after] {
				seen[after] = true
				out = append(out, after)
			}
		}
		return out
	},
}).ToModel()

// renting are terms of floating seats that may change hands.
func renting() license.Terms {
	t := floating(floatSeats)
	t.Transfer = license.Transfer{Allowed: true, Expiry: license.KeepExpiry}
	return t
}

// storm lets devices come, renew, leave and fall silent at once through two replicas, for some rounds of a day and an hour, while seats die
// and the license changes hands; and returns what everybody was told. Time moves between rounds alone.
func (w *world) storm(t *testing.T, seed uint64, replicas []*replica, owners []string) []porcupine.Operation {
	t.Helper()
	d := w.issue(t, renting())
	begin := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	did := func(client int, in floatStep, do func() (bool, error)) {
		op := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(begin))}
		got, err := do()
		op.Output, op.Return = got, int64(time.Since(begin))
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		history = append(history, op)
	}
	type held struct {
		key   string
		owner int
	}
	var now atomic.Pointer[held] // what devices know of the license: the owner's key
	now.Store(&held{key: d.Key})
	leases := make([]string, floatDevices)
	for round := 1; round <= 10; round++ {
		var wg sync.WaitGroup
		for i := range floatDevices {
			rnd := rand.New(rand.NewPCG(seed, uint64(round*100+i)))
			if (round/4+i)%2 == 0 || rnd.IntN(6) == 0 { // half of them fall silent for four rounds, in which the others may have their seats
				continue
			}
			wg.Go(func() {
				r := replicas[(i+round)%len(replicas)]
				for range 3 {
					lease, know := leases[i], now.Load()
					in := floatStep{ask, i, round, know.owner}
					if lease != "" {
						in.what = beat + rnd.IntN(4)/3
					}
					did(i, in, func() (bool, error) {
						var err error
						leases[i], err = r.does(t.Context(), in, know.key, lease)
						return in.what == leave || leases[i] != "", err
					})
				}
			})
		}
		if round == 2 || round == 10 {
			wg.Go(func() {
				know := now.Load()
				did(floatDevices, floatStep{hand, 0, round, 0}, func() (bool, error) {
					key, err := w.handOver(t.Context(), d.License.ID, owners[know.owner%2])
					now.Store(&held{key, know.owner + 1})
					return err == nil, err
				})
			})
		}
		wg.Go(func() {
			if _, err := w.Cull(licensing.AsSystem(t.Context(), "activation.cull")); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		w.Clock.Advance(25 * time.Hour)
	}
	return history
}

// does is a device's request; it returns the lease that the device has afterwards, "" for none.
func (r *replica) does(ctx context.Context, in floatStep, key, lease string) (string, error) {
	var out struct{ Lease string }
	var err error
	switch in.what {
	case ask:
		var got sdk.ActivateResponse
		got, err = r.activate(ctx, key, device(in.device))
		out.Lease = got.Lease
		if errors.Is(err, activation.ErrSeats) || errors.Is(err, activation.ErrRefused) {
			return "", nil
		}
	case beat:
		var got sdk.HeartbeatResponse
		got, err = r.beat(ctx, lease)
		out.Lease = got.Lease
		if errors.Is(err, activation.ErrReleased) {
			return "", nil
		}
	case leave:
		_, err = r.leave(ctx, lease)
	}
	return out.Lease, err
}

// handOver gives a license to another owner and returns its new key.
func (w *world) handOver(ctx context.Context, id, to string) (string, error) {
	if _, err := w.licenses.Transfer(staff(ctx), license.TransferRequest{ID: id, To: to, Reason: "sold"}); err != nil {
		return "", err
	}
	out, err := w.licenses.RevealKey(staff(ctx), license.GetRequest{ID: id})
	return out.Key, err
}

// organisations makes two that may own a license.
func (w *world) organisations(t *testing.T) (out []string) {
	t.Helper()
	for i := range 2 {
		out = append(out, w.IDs.New("org"))
		if _, err := w.DB.Exec(t.Context(), `INSERT INTO organisation (id, name, billing_email, country, vat_id, created_at, updated_at) VALUES ($1, $2, '', '', '', $3, $3)`,
			out[i], fmt.Sprint("Works ", i), w.Clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// What devices are told of floating seats while they come, renew, leave, fall silent and die at once, and while the license changes hands, is what
// some one order of their requests would have told them: a seat is refused only when live devices have all of them, lost only by death, by
// leaving or by the change of hands, and nobody keeps or gets one by the key of an owner before.
func TestS03_S11_FloatingIsLinearizable(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		owners := w.organisations(t)
		for seed := range storetest.Soak(uint64(3), 300) {
			history := w.storm(t, seed, w.replicas, owners)
			if got := porcupine.CheckOperationsTimeout(floatModel, history, time.Minute); got != porcupine.Ok {
				t.Fatalf("seed %d: the history of %d requests is %s", seed, len(history), got)
			}
		}
	})
}

// reviving renews as one would at first: whoever has a lease of an activation goes on with it, whether it still holds its seat or not.
type reviving struct {
	activation.Store
	db db.DB
}

// Activation implements [activation.Store], wrongly: a dead activation looks alive.
func (v reviving) Activation(ctx context.Context, id string) (activation.Activation, license.License, error) {
	a, l, err := v.Store.Activation(ctx, id)
	if a.State == activation.Dead {
		a.State = activation.Held
	}
	return a, l, err
}

// Renew implements [activation.Store], wrongly.
func (v reviving) Renew(ctx context.Context, r activation.Renewal) (int64, error) {
	if _, err := v.db.Batch(ctx, []db.Statement{
		{SQL: `UPDATE license SET seats_used = seats_used + 1 WHERE id = (SELECT license_id FROM activation WHERE id = $1 AND state = 'dead')`, Args: []any{r.ID}},
		{SQL: `UPDATE activation SET state = 'held', released_at = NULL, released_by = '' WHERE id = $1 AND state = 'dead'`, Args: []any{r.ID}},
	}); err != nil {
		return 0, err
	}
	return v.Store.Renew(ctx, r)
}

// The storm finds a store in which a heartbeat revives a seat that died and was given to somebody else.
func TestS11_StormFindsRevival(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		good := newReplica(t, e, e.DB)
		w := &world{Env: e, replica: good, replicas: []*replica{good}}
		bad := *good
		bad.deps.Store = reviving{good.deps.Store, e.DB}
		bad.Service = activation.New(bad.deps)
		owners := w.organisations(t)
		for seed := range uint64(20) {
			if porcupine.CheckOperationsTimeout(floatModel, w.storm(t, seed, []*replica{&bad}, owners), time.Minute) == porcupine.Illegal {
				return
			}
		}
		t.Error("the storm did not find it in 20 storms")
	})
}
