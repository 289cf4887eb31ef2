package payment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// patience is how long an event may stay pending before it is parked; the provider itself retries for as long.
const patience = 72 * time.Hour

// Process applies one event. Its effect and its mark "done" commit together, so however many workers process it at once or
// again, it takes effect once. Everything that may happen to an event ends in its row; the error means that not even that
// could be written.
func (s *Service) Process(ctx context.Context, id string) error {
	row, err := s.Store.EventRow(ctx, id)
	if err != nil {
		return fmt.Errorf("payment: event %s: %w", id, err)
	}
	if row.State != Pending || row.NextTry.After(s.Clock.Now()) {
		return nil
	}
	if row.APIVersion != s.APIVersion {
		return s.park(ctx, row, "api-version")
	}
	applier := s.appliers[row.ObjectKind]
	if applier == nil {
		return s.settle(ctx, row, Ignored, "", nil)
	}
	commit, err := apply(ctx, applier, row.Event)
	if err == nil {
		err = s.settle(ctx, row, Done, "", commit)
	}
	var p *parked
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrIgnored):
		return s.settle(ctx, row, Ignored, "", nil)
	case errors.As(err, &p):
		return s.park(ctx, row, p.reason)
	case s.Clock.Now().Sub(row.ReceivedAt) >= patience:
		return s.park(ctx, row, giveUp(err))
	}
	return s.later(ctx, row, err)
}

// giveUp is why an event is parked that could not be applied for so long.
func giveUp(err error) string {
	if errors.Is(err, ErrPending) {
		return "unknown-object"
	}
	return "failing: " + short(err)
}

// apply calls the applier; what panics is tried again like what fails, and stops nobody else.
func apply(ctx context.Context, a Applier, e Event) (commit func(context.Context) error, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("payment: applying %s panicked: %v", e.ID, p)
		}
	}()
	return a.Apply(ctx, e)
}

// settle moves the row out of pending and commits the effect in the same transaction. Whoever comes second does nothing.
func (s *Service) settle(ctx context.Context, row Row, to State, reason string, commit func(context.Context) error) error {
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		won, err := s.Store.Settle(ctx, row.ID, Pending, to, reason, s.Clock.Now())
		if err != nil || !won || commit == nil {
			return err
		}
		return commit(ctx)
	})
}

// park hands the event to a person: recorded, audited, alerted, never applied.
func (s *Service) park(ctx context.Context, row Row, reason string) error {
	won := false
	err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		if won, err = s.Store.Settle(ctx, row.ID, Pending, Parked, reason, s.Clock.Now()); err != nil || !won {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "payment_event.park", Target: row.ID, Reason: reason, Detail: map[string]any{
			"type": row.Type, "object": row.Object, "order": row.Order, "api_version": row.APIVersion,
		}})
	})
	if err == nil && won {
		s.Alert(ctx, "payment-event-parked", fmt.Sprintf("%s %s of %s: %s", row.Type, row.ID, row.Object, reason))
	}
	return err
}

// later keeps the event and tries again, at growing intervals of two seconds to fifteen minutes.
func (s *Service) later(ctx context.Context, row Row, cause error) error {
	pause := min(2*time.Second<<min(row.Attempts, 10), 15*time.Minute)
	next := s.Clock.Now().Add(pause)
	if err := s.Store.Defer(ctx, row.ID, short(cause), next); err != nil {
		return fmt.Errorf("payment: defer event %s: %w", row.ID, err)
	}
	s.nudge(ctx, row.ID, row.Attempts+1, next)
	return nil
}

// short is an error's text, cut to what a table should hold.
func short(err error) string {
	text := err.Error()
	if len(text) > 300 {
		text = text[:300]
	}
	return text
}

// ProcessJob is [Service.Process] as a job's handler.
func (s *Service) ProcessJob(ctx context.Context, args json.RawMessage) error {
	var a ProcessArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return fmt.Errorf("payment: job arguments: %w", err)
	}
	return s.Process(ctx, a.Event)
}

// SweepJob is [Service.Sweep] as a periodic job.
func (s *Service) SweepJob(ctx context.Context) error {
	_, err := s.Sweep(ctx)
	return err
}
