package apikey

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// KeyView is a key as callers see it.
type KeyView struct {
	ID         string          `json:"id" doc:"Id of the key." example:"key_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d"`
	Owner      licensing.Owner `json:"owner" doc:"Customer or organisation that owns the key."`
	Product    string          `json:"product" doc:"Id of the product the key opens."`
	Plan       string          `json:"plan,omitempty" doc:"Code of the plan it was issued under."`
	Env        licensing.Env   `json:"env" doc:"Environment of the key." enum:"live,test"`
	Name       string          `json:"name" doc:"Name its owner gave it."`
	State      State           `json:"state" doc:"What the key looks like now." enum:"active,disabled,revoked,expired"`
	Scopes     []string        `json:"scopes" doc:"Scopes the key carries."`
	AllowFrom  []string        `json:"allow_from" doc:"Networks the key may be used from; empty means everywhere."`
	Limits     []Limit         `json:"limits" doc:"Limits that each verification spends from."`
	ExpiresAt  *time.Time      `json:"expires_at,omitempty" doc:"When the key ends; absent when it does not."`
	DisabledAt *time.Time      `json:"disabled_at,omitempty" doc:"Since when it is disabled."`
	HeldAt     *time.Time      `json:"held_at,omitempty" doc:"Since when staff have stopped it; its owner cannot enable it."`
	RevokedAt  *time.Time      `json:"revoked_at,omitempty" doc:"When it was revoked."`
	CreatedAt  time.Time       `json:"created_at" doc:"When it was issued."`

	ProductName string            `json:"product_name,omitempty" doc:"Name of the product."`
	OwnerName   string            `json:"owner_name,omitempty" doc:"Name of the owner, or the e-mail address of one without a name; only for staff."`
	Order       string            `json:"order,omitempty" doc:"Order that gave the key."`
	Unrevealed  bool              `json:"unrevealed,omitempty" doc:"Whether its text waits to be shown; revealing the keys of the order does."`
	Member      string            `json:"member,omitempty" doc:"Member of the organisation whose key it is."`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"What its maker noted with it."`
	DisputedAt  *time.Time        `json:"disputed_at,omitempty" doc:"Since when it is stopped because its payment is disputed, until that ends."`
	Parent      string            `json:"parent,omitempty" doc:"Key that was bought, by whose plan its owner made this one."`
	// ParentStopped is told of a key that was made by the plan of another.
	ParentStopped *time.Time   `json:"parent_stopped_at,omitempty" doc:"Since when the key that was bought is stopped by staff or a dispute, and this one with it."`
	OnLeak        OnLeak       `json:"on_leak" doc:"What becomes of it when its text is found in public." enum:"revoke,rotate"`
	LeakedAt      *time.Time   `json:"leaked_at,omitempty" doc:"When its text was found in public."`
	LastUsedAt    *time.Time   `json:"last_used_at,omitempty" doc:"When it was last good for a use, to the minute and some seconds late."`
	Credits       *CreditsView `json:"credits,omitempty" doc:"What it may still spend. Only for one key."`
	Texts         []TextView   `json:"texts,omitempty" doc:"The texts by which the key is good now, the newest first; two while a rotation's overlap lasts. Only for one key."`
}

// TextView is one text of a key, without what is not to be shown.
type TextView struct {
	Hint      string     `json:"hint" doc:"Part of the text that tells texts apart."`
	CreatedAt time.Time  `json:"created_at" doc:"Since when it is good."`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When it ends because another took its place."`
}

func (s *Service) view(k *Key) KeyView {
	v := KeyView{
		ID: k.ID, Owner: k.Owner, Product: k.ProductID, Plan: k.PlanCode, Env: k.Env, Name: k.Name, State: k.State(s.Clock.Now()),
		Scopes: append([]string{}, k.Scopes...), AllowFrom: []string{}, Limits: append([]Limit{}, k.Limits...),
		ExpiresAt: instant(k.ExpiresAt), DisabledAt: instant(k.DisabledAt), RevokedAt: instant(k.RevokedAt), CreatedAt: k.CreatedAt,
		ProductName: k.Bought.Product, Order: k.Bought.Order, Unrevealed: k.Bought.Unrevealed,
		HeldAt: instant(k.HeldAt), DisputedAt: instant(k.DisputedAt), ParentStopped: instant(k.ParentStoppedAt), Member: k.Member, Metadata: k.Metadata, Parent: k.ParentID, OnLeak: k.OnLeak, LeakedAt: instant(k.LeakedAt), LastUsedAt: instant(k.Bought.UsedAt),
	}
	for _, n := range k.AllowFrom {
		v.AllowFrom = append(v.AllowFrom, n.String())
	}
	return v
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// reach is what the caller may see and change: a customer his own, staff and the operator everything, a machine token what its
// product and environment say. Any other caller reaches nothing.
func reach(ctx context.Context) (Reach, error) {
	switch a := licensing.ActorFrom(ctx); a.Kind {
	case licensing.Staff, licensing.CLI, licensing.System:
		return Reach{}, nil
	case licensing.Machine:
		return Reach{Product: a.Product, Env: a.Env}, nil
	case licensing.Customer:
		if a.Owner != "" {
			return Reach{Owner: a.Owner}, nil
		}
	}
	return Reach{}, licensing.ErrNotFound
}

// CreateRequest asks for a key by hand.
type CreateRequest struct {
	Owner     licensing.Owner `json:"owner,omitempty" doc:"Customer or organisation that will own the key; customers leave it out."`
	Product   string          `json:"product,omitempty" doc:"Id of the product the key opens; customers leave it out."`
	Plan      string          `json:"plan,omitempty" doc:"Code of the plan, for the owner's eyes and for limits counted per plan. Customers name the plan, by id, that they have bought and by whose template the key is made."`
	Env       licensing.Env   `json:"env,omitempty" doc:"Environment, live unless said." enum:"live,test"`
	Name      string          `json:"name" doc:"Name of the key, at most 100 bytes."`
	Scopes    []string        `json:"scopes,omitempty" doc:"Scopes the key carries."`
	AllowFrom []string        `json:"allow_from,omitempty" doc:"Networks the key may be used from, as CIDR or single addresses."`
	Limits    []Limit         `json:"limits,omitempty" doc:"Limits that each verification spends from; none means unlimited."`
	ExpiresAt *time.Time      `json:"expires_at,omitempty" doc:"When the key ends."`

	Member   string            `json:"member,omitempty" doc:"Member of the organisation, by the id of the person, whose key it is."`
	Metadata map[string]string `json:"metadata,omitempty" doc:"What to note with the key: at most 32 names of a-z, 0-9, _ and - with texts of at most 200 bytes."`
	Credits  *CreditsSpec      `json:"credits,omitempty" doc:"What the key may spend, one credit for each unit of cost; without it only its limits count."`
	OnLeak   OnLeak            `json:"on_leak,omitempty" doc:"What becomes of the key when its text is found in public: it is revoked, unless said, or only that text ends after a day." enum:"revoke,rotate"`
}

// spec is the key asked for, without owner and plan.
func (r *CreateRequest) spec() (IssueSpec, error) {
	networks, err := ParseNetworks(r.AllowFrom)
	spec := IssueSpec{Env: r.Env, Name: r.Name, Member: r.Member, Metadata: r.Metadata, Scopes: r.Scopes, AllowFrom: networks, Limits: r.Limits, Credits: r.Credits, OnLeak: r.OnLeak}
	if spec.Env == "" {
		spec.Env = licensing.Live
	}
	if r.ExpiresAt != nil {
		spec.ExpiresAt = *r.ExpiresAt
	}
	return spec, err
}

// CreateResponse shows a key once.
type CreateResponse struct {
	Key    KeyView `json:"key" doc:"The key without its secret."`
	Secret string  `json:"secret" doc:"The key's text. It is shown only now." secret:"once"`
}

// Create issues a key by hand: staff, the operator, or a machine token for its own product and environment; and for a customer a key of his
// own, by the template of a plan that he has bought.
func (s *Service) Create(ctx context.Context, r CreateRequest) (CreateResponse, error) {
	within, err := reach(ctx)
	if err != nil {
		return CreateResponse{}, err
	}
	if within.Owner != "" {
		return s.createOwn(ctx, r, within.Owner)
	}
	spec, err := r.spec()
	if err != nil {
		return CreateResponse{}, err
	}
	spec.Source, spec.Owner, spec.ProductID, spec.PlanID, spec.PlanCode = Source{Kind: FromStaff}, r.Owner, r.Product, r.Plan, r.Plan
	if within.Product != "" && within.Product != spec.ProductID || within.Env != "" && within.Env != spec.Env {
		return CreateResponse{}, licensing.Fail(licensing.Forbidden, "forbidden", "You may not issue keys for this product or environment.")
	}
	draft, err := s.Draft(ctx, spec)
	if err == nil {
		err = s.known(ctx, &draft.Key)
	}
	if err != nil {
		return CreateResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		licensing.KeepOnce(ctx, draft.Text.Full)
		_, err := s.Issue(ctx, draft)
		return err
	})
	if err != nil {
		return CreateResponse{}, err
	}
	return CreateResponse{Key: s.view(&draft.Key), Secret: draft.Text.Full}, nil
}

// known returns [ErrSpec] for a key of an owner or a product that is not there: whoever wrote the wrong id would have made a key that is nobody's.
func (s *Service) known(ctx context.Context, k *Key) error {
	if s.Known == nil {
		return nil
	}
	owner, product, err := s.Known(ctx, k.Owner, k.ProductID)
	e := ErrSpec
	if !owner {
		e = e.With("owner", "there is no such customer or organisation")
	}
	if !product {
		e = e.With("product", "there is no such product")
	}
	if err == nil && len(e.Fields) > 0 {
		return e
	}
	return err
}

// CreateAgain answers a replay of Create or Rotate: the key as it stands, with the secret while it is kept.
func (s *Service) CreateAgain(ctx context.Context, id, secret string) (CreateResponse, error) {
	v, err := s.Get(ctx, GetRequest{ID: id})
	return CreateResponse{Key: v, Secret: secret}, err
}

// ParseNetworks reads networks, as CIDR or single addresses; the error is [ErrSpec].
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		n, err := netip.ParsePrefix(text)
		if err != nil || n.Addr().Is4In6() {
			return nil, ErrSpec.With("allow_from", "%q is neither a network like 192.0.2.0/24 nor an address", text)
		}
		out = append(out, n.Masked())
	}
	return out, nil
}

// GetRequest names one key.
type GetRequest struct {
	ID string `path:"id" doc:"Id of the key."`
}

// Get returns a key within the caller's reach.
func (s *Service) Get(ctx context.Context, r GetRequest) (KeyView, error) {
	within, err := reach(ctx)
	if err != nil {
		return KeyView{}, err
	}
	k, err := s.Store.Key(ctx, r.ID, within)
	if err != nil {
		return KeyView{}, err
	}
	v := s.view(&k)
	if seesOwners(ctx) {
		v.OwnerName = k.Bought.OwnerName
	}
	if k.Rationed {
		k.Bought.Credits.at(s.Clock.Now())
		v.Credits = k.Bought.Credits.view()
	}
	if v.State == Revoked || v.State == Expired {
		return v, nil
	}
	live, err := s.Store.Live(ctx, k.ID, s.Clock.Now())
	for _, l := range live {
		v.Texts = append(v.Texts, TextView{Hint: l.Hint, CreatedAt: l.CreatedAt, ExpiresAt: instant(l.ExpiresAt)})
	}
	return v, err
}

// ListRequest asks for keys, newest first.
type ListRequest struct {
	licensing.Page
	Owner   licensing.Owner `query:"owner" doc:"Only keys of this owner; customers see their own whatever they ask."`
	Product string          `query:"product" doc:"Only keys of this product."`
	Plan    string          `query:"plan" doc:"Only keys of this plan, by its code."`
	Env     licensing.Env   `query:"env" doc:"Only keys of this environment." enum:"live,test"`
	State   State           `query:"state" doc:"Only keys that look like this now." enum:"active,disabled,revoked,expired"`
	Member  string          `query:"member" doc:"Only keys of this member of an organisation, by the id of the person."`
	Name    string          `query:"name" doc:"Only keys that have exactly this name."`
	Query   string          `query:"q" doc:"Find by what is at hand: the id of a key or of its owner, the owner's e-mail address, or the key's hint, the part of its text after live_ or test_. White space alone is no search." example:"ada@example.com"`
}

// search lays over f what the text of a search can mean, and reports that nothing can be found.
func (f *Filter) search(text string) (none bool) {
	switch text = strings.TrimSpace(text); {
	case text == "":
	case strings.Contains(text, "@"):
		f.Email = strings.ToLower(text)
	case strings.HasPrefix(text, "key_"):
		f.ID = text
	case strings.HasPrefix(text, "cus_"), strings.HasPrefix(text, "org_"):
		return narrow(&f.Owner, licensing.Owner(text))
	default:
		f.Hint = text
	}
	return false
}

// seesOwners reports whether the caller sees customers anyway.
func seesOwners(ctx context.Context) bool {
	kind := licensing.ActorFrom(ctx).Kind
	return kind == licensing.Staff || kind == licensing.CLI
}

// List returns keys within the caller's reach.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[KeyView], error) {
	within, err := reach(ctx)
	if err != nil {
		return licensing.List[KeyView]{}, err
	}
	f, none := s.filter(within, &Search{Owner: r.Owner, Member: r.Member, Product: r.Product, Plan: r.Plan, Env: r.Env, State: r.State, Name: r.Name, Query: r.Query})
	if none {
		return licensing.List[KeyView]{Items: []KeyView{}}, nil
	}
	f.After, f.Limit = r.Cursor, r.Limit
	if f.Limit <= 0 {
		f.Limit = 20
	}
	f.Limit = min(f.Limit, 100) + 1
	keys, err := s.Store.ListKeys(ctx, f)
	if err != nil {
		return licensing.List[KeyView]{}, err
	}
	out := licensing.List[KeyView]{Items: []KeyView{}}
	people := seesOwners(ctx)
	for i := range keys {
		if i == f.Limit-1 {
			out.Next = keys[i-1].ID
			break
		}
		v := s.view(&keys[i])
		if people {
			v.OwnerName = keys[i].Bought.OwnerName
		}
		out.Items = append(out.Items, v)
	}
	return out, nil
}

// narrow lays a wish over what is reachable, and reports that nothing is left when the two disagree.
func narrow[T ~string](reachable *T, wish T) (none bool) {
	if wish == "" || *reachable == wish {
		return false
	}
	none = *reachable != ""
	*reachable = wish
	return none
}

// RotateRequest asks for a new secret.
type RotateRequest struct {
	ID      string `path:"id" doc:"Id of the key."`
	Overlap *int64 `json:"overlap_seconds,omitempty" doc:"How long old secrets still work at most: 0 to 2592000 seconds (30 days); 86400 unless said. 0 ends all of them at once, however many there are."`
}

// The longest overlap of two secrets, and the one unless said, in seconds.
const (
	maxOverlap     = 30 * 24 * 3600
	defaultOverlap = 24 * 3600
)

// Validate refuses an overlap out of bounds.
func (r RotateRequest) Validate() error {
	if r.Overlap != nil && (*r.Overlap < 0 || *r.Overlap > maxOverlap) {
		return licensing.Fail(licensing.Invalid, "invalid", "The overlap is out of bounds.").With("/overlap_seconds", "must be 0 to %d", maxOverlap)
	}
	return nil
}

// Rotate gives a key a new secret; the old one works until the overlap ends. Id, limits, counters and history stay. While the API is switched off,
// for the key's product or for all, nobody gets one.
func (s *Service) Rotate(ctx context.Context, r RotateRequest) (CreateResponse, error) {
	if err := r.Validate(); err != nil {
		return CreateResponse{}, err
	}
	within, err := reach(ctx)
	if err != nil {
		return CreateResponse{}, err
	}
	k, err := s.Store.Key(ctx, r.ID, within)
	if err != nil {
		return CreateResponse{}, err
	}
	if st := k.State(s.Clock.Now()); st == Revoked || st == Expired {
		return CreateResponse{}, ErrNotLive
	}
	if err := s.Switches.Check(ctx, licensing.SwitchAPI, k.ProductID); err != nil {
		return CreateResponse{}, err
	}
	text, secret, err := s.newSecret(k.Env)
	if err != nil {
		return CreateResponse{}, err
	}
	overlap := int64(defaultOverlap)
	if r.Overlap != nil {
		overlap = *r.Overlap
	}
	now := s.Clock.Now()
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		rotation := Rotation{KeyID: k.ID, Reach: within, Fresh: secret, Now: now, Until: now.Add(time.Duration(overlap) * time.Second)}
		if err := s.Store.RotateKey(ctx, rotation); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, text.Full)
		return s.Audit.Record(ctx, licensing.Event{
			Action: "key.rotate", Target: k.ID, Product: k.ProductID, Detail: map[string]any{"overlap_seconds": overlap, "hint": secret.Hint},
		})
	})
	if err != nil {
		return CreateResponse{}, err
	}
	s.Invalidate(k.ID)
	return CreateResponse{Key: s.view(&k), Secret: text.Full}, nil
}
