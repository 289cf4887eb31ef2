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
	RevokedAt  *time.Time      `json:"revoked_at,omitempty" doc:"When it was revoked."`
	CreatedAt  time.Time       `json:"created_at" doc:"When it was issued."`

	ProductName string     `json:"product_name,omitempty" doc:"Name of the product."`
	Order       string     `json:"order,omitempty" doc:"Order that gave the key."`
	Unrevealed  bool       `json:"unrevealed,omitempty" doc:"Whether its text waits to be shown; revealing the keys of the order does."`
	Texts       []TextView `json:"texts,omitempty" doc:"The texts by which the key is good now, the newest first; two while a rotation's overlap lasts. Only for one key."`
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
	Owner     licensing.Owner `json:"owner" doc:"Customer or organisation that will own the key."`
	Product   string          `json:"product" doc:"Id of the product the key opens."`
	Plan      string          `json:"plan,omitempty" doc:"Code of the plan, for the owner's eyes and for limits counted per plan."`
	Env       licensing.Env   `json:"env,omitempty" doc:"Environment, live unless said." enum:"live,test"`
	Name      string          `json:"name" doc:"Name of the key, at most 100 bytes."`
	Scopes    []string        `json:"scopes,omitempty" doc:"Scopes the key carries."`
	AllowFrom []string        `json:"allow_from,omitempty" doc:"Networks the key may be used from, as CIDR or single addresses."`
	Limits    []Limit         `json:"limits,omitempty" doc:"Limits that each verification spends from; none means unlimited."`
	ExpiresAt *time.Time      `json:"expires_at,omitempty" doc:"When the key ends."`
}

// CreateResponse shows a key once.
type CreateResponse struct {
	Key    KeyView `json:"key" doc:"The key without its secret."`
	Secret string  `json:"secret" doc:"The key's text. It is shown only now." secret:"once"`
}

// Create issues a key by hand: staff, the operator, or a machine token for its own product and environment.
func (s *Service) Create(ctx context.Context, r CreateRequest) (CreateResponse, error) {
	within, err := reach(ctx)
	if err != nil {
		return CreateResponse{}, err
	}
	networks, err := parseNetworks(r.AllowFrom)
	if err != nil {
		return CreateResponse{}, err
	}
	spec := IssueSpec{
		Source: Source{Kind: FromStaff}, Owner: r.Owner, ProductID: r.Product, PlanID: r.Plan, PlanCode: r.Plan, Env: r.Env, Name: r.Name,
		Scopes: r.Scopes, AllowFrom: networks, Limits: r.Limits,
	}
	if spec.Env == "" {
		spec.Env = licensing.Live
	}
	if r.ExpiresAt != nil {
		spec.ExpiresAt = *r.ExpiresAt
	}
	if within.Owner != "" || within.Product != "" && within.Product != spec.ProductID || within.Env != "" && within.Env != spec.Env {
		return CreateResponse{}, licensing.Fail(licensing.Forbidden, "forbidden", "You may not issue keys for this product or environment.")
	}
	draft, err := s.Draft(ctx, spec)
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

// CreateAgain answers a replay of Create or Rotate: the key as it stands, with the secret while it is kept.
func (s *Service) CreateAgain(ctx context.Context, id, secret string) (CreateResponse, error) {
	v, err := s.Get(ctx, GetRequest{ID: id})
	return CreateResponse{Key: v, Secret: secret}, err
}

func parseNetworks(texts []string) ([]netip.Prefix, error) {
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

// List returns keys within the caller's reach.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[KeyView], error) {
	within, err := reach(ctx)
	if err != nil {
		return licensing.List[KeyView]{}, err
	}
	f := Filter{Reach: within, After: r.Cursor, Limit: r.Limit}
	if f.Limit <= 0 {
		f.Limit = 20
	}
	f.Limit = min(f.Limit, 100)
	if none := narrow(&f.Owner, r.Owner) || narrow(&f.Product, r.Product) || f.search(r.Query); none {
		return licensing.List[KeyView]{Items: []KeyView{}}, nil
	}
	f.Limit++
	keys, err := s.Store.ListKeys(ctx, f)
	if err != nil {
		return licensing.List[KeyView]{}, err
	}
	out := licensing.List[KeyView]{Items: []KeyView{}}
	for i := range keys {
		if i == f.Limit-1 {
			out.Next = keys[i-1].ID
			break
		}
		out.Items = append(out.Items, s.view(&keys[i]))
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

// RevokeRequest ends a key for good.
type RevokeRequest struct {
	ID     string `path:"id" doc:"Id of the key."`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Validate implements the check of requests.
func (r RevokeRequest) Validate() error { return licensing.CheckReason(r.Reason) }

// RevokeResponse says since when, and how soon everywhere.
type RevokeResponse struct {
	Key           KeyView `json:"key" doc:"The key as it stands."`
	WithinSeconds int     `json:"within_seconds" doc:"The change is in force on every replica within this many seconds." example:"2"`
}

// inForce is how many seconds a change may take to reach every replica.
const inForce = 2

// Revoke ends a key for good, both secrets. Revoking a revoked key changes nothing and succeeds.
func (s *Service) Revoke(ctx context.Context, r RevokeRequest) (RevokeResponse, error) {
	return s.change(ctx, r.ID, "key.revoke", r.Reason, func(ctx context.Context, within Reach, now time.Time) (bool, error) {
		return s.Store.RevokeKey(ctx, r.ID, within, now)
	})
}

// RevokeAgain answers a replay of Revoke, Disable or Enable.
func (s *Service) RevokeAgain(ctx context.Context, id, _ string) (RevokeResponse, error) {
	v, err := s.Get(ctx, GetRequest{ID: id})
	return RevokeResponse{Key: v, WithinSeconds: inForce}, err
}

// Disable stops a key until it is enabled again.
func (s *Service) Disable(ctx context.Context, r RevokeRequest) (RevokeResponse, error) {
	return s.change(ctx, r.ID, "key.disable", r.Reason, func(ctx context.Context, within Reach, now time.Time) (bool, error) {
		return s.Store.SetKeyDisabled(ctx, r.ID, within, true, now)
	})
}

// Enable lets a disabled key work again.
func (s *Service) Enable(ctx context.Context, r RevokeRequest) (RevokeResponse, error) {
	return s.change(ctx, r.ID, "key.enable", r.Reason, func(ctx context.Context, within Reach, now time.Time) (bool, error) {
		return s.Store.SetKeyDisabled(ctx, r.ID, within, false, now)
	})
}

// change runs one change of state with its audit row and answers with the key after it. A change that finds nothing to
// do is recorded too: somebody asked for it.
func (s *Service) change(ctx context.Context, id, action, reason string, do func(context.Context, Reach, time.Time) (bool, error)) (RevokeResponse, error) {
	within, err := reach(ctx)
	if err != nil {
		return RevokeResponse{}, err
	}
	var k Key
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		changed, err := do(ctx, within, s.Clock.Now())
		if err != nil {
			return err
		}
		if k, err = s.Store.Key(ctx, id, within); err != nil {
			return err
		}
		if !changed && action != "key.revoke" && !k.RevokedAt.IsZero() {
			return ErrNotLive
		}
		return s.Audit.Record(ctx, licensing.Event{
			Action: action, Target: k.ID, Product: k.ProductID, Reason: reason, Detail: map[string]any{"changed": changed},
		})
	})
	if err != nil {
		return RevokeResponse{}, err
	}
	s.Invalidate(k.ID)
	return RevokeResponse{Key: s.view(&k), WithinSeconds: inForce}, nil
}

// RotateRequest asks for a new secret.
type RotateRequest struct {
	ID      string `path:"id" doc:"Id of the key."`
	Overlap *int64 `json:"overlap_seconds,omitempty" doc:"How long the old secret still works: 0 to 2592000 seconds (30 days); 86400 unless said."`
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

// Rotate gives a key a new secret; the old one works until the overlap ends. Id, limits, counters and history stay.
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
