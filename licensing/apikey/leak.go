package apikey

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// OnLeak is what becomes of a key whose text was found in public.
type OnLeak string

// The policies: end the key, or let the found text alone end after [leakGrace], so that the owner takes a new one in time.
const (
	RevokeOnLeak OnLeak = "revoke"
	RotateOnLeak OnLeak = "rotate"
)

func (o OnLeak) valid() bool { return o == RevokeOnLeak || o == RotateOnLeak }

// leakGrace is how long a found text still works under [RotateOnLeak].
const leakGrace = 24 * time.Hour

// LeakRequest reports a key that was found where it does not belong.
type LeakRequest struct {
	Key string `json:"key" doc:"The key's text as it was found."`
}

// LeakResponse says what became of it. Whoever is neither staff nor a machine token learns nothing but that the report came in.
type LeakResponse struct {
	Accepted      bool       `json:"accepted" doc:"The report came in."`
	KeyID         string     `json:"key_id,omitempty" doc:"Id of the key, for staff and machine tokens."`
	Action        string     `json:"action,omitempty" doc:"What was done: the key was revoked, the text ends soon, or it was no good any more. For staff and machine tokens." enum:"revoked,ending,none"`
	EndsAt        *time.Time `json:"ends_at,omitempty" doc:"When the text ends."`
	WithinSeconds int        `json:"within_seconds,omitempty" doc:"The change is in force on every replica within this many seconds." example:"2"`
}

// errTold ends a transaction about a report of what was reported before.
var errTold = errors.New("apikey: the report is no news")

// Leak takes a found key and revokes or ends it by its policy, and has its owner told. Holding the text is all it takes: who has it could
// do worse. A text that is unknown, or no good any more, is answered alike. The first report of a key is kept in the audit trail, and each that
// ends something; others, which anybody may send as often as he likes, leave nothing behind.
func (s *Service) Leak(ctx context.Context, r LeakRequest) (LeakResponse, error) {
	var from netip.Addr
	if s.From != nil {
		from, _ = netip.ParseAddr(s.From(ctx))
	}
	rec, err := s.find(ctx, r.Key, from)
	if errors.Is(err, licensing.ErrNotFound) {
		return LeakResponse{Accepted: true}, nil
	}
	if err != nil {
		return LeakResponse{}, err
	}
	now, k := s.Clock.Now(), &rec.Key
	out := LeakResponse{Accepted: true, KeyID: k.ID, Action: "none", WithinSeconds: inForce}
	if rec.told(now) {
		return out.told(ctx, k), nil
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		out.Action, out.EndsAt = "none", nil
		held, err := s.Changer.HoldKey(ctx, k.ID, Reach{})
		if err != nil {
			return err
		}
		state := held.State(now)
		ended := state == Revoked || state == Expired || !rec.Secret.ExpiresAt.IsZero() && !now.Before(rec.Secret.ExpiresAt)
		var changed bool
		switch {
		case ended:
		case k.OnLeak == RotateOnLeak:
			until := now.Add(leakGrace)
			if changed, err = s.Changer.EndSecret(ctx, k.ID, rec.Secret.ID, until); changed {
				out.Action, out.EndsAt = "ending", &until
			}
		default:
			if changed, err = s.Store.RevokeKey(ctx, k.ID, Reach{}, now); changed {
				out.Action, out.EndsAt = "revoked", &now
			}
		}
		if err != nil {
			return err
		}
		if !changed && !held.LeakedAt.IsZero() {
			return errTold
		}
		if err := s.Changer.MarkLeaked(ctx, k.ID, now); err != nil {
			return err
		}
		if changed && s.Leaked != nil {
			if err := s.Leaked(ctx, *k, *out.EndsAt); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "key.leak", Target: k.ID, Product: k.ProductID, Detail: map[string]any{"action": out.Action, "hint": rec.Secret.Hint}})
	})
	if err != nil && !errors.Is(err, errTold) {
		return LeakResponse{}, err
	}
	s.Invalidate(k.ID)
	return out.told(ctx, k), nil
}

// told reports whether the record, as it is remembered, shows that a report of its text changes nothing and is not the first: then the database is
// not asked.
func (r *Record) told(now time.Time) bool {
	state, ends := r.Key.State(now), r.Secret.ExpiresAt
	if r.Key.OnLeak == RotateOnLeak {
		now = now.Add(leakGrace) // it ends as soon as it would by this report
	}
	return !r.Key.LeakedAt.IsZero() && (state == Revoked || state == Expired || !ends.IsZero() && !now.Before(ends))
}

// told is the answer as its caller may see it.
func (r LeakResponse) told(ctx context.Context, k *Key) LeakResponse {
	switch a := licensing.ActorFrom(ctx); a.Kind {
	case licensing.Staff, licensing.CLI:
		return r
	case licensing.Machine:
		if (a.Product == "" || a.Product == k.ProductID) && (a.Env == "" || a.Env == k.Env) {
			return r
		}
	}
	return LeakResponse{Accepted: true}
}

// LeakAgain answers a replay of Leak.
func (s *Service) LeakAgain(context.Context, string, string) (LeakResponse, error) {
	return LeakResponse{Accepted: true}, nil
}
