package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/feed"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// replica is one process's catalogue over a database that others write to as well, with the change feed as that process reads it.
type replica struct {
	*catalog.Service
	prices *pricing.Service
	feed   *feed.Feed
	asked  atomic.Int64 // reads of plans: one for each page that was not answered from memory
	pause  chan chan struct{}
	away   atomic.Bool // the feed cannot be read
}

// counted is the catalogue's Store of a replica; a read of plans can be held up once its rows are in hand.
type counted struct {
	catalog.Store
	*replica
}

func (c counted) Plans(ctx context.Context, products []string) ([]catalog.Plan, error) {
	c.asked.Add(1)
	plans, err := c.Store.Plans(ctx, products)
	select {
	case hold := <-c.pause:
		hold <- struct{}{}
		<-hold
	default:
	}
	return plans, err
}

// unreadable is a feed's store that can be away.
type unreadable struct {
	feed.Store
	away *atomic.Bool
}

func (u unreadable) ChangesAfter(ctx context.Context, seq int64, limit int) ([]feed.Change, error) {
	if u.away.Load() {
		return nil, errors.New("away")
	}
	return u.Store.ChangesAfter(ctx, seq, limit)
}

func newReplica(t *testing.T, e storetest.Env) *replica {
	t.Helper()
	r := &replica{pause: make(chan chan struct{}, 1)}
	trail := audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	r.feed = feed.New(feed.Deps{Store: unreadable{e.Store.Changes(), &r.away}, Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	r.prices = pricing.NewService(pricing.Deps{Store: e.Store.Pricing(), Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail, Changed: func() { r.Forget() }})
	r.Service = catalog.NewService(catalog.Deps{Store: counted{e.Store.Catalog(), r}, Offers: e.Store.Offers(), Policies: e.Store.GrantPolicies(), Prices: r.prices,
		Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store, Audit: trail, FeedAlive: r.feed.Fresh})
	r.feed.Subscribe("product", func(context.Context, string) { r.Forget() })
	r.poll(t)
	return r
}

func (r *replica) poll(t *testing.T) {
	t.Helper()
	if err := r.feed.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// shows is what a visitor of the replica reads of the only product: its name and its prices, the same in the list and on its own page.
func (r *replica) shows(t *testing.T) string {
	t.Helper()
	list := must(r.Browse(t.Context(), catalog.BrowseRequest{}))(t)
	one, err := r.Show(t.Context(), catalog.ShowRequest{Slug: "editor"})
	if errors.Is(err, licensing.ErrNotFound) && len(list.Items) == 0 {
		return "nothing"
	}
	if err != nil || len(list.Items) != 1 || fmt.Sprint(list.Items[0]) != fmt.Sprint(one) {
		t.Fatalf("the list shows %+v, the product's page %+v, %v", list.Items, one, err)
	}
	text := one.Name
	for _, p := range one.Plans {
		for _, o := range p.Prices {
			text += " " + o.Price.String()
		}
	}
	return text
}

// expect checks what a replica shows and whether it asked the database for it.
func (r *replica) expect(t *testing.T, when, want string, asks bool) {
	t.Helper()
	before := r.asked.Load()
	if got := r.shows(t); got != want {
		t.Errorf("%s: shows %q, want %q", when, got, want)
	}
	if asked := r.asked.Load() != before; asked != asks {
		t.Errorf("%s: asked the database: %v", when, asked)
	}
}

// sale is two replicas of a shop that sells one product at 20 EUR.
func sale(t *testing.T, e storetest.Env) (here, there *replica, s *shelf, plan string) {
	s = newShelf(t, e, false)
	p, made := s.plan(t)
	must(s.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: made.ID, Price: money.New(2000, "EUR")}))(t)
	must(s.PublishPlan(s.ada, catalog.PlanRequest{ID: made.ID}))(t)
	must(s.PublishProduct(s.ada, catalog.ProductRequest{ID: p.ID}))(t)
	here, there = newReplica(t, e), newReplica(t, e)
	here.expect(t, "first", "Editor 20.00 EUR", true)
	there.expect(t, "first", "Editor 20.00 EUR", true)
	return here, there, s, made.ID
}

// TestShelf_SeesEveryChange guarantees of each change to what the storefront shows that the replica which made it shows it at once, that
// another shows it from its next reading of the feed on, and that between changes neither asks the database.
func TestShelf_SeesEveryChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		here, there, s, plan := sale(t, e)
		product := must(here.ListProducts(s.ada, catalog.ListProductsRequest{Slug: "editor"}))(t).Items[0].ID
		name, text := "Writer", "Writes."
		id, of := catalog.ProductRequest{ID: product}, catalog.PlanRequest{ID: plan}
		var dearer, ended pricing.PriceView
		last := "Editor 20.00 EUR"
		for _, step := range []struct {
			what string
			do   func() error
			want string
		}{
			{"renamed", func() error {
				_, err := here.UpdateProduct(s.ada, catalog.UpdateProductRequest{ID: product, Name: &name})
				return err
			}, "Writer 20.00 EUR"},
			{"a plan changed", func() error {
				_, err := here.UpdatePlan(s.ada, catalog.UpdatePlanRequest{ID: plan, Description: &text})
				return err
			}, "Writer 20.00 EUR"},
			{"a price in another currency", func() (err error) {
				ended, err = here.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan, Price: money.New(2500, "USD")})
				return err
			}, "Writer 20.00 EUR 25.00 USD"},
			{"the sale in it ended", func() error {
				_, err := here.prices.ArchivePrice(s.ada, pricing.PriceRequest{ID: ended.ID})
				return err
			}, "Writer 20.00 EUR"},
			{"a price proposed", func() (err error) {
				dearer, err = here.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan, Price: money.New(3000, "EUR")})
				return err
			}, "Writer 20.00 EUR"},
			{"a price approved", func() error {
				_, err := here.prices.ApprovePrice(s.bob, pricing.PriceRequest{ID: dearer.ID})
				return err
			}, "Writer 30.00 EUR"},
			{"imported", func() error {
				_, err := here.Import(s.ada, catalog.ImportRequest{Format: "json", Data: `{"products": [{"slug": "editor", "name": "Editor", "purpose": "revenue"}]}`})
				return err
			}, "Editor 30.00 EUR"},
			{"a plan withdrawn", func() error { _, err := here.ArchivePlan(s.ada, of); return err }, "Editor"},
			{"a plan on sale again", func() error { _, err := here.PublishPlan(s.ada, of); return err }, "Editor 30.00 EUR"},
			{"no longer sold", func() error { _, err := here.SunsetProduct(s.ada, id); return err }, "nothing"},
			{"sold again", func() error { _, err := here.PublishProduct(s.ada, id); return err }, "Editor 30.00 EUR"},
		} {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			if got := here.shows(t); got != step.want {
				t.Errorf("%s: the replica that did it shows %q, want %q", step.what, got, step.want)
			}
			if last != "nothing" {
				there.expect(t, step.what+", not yet told", last, false)
			}
			there.poll(t)
			if got := there.shows(t); got != step.want {
				t.Errorf("%s: the other replica shows %q, want %q", step.what, got, step.want)
			}
			if last = step.want; last != "nothing" {
				here.expect(t, step.what+", again", last, false)
				there.expect(t, step.what+", again", last, false)
			}
		}
	})
}

// TestShelf_PricesTurnByThemselves guarantees that a price shows from the instant at which it takes effect on, on a replica that read the
// page before and hears of nothing then, and not a microsecond earlier.
func TestShelf_PricesTurnByThemselves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		here, there, s, plan := sale(t, e)
		at := e.Clock.Now().Add(1500 * time.Millisecond)
		p := must(here.prices.SetPrice(s.ada, pricing.SetPriceRequest{Plan: plan, Price: money.New(3000, "EUR"), EffectiveFrom: &at}))(t)
		must(here.prices.ApprovePrice(s.bob, pricing.PriceRequest{ID: p.ID}))(t)
		there.poll(t)
		for _, r := range []*replica{here, there} {
			r.expect(t, "approved", "Editor 20.00 EUR", true)
		}
		e.Clock.Set(at.Add(-time.Microsecond))
		there.expect(t, "just before", "Editor 20.00 EUR", false)
		e.Clock.Set(at)
		there.expect(t, "at the instant", "Editor 30.00 EUR", true)
		there.expect(t, "again", "Editor 30.00 EUR", false)
		if _, err := e.DB.Exec(t.Context(), `UPDATE price SET archived_at = $1 WHERE id = $2`, at.Add(time.Second), p.ID); err != nil {
			t.Fatal(err) // by a replica whose clock is ahead
		}
		there.Forget()
		there.poll(t)
		there.expect(t, "before the sale ends", "Editor 30.00 EUR", true)
		e.Clock.Set(at.Add(time.Second))
		there.expect(t, "the sale ended", "Editor", true)
	})
}

// TestShelf_F30_NotBelievedWithoutTheFeed guarantees that a replica which could not read the feed for two seconds reads the database for
// every page, keeps none, and believes nothing it kept before when a clock is set back.
func TestShelf_F30_NotBelievedWithoutTheFeed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		here, there, s, _ := sale(t, e)
		product := must(here.ListProducts(s.ada, catalog.ListProductsRequest{Slug: "editor"}))(t).Items[0].ID
		there.away.Store(true)
		name := "Writer"
		must(here.UpdateProduct(s.ada, catalog.UpdateProductRequest{ID: product, Name: &name}))(t)
		e.Clock.Advance(feed.Stale)
		there.expect(t, "two seconds without the feed", "Editor 20.00 EUR", false)
		e.Clock.Advance(time.Microsecond)
		there.expect(t, "longer", "Writer 20.00 EUR", true)
		there.expect(t, "still", "Writer 20.00 EUR", true)
		there.away.Store(false)
		there.poll(t)
		there.expect(t, "the feed is back", "Writer 20.00 EUR", true)
		there.expect(t, "and read", "Writer 20.00 EUR", false)
		e.Clock.Advance(-time.Hour)
		there.poll(t)
		there.expect(t, "an hour back, before the price", "Writer", true)
		for range 31 { // the backstop: what nobody told of shows within a minute
			e.Clock.Advance(feed.Stale)
			there.poll(t)
		}
		there.expect(t, "a minute later", "Writer", true)
	})
}

// TestShelf_ReadDuringAChangeIsNotKept guarantees that what was read before a change, and arrives after it was told, is not kept.
func TestShelf_ReadDuringAChangeIsNotKept(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	here, there, s, _ := sale(t, e)
	product := must(here.ListProducts(s.ada, catalog.ListProductsRequest{Slug: "editor"}))(t).Items[0].ID
	there.Forget()
	hold, done := make(chan struct{}), make(chan string)
	there.pause <- hold
	go func() {
		item, err := there.Show(context.WithoutCancel(t.Context()), catalog.ShowRequest{Slug: "editor"})
		done <- fmt.Sprint(item.Name, err)
	}()
	<-hold // the old name is read
	name := "Writer"
	must(here.UpdateProduct(s.ada, catalog.UpdateProductRequest{ID: product, Name: &name}))(t)
	there.poll(t)
	hold <- struct{}{}
	if got := <-done; got != "Editor<nil>" {
		t.Errorf("the read under way answered %s", got)
	}
	there.expect(t, "afterwards", "Writer 20.00 EUR", true)
}

// TestShelf_IsBounded guarantees that visitors who ask for ever other pages fill no memory: searches are not kept, and what is kept
// of lists and products stays below a bound however many are asked for.
func TestShelf_IsBounded(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	here, _, _, _ := sale(t, e)
	for range 2 {
		before := here.asked.Load()
		must(here.Browse(t.Context(), catalog.BrowseRequest{Query: "editor"}))(t)
		if here.asked.Load() == before {
			t.Error("a search was answered from memory")
		}
	}
	most := 0
	for i := range 3000 {
		must(here.Browse(t.Context(), catalog.BrowseRequest{Page: licensing.Page{Limit: i + 1}}))(t)
		most = max(most, catalog.Kept(here.Service))
	}
	if most < 1000 || most > 4096 {
		t.Errorf("at most %d products and pages were kept, want 1000 to 4096", most)
	}
}
