package access_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// past is a license with a history that a test writes, on a real database.
type past struct {
	storetest.Env
	*access.Service
	trail *audit.Recorder
}

func newPast(t *testing.T, e storetest.Env) *past {
	t.Helper()
	p := &past{Env: e, trail: audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})}
	p.Service = access.New(access.Deps{History: e.Store.History(), Clock: e.Clock.Now})
	l := license.License{ID: "lic_1", Source: license.Source{Kind: license.FromGrant, ID: "grt_1"}, ProductID: "prod_1", ProductSlug: "editor", PolicyID: "pol_1", Owner: "cus_1", Env: licensing.Live,
		State: license.Active, Terms: license.Terms{Match: 1}, KeyPrefix: "MINT", KeyLookup: []byte("lookup"), KeySealed: []byte("sealed"), KeyHint: "7F3QX", Version: 1, CreatedAt: e.Clock.Now(),
		Token: license.Token{JTI: "tok_1", LicenseID: "lic_1", List: 1, KID: "k", Text: "t", CreatedAt: e.Clock.Now(), SignedAt: e.Clock.Now()}}
	p.in(t, licensing.Actor{Kind: licensing.Staff, ID: "cus_s"}, func(p *past, tx txn) error {
		_, err := e.Store.Licenses().AddLicense(tx.ctx, l)
		return errors.Join(err, p.trail.Record(tx.ctx, licensing.Event{Action: "license.issue", Target: l.ID, Reason: "a secret note", Detail: map[string]any{"plan": "pro", "source_id": "grt_1"}}))
	})
	return p
}

// did writes an event of the trail as an actor.
func (p *past) did(t *testing.T, a licensing.Actor, e licensing.Event) {
	t.Helper()
	p.Clock.Advance(time.Minute)
	p.in(t, a, func(p *past, tx txn) error { return p.trail.Record(tx.ctx, e) })
}

// read reads the whole history in pages of n.
func (p *past) read(t *testing.T, a licensing.Actor, n int) (out []access.Event) {
	t.Helper()
	page := licensing.Page{Limit: n}
	for range 100 {
		list, err := p.Timeline(licensing.WithCall(t.Context(), &licensing.Call{Actor: a}), access.TimelineRequest{Page: page, License: "lic_1"})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, list.Items...)
		if page.Cursor = list.Next; page.Cursor == "" {
			return out
		}
	}
	t.Fatal("the history has no end")
	return nil
}

func kinds(events []access.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Kind)
	}
	return strings.Join(out, " ")
}

var (
	ada   = licensing.Actor{Kind: licensing.Customer, ID: "cus_1", Owner: "cus_1"}
	agent = licensing.Actor{Kind: licensing.Staff, ID: "cus_s", Role: licensing.RoleSupport}
)

// TestR02_TimelineIsOfItsOwner: staff read everything with who and why; the owner reads what concerns them, without names, notes and what staff alone did; whoever
// got the license reads from then on, whoever gave it away nothing any more, and for everybody else it is not there. Pages of any size are
// the whole in order.
func TestR02_TimelineIsOfItsOwner(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		p := newPast(t, e)
		p.did(t, ada, licensing.Event{Action: "license.reveal", Target: "lic_1"})
		p.did(t, agent, licensing.Event{Action: "license.suspend", Target: "lic_1", Reason: "she shouted"})
		p.did(t, licensing.Actor{Kind: licensing.System, ID: "watch"}, licensing.Event{Action: "license.stuffing", Target: "lic_1"})
		p.did(t, agent, licensing.Event{Action: "license.unheard_of", Target: "lic_1"})
		p.did(t, agent, licensing.Event{Action: "license.reinstate", Target: "lic_2"})
		p.did(t, agent, licensing.Event{Action: "license.reinstate", Target: "lic_1"})

		whole := p.read(t, agent, 0)
		if got := kinds(whole); got != "license.reinstate license.unheard_of license.stuffing license.suspend license.reveal license.issue" {
			t.Errorf("staff read %s", got)
		}
		if s := whole[3]; s.By != "staff:cus_s" || s.Reason != "she shouted" || s.Tone != "bad" || s.Title != "Suspended" {
			t.Errorf("a suspension for staff: %+v", s)
		}
		for n := 1; n < 5; n++ {
			if got := p.read(t, agent, n); !slices.Equal(got, whole) {
				t.Errorf("in pages of %d: %s", n, kinds(got))
			}
			if got := kinds(p.read(t, ada, n)); got != "license.reinstate license.suspend license.reveal license.issue" {
				t.Errorf("the owner reads in pages of %d: %s", n, got)
			}
		}
		mine := p.read(t, ada, 0)
		if text := fmt.Sprintf("%+v", mine); strings.Contains(text, "cus_s") || strings.Contains(text, "shouted") || strings.Contains(text, "secret") || mine[2].By != "you" || mine[1].By != "us" {
			t.Errorf("the owner reads %s", text)
		}

		p.transfer(t, "cus_2")
		p.did(t, agent, licensing.Event{Action: "license.transfer", Target: "lic_1", Detail: map[string]any{"from": "cus_1", "to": "cus_2"}})
		bob := licensing.Actor{Kind: licensing.Customer, ID: "cus_2", Owner: "cus_2"}
		if got := p.read(t, bob, 0); kinds(got) != "license.transfer" || strings.Contains(fmt.Sprintf("%+v", got), "cus_1") {
			t.Errorf("who got it reads %+v", got)
		}
		for _, a := range []licensing.Actor{ada, {Kind: licensing.Customer, ID: "cus_3", Owner: "cus_3"}, {Kind: licensing.Anonymous}} {
			if _, err := p.Timeline(licensing.WithCall(t.Context(), &licensing.Call{Actor: a}), access.TimelineRequest{License: "lic_1"}); !errors.Is(err, licensing.ErrNotFound) {
				t.Errorf("%s: %v", a, err)
			}
		}
	})
}
