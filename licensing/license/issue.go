package license

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// IssueSpec says what to issue. Zero ValidUntil, nil Terms, nil Seats and nil Entitlements leave the policy's.
type IssueSpec struct {
	Source      Source
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
	policy, err := s.Policies.Policy(ctx, spec.PolicyID)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", spec.PolicyID, err)
	}
	if policy.ProductID != spec.ProductID {
		return nil, fmt.Errorf("license: policy %s is not of product %s", policy.ID, spec.ProductID)
	}
	if spec.Terms != nil {
		policy.Terms = *spec.Terms
	}
	l, err := s.fresh(spec, policy)
	if err != nil {
		return nil, err
	}
	d := &Draft{}
	if d.Key, err = s.giveKey(&l); err != nil {
		return nil, err
	}
	if err := s.giveToken(ctx, &l); err != nil {
		return nil, err
	}
	d.License = l
	return d, nil
}

// Issue stores a draft in the caller's transaction. It reports false, and stores nothing, when the source already has a
// license. [ErrCollision] asks for a new draft.
func (s *Service) Issue(ctx context.Context, d *Draft) (bool, error) {
	issued, err := s.Store.AddLicense(ctx, d.License)
	if err != nil || !issued {
		return false, err
	}
	l := &d.License
	return true, s.Audit.Record(ctx, licensing.Event{
		Action: "license.issue", Target: l.ID, Product: l.ProductID,
		Detail: map[string]any{"source": l.Source.Kind, "source_id": l.Source.ID, "plan": l.PlanCode, "policy": l.PolicyID, "env": l.Env},
	})
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
	if msg := spec.Entitlements.check(); msg != "" {
		return ErrSource.With("entitlements", "%s", msg)
	}
	return nil
}

// fresh makes the license of a spec under a policy, without key and token.
func (s *Service) fresh(spec IssueSpec, p Policy) (License, error) {
	now, t := s.now(), p.Terms.WithDefaults()
	l := License{
		ID: s.IDs.New("lic"), Source: spec.Source, ProductID: spec.ProductID, ProductSlug: spec.ProductSlug,
		PlanID: spec.PlanID, PlanCode: spec.PlanCode, PolicyID: p.ID, Owner: spec.Owner, Env: spec.Env, Licensee: spec.Licensee,
		State: Active, Terms: t, Entitlements: t.Entitlements.over(spec.Entitlements), Seats: t.Seats.N,
		KeyPrefix: spec.KeyPrefix, Version: 1, CreatedAt: now, UpdatedAt: now,
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
		l.UpdatesUntil = now.Add(seconds(t.UpdatesFor))
	}
	switch {
	case !spec.ValidUntil.IsZero():
		l.StartedAt, l.ValidUntil = now, spec.ValidUntil.UTC().Truncate(time.Second)
	case t.Starts(): // the term waits for the first activation or validation
	case t.Duration > 0:
		l.StartedAt, l.ValidUntil = now, now.Add(seconds(t.Duration))
	case t.Type == doc.Subscription:
		return License{}, errors.New("license: a subscription license needs the instant it is paid through")
	default:
		l.StartedAt = now
	}
	return l, l.signable(ErrSource)
}

// giveKey makes a license key for l, seals it, and returns it in the clear.
func (s *Service) giveKey(l *License) (string, error) {
	key, err := doc.NewLicenseKey(l.KeyPrefix, rand.Reader)
	if err != nil {
		return "", err
	}
	l.KeyLookup = s.lookup(key)
	l.KeyHint = key[len(key)-5:]
	l.KeySealed, err = s.Seal.Seal([]byte(key), keyPlace(l.ID))
	return key, err
}

func keyPlace(id string) string { return "license/" + id + "/key" }
