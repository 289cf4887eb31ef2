package app

import (
	"context"
	"log/slog"

	"github.com/mintreu/mintreu/licensing/keyring"
)

// Trust returns what an installation's documents verify against: its root public keys and its newest keyset+jwt. It opens the
// database read-only, beside a service that runs or without one, and needs no master key.
func Trust(ctx context.Context, c Config) (roots []string, keyset string, err error) {
	c.setDefaults()
	s, err := openStorage(ctx, c, slog.New(slog.DiscardHandler), looking)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = s.db.Close() }()
	keys, err := s.store.Keyring().Keys(ctx)
	if err != nil {
		return nil, "", err
	}
	set, err := s.store.Keyring().LatestKeyset(ctx)
	return keyring.Pins(keys), set.Text, err
}
