package activation_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What is asked in the storm of named users: by a device of theirs, or, to release, by the license's owner.
const (
	userAsks = iota
	userBeats
	userLeaves
	userReleased
)

// userStep is one request about a user.
type userStep struct{ what, user int }

// The storm of named users has fewer seats than users, each of whom has two devices.
const (
	namedSeats = 3
	namedUsers = 5
)

// userModel is a license of named users as one would specify it: the state is the set of users who hold a seat, on however many devices,
// the output whether the caller got what it asked for.
var userModel = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, input, output any) (bool, any) {
		held, in, ok := state.(uint64), input.(userStep), output.(bool)
		bit := uint64(1) << in.user
		switch in.what {
		case userAsks:
			if held&bit != 0 || bits.OnesCount64(held) < namedSeats {
				return ok, held | bit
			}
			return !ok, held
		case userBeats:
			return ok == (held&bit != 0), held
		case userLeaves: // asked again, it answers the same
			return ok, held &^ bit
		}
		return ok || held&bit == 0, held &^ bit // of two who release at once, both are told that it is done
	},
}

// crowd lets users come, renew and leave on two devices each, while the owner releases some of them, all at once through the replicas, and
// returns what everybody was told.
func (w *world) crowd(t *testing.T, seed uint64, replicas []*replica) []porcupine.Operation {
	t.Helper()
	p := terms(namedSeats)
	p.Seats.By, p.ReviveWithin = doc.ByUser, 30*license.Day
	d := w.issue(t, p)
	begin := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	ids := map[int]string{} // the activation of a user, which is revived under its id
	did := func(client int, in userStep, do func() (bool, error)) {
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
	var wg sync.WaitGroup
	for client := range 2 * namedUsers {
		user, r, rnd := client/2, replicas[client%len(replicas)], rand.New(rand.NewPCG(seed, uint64(client)))
		digest := doc.UserDigest("editor", fmt.Sprint("user", user))
		wg.Go(func() {
			lease := ""
			for range 8 {
				in := userStep{userAsks, user}
				if lease != "" {
					in.what = userBeats + rnd.IntN(3)
				}
				did(client, in, func() (ok bool, err error) {
					switch in.what {
					case userAsks:
						var ctx context.Context
						if ctx, err = r.holder(t.Context(), d.Key); err != nil {
							return false, err
						}
						var out sdk.ActivateResponse
						out, err = r.Activate(ctx, sdk.ActivateRequest{Product: "editor", Device: device(client), User: digest})
						lease = out.Lease
						if err == nil {
							mu.Lock()
							ids[user] = out.Activation
							mu.Unlock()
						}
					case userBeats:
						var out sdk.HeartbeatResponse
						out, err = r.beat(t.Context(), lease)
						lease = out.Lease
					case userLeaves:
						_, err = r.leave(t.Context(), lease)
						lease = ""
					case userReleased:
						mu.Lock()
						id := ids[user]
						mu.Unlock()
						ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: "activation.release", Mutating: true,
							Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"}})
						_, err = r.Release(ctx, activation.ReleaseRequest{ID: id})
					}
					if errors.Is(err, activation.ErrSeats) || errors.Is(err, activation.ErrReleased) {
						return false, nil
					}
					return err == nil, err
				})
			}
		})
	}
	wg.Wait()
	return history
}

// What named users are told while they come and go on two devices each, and while the owner releases them, is what some one order of their
// requests would have told them: a user has one seat on both devices, is refused only when others have all of them, and loses it on both.
func TestS03_NamedUsersAreLinearizable(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		for seed := range storetest.Soak(uint64(3), 300) {
			history := w.crowd(t, seed, w.replicas)
			if got := porcupine.CheckOperationsTimeout(userModel, history, time.Minute); got != porcupine.Ok {
				t.Fatalf("seed %d: the history of %d requests is %s", seed, len(history), got)
			}
		}
	})
}

// perDevice finds and seats users as one would at first: each of their devices for itself.
type perDevice struct{ activation.Store }

// Find implements [activation.Store], wrongly.
func (p perDevice) Find(ctx context.Context, s activation.Seek) (license.License, *activation.Activation, error) {
	if s.User != "" {
		s.User, s.Subject, s.Parts = s.User+"/"+strings.Join(s.Parts, "/"), "none", nil
	}
	return p.Store.Find(ctx, s)
}

// TakeSeat implements [activation.Store], wrongly.
func (p perDevice) TakeSeat(ctx context.Context, t activation.Take) (bool, error) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(t.Device)) {
		parts = append(parts, name+"="+t.Device[name])
	}
	t.Subject += "/" + strings.Join(parts, "/")
	return p.Store.TakeSeat(ctx, t)
}

// The storm finds a store that gives a user a seat for each device.
func TestS03_StormFindsSeatPerDevice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		good := newReplica(t, e, e.DB)
		w := &world{Env: e, replica: good, replicas: []*replica{good}}
		bad := *good
		bad.deps.Store = perDevice{good.deps.Store}
		bad.Service = activation.New(bad.deps)
		for seed := range uint64(20) {
			if porcupine.CheckOperationsTimeout(userModel, w.crowd(t, seed, []*replica{&bad}), time.Minute) == porcupine.Illegal {
				return
			}
		}
		t.Error("the storm did not find it in 20 storms")
	})
}
