package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	signed "github.com/mintreu/mintreu/sdk/webhook"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A change is told of once to each endpoint that wants it, with what the catalogue promises and nothing else of the trail's detail; who wants
// other types, was made later, or is disabled hears nothing. A change that was rolled back is not told of.
func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.happens(t, "license.revoke", "lic_before", nil)
		w.Clock.Advance(time.Minute)
		all, _ := w.endpoint(t)
		w.Clock.Advance(time.Minute)
		licenses, _ := w.endpoint(t, "license.*")
		w.endpoint(t, "ticket.created")
		off, _ := w.endpoint(t)
		if _, err := w.Disable(w.staff, webhook.StateRequest{ID: off}); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		w.happens(t, "license.revoke", "lic_1", map[string]any{"from": "active", "to": "revoked", "secret": "not for others"})
		w.happens(t, "machine.create", "mtk_1", nil)
		w.happens(t, "order.fulfilled", "ord_1", map[string]any{"from": "pending", "to": "fulfilled", "paid": true, "refunded": 0, "was_refunded": 0, "disputed": 0, "was_disputed": 0})
		w.happens(t, "key.revoke", "key_1", map[string]any{"changed": false})
		broken := errors.New("no")
		if err := w.Store.InTx(w.staff, func(ctx context.Context) error {
			return errors.Join(w.trail.Record(ctx, licensing.Event{Action: "license.revoke", Target: "lic_never"}), broken)
		}); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if n := w.relayed(t); n != 3 {
			t.Errorf("%d events", n)
		}
		if n := w.relayed(t); n != 0 {
			t.Errorf("%d events of nothing new", n)
		}
		var got []string
		ids := map[string]map[string]bool{}
		for _, m := range w.work(t) {
			var p struct {
				Type string `json:"type"`
				Data struct {
					ID     string         `json:"id"`
					Object string         `json:"object"`
					Change map[string]any `json:"change"`
				} `json:"data"`
			}
			if err := json.Unmarshal([]byte(m.body), &p); err != nil {
				t.Fatal(err)
			}
			if ids[p.Type] == nil {
				ids[p.Type] = map[string]bool{}
			}
			ids[p.Type][m.id] = true
			got = append(got, fmt.Sprint(p.Type, " ", p.Data.ID, " ", p.Data.Object, " ", len(p.Data.Change)))
			if strings.Contains(m.body, "not for others") {
				t.Errorf("told too much: %s", m.body)
			}
		}
		slices.Sort(got)
		want := []string{"license.revoked lic_1 license 2", "license.revoked lic_1 license 2", "order.fulfilled ord_1 order 2", "order.paid ord_1 order 0"}
		if !slices.Equal(got, want) {
			t.Errorf("told %q", got)
		}
		if len(ids["license.revoked"]) != 1 {
			t.Errorf("an event has the webhook-ids %v", ids["license.revoked"])
		}
		for _, d := range w.deliveries(t, "") {
			if d.Endpoint != all && d.Endpoint != licenses || d.State != "delivered" || d.Attempts != 1 {
				t.Errorf("%+v", d)
			}
		}
	})
}

// A message that is not taken is sent again with growing pauses, each time with the same id and a signature that is good at that time, and
// is given up after three days and a bit; by hand it is sent again with the id it had. The receiver's verifier takes each of them, also
// while a secret is rotated, when either secret is enough.
func TestO10_RetriesAreSignedAndKeepTheirID(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, secret := w.endpoint(t)
		w.happens(t, "license.issue", "lic_1", nil)
		w.relayed(t)
		w.net.to(status(500))
		began := w.Clock.Now()
		var pauses []time.Duration
		last, eventID := began, ""
		for range 12 {
			for _, m := range w.work(t) {
				if err := signed.Verify(m.h, []byte(m.body), m.at, secret); err != nil {
					t.Fatal(err)
				}
				if eventID == "" {
					eventID = m.id
				}
				if m.id != eventID {
					t.Errorf("webhook-id %s became %s", eventID, m.id)
				}
				if m.at != began {
					pauses = append(pauses, m.at.Sub(last))
				}
				last = m.at
			}
			next := w.Clock.Now().Add(31 * time.Hour)
			w.queue.mu.Lock()
			for _, j := range w.queue.jobs {
				if j.At.Before(next) {
					next = j.At
				}
			}
			w.queue.mu.Unlock()
			w.Clock.Set(next)
		}
		for i, want := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour} {
			if i >= len(pauses) || pauses[i] < want*4/5 || pauses[i] > want*6/5+2*time.Millisecond {
				t.Errorf("pause %d of %v is not about %v", i, pauses, want)
			}
		}
		failed := w.deliveries(t, webhook.Failed)
		if len(pauses) != 9 || len(failed) != 1 || failed[0].Attempts != 10 {
			t.Fatalf("%d pauses, %+v", len(pauses), failed)
		}

		w.net.to(nil)
		if _, err := w.Enable(w.staff, webhook.StateRequest{ID: id}); err != nil { // it may have been disabled meanwhile
			t.Fatal(err)
		}
		fresh, err := w.Rotate(w.staff, webhook.RotateRequest{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Rotate(w.staff, webhook.RotateRequest{ID: id}); !errors.Is(err, webhook.ErrTwoSecrets) {
			t.Errorf("a third secret: %v", err)
		}
		if _, err := w.Redeliver(w.staff, webhook.DeliveryRequest{ID: failed[0].ID}); err != nil {
			t.Fatal(err)
		}
		got := w.work(t)
		if len(got) != 1 || got[0].id != eventID || signed.Verify(got[0].h, []byte(got[0].body), got[0].at, secret) != nil || signed.Verify(got[0].h, []byte(got[0].body), got[0].at, fresh.Secret) != nil {
			t.Errorf("by hand: %+v", got)
		}
		w.Clock.Advance(25 * time.Hour)
		if _, err := w.Try(w.staff, webhook.EndpointRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		if got = w.work(t); len(got) != 1 || signed.Verify(got[0].h, []byte(got[0].body), got[0].at, secret) == nil || signed.Verify(got[0].h, []byte(got[0].body), got[0].at, fresh.Secret) != nil {
			t.Errorf("after the overlap: %+v", got)
		}
		detail, err := w.GetDelivery(w.staff, webhook.DeliveryRequest{ID: failed[0].ID})
		if err != nil || detail.Delivery.State != "delivered" || len(detail.Attempts) != 11 || detail.Attempts[0].Status != 204 || detail.Attempts[1].Status != 500 {
			t.Errorf("%+v, %v", detail, err)
		}
	})
}

// One endpoint of a hundred that hangs keeps nobody waiting: the others have everything while it still hangs, since each has work of its own.
// Its breaker opens after five failures, so that it is asked ever more seldom, and then one message at a time; after three days of nothing
// but failures it is disabled and the staff told, once. Enabled again, it gets at once what waited, all of that and nothing else, as if it had
// never been tried.
func TestO11_OneDeadEndpoint(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	w := newWorld(t, e)
	const endpoints, events = 100, 5
	ids := make([]string, endpoints)
	for i := range ids {
		ids[i], _ = w.endpoint(t)
	}
	dead, err := w.Get(w.staff, webhook.EndpointRequest{ID: ids[0]})
	if err != nil {
		t.Fatal(err)
	}
	for n := range events {
		w.happens(t, "license.issue", fmt.Sprintf("lic_%d", n), nil)
	}
	w.relayed(t)
	hang, hung := make(chan struct{}), make(chan struct{}, 1)
	down := func(m message) (webhook.Answer, error) {
		if m.url == dead.URL {
			select {
			case hung <- struct{}{}:
			default:
			}
			<-hang
			return webhook.Answer{}, errors.New("no answer within ten seconds")
		}
		return webhook.Answer{Status: 200}, nil
	}
	w.net.to(down)
	var stuck sync.WaitGroup
	stuck.Go(func() {
		if err := w.Drain(licensing.AsSystem(t.Context(), "drain"), dead.ID); err != nil {
			t.Error(err)
		}
	})
	<-hung
	for _, id := range ids[1:] {
		if err := w.Drain(licensing.AsSystem(t.Context(), "drain"), id); err != nil {
			t.Fatal(err)
		}
	}
	if waits := w.deliveries(t, webhook.Pending); len(waits) != events {
		t.Errorf("%d deliveries wait, only the %d of the dead endpoint should", len(waits), events)
	}
	close(hang)
	stuck.Wait()
	w.net.take()

	v, err := w.Get(w.staff, webhook.EndpointRequest{ID: dead.ID})
	if err != nil || v.State != "failing" || v.NextAt == nil || v.Failures != 5 {
		t.Fatalf("%+v, %v", v, err)
	}
	w.queue.take(w.Clock.Now().Add(time.Hour))
	if err := w.Drain(licensing.AsSystem(t.Context(), "drain"), dead.ID); err != nil || len(w.net.take()) != 0 {
		t.Errorf("sent through an open breaker, %v", err)
	}
	for key, j := range w.queue.jobs {
		if j.Kind != webhook.JobProbe {
			t.Errorf("%s waits in the queue of those that do well", key)
		}
	}
	asked := 0
	for hours := 0; len(w.bell.told) == 0 && hours < 10*24; hours++ {
		if hours == 24 { // it has fewer attempts behind it than the first, so that it waits still when the endpoint is disabled
			w.happens(t, "license.issue", "lic_late", nil)
			w.relayed(t)
		}
		if err := w.Sweep(licensing.AsSystem(t.Context(), "sweep")); err != nil {
			t.Fatal(err)
		}
		for _, m := range w.work(t) {
			if m.url == dead.URL {
				asked++
			}
		}
		w.Clock.Advance(time.Hour)
	}
	if len(w.bell.told) != 1 || w.bell.told[0].ID != dead.ID || w.bell.told[0].DisabledWhy != webhook.ByFailing || asked > 50 {
		t.Fatalf("told %d times after %d attempts", len(w.bell.told), asked)
	}
	w.happens(t, "license.issue", "lic_meanwhile", nil)
	w.relayed(t)
	w.net.to(nil)
	w.work(t)
	var waits, got []string
	for _, d := range w.deliveries(t, webhook.Pending) {
		waits = append(waits, d.Endpoint+" "+d.Event)
	}
	if _, err := w.Enable(w.staff, webhook.StateRequest{ID: dead.ID}); err != nil {
		t.Fatal(err)
	}
	for _, m := range w.work(t) {
		if m.url == dead.URL {
			got = append(got, dead.ID+" "+m.id)
		}
		if strings.Contains(m.body, "lic_meanwhile") {
			t.Error("enabled again it heard of what happened while it was disabled")
		}
	}
	slices.Sort(waits)
	slices.Sort(got)
	if len(waits) == 0 || !slices.Equal(got, waits) {
		t.Errorf("enabled again it got %q of %q", got, waits)
	}
}

// An endpoint that says that it is gone is disabled at once; one that asks for a pause gets it.
func TestGoneAndBusy(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	w := newWorld(t, e)
	id, _ := w.endpoint(t)
	w.net.to(func(message) (webhook.Answer, error) {
		return webhook.Answer{Status: 429, RetryAfter: 3 * time.Hour}, nil
	})
	if _, err := w.Try(w.staff, webhook.EndpointRequest{ID: id}); err != nil {
		t.Fatal(err)
	}
	w.work(t)
	if d := w.deliveries(t, webhook.Pending); len(d) != 1 || d[0].NextAt.Sub(w.Clock.Now()) != 3*time.Hour {
		t.Errorf("%+v", d)
	}
	w.Clock.Advance(3 * time.Hour)
	w.net.to(status(410))
	w.work(t)
	v, err := w.Get(w.staff, webhook.EndpointRequest{ID: id})
	if err != nil || v.State != "disabled" || v.DisabledWhy != webhook.ByGone || len(w.bell.told) != 1 {
		t.Errorf("%+v, %v, told %d", v, err, len(w.bell.told))
	}
	if _, err := w.Try(w.staff, webhook.EndpointRequest{ID: id}); licensing.KindOf(err) != licensing.Conflict {
		t.Errorf("a test of a disabled endpoint: %v", err)
	}
}

// Of an answer staff see the status and up to 256 bytes on one line, without control characters and marks of direction; of a failure, words.
func TestO12_AnswersAreShownInPart(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	w := newWorld(t, e)
	id, _ := w.endpoint(t)
	w.net.to(func(message) (webhook.Answer, error) {
		return webhook.Answer{Status: 400, Excerpt: "a\r\nb\x1b[31m\u202e\x00\xff" + strings.Repeat("é", 1000)}, nil
	})
	d, err := w.Try(w.staff, webhook.EndpointRequest{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	w.work(t)
	detail, err := w.GetDelivery(w.staff, webhook.DeliveryRequest{ID: d.ID})
	if err != nil || len(detail.Attempts) != 1 {
		t.Fatalf("%+v, %v", detail, err)
	}
	if got := detail.Attempts[0].Excerpt; len(got) > 256 || !strings.HasPrefix(got, "a  b [31m") || strings.ContainsAny(got, "\r\n\x1b\x00\u202e") {
		t.Errorf("excerpt %q", got)
	}
}

// Only https on port 443 of a public name may be an endpoint, and types that there are.
func TestO05_EndpointsAreChecked(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	w := newWorld(t, e)
	for _, bad := range []string{"", "http://hooks.example.com/", "https://", "https:///x", "https://hooks.example.com:8443/", "https://user@hooks.example.com/", "https://hooks.example.com/#x", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/",
		"https://0x7f.1/", "https://localhost/", "https://metadata.google.internal/", "https://printer.local/", "ftp://hooks.example.com/", "file:///etc/passwd", "https://hooks.example.com/\r\nFLUSHALL", "https://hooks.example.com/ x", "https://①②⑦.⓪.⓪.①/", "https://hooks.example.com/" + strings.Repeat("a", 2000)} {
		if _, err := w.Create(w.staff, webhook.CreateRequest{URL: bad}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%.60q: %v", bad, err)
		}
	}
	for _, r := range []webhook.CreateRequest{{URL: "https://hooks.example.com/", Types: []string{"license.exploded"}}, {URL: "https://hooks.example.com/", Types: []string{"*"}}, {URL: "https://hooks.example.com/", Env: "dev"}, {URL: "https://hooks.example.com/", Description: "a\nb"}} {
		if _, err := w.Create(w.staff, r); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
