package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/store"
)

// Verify checks every invariant on the database of a configuration, beside a service that runs or without one, and returns what is
// wrong. It opens the database read-only and changes nothing.
func Verify(ctx context.Context, c Config, anchors ...string) ([]store.Violation, error) {
	c.setDefaults()
	s, err := openStorage(ctx, c, slog.New(slog.DiscardHandler), reading)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.db.Close() }()
	return violations(ctx, s, c.Clock.Now(), anchors...)
}

// Verify checks every invariant on the running process's database.
func (a *App) Verify(ctx context.Context) ([]store.Violation, error) {
	return violations(ctx, a.storage, a.config.Clock.Now())
}

func violations(ctx context.Context, s *storage, now time.Time, anchors ...string) ([]store.Violation, error) {
	var all []store.Violation
	for _, check := range []func(context.Context, time.Time) ([]store.Violation, error){s.store.OrderViolations, s.store.LicenseViolations} {
		found, err := check(ctx, now)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	log, err := audit.NewSequencer(ctx, audit.SequencerDeps{Tx: s.store, Log: s.store.Audit(), Settings: kept{s.store}, Seal: s.key, Clock: time.Now})
	if err != nil {
		return nil, err
	}
	report, err := audit.Verify(ctx, s.store.Audit(), log.VerifierKey(), anchors...)
	if err != nil {
		return nil, err
	}
	for _, f := range report.Faults {
		all = append(all, store.Violation{Invariant: "INV8", Object: fmt.Sprintf("audit row %d %s", f.Num, f.Row), Text: f.What})
	}
	return all, nil
}

// kept reads settings where nothing may be written.
type kept struct{ store *store.Store }

func (k kept) Setting(ctx context.Context, name string) ([]byte, error) {
	return k.store.Setting(ctx, name)
}

func (k kept) KeepSetting(ctx context.Context, name string, _ []byte) ([]byte, error) {
	return k.store.Setting(ctx, name)
}
