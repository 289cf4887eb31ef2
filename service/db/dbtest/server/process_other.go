//go:build !unix

package server

import (
	"context"
	"fmt"
	"os"
)

func watch(string, string, []string) (func() error, error) {
	return nil, fmt.Errorf("private servers on this system: %w", ErrMissing)
}

func directory(prefix string) (string, error) { return os.MkdirTemp("", prefix) }

func giveAway(string) error { return nil }

func run(context.Context, string, ...string) error {
	return fmt.Errorf("private servers on this system: %w", ErrMissing)
}
