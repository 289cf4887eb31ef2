package account

import (
	"context"

	"github.com/mintreu/mintreu/licensing"
)

// Crowd finds and adds people by the hundreds.
type Crowd interface {
	// AddPeople stores those whose address is not taken.
	AddPeople(ctx context.Context, people []Person) error
	// IDsByEmail returns the ids of those who have one of the addresses, by address.
	IDsByEmail(ctx context.Context, emails []string) (map[string]string, error)
}

// Guests is [Service.Guest] for many addresses, which must be normal ([NormalEmail]) and no more than two thousand.
func (s *Service) Guests(ctx context.Context, emails []string) (map[string]licensing.Owner, error) {
	out := make(map[string]licensing.Owner, len(emails))
	if len(emails) == 0 {
		return out, nil
	}
	known, err := s.Crowd.IDsByEmail(ctx, emails)
	if err != nil {
		return nil, err
	}
	var strangers []Person
	for _, email := range emails {
		if known[email] == "" {
			strangers = append(strangers, Person{ID: s.IDs.New("cus"), Email: email, CreatedAt: s.Clock.Now()})
		}
	}
	if len(strangers) > 0 {
		if err := s.Crowd.AddPeople(ctx, strangers); err != nil {
			return nil, err
		}
		if known, err = s.Crowd.IDsByEmail(ctx, emails); err != nil { // somebody else may have added one meanwhile
			return nil, err
		}
	}
	for email, id := range known {
		out[email] = licensing.Owner(id)
	}
	return out, nil
}
