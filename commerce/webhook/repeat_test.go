package webhook_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// sent puts n deliveries for an endpoint into the log, an event a minute, that stand as they would after their attempts.
func (w *world) sent(t testing.TB, endpoint string, state webhook.State, n int) (ids []string) {
	t.Helper()
	var events []webhook.Event
	var list []webhook.Delivery
	for range n {
		w.Clock.Advance(time.Minute)
		now := w.Clock.Now()
		e := webhook.Event{ID: w.IDs.New("wev"), Type: "license.revoked", Env: licensing.Live, Body: "{}", At: now}
		d := webhook.Delivery{ID: w.IDs.New("wdl"), EndpointID: endpoint, EventID: e.ID, State: state, Attempts: 10, Tries: 10, NextAt: now, CreatedAt: now, UpdatedAt: now}
		if state == webhook.Pending {
			d.NextAt = now.Add(time.Hour)
		}
		events, list, ids = append(events, e), append(list, d), append(ids, e.ID)
	}
	if err := w.Deliveries.AddEvents(t.Context(), events, list); err != nil {
		t.Fatal(err)
	}
	return ids
}

// What failed of one endpoint since an instant is sent again, each event once with the id it always had, however many ask at once and however
// often; what is pending, was delivered, happened before or is another endpoint's is left as it is. Who asks again finds nothing to do.
func TestO10_ManyAreSentAgainOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, _ := w.endpoint(t)
		other, _ := w.endpoint(t)
		before := w.sent(t, id, webhook.Failed, 3)
		w.Clock.Advance(time.Minute)
		since := w.Clock.Now()
		want := w.sent(t, id, webhook.Failed, 40)
		taken := w.sent(t, id, webhook.Delivered, 2)
		w.sent(t, id, webhook.Pending, 2)
		w.sent(t, other, webhook.Failed, 2)
		w.Clock.Advance(time.Minute)
		counted, err := w.CountDeliveries(w.staff, webhook.CountRequest{Endpoint: id, State: webhook.Failed, Since: since})
		if err != nil || counted.Count != 40 {
			t.Errorf("counted %d, %v", counted.Count, err)
		}
		var all sync.WaitGroup
		counts := make([]int64, 8)
		for i := range counts {
			all.Go(func() {
				out, err := w.Repeat(w.staff, webhook.RepeatRequest{ID: id, Since: &since})
				if err != nil || out.Next != "" || out.Endpoint != id {
					t.Errorf("%+v, %v", out, err)
				}
				counts[i] = out.Count
			})
		}
		all.Wait()
		var sum int64
		for _, n := range counts {
			sum += n
		}
		if sum != 40 {
			t.Errorf("%v are said to be sent again, of 40", counts)
		}
		var got []string
		for _, m := range w.work(t) {
			got = append(got, m.id)
		}
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%d arrived, want the 40 that failed", len(got))
		}
		if out, err := w.Repeat(w.staff, webhook.RepeatRequest{ID: id, Since: &since}); err != nil || out.Count != 0 || len(w.work(t)) != 0 {
			t.Errorf("asked again: %+v, %v", out, err)
		}
		if out, err := w.Repeat(w.staff, webhook.RepeatRequest{ID: id, Until: &since}); err != nil || out.Count != int64(len(before)) {
			t.Errorf("what happened before: %+v, %v", out, err)
		}
		w.work(t)
		out, err := w.Repeat(w.staff, webhook.RepeatRequest{ID: id, State: webhook.Delivered, Since: &since, Until: nil})
		if again := w.work(t); err != nil || out.Count != int64(len(want)+len(taken)) || len(again) != len(want)+len(taken) {
			t.Errorf("what was delivered: %+v, %v, %d arrived", out, err, len(again))
		}
		if n := len(w.deliveries(t, webhook.Failed)); n != 2 {
			t.Errorf("%d of another endpoint failed, want 2", n)
		}
	})
}

// A request is about a thousand events at most, the oldest first, and says where to go on. One of an endpoint that is disabled or that there is
// not is refused, and so is one that makes no sense.
func TestManyAreSentAgainInParts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, _ := w.endpoint(t)
		w.sent(t, id, webhook.Delivered, 1003)
		w.Clock.Advance(time.Minute)
		var got []string
		after := ""
		for {
			out, err := w.Repeat(w.staff, webhook.RepeatRequest{ID: id, State: webhook.Delivered, After: after})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(out.Count))
			if after = out.Next; after == "" {
				break
			}
		}
		if text := strings.Join(got, " "); text != "1000 3" {
			t.Errorf("sent again: %s", text)
		}
		now, late := w.Clock.Now(), w.Clock.Now().Add(time.Hour)
		for why, r := range map[string]webhook.RepeatRequest{"pending": {ID: id, State: webhook.Pending}, "no time": {ID: id, Since: &late, Until: &now}} {
			if _, err := w.Repeat(w.staff, r); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", why, err)
			}
		}
		if _, err := w.Repeat(w.staff, webhook.RepeatRequest{ID: "wep_none"}); licensing.KindOf(err) != licensing.NotFound {
			t.Errorf("of nothing: %v", err)
		}
		if _, err := w.Disable(w.staff, webhook.StateRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Repeat(w.staff, webhook.RepeatRequest{ID: id}); licensing.KindOf(err) != licensing.Conflict {
			t.Errorf("of a disabled one: %v", err)
		}
		if out, err := w.RepeatAgain(w.staff, id, "1000 wdl_1"); err != nil || out.Count != 1000 || out.Next != "wdl_1" || out.Endpoint != id {
			t.Errorf("replayed: %+v, %v", out, err)
		}
		if _, err := w.RepeatAgain(w.staff, id, ""); licensing.KindOf(err) != licensing.Conflict {
			t.Errorf("replayed late: %v", err)
		}
	})
}
