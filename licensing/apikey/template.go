package apikey

import (
	"context"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Template is what the keys of a plan are like, beyond the one that is sold with it: an owner of the plan may make Most more.
type Template struct {
	PlanID    string
	ProductID string
	PlanCode  string
	Scopes    []string
	Limits    []Limit
	Credits   *CreditsSpec
	Days      int64 // how long they last; 0 for ever
	Most      int64
	OnLeak    OnLeak
	UpdatedAt time.Time
}

// Base is a good key that was bought, by which its owner may make others of the plan.
type Base struct {
	Key   Key
	Made  int64 // good keys of the plan that the owner made
	Title string
	// Template is set by [TemplateStore.Bases].
	Template Template
}

// Place is where one key after another is made by the plan of the key bought: the first of them and the newest. There are as many as the plan
// allows keys, so that who ends a key and makes another has what the plan gives to one key, and not to two.
type Place struct{ First, Newest string }

// TemplateStore keeps templates, and tells who may make keys by them.
type TemplateStore interface {
	// PutTemplate stores the template of a plan, or returns [licensing.ErrNotFound] when there is no such plan.
	PutTemplate(ctx context.Context, t Template) error
	// Template returns the template of a plan, or [licensing.ErrNotFound].
	Template(ctx context.Context, planID string) (Template, error)
	FamilyStore
	// HoldBase holds the owner's family and returns the key bought that lets him make keys of a plan in an environment, with its row
	// locked, and how many he has made; [licensing.ErrNotFound] without one.
	HoldBase(ctx context.Context, owner licensing.Owner, planID string, env licensing.Env, now time.Time) (Base, error)
	// FreePlace returns the place that a key made by a base, which is held, takes: empty while fewer than most were ever taken, and then the one
	// that was taken first of those whose keys are over; [licensing.ErrNotFound] without one.
	FreePlace(ctx context.Context, baseID string, most int64, now time.Time) (Place, error)
	// Newest returns the newest key in the place of a key, itself when it is that.
	Newest(ctx context.Context, keyID string) (string, error)
	// Bases returns the plans of which an owner may make keys, with their templates.
	Bases(ctx context.Context, owner licensing.Owner, now time.Time) ([]Base, error)
}

// TemplateView is a template as callers see it.
type TemplateView struct {
	Plan    string       `json:"plan" doc:"Id of the plan."`
	Scopes  []string     `json:"scopes" doc:"Scopes that keys may carry."`
	Limits  []Limit      `json:"limits" doc:"Limits that every key has."`
	Credits *CreditsSpec `json:"credits,omitempty" doc:"Credits that a key starts with. One that is made in the place of a key that is over goes on with what that one had left."`
	Days    int64        `json:"days,omitempty" doc:"How many days a key lasts; for ever unless said."`
	Most    int64        `json:"most" doc:"How many keys an owner of the plan may make besides the one bought."`
	OnLeak  OnLeak       `json:"on_leak" doc:"What becomes of a key whose text is found in public." enum:"revoke,rotate"`
}

func (t *Template) view() TemplateView {
	return TemplateView{Plan: t.PlanID, Scopes: append([]string{}, t.Scopes...), Limits: append([]Limit{}, t.Limits...), Credits: t.Credits, Days: t.Days, Most: t.Most, OnLeak: t.OnLeak}
}

// PutTemplateRequest says what the keys of a plan are like.
type PutTemplateRequest struct {
	ID      string       `path:"id" doc:"Id of the plan."`
	Scopes  []string     `json:"scopes,omitempty" doc:"Scopes that keys may carry."`
	Limits  []Limit      `json:"limits,omitempty" doc:"Limits that every key has, besides those its maker gives it."`
	Credits *CreditsSpec `json:"credits,omitempty" doc:"Credits that a key starts with. One that is made in the place of a key that is over goes on with what that one had left."`
	Days    int64        `json:"days,omitempty" doc:"How many days a key lasts, at most 3660; for ever unless said."`
	Most    int64        `json:"most" doc:"How many keys an owner of the plan may make besides the one bought, 0 to 1000." example:"10"`
	OnLeak  OnLeak       `json:"on_leak,omitempty" doc:"What becomes of a key whose text is found in public: it is revoked, unless said, or only that text ends after a day." enum:"revoke,rotate"`
}

func (r *PutTemplateRequest) template(now time.Time) (Template, error) {
	t := Template{PlanID: r.ID, Scopes: r.Scopes, Credits: r.Credits, Days: r.Days, Most: r.Most, OnLeak: r.OnLeak, UpdatedAt: now}
	for _, l := range r.Limits {
		t.Limits = append(t.Limits, l.normal())
	}
	if t.OnLeak == "" {
		t.OnLeak = RevokeOnLeak
	}
	e := licensing.Fail(licensing.Invalid, "invalid", "The template cannot be kept as it stands.")
	for _, c := range []struct{ at, bad string }{{"/scopes", badScope(t.Scopes)}, {"/limits", badLimit(t.Limits)}, {"/credits", t.Credits.bad()}} {
		if c.bad != "" {
			e = e.With(c.at, "%s", c.bad)
		}
	}
	if t.Days < 0 || t.Days > 3660 {
		e = e.With("/days", "must be 0 to 3660")
	}
	if t.Most < 0 || t.Most > 1000 {
		e = e.With("/most", "must be 0 to 1000")
	}
	if !t.OnLeak.valid() {
		e = e.With("/on_leak", "must be revoke or rotate")
	}
	if len(e.Fields) > 0 {
		return t, e
	}
	return t, nil
}

// PutTemplate says what keys of a plan are like from now on. Keys that are there stay as they are.
func (s *Service) PutTemplate(ctx context.Context, r PutTemplateRequest) (TemplateView, error) {
	t, err := r.template(s.Clock.Now())
	if err != nil {
		return TemplateView{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Templates.PutTemplate(ctx, t); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "key.template", Target: t.PlanID, Detail: t.view()})
	})
	return t.view(), err
}

// TemplateRequest names a plan.
type TemplateRequest struct {
	ID string `path:"id" doc:"Id of the plan."`
}

// Template returns what keys of a plan are like.
func (s *Service) Template(ctx context.Context, r TemplateRequest) (TemplateView, error) {
	t, err := s.Templates.Template(ctx, r.ID)
	if err == nil && !licensing.ActorFrom(ctx).Reaches(t.ProductID) {
		return TemplateView{}, licensing.ErrNotFound
	}
	return t.view(), err
}

// OptionView is a plan of which the caller may make keys.
type OptionView struct {
	Template TemplateView  `json:"template" doc:"What its keys are like."`
	Product  string        `json:"product" doc:"Id of the product."`
	Name     string        `json:"name" doc:"Name of the product and code of the plan."`
	Env      licensing.Env `json:"env" doc:"Environment of its keys." enum:"live,test"`
	Left     int64         `json:"left" doc:"How many more keys may be made."`
}

// Options answers of which plans the caller may make keys himself.
func (s *Service) Options(ctx context.Context, _ struct{}) (licensing.List[OptionView], error) {
	out := licensing.List[OptionView]{Items: []OptionView{}}
	within, err := reach(ctx)
	if err != nil || within.Owner == "" {
		return out, err
	}
	bases, err := s.Templates.Bases(ctx, within.Owner, s.Clock.Now())
	if err != nil {
		return out, err
	}
	for _, b := range bases {
		out.Items = append(out.Items, OptionView{Template: b.Template.view(), Product: b.Key.ProductID, Name: b.Title + " " + b.Key.PlanCode, Env: b.Key.Env, Left: max(0, b.Template.Most-b.Made)})
	}
	return out, nil
}

// ErrKeysUsedUp refuses one more key than a plan allows.
var ErrKeysUsedUp = licensing.Fail(licensing.Conflict, "keys-used-up", "Your plan does not allow for another key. Revoke one that is not needed, or rotate it.")

// errNoPlan refuses keys of a plan that the caller does not have, or of which keys are not made by owners.
var errNoPlan = licensing.Fail(licensing.Forbidden, "no-such-plan", "Keys can be made for plans that you have bought and that allow it.")

// createOwn makes a key for a customer by the template of a plan that he has bought: never more than the plan allows, however many ask at
// once, since his family is held while they are counted.
func (s *Service) createOwn(ctx context.Context, r CreateRequest, owner licensing.Owner) (CreateResponse, error) {
	t, err := s.Templates.Template(ctx, r.Plan)
	if licensing.KindOf(err) == licensing.NotFound {
		return CreateResponse{}, errNoPlan
	}
	if err != nil {
		return CreateResponse{}, err
	}
	if r.Credits != nil || r.OnLeak != "" || r.Member != "" || r.Owner != "" && r.Owner != owner || r.Product != "" && r.Product != t.ProductID {
		return CreateResponse{}, licensing.Fail(licensing.Forbidden, "forbidden", "Owner, product, member, credits and what happens on a leak are the plan's to say.")
	}
	spec, err := r.spec()
	if err != nil {
		return CreateResponse{}, err
	}
	for _, sc := range spec.Scopes {
		if !slices.Contains(t.Scopes, sc) {
			return CreateResponse{}, ErrSpec.With("scopes", "%q is not among the scopes of the plan", sc)
		}
	}
	for _, l := range r.Limits {
		if l.Per != "" && l.Per != PerKey { // on a counter of the plan's it would have a say in what the plan gives
			return CreateResponse{}, ErrSpec.With("limits", "a limit of your own is per key; what keys share is the plan's to say")
		}
	}
	now := s.Clock.Now()
	if last := now.Add(time.Duration(t.Days) * 24 * time.Hour); t.Days > 0 && (spec.ExpiresAt.IsZero() || spec.ExpiresAt.After(last)) {
		spec.ExpiresAt = last
	}
	spec.Owner, spec.ProductID, spec.PlanID, spec.PlanCode, spec.OnLeak, spec.Credits = owner, t.ProductID, t.PlanID, t.PlanCode, t.OnLeak, t.Credits
	spec.Limits = append(slices.Clone(t.Limits), r.Limits...)
	if a := licensing.ActorFrom(ctx); a.Org != "" {
		spec.Member = a.ID
	}
	spec.Source = Source{Kind: FromStaff}
	draft, err := s.Draft(ctx, spec)
	if err != nil {
		return CreateResponse{}, err
	}
	var ends time.Time
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		base, err := s.Templates.HoldBase(ctx, owner, t.PlanID, spec.Env, now)
		if licensing.KindOf(err) == licensing.NotFound {
			return errNoPlan
		}
		if err != nil {
			return err
		}
		if base.Made >= t.Most {
			return ErrKeysUsedUp
		}
		k := &draft.Key
		k.Source, k.ParentID, ends = Source{Kind: FromGrant, ID: base.Key.ID + "/" + k.ID}, base.Key.ID, base.Key.ExpiresAt
		if err := s.place(ctx, draft, t.Most, now); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, draft.Text.Full)
		_, err = s.Issue(ctx, draft)
		return err
	})
	if err != nil {
		return CreateResponse{}, err
	}
	draft.Key.EndWith(ends)
	return CreateResponse{Key: s.view(&draft.Key), Secret: draft.Text.Full}, nil
}

// place gives a key that its owner makes its place. In that of one that is over it goes on with what was left of the credits, and with what was
// counted.
func (s *Service) place(ctx context.Context, d *Draft, most int64, now time.Time) error {
	place, err := s.Templates.FreePlace(ctx, d.Key.ParentID, most, now)
	if licensing.KindOf(err) == licensing.NotFound {
		return ErrKeysUsedUp
	}
	if err != nil || place.First == "" {
		return err
	}
	d.Key.CountsAs = place.First
	if d.credits == nil {
		return nil
	}
	held, err := s.Credits.HoldCredits(ctx, []string{place.Newest})
	if err != nil || len(held) == 0 { // staff have let the one before go on without
		return err
	}
	left := held[0]
	left.at(now)
	credits := *d.credits
	credits.Balance, d.credits = left.Balance, &credits
	return s.Credits.SaveCredits(ctx, []Credits{{KeyID: left.KeyID}})
}
