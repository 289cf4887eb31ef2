package access

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/explain"
	"github.com/mintreu/mintreu/licensing/license"
)

// Explain answers why whoever is asked for has access, or has not: staff for anybody, a customer for what is theirs. What is somebody
// else's is answered as what is not there.
func (s *Service) Explain(ctx context.Context, r ExplainRequest) (Explanation, error) {
	actor := licensing.ActorFrom(ctx)
	ask, err := s.ask(actor, r)
	if err != nil {
		return Explanation{}, err
	}
	facts, err := s.Store.Facts(ctx, ask)
	if err != nil {
		return Explanation{}, err
	}
	v := &viewer{Service: s, staff: actor.Kind != licensing.Customer, ask: ask, facts: &facts, off: s.Off()}
	if err := v.look(ctx); err != nil {
		return Explanation{}, err
	}
	return v.explain()
}

// viewer tells one asker what is known.
type viewer struct {
	*Service
	staff  bool
	ask    Ask
	facts  *Facts
	off    []Off
	limits map[string][]apikey.LimitState // by key
	used   map[string]map[string]int64    // by license and meter
}

// look asks the counters of the keys that are good, and what was used of the quotas of licenses.
func (v *viewer) look(ctx context.Context) (err error) {
	var metered []*license.License
	for i := range v.facts.Licenses {
		if l := &v.facts.Licenses[i]; l.State != license.Revoked && len(l.Terms.Meters) > 0 {
			metered = append(metered, l)
		}
	}
	if len(metered) > 0 {
		if v.used, err = v.Used(ctx, metered); err != nil {
			return err
		}
	}
	var keys []*apikey.Key
	for i := range v.facts.Keys {
		if k := &v.facts.Keys[i].Key; k.State(v.ask.Now) == apikey.Active && len(k.Limits) > 0 {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	states, err := v.Look(ctx, keys)
	v.limits = map[string][]apikey.LimitState{}
	for i := range states {
		v.limits[keys[i].ID] = states[i]
	}
	return err
}

// explain makes the chains and the answer above them.
func (v *viewer) explain() (Explanation, error) {
	out := Explanation{At: v.ask.Now, Chains: []Chain{}, More: v.facts.More}
	for i := range v.facts.Licenses {
		out.Chains = append(out.Chains, v.license(&v.facts.Licenses[i]))
	}
	for i := range v.facts.Keys {
		out.Chains = append(out.Chains, v.key(&v.facts.Keys[i]))
	}
	for _, id := range v.facts.Asked {
		if o := v.order(id); o != nil && v.stands(o) {
			out.Chains = append(out.Chains, v.ordered(o))
		}
	}
	slices.SortStableFunc(out.Chains, func(a, b Chain) int { return cmp.Or(b.at.Compare(a.at), strings.Compare(b.ID, a.ID)) })
	if len(out.Chains) == 0 {
		p := v.facts.Product
		if v.ask.narrow() || v.ask.Product != "" && (p == nil || !v.staff && p.State != "active") {
			return Explanation{}, licensing.ErrNotFound
		}
		if p != nil {
			out.Chains = append(out.Chains, v.missing(p))
		}
	}
	v.answer(&out)
	return out, nil
}

// answer is the sentence above the chains.
func (v *viewer) answer(e *Explanation) {
	good := 0
	for i := range e.Chains {
		if e.Chains[i].Allowed {
			good++
		}
	}
	e.Allowed = good > 0
	switch n := len(e.Chains); {
	case n == 0:
		e.Text = "Nothing was bought or given here."
		if v.staff {
			e.Text, e.Do = "There is no license, key or order.", "Ask which e-mail address the order was made with; the receipt names it."
		}
	case n == 1:
		e.Text, e.Do = e.Chains[0].Text, e.Chains[0].Do
	case good == n:
		e.Text = fmt.Sprintf("All %d give access.", n)
	case good == 0:
		e.Text, e.Do = fmt.Sprintf("None of %d gives access.", n), "Each says below what stops it."
	default:
		e.Text = fmt.Sprintf("%d of %d give access; the others say below what stops them.", good, n)
	}
}

// order finds an order among the facts; nil when there is none that the asker may see.
func (v *viewer) order(id string) *Order {
	for i := range v.facts.Orders {
		if v.facts.Orders[i].ID == id {
			return &v.facts.Orders[i]
		}
	}
	return nil
}

// renewal is the kind of what an order gave when it renewed a license that was there.
const renewal = "renewal"

// orderOf finds the order that gave an object.
func (v *viewer) orderOf(object string) *Order {
	for _, g := range v.facts.Given {
		if g.Object == object && g.Kind != renewal {
			return v.order(g.Order)
		}
	}
	return nil
}

// moved is the last transfer of a license that the asker may know of; nil when there was none.
func (v *viewer) moved(license string) (last *Moved) {
	for i := range v.facts.Moved {
		if v.facts.Moved[i].License == license {
			last = &v.facts.Moved[i]
		}
	}
	return last
}

// given are the objects of an order.
func (v *viewer) given(order string) (out []Given) {
	seen := map[string]bool{}
	for _, g := range v.facts.Given {
		if g.Order == order && !seen[g.Object] {
			seen[g.Object] = true
			out = append(out, g)
		}
	}
	return out
}

// shown reports whether a license or key has a chain of its own.
func (v *viewer) shown(object string) bool {
	for i := range v.facts.Licenses {
		if v.facts.Licenses[i].ID == object {
			return true
		}
	}
	return slices.ContainsFunc(v.facts.Keys, func(k Key) bool { return k.ID == object })
}

// stands reports whether an order stands for itself: it gave nothing that is told already. One that was never paid is told only to
// whoever asks for it.
func (v *viewer) stands(o *Order) bool {
	given := v.given(o.ID)
	if len(given) > 0 {
		return v.ask.Order == o.ID && !slices.ContainsFunc(given, func(g Given) bool { return v.shown(g.Object) })
	}
	return v.ask.Order == o.ID || o.State != "closed"
}

// finish gives a chain its verdict: that of the first step that blocks, else of the first that warns. first is what a chain in order
// says.
func (c *Chain) finish(first explain.Telling) Chain {
	c.Allowed, c.Title, c.Text, c.Do = true, first.Word, first.Text, first.Do
	for _, state := range []explain.State{explain.Warning, explain.Blocked} {
		for _, s := range c.Steps {
			if s.State == state {
				c.Allowed, c.Title, c.Text, c.Do = state != explain.Blocked, s.Title, s.Text, s.Do
				break
			}
		}
	}
	for i := range c.Steps {
		if c.Steps[i].Links == nil {
			c.Steps[i].Links = []explain.Link{}
		}
	}
	return *c
}

// pick is what staff, or a customer, is told.
func (v *viewer) pick(staff, customer string) string {
	if v.staff {
		return staff
	}
	return customer
}

// person links to an owner, for staff.
func (v *viewer) person(o licensing.Owner) []explain.Link {
	if !v.staff || o == "" {
		return nil
	}
	kind := "Customer "
	if strings.HasPrefix(string(o), "org_") {
		kind = "Organisation "
	}
	return []explain.Link{{Kind: explain.LinkCustomer, ID: string(o), Name: kind + explain.Short(string(o))}}
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
