package account

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// sessionPrefix starts the text of a session.
const sessionPrefix = "mts_"

// sessionLen is the length of that text.
const sessionLen = len(sessionPrefix) + 43

// SignInRequest is an e-mail address and a password.
type SignInRequest struct {
	Email    string `json:"email" doc:"E-mail address of the account." example:"ada@example.com"`
	Password string `json:"password" doc:"Its password."`
}

// SignInResponse is a session.
type SignInResponse struct {
	ID        string         `json:"id" doc:"Id of the session."`
	Token     string         `json:"token" doc:"The bearer text of the session. It is shown only now." secret:"once"`
	ExpiresAt time.Time      `json:"expires_at" doc:"When the session ends, at most an hour from now."`
	Role      licensing.Role `json:"role,omitempty" doc:"Staff role of the person; absent for customers."`
}

// SignIn starts a session. An unknown address, an account without a password, a disabled one and a wrong password cost the same
// work and answer the same. Failures slow the address and the source down; a slow-down ends by itself.
func (s *Service) SignIn(ctx context.Context, r SignInRequest) (SignInResponse, error) {
	email, err := NormalEmail(r.Email)
	if err != nil || len(r.Password) > maxPassword {
		return SignInResponse{}, ErrSignIn
	}
	if err := s.slowSource(ctx, "sign-in", 30, time.Minute); err != nil {
		return SignInResponse{}, err
	}
	if err := s.allow(ctx, "account:sign-in:both:"+email+" "+s.place(ctx), 5, time.Minute); err != nil {
		return SignInResponse{}, err
	}
	p, err := s.People.PersonByEmail(ctx, email)
	if err != nil && !errors.Is(err, licensing.ErrNotFound) {
		return SignInResponse{}, err
	}
	if err := s.slowAddress(ctx, email, p.ID); err != nil {
		return SignInResponse{}, err
	}
	match, err := s.hasher.compare(ctx, r.Password, p.Password)
	if err != nil {
		return SignInResponse{}, err
	}
	if !match || !p.DisabledAt.IsZero() || p.ConfirmedAt.IsZero() {
		return SignInResponse{}, ErrSignIn
	}
	return s.startSession(ctx, p)
}

// knownFor is how long a place that a person signed in from is remembered, and so how long ended sessions are kept.
const knownFor = 30 * 24 * time.Hour

// Prune removes sessions and mailed tokens that ended more than thirty days ago, and returns how many. A job runs it daily.
func (s *Service) Prune(ctx context.Context) (int64, error) {
	return s.Sessions.PruneSessions(ctx, s.Clock.Now().Add(-knownFor))
}

// slowAddress counts attempts on one address from everywhere, so that many sources together cannot guess faster than one. Whoever
// signed in to the account from the same place in the last thirty days passes: a flood does not lock the owner out.
func (s *Service) slowAddress(ctx context.Context, email, personID string) error {
	slow := s.allow(ctx, "account:sign-in:email:"+email, 30, time.Minute)
	if slow == nil || !errors.Is(slow, ErrSlowDown) || s.place(ctx) == "" {
		return slow
	}
	known, err := s.Sessions.KnownSource(ctx, personID, source(personID, s.place(ctx)), s.Clock.Now().Add(-knownFor))
	if err != nil {
		return err
	}
	if known {
		return nil
	}
	return slow
}

// source is the digest of where a person signs in from, different for each person; nil when that is not known.
func source(personID, from string) []byte {
	if from == "" {
		return nil
	}
	d := credential.Sum(personID + " " + from)
	return d.Head()
}

func (s *Service) startSession(ctx context.Context, p Person) (SignInResponse, error) {
	secret, err := newSecret(s.Random)
	if err != nil {
		return SignInResponse{}, err
	}
	now := s.Clock.Now()
	text := sessionPrefix + secret
	session := Session{ID: s.IDs.New("ses"), PersonID: p.ID, Digest: credential.Sum(text), SignedInAt: now, ExpiresAt: now.Add(s.SessionTTL), Source: source(p.ID, s.place(ctx))}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Sessions.AddSession(ctx, session); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, text)
		return s.Audit.Record(ctx, licensing.Event{Action: "session.create", Target: session.ID, Detail: map[string]any{"person": p.ID, "role": p.Role}})
	})
	if err != nil {
		return SignInResponse{}, err
	}
	return SignInResponse{ID: session.ID, Token: text, ExpiresAt: session.ExpiresAt, Role: p.Role}, nil
}

// SignInAgain answers a replay of SignIn while the session's text is kept.
func (s *Service) SignInAgain(ctx context.Context, id, secret string) (SignInResponse, error) {
	if secret == "" {
		return SignInResponse{}, licensing.Fail(licensing.Gone, "secret-over", "The session was started and its text is no longer kept. Sign in again.")
	}
	in, err := s.Sessions.SessionByDigest(ctx, credential.Sum(secret).Head())
	if err != nil {
		return SignInResponse{}, err
	}
	return SignInResponse{ID: id, Token: secret, ExpiresAt: in.Session.ExpiresAt, Role: in.Person.Role}, nil
}

// ByBearer authenticates the holder of a session or of a machine token by its text. Every reason for a refusal is
// [ErrCredential], with the reason wrapped for the log.
func (s *Service) ByBearer(ctx context.Context, text string) (licensing.Actor, error) {
	if strings.HasPrefix(text, machineFormat.Prefix+"_") {
		return s.byMachine(ctx, text)
	}
	if !strings.HasPrefix(text, sessionPrefix) || len(text) != sessionLen {
		return licensing.Actor{}, ErrCredential.Because(errors.New("no known form"))
	}
	digest := credential.Sum(text)
	in, err := s.sessions.Load(ctx, digest, func(ctx context.Context) (*SignedIn, []string, error) {
		in, err := s.Sessions.SessionByDigest(ctx, digest.Head())
		return &in, []string{in.Session.ID, in.Person.ID}, err
	})
	if errors.Is(err, licensing.ErrNotFound) {
		return licensing.Actor{}, ErrCredential.Because(err)
	}
	if err != nil {
		return licensing.Actor{}, err
	}
	now := s.Clock.Now()
	switch {
	case !digest.Equal(in.Session.Digest[:]):
		return licensing.Actor{}, ErrCredential.Because(errors.New("digest differs"))
	case !in.Session.RevokedAt.IsZero():
		return licensing.Actor{}, ErrCredential.Because(errors.New(in.Session.ID + " was ended"))
	case !now.Before(in.Session.ExpiresAt):
		return licensing.Actor{}, ErrCredential.Because(errors.New(in.Session.ID + " is over"))
	case !in.Person.DisabledAt.IsZero():
		return licensing.Actor{}, ErrCredential.Because(errors.New(in.Person.ID + " is disabled"))
	}
	return in.actor(now), nil
}

// actor is who a good session speaks for. Staff own nothing by their role, so no owner narrows or widens what they reach.
func (in *SignedIn) actor(now time.Time) licensing.Actor {
	a := licensing.Actor{
		Kind: licensing.Customer, ID: in.Person.ID, Owner: licensing.Owner(in.Person.ID), Session: in.Session.ID,
		Fresh: now.Sub(in.Session.SignedInAt) < freshFor,
	}
	if in.Person.Role != "" {
		a.Kind, a.Role, a.Owner = licensing.Staff, in.Person.Role, ""
	}
	return a
}

// person is the id of the person who calls; ErrNotFound for anybody else.
func person(ctx context.Context) (licensing.Actor, error) {
	a := licensing.ActorFrom(ctx)
	if a.ID == "" || a.Kind != licensing.Customer && a.Kind != licensing.Staff {
		return a, licensing.ErrNotFound
	}
	return a, nil
}

// SignOutRequest ends the session it is sent with.
type SignOutRequest struct{}

// SignOutResponse says that the session is over.
type SignOutResponse struct{}

// SignOut ends the caller's own session.
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
		found, err := s.Sessions.RevokeSession(ctx, id, personID, s.Clock.Now())
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

// SessionView is a session as its person sees it.
type SessionView struct {
	ID         string    `json:"id" doc:"Id of the session."`
	SignedInAt time.Time `json:"signed_in_at" doc:"When the password was entered."`
	ExpiresAt  time.Time `json:"expires_at" doc:"When the session ends."`
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
	out := licensing.List[SessionView]{Items: []SessionView{}}
	for _, session := range sessions {
		out.Items = append(out.Items, SessionView{ID: session.ID, SignedInAt: session.SignedInAt, ExpiresAt: session.ExpiresAt, Current: session.ID == a.Session})
	}
	return out, nil
}

// MeRequest asks who the caller is.
type MeRequest struct{}

// MeResponse is who the caller is.
type MeResponse struct {
	Kind   licensing.ActorKind `json:"kind" doc:"Kind of the caller." enum:"customer,staff,machine"`
	ID     string              `json:"id" doc:"Id of the person or machine token."`
	Email  string              `json:"email,omitempty" doc:"E-mail address of a person."`
	Name   string              `json:"name,omitempty" doc:"Name of a person."`
	Role   licensing.Role      `json:"role,omitempty" doc:"Staff role of a person."`
	Scopes []string            `json:"scopes,omitempty" doc:"Scopes of a machine token."`
	Fresh  bool                `json:"fresh" doc:"Whether a person entered the password within the last ten minutes, as sensitive acts require."`
}

// Me tells who the caller is.
func (s *Service) Me(ctx context.Context, _ MeRequest) (MeResponse, error) {
	a := licensing.ActorFrom(ctx)
	out := MeResponse{Kind: a.Kind, ID: a.ID, Role: a.Role, Scopes: a.Scopes, Fresh: a.Fresh}
	if a.Kind == licensing.Customer || a.Kind == licensing.Staff {
		p, err := s.People.PersonByID(ctx, a.ID)
		if err != nil {
			return MeResponse{}, err
		}
		out.Email, out.Name = p.Email, p.Name
	}
	return out, nil
}
