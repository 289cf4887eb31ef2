package payment

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// firstSweep is how far back the first walk looks.
	firstSweep = 72 * time.Hour
	// overlap is how far each walk goes back behind the last, because events become visible out of order.
	overlap = 10 * time.Minute
	// portion is how many events or rows one step takes.
	portion = 500
	// grace is how long a due row is left to its job.
	grace = 5 * time.Second
)

// Swept is what a sweep did.
type Swept struct {
	Found     int // events that were never delivered
	Processed int // rows whose job was late or lost
}

// Sweep finds what never came and what was left lying: it walks the provider's list of events from a durable cursor, storing
// those that no delivery brought, and processes pending rows whose job was lost. Any number of replicas may sweep at once.
// When the provider is away the rows are processed nevertheless.
func (s *Service) Sweep(ctx context.Context) (Swept, error) {
	var out Swept
	found, err := s.walk(ctx)
	out.Found = found
	ids, dueErr := s.Store.DueEvents(ctx, s.Clock.Now().Add(-grace), portion)
	err = errors.Join(err, dueErr)
	for _, id := range ids {
		if ctx.Err() != nil {
			return out, errors.Join(err, ctx.Err())
		}
		if one := s.Process(ctx, id); one != nil {
			err = errors.Join(err, one)
			continue
		}
		out.Processed++
	}
	return out, err
}

// walk takes every event since the cursor that is not in the inbox and returns how many there were.
func (s *Service) walk(ctx context.Context) (int, error) {
	start := s.Clock.Now()
	from, err := s.Store.Cursor(ctx)
	if err != nil {
		return 0, fmt.Errorf("payment: cursor: %w", err)
	}
	if from.IsZero() {
		from = start.Add(-firstSweep)
	}
	from = from.Add(-overlap)
	found, limit := 0, portion
	for {
		events, err := s.Gateway.Events(ctx, from, limit)
		if err != nil {
			return found, fmt.Errorf("payment: list events: %w", err)
		}
		for _, e := range events {
			added, err := s.take(ctx, e, "sweep")
			if err != nil {
				return found, err
			}
			if added {
				found++
			}
		}
		if len(events) < limit {
			// Whatever is created from now on is newer than start; what was listed is stored.
			return found, s.Store.MoveCursor(ctx, start)
		}
		last := events[len(events)-1].Created
		if last.Equal(from) || last.Before(from) {
			limit *= 2 // more than a portion within one second
			continue
		}
		from, limit = last, portion
		if err := s.Store.MoveCursor(ctx, last); err != nil {
			return found, err
		}
	}
}
