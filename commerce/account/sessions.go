package account

import (
	"bytes"
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// SignOutRequest ends the session it is sent with.
type SignOutRequest struct{}

// SignOutResponse says that the session is over.
type SignOutResponse struct{}

// SignOut ends the caller's own session: its bearer texts and its renewal.
func (s *Service) SignOut(ctx context.Context, _ SignOutRequest) (SignOutResponse, error) {
	a, err := person(ctx)
	if err != nil {
		return SignOutResponse{}, err
	}
	return SignOutResponse{}, s.endSession(ctx, a.Session, a.ID)
}

// EndSessionRequest names a session of the caller.
type EndSessionRequest struct {
	ID string `path:"id" doc:"Id of the session."`
}

// EndSession ends another session of the same person.
func (s *Service) EndSession(ctx context.Context, r EndSessionRequest) (SignOutResponse, error) {
	a, err := person(ctx)
	if err != nil {
		return SignOutResponse{}, err
	}
	return SignOutResponse{}, s.endSession(ctx, r.ID, a.ID)
}

func (s *Service) endSession(ctx context.Context, id, personID string) error {
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		found, err := s.Sessions.EndSession(ctx, id, personID, s.Clock.Now())
		if err != nil {
			return err
		}
		if !found {
			return licensing.ErrNotFound
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "session.end", Target: id})
	})
	if err == nil {
		s.Invalidate(id)
	}
	return err
}

// EndOthersRequest ends every session of the caller but this one.
type EndOthersRequest struct {
	Confirm string `json:"confirm" doc:"The word others, so that nothing ends by mistake." enum:"others"`
}

// EndOthersResponse says that only this session goes on.
type EndOthersResponse struct {
	ID string `json:"id" doc:"Id of the person."`
}

// EndOthers ends every session of the caller but the one it is sent with.
func (s *Service) EndOthers(ctx context.Context, r EndOthersRequest) (EndOthersResponse, error) {
	if r.Confirm != "others" {
		return EndOthersResponse{}, licensing.Fail(licensing.Invalid, "invalid", "Nothing was ended.").With("/confirm", "must be others")
	}
	a, err := person(ctx)
	if err != nil {
		return EndOthersResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Sessions.EndSessions(ctx, a.ID, a.Session, s.Clock.Now()); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "session.end-others", Target: a.ID})
	})
	if err != nil {
		return EndOthersResponse{}, err
	}
	s.Invalidate(a.ID)
	return EndOthersResponse{ID: a.ID}, nil
}

// EndOthersAgain answers a replay of EndOthers.
func (s *Service) EndOthersAgain(_ context.Context, id, _ string) (EndOthersResponse, error) {
	return EndOthersResponse{ID: id}, nil
}

// FreshenRequest proves again who holds the session.
type FreshenRequest struct {
	Password string `json:"password" doc:"The password of the account."`
	Code     string `json:"code,omitempty" doc:"A one-time code or recovery code, where signing in asks for one."`
}

// FreshenResponse tells until when sensitive acts are open.
type FreshenResponse struct {
	ID         string    `json:"id" doc:"Id of the session."`
	FreshUntil time.Time `json:"fresh_until" doc:"Until when sensitive acts are open with this bearer text."`
}

// Freshen opens sensitive acts to the bearer text it is sent with for ten minutes. Wrong passwords are slowed down like those of a
// sign-in.
func (s *Service) Freshen(ctx context.Context, r FreshenRequest) (FreshenResponse, error) {
	a, err := person(ctx)
	if err != nil {
		return FreshenResponse{}, err
	}
	p, err := s.prove(ctx, a.ID, r.Password)
	if err != nil {
		return FreshenResponse{}, err
	}
	if !p.TOTPAt.IsZero() {
		if err := s.slowCode(ctx, a.ID); err != nil {
			return FreshenResponse{}, err
		}
	}
	now := s.Clock.Now()
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if _, err := s.People.HoldPerson(ctx, a.ID); err != nil { // before what is the person's
			return err
		}
		if !p.TOTPAt.IsZero() {
			if err := s.useCode(ctx, a.ID, r.Code, now); err != nil {
				return err
			}
		}
		if err := s.Sessions.Freshen(ctx, Pass{ID: a.Pass, SessionID: a.Session, FreshAt: now}); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "session.freshen", Target: a.Session})
	})
	if err != nil {
		return FreshenResponse{}, err
	}
	s.Invalidate(a.Session)
	return FreshenResponse{ID: a.Session, FreshUntil: now.Add(freshFor)}, nil
}

// FreshenAgain answers a replay of Freshen. The instant is that of the bearer text it is sent with.
func (s *Service) FreshenAgain(ctx context.Context, id, _ string) (FreshenResponse, error) {
	at, err := s.Sessions.FreshAt(ctx, licensing.ActorFrom(ctx).Pass)
	return FreshenResponse{ID: id, FreshUntil: at.Add(freshFor)}, err
}

// prove compares a person's password, with the slow-downs of a sign-in: [ErrPassword] when it is another.
func (s *Service) prove(ctx context.Context, personID, password string) (Person, error) {
	p, err := s.People.PersonByID(ctx, personID)
	if err != nil {
		return Person{}, err
	}
	if len(password) > maxPassword {
		return Person{}, ErrPassword
	}
	if err := s.slowSource(ctx, "sign-in", 30, time.Minute); err != nil {
		return Person{}, err
	}
	if err := s.allow(ctx, "account:sign-in:both:"+p.Email+" "+s.place(ctx), 5, time.Minute); err != nil {
		return Person{}, err
	}
	if err := s.slowAddress(ctx, p.Email, p.ID); err != nil {
		return Person{}, err
	}
	match, err := s.hasher.compare(ctx, password, p.Password)
	if err != nil {
		return Person{}, err
	}
	if !match {
		return Person{}, ErrPassword
	}
	return p, nil
}

// SessionView is a session as its person sees it.
type SessionView struct {
	ID         string    `json:"id" doc:"Id of the session."`
	SignedInAt time.Time `json:"signed_in_at" doc:"When the password was entered."`
	LastSeenAt time.Time `json:"last_seen_at" doc:"When it was renewed last, which happens about hourly while it is used."`
	ExpiresAt  time.Time `json:"expires_at" doc:"When the session ends unless it is used before."`
	EndsAt     time.Time `json:"ends_at" doc:"When the session ends in any case."`
	Remembered bool      `json:"remembered" doc:"Whether it was meant to outlive the day."`
	Browser    string    `json:"browser,omitempty" doc:"What was signed in with, as far as it says." example:"Firefox on Linux"`
	SamePlace  bool      `json:"same_place" doc:"Whether it began at the network address of this request."`
	Current    bool      `json:"current" doc:"Whether it is the session of this request."`
}

// ListSessionsRequest asks for the caller's live sessions.
type ListSessionsRequest struct{}

// ListSessions returns the caller's live sessions, newest first, on one page.
func (s *Service) ListSessions(ctx context.Context, _ ListSessionsRequest) (licensing.List[SessionView], error) {
	a, err := person(ctx)
	if err != nil {
		return licensing.List[SessionView]{}, err
	}
	sessions, err := s.Sessions.ListSessions(ctx, a.ID, s.Clock.Now())
	if err != nil {
		return licensing.List[SessionView]{}, err
	}
	here := source(a.ID, s.place(ctx))
	out := licensing.List[SessionView]{Items: []SessionView{}}
	for i := range sessions {
		v := &sessions[i]
		out.Items = append(out.Items, SessionView{
			ID: v.ID, SignedInAt: v.SignedInAt, LastSeenAt: v.SeenAt, ExpiresAt: v.IdleAt, EndsAt: v.EndsAt, Remembered: v.Remembered, Browser: v.Browser,
			SamePlace: len(here) > 0 && bytes.Equal(here, v.Source), Current: v.ID == a.Session,
		})
	}
	return out, nil
}

// MeRequest asks who the caller is.
type MeRequest struct{}

// MeResponse is who the caller is.
type MeResponse struct {
	Kind             licensing.ActorKind `json:"kind" doc:"Kind of the caller." enum:"customer,staff,machine"`
	ID               string              `json:"id" doc:"Id of the person or machine token."`
	Email            string              `json:"email,omitempty" doc:"E-mail address of a person."`
	Name             string              `json:"name,omitempty" doc:"Name of a person."`
	Role             licensing.Role      `json:"role,omitempty" doc:"Staff role of a person."`
	Scopes           []string            `json:"scopes,omitempty" doc:"Scopes of a machine token."`
	Fresh            bool                `json:"fresh" doc:"Whether a person entered the password within the last ten minutes, as sensitive acts require."`
	By               string              `json:"impersonated_by,omitempty" doc:"Id of the person of the staff who looks at this account; the session changes nothing and shows no secret."`
	TOTP             bool                `json:"totp,omitempty" doc:"Whether signing in asks for a one-time code."`
	Enrol            bool                `json:"totp_required,omitempty" doc:"Whether one-time codes must be turned on before anything else."`
	Organisation     string              `json:"organisation,omitempty" doc:"Id of the organisation that the session acts for; absent when the person acts for himself."`
	OrganisationRole licensing.OrgRole   `json:"organisation_role,omitempty" doc:"The person's role in it." enum:"owner,admin,member"`
}

// Me tells who the caller is.
func (s *Service) Me(ctx context.Context, _ MeRequest) (MeResponse, error) {
	a := licensing.ActorFrom(ctx)
	out := MeResponse{Kind: a.Kind, ID: a.ID, Role: a.Role, Scopes: a.Scopes, Fresh: a.Fresh, By: a.By, Organisation: a.Org, OrganisationRole: a.OrgRole}
	if a.Kind == licensing.Customer || a.Kind == licensing.Staff {
		p, err := s.People.PersonByID(ctx, a.ID)
		if err != nil {
			return MeResponse{}, err
		}
		out.Email, out.Name, out.TOTP, out.Enrol = p.Email, p.Name, !p.TOTPAt.IsZero(), a.Unenrolled
	}
	return out, nil
}
