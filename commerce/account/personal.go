package account

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Exporter shows what one part of the installation holds on a person, a JSON object a row, without secrets.
type Exporter interface {
	ExportPerson(ctx context.Context, p Person) ([]json.RawMessage, error)
}

// Eraser takes what one part holds on a person away, inside the caller's transaction. What the law demands to be kept stays, with the
// pseudonym in place of the address.
type Eraser interface {
	ErasePerson(ctx context.Context, p Person, pseudonym string, at time.Time) error
}

// Personal is one part of the installation that holds something on people.
type Personal struct {
	Name string
	Exporter
	Eraser
}

// ExportRequest asks for everything that is held on the caller.
type ExportRequest struct{}

// Export is everything that is held on a person.
type Export struct {
	ID         string       `json:"id" doc:"Id of the person."`
	ExportedAt time.Time    `json:"exported_at" doc:"When it was gathered."`
	Parts      []ExportPart `json:"parts" doc:"What each part of the shop holds."`
}

// ExportPart is what one part of the installation holds on a person.
type ExportPart struct {
	Name string            `json:"name" doc:"Name of the part." example:"orders"`
	Rows []json.RawMessage `json:"rows" doc:"Its rows, each an object of texts. Secrets are not among them."`
}

// ExportAccount gathers everything that is held on the caller.
func (s *Service) ExportAccount(ctx context.Context, _ ExportRequest) (Export, error) {
	a, err := person(ctx)
	if err != nil {
		return Export{}, err
	}
	p, err := s.People.PersonByID(ctx, a.ID)
	if err != nil {
		return Export{}, err
	}
	out := Export{ID: p.ID, ExportedAt: s.Clock.Now(), Parts: []ExportPart{}}
	for _, part := range s.Personal {
		rows, err := part.ExportPerson(ctx, p)
		if err != nil {
			return Export{}, err
		}
		if rows == nil {
			rows = []json.RawMessage{}
		}
		out.Parts = append(out.Parts, ExportPart{Name: part.Name, Rows: rows})
	}
	return out, nil
}

// EraseRequest asks to be forgotten.
type EraseRequest struct {
	Password string `json:"password" doc:"The password of the account."`
	Confirm  string `json:"confirm" doc:"The word erase, so that nothing is lost by mistake." enum:"erase"`
}

// EraseResponse tells whose data is gone.
type EraseResponse struct {
	ID string `json:"id" doc:"Id of what was the account."`
}

// EraseAccount takes the caller's personal data away: address, name, password, sessions, one-time codes, mail, names of devices.
// Orders and receipts stay, as the law demands, under a pseudonym; licenses and keys go on working; the audit trail, which never held
// more than the id, is not touched. It cannot be undone. The last owner of an organisation that goes on hands it over first,
// [ErrHandOver].
func (s *Service) EraseAccount(ctx context.Context, r EraseRequest) (EraseResponse, error) {
	a, err := person(ctx)
	if err != nil {
		return EraseResponse{}, err
	}
	if r.Confirm != "erase" {
		return EraseResponse{}, licensing.Fail(licensing.Invalid, "invalid", "Nothing was erased.").With("/confirm", "must be erase")
	}
	p, err := s.prove(ctx, a.ID, r.Password)
	if err != nil {
		return EraseResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		held, err := s.People.HoldPerson(ctx, p.ID)
		if err != nil {
			return err
		}
		if held.Password != p.Password || held.Role != "" {
			return ErrPassword
		}
		if err := s.Depart(ctx, held); err != nil {
			return err
		}
		now := s.Clock.Now()
		for _, part := range s.Personal {
			if err := part.ErasePerson(ctx, held, Pseudonym(held.ID), now); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "account.erase", Target: held.ID})
	})
	if err != nil {
		return EraseResponse{}, err
	}
	s.Invalidate(p.ID)
	return EraseResponse{ID: p.ID}, nil
}

// Erased is the end of every pseudonym.
const Erased = "@erased.invalid"

// Pseudonym is what stands where an erased person's address stood: nobody's, and different for each.
func Pseudonym(personID string) string { return personID + Erased }

// EraseAgain answers a replay of EraseAccount.
func (s *Service) EraseAgain(_ context.Context, id, _ string) (EraseResponse, error) {
	return EraseResponse{ID: id}, nil
}
