package apikey

import (
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/licensing/combine"
)

// Deps is what a [Service] is made of. The stores, Limiter, Clock, IDs, Tx, Audit and Switches are required.
type Deps struct {
	Store     Store
	Changer   Changer
	Credits   CreditStore
	Uses      UseStore
	Templates TemplateStore
	Holds     HoldStore
	Imports   ImportStore // nil takes no keys of other systems
	Limiter   Limiter
	Clock     licensing.Clock
	IDs       licensing.IDs
	Tx        licensing.Transactor
	Audit     licensing.Auditor
	Switches  Switches
	// Prefix starts every key's text, "mtr" unless said.
	Prefix string
	// Random is where secrets come from, crypto/rand unless said.
	Random io.Reader
	// FeedAlive reports whether changes made elsewhere arrive; while it says no, every verification reads the database. Nil
	// means always.
	FeedAlive func() bool
	// From is the address that the call under way comes from, "" in process; nil is the same.
	From func(context.Context) string
	// Known reports whether an owner and a product are there, for keys that are made by hand. Nil takes everybody's word.
	Known func(ctx context.Context, owner licensing.Owner, product string) (ownerThere, productThere bool, err error)
	// Leaked queues the mail to the owner of a key whose text was found in public and ends at an instant. It is called in the
	// transaction. Nil tells nobody.
	Leaked func(ctx context.Context, k Key, ends time.Time) error
}

// Switches is what this package asks of the kill switches. Issuing stops with the api switch, for all or for the product; verifying
// goes on when it is off for all, and answers [SwitchedOff] only to a press on the product itself.
type Switches interface {
	licensing.Switches
	// CheckProduct is Check for the press on one product alone.
	CheckProduct(ctx context.Context, s licensing.Switch, product string) error
}

// Service issues, changes and verifies API keys. It is safe for concurrent use.
type Service struct {
	Deps
	format credential.Format
	cache  *credential.Cache[*Record]
	// guesses counts, by address, the texts that were looked up and not found.
	guesses  *credential.Guesses
	treasury combine.Group[*moves]
	foreign  foreign
	refusals refusals
	traces   traces
}

// New makes a Service. It fails on a prefix that a key could not start with.
func New(d Deps) (*Service, error) {
	if d.Prefix == "" {
		d.Prefix = "mtr"
	}
	s := &Service{Deps: d, format: credential.Format{Prefix: d.Prefix}, guesses: credential.NewGuesses(d.Clock)}
	if err := s.format.Validate(); err != nil {
		return nil, err
	}
	s.foreign.known.Fresh = func() bool { return d.FeedAlive == nil || d.FeedAlive() }
	s.cache = credential.NewCache[*Record](credential.CacheConfig{Clock: d.Clock, Trusted: d.FeedAlive})
	return s, nil
}

// Format is the form of the installation's keys.
func (s *Service) Format() credential.Format { return s.format }

// Invalidate drops what is cached of the key with the given id, or everything for "". The change feed calls it with ids of kind
// "api_key".
func (s *Service) Invalidate(id string) {
	s.refusals.forget(id)
	s.foreign.known.Forget("")
	if id == "" {
		s.cache.Reset()
		return
	}
	if !s.cache.Invalidate(id) {
		s.cache.ForgetMisses() // its text may have been asked for before it was imported
	}
}

// IssueSpec says what to issue. A zero ExpiresAt means never; no Limits means unlimited.
type IssueSpec struct {
	Source    Source
	Owner     licensing.Owner
	ProductID string
	PlanID    string
	PlanCode  string
	Env       licensing.Env
	Name      string
	Member    string
	Metadata  map[string]string
	Scopes    []string
	AllowFrom []netip.Prefix
	Limits    []Limit
	Credits   *CreditsSpec
	OnLeak    OnLeak // [RevokeOnLeak] unless said
	ExpiresAt time.Time
}

// Draft is a key made but not stored. Text is the key in clear, for the buyer's mail or the one answer that shows it.
type Draft struct {
	Key     Key
	Text    credential.Text
	secret  Secret
	credits *CreditsSpec
	held    bool // by staff from the beginning
}

// Draft makes id and secret of a key. It touches no database and belongs before the transaction.
func (s *Service) Draft(ctx context.Context, spec IssueSpec) (*Draft, error) {
	if err := s.Switches.Check(ctx, licensing.SwitchAPI, spec.ProductID); err != nil {
		return nil, err
	}
	k, err := s.describe(spec)
	if err != nil {
		return nil, err
	}
	text, secret, err := s.newSecret(k.Env)
	if err != nil {
		return nil, err
	}
	return &Draft{Key: k, Text: text, secret: secret, credits: spec.Credits}, nil
}

// describe is the key that a spec asks for, with an id of its own.
func (s *Service) describe(spec IssueSpec) (Key, error) {
	now := s.Clock.Now()
	k := Key{
		ID: s.IDs.New("key"), Source: spec.Source, Owner: spec.Owner, ProductID: spec.ProductID, PlanID: spec.PlanID, PlanCode: spec.PlanCode,
		Env: spec.Env, Name: spec.Name, Scopes: spec.Scopes, AllowFrom: spec.AllowFrom, ExpiresAt: spec.ExpiresAt.UTC().Truncate(time.Microsecond),
		Member: spec.Member, Metadata: spec.Metadata, OnLeak: spec.OnLeak, Rationed: spec.Credits != nil, CreatedAt: now, UpdatedAt: now,
	}
	if k.OnLeak == "" {
		k.OnLeak = RevokeOnLeak
	}
	if spec.ExpiresAt.IsZero() {
		k.ExpiresAt = time.Time{}
	}
	if spec.Source.Kind == FromStaff && spec.Source.ID == "" {
		k.Source.ID = k.ID
	}
	for _, l := range spec.Limits {
		k.Limits = append(k.Limits, l.normal())
	}
	return k, k.check(now, spec.Credits)
}

// Issue stores a draft in the caller's transaction. It reports false, and stores nothing, when the source already has a key.
func (s *Service) Issue(ctx context.Context, d *Draft) (issued bool, err error) {
	issued, err = s.Store.AddKey(ctx, d.Key, d.secret)
	if err != nil || !issued {
		return false, err
	}
	k := &d.Key
	if d.credits != nil {
		if err := s.Credits.SaveCredits(ctx, []Credits{d.credits.of(k.ID, k.CreatedAt)}); err != nil {
			return false, err
		}
	}
	if k.bought() {
		if err := s.adopt(ctx, k); err != nil {
			return false, err
		}
	}
	if d.held {
		if _, err := s.Store.SetKeyStopped(ctx, k.ID, Reach{}, ByStaff, true, k.CreatedAt); err != nil {
			return false, err
		}
	}
	return true, s.Audit.Record(ctx, licensing.Event{
		Action: "key.issue", Target: k.ID, Product: k.ProductID,
		Detail: map[string]any{"owner": k.Owner, "source": k.Source.Kind, "source_id": k.Source.ID, "plan": k.PlanCode, "env": k.Env, "scopes": k.Scopes, "limits": k.Limits, "counts_as": k.CountsAs},
	})
}

func (s *Service) newSecret(env licensing.Env) (credential.Text, Secret, error) {
	text, err := s.format.New(env, s.Random)
	if err != nil {
		return credential.Text{}, Secret{}, err
	}
	return text, Secret{ID: s.IDs.New("sec"), Hint: text.Hint, Digest: credential.Sum(text.Full), CreatedAt: s.Clock.Now()}, nil
}

const (
	maxID       = 200 // bytes of what names an owner, a product, a plan or a person: what is longer fits into no index
	maxScopes   = 32
	maxNetworks = 64
	maxName     = 100
	maxMetadata = 32
	maxMetaText = 200
)

// check returns [ErrSpec] with every field that is wrong.
func (k *Key) check(now time.Time, credits *CreditsSpec) error {
	e := ErrSpec
	if k.Source.Kind == "" || k.Source.ID == "" {
		e = e.With("source", "must say why the key exists")
	}
	if k.Owner == "" || len(k.Owner) > maxID {
		e = e.With("owner", "must be a customer or an organisation")
	}
	if k.ProductID == "" || len(k.ProductID) > maxID {
		e = e.With("product", "must be a product")
	}
	if len(k.PlanID) > maxID || len(k.PlanCode) > maxID {
		e = e.With("plan", "must have at most %d bytes", maxID)
	}
	if len(k.Member) > maxID {
		e = e.With("member", "must be a person")
	}
	if !k.Env.Valid() {
		e = e.With("env", "must be live or test")
	}
	if len(k.Name) > maxName {
		e = e.With("name", "must have at most %d bytes", maxName)
	}
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		e = e.With("expires_at", "must lie in the future")
	}
	if len(k.AllowFrom) > maxNetworks {
		e = e.With("allow_from", "must have at most %d networks", maxNetworks)
	}
	if len(k.Metadata) > maxMetadata {
		e = e.With("metadata", "must have at most %d members", maxMetadata)
	}
	for name, text := range k.Metadata {
		if !limitName.MatchString(name) || len(text) > maxMetaText {
			e = e.With("metadata", "names are 1 to 32 of a-z, 0-9, _ and -, texts at most %d bytes", maxMetaText)
			break
		}
	}
	if !k.OnLeak.valid() {
		e = e.With("on_leak", "must be revoke or rotate")
	}
	if bad := credits.bad(); bad != "" {
		e = e.With("credits", "%s", bad)
	}
	if bad := badScope(k.Scopes); bad != "" {
		e = e.With("scopes", "%s", bad)
	}
	if bad := badLimit(k.Limits); bad != "" {
		e = e.With("limits", "%s", bad)
	}
	if len(e.Fields) > 0 {
		return e
	}
	return nil
}

func badLimit(limits []Limit) string {
	if len(limits) > maxLimits {
		return "must be at most 8"
	}
	seen := map[string]bool{}
	for _, l := range limits {
		if !l.valid() {
			return "each needs a name of a-z, 0-9, _ and - and a count, and either seconds and a burst that fit in 366 days, or every with hour, day, week, month or year and the name of a time zone"
		}
		if seen[l.Name] {
			return "names must differ"
		}
		seen[l.Name] = true
	}
	return ""
}
