package webhook_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/service/jobs"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// dead are endpoints that hang until they are let go, and then fail.
type dead struct {
	mu   sync.Mutex
	urls []string
	hung map[string]chan struct{} // closed when the endpoint is being asked
	free chan struct{}
}

func (d *dead) answer(m message) (webhook.Answer, error) {
	d.mu.Lock()
	hung, free := d.hung[m.url], d.free
	if hung != nil {
		delete(d.hung, m.url)
		close(hung)
	}
	down := slices.Contains(d.urls, m.url)
	d.mu.Unlock()
	if !down {
		return webhook.Answer{Status: 200}, nil
	}
	<-free
	return webhook.Answer{}, errors.New("no answer within ten seconds")
}

// down has endpoints hang from now on; asked waits until each of them is being asked, and let lets them go.
func (d *dead) down(t *testing.T, urls ...string) (asked, let func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := make(chan struct{})
	d.urls, d.hung, d.free = urls, map[string]chan struct{}{}, free
	var each []chan struct{}
	for _, u := range urls {
		c := make(chan struct{})
		d.hung[u], each = c, append(each, c)
	}
	let = sync.OnceFunc(func() { close(free) })
	t.Cleanup(let)
	return func() {
		t.Helper()
		for _, c := range each {
			select {
			case <-c:
			case <-time.After(time.Minute):
				t.Fatal("a dead endpoint was not asked")
			}
		}
	}, let
}

// With two workers for those that do well and two for those that do not, under the real runner of jobs: while one endpoint hangs for the first
// time, all others have everything; and while two that are known to fail hang, as many as there are workers, too.
func TestO11_F36_TheDeadTakeNoWorker(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		runner, err := jobs.New(jobs.Config{Driver: e.DB.(jobs.Driver), Clock: e.Clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		w.Jobs = runner
		for kind, h := range map[string]jobs.Handler{webhook.JobSend: w.Handle, webhook.JobProbe: w.Probe} {
			if err := runner.Handle(kind, h, jobs.Options{Queue: kind[len("webhook."):], Workers: 2}); err != nil {
				t.Fatal(err)
			}
		}
		if err := runner.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := runner.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		const endpoints = 10
		ids, urls := make([]string, endpoints), make([]string, endpoints)
		for i := range ids {
			ids[i], _ = w.endpoint(t)
			v, err := w.Get(w.staff, webhook.EndpointRequest{ID: ids[i]})
			if err != nil {
				t.Fatal(err)
			}
			urls[i] = v.URL
		}
		d := &dead{}
		w.net.to(d.answer)
		waits := func(healthy []string) (n int) {
			for _, one := range w.deliveries(t, webhook.Pending) {
				if slices.Contains(healthy, one.Endpoint) {
					n++
				}
			}
			return n
		}
		until := func(what string, done func() bool) {
			t.Helper()
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for end := time.Now().Add(time.Minute); !done(); <-tick.C {
				if time.Now().After(end) {
					t.Fatalf("never: %s", what)
				}
			}
		}
		fails := func(id string) func() bool {
			return func() bool {
				v, err := w.Get(w.staff, webhook.EndpointRequest{ID: id})
				return err == nil && v.Failures > 0
			}
		}
		for i := range 2 { // each for the first time, as one of those that do well
			asked, let := d.down(t, urls[:i+1]...)
			w.happens(t, "license.issue", "lic_1", nil)
			w.relayed(t)
			asked()
			until("all others have everything while one hangs", func() bool { return waits(ids[2:]) == 0 })
			let()
			until("it is known to fail", fails(ids[i]))
		}
		asked, let := d.down(t, urls[:2]...)
		w.happens(t, "license.issue", "lic_2", nil)
		w.relayed(t)
		asked()
		until("all others have everything while as many hang as there are workers", func() bool { return waits(ids[2:]) == 0 })
		let()
	})
}
