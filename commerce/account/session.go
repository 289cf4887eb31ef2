package account

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// What the two texts of a session start with, and the length of either.
const (
	passPrefix    = "mts_"
	renewalPrefix = "mtn_"
	passLen       = len(passPrefix) + 43
)

// SignInRequest is an e-mail address and a password.
type SignInRequest struct {
	Email    string `json:"email" doc:"E-mail address of the account." example:"ada@example.com"`
	Password string `json:"password" doc:"Its password."`
	Remember bool   `json:"remember,omitempty" doc:"Whether the session outlives the day: 30 days in all, 14 without being renewed. Without effect for staff."`
}

// SignInResponse is a session: a text to send as bearer, and one to get the next for.
type SignInResponse struct {
	ID               string         `json:"id" doc:"Id of the session."`
	Token            string         `json:"token" doc:"The bearer text of the session, shown only now; empty when a code is asked for." secret:"once"`
	ExpiresAt        time.Time      `json:"expires_at" doc:"When the bearer text ends, at most an hour from now."`
	Role             licensing.Role `json:"role,omitempty" doc:"Staff role of the person; absent for customers."`
	Renewal          string         `json:"renewal,omitempty" doc:"What the next bearer text is got for, once, by POST /v1/sessions/renew. It is shown only now." secret:"once"`
	RenewalExpiresAt *time.Time     `json:"renewal_expires_at,omitempty" doc:"When the session ends unless it is renewed before."`
	Challenge        string         `json:"challenge,omitempty" doc:"Present when the sign-in asks for a one-time code: send it with the code to POST /v1/sessions/verify before expires_at. There is no token then." secret:"once"`
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
	if !p.TOTPAt.IsZero() {
		return s.challenge(ctx, p, r.Remember)
	}
	return s.startSession(ctx, p, r.Remember, nil)
}

// knownFor is how long a place that a person signed in from is remembered, and so how long ended sessions are kept.
const knownFor = 30 * 24 * time.Hour

// Prune removes sessions, mailed tokens and invites that ended more than thirty days ago, and returns how many. A job runs it daily.
func (s *Service) Prune(ctx context.Context) (int64, error) {
	before := s.Clock.Now().Add(-knownFor)
	n, err := s.Sessions.PruneSessions(ctx, before)
	if err != nil {
		return n, err
	}
	invites, err := s.Invites.PruneInvites(ctx, before)
	return n + invites, err
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

// bounds are how long a session may last in all, and how long without being renewed.
func bounds(staff, remembered bool) (whole, idle time.Duration) {
	switch {
	case staff:
		return 12 * time.Hour, time.Hour
	case remembered:
		return 30 * 24 * time.Hour, 14 * 24 * time.Hour
	}
	return 12 * time.Hour, 2 * time.Hour
}

// texts are the two secrets of a session that are shown together, and what is stored of them.
type texts struct {
	pass, renewal string
	newPass       Pass
	newRenewal    Renewal
}

// newTexts makes them, before the transaction that stores them.
func (s *Service) newTexts() (t texts, err error) {
	if t.pass, err = s.newPass(); err != nil {
		return t, err
	}
	secret, err := newSecret(s.Random)
	if err != nil {
		return t, err
	}
	t.renewal = renewalPrefix + secret
	t.newPass = Pass{ID: s.IDs.New("pas"), Digest: credential.Sum(t.pass)}
	t.newRenewal = Renewal{Digest: credential.Sum(t.renewal)}
	return t, nil
}

// prolong moves the end of a session's idleness and gives the texts their places in it.
func (s *Service) prolong(session *Session, p *Person, t *texts, now time.Time) {
	_, idle := bounds(p.Role != "", session.Remembered)
	session.SeenAt, session.IdleAt = now, earlier(now.Add(idle), session.EndsAt)
	t.newPass.SessionID, t.newPass.ExpiresAt = session.ID, earlier(now.Add(s.PassTTL), session.EndsAt)
	t.newRenewal.SessionID, t.newRenewal.Turn = session.ID, session.Turn
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// startSession begins a session of p, whose password was just compared. A password changed meanwhile has ended every session, so
// this one does not begin; nor without proof, what the sign-in asks for besides, in the same transaction.
func (s *Service) startSession(ctx context.Context, p Person, remember bool, proof func(ctx context.Context, now time.Time) error) (SignInResponse, error) {
	t, err := s.newTexts()
	if err != nil {
		return SignInResponse{}, err
	}
	session := Session{ID: s.IDs.New("ses"), PersonID: p.ID, Source: source(p.ID, s.place(ctx)), Browser: browser(s.Agent(ctx))}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		held, err := s.People.HoldPerson(ctx, p.ID)
		if err != nil {
			return err
		}
		if held.Password != p.Password || !held.DisabledAt.IsZero() {
			return ErrSignIn
		}
		p = held
		now := s.Clock.Now()
		if proof == nil && !p.TOTPAt.IsZero() { // turned on since the password was compared
			return ErrSignIn
		}
		if proof != nil {
			if err := proof(ctx, now); err != nil {
				return err
			}
		}
		session.Remembered = remember && p.Role == ""
		whole, _ := bounds(p.Role != "", session.Remembered)
		session.SignedInAt, session.EndsAt = now, now.Add(whole)
		s.prolong(&session, &p, &t, now)
		t.newPass.FreshAt = now
		if err := s.Sessions.AddSession(ctx, session); err != nil {
			return err
		}
		if err := s.addTexts(ctx, &t); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "session.create", Target: session.ID, Detail: map[string]any{"person": p.ID, "role": p.Role, "remembered": session.Remembered}})
	})
	if err != nil {
		return SignInResponse{}, err
	}
	return signInResponse(&session, &p, &t), nil
}

// addTexts stores a pass and a renewal, and keeps both texts for a replay.
func (s *Service) addTexts(ctx context.Context, t *texts) error {
	if err := s.Sessions.AddPass(ctx, t.newPass); err != nil {
		return err
	}
	licensing.KeepOnce(ctx, t.pass+" "+t.renewal)
	return s.Renewals.AddRenewal(ctx, t.newRenewal)
}

func signInResponse(session *Session, p *Person, t *texts) SignInResponse {
	return SignInResponse{ID: session.ID, Token: t.pass, ExpiresAt: t.newPass.ExpiresAt, Role: p.Role, Renewal: t.renewal, RenewalExpiresAt: instant(session.IdleAt)}
}

// SignInAgain answers a replay of SignIn, or of Renew, while the session's texts are kept.
func (s *Service) SignInAgain(ctx context.Context, id, secret string) (SignInResponse, error) {
	if secret == "" {
		return SignInResponse{}, licensing.Fail(licensing.Gone, "secret-over", "The session was started and its text is no longer kept. Sign in again.")
	}
	if strings.HasPrefix(secret, challengePrefix) {
		c, err := s.Factors.ChallengeByDigest(ctx, credential.Sum(secret))
		return challengeResponse(&c, secret), err
	}
	pass, renewal, _ := strings.Cut(secret, " ")
	in, err := s.Sessions.PassByDigest(ctx, credential.Sum(pass).Head())
	if err != nil {
		return SignInResponse{}, err
	}
	out := SignInResponse{ID: id, Token: pass, ExpiresAt: in.Pass.ExpiresAt, Role: in.Person.Role}
	if renewal != "" {
		out.Renewal, out.RenewalExpiresAt = renewal, instant(in.Session.IdleAt)
	}
	return out, nil
}

// Bears reports whether a text has the form of a session or a machine token.
func Bears(text string) bool {
	return strings.HasPrefix(text, machineFormat.Prefix+"_") || strings.HasPrefix(text, passPrefix) && len(text) == passLen
}

// ByBearer authenticates the holder of a session or of a machine token by its text. Every reason for a refusal is
// [ErrCredential], with the reason wrapped for the log.
func (s *Service) ByBearer(ctx context.Context, text string) (licensing.Actor, error) {
	if strings.HasPrefix(text, machineFormat.Prefix+"_") {
		return s.byMachine(ctx, text)
	}
	if !strings.HasPrefix(text, passPrefix) || len(text) != passLen {
		return licensing.Actor{}, ErrCredential.Because(errors.New("no known form"))
	}
	digest := credential.Sum(text)
	in, err := s.sessions.Load(ctx, digest, func(ctx context.Context) (*SignedIn, []string, error) {
		in, err := sought(ctx, s, s.marked(text), func() (SignedIn, error) { return s.Sessions.PassByDigest(ctx, digest.Head()) })
		about := []string{in.Session.ID, in.Person.ID, in.Session.OpenedBy}
		if in.Acting.ID != "" {
			about = append(about, in.Acting.ID)
		}
		return &in, about, err
	})
	if errors.Is(err, licensing.ErrNotFound) {
		return licensing.Actor{}, ErrCredential.Because(err)
	}
	if err != nil {
		return licensing.Actor{}, err
	}
	now := s.Clock.Now()
	switch {
	case !digest.Equal(in.Pass.Digest[:]):
		return licensing.Actor{}, ErrCredential.Because(errors.New("digest differs"))
	case !in.Session.RevokedAt.IsZero():
		return licensing.Actor{}, ErrCredential.Because(errors.New(in.Session.ID + " was ended"))
	case !now.Before(in.Pass.ExpiresAt):
		return licensing.Actor{}, ErrCredential.Because(errors.New(in.Pass.ID + " of " + in.Session.ID + " is over"))
	case !in.Person.DisabledAt.IsZero():
		return licensing.Actor{}, ErrCredential.Because(errors.New(in.Person.ID + " is disabled"))
	}
	a := in.actor(now)
	a.Unenrolled = s.RequireTOTP && a.Kind == licensing.Staff && in.Person.TOTPAt.IsZero()
	return a, nil
}

// sought looks a text up, and counts for the address that asks when it is not there. An address from which too many unknown texts came has to wait; what
// is known here goes on meanwhile (see [credential.Cache.Load]), and so does what was certainly issued here, so that nobody who guesses keeps those who
// share his address from signing in.
func sought[R any](ctx context.Context, s *Service, issued bool, read func() (R, error)) (R, error) {
	if issued {
		return read()
	}
	from, _ := netip.ParseAddr(s.From(ctx)) // none where that is not known, which waits for nothing
	if wait := s.guesses.Wait(from); wait > 0 {
		var none R
		return none, credential.ErrGuessing.After(wait)
	}
	out, err := read()
	if errors.Is(err, licensing.ErrNotFound) {
		s.guesses.Count(from)
	}
	return out, err
}

// actor is who a good session speaks for. Staff own nothing by their role, so no owner narrows or widens what they reach.
func (in *SignedIn) actor(now time.Time) licensing.Actor {
	a := licensing.Actor{
		Kind: licensing.Customer, ID: in.Person.ID, Owner: licensing.Owner(in.Person.ID), Session: in.Session.ID, Pass: in.Pass.ID,
		Fresh: !in.Pass.FreshAt.IsZero() && now.Sub(in.Pass.FreshAt) < freshFor,
	}
	if in.Session.OpenedBy != "" { // it never is more than a customer who looks
		a.By, a.ReadOnly, a.Fresh = in.Session.OpenedBy, true, false
		return a
	}
	if in.Person.Role != "" {
		a.Kind, a.Role, a.Owner = licensing.Staff, in.Person.Role, ""
	} else if in.Acting.ID != "" {
		a.Org, a.OrgRole, a.OrgName, a.Owner = in.Acting.ID, in.Acting.Role, in.Acting.Name, licensing.Owner(in.Acting.ID)
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
