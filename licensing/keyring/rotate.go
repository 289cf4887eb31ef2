package keyring

import (
	"context"

	"github.com/mintreu/mintreu/licensing"
)

// Rotated is the answer of [Service.Rotate].
type Rotated struct {
	Active  string `json:"active" doc:"The key that signs from now on."`
	Retired string `json:"retired" doc:"The key that signed until now; it goes on verifying."`
	Keyset  int64  `json:"keyset" doc:"Number of the keyset now in force; unchanged while the root is offline."`
}

// RotateRequest asks for planned rotation.
type RotateRequest struct {
	Reason string `json:"reason" doc:"Why, for the audit trail."`
}

// Validate demands a reason.
func (r RotateRequest) Validate() error { return demand(r.Reason) }

// demand refuses an operation without a reason.
func demand(reason string) error {
	if reason == "" || len(reason) > 500 {
		return licensing.Fail(licensing.Invalid, "reason", "Say why, in at most 500 bytes.").With("/reason", "required")
	}
	return nil
}

// Rotate makes the next standby key the active one and deletes the old one's private part. With the root online it also adds a
// standby key and publishes the keyset that names it, without the oldest key when it would name too many.
func (s *Service) Rotate(ctx context.Context, r RotateRequest) (Rotated, error) {
	p, err := s.plan(ctx, wish{rotate: true})
	if err != nil {
		return Rotated{}, err
	}
	if p.root == nil || p.root.Sealed == nil {
		p.Added, p.Drop, p.claims = nil, nil, nil
	}
	if err := s.signed(p); err != nil {
		return Rotated{}, err
	}
	out := Rotated{Active: p.Activate, Retired: p.Retire, Keyset: p.num()}
	return out, s.apply(ctx, p.Change, licensing.Event{Action: "keyring.rotate", Target: p.Activate, Reason: r.Reason,
		Detail: p.told(map[string]any{"retired": p.Retire, "keyset": out.Keyset})}, func(ctx context.Context) error { return s.renew(ctx, p) })
}

// RotateAgain answers a replay of a rotation: kid is the key it activated.
func (s *Service) RotateAgain(ctx context.Context, kid, _ string) (Rotated, error) {
	r, err := s.fetch(ctx)
	if err != nil {
		return Rotated{}, err
	}
	out := Rotated{Active: kid, Keyset: r.set.Num}
	for i, k := range r.keys {
		if k.KID == kid && i > 0 {
			out.Retired = r.keys[i-1].KID
			return out, nil
		}
	}
	return Rotated{}, licensing.ErrNotFound
}
