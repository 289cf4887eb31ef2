package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// Any number of processes relay, drain and sweep at once: each event is made once, no message is sent by two, and none is left behind.
func TestF31_ManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ids := make([]string, 3)
		for i := range ids {
			ids[i], _ = w.endpoint(t)
		}
		const events = 20
		for n := range events {
			w.happens(t, "license.issue", fmt.Sprintf("lic_%d", n), nil)
		}
		if _, err := w.sequencer.Sequence(t.Context()); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := w.Relay(licensing.AsSystem(t.Context(), "relay")); err != nil {
					t.Error(err)
				}
				for _, id := range ids {
					if err := w.Drain(licensing.AsSystem(t.Context(), "drain"), id); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		got := append(w.net.take(), w.work(t)...)
		seen := map[string]int{}
		for _, m := range got {
			seen[m.url+" "+m.id]++
		}
		if len(seen) != events*len(ids) || len(got) != len(seen) {
			t.Errorf("%d messages, %d of them different, want %d", len(got), len(seen), events*len(ids))
		}
		if waits := w.deliveries(t, webhook.Pending); len(waits) != 0 {
			t.Errorf("%d were left behind", len(waits))
		}
	})
}

// unkept is a store that what came of an attempt is not written to.
type unkept struct{ webhook.Deliveries }

func (unkept) Settle(context.Context, string, webhook.Endpoint, webhook.Delivery, webhook.Delivery, webhook.Attempt) (bool, error) {
	return false, errors.New("the database is gone")
}

// A process that is told to stop keeps what was taken meanwhile, which does not come again, and counts what was not answered as not sent; the
// endpoint is at once free for another process, whoever came in vain before.
func TestF37_WhatWasTakenAtTheEndIsKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, _ := w.endpoint(t)
		for n := range 3 {
			w.happens(t, "license.issue", fmt.Sprintf("lic_%d", n), nil)
		}
		w.relayed(t)
		w.queue.take(w.Clock.Now()) // the jobs end with the process
		stopping, stop := context.WithCancel(licensing.AsSystem(t.Context(), "drain"))
		defer stop()
		var taken sync.WaitGroup
		taken.Add(2)
		w.net.to(func(m message) (webhook.Answer, error) {
			if !strings.Contains(m.body, "lic_2") {
				taken.Done()
				return webhook.Answer{Status: 200}, nil
			}
			taken.Wait()
			if err := w.Drain(licensing.AsSystem(t.Context(), "drain"), id); err != nil { // in vain
				t.Error(err)
			}
			stop()
			return webhook.Answer{}, context.Canceled
		})
		if err := w.Drain(stopping, id); !errors.Is(err, context.Canceled) {
			t.Errorf("a process that was told to stop: %v", err)
		}
		w.net.take()
		w.net.to(nil)
		if waits := w.deliveries(t, webhook.Pending); len(waits) != 1 || waits[0].Attempts != 0 {
			t.Errorf("what waits: %+v", waits)
		}
		if err := w.Drain(licensing.AsSystem(t.Context(), "drain"), id); err != nil {
			t.Fatal(err)
		}
		if got := w.net.take(); len(got) != 1 || !strings.Contains(got[0].body, "lic_2") {
			t.Errorf("came again: %+v", got)
		}
	})
}

// A process that dies after a message went out and before that was written down leaves the delivery to another: it comes again, with the
// same webhook-id, once the claim of the dead one is over. A switch that is off holds everything back, and loses nothing.
func TestF31_TheDeadAreSucceeded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, _ := w.endpoint(t)
		if _, err := w.Try(w.staff, webhook.EndpointRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		w.queue.take(w.Clock.Now()) // the job dies with the process
		// The claim is the dead one's: it is not given back.
		if mine, err := w.Store.Webhooks().Claim(t.Context(), id, "wcl_dead", w.Clock.Now(), w.Clock.Now().Add(time.Minute)); err != nil || !mine {
			t.Fatal(mine, err)
		}
		if err := w.Sweep(licensing.AsSystem(t.Context(), "sweep")); err != nil || len(w.work(t)) != 0 {
			t.Errorf("sent while another has the claim, %v", err)
		}
		w.Clock.Advance(2 * time.Minute)
		alive := w.Deliveries
		w.Deliveries = unkept{alive}
		if err := w.Drain(licensing.AsSystem(t.Context(), "drain"), id); err == nil {
			t.Error("what could not be kept was taken for kept")
		}
		w.Deliveries = alive
		first := w.net.take()
		w.killed.Set(true)
		if err := w.Sweep(licensing.AsSystem(t.Context(), "sweep")); err != nil {
			t.Fatal(err)
		}
		if err := w.Drain(licensing.AsSystem(t.Context(), "drain"), id); err != nil || len(w.work(t)) != 0 {
			t.Errorf("sent though it is switched off, %v", err)
		}
		w.killed.Set(false)
		if err := w.Sweep(licensing.AsSystem(t.Context(), "sweep")); err != nil {
			t.Fatal(err)
		}
		second := w.work(t)
		if len(first) != 1 || len(second) != 1 || first[0].id != second[0].id || first[0].body != second[0].body {
			t.Errorf("first %+v, then %+v", first, second)
		}
	})
}

// A process that is stopped while it sends, longer than its claim lasts, and goes on when another has delivered everything, undoes nothing of that
// with what came of its own attempt: that is kept with the delivery, and neither the delivery nor the endpoint follow it.
func TestF32_StoppedWhileItSends(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, _ := w.endpoint(t)
		d, err := w.Try(w.staff, webhook.EndpointRequest{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		stopped := false
		w.net.to(func(message) (webhook.Answer, error) {
			if stopped {
				return webhook.Answer{Status: 200}, nil
			}
			stopped = true
			w.Clock.Advance(2 * time.Minute)
			if err := w.Drain(licensing.AsSystem(t.Context(), "drain"), id); err != nil {
				t.Error(err)
			}
			return webhook.Answer{Status: 410}, nil // which would disable it
		})
		if got := w.work(t); len(got) != 2 || got[0].id != got[1].id {
			t.Errorf("sent %+v", got)
		}
		detail, err := w.GetDelivery(w.staff, webhook.DeliveryRequest{ID: d.ID})
		if err != nil || detail.Delivery.State != "delivered" || len(detail.Attempts) != 2 {
			t.Errorf("%+v, %v", detail, err)
		}
		v, err := w.Get(w.staff, webhook.EndpointRequest{ID: id})
		if err != nil || v.State != "active" || v.Failures != 0 || len(w.bell.told) != 0 {
			t.Errorf("%+v, %v, told %d", v, err, len(w.bell.told))
		}
	})
}

// Events are kept for thirty days, and then forgotten with their deliveries and attempts; a removed endpoint gets nothing any more.
func TestOldEventsAreForgotten(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, _ := w.endpoint(t)
		for range 3 {
			if _, err := w.Try(w.staff, webhook.EndpointRequest{ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		w.work(t)
		if _, err := w.Try(w.staff, webhook.EndpointRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Remove(w.staff, webhook.EndpointRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		if got := w.work(t); len(got) != 0 {
			t.Errorf("a removed endpoint got %d", len(got))
		}
		if _, err := w.Get(w.staff, webhook.EndpointRequest{ID: id}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("%v", err)
		}
		if n := len(w.deliveries(t, "")); n != 4 {
			t.Errorf("%d deliveries", n)
		}
		w.Clock.Advance(31 * 24 * time.Hour)
		if err := w.Sweep(licensing.AsSystem(t.Context(), "sweep")); err != nil || len(w.deliveries(t, "")) != 0 {
			t.Errorf("%d are left, %v", len(w.deliveries(t, "")), err)
		}
	})
}
