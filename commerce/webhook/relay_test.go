package webhook_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// The only endpoint of a shop, disabled and enabled again, is told of nothing that happened in between, and of everything after that.
func TestTheOnlyEndpointHearsNothingOfMeanwhile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		id, _ := w.endpoint(t)
		if _, err := w.Disable(w.staff, webhook.StateRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		w.happens(t, "license.issue", "lic_meanwhile", nil)
		if n := w.relayed(t); n != 0 {
			t.Errorf("%d events for nobody", n)
		}
		w.Clock.Advance(time.Minute)
		if _, err := w.Enable(w.staff, webhook.StateRequest{ID: id}); err != nil {
			t.Fatal(err)
		}
		w.happens(t, "license.issue", "lic_after", nil)
		w.relayed(t)
		if got := w.work(t); len(got) != 1 || !strings.Contains(got[0].body, "lic_after") {
			t.Errorf("enabled again it got %+v", got)
		}
	})
}

// late is a trail in which something happens just before changes are read for the first time.
type late struct {
	webhook.Trail
	before func()
}

func (l *late) Changes(ctx context.Context, from int64, limit int) ([]webhook.Change, error) {
	if f := l.before; f != nil {
		l.before = nil
		f()
	}
	return l.Trail.Changes(ctx, from, limit)
}

// An endpoint that is made while events are made is told of what happens after it was, however the two meet.
func TestAnEndpointMadeMeanwhileIsTold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.endpoint(t)
		w.happens(t, "license.issue", "lic_before", nil)
		made := ""
		w.Trail = &late{w.Trail, func() {
			w.Clock.Advance(time.Second)
			made, _ = w.endpoint(t)
			w.happens(t, "license.issue", "lic_after", nil)
			if _, err := w.sequencer.Sequence(t.Context()); err != nil {
				t.Fatal(err)
			}
		}}
		w.relayed(t)
		var told int
		for _, d := range w.deliveries(t, "") {
			if d.Endpoint == made {
				told++
			}
		}
		if all := len(w.deliveries(t, "")); told != 1 || all != 3 {
			t.Errorf("the new endpoint is told of %d, all of %d", told, all)
		}
	})
}
