package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp/hotp"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// TOTP is a person's one-time codes (RFC 6238), as they are stored: six digits by SHA-1, another every thirty seconds.
type TOTP struct {
	PersonID string
	Secret   []byte // sealed
	// LastStep is the last time step whose code was used, so that none works twice.
	LastStep    int64
	CreatedAt   time.Time
	ConfirmedAt time.Time // zero until the first code was entered
}

// Challenge is a sign-in whose password was right and whose code is awaited, as it is stored.
type Challenge struct {
	ID         string
	PersonID   string
	Digest     credential.Digest
	Remembered bool
	ExpiresAt  time.Time
	UsedAt     time.Time
}

// Factors keeps one-time codes, the recovery codes beside them, and challenges.
type Factors interface {
	// TOTP returns [licensing.ErrNotFound] when there is none.
	TOTP(ctx context.Context, personID string) (TOTP, error)
	// PutTOTP stores one to be confirmed, over another that waits for it.
	PutTOTP(ctx context.Context, t TOTP) error
	// ConfirmTOTP turns it on, with new recovery codes.
	ConfirmTOTP(ctx context.Context, personID string, codes []credential.Digest, at time.Time) error
	// RemoveTOTP turns it off and removes the codes.
	RemoveTOTP(ctx context.Context, personID string, at time.Time) error
	// UseStep reports whether the step is later than every one used before, and notes it.
	UseStep(ctx context.Context, personID string, step int64) (bool, error)
	// UseRecovery reports whether the person had such an unused recovery code, and spends it.
	UseRecovery(ctx context.Context, personID string, d credential.Digest, at time.Time) (bool, error)
	AddChallenge(ctx context.Context, c Challenge) error
	// ChallengeByDigest returns a challenge whatever its state, or [licensing.ErrNotFound].
	ChallengeByDigest(ctx context.Context, d credential.Digest) (Challenge, error)
	// UseChallenge reports whether the challenge was unused, and spends it.
	UseChallenge(ctx context.Context, id string, at time.Time) (bool, error)
}

const (
	totpPeriod      = 30 // seconds
	challengePrefix = "mtc_"
	challengeTTL    = 5 * time.Minute
	recoveryCodes   = 10
)

func totpPlace(personID string) string { return "totp/" + personID + "/secret" }

// StartTOTPRequest asks for a secret of one's own.
type StartTOTPRequest struct{}

// StartTOTPResponse is the secret to put into an authenticator.
type StartTOTPResponse struct {
	Secret string `json:"secret" doc:"The secret in base32, to be typed. It is shown only now." secret:"once"`
	URI    string `json:"uri" doc:"The same as an otpauth address, to be shown as a QR code." secret:"once"`
}

// StartTOTP makes a secret for the caller's authenticator. Nothing asks for its codes before [Service.ConfirmTOTP].
func (s *Service) StartTOTP(ctx context.Context, _ StartTOTPRequest) (StartTOTPResponse, error) {
	a, err := person(ctx)
	if err != nil {
		return StartTOTPResponse{}, err
	}
	random := s.Random
	if random == nil {
		random = rand.Reader
	}
	raw := make([]byte, 20)
	if _, err := io.ReadFull(random, raw); err != nil {
		return StartTOTPResponse{}, err
	}
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
	sealed, err := s.Seal.Seal([]byte(secret), totpPlace(a.ID))
	if err != nil {
		return StartTOTPResponse{}, err
	}
	var p Person
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if p, err = s.People.HoldPerson(ctx, a.ID); err != nil {
			return err
		}
		if !p.TOTPAt.IsZero() {
			return ErrTOTPOn
		}
		if err := s.Factors.PutTOTP(ctx, TOTP{PersonID: a.ID, Secret: sealed, CreatedAt: s.Clock.Now()}); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, secret)
		return s.Audit.Record(ctx, licensing.Event{Action: "account.totp-start", Target: a.ID})
	})
	if err != nil {
		return StartTOTPResponse{}, err
	}
	return s.totpResponse(p, secret), nil
}

func (s *Service) totpResponse(p Person, secret string) StartTOTPResponse {
	issuer := s.Shop
	if issuer == "" {
		issuer = "Mintreu"
	}
	query := url.Values{"secret": {secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	return StartTOTPResponse{Secret: secret, URI: "otpauth://totp/" + url.PathEscape(issuer+":"+p.Email) + "?" + strings.ReplaceAll(query.Encode(), "+", "%20")}
}

// StartTOTPAgain answers a replay of StartTOTP while the secret is kept.
func (s *Service) StartTOTPAgain(ctx context.Context, id, secret string) (StartTOTPResponse, error) {
	if secret == "" {
		return StartTOTPResponse{}, licensing.Fail(licensing.Gone, "secret-over", "The secret is no longer kept. Start again.")
	}
	p, err := s.People.PersonByID(ctx, id)
	return s.totpResponse(p, secret), err
}

// CodeRequest is a code of the caller's authenticator, or where it says so a recovery code.
type CodeRequest struct {
	Code string `json:"code" doc:"The code that the authenticator shows now." example:"492039"`
}

// ConfirmTOTPResponse shows the recovery codes once.
type ConfirmTOTPResponse struct {
	RecoveryCodes []string `json:"recovery_codes" doc:"Codes that each work once in place of one of the authenticator. They are shown only now." secret:"once"`
}

// ConfirmTOTP turns one-time codes on, given the first code, and shows ten recovery codes once. Every other session ends; the person is
// told by mail.
func (s *Service) ConfirmTOTP(ctx context.Context, r CodeRequest) (ConfirmTOTPResponse, error) {
	a, err := person(ctx)
	if err != nil {
		return ConfirmTOTPResponse{}, err
	}
	if err := s.slowCode(ctx, a.ID); err != nil {
		return ConfirmTOTPResponse{}, err
	}
	codes := make([]string, recoveryCodes)
	digests := make([]credential.Digest, recoveryCodes)
	for i := range codes {
		text, err := credential.Random(s.Random, 12)
		if err != nil {
			return ConfirmTOTPResponse{}, err
		}
		codes[i] = text[:4] + "-" + text[4:8] + "-" + text[8:]
		digests[i] = recoveryDigest(a.ID, codes[i])
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		p, err := s.People.HoldPerson(ctx, a.ID)
		if err != nil {
			return err
		}
		if !p.TOTPAt.IsZero() {
			return ErrTOTPOn
		}
		now := s.Clock.Now()
		if err := s.useStep(ctx, a.ID, r.Code, now); err != nil {
			return err
		}
		if err := s.Factors.ConfirmTOTP(ctx, a.ID, digests, now); err != nil {
			return err
		}
		if err := s.Sessions.EndSessions(ctx, a.ID, a.Session, now); err != nil {
			return err
		}
		if err := s.Notices.Security(ctx, p, "Signing in to your account asks for a one-time code from now on.", now); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, strings.Join(codes, " "))
		return s.Audit.Record(ctx, licensing.Event{Action: "account.totp-confirm", Target: a.ID})
	})
	if err != nil {
		return ConfirmTOTPResponse{}, err
	}
	s.Invalidate(a.ID)
	return ConfirmTOTPResponse{RecoveryCodes: codes}, nil
}

// ConfirmTOTPAgain answers a replay of ConfirmTOTP while the codes are kept.
func (s *Service) ConfirmTOTPAgain(_ context.Context, _, secret string) (ConfirmTOTPResponse, error) {
	return ConfirmTOTPResponse{RecoveryCodes: strings.Fields(secret)}, nil
}

// RemoveTOTPResponse tells whose codes are off.
type RemoveTOTPResponse struct {
	ID string `json:"id" doc:"Id of the person."`
}

// RemoveTOTP turns one-time codes off, given one of them or a recovery code. The person is told by mail.
func (s *Service) RemoveTOTP(ctx context.Context, r CodeRequest) (RemoveTOTPResponse, error) {
	a, err := person(ctx)
	if err != nil {
		return RemoveTOTPResponse{}, err
	}
	if err := s.slowCode(ctx, a.ID); err != nil {
		return RemoveTOTPResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		p, err := s.People.HoldPerson(ctx, a.ID)
		if err != nil {
			return err
		}
		now := s.Clock.Now()
		if err := s.useCode(ctx, p.ID, r.Code, now); err != nil {
			return err
		}
		if err := s.Factors.RemoveTOTP(ctx, p.ID, now); err != nil {
			return err
		}
		if err := s.Notices.Security(ctx, p, "Signing in to your account no longer asks for a one-time code.", now); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "account.totp-remove", Target: p.ID})
	})
	if err != nil {
		return RemoveTOTPResponse{}, err
	}
	s.Invalidate(a.ID)
	return RemoveTOTPResponse{ID: a.ID}, nil
}

// RemoveTOTPAgain answers a replay of RemoveTOTP.
func (s *Service) RemoveTOTPAgain(_ context.Context, id, _ string) (RemoveTOTPResponse, error) {
	return RemoveTOTPResponse{ID: id}, nil
}

// slowCode slows guesses of one person's codes down: five in ten minutes find one of a million once in years. Nobody else waits for it.
func (s *Service) slowCode(ctx context.Context, personID string) error {
	if err := s.slowSource(ctx, "code", 30, time.Minute); err != nil {
		return err
	}
	return s.allow(ctx, "account:code:"+personID, 5, 10*time.Minute)
}

// useCode spends a code of a person's authenticator or a recovery code: [ErrCode] for any other.
func (s *Service) useCode(ctx context.Context, personID, code string, now time.Time) error {
	err := s.useStep(ctx, personID, code, now)
	if !errors.Is(err, ErrCode) || len(code) > 40 {
		return err
	}
	used, err := s.Factors.UseRecovery(ctx, personID, recoveryDigest(personID, code), now)
	if err == nil && !used {
		err = ErrCode
	}
	return err
}

// useStep spends a code of a person's authenticator: that of now, of the step before or of the one after, and none that was used, nor one
// older than that.
func (s *Service) useStep(ctx context.Context, personID, code string, now time.Time) error {
	t, err := s.Factors.TOTP(ctx, personID)
	if errors.Is(err, licensing.ErrNotFound) {
		return ErrCode
	}
	if err != nil {
		return err
	}
	secret, err := s.Seal.Open(t.Secret, totpPlace(personID))
	if err != nil {
		return err
	}
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	at := now.Unix() / totpPeriod
	for _, step := range []int64{at, at - 1, at + 1} {
		want, err := hotp.GenerateCode(string(secret), uint64(step))
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) != 1 {
			continue
		}
		used, err := s.Factors.UseStep(ctx, personID, step)
		if err == nil && !used {
			err = ErrCode.Because(errors.New("the code was used"))
		}
		return err
	}
	return ErrCode
}

// recoveryDigest is of a recovery code however it is spaced, and of one person alone.
func recoveryDigest(personID, code string) credential.Digest {
	return credential.Sum(personID + " " + strings.NewReplacer("-", "", " ", "").Replace(code))
}

// challenge answers a right password of a person whose sign-in asks for a code.
func (s *Service) challenge(ctx context.Context, p Person, remember bool) (SignInResponse, error) {
	secret, err := newSecret(s.Random)
	if err != nil {
		return SignInResponse{}, err
	}
	text := challengePrefix + secret
	c := Challenge{ID: s.IDs.New("chl"), PersonID: p.ID, Digest: credential.Sum(text), Remembered: remember, ExpiresAt: s.Clock.Now().Add(challengeTTL)}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		held, err := s.People.HoldPerson(ctx, p.ID)
		if err != nil {
			return err
		}
		if held.Password != p.Password {
			return ErrSignIn
		}
		if err := s.Factors.AddChallenge(ctx, c); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, text)
		return s.Audit.Record(ctx, licensing.Event{Action: "session.challenge", Target: c.ID, Detail: map[string]any{"person": p.ID}})
	})
	if err != nil {
		return SignInResponse{}, err
	}
	return challengeResponse(&c, text), nil
}

func challengeResponse(c *Challenge, text string) SignInResponse {
	return SignInResponse{ID: c.ID, ExpiresAt: c.ExpiresAt, Challenge: text}
}

// VerifyRequest answers a challenge.
type VerifyRequest struct {
	Challenge string `json:"challenge" doc:"The challenge that signing in answered with."`
	Code      string `json:"code" doc:"The code that the authenticator shows now, or a recovery code." example:"492039"`
}

// Verify ends a sign-in that asked for a code. A code works once, a recovery code too, a challenge for five minutes.
func (s *Service) Verify(ctx context.Context, r VerifyRequest) (SignInResponse, error) {
	if !strings.HasPrefix(r.Challenge, challengePrefix) || len(r.Challenge) > 100 {
		return SignInResponse{}, ErrChallenge
	}
	c, err := s.Factors.ChallengeByDigest(ctx, credential.Sum(r.Challenge))
	if errors.Is(err, licensing.ErrNotFound) {
		return SignInResponse{}, ErrChallenge
	}
	if err != nil {
		return SignInResponse{}, err
	}
	if !c.UsedAt.IsZero() || !s.Clock.Now().Before(c.ExpiresAt) {
		return SignInResponse{}, ErrChallenge
	}
	if err := s.slowCode(ctx, c.PersonID); err != nil {
		return SignInResponse{}, err
	}
	p, err := s.People.PersonByID(ctx, c.PersonID)
	if err != nil {
		return SignInResponse{}, err
	}
	return s.startSession(ctx, p, c.Remembered, func(ctx context.Context, now time.Time) error {
		if used, err := s.Factors.UseChallenge(ctx, c.ID, now); err != nil || !used {
			return errors.Join(err, ErrChallenge)
		}
		return s.useCode(ctx, p.ID, r.Code, now)
	})
}
