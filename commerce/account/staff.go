package account

import (
	"context"
	"slices"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// StaffView is a person of the staff.
type StaffView struct {
	ID    string         `json:"id" doc:"Id of the person."`
	Email string         `json:"email" doc:"E-mail address."`
	Name  string         `json:"name,omitempty" doc:"Name."`
	Role  licensing.Role `json:"role,omitempty" doc:"Staff role; absent once it is taken away." enum:"owner,admin,finance,support,catalogue,auditor"`
}

func staffView(p *Person) StaffView {
	return StaffView{ID: p.ID, Email: p.Email, Name: p.Name, Role: p.Role}
}

// CreateStaffRequest asks for a person of the staff.
type CreateStaffRequest struct {
	Email    string         `json:"email" doc:"E-mail address." example:"grace@example.com"`
	Name     string         `json:"name,omitempty" doc:"Name, at most 100 bytes."`
	Role     licensing.Role `json:"role" doc:"Role to give." enum:"owner,admin,finance,support,catalogue,auditor"`
	Password string         `json:"password,omitempty" doc:"Password, set only from the operator's command line; others are mailed a link."`
}

// CreateStaff makes a new person of the staff. From the operator's command line a password may be given and the address counts as
// confirmed; otherwise a link to set one is mailed. A known address is refused: give that person a role instead.
func (s *Service) CreateStaff(ctx context.Context, r CreateStaffRequest) (StaffView, error) {
	p, err := s.newStaff(ctx, r)
	if err != nil {
		return StaffView{}, err
	}
	token, t, err := s.mailToken(p.ID)
	if err != nil {
		return StaffView{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		added, err := s.People.AddPerson(ctx, p)
		if err != nil {
			return err
		}
		if !added {
			return ErrTaken
		}
		if p.Password == "" {
			if err := s.Tokens.AddToken(ctx, t); err != nil {
				return err
			}
			if err := s.Notices.AccountConfirm(ctx, p, token, t.ExpiresAt); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "staff.create", Target: p.ID, Detail: map[string]any{"role": p.Role}})
	})
	if err != nil {
		return StaffView{}, err
	}
	return staffView(&p), nil
}

func (s *Service) newStaff(ctx context.Context, r CreateStaffRequest) (Person, error) {
	email, err := NormalEmail(r.Email)
	if err != nil {
		return Person{}, err
	}
	if err := mayGrant(ctx, "", r.Role); err != nil {
		return Person{}, err
	}
	if err := checkName(r.Name); err != nil {
		return Person{}, err
	}
	now := s.Clock.Now()
	p := Person{ID: s.IDs.New("cus"), Email: email, Name: r.Name, Role: r.Role, CreatedAt: now}
	if r.Password == "" {
		return p, nil
	}
	if kind := licensing.ActorFrom(ctx).Kind; kind != licensing.CLI && kind != licensing.System {
		return Person{}, licensing.Fail(licensing.Forbidden, "forbidden", "Only the operator at the machine may set another person's password.")
	}
	if err := checkPassword(r.Password, email); err != nil {
		return Person{}, err
	}
	p.ConfirmedAt = now
	p.Password, err = s.hasher.hash(ctx, r.Password)
	return p, err
}

// StaffAgain answers a replay of CreateStaff or SetRole.
func (s *Service) StaffAgain(ctx context.Context, id, _ string) (StaffView, error) {
	p, err := s.People.PersonByID(ctx, id)
	return staffView(&p), err
}

// SetRoleRequest gives or takes a role.
type SetRoleRequest struct {
	ID     string         `path:"id" doc:"Id of the person."`
	Role   licensing.Role `json:"role" doc:"Role to give; empty takes it away." enum:"owner,admin,finance,support,catalogue,auditor,"`
	Reason string         `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Validate implements the check of requests.
func (r SetRoleRequest) Validate() error { return licensing.CheckReason(r.Reason) }

// SetRole changes a person's role, in force everywhere within two seconds, and ends the person's sessions, so that what a role opens
// is opened by a sign-in. Owners may give and take any role, admins any below
// their own; the last owner stays.
func (s *Service) SetRole(ctx context.Context, r SetRoleRequest) (StaffView, error) {
	p, err := s.People.PersonByID(ctx, r.ID)
	if err != nil {
		return StaffView{}, err
	}
	if err := mayGrant(ctx, p.Role, r.Role); err != nil {
		return StaffView{}, err
	}
	if r.Role != "" && p.ConfirmedAt.IsZero() && p.Role == "" {
		return StaffView{}, licensing.Fail(licensing.Conflict, "not-confirmed", "The person has not confirmed the e-mail address yet.")
	}
	was := p.Role
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if p, err = s.People.PersonByID(ctx, r.ID); err != nil {
			return err
		}
		if p.Role != was {
			return licensing.Fail(licensing.Conflict, "changed-meanwhile", "The role was changed by somebody else. Look again.")
		}
		now := s.Clock.Now()
		if err := s.People.SetRole(ctx, r.ID, r.Role, now); err != nil {
			return err
		}
		but := ""
		if a := licensing.ActorFrom(ctx); a.ID == r.ID {
			but = a.Session
		}
		if err := s.Sessions.EndSessions(ctx, r.ID, but, now); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "staff.role", Target: r.ID, Reason: r.Reason, Detail: map[string]any{"from": was, "to": r.Role}})
	})
	if err != nil {
		return StaffView{}, err
	}
	s.Invalidate(r.ID)
	p.Role = r.Role
	return staffView(&p), nil
}

// mayGrant reports whether the caller may move somebody from one role to another: owners and the operator any, admins those
// below admin.
func mayGrant(ctx context.Context, from, to licensing.Role) error {
	if to != "" && !slices.Contains(licensing.AllRoles(), to) {
		return licensing.Fail(licensing.Invalid, "invalid", "There is no such role.").With("/role", "must be one of the staff roles")
	}
	a := licensing.ActorFrom(ctx)
	switch {
	case a.Kind == licensing.CLI, a.Kind == licensing.System, a.Kind == licensing.Staff && a.Role == licensing.RoleOwner:
		return nil
	case a.Kind == licensing.Staff && a.Role == licensing.RoleAdmin && below(from) && below(to):
		return nil
	}
	return licensing.Fail(licensing.Forbidden, "forbidden", "Only an owner may give or take this role.")
}

func below(r licensing.Role) bool { return r != licensing.RoleOwner && r != licensing.RoleAdmin }

// ListStaffRequest asks for the staff.
type ListStaffRequest struct{}

// ListStaff returns everybody with a role, oldest first, on one page.
func (s *Service) ListStaff(ctx context.Context, _ ListStaffRequest) (licensing.List[StaffView], error) {
	people, err := s.People.ListStaff(ctx)
	if err != nil {
		return licensing.List[StaffView]{}, err
	}
	out := licensing.List[StaffView]{Items: []StaffView{}}
	for i := range people {
		out.Items = append(out.Items, staffView(&people[i]))
	}
	return out, nil
}

// mailToken makes a token for a person's mailed link.
func (s *Service) mailToken(personID string) (string, Token, error) {
	token, err := newSecret(s.Random)
	if err != nil {
		return "", Token{}, err
	}
	now := s.Clock.Now()
	return token, Token{ID: s.IDs.New("tok"), PersonID: personID, Digest: credential.Sum(token), CreatedAt: now, ExpiresAt: now.Add(tokenTTL)}, nil
}
