package bulk

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// Whom says who gets a license: one of the two.
type Whom struct {
	Owner string `json:"owner,omitempty" doc:"Customer or organisation that gets it, by id."`
	Email string `json:"email,omitempty" doc:"Or the customer's e-mail address; whoever has none becomes a customer, as a guest does who buys."`
}

// What is what may be said of a license beyond its policy.
type What struct {
	Licensee     string               `json:"licensee,omitempty" doc:"Name shown to the user, at most 128 bytes."`
	Seats        *int64               `json:"seats,omitempty" doc:"Seats, instead of the policy's."`
	ValidUntil   *time.Time           `json:"valid_until,omitempty" doc:"Commercial end, instead of the policy's duration."`
	Entitlements license.Entitlements `json:"entitlements,omitempty" doc:"Features to add or replace, by code."`
	Reference    string               `json:"reference,omitempty" doc:"Your own id of what it is for, an order in another system perhaps: the same reference in the same product and environment never makes a second license. At most 128 bytes."`
}

// From says what licenses are made from.
type From struct {
	Policy string        `json:"policy" doc:"Id of the policy whose terms they get."`
	Plan   string        `json:"plan,omitempty" doc:"Code of the plan that they tell of; the policy's code unless said."`
	Env    licensing.Env `json:"env,omitempty" doc:"Environment, live unless said." enum:"live,test"`
	Reason string        `json:"reason" doc:"Why they are given, for the audit trail; 1 to 500 bytes."`
}

// IssueRequest asks for one license by hand.
type IssueRequest struct {
	From
	Whom
	What
}

// Validate checks the form.
func (r *IssueRequest) Validate() error {
	c := &checker{err: errForm}
	r.From.check(c)
	r.Whom.check(c, "")
	c.that(r.Owner != "" || r.Email != "", "/owner", "is missing, and email too: say who gets the license")
	r.What.check(c, "")
	return c.result()
}

// IssueResponse is a license that was issued by hand.
type IssueResponse struct {
	license.View
	Key      string `json:"key,omitempty" doc:"The license key, shown only now; absent when the reference had a license before." secret:"once"`
	Existing bool   `json:"existing,omitempty" doc:"Whether the reference had this license before, so that none was made."`
}

var (
	errForm  = licensing.Fail(licensing.Invalid, "bulk-form", "The request is not well formed; see the fields.")
	errEnv   = licensing.Fail(licensing.Forbidden, "forbidden", "You may not issue licenses for this product or environment.")
	errOwner = licensing.Fail(licensing.Invalid, "no-such-owner", "There is no such customer or organisation.")

	errExists = errors.New("bulk: the source has a license")
)

// planCode is the shape of a plan's code.
var planCode = regexp.MustCompile(`^[a-z0-9_.-]{1,64}$`)

func (f *From) check(c *checker) {
	if f.Env == "" {
		f.Env = licensing.Live
	}
	c.that(licensing.ValidID("pol", f.Policy), "/policy", "must be a policy's id")
	c.that(f.Plan == "" || planCode.MatchString(f.Plan), "/plan", "must be 1 to 64 of a-z, 0-9, _ . -")
	c.that(f.Env.Valid(), "/env", "must be live or test")
	c.that(strings.TrimSpace(f.Reason) != "" && len(f.Reason) <= 500, "/reason", "say why, in at most 500 bytes")
}

func (w *Whom) check(c *checker, at string) {
	c.that(w.Owner == "" || w.Email == "", at+"/email", "stands beside owner; give one of the two")
	c.that(w.Owner == "" || licensing.ValidID("cus", w.Owner) || licensing.ValidID("org", w.Owner), at+"/owner", "must be the id of a customer or organisation")
}

// maxLicensee is what a token carries of a name, maxReference what a reference may have.
const (
	maxLicensee  = 128
	maxReference = 128
	maxSeats     = 1<<31 - 1
)

func (w *What) check(c *checker, at string) {
	c.that(len(w.Licensee) <= maxLicensee && plain(w.Licensee), at+"/licensee", "must be a line of text of at most %d bytes", maxLicensee)
	c.that(w.Seats == nil || *w.Seats >= 0 && *w.Seats <= maxSeats, at+"/seats", "must be 0 to %d", int64(maxSeats))
	c.that(w.ValidUntil == nil || w.ValidUntil.Year() >= 1971 && w.ValidUntil.Year() <= 9000, at+"/valid_until", "must lie in the years 1971 to 9000")
	c.that(len(w.Reference) <= maxReference && plain(w.Reference), at+"/reference", "must be a line of text of at most %d bytes", maxReference)
	if text := w.Entitlements.Fault(); text != "" {
		c.that(false, at+"/entitlements", "%s", text)
	}
}

// plain reports text without control characters.
func plain(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// IssueOne issues a license by hand and shows its key once. Its source is a grant: the reference, or one of its own.
func (s *Service) IssueOne(ctx context.Context, r IssueRequest) (IssueResponse, error) {
	m, err := s.making(ctx, r.From)
	if err != nil {
		return IssueResponse{}, err
	}
	m.Source = license.FromGrant
	owner, look := licensing.Owner(r.Owner), licensing.Owner(r.Owner)
	if r.Email != "" {
		if owner, err = s.owner(ctx, r.Whom); err != nil {
			return IssueResponse{}, err
		}
	}
	spec := m.spec(&item{Whom: Whom{Owner: string(owner)}, What: r.What}, m.sourceID(r.Reference, s.IDs.New("grt")))
	draft, err := s.issue(ctx, spec, &asked{look: look, named: r.Reference != ""}, r.Reason)
	if errors.Is(err, errExists) {
		l, err := s.Licenses.Store.LicenseFrom(ctx, spec.Source)
		if err != nil {
			return IssueResponse{}, err
		}
		v, err := s.Licenses.Get(ctx, license.GetRequest{ID: l.ID})
		return IssueResponse{View: v, Existing: true}, err
	}
	if err != nil {
		return IssueResponse{}, err
	}
	return IssueResponse{View: s.Licenses.ViewOf(&draft.License), Key: draft.Key}, nil
}

// issue makes a license and stores it. It starts anew when somebody else took the license's place in a status list meanwhile.
func (s *Service) issue(ctx context.Context, spec license.IssueSpec, as *asked, reason string) (*license.Draft, error) {
	for attempt := 1; ; attempt++ {
		draft, err := s.Licenses.Draft(ctx, spec)
		if err != nil {
			return nil, err
		}
		a := &asked{look: as.look, named: as.named, Asked: license.Asked{Draft: draft, Call: licensing.CallFrom(ctx), Reason: reason}}
		if err = s.store(ctx, a); !errors.Is(err, license.ErrCollision) || attempt == attempts {
			return draft, err
		}
	}
}

// IssueAgain answers a replay of IssueOne.
func (s *Service) IssueAgain(ctx context.Context, id, secret string) (IssueResponse, error) {
	v, err := s.Licenses.ViewAgain(ctx, id, "")
	return IssueResponse{View: v, Key: secret}, err
}

// owner is the customer or organisation that a request names.
func (s *Service) owner(ctx context.Context, w Whom) (licensing.Owner, error) {
	if w.Email != "" {
		email, err := s.Owners.NormalEmail(w.Email)
		if err != nil {
			return "", err
		}
		found, err := s.Owners.Guests(ctx, []string{email})
		return found[email], err
	}
	owner := licensing.Owner(w.Owner)
	found, err := s.Owners.OwnersExist(ctx, []licensing.Owner{owner})
	if err == nil && !found[owner] {
		err = errOwner.With("/owner", "is nobody's id")
	}
	return owner, err
}

// nobody are those of the owners that n rows name by id who do not exist.
func (s *Service) nobody(ctx context.Context, n int, owner func(i int) string) (map[string]bool, error) {
	out := map[string]bool{}
	var named []licensing.Owner
	for i := range n {
		if id := owner(i); id != "" && !out[id] {
			out[id], named = true, append(named, licensing.Owner(id))
		}
	}
	for some := range slices.Chunk(named, batchRows) {
		found, err := s.Owners.OwnersExist(ctx, some)
		if err != nil {
			return nil, err
		}
		for id, is := range found {
			if is {
				delete(out, string(id))
			}
		}
	}
	return out, nil
}

// ownFormat is the source of files that are written for an import.
const ownFormat = "mintreu"

// making is what the licenses of a run have in common, and its rows.
type making struct {
	Source  string        `json:"source"`         // kind of source
	From    string        `json:"from,omitempty"` // of an import: the system that sold them
	Product Product       `json:"product"`
	Policy  string        `json:"policy"`
	Plan    string        `json:"plan,omitempty"`
	Env     licensing.Env `json:"env"`
	Owner   string        `json:"owner,omitempty"` // of rows that name nobody
	Items   []item        `json:"items,omitempty"` // none when all rows are alike
}

// item is a row of a making.
type item struct {
	Whom
	What
	Policy   string        `json:"policy,omitempty"` // id, instead of the common one
	Key      string        `json:"key,omitempty"`
	IssuedAt *time.Time    `json:"issued_at,omitempty"`
	State    license.State `json:"state,omitempty"`
	Why      string        `json:"why,omitempty"` // of the state
}

// making checks what licenses are to be made from, and that the caller may.
func (s *Service) making(ctx context.Context, f From) (*making, error) {
	policy, err := s.Licenses.KnownPolicy(ctx, f.Policy)
	if licensing.KindOf(err) == licensing.NotFound {
		return nil, errForm.With("/policy", "is no policy's id")
	} else if err != nil {
		return nil, err
	}
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Machine && a.Env != "" && a.Env != f.Env {
		return nil, errEnv
	}
	product, err := s.products.Get(ctx, policy.ProductID, s.Products.LicensedProduct)
	if licensing.KindOf(err) == licensing.NotFound {
		return nil, errForm.With("/policy", "belongs to a product that is not in the catalogue")
	} else if err != nil {
		return nil, err
	}
	return &making{Product: product, Policy: policy.ID, Plan: f.Plan, Env: f.Env}, s.Switches.Check(ctx, licensing.SwitchLicensing, product.ID)
}

// sourceID names the source of a license: the caller's reference, or a name of our own.
func (m *making) sourceID(reference, own string) string {
	if reference == "" {
		return own
	}
	of := m.Product.ID + "/" + string(m.Env) + "/" + reference
	switch {
	case m.Source != license.FromImport:
		return of
	case m.From == ownFormat: // whose references are what somebody made up for one file
		return m.From + "/" + of
	}
	return m.From + "/" + reference
}

// spec is what an item asks for; its owner must be known.
func (m *making) spec(it *item, source string) license.IssueSpec {
	spec := license.IssueSpec{Source: license.Source{Kind: m.Source, ID: source}, ProductID: m.Product.ID, ProductSlug: m.Product.Slug, KeyPrefix: m.Product.KeyPrefix,
		PlanCode: m.Plan, PolicyID: m.Policy, Owner: licensing.Owner(it.Owner), Env: m.Env, Licensee: it.Licensee, Seats: it.Seats, Entitlements: it.Entitlements,
		Key: it.Key, State: it.State, Reason: it.Why}
	if it.Policy != "" {
		spec.PolicyID = it.Policy
	}
	if it.ValidUntil != nil {
		spec.ValidUntil = *it.ValidUntil
	}
	if it.IssuedAt != nil {
		spec.IssuedAt = *it.IssuedAt
	}
	return spec
}

// checker gathers the fields that break a rule.
type checker struct {
	err    *licensing.Error
	broken bool
}

func (c *checker) that(ok bool, name, detail string, args ...any) {
	if !ok {
		c.err, c.broken = c.err.With(name, detail, args...), true
	}
}

func (c *checker) result() error {
	if c.broken {
		return c.err
	}
	return nil
}

func at(row int, name string) string { return fmt.Sprintf("/rows/%d%s", row, name) }
