package webhook_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// An endpoint that moves to another address gets what waits there, at once and all of it: how the old one failed says nothing of the new.
func TestAMovedEndpointGetsWhatWaits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, _ := w.endpoint(t)
		for n := range 7 {
			w.happens(t, "license.issue", fmt.Sprintf("lic_%d", n), nil)
		}
		w.relayed(t)
		w.net.to(status(500))
		for range 40 {
			w.work(t)
			w.Clock.Advance(time.Minute)
		}
		v, err := w.Get(w.staff, webhook.EndpointRequest{ID: id})
		if err != nil || v.State != "failing" {
			t.Fatalf("%+v, %v", v, err)
		}
		w.net.to(nil)
		w.queue.take(w.Clock.Now()) // what was due anyhow
		v, err = w.Change(w.staff, webhook.ChangeRequest{ID: id, Version: v.Version, URL: v.URL, Description: "the same place"})
		if err != nil || v.State != "failing" || len(w.work(t)) != 0 {
			t.Fatalf("%+v, %v", v, err)
		}
		v, err = w.Change(w.staff, webhook.ChangeRequest{ID: id, Version: v.Version, URL: "https://hooks.example.com/moved"})
		if err != nil || v.State != "active" || v.Failures != 0 || v.NextAt != nil {
			t.Fatalf("%+v, %v", v, err)
		}
		if got := w.work(t); len(got) != 7 || slices.ContainsFunc(got, func(m message) bool { return m.url != "https://hooks.example.com/moved" }) {
			t.Errorf("moved it got %+v", got)
		}
	})
}

// What is sent again by hand while an attempt of it is under way is sent again, however that attempt ends.
func TestByHandWhileItIsUnderWay(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		for _, code := range []int{200, 500} {
			w := newWorld(t, e)
			id, _ := w.endpoint(t)
			d, err := w.Try(w.staff, webhook.EndpointRequest{ID: id})
			if err != nil {
				t.Fatal(err)
			}
			hand := false
			w.net.to(func(message) (webhook.Answer, error) {
				if hand {
					return webhook.Answer{Status: 200}, nil
				}
				hand = true
				w.Clock.Advance(time.Second)
				if _, err := w.Redeliver(w.staff, webhook.DeliveryRequest{ID: d.ID}); err != nil {
					t.Error(err)
				}
				return webhook.Answer{Status: code}, nil
			})
			if got := w.work(t); len(got) != 2 || got[0].id != got[1].id {
				t.Errorf("an attempt of %d: %+v", code, got)
			}
			detail, err := w.GetDelivery(w.staff, webhook.DeliveryRequest{ID: d.ID})
			if err != nil || detail.Delivery.State != "delivered" || len(detail.Attempts) != 2 {
				t.Errorf("an attempt of %d: %+v, %v", code, detail, err)
			}
		}
	})
}

// An endpoint that is enabled while an old attempt is under way begins anew: how that attempt ends is kept with the delivery and says nothing
// of the endpoint.
func TestAnOldAttemptUndoesNoReset(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, _ := w.endpoint(t)
		if _, err := w.Try(w.staff, webhook.EndpointRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		w.net.to(func(message) (webhook.Answer, error) {
			w.Clock.Advance(time.Second)
			if _, err := w.Disable(w.staff, webhook.StateRequest{ID: id}); err != nil {
				t.Error(err)
			}
			if _, err := w.Enable(w.staff, webhook.StateRequest{ID: id}); err != nil {
				t.Error(err)
			}
			w.net.to(nil)
			return webhook.Answer{Status: 410}, nil
		})
		got := w.work(t)
		v, err := w.Get(w.staff, webhook.EndpointRequest{ID: id})
		if err != nil || v.State != "active" || v.Failures != 0 || len(w.bell.told) != 0 || len(got) != 2 {
			t.Errorf("%+v, %v, told %d, sent %d", v, err, len(w.bell.told), len(got))
		}
	})
}

// An endpoint that turns slow or fails in the midst of its work is left, after the messages that are under way, to the workers that are there
// for such, who send the rest.
func TestWhoTurnsBadChangesTheQueue(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w *world) (webhook.Answer, error){
		"slow": func(w *world) (webhook.Answer, error) {
			w.Clock.Advance(3 * time.Second)
			return webhook.Answer{Status: 200}, nil
		},
		"fails": func(*world) (webhook.Answer, error) { return webhook.Answer{}, errors.New("the connection failed") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, storetest.SQLite(t))
			id, _ := w.endpoint(t)
			const events = 12
			for n := range events {
				w.happens(t, "license.issue", fmt.Sprintf("lic_%d", n), nil)
			}
			w.relayed(t)
			w.net.to(func(message) (webhook.Answer, error) { return answer(w) })
			jobs := w.queue.take(w.Clock.Now())
			if len(jobs) != 1 || jobs[0].Kind != webhook.JobSend {
				t.Fatalf("%+v", jobs)
			}
			args := fmt.Appendf(nil, `{"endpoint":%q}`, id)
			if err := w.Handle(licensing.AsSystem(t.Context(), webhook.JobSend), args); err != nil {
				t.Fatal(err)
			}
			if got := w.net.take(); len(got) > 4 {
				t.Errorf("a worker of those that do well sent %d", len(got))
			}
			w.Clock.Advance(time.Hour)
			jobs = w.queue.take(w.Clock.Now())
			if len(jobs) != 1 || jobs[0].Kind != webhook.JobProbe {
				t.Fatalf("then %+v", jobs)
			}
			w.net.to(nil)
			if err := w.Probe(licensing.AsSystem(t.Context(), webhook.JobProbe), args); err != nil {
				t.Fatal(err)
			}
			w.net.take()
			if waits := w.deliveries(t, webhook.Pending); len(waits) != 0 {
				t.Errorf("%d are left", len(waits))
			}
		})
	}
}
