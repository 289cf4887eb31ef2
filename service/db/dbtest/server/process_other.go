//go:build !unix

package server

import (
	"context"
	"fmt"
	"os"
)

var errHere = fmt.Errorf("private servers on this system: %w", ErrMissing)

type watched struct{ stop func() error }

func (w *watched) restart() error { return errHere }

func watch(string, string, []string) (*watched, error) { return nil, errHere }

func kill(int) error { return errHere }

func directory(prefix string) (string, error) { return os.MkdirTemp("", prefix) }

func giveAway(string) error { return nil }

func run(context.Context, string, ...string) error {
	return errHere
}
