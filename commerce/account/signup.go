package account

import (
	"context"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// SignUpRequest asks for an account.
type SignUpRequest struct {
	Email string `json:"email" doc:"E-mail address; the link to finish is sent there." example:"ada@example.com"`
	Name  string `json:"name,omitempty" doc:"Name to be addressed by, at most 100 bytes."`
}

// Validate refuses what is no e-mail address and names that are too long.
func (r SignUpRequest) Validate() error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	_, err := NormalEmail(r.Email)
	return err
}

// SignUpResponse is the same whether the address is known or not.
type SignUpResponse struct {
	Message string `json:"message" doc:"What happens next."`
}

const checkMail = "If the address can have an account, a message with a link is on its way to it."

// SignUp mails a link that sets a password: to somebody new the one that makes the account, to somebody known the one that
// recovers it. It does the same work and answers the same for both.
func (s *Service) SignUp(ctx context.Context, r SignUpRequest) (SignUpResponse, error) {
	if err := r.Validate(); err != nil {
		return SignUpResponse{}, err
	}
	email, err := NormalEmail(r.Email)
	if err != nil {
		return SignUpResponse{}, err
	}
	if err := s.slow(ctx, "signup", email, 5, time.Hour); err != nil {
		return SignUpResponse{}, err
	}
	fresh := Person{ID: s.IDs.New("cus"), Email: email, Name: r.Name, CreatedAt: s.Clock.Now()}
	token, t, err := s.mailToken(fresh.ID)
	if err != nil {
		return SignUpResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		p, err := s.findOrAdd(ctx, fresh)
		if err != nil {
			return err
		}
		t.PersonID = p.ID
		if err := s.Tokens.AddToken(ctx, t); err != nil {
			return err
		}
		send := s.Notices.AccountConfirm
		if p.Password != "" {
			send = s.Notices.AccountExists
		}
		if err := send(ctx, p, token, t.ExpiresAt); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "account.sign-up", Target: p.ID, Detail: map[string]any{"known": p.ID != fresh.ID}})
	})
	if err != nil {
		return SignUpResponse{}, err
	}
	return SignUpResponse{Message: checkMail}, nil
}

// SignUpAgain answers a replay of SignUp.
func (s *Service) SignUpAgain(context.Context, string, string) (SignUpResponse, error) {
	return SignUpResponse{Message: checkMail}, nil
}

// ConfirmRequest trades a mailed token for a password.
type ConfirmRequest struct {
	Token    string `json:"token" doc:"The token of the mailed link."`
	Password string `json:"password" doc:"The password to sign in with, 10 to 256 bytes."`
}

// ConfirmResponse tells who is confirmed.
type ConfirmResponse struct {
	ID string `json:"id" doc:"Id of the account." example:"cus_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d"`
}

// Confirm sets the password of the account a token was mailed for and confirms its address. The token works once; every session
// of the account ends, and whoever had a password already is told by mail.
func (s *Service) Confirm(ctx context.Context, r ConfirmRequest) (ConfirmResponse, error) {
	if err := s.slowSource(ctx, "confirm", 30, time.Minute); err != nil {
		return ConfirmResponse{}, err
	}
	if err := checkPassword(r.Password, ""); err != nil {
		return ConfirmResponse{}, err
	}
	if len(r.Token) > 100 {
		return ConfirmResponse{}, ErrToken
	}
	hash, err := s.hasher.hash(ctx, r.Password)
	if err != nil {
		return ConfirmResponse{}, err
	}
	var id string
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		now := s.Clock.Now()
		var err error
		if id, err = s.Tokens.UseToken(ctx, credential.Sum(r.Token), now); err != nil {
			if licensing.KindOf(err) == licensing.NotFound {
				return ErrToken
			}
			return err
		}
		p, err := s.People.HoldPerson(ctx, id)
		if err != nil {
			return err
		}
		if err := checkPassword(r.Password, p.Email); err != nil {
			return err
		}
		if err := s.setPassword(ctx, p, hash, ""); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "account.confirm", Target: id})
	})
	if err != nil {
		return ConfirmResponse{}, err
	}
	s.Invalidate(id)
	return ConfirmResponse{ID: id}, nil
}

// ConfirmAgain answers a replay of Confirm.
func (s *Service) ConfirmAgain(_ context.Context, id, _ string) (ConfirmResponse, error) {
	return ConfirmResponse{ID: id}, nil
}

// slow counts one attempt against the source of the request and one against the address.
func (s *Service) slow(ctx context.Context, what, email string, count int64, period time.Duration) error {
	if err := s.slowSource(ctx, what, 6*count, period); err != nil {
		return err
	}
	return s.allow(ctx, "account:"+what+":email:"+email, count, period)
}

// slowSource counts one attempt against the source of the request, if that is known.
func (s *Service) slowSource(ctx context.Context, what string, count int64, period time.Duration) error {
	from := s.place(ctx)
	if from == "" {
		return nil
	}
	return s.allow(ctx, "account:"+what+":from:"+from, count, period)
}

// place is where a request comes from, as attempts are counted: an IPv4 address, or the /64 network of an IPv6 address, since
// whoever has one address there has them all. "" when it is not known.
func (s *Service) place(ctx context.Context) string {
	from := s.From(ctx)
	addr, err := netip.ParseAddr(from)
	if err != nil {
		return from
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String()
	}
	network, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return from
	}
	return network.String()
}

// checkName refuses names that are too long, and those with characters by which a stranger would send links and markup to others
// through our mails.
func checkName(name string) error {
	bad := licensing.Fail(licensing.Invalid, "invalid", "The name cannot be used.")
	if len(name) > 100 || !utf8.ValidString(name) {
		return bad.With("/name", "must be text of at most 100 bytes")
	}
	if strings.ContainsAny(name, "<>/@:") || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		return bad.With("/name", "must not contain < > / @ : or invisible characters")
	}
	return nil
}

func (s *Service) allow(ctx context.Context, key string, count int64, period time.Duration) error {
	wait, err := s.Throttle.Allow(ctx, key, count, period)
	if err != nil {
		return err
	}
	if wait > 0 {
		return ErrSlowDown.After(wait)
	}
	return nil
}
