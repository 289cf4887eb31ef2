package account

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Settings keeps small values of the installation.
type Settings interface {
	// Setting returns [licensing.ErrNotFound] for what was never set.
	Setting(ctx context.Context, name string) ([]byte, error)
	// KeepSetting sets a value unless there is one, and returns the one that stands.
	KeepSetting(ctx context.Context, name string, value []byte) ([]byte, error)
	// SwapSetting sets a value if the old one still stands, and reports whether it did.
	SwapSetting(ctx context.Context, name string, old, value []byte) (bool, error)
}

// setupSetting names the setting that holds the sealed token of the first owner's link, or setupUsed.
const setupSetting = "account/setup"

const setupUsed = "used"

// SetupToken is the token of the link by which the first owner is made: the same on every replica and after every start until it is
// used. It is "" when there is an owner.
func (s *Service) SetupToken(ctx context.Context) (string, error) {
	owned, err := s.owned(ctx)
	if err != nil || owned {
		return "", err
	}
	token, err := newSecret(s.Random)
	if err != nil {
		return "", err
	}
	sealed, err := s.Seal.Seal([]byte(token), setupSetting)
	if err != nil {
		return "", err
	}
	stands, err := s.Settings.KeepSetting(ctx, setupSetting, sealed)
	if err != nil {
		return "", err
	}
	if string(stands) == setupUsed { // by an owner who is none any more
		if _, err := s.Settings.SwapSetting(ctx, setupSetting, stands, sealed); err != nil {
			return "", err
		}
		if stands, err = s.Settings.Setting(ctx, setupSetting); err != nil || string(stands) == setupUsed {
			return "", err
		}
	}
	open, err := s.Seal.Open(stands, setupSetting)
	return string(open), err
}

// owned reports whether somebody is owner.
func (s *Service) owned(ctx context.Context) (bool, error) {
	staff, err := s.People.ListStaff(ctx)
	for i := range staff {
		if staff[i].Role == licensing.RoleOwner {
			return true, nil
		}
	}
	return false, err
}

// SetupLinkRequest asks for the link of the first owner.
type SetupLinkRequest struct{}

// SetupLinkResponse is that link.
type SetupLinkResponse struct {
	Owned bool   `json:"owned" doc:"Whether there is an owner, so that there is no link."`
	Link  string `json:"link,omitempty" doc:"Where the first owner is made, once." secret:"once"`
}

// SetupLink is the link that makes the first owner, for the operator at the machine.
func (s *Service) SetupLink(ctx context.Context, _ SetupLinkRequest) (SetupLinkResponse, error) {
	token, err := s.SetupToken(ctx)
	if err != nil || token == "" {
		return SetupLinkResponse{Owned: true}, err
	}
	return SetupLinkResponse{Link: s.BaseURL + "/setup/" + token}, nil
}

// SetupRequest makes the first owner.
type SetupRequest struct {
	Token    string `json:"token" doc:"The token of the link that the service prints when it starts without an owner."`
	Email    string `json:"email" doc:"E-mail address, which is also the name to sign in with." example:"ada@example.com"`
	Name     string `json:"name,omitempty" doc:"Name, at most 100 bytes."`
	Password string `json:"password" doc:"The password to sign in with, 10 to 256 bytes."`
}

// Validate refuses what is no e-mail address and names that are too long.
func (r SetupRequest) Validate() error {
	return SignUpRequest{Email: r.Email, Name: r.Name}.Validate()
}

// SetupResponse tells who the owner is.
type SetupResponse struct {
	ID string `json:"id" doc:"Id of the person."`
}

// Setup makes the first owner. It works while there is none and with the token that stands, once: of two at the same moment one
// becomes owner. Everything else is [ErrSetup].
func (s *Service) Setup(ctx context.Context, r SetupRequest) (SetupResponse, error) {
	if err := r.Validate(); err != nil {
		return SetupResponse{}, err
	}
	if err := s.slowSource(ctx, "setup", 10, time.Minute); err != nil {
		return SetupResponse{}, err
	}
	email, err := NormalEmail(r.Email)
	if err != nil {
		return SetupResponse{}, err
	}
	stands, err := s.setupStands(ctx, r.Token)
	if err != nil {
		return SetupResponse{}, err
	}
	if err := checkPassword(r.Password, email); err != nil {
		return SetupResponse{}, err
	}
	hash, err := s.hasher.hash(ctx, r.Password)
	if err != nil {
		return SetupResponse{}, err
	}
	now := s.Clock.Now()
	p := Person{ID: s.IDs.New("cus"), Email: email, Name: r.Name, Role: licensing.RoleOwner, Password: hash, ConfirmedAt: now, CreatedAt: now}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if swapped, err := s.Settings.SwapSetting(ctx, setupSetting, stands, []byte(setupUsed)); err != nil || !swapped {
			return errors.Join(err, ErrSetup.Because(errors.New("somebody was faster")))
		}
		if owned, err := s.owned(ctx); err != nil || owned {
			return errors.Join(err, ErrSetup.Because(errors.New("there is an owner")))
		}
		added, err := s.People.AddPerson(ctx, p)
		if err != nil {
			return err
		}
		if !added {
			return ErrTaken
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "setup.owner", Target: p.ID, Detail: map[string]any{"role": p.Role}})
	})
	if err != nil {
		return SetupResponse{}, err
	}
	return SetupResponse{ID: p.ID}, nil
}

// setupStands is the sealed setting that a token opens.
func (s *Service) setupStands(ctx context.Context, token string) ([]byte, error) {
	if owned, err := s.owned(ctx); err != nil || owned {
		return nil, errors.Join(err, ErrSetup.Because(errors.New("there is an owner")))
	}
	stands, err := s.Settings.Setting(ctx, setupSetting)
	if err != nil && !errors.Is(err, licensing.ErrNotFound) {
		return nil, err
	}
	if err != nil || string(stands) == setupUsed {
		return nil, ErrSetup.Because(errors.New("there is no token"))
	}
	open, err := s.Seal.Open(stands, setupSetting)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(open, []byte(token)) != 1 {
		return nil, ErrSetup.Because(errors.New("another token"))
	}
	return stands, nil
}

// SetupAgain answers a replay of Setup.
func (s *Service) SetupAgain(_ context.Context, id, _ string) (SetupResponse, error) {
	return SetupResponse{ID: id}, nil
}
