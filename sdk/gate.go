package sdk

import "context"

// gate is a lock that is waited for no longer than a context says.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

// Lock waits however long it takes.
func (g gate) Lock() { g <- struct{}{} }

// Unlock gives the lock back.
func (g gate) Unlock() { <-g }

// enter takes the lock if it is free, and else waits for it until ctx ends, whose error it then returns.
func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	default:
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
