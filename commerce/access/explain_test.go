package access_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/explain"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// facts is a Store that knows one thing.
type facts access.Facts

func (f facts) Facts(context.Context, access.Ask) (access.Facts, error) { return access.Facts(f), nil }

// world is one license that was bought, with everything in order, for a test to spoil.
type world struct {
	facts
	license  license.License
	decision eval.Decision
	key      *access.Key
	limits   []apikey.LimitState
	off      []access.Off
	used     int64
	ask      access.ExplainRequest
	staff    bool
}

func newWorld() *world {
	w := &world{decision: eval.Decision{Allowed: true, Code: eval.Valid}, ask: access.ExplainRequest{Order: "ord_1"}}
	w.license = license.License{ID: "lic_1", Source: license.Source{Kind: license.FromOrderUnit}, ProductID: "prod_1", ProductSlug: "editor", ProductName: "Editor", Owner: "cus_1", Env: licensing.Live,
		State: license.Active, Seats: 3, SeatsMax: 3, SeatsUsed: 1, KeyHint: "7F3QX", CreatedAt: noon.Add(-time.Hour),
		Terms: license.Terms{Activation: doc.ActivationRequired, Seats: license.Seats{N: 3, By: doc.ByDevice}}}
	w.Orders = []access.Order{{ID: "ord_1", Owner: "cus_1", Env: licensing.Live, State: "fulfilled", Currency: "EUR", Total: 4900, Captured: 4900, CreatedAt: noon.Add(-2 * time.Hour), UpdatedAt: noon.Add(-time.Hour),
		ExpiresAt: noon.Add(time.Hour), PaidAt: noon.Add(-time.Hour), Done: noon.Add(-time.Hour)}}
	w.Asked = []string{"ord_1"}
	w.Lines = []access.Line{{Order: "ord_1", ProductID: "prod_1", Slug: "editor", Name: "Editor", Plan: "pro"}}
	w.Given = []access.Given{{Order: "ord_1", Kind: "license", Object: "lic_1", At: noon}}
	return w
}

// unfulfilled takes the license away, as if the order had given nothing.
func (w *world) unfulfilled(state string) {
	w.Given, w.license.ID = nil, ""
	w.Orders[0].State, w.Orders[0].Done = state, time.Time{}
}

func (w *world) explain(t *testing.T) access.Explanation {
	t.Helper()
	f := access.Facts(w.facts)
	if w.license.ID != "" {
		f.Licenses = []license.License{w.license}
	}
	if w.key != nil {
		f.Keys = []access.Key{*w.key}
	}
	s := access.New(access.Deps{Store: facts(f), Clock: func() time.Time { return noon }, Off: func() []access.Off { return w.off },
		Used: func(_ context.Context, ls []*license.License) (map[string]map[string]int64, error) {
			out := map[string]map[string]int64{}
			for _, l := range ls {
				out[l.ID] = map[string]int64{}
				for meter := range l.Terms.Meters {
					out[l.ID][meter] = w.used
				}
			}
			return out, nil
		},
		Look: func(context.Context, []*apikey.Key) ([][]apikey.LimitState, error) {
			return [][]apikey.LimitState{w.limits}, nil
		},
		Decide: func(l *license.License) license.View {
			return license.View{ID: l.ID, Product: l.ProductSlug, ProductName: l.ProductName, State: string(l.State), Decision: w.decision}
		}})
	a := licensing.Actor{Kind: licensing.Customer, ID: "cus_1", Owner: "cus_1"}
	if w.staff {
		a = licensing.Actor{Kind: licensing.Staff, ID: "cus_9", Role: licensing.RoleSupport}
	}
	out, err := s.Explain(licensing.WithCall(t.Context(), &licensing.Call{Actor: a}), w.ask)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// states are the states of a chain's steps, in their order, in a word.
func states(c access.Chain) string {
	var b strings.Builder
	for _, s := range c.Steps {
		b.WriteByte(string(s.State)[0])
	}
	return b.String()
}

// decided is a decision by one finding.
func decided(code eval.Code, effect string) eval.Decision {
	return eval.Decision{Allowed: effect != eval.Deny, Code: code, Findings: []eval.Finding{{Code: code, Effect: effect}}}
}

// chains are worlds and what is said of each: the states of payment, order, grant, switch and limit (ok, warning, blocked, not applicable),
// whether there is access, and the word above it.
func chains() map[string]struct {
	spoil   func(w *world)
	states  string
	allowed bool
	title   string
} {
	type c = struct {
		spoil   func(w *world)
		states  string
		allowed bool
		title   string
	}
	off := func(s licensing.Switch, product string) func(*world) {
		return func(w *world) { w.off = []access.Off{{Switch: s, Product: product, Reason: "drill"}} }
	}
	key := func(change func(k *access.Key)) func(*world) {
		return func(w *world) {
			w.license.ID = ""
			w.key = &access.Key{Key: apikey.Key{ID: "key_1", Source: apikey.Source{Kind: apikey.FromOrderUnit}, Owner: "cus_1", ProductID: "prod_1", Env: licensing.Live, CreatedAt: noon.Add(-time.Hour),
				Limits: []apikey.Limit{{Name: "rate", Count: 60, Seconds: 60, Burst: 60}}}, Slug: "editor", Hint: "AbCdEfGhIj"}
			w.limits = []apikey.LimitState{{Limit: w.key.Limits[0], Taken: apikey.Taken{Allowed: true, Remaining: 40}}}
			w.Given[0] = access.Given{Order: "ord_1", Kind: "apikey", Object: "key_1"}
			change(w.key)
		}
	}
	return map[string]c{
		"all is well":        {func(*world) {}, "ooooo", true, "Valid"},
		"not paid":           {func(w *world) { w.unfulfilled("pending") }, "bnnon", false, "Not paid"},
		"not paid, too late": {func(w *world) { w.unfulfilled("pending"); w.Orders[0].ExpiresAt = noon }, "bnnon", false, "Not paid"},
		"money under way":    {func(w *world) { w.unfulfilled("awaiting_funds") }, "bnnon", false, "Money under way"},
		"never paid":         {func(w *world) { w.unfulfilled("closed") }, "bnnon", false, "Never paid"},
		"paid, not given":    {func(w *world) { w.unfulfilled("paid") }, "obnon", false, "Not given yet"},
		"parked, unpaid":     {func(w *world) { w.unfulfilled("parked"); w.Orders[0].PaidAt = time.Time{} }, "bbnon", false, "Unclear"},
		"parked, paid":       {func(w *world) { w.unfulfilled("parked") }, "obnon", false, "Needs a person"},
		"payments off":       {func(w *world) { w.unfulfilled("pending"); off(licensing.SwitchPayments, "")(w) }, "bnnbn", false, "Not paid"},
		"giving off":         {func(w *world) { w.unfulfilled("paid"); off(licensing.SwitchLicensing, "prod_1")(w) }, "obnbn", false, "Not given yet"},
		"refunded": {func(w *world) {
			w.Orders[0].State = "refunded"
			w.license.State = license.Revoked
			w.decision = decided(eval.Revoked, eval.Deny)
		}, "bnbon", false, "Refunded"},
		"partly refunded": {func(w *world) { w.Orders[0].Refunded = 900 }, "ooooo", true, "Valid"},
		"disputed": {func(w *world) {
			w.Orders[0].Disputed = 4900
			w.license.State = license.Suspended
			w.decision = decided(eval.Suspended, eval.Deny)
		}, "boboo", false, "Disputed"},
		"refunded, and reinstated":      {func(w *world) { w.Orders[0].State = "refunded" }, "nnooo", true, "Valid"},
		"disputed, and reinstated":      {func(w *world) { w.Orders[0].Disputed = 4900 }, "noooo", true, "Valid"},
		"parked, and reinstated":        {func(w *world) { w.Orders[0].State = "parked" }, "onooo", true, "Valid"},
		"a key whose order is refunded": {func(w *world) { key(func(*access.Key) {})(w); w.Orders[0].State = "refunded" }, "nnooo", true, "Valid"},
		"free":                          {func(w *world) { w.Orders[0].Total, w.Orders[0].Captured = 0, 0 }, "ooooo", true, "Valid"},
		"issued by hand":                {func(w *world) { w.Orders, w.Asked, w.license.Source.Kind = nil, nil, license.FromGrant }, "nnooo", true, "Valid"},
		"suspended":                     {func(w *world) { w.license.State = license.Suspended; w.decision = decided(eval.Suspended, eval.Deny) }, "ooboo", false, "Suspended"},
		"expired":                       {func(w *world) { w.decision = decided(eval.Expired, eval.Deny) }, "ooboo", false, "Expired"},
		"in grace":                      {func(w *world) { w.decision = decided(eval.InGrace, eval.Warn) }, "oowoo", true, "In its grace time"},
		"not in use":                    {func(w *world) { w.license.SeatsUsed = 0; w.decision = decided(eval.ActivationRequired, eval.Warn) }, "oooow", true, "Not in use yet"},
		"all seats taken":               {func(w *world) { w.license.SeatsUsed = 3 }, "oooow", true, "All seats taken"},
		"the oldest gives way":          {func(w *world) { w.license.SeatsUsed = 3; w.license.Terms.OverLimit = license.ReplaceOldest }, "ooooo", true, "Valid"},
		"no seats":                      {func(w *world) { w.license.SeatsUsed, w.license.SeatsMax = 0, 0 }, "oooob", false, "No seats"},
		"activating off":                {off(licensing.SwitchLicensing, ""), "ooowo", true, "Switched off"},
		"activating off, unused":        {func(w *world) { w.license.SeatsUsed = 0; off(licensing.SwitchLicensing, "prod_1")(w) }, "ooobw", false, "Switched off"},
		"another product's switch":      {off(licensing.SwitchLicensing, "prod_2"), "ooooo", true, "Valid"},
		"downloads off":                 {off(licensing.SwitchDownloads, ""), "ooowo", true, "Switched off"},
		"a meter is used up": {func(w *world) {
			w.license.Terms.Meters = map[string]license.Meter{"pages": {Quota: 10, Period: "month"}}
			w.used = 10
		}, "oooow", true, "Used up"},
		"a meter is not used up": {func(w *world) {
			w.license.Terms.Meters = map[string]license.Meter{"pages": {Quota: 10, Period: "month"}}
		}, "ooooo", true, "Valid"},
		"came from another owner": {func(w *world) {
			w.Orders, w.Asked = nil, nil
			w.Moved = []access.Moved{{License: "lic_1", From: "cus_0", To: "cus_1", At: noon}}
		}, "nnooo", true, "Valid"},
		"bought by somebody else": {func(w *world) { w.Orders, w.Asked = nil, nil }, "nnooo", true, "Valid"},
		"given away": {func(w *world) {
			w.license.ID = ""
			w.Moved = []access.Moved{{License: "lic_1", From: "cus_1", To: "cus_0", At: noon}}
		}, "oobon", false, "Transferred"},
		"a key":                             {key(func(*access.Key) {}), "ooooo", true, "Valid"},
		"a disabled key":                    {key(func(k *access.Key) { k.DisabledAt = noon }), "oobon", false, "Disabled"},
		"a held key":                        {key(func(k *access.Key) { k.DisabledAt, k.HeldAt = noon, noon }), "oobon", false, "Stopped"},
		"a disputed key":                    {key(func(k *access.Key) { k.HeldAt, k.DisputedAt = noon, noon }), "oobon", false, "Payment disputed"},
		"a key stopped with the one bought": {key(func(k *access.Key) { k.ParentStoppedAt = noon }), "oobon", false, "Stopped"},
		"a revoked key":                     {key(func(k *access.Key) { k.RevokedAt = noon }), "oobon", false, "Revoked"},
		"an expired key":                    {key(func(k *access.Key) { k.ExpiresAt = noon }), "oobon", false, "Expired"},
		"a key whose limit is spent": {func(w *world) {
			key(func(*access.Key) {})(w)
			w.limits[0].Taken = apikey.Taken{RetryAfter: 7 * time.Second}
		}, "oooob", false, "Limit reached"},
		"a key whose counter is away": {func(w *world) { key(func(*access.Key) {})(w); w.limits[0].Taken = apikey.Taken{Degraded: true} }, "ooooo", true, "Valid"},
		"a key while the API is off":  {func(w *world) { key(func(*access.Key) {})(w); off(licensing.SwitchAPI, "prod_1")(w) }, "ooobo", false, "Switched off"},
		"a key while keys are off":    {func(w *world) { key(func(*access.Key) {})(w); off(licensing.SwitchAPI, "")(w) }, "ooowo", true, "Switched off"},
		"a product that was not bought": {func(w *world) {
			w.facts, w.license.ID, w.ask = facts{Product: &access.Product{ID: "prod_1", Slug: "editor", Name: "Editor", State: "active"}}, "", access.ExplainRequest{Product: "editor"}
		}, "bnnon", false, "Not bought"},
	}
}

// Each way in which access can be stopped blocks at its own step; what only wants attention passes; and whatever does not pass says what to
// do, in whole sentences, to customers and to staff.
func TestExplain_EachStep(t *testing.T) {
	t.Parallel()
	for name, c := range chains() {
		for _, staff := range []bool{false, true} {
			w := newWorld()
			c.spoil(w)
			if w.staff = staff; staff && w.ask.Order == "" {
				w.ask.Customer = "cus_1"
			}
			out := w.explain(t)
			if len(out.Chains) != 1 {
				t.Errorf("%s: %d chains", name, len(out.Chains))
				continue
			}
			chain := out.Chains[0]
			if got := states(chain); got != c.states || chain.Allowed != c.allowed || out.Allowed != c.allowed || chain.Title != c.title {
				t.Errorf("%s, staff %v: %s %v %q, want %s %v %q", name, staff, got, chain.Allowed, chain.Title, c.states, c.allowed, c.title)
			}
			for i, s := range chain.Steps {
				if want := []string{explain.Payment, explain.Order, explain.Grant, explain.Switch, explain.Limit}[i]; s.Step != want {
					t.Errorf("%s: step %d is %s", name, i, s.Step)
				}
				stops := s.State == explain.Blocked || s.State == explain.Warning
				if s.Title == "" || !strings.HasSuffix(s.Text, ".") || stops != (s.Do != "") || s.Do != "" && !strings.HasSuffix(s.Do, ".") || s.Links == nil {
					t.Errorf("%s, staff %v: %s is told as %+v", name, staff, s.Step, s)
				}
				if text := s.Text + s.Do; staff && strings.Contains(text, "sk us") || !staff && (strings.Contains(text, "drill") || strings.Contains(text, "customer")) {
					t.Errorf("%s, staff %v: %s is told as %q", name, staff, s.Step, text)
				}
				for _, l := range s.Links {
					if !staff && (l.Kind == explain.LinkCustomer || l.Kind == explain.LinkSwitch || strings.Contains(l.ID, "cus_")) {
						t.Errorf("%s: a customer is led to %+v", name, l)
					}
				}
			}
		}
	}
}

// A customer learns neither of whom a license came from nor to whom it went, and not of an order that another paid; staff learn who.
func TestR02_ExplainTellsNothingOfOthers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"came from another owner", "given away"} {
		w := newWorld()
		chains()[name].spoil(w)
		if text := fmt.Sprintf("%+v", w.explain(t)); strings.Contains(text, "cus_0") {
			t.Errorf("%s: a customer reads of the other owner: %s", name, text)
		}
	}
	w := newWorld()
	chains()["came from another owner"].spoil(w)
	w.staff = true
	if text := fmt.Sprintf("%+v", w.explain(t)); !strings.Contains(text, "cus_0") {
		t.Errorf("staff are not led to whom it came from: %s", text)
	}
}

// Several things are counted, the newest comes first, and orders that were never paid are told only to whoever asks for one.
func TestExplain_Several(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.ask = access.ExplainRequest{}
	w.Orders = append(w.Orders, access.Order{ID: "ord_2", Owner: "cus_1", State: "pending", Currency: "EUR", Total: 100, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)},
		access.Order{ID: "ord_3", Owner: "cus_1", State: "closed", Currency: "EUR", Total: 100, CreatedAt: noon})
	w.Asked = append(w.Asked, "ord_2", "ord_3")
	out := w.explain(t)
	if len(out.Chains) != 2 || out.Chains[0].ID != "ord_2" || out.Chains[1].ID != "lic_1" || !out.Allowed || out.Text != "1 of 2 give access; the others say below what stops them." {
		t.Errorf("%+v", out)
	}
}
