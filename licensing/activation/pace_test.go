package activation_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// told counts what people are told of licenses.
type told struct {
	mu           sync.Mutex
	mails, rings map[string]int
}

func (a *told) Tell(_ context.Context, l *license.License) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mails[l.ID]++
	return nil
}

func (a *told) Raised(_ context.Context, l *license.License) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rings[l.ID]++
}

// Ten thousand made-up devices in an hour (a twentieth of that in the short form) get at most what the pace allows, each of the others
// is told when to try again and changes nothing; staff are told once an hour, in the audit trail too; devices that hold a seat, and
// other licenses, notice nothing; and when the storm is over a new device is as welcome as before.
func TestS07_FingerprintStuffing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		people := &told{mails: map[string]int{}, rings: map[string]int{}}
		shared := limit.NewLocal(e.Clock.Now)
		for _, r := range w.replicas { // they share counters, as on Redis
			r.deps.Throttle, r.deps.Alarm = limit.Throttle{Limiter: shared}, people
			r.Service = activation.New(r.deps)
		}
		p := terms(5)
		p.OverLimit = license.ReplaceOldest // the worst case: each new device would push out another
		d, other := w.issue(t, p), w.issue(t, terms(1))
		mine, err := w.activate(t.Context(), d.Key, device(0))
		if err != nil {
			t.Fatal(err)
		}
		n := storetest.Soak(500, 10_000)
		step := time.Hour / time.Duration(n)
		admitted, slowed := 0, 0
		for i := range n {
			e.Clock.Advance(step)
			made := map[string]string{"board": doc.DeviceDigest("editor", "board", fmt.Sprint("forged", i)), "disk": doc.DeviceDigest("editor", "disk", fmt.Sprint("forged", i))}
			_, err := w.replicas[i%2].activate(t.Context(), d.Key, made)
			var problem *licensing.Error
			switch {
			case err == nil:
				admitted++
			case errors.Is(err, activation.ErrPace) && errors.As(err, &problem) && problem.RetryAfter > 0:
				slowed++
			default:
				t.Fatal(err)
			}
			if i%(n/5) == 0 {
				if out, err := w.beat(t.Context(), mine.Lease); err == nil {
					mine.Lease = out.Lease
				} else if !errors.Is(err, activation.ErrReleased) { // replaced while the pace still allowed it
					t.Fatal(err)
				}
			}
		}
		if admitted > 121 || slowed != n-admitted { // sixty at once and sixty in the hour
			t.Errorf("%d admitted, %d slowed of %d", admitted, slowed, n)
		}
		if rows := len(w.trail(t, "activation.create")); rows != admitted+1 {
			t.Errorf("%d seats taken in the trail, %d admitted", rows, admitted)
		}
		rows := w.trail(t, "license.stuffing")
		if len(rows) < 1 || len(rows) > 2 || rows[0].Target != d.License.ID || people.mails[d.License.ID] != len(rows) || people.rings[d.License.ID] != len(rows) {
			t.Errorf("%d rows in the trail, people were told %v and %v", len(rows), people.mails, people.rings)
		}
		if _, err := w.activate(t.Context(), other.Key, device(1)); err != nil || people.rings[other.License.ID] != 0 {
			t.Errorf("another license: %v", err)
		}
		e.Clock.Advance(2 * time.Hour)
		if _, err := w.activate(t.Context(), d.Key, device(7)); err != nil {
			t.Errorf("after the storm: %v", err)
		}
	})
}

// A device that holds a seat asks again as often as it likes.
func TestS07_HeldSeatsAreNotSlowed(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	w := newWorld(t, e)
	w.deps.Throttle = limit.Throttle{Limiter: limit.NewLocal(e.Clock.Now)}
	w.Service = activation.New(w.deps)
	d := w.issue(t, terms(1))
	for range 100 {
		if _, err := w.activate(t.Context(), d.Key, device(1)); err != nil {
			t.Fatal(err)
		}
	}
}
