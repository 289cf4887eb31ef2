package license

import (
	"context"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// View is a license as its owner and staff see it.
type View struct {
	ID           string       `json:"id" doc:"The license."`
	Product      string       `json:"product" doc:"Slug of the product."`
	ProductID    string       `json:"product_id" doc:"The product."`
	ProductName  string       `json:"product_name,omitempty" doc:"Name of the product."`
	Plan         string       `json:"plan" doc:"Code of the plan."`
	Policy       string       `json:"policy" doc:"The policy whose terms were frozen at issue."`
	Owner        string       `json:"owner" doc:"The customer or organisation it belongs to."`
	Env          string       `json:"env" doc:"Environment." enum:"live,test"`
	Licensee     string       `json:"licensee,omitempty" doc:"Name shown to the user."`
	State        string       `json:"state" doc:"State; expired is computed from valid_until." enum:"active,suspended,revoked,expired"`
	Reason       string       `json:"reason,omitempty" doc:"The reason given when the state last changed; while it is suspended, the one that staff gave, else that of the dispute."`
	HeldAt       *time.Time   `json:"held_at,omitempty" doc:"Since when staff suspend it, until they reinstate it."`
	DisputedAt   *time.Time   `json:"disputed_at,omitempty" doc:"Since when it is suspended because its payment is disputed, until that ends."`
	LapsedAt     *time.Time   `json:"lapsed_at,omitempty" doc:"Since when it is suspended because its term is over, until it is renewed."`
	Type         string       `json:"type" doc:"Kind of term." enum:"perpetual,timed,subscription,trial"`
	ValidUntil   *time.Time   `json:"valid_until,omitempty" doc:"Commercial end; absent when there is none or the term has not begun."`
	UpdatesUntil *time.Time   `json:"updates_until,omitempty" doc:"Versions released until then are covered."`
	Seats        int64        `json:"seats" doc:"Seats promised."`
	SeatsMax     int64        `json:"seats_max" doc:"Seats that may be held, overage included; -1 is any number."`
	SeatsUsed    int64        `json:"seats_used" doc:"Seats held now."`
	Entitlements Entitlements `json:"entitlements" doc:"Features by code."`
	// EntUntil has the entitlements with an end of their own.
	EntUntil   map[string]time.Time `json:"ent_until,omitempty" doc:"When single features end, by code."`
	Terms      Terms                `json:"terms" doc:"What the policy granted and demanded when it was frozen: seats, offline times, meters, transfers."`
	StartedAt  *time.Time           `json:"started_at,omitempty" doc:"When its term began; absent while it waits for its first use."`
	Renewable  bool                 `json:"renewable" doc:"Whether it can be renewed: it has a term or an end of updates, and was not revoked."`
	KeyHint    string               `json:"key_hint" doc:"The last characters of the license key."`
	SourceKind string               `json:"source_kind" doc:"Why it exists." enum:"order_unit,grant,import,trial"`
	SourceID   string               `json:"source_id" doc:"The order unit, grant, import row or trial."`
	Version    int64                `json:"version" doc:"Grows with every change."`
	// Decision is of package sdk/eval, as products make it.
	Decision  eval.Decision `json:"decision" doc:"What a product decides on a device that holds a seat, or on a new one while none does."`
	EndsAt    *time.Time    `json:"ends_at,omitempty" doc:"When the license stops everything by itself, its grace time included; absent when it does not."`
	CreatedAt time.Time     `json:"created_at" doc:"When it was issued."`
	UpdatedAt time.Time     `json:"updated_at" doc:"When it last changed."`
}

// Called is what the license's product is called.
func (v *View) Called() string {
	if v.ProductName != "" {
		return v.ProductName
	}
	return v.Product
}

// viewOf makes the View of l at an instant.
func (s *Service) viewOf(l *License, now time.Time) View {
	v := View{
		ID: l.ID, Product: l.ProductSlug, ProductID: l.ProductID, ProductName: l.ProductName, Decision: s.Judge(l, now), EndsAt: optional(l.HardEnd()), Plan: l.PlanCode, Policy: l.PolicyID, Owner: string(l.Owner),
		Env: string(l.Env), Licensee: l.Licensee, State: string(l.State), Reason: l.Reason, Type: l.Terms.Type,
		ValidUntil: optional(l.ValidUntil), UpdatesUntil: optional(l.UpdatesUntil), Seats: l.Seats, SeatsMax: l.SeatsMax,
		SeatsUsed: l.SeatsUsed, Entitlements: l.Entitlements, KeyHint: l.KeyHint, SourceKind: l.Source.Kind, SourceID: l.Source.ID,
		Version: l.Version, CreatedAt: l.CreatedAt, UpdatedAt: l.UpdatedAt, Terms: l.Terms, StartedAt: optional(l.StartedAt), Renewable: l.renewable(),
	}
	if l.State == Suspended {
		v.HeldAt, v.DisputedAt, v.LapsedAt = optional(l.HeldAt), optional(l.DisputedAt), optional(l.LapsedAt)
	}
	for name, end := range l.EntitledUntil() {
		if v.EntUntil == nil {
			v.EntUntil = map[string]time.Time{}
		}
		v.EntUntil[name] = time.Unix(end, 0).UTC()
	}
	if l.State == Active && !l.ValidUntil.IsZero() && now.After(l.ValidUntil) {
		v.State = "expired"
	}
	return v
}

// Judge evaluates l as a product does on a device whose activation is in order. That no device holds a seat yet, where one must, is a
// warning: nothing is wrong with the license. It looks at id, product, environment, state, terms, seats, end and instant of issue.
func (s *Service) Judge(l *License, now time.Time) eval.Decision {
	return s.JudgeFor(l, eval.Request{Product: l.ProductSlug, Env: string(l.Env)}, now)
}

// JudgeFor is [Service.Judge] on a request, which asks in the newest version covered where it names none, with what is known beside the license.
func (s *Service) JudgeFor(l *License, r eval.Request, now time.Time, known ...eval.Finding) eval.Decision {
	c := s.Claims(l)
	if r.Version == "" {
		r.Version = l.Terms.MaxVersion
	}
	c.Pol.Activation, c.Pol.Status = doc.ActivationNone, doc.StatusOff
	in := eval.Input{License: c, Now: now.Unix(), Status: &eval.Status{IssuedAt: now.Unix(), Value: statusOf(l.State)},
		Request: r, Known: known}
	if l.Terms.Activation == doc.ActivationRequired && l.SeatsUsed == 0 {
		in.Known = append(in.Known, eval.Finding{Code: eval.ActivationRequired, Effect: eval.Warn, Detail: "No device holds a seat yet."})
	}
	if l.Crowded() {
		in.Known = append(in.Known, eval.Finding{Code: eval.TooManySeats, Effect: eval.Warn, Detail: "More seats are held than the license has."})
	}
	return eval.Evaluate(in)
}

// statusOf is what a status list says of a state.
func statusOf(s State) byte {
	switch s {
	case Active:
		return doc.StatusValid
	case Suspended:
		return doc.StatusSuspended
	}
	return doc.StatusInvalid
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *Service) view(ctx context.Context, id string) (View, error) {
	l, err := s.Store.LicenseByID(ctx, id)
	if err != nil {
		return View{}, err
	}
	return s.viewOf(&l, s.Clock.Now()), nil
}

// ViewAgain answers a replay of an operation whose result is the license with the given id.
func (s *Service) ViewAgain(ctx context.Context, id, _ string) (View, error) { return s.view(ctx, id) }

// GetRequest names a license.
type GetRequest struct {
	ID string `path:"id" doc:"The license."`
}

// Get returns a license: any of them to staff, machine tokens and the operator, their own to everybody else.
func (s *Service) Get(ctx context.Context, r GetRequest) (View, error) {
	l, err := s.load(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	return s.viewOf(&l, s.Clock.Now()), nil
}

// load is the one door by which operations reach a license by id.
func (s *Service) load(ctx context.Context, id string) (License, error) {
	actor := licensing.ActorFrom(ctx)
	switch actor.Kind {
	case licensing.Staff, licensing.CLI, licensing.System:
		return s.Store.LicenseByID(ctx, id)
	case licensing.Machine:
		l, err := s.Store.LicenseByID(ctx, id)
		if err == nil && !within(actor, &l) {
			return License{}, licensing.ErrNotFound
		}
		return l, err
	case licensing.Customer:
		if actor.Owner != "" {
			return s.Store.LicenseOf(ctx, id, actor.Owner)
		}
	}
	return License{}, licensing.ErrNotFound
}

// Reach is which licenses a caller reaches; a member that is empty narrows nothing. Lists of what belongs to a license put it in the
// WHERE of the license, beside their own question.
type Reach struct {
	Owner   licensing.Owner
	Product string
	Env     licensing.Env
}

// ReachOf is the reach of an actor, [licensing.ErrNotFound] for one who reaches none.
func ReachOf(actor licensing.Actor) (Reach, error) {
	switch actor.Kind {
	case licensing.Staff, licensing.CLI, licensing.System:
		return Reach{}, nil
	case licensing.Machine:
		return Reach{Product: actor.Product, Env: actor.Env}, nil
	case licensing.Customer:
		if actor.Owner != "" {
			return Reach{Owner: actor.Owner}, nil
		}
	}
	return Reach{}, licensing.ErrNotFound
}

// within reports whether a machine token narrowed to a product or environment reaches l.
func within(a licensing.Actor, l *License) bool {
	return (a.Product == "" || a.Product == l.ProductID) && (a.Env == "" || a.Env == l.Env)
}

// ListRequest narrows and pages a list of licenses.
type ListRequest struct {
	licensing.Page
	Owner   string `query:"owner" doc:"Only those of this customer or organisation; for customers always their own."`
	Product string `query:"product" doc:"Only those of this product (its id)."`
	State   string `query:"state" doc:"Only those in this state." enum:"active,suspended,revoked"`
	Env     string `query:"env" doc:"Only those of this environment." enum:"live,test"`
	Query   string `query:"q" doc:"Find by what is at hand: the id of a license or of its owner, the owner's e-mail address, or the last characters of the key. White space alone is no search." example:"ada@example.com"`
}

// search sets the member of f that the text of a search can mean.
func (f *Filter) search(text string) {
	switch text = strings.TrimSpace(text); {
	case text == "":
	case strings.Contains(text, "@"):
		f.Email = strings.ToLower(text)
	case strings.HasPrefix(text, "lic_"):
		f.ID = text
	case strings.HasPrefix(text, "cus_"), strings.HasPrefix(text, "org_"):
		f.Owner = licensing.Owner(text)
	default:
		f.Hint = strings.ToUpper(text)
	}
}

// Filter is what a request asks for, whoever asks.
func (r ListRequest) Filter() Filter {
	f := Filter{Owner: licensing.Owner(r.Owner), ProductID: r.Product, State: State(r.State), Env: licensing.Env(r.Env)}
	f.search(r.Query)
	return f
}

// List returns licenses, newest first: all to staff, their own to customers.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	f := r.Filter()
	switch actor := licensing.ActorFrom(ctx); actor.Kind {
	case licensing.Staff, licensing.CLI:
	case licensing.Machine:
		if actor.Product != "" {
			f.ProductID = actor.Product
		}
		if actor.Env != "" {
			f.Env = actor.Env
		}
	default:
		if actor.Kind != licensing.Customer || actor.Owner == "" {
			return licensing.List[View]{}, nil
		}
		f.Owner = actor.Owner
	}
	page, err := s.Store.ListLicenses(ctx, f, r.Page)
	if err != nil {
		return licensing.List[View]{}, err
	}
	now := s.Clock.Now()
	out := licensing.List[View]{Items: make([]View, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = s.viewOf(&page.Items[i], now)
	}
	return out, nil
}

// Revealed is a license key in the clear.
type Revealed struct {
	ID  string `json:"id" doc:"The license."`
	Key string `json:"key" doc:"The license key." secret:"once"`
}

// RevealKey shows a license key to its owner or to staff. Every look is audited.
func (s *Service) RevealKey(ctx context.Context, r GetRequest) (Revealed, error) {
	l, err := s.load(ctx, r.ID)
	if err != nil {
		return Revealed{}, err
	}
	key, err := s.Seal.Open(l.KeySealed, keyPlace(l.ID))
	if err != nil {
		return Revealed{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		licensing.KeepOnce(ctx, string(key))
		return s.Audit.Record(ctx, licensing.Event{Action: "license.reveal", Target: l.ID, Product: l.ProductID})
	})
	if err != nil {
		return Revealed{}, err
	}
	return Revealed{ID: l.ID, Key: string(key)}, nil
}

// RevealAgain answers a replay of RevealKey.
func (s *Service) RevealAgain(_ context.Context, id, secret string) (Revealed, error) {
	return Revealed{ID: id, Key: secret}, nil
}

// TokenResponse carries a license token.
type TokenResponse struct {
	ID    string `json:"id" doc:"The license."`
	Token string `json:"token" doc:"The license token, a compact JWS of type license+jwt."`
}

// Token returns the license's current token, to its owner, to staff, and to the holder of its key.
func (s *Service) Token(ctx context.Context, r GetRequest) (TokenResponse, error) {
	l, err := s.handed(ctx, r.ID)
	if err != nil {
		return TokenResponse{}, err
	}
	text, err := s.TokenText(ctx, &l)
	return TokenResponse{ID: l.ID, Token: text}, err
}

// handed loads a license whose documents are handed out: to its owner, to staff, and to the holder of its key, as it is at this instant; of a
// revoked one there are none.
func (s *Service) handed(ctx context.Context, id string) (l License, err error) {
	if actor := licensing.ActorFrom(ctx); actor.Kind == licensing.Holder && actor.License != "" && actor.License == id {
		if l, err = s.Store.LicenseByID(ctx, id); err == nil && l.Token.Line() != actor.Line { // it got another holder since the credential was looked up
			err = licensing.ErrNotFound
		}
	} else {
		l, err = s.load(ctx, id)
	}
	switch {
	case err != nil:
		return License{}, err
	case l.State == Revoked:
		return License{}, ErrState
	}
	return l, nil
}
