package account

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// ResetRequest asks for a link that sets a new password.
type ResetRequest struct {
	Email string `json:"email" doc:"E-mail address of the account; the link is sent there." example:"ada@example.com"`
}

// Validate refuses what is no e-mail address.
func (r ResetRequest) Validate() error { return SignUpRequest{Email: r.Email}.Validate() }

// ResetResponse is the same whether the address is known or not.
type ResetResponse struct {
	Message string `json:"message" doc:"What happens next."`
}

// errDecoy undoes what was done for an address that nobody has.
var errDecoy = errors.New("account: work for nobody")

// Reset mails a link that sets a new password. To an address without an account it sends nothing, does the same work and answers the same.
func (s *Service) Reset(ctx context.Context, r ResetRequest) (ResetResponse, error) {
	if err := r.Validate(); err != nil {
		return ResetResponse{}, err
	}
	email, err := NormalEmail(r.Email)
	if err != nil {
		return ResetResponse{}, err
	}
	if err := s.slow(ctx, "reset", email, 5, time.Hour); err != nil {
		return ResetResponse{}, err
	}
	nobody := Person{ID: s.IDs.New("cus"), Email: email, CreatedAt: s.Clock.Now()}
	token, t, err := s.mailToken(nobody.ID)
	if err != nil {
		return ResetResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		p, err := s.People.PersonByEmail(ctx, email)
		known := err == nil && p.DisabledAt.IsZero()
		if err != nil && !errors.Is(err, licensing.ErrNotFound) {
			return err
		}
		target := p.ID
		if !known {
			p, target = nobody, "nobody"
		}
		err = s.Tx.InTx(ctx, func(ctx context.Context) error { // for nobody it is undone, once the work is done
			if err := s.mailReset(ctx, p, t, token, known); err != nil || known {
				return err
			}
			return errDecoy
		})
		if err != nil && !errors.Is(err, errDecoy) {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "account.reset", Target: target, Detail: map[string]any{"known": known}})
	})
	if err != nil {
		return ResetResponse{}, err
	}
	return ResetResponse{Message: checkMail}, nil
}

// mailReset stores a token and its mail; for nobody it stores the person instead of the token, which costs the same.
func (s *Service) mailReset(ctx context.Context, p Person, t Token, token string, known bool) error {
	t.PersonID = p.ID
	if !known {
		p.Email = "nobody+" + p.ID + "@invalid" // the address may be that of somebody disabled
		if _, err := s.People.AddPerson(ctx, p); err != nil {
			return err
		}
		return s.Notices.AccountReset(ctx, p, token, t.ExpiresAt)
	}
	if err := s.Tokens.AddToken(ctx, t); err != nil {
		return err
	}
	if p.Password == "" { // a guest, or somebody who never confirmed
		return s.Notices.AccountConfirm(ctx, p, token, t.ExpiresAt)
	}
	return s.Notices.AccountReset(ctx, p, token, t.ExpiresAt)
}

// ResetAgain answers a replay of Reset.
func (s *Service) ResetAgain(context.Context, string, string) (ResetResponse, error) {
	return ResetResponse{Message: checkMail}, nil
}

// PasswordRequest changes one's password.
type PasswordRequest struct {
	Current  string `json:"current" doc:"The password of now."`
	Password string `json:"password" doc:"The password from now on, 10 to 256 bytes."`
}

// PasswordResponse tells whose password was changed.
type PasswordResponse struct {
	ID string `json:"id" doc:"Id of the person."`
}

// ChangePassword sets another password, given the one of now. Every other session ends, mailed links and a change of address under way
// are void, and the person is told by mail.
func (s *Service) ChangePassword(ctx context.Context, r PasswordRequest) (PasswordResponse, error) {
	a, err := person(ctx)
	if err != nil {
		return PasswordResponse{}, err
	}
	p, err := s.prove(ctx, a.ID, r.Current)
	if err != nil {
		return PasswordResponse{}, err
	}
	if err := checkPassword(r.Password, p.Email); err != nil {
		return PasswordResponse{}, err
	}
	hash, err := s.hasher.hash(ctx, r.Password)
	if err != nil {
		return PasswordResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		held, err := s.People.HoldPerson(ctx, p.ID)
		if err != nil {
			return err
		}
		if held.Password != p.Password {
			return ErrPassword
		}
		if err := s.setPassword(ctx, held, hash, a.Session); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "account.password", Target: p.ID})
	})
	if err != nil {
		return PasswordResponse{}, err
	}
	s.Invalidate(p.ID)
	return PasswordResponse{ID: p.ID}, nil
}

// setPassword stores a hash and ends whatever the password of before opened, but one session. Whoever had a password is told.
func (s *Service) setPassword(ctx context.Context, p Person, hash, but string) error {
	now := s.Clock.Now()
	if err := s.People.SetPassword(ctx, p.ID, hash, now); err != nil {
		return err
	}
	if err := s.Sessions.EndSessions(ctx, p.ID, but, now); err != nil {
		return err
	}
	if err := s.Tokens.Void(ctx, p.ID, now); err != nil {
		return err
	}
	if p.Password == "" {
		return nil
	}
	return s.Notices.Security(ctx, p, "The password of your account was changed, and every other sign-in was ended.", now)
}

// PasswordAgain answers a replay of ChangePassword.
func (s *Service) PasswordAgain(_ context.Context, id, _ string) (PasswordResponse, error) {
	return PasswordResponse{ID: id}, nil
}
