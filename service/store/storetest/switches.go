package storetest

import (
	"context"
	"sync"

	"github.com/mintreu/mintreu/licensing"
)

// Switches is a set of kill switches that a test throws all at once. The zero value has everything on.
type Switches struct {
	mu  sync.Mutex
	off bool
}

var _ licensing.Switches = (*Switches)(nil)

// Set throws all switches.
func (s *Switches) Set(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = off
}

// Check implements [licensing.Switches].
func (s *Switches) Check(context.Context, licensing.Switch, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off {
		return licensing.Fail(licensing.Unavailable, "switched-off", "Switched off.")
	}
	return nil
}
