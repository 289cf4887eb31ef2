package license

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// ErrRepolicy refuses a policy that the license cannot go over to; its fields say why.
var ErrRepolicy = licensing.Fail(licensing.Conflict, "license-repolicy", "The license cannot go over to this policy; see the fields.")

// Change is one thing that a new policy makes different.
type Change struct {
	Name string `json:"name" doc:"What changes: a member of the terms, or seats, valid_until, updates_until and entitlements of the license." example:"terms/grace"`
	From string `json:"from" doc:"As it is, in JSON; empty when there was none." example:"604800"`
	To   string `json:"to" doc:"As it would be, in JSON; empty when it goes away." example:"1209600"`
}

// Notice is what a new policy brings about that its differences do not tell.
type Notice struct {
	Code   string `json:"code" doc:"endless-leases: devices hold leases that never end, and none of them can be taken back while its device stays offline. override-dropped: what was said of this license alone goes away." enum:"endless-leases,override-dropped"`
	Detail string `json:"detail" doc:"What it is, for people." example:"The end of the feature export goes away with the feature."`
}

// RepolicyLookRequest asks what a policy would change.
type RepolicyLookRequest struct {
	ID     string `path:"id" doc:"The license."`
	Policy string `query:"policy" doc:"The policy to go over to; the license's own, as it is now, unless said."`
}

// RepolicyView is what a policy would change.
type RepolicyView struct {
	License       string   `json:"license" doc:"The license."`
	Policy        string   `json:"policy" doc:"The policy."`
	PolicyName    string   `json:"policy_name" doc:"Its name."`
	Version       int64    `json:"version" doc:"Version of the license that was looked at; license.repolicy wants it."`
	PolicyVersion int64    `json:"policy_version" doc:"Version of the policy that was looked at; license.repolicy wants it."`
	Changes       []Change `json:"changes" doc:"What changes, by name; empty when nothing does."`
	Notices       []Notice `json:"notices" doc:"What else to know before: what it cannot change, and what goes away that was said of this license alone."`

	Product   string          `json:"product" doc:"Product of both."`
	Owner     licensing.Owner `json:"owner" doc:"Who has the license."`
	Licensee  string          `json:"licensee,omitempty" doc:"Name that the license shows."`
	Was       string          `json:"was" doc:"The policy under which the license is now."`
	SeatsUsed int64           `json:"seats_used" doc:"Seats of the license that are held, and stay so."`
}

// LookRepolicy tells what changes if a license goes over to a policy. It changes nothing.
func (s *Service) LookRepolicy(ctx context.Context, r RepolicyLookRequest) (RepolicyView, error) {
	before, after, p, err := s.repoliced(ctx, r.ID, r.Policy)
	if err != nil {
		return RepolicyView{}, err
	}
	notices, err := s.notices(ctx, &before, &after)
	if err != nil {
		return RepolicyView{}, err
	}
	return RepolicyView{License: before.ID, Policy: p.ID, PolicyName: p.Name, Version: before.Version, PolicyVersion: p.Version,
		Changes: changes(&before, &after), Notices: notices, Product: before.ProductID, Owner: before.Owner, Licensee: before.Licensee, Was: before.PolicyID, SeatsUsed: before.SeatsUsed}, nil
}

// RepolicyRequest puts a license under a policy as it is now.
type RepolicyRequest struct {
	ID            string `path:"id" doc:"The license."`
	Policy        string `json:"policy,omitempty" doc:"The policy to go over to; the license's own, as it is now, unless said."`
	Version       int64  `json:"version" doc:"The version of the license that was looked at; another one refuses the change."`
	PolicyVersion int64  `json:"policy_version" doc:"The version of the policy that was looked at; another one refuses the change."`
	Reason        string `json:"reason" doc:"Why, for the audit trail."`
}

// Validate checks the form.
func (r RepolicyRequest) Validate() error {
	c := &checker{err: ErrChange}
	c.that(r.Reason != "" && len(r.Reason) <= maxReason, "/reason", "say why, in at most %d bytes", maxReason)
	c.that(r.Version > 0, "/version", "must be that of the license that was looked at")
	c.that(r.PolicyVersion > 0, "/policy_version", "must be that of the policy that was looked at")
	return c.result()
}

// Repolicy freezes a policy, as it is now, into a license in place of the terms that it has. What was said of the license alone stays:
// its seats, features, newest version and ends where they differ from the old policy. The term goes on where the new policy has one; the
// suspension at the end of a term ends where the new one is not over. The old token is
// invalid from then on; products get the new one with their next contact, and the seats that are held stay.
func (s *Service) Repolicy(ctx context.Context, r RepolicyRequest) (View, error) {
	if err := r.Validate(); err != nil {
		return View{}, err
	}
	before, after, p, err := s.repoliced(ctx, r.ID, r.Policy)
	if err != nil {
		return View{}, err
	}
	if before.Version != r.Version || p.Version != r.PolicyVersion {
		return View{}, ErrChanged
	}
	old := before.Token.JTI
	if err := s.redraw(ctx, &after); err != nil {
		return View{}, err
	}
	names := []string{}
	for _, c := range changes(&before, &after) {
		names = append(names, c.Name)
	}
	var dies, lent time.Time
	if n := after.Terms.DeadAfter; n > 0 {
		dies = after.UpdatedAt.Add(seconds(n))
	}
	if after.Terms.Seats.Floating {
		lent = after.UpdatedAt
	}
	if err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		was, _, err := s.lift(ctx, &after, true)
		if err != nil {
			return err
		}
		if err := s.resave(ctx, &after, was, old); err != nil {
			return err
		}
		if err := s.Seating.RetimeSeats(ctx, after.ID, dies, lent); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "license.repolicy", Target: after.ID, Product: after.ProductID, Reason: r.Reason,
			Detail: map[string]any{"from": before.PolicyID, "to": p.ID, "version": p.Version, "changes": names}})
	}); err != nil {
		return View{}, err
	}
	return s.view(ctx, after.ID)
}

// repoliced is a license as it is and as it would be under a policy, "" for its own.
func (s *Service) repoliced(ctx context.Context, id, policy string) (before, after License, p Policy, err error) {
	if before, err = s.load(ctx, id); err != nil {
		return before, after, p, err
	}
	if policy == "" {
		policy = before.PolicyID
	}
	if p, err = s.policy(ctx, policy); err != nil {
		return before, after, p, err
	}
	switch {
	case before.State == Revoked:
		err = ErrState
	case p.ProductID != before.ProductID:
		err = ErrRepolicy.With("/policy", "is of another product")
	default:
		after, err = before.under(p, s.now())
	}
	return before, after, p, err
}

// under is l with the terms of p in place of its own.
func (l *License) under(p Policy, now time.Time) (License, error) {
	out, was, t := *l, l.Terms, p.Terms.WithDefaults()
	out.PolicyID, out.Terms = p.ID, t
	if t.Seats.By != was.Seats.By && l.SeatsUsed > 0 {
		return out, ErrRepolicy.With("/policy", "its seats are taken by the %s, those of the license by the %s; release them first", t.Seats.By, was.Seats.By)
	}
	if l.Seats == was.Seats.N {
		out.Seats = t.Seats.N
	}
	out.SeatsMax = t.SeatsMax(out.Seats)
	out.Entitlements = t.Entitlements.over(nil)
	for name, value := range l.Entitlements {
		if had, ok := was.Entitlements[name]; !ok || had != value {
			out.Entitlements[name] = value // said of this license alone
		}
	}
	for name := range was.Entitlements {
		if _, ok := l.Entitlements[name]; !ok {
			delete(out.Entitlements, name) // taken away from this license alone
		}
	}
	out.EntUntil = maps.Clone(l.EntUntil)
	maps.DeleteFunc(out.EntUntil, func(name string, _ int64) bool { _, has := out.Entitlements[name]; return !has })
	out.cover(t.MaxVersion, t.MaxVersion)
	if l.PolicyVersion != nil {
		out.cover(t.MaxVersion, was.MaxVersion)
	}
	if t.UpdatesFor != was.UpdatesFor {
		out.UpdatesUntil = l.updatesUnder(t.UpdatesFor)
	}
	switch {
	case t.Type == doc.Perpetual:
		out.StartedAt, out.ValidUntil, out.TermAdded = earliest(l.StartedAt, now), time.Time{}, 0
	case !l.ValidUntil.IsZero(): // what was paid for goes on
	case t.Starts():
		out.StartedAt = time.Time{}
	case t.Duration > 0:
		out.begin(now)
	default:
		return out, ErrRepolicy.With("/policy", "is a subscription, and nothing says until when it is paid; renew the license first")
	}
	return out, out.signable(ErrRepolicy)
}

// updatesUnder is until when updates are covered by a policy that covers n seconds of them, 0 without an end. What was said of the license alone
// or renewed stays, but for an end that a policy without one makes needless.
func (l *License) updatesUnder(n int64) time.Time {
	given := func(n int64) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return l.CreatedAt.Add(seconds(n)).Truncate(time.Second)
	}
	was := given(l.Terms.UpdatesFor)
	switch {
	case l.UpdatesUntil.Equal(was), n == 0 && !was.IsZero() && l.UpdatesUntil.After(was):
		return given(n)
	}
	return l.UpdatesUntil
}

// notices are what is to be known, beside the differences, before a license goes over to other terms.
func (s *Service) notices(ctx context.Context, before, after *License) ([]Notice, error) {
	out := []Notice{}
	for _, name := range slices.Sorted(maps.Keys(before.EntUntil)) {
		if _, has := after.Entitlements[name]; !has && before.EntUntil[name] != 0 {
			out = append(out, Notice{"override-dropped", "The end of the feature " + name + ", which was set for this license alone, goes away with the feature."})
		}
	}
	if before.PolicyVersion != nil && after.PolicyVersion == nil {
		out = append(out, Notice{"override-dropped", "The newest version is that of the policy now, and follows it from then on."})
	}
	if after.Terms.Then == doc.ThenAdvisory || before.SeatsUsed == 0 {
		return out, nil
	}
	n, err := s.Seating.EndlessSeats(ctx, before.ID)
	if n > 0 {
		what := fmt.Sprintf("%d of the seats are held by leases that never end, as the terms had it. A device goes on with its own for as long as it stays offline.", n)
		if after.Terms.Seats.Floating {
			until := " Until it was in contact twice, its seat is not freed by silence"
			if after.Terms.Seats.By == doc.ByUser { // any of the user's devices may have such a lease
				until = " Such a seat is not freed by silence before it was released once"
			}
			what += until + ", so that no more run than there are seats; a seat that is released by hand can be taken while its device goes on."
		}
		out = append(out, Notice{"endless-leases", what})
	}
	return out, err
}

// changes lists what differs between two states of a license, by name.
func changes(before, after *License) []Change {
	a, b := facts(before), facts(after)
	out := []Change{}
	for _, name := range slices.Sorted(maps.Keys(merged(a, b))) {
		if a[name] != b[name] {
			out = append(out, Change{name, a[name], b[name]})
		}
	}
	return out
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// facts are the members of a license that a policy decides, each as JSON under its name.
func facts(l *License) map[string]string {
	out := map[string]string{}
	flatten(out, "terms", l.Terms)
	flatten(out, "entitlements", l.Granted())
	flatten(out, "ent_until", l.EntitledUntil())
	for name, value := range map[string]any{"seats": l.Seats, "seats_max": l.SeatsMax, "valid_until": optional(l.ValidUntil), "updates_until": optional(l.UpdatesUntil)} {
		flatten(out, name, value)
	}
	for name := range l.Terms.Entitlements { // told as the license's own, overrides over them
		delete(out, "terms/entitlements/"+name)
	}
	return out
}

// flatten writes the leaves of a value's JSON under their paths.
func flatten(out map[string]string, at string, value any) {
	text, err := json.Marshal(value)
	if err != nil || string(text) == "null" {
		return
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		out[at] = string(text)
		return
	}
	for name, member := range members {
		flatten(out, at+"/"+name, member)
	}
}
