package account

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// CustomerView is a person as staff see them.
type CustomerView struct {
	ID          string         `json:"id" doc:"Id of the person."`
	Email       string         `json:"email" doc:"E-mail address."`
	Name        string         `json:"name,omitempty" doc:"Name."`
	Role        licensing.Role `json:"role,omitempty" doc:"Staff role; absent for those who are not staff." enum:"owner,admin,finance,support,catalogue,auditor"`
	CreatedAt   time.Time      `json:"created_at" doc:"When the person signed up, or bought as a guest."`
	ConfirmedAt *time.Time     `json:"confirmed_at,omitempty" doc:"When the address was confirmed; absent for guests."`
	DisabledAt  *time.Time     `json:"disabled_at,omitempty" doc:"When the account was disabled."`
	TOTP        bool           `json:"totp" doc:"Whether signing in asks for a one-time code."`
}

func customerView(p *Person) CustomerView {
	return CustomerView{
		ID: p.ID, Email: p.Email, Name: p.Name, Role: p.Role, CreatedAt: p.CreatedAt, ConfirmedAt: instant(p.ConfirmedAt), DisabledAt: instant(p.DisabledAt),
		TOTP: !p.TOTPAt.IsZero(),
	}
}

// Customers is how staff find and stop people.
type Customers interface {
	// FindPeople returns up to limit people below the cursor, newest first, whose address or name starts with q or whose id it is; all
	// for "".
	FindPeople(ctx context.Context, q, after string, limit int) ([]Person, error)
	// SetDisabled disables a person, or with a zero instant enables one. It returns [ErrLastOwner], changing nothing, when nobody
	// would be owner afterwards.
	SetDisabled(ctx context.Context, personID string, disabled, at time.Time) error
	// HoldOwners locks the rows of all owners until the transaction ends, before that of any other person.
	HoldOwners(ctx context.Context) error
}

// ListCustomersRequest asks for people, newest first.
type ListCustomersRequest struct {
	licensing.Page
	Q string `query:"q" doc:"Start of the e-mail address or of the name, or the whole id. White space alone is no search." example:"ada@"`
}

// ListCustomers finds people for staff.
func (s *Service) ListCustomers(ctx context.Context, r ListCustomersRequest) (licensing.List[CustomerView], error) {
	limit := 20
	if r.Limit > 0 {
		limit = min(r.Limit, 100)
	}
	q := strings.ToLower(strings.TrimSpace(r.Q))
	if len(q) > 254 || !utf8.ValidString(q) {
		return licensing.List[CustomerView]{Items: []CustomerView{}}, nil
	}
	people, err := s.Customers.FindPeople(ctx, q, r.Cursor, limit+1)
	if err != nil {
		return licensing.List[CustomerView]{}, err
	}
	out := licensing.List[CustomerView]{Items: []CustomerView{}}
	for i := range people {
		if i == limit {
			out.Next = people[i-1].ID
			break
		}
		out.Items = append(out.Items, customerView(&people[i]))
	}
	return out, nil
}

// GetCustomerRequest names a person.
type GetCustomerRequest struct {
	ID string `path:"id" doc:"Id of the person."`
}

// GetCustomer shows a person to staff.
func (s *Service) GetCustomer(ctx context.Context, r GetCustomerRequest) (CustomerView, error) {
	p, err := s.People.PersonByID(ctx, r.ID)
	return customerView(&p), err
}

// DisableRequest names a person and why.
type DisableRequest struct {
	ID     string `path:"id" doc:"Id of the person."`
	Reason string `json:"reason" doc:"Why, for the audit trail; 1 to 500 bytes."`
}

func (r DisableRequest) check() error { return checkReason(r.Reason) }

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > 500 || !utf8.ValidString(reason) {
		return licensing.Fail(licensing.Invalid, "invalid", "A reason is needed.").With("/reason", "must be text of 1 to 500 bytes")
	}
	return nil
}

// DisableCustomer keeps a person from signing in and ends every session, everywhere within two seconds. Licenses go on.
func (s *Service) DisableCustomer(ctx context.Context, r DisableRequest) (CustomerView, error) {
	return s.setDisabled(ctx, r, "customer.disable", s.Clock.Now())
}

// EnableCustomer lets a disabled person sign in again.
func (s *Service) EnableCustomer(ctx context.Context, r DisableRequest) (CustomerView, error) {
	return s.setDisabled(ctx, r, "customer.enable", time.Time{})
}

func (s *Service) setDisabled(ctx context.Context, r DisableRequest, action string, at time.Time) (CustomerView, error) {
	if err := r.check(); err != nil {
		return CustomerView{}, err
	}
	if r.ID == licensing.ActorFrom(ctx).ID {
		return CustomerView{}, licensing.Fail(licensing.Conflict, "own-account", "That is your own account. Ask somebody else.")
	}
	var p Person
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Customers.HoldOwners(ctx); err != nil {
			return err
		}
		held, err := s.People.HoldPerson(ctx, r.ID)
		if err != nil {
			return err
		}
		if held.Role != "" {
			if err := mayGrant(ctx, held.Role, ""); err != nil {
				return err
			}
		}
		now := s.Clock.Now()
		if err := s.Customers.SetDisabled(ctx, r.ID, at, now); err != nil {
			return err
		}
		if !at.IsZero() {
			if err := s.Sessions.EndSessions(ctx, r.ID, "", now); err != nil {
				return err
			}
			if err := s.Tokens.Void(ctx, r.ID, now); err != nil {
				return err
			}
		}
		if p, err = s.People.PersonByID(ctx, r.ID); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: action, Target: r.ID, Reason: r.Reason})
	})
	if err != nil {
		return CustomerView{}, err
	}
	s.Invalidate(r.ID)
	return customerView(&p), nil
}

// CustomerAgain answers a replay of DisableCustomer or EnableCustomer.
func (s *Service) CustomerAgain(ctx context.Context, id, _ string) (CustomerView, error) {
	return s.GetCustomer(ctx, GetCustomerRequest{ID: id})
}

// lookFor is how long staff may look at an account at a time.
const lookFor = 15 * time.Minute

// ImpersonateRequest names whose account to look at, and why.
type ImpersonateRequest struct {
	ID     string `path:"id" doc:"Id of the customer."`
	Reason string `json:"reason" doc:"Why, for the audit trail; 1 to 500 bytes."`
}

// ImpersonateResponse is a session that sees what the customer sees.
type ImpersonateResponse struct {
	ID        string    `json:"id" doc:"Id of the session."`
	Token     string    `json:"token" doc:"Its bearer text, shown only now." secret:"once"`
	ExpiresAt time.Time `json:"expires_at" doc:"When it ends, 15 minutes from now. It cannot be renewed."`
	Customer  string    `json:"customer" doc:"Id of the customer."`
}

// Impersonate opens a session of fifteen minutes in which staff see what a customer sees: it changes nothing and shows no secret, which
// kit holds to. Accounts of staff are not looked at. It ends when the sessions of either of the two are ended.
func (s *Service) Impersonate(ctx context.Context, r ImpersonateRequest) (ImpersonateResponse, error) {
	if err := checkReason(r.Reason); err != nil {
		return ImpersonateResponse{}, err
	}
	a := licensing.ActorFrom(ctx)
	if a.Kind != licensing.Staff {
		return ImpersonateResponse{}, licensing.Fail(licensing.Forbidden, "forbidden", "Only a person of the staff may look at an account.")
	}
	text, err := s.newPass()
	if err != nil {
		return ImpersonateResponse{}, err
	}
	id, passID := s.IDs.New("ses"), s.IDs.New("pas")
	var end time.Time
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		p, err := s.People.HoldPerson(ctx, r.ID)
		if err != nil {
			return err
		}
		if p.Role != "" || !p.DisabledAt.IsZero() {
			return licensing.Fail(licensing.Conflict, "not-a-customer", "Only accounts of customers that are not disabled can be looked at.")
		}
		now := s.Clock.Now()
		end = now.Add(lookFor)
		session := Session{ID: id, PersonID: p.ID, OpenedBy: a.ID, SignedInAt: now, SeenAt: now, IdleAt: end, EndsAt: end}
		if err := s.Sessions.AddSession(ctx, session); err != nil {
			return err
		}
		if err := s.Sessions.AddPass(ctx, Pass{ID: passID, SessionID: id, Digest: credential.Sum(text), ExpiresAt: end}); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, text)
		return s.Audit.Record(ctx, licensing.Event{Action: "customer.impersonate", Target: id, Reason: r.Reason, Detail: map[string]any{"customer": p.ID}})
	})
	if err != nil {
		return ImpersonateResponse{}, err
	}
	return ImpersonateResponse{ID: id, Token: text, ExpiresAt: end, Customer: r.ID}, nil
}

// ImpersonateAgain answers a replay of Impersonate while the text is kept.
func (s *Service) ImpersonateAgain(ctx context.Context, id, secret string) (ImpersonateResponse, error) {
	if secret == "" {
		return ImpersonateResponse{}, licensing.Fail(licensing.Gone, "secret-over", "The text of the session is no longer kept. Open another.")
	}
	in, err := s.Sessions.PassByDigest(ctx, credential.Sum(secret).Head())
	return ImpersonateResponse{ID: id, Token: secret, ExpiresAt: in.Pass.ExpiresAt, Customer: in.Person.ID}, err
}
