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

	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// Of 200 devices that ask at once, through two replicas, exactly as many get a seat as there are; the others are told that
// the seats are taken, and the count is that of the activations, round after round: a hundred of them in the
// whole proof and a thousand in the long form.
func TestS01_ExactSeatsUnderContention(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		for range storetest.Proven(4, 100, 1000) {
			d := w.issue(t, terms(5))
			if got := w.race(t, d.Key, 200, func(r *replica) activator { return r.activate }); got != 5 {
				t.Errorf("%d devices got a seat, want 5", got)
			}
			if used, held := w.seats(t, d.License.ID); used != 5 || held != 5 {
				t.Errorf("used %d, held %d, want 5", used, held)
			}
		}
	})
}

type activator func(ctx context.Context, key string, device map[string]string) (sdk.ActivateResponse, error)

// race lets n devices ask at once and returns how many got a seat.
func (w *world) race(t *testing.T, key string, n int, with func(*replica) activator) int {
	t.Helper()
	var got atomic.Int64
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		activate := with(w.replicas[i%len(w.replicas)])
		wg.Go(func() {
			<-start
			switch _, err := activate(t.Context(), key, device(i)); {
			case err == nil:
				got.Add(1)
			case !errors.Is(err, activation.ErrSeats):
				t.Errorf("device %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(got.Load())
}

// One device that asks 200 times at once gets one activation and one seat.
func TestS02_SameDeviceTakesOneSeat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(5))
		var mu sync.Mutex
		ids := map[string]bool{}
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				out, err := w.replicas[i%2].activate(t.Context(), d.Key, device(1))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				ids[out.Activation] = true
			})
		}
		wg.Wait()
		if used, held := w.seats(t, d.License.ID); len(ids) != 1 || used != 1 || held != 1 {
			t.Errorf("%d activations, used %d, held %d, want 1", len(ids), used, held)
		}
	})
}

// Devices whose fingerprint agrees in enough components are one device, even when they ask at once.
func TestS02_NearlySameDeviceTakesOneSeat(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(5))
		var wg sync.WaitGroup
		for i := range 30 {
			near := device(1)
			near["board"] = fmt.Sprint("replaced", i) // disk and os still agree
			wg.Go(func() {
				if _, err := w.replicas[i%2].activate(t.Context(), d.Key, near); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if used, held := w.seats(t, d.License.ID); used != 1 || held != 1 {
			t.Errorf("used %d, held %d, want 1", used, held)
		}
		// A stranger agrees in one and does.
		if _, err := w.activate(t.Context(), d.Key, device(2)); err != nil {
			t.Fatal(err)
		}
		if now, _ := w.seats(t, d.License.ID); now != 2 {
			t.Errorf("used %d, want 2", now)
		}
	})
}

// While devices come and go as they like, for a minute in the long form, the count never leaves 0 to 3 and at rest it is that of the
// held activations.
func TestS03_ActivateDeactivateStorm(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(3))
		stop, begin := make(chan struct{}), time.Now()
		var watch, wg sync.WaitGroup
		watch.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if used, held := w.seats(t, d.License.ID); used < 0 || used > 3 || held > 3 {
					t.Errorf("used %d, held %d", used, held)
					return
				}
			}
		})
		for i := range 12 {
			r, rnd := w.replicas[i%2], rand.New(rand.NewPCG(uint64(i), 7))
			wg.Go(func() {
				lease := ""
				for n := 0; n < 25 || time.Since(begin) < storetest.Soak(0, time.Minute); n++ {
					if lease != "" && rnd.IntN(2) == 0 {
						if _, err := r.leave(t.Context(), lease); err != nil {
							t.Error(err)
						}
						lease = ""
						continue
					}
					out, err := r.activate(t.Context(), d.Key, device(i))
					if err == nil {
						lease = out.Lease
					} else if !errors.Is(err, activation.ErrSeats) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		close(stop)
		watch.Wait()
		if used, held := w.seats(t, d.License.ID); used != held {
			t.Errorf("used %d, held %d", used, held)
		}
	})
}

// Fewer seats than are held: those held stay, no new one is given, and none until enough have left.
func TestS04_SeatsLoweredBelowUse(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(3))
		var leases []string
		for i := range 3 {
			out, err := w.activate(t.Context(), d.Key, device(i))
			if err != nil {
				t.Fatal(err)
			}
			leases = append(leases, out.Lease)
		}
		one := int64(1)
		if _, err := w.licenses.Change(staff(t.Context()), license.ChangeRequest{ID: d.License.ID, Reason: "smaller team", Seats: &one}); err != nil {
			t.Fatal(err)
		}
		for left := 3; left >= 1; left-- {
			if _, err := w.activate(t.Context(), d.Key, device(9)); !errors.Is(err, activation.ErrSeats) {
				t.Errorf("with %d held: %v", left, err)
			}
			if out, err := w.beat(t.Context(), leases[left-1]); err != nil || out.License == "" {
				t.Errorf("a held seat was not renewed with the new token: %v", err)
			}
			if _, err := w.leave(t.Context(), leases[left-1]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.activate(t.Context(), d.Key, device(9)); err != nil {
			t.Errorf("after all left: %v", err)
		}
	})
}

// A license revoked while devices activate has no active device afterwards, whoever came first.
func TestS05_RevokedDuringActivate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		for range 5 {
			d := w.issue(t, terms(50))
			start := make(chan struct{})
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					<-start
					if _, err := w.replicas[i%2].activate(t.Context(), d.Key, device(i)); err != nil && !errors.Is(err, activation.ErrRefused) {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				<-start
				if _, err := w.licenses.Revoke(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "refund"}); err != nil {
					t.Error(err)
				}
			})
			close(start)
			wg.Wait()
			if used, held := w.seats(t, d.License.ID); used != 0 || held != 0 {
				t.Errorf("used %d, held %d after revocation", used, held)
			}
		}
	})
}
