package account

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// EmailChange is a wish for another address, as it is stored. It comes true once both addresses have confirmed it.
type EmailChange struct {
	ID         string
	PersonID   string
	Email      string
	Old, New   credential.Digest
	OldAt      time.Time
	NewAt      time.Time
	CreatedAt  time.Time
	ExpiresAt  time.Time
	DoneAt     time.Time
	VoidedAt   time.Time
	ConfirmsAt string // "old" or "new": what the digest asked for confirms
}

// ProfileRequest changes what a person is called.
type ProfileRequest struct {
	Name string `json:"name" doc:"Name to be addressed by, at most 100 bytes; empty for none."`
}

// Profile is what a person says of themselves.
type Profile struct {
	ID    string `json:"id" doc:"Id of the person."`
	Email string `json:"email" doc:"E-mail address."`
	Name  string `json:"name,omitempty" doc:"Name."`
}

// SetProfile changes what the caller is called.
func (s *Service) SetProfile(ctx context.Context, r ProfileRequest) (Profile, error) {
	a, err := person(ctx)
	if err != nil {
		return Profile{}, err
	}
	if err := checkName(r.Name); err != nil {
		return Profile{}, err
	}
	var p Person
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.People.SetName(ctx, a.ID, r.Name, s.Clock.Now()); err != nil {
			return err
		}
		if p, err = s.People.PersonByID(ctx, a.ID); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "account.profile", Target: a.ID})
	})
	if err != nil {
		return Profile{}, err
	}
	return Profile{ID: p.ID, Email: p.Email, Name: p.Name}, nil
}

// EmailRequest asks for another address.
type EmailRequest struct {
	Email    string `json:"email" doc:"The address from now on." example:"ada@example.com"`
	Password string `json:"password,omitempty" doc:"The password; not needed within ten minutes of entering it."`
}

// Validate refuses what is no e-mail address.
func (r EmailRequest) Validate() error { return SignUpRequest{Email: r.Email}.Validate() }

// ChangeEmail mails a link to the address of now and to the one wished for; once both were followed the address changes. A new password
// meanwhile voids the wish, and so does a newer one. It answers the same for an address that another account has: that
// mailbox is sent nothing.
func (s *Service) ChangeEmail(ctx context.Context, r EmailRequest) (ResetResponse, error) {
	a, err := person(ctx)
	if err != nil {
		return ResetResponse{}, err
	}
	email, err := NormalEmail(r.Email)
	if err != nil {
		return ResetResponse{}, err
	}
	if err := s.allow(ctx, "account:email:"+a.ID, 5, time.Hour); err != nil {
		return ResetResponse{}, err
	}
	if !a.Fresh || r.Password != "" {
		if _, err := s.prove(ctx, a.ID, r.Password); err != nil {
			return ResetResponse{}, err
		}
	}
	oldToken, old, err := s.mailToken(a.ID)
	if err != nil {
		return ResetResponse{}, err
	}
	newToken, wished, err := s.mailToken(a.ID)
	if err != nil {
		return ResetResponse{}, err
	}
	c := EmailChange{ID: s.IDs.New("emc"), PersonID: a.ID, Email: email, Old: old.Digest, New: wished.Digest, CreatedAt: old.CreatedAt, ExpiresAt: old.ExpiresAt}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		p, err := s.People.HoldPerson(ctx, a.ID)
		if err != nil {
			return err
		}
		if p.Email == email {
			return licensing.Fail(licensing.Invalid, "invalid", "That is the address already.").With("/email", "must be another address")
		}
		if err := s.Tokens.AddEmailChange(ctx, c); err != nil {
			return err
		}
		if err := s.Notices.EmailChange(ctx, p, p.Email, email, oldToken, c.ExpiresAt); err != nil {
			return err
		}
		switch _, err := s.People.PersonByEmail(ctx, email); {
		case errors.Is(err, licensing.ErrNotFound):
			if err := s.Notices.EmailChange(ctx, p, email, email, newToken, c.ExpiresAt); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "account.email", Target: a.ID})
	})
	if err != nil {
		return ResetResponse{}, err
	}
	return ResetResponse{Message: checkBoth}, nil
}

const checkBoth = "Messages are on their way to the address of now and to the new one. The address changes once the links in both were followed."

// ChangeEmailAgain answers a replay of ChangeEmail.
func (s *Service) ChangeEmailAgain(context.Context, string, string) (ResetResponse, error) {
	return ResetResponse{Message: checkBoth}, nil
}

// ConfirmEmailRequest follows one of the two links of a change of address.
type ConfirmEmailRequest struct {
	Token string `json:"token" doc:"The token of the mailed link."`
}

// ConfirmEmailResponse tells how far the change is.
type ConfirmEmailResponse struct {
	ID   string `json:"id" doc:"Id of the person."`
	Done bool   `json:"done" doc:"Whether the address is changed; otherwise the link in the other mailbox is still to be followed."`
}

// ConfirmEmail confirms a change of address at one of its two mailboxes; the second makes it come true, ends every session and tells the
// address of before.
func (s *Service) ConfirmEmail(ctx context.Context, r ConfirmEmailRequest) (ConfirmEmailResponse, error) {
	if err := s.slowSource(ctx, "confirm", 30, time.Minute); err != nil {
		return ConfirmEmailResponse{}, err
	}
	if len(r.Token) > 100 {
		return ConfirmEmailResponse{}, ErrToken
	}
	var out ConfirmEmailResponse
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		now := s.Clock.Now()
		c, err := s.Tokens.HoldEmailChange(ctx, credential.Sum(r.Token))
		if errors.Is(err, licensing.ErrNotFound) {
			return ErrToken
		}
		if err != nil {
			return err
		}
		if !c.VoidedAt.IsZero() || !c.DoneAt.IsZero() || !now.Before(c.ExpiresAt) {
			return ErrToken
		}
		if c.ConfirmsAt == "old" {
			c.OldAt = now
		} else {
			c.NewAt = now
		}
		out = ConfirmEmailResponse{ID: c.PersonID, Done: !c.OldAt.IsZero() && !c.NewAt.IsZero()}
		if out.Done {
			c.DoneAt = now
		}
		if err := s.Tokens.PutEmailChange(ctx, c); err != nil {
			return err
		}
		if out.Done {
			if err := s.moveEmail(ctx, c, now); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "account.email-confirm", Target: c.PersonID, Detail: map[string]any{"done": out.Done}})
	})
	if err != nil {
		return ConfirmEmailResponse{}, err
	}
	s.Invalidate(out.ID)
	return out, nil
}

// moveEmail gives a person the new address.
func (s *Service) moveEmail(ctx context.Context, c EmailChange, now time.Time) error {
	p, err := s.People.PersonByID(ctx, c.PersonID)
	if err != nil {
		return err
	}
	if err := s.People.SetEmail(ctx, c.PersonID, c.Email, now); err != nil { // ErrTaken when somebody was faster
		return err
	}
	if err := s.Sessions.EndSessions(ctx, c.PersonID, "", now); err != nil {
		return err
	}
	if err := s.Tokens.Void(ctx, c.PersonID, now); err != nil {
		return err
	}
	return s.Notices.Security(ctx, p, "The e-mail address of your account was changed, and every sign-in was ended. Messages go to the new address from now on.", now)
}

// ConfirmEmailAgain answers a replay of ConfirmEmail.
func (s *Service) ConfirmEmailAgain(ctx context.Context, id, _ string) (ConfirmEmailResponse, error) {
	done, err := s.Tokens.EmailChanged(ctx, id)
	return ConfirmEmailResponse{ID: id, Done: done}, err
}
