package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

const (
	relayEvery  = 500 * time.Millisecond
	relayWithin = 20 * time.Second
	maxChanges  = 200  // rows of the trail that are read at once
	maxRows     = 2000 // deliveries that are written at once
)

// Run relays twice a second until ctx ends. Failures are logged and tried again.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(relayEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		one, cancel := context.WithTimeout(licensing.AsSystem(ctx, "webhook.relay"), relayWithin)
		_, err := s.Relay(one)
		cancel()
		if err != nil && ctx.Err() == nil && !failing {
			s.Logger.ErrorContext(ctx, "events could not be made of the audit trail; trying again", "error", err)
		}
		failing = err != nil
	}
}

// Relay makes events of all changes that were numbered since last time, and returns how many. Any number of processes may do it: each
// batch is one transaction that moves the position, and whoever finds it moved leaves the batch to the other.
func (s *Service) Relay(ctx context.Context) (int, error) {
	types, made := catalogue(), 0
	for {
		at, size, err := s.Trail.Position(ctx)
		if err != nil || at >= size {
			return made, err
		}
		endpoints, err := s.Endpoints.LiveEndpoints(ctx)
		if err != nil {
			return made, err
		}
		if len(endpoints) == 0 {
			// Whoever is made or enabled after this hears of nothing from before.
			return made, s.Tx.InTx(ctx, func(ctx context.Context) error { _, err := s.Trail.Move(ctx, at, size); return err })
		}
		// What was numbered after size was read may be for an endpoint that was not there when they were read.
		limit := int(min(size-at, maxChanges, max(1, int64(maxRows/len(endpoints)))))
		changes, err := s.Trail.Changes(ctx, at, limit)
		if err != nil {
			return made, err
		}
		if len(changes) == 0 {
			return made, fmt.Errorf("the trail has %d rows and none from number %d", size, at)
		}
		n, err := s.relay(ctx, at, changes, types, endpoints)
		made += n
		if err != nil {
			return made, err
		}
	}
}

// relay makes the events of some changes, which begin at the position.
func (s *Service) relay(ctx context.Context, at int64, changes []Change, types map[string][]Type, endpoints []Endpoint) (int, error) {
	now := s.Clock.Now()
	var events []Event
	var deliveries []Delivery
	told := map[int]bool{}
	for i := range changes {
		made, err := s.events(&changes[i], types[changes[i].Action])
		if err != nil {
			return 0, fmt.Errorf("number %d: %w", changes[i].Num, err)
		}
		for j := range made {
			wanted := false
			for k := range endpoints {
				if endpoints[k].wants(&made[j]) {
					deliveries = append(deliveries, s.delivery(endpoints[k].ID, &made[j], now))
					told[k], wanted = true, true
				}
			}
			if wanted {
				events = append(events, made[j])
			}
		}
	}
	to := changes[len(changes)-1].Num + 1
	done := false
	err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		if done, err = s.Trail.Move(ctx, at, to); err != nil || !done || len(events) == 0 {
			return err
		}
		return s.Deliveries.AddEvents(ctx, events, deliveries)
	})
	if err != nil || !done {
		return 0, err
	}
	// The rows are what counts, so the nudges are outside: many in one transaction would hold up every other writer. Those that get lost
	// the sweep makes up for.
	for k := range endpoints {
		if told[k] {
			err = errors.Join(err, s.nudge(ctx, &endpoints[k], fmt.Sprint(to), time.Time{}))
		}
	}
	return len(events), err
}

func (s *Service) delivery(endpoint string, e *Event, now time.Time) Delivery {
	return Delivery{ID: s.IDs.New("wdl"), EndpointID: endpoint, EventID: e.ID, State: Pending, NextAt: now, CreatedAt: now, UpdatedAt: now, Type: e.Type, Body: e.Body, At: e.At}
}
