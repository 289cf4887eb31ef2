package license

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// IssueSpec says what to issue. Zero ValidUntil, nil Terms, nil Seats and nil Entitlements leave the policy's.
type IssueSpec struct {
	Source      Source
	New         bool // the source was named for this spec, so that DraftMany need not look whether it has a license
	ProductID   string
	ProductSlug string
	KeyPrefix   string // of the license key; "MINT" unless said
	PlanID      string
	PlanCode    string
	PolicyID    string
	Owner       licensing.Owner
	Env         licensing.Env
	Licensee    string

	// Terms, when given, stand in for the policy's: those that were frozen when the license was sold.
	Terms        *Terms
	ValidUntil   time.Time
	Seats        *int64
	Entitlements Entitlements

	// What only a license that was issued elsewhere brings along: its key, which is kept byte for byte, when it was issued, and its
	// state with the reason. Zero means a key of ours, now and active.
	Key      string
	IssuedAt time.Time
	State    State
	Reason   string
}

// Draft is a license made and signed but not stored. Key is the license key in the clear, for the buyer's mail.
type Draft struct {
	License License
	Key     string
}

// ErrSource refuses a spec that does not say why the license exists, or for whom.
var ErrSource = licensing.Fail(licensing.Invalid, "license-spec", "A license needs a source, a product, an owner and an environment.")

// Draft makes a license from a policy: id, key, token, all signed and sealed. It reads but writes nothing, and belongs before
// the transaction. It refuses while licensing is switched off for all or for the product.
func (s *Service) Draft(ctx context.Context, spec IssueSpec) (*Draft, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if err := s.Switches.Check(ctx, licensing.SwitchLicensing, spec.ProductID); err != nil {
		return nil, err
	}
	policy, err := s.policies.Get(ctx, spec.PolicyID, s.Policies.Policy)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", spec.PolicyID, err)
	}
	if policy.ProductID != spec.ProductID {
		return nil, fmt.Errorf("license: policy %s is not of product %s", policy.ID, spec.ProductID)
	}
	at, err := s.indexes.draw(ctx)
	if err != nil {
		return nil, err
	}
	return s.draft(ctx, spec, policy, at)
}

// draft makes the license of a spec under its policy, with a place in a status list.
func (s *Service) draft(ctx context.Context, spec IssueSpec, policy Policy, at slot) (*Draft, error) {
	l, err := s.fresh(spec, policy)
	if err != nil {
		return nil, err
	}
	key := spec.Key
	if key == "" {
		key, err = s.giveKey(&l)
	} else {
		err = s.keepKey(&l, key)
	}
	if err != nil {
		return nil, err
	}
	if err := s.tokenAt(ctx, &l, at); err != nil {
		return nil, err
	}
	return &Draft{License: l, Key: key}, nil
}

// Issue stores a draft in the caller's transaction. It reports false, and stores nothing, when the source already has a
// license. [ErrCollision] asks for a new draft.
func (s *Service) Issue(ctx context.Context, d *Draft) (bool, error) {
	added, err := s.Store.AddLicense(ctx, d.License)
	if err == nil && added {
		err = s.noteTrial(ctx, &d.License)
	}
	if err != nil || !added {
		return false, err
	}
	return true, s.Audit.Record(ctx, issued(&d.License))
}

// issued is the event of a license that was issued.
func issued(l *License) licensing.Event {
	return licensing.Event{
		Action: "license.issue", Target: l.ID, Product: l.ProductID,
		Detail: map[string]any{"source": l.Source.Kind, "source_id": l.Source.ID, "plan": l.PlanCode, "policy": l.PolicyID, "env": l.Env},
	}
}

func (spec *IssueSpec) check() error {
	switch spec.Source.Kind {
	case FromOrderUnit, FromGrant, FromImport, FromTrial:
	default:
		return ErrSource
	}
	if spec.Source.ID == "" || spec.ProductID == "" || spec.ProductSlug == "" || spec.Owner == "" || !spec.Env.Valid() {
		return ErrSource
	}
	if spec.Seats != nil && (*spec.Seats < 0 || *spec.Seats > maxSeats) {
		return ErrSource.With("seats", "must be 0 to %d", maxSeats)
	}
	switch spec.State {
	case "", Active, Suspended, Revoked:
	default:
		return ErrSource.With("state", "must be active, suspended or revoked")
	}
	if msg := spec.Entitlements.check(); msg != "" {
		return ErrSource.With("entitlements", "%s", msg)
	}
	return nil
}

// Promise reports what would keep a license from being issued under terms, with what a sale lays over them, at an instant: as an [ErrSource] with
// fields. Who sells asks before anybody pays.
func Promise(t Terms, seats *int64, over Entitlements, now time.Time) error {
	spec := IssueSpec{Source: Source{Kind: FromOrderUnit, ID: "promise"}, ProductID: "promise", ProductSlug: "promise", Owner: "promise", Env: licensing.Live,
		Terms: &t, Seats: seats, Entitlements: over}
	if err := spec.check(); err != nil {
		return err
	}
	_, err := spec.license(Policy{}, "promise", now)
	return err
}

// fresh makes the license of a spec under a policy, without key and token.
func (s *Service) fresh(spec IssueSpec, p Policy) (License, error) {
	return spec.license(p, s.IDs.New("lic"), s.now())
}

func (spec *IssueSpec) license(p Policy, id string, now time.Time) (License, error) {
	t := p.Terms.WithDefaults()
	if spec.Terms != nil {
		t = spec.Terms.WithDefaults()
	}
	l := License{
		ID: id, Source: spec.Source, ProductID: spec.ProductID, ProductSlug: spec.ProductSlug,
		PlanID: spec.PlanID, PlanCode: spec.PlanCode, PolicyID: p.ID, Owner: spec.Owner, Env: spec.Env, Licensee: spec.Licensee,
		State: Active, Reason: spec.Reason, Terms: t, Entitlements: t.Entitlements.over(spec.Entitlements), Seats: t.Seats.N,
		KeyPrefix: spec.KeyPrefix, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	from := now // when the term begins that the policy gives
	if !spec.IssuedAt.IsZero() {
		from = spec.IssuedAt.UTC().Truncate(time.Second)
		l.CreatedAt = from
	}
	if spec.State != "" {
		l.State = spec.State
	}
	switch l.State {
	case Revoked:
		l.RevokedAt = now
	case Suspended:
		l.HeldAt = now
	}
	if spec.Seats != nil {
		l.Seats = *spec.Seats
	}
	if l.KeyPrefix == "" {
		l.KeyPrefix = doc.DefaultKeyPrefix
	}
	if l.PlanCode == "" {
		l.PlanCode = p.Code
	}
	l.SeatsMax = t.SeatsMax(l.Seats)
	if t.UpdatesFor > 0 {
		l.UpdatesUntil = from.Add(seconds(t.UpdatesFor))
	}
	switch {
	case !spec.ValidUntil.IsZero():
		l.StartedAt, l.ValidUntil = from, spec.ValidUntil.UTC().Truncate(time.Second)
	case t.Starts(): // the term waits for the first activation or validation
	case t.Duration > 0:
		l.StartedAt, l.ValidUntil = from, from.Add(seconds(t.Duration))
	case t.Type == doc.Subscription:
		return License{}, ErrSource.With("/valid_until", "is missing; a subscription license needs the instant it is paid through")
	default:
		l.StartedAt = from
	}
	return l, l.signable(ErrSource)
}

// giveKey makes a license key for l, seals it, and returns it in the clear.
func (s *Service) giveKey(l *License) (string, error) {
	key, err := doc.NewLicenseKey(l.KeyPrefix, rand.Reader)
	if err != nil {
		return "", err
	}
	return key, s.keepKey(l, key)
}

// keepKey seals a key as l's. Text of the shape of our keys is looked up as we write it, any other byte for byte. Whoever knew the key before, and
// the tokens given out by it, is to learn nothing of what follows.
func (s *Service) keepKey(l *License, key string) (err error) {
	l.Token.parted = true
	l.KeyLookup = s.keyLookup(key)
	l.KeyHint = hint(key)
	l.KeySealed, err = s.Seal.Seal([]byte(key), keyPlace(l.ID))
	return err
}

// hint is the end of a key, by which people tell keys apart: five characters, of a short key fewer than half of it.
func hint(key string) string {
	runes := []rune(key)
	return strings.ToUpper(string(runes[len(runes)-min(5, len(runes)/2):]))
}

func keyPlace(id string) string { return "license/" + id + "/key" }
