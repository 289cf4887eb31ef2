package account

import (
	"context"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
)

// OrganisationView is an organisation as its members and staff see it.
type OrganisationView struct {
	ID           string            `json:"id" doc:"Id of the organisation." example:"org_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d"`
	Name         string            `json:"name" doc:"Name of the organisation."`
	BillingEmail string            `json:"billing_email" doc:"Where its invoices go."`
	Country      string            `json:"country,omitempty" doc:"Its country, ISO 3166-1." example:"DE"`
	VATID        string            `json:"vat_id,omitempty" doc:"Its VAT id."`
	Role         licensing.OrgRole `json:"role,omitempty" doc:"The caller's role in it; absent for staff." enum:"owner,admin,member"`
	Members      int64             `json:"members" doc:"How many members it has."`
	CreatedAt    time.Time         `json:"created_at" doc:"When it was made."`
}

func organisationView(o *Joined) OrganisationView {
	return OrganisationView{ID: o.ID, Name: o.Name, BillingEmail: o.BillingEmail, Country: o.Country, VATID: o.VATID, Role: o.Role, Members: o.Members, CreatedAt: o.CreatedAt}
}

// OrganisationFields are what an organisation says of itself.
type OrganisationFields struct {
	Name         string `json:"name" doc:"Name of the organisation, 1 to 100 bytes." example:"Analytical Engines Ltd"`
	BillingEmail string `json:"billing_email,omitempty" doc:"Where its invoices go; the caller's own address unless said." example:"billing@example.com"`
	Country      string `json:"country,omitempty" doc:"Its country, ISO 3166-1." example:"DE"`
	VATID        string `json:"vat_id,omitempty" doc:"Its VAT id, with the country in front."`
}

var (
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	vatForm     = regexp.MustCompile(`^[A-Z]{2}[0-9A-Z+*.]{2,18}$`)
)

// Validate refuses what cannot be said, and names by which links and markup would travel in our mails.
func (f OrganisationFields) Validate() error {
	e := licensing.Fail(licensing.Invalid, "invalid", "The organisation cannot be described so.")
	switch name := strings.TrimSpace(f.Name); {
	case name == "" || len(name) > 100 || !utf8.ValidString(name):
		e = e.With("/name", "must have 1 to 100 bytes")
	case strings.ContainsAny(name, "<>@:") || strings.Contains(name, "//") || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
		e = e.With("/name", "must not contain < > @ : // or invisible characters")
	}
	if _, err := NormalEmail(f.BillingEmail); f.BillingEmail != "" && err != nil {
		e = e.With("/billing_email", "must be an address like name@example.com")
	}
	if f.Country != "" && !countryForm.MatchString(f.Country) {
		e = e.With("/country", "must be two capital letters, like DE")
	}
	if f.VATID != "" && !vatForm.MatchString(f.VATID) {
		e = e.With("/vat_id", "must be a VAT id with its country, for example DE123456789")
	}
	if len(e.Fields) > 0 {
		return e
	}
	return nil
}

// fill puts the fields into o; without an address for invoices it is fallback.
func (f OrganisationFields) fill(o *Organisation, fallback string, now time.Time) {
	o.Name, o.Country, o.VATID, o.UpdatedAt = strings.TrimSpace(f.Name), f.Country, f.VATID, now
	if o.BillingEmail, _ = NormalEmail(f.BillingEmail); o.BillingEmail == "" {
		o.BillingEmail = fallback
	}
}

// CreateOrganisationRequest asks for an organisation.
type CreateOrganisationRequest struct{ OrganisationFields }

// CreateOrganisation makes an organisation of which the caller is the owner.
func (s *Service) CreateOrganisation(ctx context.Context, r CreateOrganisationRequest) (OrganisationView, error) {
	a, err := customer(ctx)
	if err != nil {
		return OrganisationView{}, err
	}
	if err := r.Validate(); err != nil {
		return OrganisationView{}, err
	}
	if err := s.allow(ctx, "account:organisation:by:"+a.ID, 10, time.Hour); err != nil {
		return OrganisationView{}, err
	}
	now := s.Clock.Now()
	out := Joined{Organisation: Organisation{ID: s.IDs.New("org"), CreatedAt: now}, Role: licensing.OrgOwner, Members: 1}
	owner := Membership{ID: s.IDs.New("mem"), OrganisationID: out.ID, PersonID: a.ID, Role: licensing.OrgOwner, JoinedAt: now}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		p, err := s.People.HoldPerson(ctx, a.ID)
		if err != nil {
			return err
		}
		if err := s.roomFor(ctx, a.ID); err != nil {
			return err
		}
		r.fill(&out.Organisation, p.Email, now)
		if err := s.Organisations.AddOrganisation(ctx, out.Organisation, owner); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "organisation.create", Target: out.ID, Detail: map[string]any{"member": owner.ID}})
	})
	if err != nil {
		return OrganisationView{}, err
	}
	return organisationView(&out), nil
}

// roomFor refuses one more organisation to a person who has as many as there may be.
func (s *Service) roomFor(ctx context.Context, personID string) error {
	mine, err := s.Organisations.ListOrganisations(ctx, OrgFilter{PersonID: personID}, licensing.Page{Limit: maxOrgs})
	if err == nil && len(mine.Items) >= maxOrgs {
		err = ErrOrgCount
	}
	return err
}

// OrganisationAgain answers a replay of CreateOrganisation or AcceptInvite.
func (s *Service) OrganisationAgain(ctx context.Context, id, _ string) (OrganisationView, error) {
	return s.GetOrganisation(ctx, OrganisationRequest{ID: id})
}

// OrganisationRequest names an organisation.
type OrganisationRequest struct {
	ID string `path:"id" doc:"Id of the organisation."`
}

// GetOrganisation reads an organisation: one's own, or any for staff.
func (s *Service) GetOrganisation(ctx context.Context, r OrganisationRequest) (OrganisationView, error) {
	personID, err := insider(ctx)
	if err != nil {
		return OrganisationView{}, err
	}
	o, err := s.Organisations.OrganisationOf(ctx, r.ID, personID)
	return organisationView(&o), err
}

// ListOrganisationsRequest asks for organisations, newest first.
type ListOrganisationsRequest struct {
	licensing.Page
	Query  string `query:"q" doc:"Words that the name has, in any case, at most five and 100 bytes together. White space alone is no search."`
	Member string `query:"member" doc:"For staff: only those that this customer is a member of (its id), with the role it has there."`
}

// ListOrganisations returns the organisations that the caller is a member of; for staff all of them.
func (s *Service) ListOrganisations(ctx context.Context, r ListOrganisationsRequest) (licensing.List[OrganisationView], error) {
	out := licensing.List[OrganisationView]{Items: []OrganisationView{}}
	personID, err := insider(ctx)
	if err != nil {
		return out, err
	}
	words := strings.Fields(strings.ToLower(r.Query))
	if len(strings.TrimSpace(r.Query)) > 100 || len(words) > 5 {
		return out, licensing.Fail(licensing.Invalid, "invalid", "The search is too long.").With("q", "must be at most five words of 100 bytes together")
	}
	if personID == "" {
		personID = r.Member
	} else if r.Member != "" && r.Member != personID {
		return out, nil // what another is a member of is not told
	}
	found, err := s.Organisations.ListOrganisations(ctx, OrgFilter{PersonID: personID, Words: words}, r.Page)
	if err != nil {
		return out, err
	}
	out.Next = found.Next
	for i := range found.Items {
		out.Items = append(out.Items, organisationView(&found.Items[i]))
	}
	return out, nil
}

// UpdateOrganisationRequest says anew what an organisation is.
type UpdateOrganisationRequest struct {
	ID string `path:"id" doc:"Id of the organisation."`
	OrganisationFields
}

// UpdateOrganisation changes what an organisation says of itself; its owners and admins may.
func (s *Service) UpdateOrganisation(ctx context.Context, r UpdateOrganisationRequest) (OrganisationView, error) {
	a, err := customer(ctx)
	if err != nil {
		return OrganisationView{}, err
	}
	if err := r.Validate(); err != nil {
		return OrganisationView{}, err
	}
	var o Joined
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		var err error
		if o, err = s.Organisations.HoldOrganisation(ctx, r.ID, a.ID); err != nil {
			return err
		}
		if !leads(o.Role) {
			return ErrOrgRole
		}
		r.fill(&o.Organisation, o.BillingEmail, s.Clock.Now())
		if err := s.Organisations.UpdateOrganisation(ctx, o.Organisation); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "organisation.update", Target: o.ID})
	})
	if err != nil {
		return OrganisationView{}, err
	}
	s.Invalidate(o.ID)
	return organisationView(&o), nil
}

// OrganisationGone says which organisation the caller is no member of any more.
type OrganisationGone struct {
	ID string `json:"id" doc:"Id of the organisation."`
}

// DeleteOrganisation removes an organisation that owns nothing, with its members and invites; its owners may.
func (s *Service) DeleteOrganisation(ctx context.Context, r OrganisationRequest) (OrganisationGone, error) {
	a, err := customer(ctx)
	if err != nil {
		return OrganisationGone{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		o, err := s.Organisations.HoldOrganisation(ctx, r.ID, a.ID)
		if err != nil {
			return err
		}
		if o.Role != licensing.OrgOwner {
			return ErrOrgRole
		}
		owns, err := s.Organisations.OwnsAnything(ctx, licensing.Owner(o.ID))
		if err != nil {
			return err
		}
		if owns {
			return ErrOrgOwns
		}
		if err := s.Organisations.DropOrganisation(ctx, o.ID); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "organisation.delete", Target: o.ID})
	})
	if err != nil {
		return OrganisationGone{}, err
	}
	s.Invalidate(r.ID)
	return OrganisationGone(r), nil
}

// HoldOwner locks whom something is to be given to until the caller's transaction ends; [licensing.ErrNotFound] when that organisation
// is no more. People are never removed, so nothing is locked for them.
func (s *Service) HoldOwner(ctx context.Context, owner licensing.Owner) error {
	if !strings.HasPrefix(string(owner), "org_") {
		return nil
	}
	_, err := s.Organisations.HoldOrganisation(ctx, string(owner), "")
	return err
}

// customer is the customer who calls, as the person he is, whomever he acts for; ErrNotFound for anybody else.
func customer(ctx context.Context) (licensing.Actor, error) {
	a := licensing.ActorFrom(ctx)
	if a.ID == "" || a.Kind != licensing.Customer {
		return a, licensing.ErrNotFound
	}
	return a, nil
}

// insider is the id of the person to whose organisations the caller is narrowed: the customer's own; "" for staff and the operator.
func insider(ctx context.Context) (personID string, err error) {
	switch a := licensing.ActorFrom(ctx); a.Kind {
	case licensing.Staff, licensing.CLI, licensing.System:
		return "", nil
	}
	a, err := customer(ctx)
	return a.ID, err
}
