package account

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// tabs is how long after a renewal the one before it still gets a pass, as when two tabs of a browser renew at once.
const tabs = 30 * time.Second

// RenewRequest trades a renewal.
type RenewRequest struct {
	Renewal string `json:"renewal" doc:"The renewal that came with the session, or with its last renewing."`
}

// Renew trades a renewal for a new bearer text and the next renewal. The session does not become fresh by it. A renewal works once:
// a second use means that two hold it, one of them a thief, so the session ends and its person is told by mail. Only the one just
// spent still gets a bearer text, and no renewal, for half a minute. Every other reason for a refusal is [ErrRenewal].
func (s *Service) Renew(ctx context.Context, r RenewRequest) (SignInResponse, error) {
	if !strings.HasPrefix(r.Renewal, renewalPrefix) || len(r.Renewal) != passLen {
		return SignInResponse{}, ErrRenewal
	}
	if err := s.slowSource(ctx, "renew", 120, time.Minute); err != nil {
		return SignInResponse{}, err
	}
	t, err := s.newTexts()
	if err != nil {
		return SignInResponse{}, err
	}
	digest := credential.Sum(r.Renewal)
	var out SignInResponse
	var ended string
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		out, ended = SignInResponse{}, ""
		old, in, err := s.Renewals.HoldRenewal(ctx, digest.Head())
		if errors.Is(err, licensing.ErrNotFound) {
			return ErrRenewal.Because(err)
		}
		if err != nil {
			return err
		}
		now := s.Clock.Now()
		if reason := in.unrenewable(digest, old, now); reason != "" {
			return ErrRenewal.Because(errors.New(in.Session.ID + ": " + reason))
		}
		switch {
		case old.SpentAt.IsZero():
			out, err = s.renew(ctx, old, &in, t, now)
		case old.Turn == in.Session.Turn-1 && now.Sub(old.SpentAt) < tabs:
			out, err = s.renewBeside(ctx, &in, t, now)
		default:
			ended, err = in.Session.ID, s.endReplayed(ctx, &in, now)
		}
		return err
	})
	if err == nil && ended != "" {
		s.Invalidate(ended)
		err = ErrRenewal.Because(errors.New(ended + ": a spent renewal came again"))
	}
	if err != nil {
		return SignInResponse{}, err
	}
	return out, nil
}

// unrenewable is why a renewal gets nothing whether it was used before or not; "" when it might.
func (in *SignedIn) unrenewable(digest credential.Digest, r Renewal, now time.Time) string {
	switch {
	case !digest.Equal(r.Digest[:]):
		return "digest differs"
	case !in.Session.RevokedAt.IsZero():
		return "was ended"
	case !now.Before(in.Session.IdleAt):
		return "is over"
	case !in.Person.DisabledAt.IsZero():
		return "its person is disabled"
	}
	return ""
}

func (s *Service) renew(ctx context.Context, old Renewal, in *SignedIn, t texts, now time.Time) (SignInResponse, error) {
	in.Session.Turn++
	s.prolong(&in.Session, &in.Person, &t, now)
	old.SpentAt = now
	if err := s.Renewals.Spend(ctx, old, in.Session); err != nil {
		return SignInResponse{}, err
	}
	if err := s.addTexts(ctx, &t); err != nil {
		return SignInResponse{}, err
	}
	return signInResponse(&in.Session, &in.Person, &t), s.Audit.Record(ctx, licensing.Event{Action: "session.renew", Target: in.Session.ID, Detail: map[string]any{"turn": in.Session.Turn}})
}

// renewBeside gives a second tab a pass of its own and leaves the renewal to the first.
func (s *Service) renewBeside(ctx context.Context, in *SignedIn, t texts, now time.Time) (SignInResponse, error) {
	p := t.newPass
	p.SessionID, p.ExpiresAt = in.Session.ID, earlier(now.Add(s.PassTTL), in.Session.EndsAt)
	if err := s.Sessions.AddPass(ctx, p); err != nil {
		return SignInResponse{}, err
	}
	licensing.KeepOnce(ctx, t.pass)
	return SignInResponse{ID: in.Session.ID, Token: t.pass, ExpiresAt: p.ExpiresAt, Role: in.Person.Role},
		s.Audit.Record(ctx, licensing.Event{Action: "session.renew", Target: in.Session.ID, Detail: map[string]any{"turn": in.Session.Turn, "beside": true}})
}

// endReplayed ends the session of a renewal that came a second time.
func (s *Service) endReplayed(ctx context.Context, in *SignedIn, now time.Time) error {
	if _, err := s.Sessions.EndSession(ctx, in.Session.ID, in.Person.ID, now); err != nil {
		return err
	}
	note := "Somebody used a copy of a sign-in that was used already, so that sign-in was ended on every device that held it. Sign in again; change your password if you do not know how this came about."
	if err := s.Notices.Security(ctx, in.Person, note, now); err != nil {
		return err
	}
	return s.Audit.Record(ctx, licensing.Event{Action: "session.replayed", Target: in.Session.ID, Detail: map[string]any{"person": in.Person.ID}})
}

// RenewAgain answers a replay of Renew while the texts are kept.
func (s *Service) RenewAgain(ctx context.Context, id, secret string) (SignInResponse, error) {
	if secret == "" {
		return SignInResponse{}, ErrRenewal
	}
	return s.SignInAgain(ctx, id, secret)
}
