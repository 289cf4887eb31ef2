package activation

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
)

// Throttle slows repeated attempts down: it counts one under key, at most count at once and count in each period, and returns how long
// to wait when that is too many.
type Throttle interface {
	Allow(ctx context.Context, key string, count int64, period time.Duration) (time.Duration, error)
}

// Alarm tells people that a license is being tried with one device after another: Tell in the transaction of the audit row, Raised once
// that has committed.
type Alarm interface {
	Tell(ctx context.Context, l *license.License) error
	Raised(ctx context.Context, l *license.License)
}

// ErrPace refuses one more new device of a license that many asked for lately.
var ErrPace = licensing.Fail(licensing.TooMany, sdk.CodeTooMany, "Too many new devices ask for a seat of this license. Try again later.")

const (
	// paceLeast and paceMost bound how many devices without a seat may ask for one in an hour; between them it is four times the seats,
	// so that a team can move to new machines in a morning.
	paceLeast, paceMost = 60, 1000
	alarmEvery          = time.Hour
)

// pace counts an attempt of a device that holds no seat, and refuses it when there were too many of them lately. Devices that hold a
// seat are never slowed down. The first refusal in an hour is kept in the audit trail and told to people.
func (s *Service) pace(ctx context.Context, l *license.License) error {
	if s.Throttle == nil {
		return nil
	}
	perHour := int64(paceMost)
	if l.SeatsMax >= 0 {
		perHour = max(paceLeast, min(paceMost, 4*l.SeatsMax))
	}
	wait, err := s.Throttle.Allow(ctx, "activation:new:"+l.ID, perHour, time.Hour)
	if err != nil || wait <= 0 {
		return err
	}
	if err := s.alarm(ctx, l, perHour); err != nil {
		return err
	}
	return ErrPace.After(wait)
}

// alarm tells of a license that is being stuffed, once in an hour.
func (s *Service) alarm(ctx context.Context, l *license.License, perHour int64) error {
	told, err := s.Throttle.Allow(ctx, "activation:alarm:"+l.ID, 1, alarmEvery)
	if err != nil || told > 0 {
		return err
	}
	err = s.Tx.InTx(licensing.AsSystem(ctx, "activation.alarm"), func(ctx context.Context) error {
		if s.Alarm != nil {
			if err := s.Alarm.Tell(ctx, l); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "license.stuffing", Target: l.ID, Product: l.ProductID,
			Detail: map[string]any{"new_devices_per_hour": perHour, "seats": l.Seats}})
	})
	if err == nil && s.Alarm != nil {
		s.Alarm.Raised(ctx, l)
	}
	return err
}
