package usage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

func staff(ctx context.Context) context.Context {
	return licensing.WithCall(ctx, &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleAdmin}})
}

func customer(ctx context.Context, id string) context.Context {
	return licensing.WithCall(ctx, &licensing.Call{Actor: licensing.Actor{Kind: licensing.Customer, ID: id, Owner: licensing.Owner(id)}})
}

func machine(ctx context.Context, product string, env licensing.Env) context.Context {
	return licensing.WithCall(ctx, &licensing.Call{Actor: licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Product: product, Env: env, Scopes: []string{"usage:read"}}})
}

// key puts an API key of the license's product into the table and returns a context in which it calls.
func (w *world) key(t *testing.T, owner string) (context.Context, string) {
	t.Helper()
	id := w.IDs.New("key")
	if _, err := w.DB.Exec(t.Context(), `INSERT INTO api_key (id, source_kind, source_id, owner, product_id, plan_id, plan_code, env, name, scopes, allow_from, limits, created_at, updated_at)
		SELECT $1, 'staff', $1, $2, product_id, plan_id, plan_code, env, 'k', '["usage:write"]', '[]', '[]', $3, $3 FROM license WHERE id = $4`, id, owner, w.Clock.Now(), w.license); err != nil {
		t.Fatal(err)
	}
	return licensing.WithCall(t.Context(), &licensing.Call{Operation: "usage.events", Actor: licensing.Actor{Kind: licensing.APIKey, ID: id, Owner: licensing.Owner(owner), Scopes: []string{"usage:write"}}}), id
}

// product is the id of the license's product, with a row in the catalogue that meters are defined for.
func (w *world) product(t *testing.T) string {
	t.Helper()
	var id string
	if err := w.DB.QueryRow(t.Context(), `SELECT product_id FROM license WHERE id = $1`, w.license).Scan(&id); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Exec(t.Context(), `INSERT INTO product (id, slug, name, description, purpose, key_prefix, created_at, updated_at, version, state)
		VALUES ($1, 'editor', 'Editor', '', 'revenue', 'EDIT', $2, $2, 1, 'active') ON CONFLICT DO NOTHING`, id, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) meter(t *testing.T, code, kind string) usage.MeterView {
	t.Helper()
	m, err := w.CreateMeter(staff(t.Context()), usage.CreateMeterRequest{ProductID: w.product(t), Code: code, Name: code, Kind: kind, Event: "job", Value: "n", Group: "region"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What is answered for any window in any zone, of one subject, one group, all, a license, a key or the whole product, is what adding up
// every single row gives.
func TestQuery_IsTheSumOfItsRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		product := w.product(t)
		r := rand.New(rand.NewPCG(7, 7))
		device := w.seat(t, "act_1", "held")
		backend, key := w.key(t, "cus_ada")
		type row struct {
			carrier string
			sdk.UsageRow
		}
		var rows []row
		from := time.Date(2025, 2, 10, 0, 0, 0, 0, time.UTC)
		for _, c := range []struct { // in an order, so that the numbers are the same each time
			carrier string
			ctx     context.Context
		}{{w.license, device}, {key, backend}} {
			carrier, ctx := c.carrier, c.ctx
			for range 2 {
				src := w.open(t, ctx)
				for seq := int64(1); seq <= 16; seq++ {
					b := sdk.UsageRequest{Source: src, Seq: seq}
					for range 6 { // few, because each lies in a month of its own and SQLite has one writer
						n := 1 + r.Int64N(9)
						u := sdk.UsageRow{Meter: "pages", Subject: []string{"", "a", "b"}[r.IntN(3)], Group: []string{"", "eu", "us"}[r.IntN(3)],
							At: from.Add(time.Duration(r.IntN(380*96)) * 15 * time.Minute).Unix(), Events: n, Sum: n * 3, Max: 1 + r.Int64N(3)}
						b.Rows = append(b.Rows, u)
						rows = append(rows, row{carrier, u})
					}
					if _, err := w.Count(ctx, b); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		filled := map[string]int{} // questions in which something happened, by the length of their windows
		for range 60 {
			q := usage.QueryRequest{Of: usage.Of{Meter: "pages"}, Window: []string{"quarter", "hour", "day", "month"}[r.IntN(4)]}
			q.Zone = []string{"", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham", "America/St_Johns"}[r.IntN(6)]
			q.From = from.Add(time.Duration(r.IntN(300*24*60)) * time.Minute)
			q.To = q.From.Add(time.Duration(1+r.IntN(80*24*60)) * time.Minute)
			if r.IntN(4) == 0 {
				q.Product, q.Env = product, "live"
			} else {
				q.Carrier = []string{w.license, key}[r.IntN(2)]
				q.Subject, q.Group = []string{"", "a", "b"}[r.IntN(3)], []string{"", "eu", "us"}[r.IntN(3)]
			}
			got, err := w.Query(staff(t.Context()), q)
			if err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
			for i, win := range got.Windows {
				want := usage.Window{Starts: win.Starts, Ends: win.Ends}
				for _, row := range rows {
					at := time.Unix(row.At, 0)
					if at.Before(win.Starts) || !at.Before(win.Ends) || q.Carrier != "" && row.carrier != q.Carrier || q.Subject != "" && row.Subject != q.Subject || q.Group != "" && row.Group != q.Group {
						continue
					}
					want.Events, want.Sum, want.Max = want.Events+row.Events, want.Sum+row.Sum, max(want.Max, row.Max)
				}
				want.Value, want.Late = want.Sum, win.Late
				if win != want || i > 0 && win.Starts.Before(got.Windows[i-1].Ends) {
					t.Fatalf("%+v\nanswers %+v\nwant    %+v", q, win, want)
				}
			}
			total, wide := int64(0), 25*time.Hour // how much earlier than asked for the first window may begin
			if q.Window == "month" {
				wide = 31*24*time.Hour + time.Hour
			}
			for _, row := range rows {
				at := time.Unix(row.At, 0)
				if at.Before(q.From) || !at.Before(q.To) || q.Carrier != "" && row.carrier != q.Carrier || q.Subject != "" && row.Subject != q.Subject || q.Group != "" && row.Group != q.Group {
					continue
				}
				total += row.Events
			}
			answered := int64(0)
			for _, win := range got.Windows {
				answered += win.Events
				if win.Ends.Before(q.From) || !win.Starts.Before(q.To) || win.Starts.Before(q.From.Add(-wide)) {
					t.Fatalf("%+v answers the window %+v", q, win)
				}
			}
			if answered < total {
				t.Fatalf("%+v answers %d of at least %d events", q, answered, total)
			}
			if total > 0 {
				filled[q.Window]++
			}
		}
		for _, window := range []string{"quarter", "hour", "day", "month"} {
			if filled[window] == 0 {
				t.Errorf("nothing happened in any window of a %s: %v", window, filled)
			}
		}
		top, err := w.Top(staff(t.Context()), usage.TopRequest{Of: usage.Of{Product: product, Env: "live", Meter: "pages", From: from, To: from.AddDate(2, 0, 0)}})
		if err != nil || len(top.Items) != 2 || top.Of != 2 {
			t.Fatalf("%+v, %v", top, err)
		}
		for _, item := range top.Items {
			sum := int64(0)
			for _, row := range rows {
				if row.carrier == item.Name {
					sum += row.Sum
				}
			}
			if item.Value != sum {
				t.Fatalf("%s used %d, want %d", item.Name, item.Value, sum)
			}
		}
		of := usage.Of{Carrier: key, Meter: "pages", From: from, To: from.AddDate(2, 0, 0)}
		for _, by := range []string{"subject", "group"} {
			if top, err := w.Top(customer(t.Context(), "cus_ada"), usage.TopRequest{Of: of, By: by, Limit: 2}); err != nil || len(top.Items) != 2 || top.Of != 3 || top.Items[0].Value < top.Items[1].Value {
				t.Fatalf("by %s: %+v, %v", by, top, err)
			}
		}
	})
}

// Somebody else's usage answers as that of nothing: to customers, and to machine tokens of another product or environment.
func TestR02_UsageOfAnother(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		product := w.product(t)
		of := usage.Of{Carrier: w.license, Meter: "pages", From: w.Clock.Now().Add(-time.Hour), To: w.Clock.Now()}
		all := of
		all.Carrier, all.Product, all.Env = "", product, "live"
		none := of
		none.Carrier = "lic_00000000000070008000000000000000"
		for name, c := range map[string]struct {
			ctx context.Context
			of  usage.Of
			ok  bool
		}{
			"her own": {customer(t.Context(), "cus_ada"), of, true}, "another customer's": {customer(t.Context(), "cus_eve"), of, false},
			"nothing": {staff(t.Context()), none, false}, "staff's": {staff(t.Context()), of, true}, "a product's, by a customer": {customer(t.Context(), "cus_ada"), all, false},
			"a machine's": {machine(t.Context(), product, licensing.Live), of, true}, "another product's machine's": {machine(t.Context(), "prod_x", ""), of, false},
			"another environment's machine's": {machine(t.Context(), "", licensing.Test), of, false}, "a product's, by its machine": {machine(t.Context(), product, ""), all, true},
			"a product's, by another's machine": {machine(t.Context(), "prod_x", ""), all, false}, "a product's, by a machine of tests": {machine(t.Context(), product, licensing.Test), all, false},
		} {
			_, err := w.Query(c.ctx, usage.QueryRequest{Of: c.of})
			if c.ok != (err == nil) || !c.ok && !errors.Is(err, licensing.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := w.Top(c.ctx, usage.TopRequest{Of: c.of}); c.ok != (err == nil) {
				t.Errorf("%s, who used most: %v", name, err)
			}
		}
		for name, spoil := range map[string]func(*usage.QueryRequest){
			"zone": func(q *usage.QueryRequest) { q.Zone = "Local" }, "meter": func(q *usage.QueryRequest) { q.Meter = "A B" }, "both": func(q *usage.QueryRequest) { q.Product = product },
			"neither": func(q *usage.QueryRequest) { q.Carrier = "" }, "backwards": func(q *usage.QueryRequest) { q.To = q.From }, "long ago": func(q *usage.QueryRequest) { q.From = time.Time{} },
			"all subjects": func(q *usage.QueryRequest) { q.Subject = "*" }, "too much": func(q *usage.QueryRequest) { q.Window = "quarter"; q.To = q.From.AddDate(3, 0, 0) },
			"a product's subject": func(q *usage.QueryRequest) { q.Carrier, q.Product, q.Subject = "", product, "a" },
		} {
			q := usage.QueryRequest{Of: of}
			spoil(&q)
			if _, err := w.Query(staff(t.Context()), q); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// event is a CloudEvent of the type that all meters of these tests count.
func event(id string, at time.Time, subject string, data map[string]any) usage.CloudEvent {
	e := usage.CloudEvent{"specversion": "1.0", "id": id, "source": "/jobs", "type": "job", "time": at.Format(time.RFC3339Nano), "data": data, "traceparent": "00-1-2-03"}
	if subject != "" {
		e["subject"] = subject
	}
	return e
}

// Each of the five kinds answers its number, from one stream of events; unique values are told apart over windows, and the last is the
// newest by its own time, whichever came first.
func TestEvents_FiveKinds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e) // the clock stands at 2026-03-01 12:00
		for _, kind := range []string{"count", "sum", "max", "unique", "last"} {
			w.meter(t, kind, kind)
		}
		ctx, key := w.key(t, "cus_ada")
		at := func(day, hour int) time.Time { return time.Date(2026, 2, day, hour, 0, 0, 0, time.UTC) }
		list := []usage.CloudEvent{
			event("1", at(10, 1), "a", map[string]any{"n": 5.0, "region": "eu"}), event("2", at(10, 23), "a", map[string]any{"n": 9.0}),
			event("3", at(10, 2), "b", map[string]any{"n": 5.0, "region": "eu"}), event("4", at(11, 0), "b", map[string]any{"n": 5.0}),
		}
		for range 2 {
			if _, err := w.Events(ctx, usage.EventsRequest{Events: list}); err != nil {
				t.Fatal(err)
			}
		}
		ask := func(meter, subject, group, window string) string {
			q := usage.QueryRequest{Of: usage.Of{Carrier: key, Meter: meter, From: at(10, 0), To: at(12, 0)}, Subject: subject, Group: group, Window: window}
			res, err := w.Query(customer(t.Context(), "cus_ada"), q)
			if err != nil {
				t.Fatal(err)
			}
			out := ""
			for _, win := range res.Windows {
				out += fmt.Sprintf("%d ", win.Value)
			}
			return out
		}
		for _, c := range []struct{ meter, subject, group, window, want string }{
			{"count", "", "", "day", "3 1 "}, {"sum", "", "", "day", "19 5 "}, {"max", "", "", "day", "9 5 "}, {"unique", "", "", "day", "2 1 "}, {"last", "", "", "day", "9 5 "},
			{"unique", "", "", "month", "2 "}, {"unique", "a", "", "day", "2 "}, {"unique", "", "eu", "day", "1 "}, {"unique", "", "", "hour", "1 1 1 1 "},
			{"last", "a", "", "month", "9 "}, {"last", "", "eu", "month", "5 "}, {"sum", "a", "eu", "month", "5 "},
		} {
			if got := ask(c.meter, c.subject, c.group, c.window); got != c.want {
				t.Errorf("%s of %q in %q by %s: %q, want %q", c.meter, c.subject, c.group, c.window, got, c.want)
			}
		}
		all := usage.QueryRequest{Of: usage.Of{Product: w.product(t), Meter: "unique", From: at(1, 0), To: at(12, 0)}, Window: "month"}
		if res, err := w.Query(staff(t.Context()), all); err != nil || len(res.Windows) != 1 || res.Windows[0].Value != 2 {
			t.Errorf("different values of the product: %+v, %v", res, err)
		}
		top, err := w.Top(staff(t.Context()), usage.TopRequest{Of: usage.Of{Carrier: key, Meter: "unique", From: at(1, 0), To: at(20, 0)}})
		if err != nil || len(top.Items) != 2 || top.Items[0].Name != "a" || top.Items[0].Value != 2 || top.Items[1].Value != 1 {
			t.Errorf("%+v, %v", top, err)
		}
		// 10 and 11 February in Kathmandu, where no day is one that is kept.
		far := usage.QueryRequest{Of: usage.Of{Carrier: key, Meter: "unique", From: at(10, 0), To: at(12, 0), Zone: "Asia/Kathmandu"}}
		if res, err := w.Query(staff(t.Context()), far); err != nil || len(res.Windows) != 2 || res.Windows[0].Value != 1 || res.Windows[1].Value != 2 {
			t.Errorf("different values by day in another zone: %+v, %v", res, err)
		}
		for kind, want := range map[string][2]int64{"count": {2, 2}, "sum": {14, 10}, "max": {9, 5}, "unique": {2, 1}, "last": {9, 5}} {
			for _, limit := range []int64{1, 20} {
				top, err := w.Top(staff(t.Context()), usage.TopRequest{Of: usage.Of{Carrier: key, Meter: kind, From: at(1, 0), To: at(20, 0)}, Limit: limit})
				if err != nil || len(top.Items) != int(min(limit, 2)) || top.Of != 2 || top.Items[0].Name != "a" || top.Items[0].Value != want[0] || limit > 1 && top.Items[1].Value != want[1] {
					t.Errorf("top of %s, at most %d: %+v, %v", kind, limit, top, err)
				}
			}
			all := usage.TopRequest{Of: usage.Of{Product: w.product(t), Meter: kind, From: at(1, 0), To: at(20, 0)}}
			if top, err := w.Top(staff(t.Context()), all); err != nil || len(top.Items) != 1 || top.Items[0].Name != key {
				t.Errorf("top of the product's %s: %+v, %v", kind, top, err)
			}
		}
	})
}

// An event that says it is to come is counted as of now, and the next one is newer: the last number never waits for a clock that was wrong.
// A meter counts from the moment at which the same process defined it.
func TestEvents_ToComeAndJustDefined(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx, key := w.key(t, "cus_ada")
		send := func(id string, at time.Time, n float64) error {
			_, err := w.Events(ctx, usage.EventsRequest{Events: []usage.CloudEvent{event(id, at, "", map[string]any{"n": n})}})
			return err
		}
		if err := send("0", w.Clock.Now(), 1); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("an event that no meter counts: %v", err)
		}
		w.meter(t, "level", "last")
		if err := send("1", w.Clock.Now().AddDate(1, 0, 0), 100); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Hour)
		if err := send("2", w.Clock.Now(), 7); err != nil {
			t.Fatal(err)
		}
		q := usage.QueryRequest{Of: usage.Of{Carrier: key, Meter: "level", From: w.Clock.Now().AddDate(0, 0, -1), To: w.Clock.Now().AddDate(0, 0, 1)}, Window: "month"}
		if res, err := w.Query(staff(t.Context()), q); err != nil || len(res.Windows) != 1 || res.Windows[0].Value != 7 {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// An event counts once by its source and id, however many requests carry it at once and whatever else is in them.
func TestINV5_EventCountsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.meter(t, "jobs", "sum")
		ctx, key := w.key(t, "cus_ada")
		const events, callers = 40, 12
		done := make(chan int64, callers)
		for c := range callers {
			call := *licensing.CallFrom(ctx)
			go func() {
				r, n := rand.New(rand.NewPCG(uint64(c), 1)), int64(0)
				for range 8 {
					var list []usage.CloudEvent
					for range 10 {
						id := r.IntN(events)
						list = append(list, event(fmt.Sprint(id), w.Clock.Now(), "", map[string]any{"n": float64(id)}))
					}
					res, err := w.Events(licensing.WithCall(ctx, &call), usage.EventsRequest{Events: list})
					if err != nil {
						t.Error(err)
					}
					n += res.Counted
				}
				done <- n
			}()
		}
		counted := int64(0)
		for range callers {
			counted += <-done
		}
		var rest []usage.CloudEvent
		for id := range events {
			rest = append(rest, event(fmt.Sprint(id), w.Clock.Now(), "", map[string]any{"n": float64(id)}))
		}
		res, err := w.Events(ctx, usage.EventsRequest{Events: append(rest, rest...)})
		if err != nil || counted+res.Counted != events || res.Duplicates != 2*events-res.Counted {
			t.Fatalf("%d and %+v, %v", counted, res, err)
		}
		got, err := w.Query(staff(t.Context()), usage.QueryRequest{Of: usage.Of{Carrier: key, Meter: "jobs", From: w.Clock.Now().Add(-time.Hour), To: w.Clock.Now().Add(time.Hour)}, Window: "month"})
		if err != nil || len(got.Windows) != 1 || got.Windows[0].Events != events || got.Windows[0].Value != events*(events-1)/2 {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

// What is not a CloudEvent that a meter counts is refused with its place, and none of the request is counted.
func TestEvents_Refused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.meter(t, "jobs", "sum")
		w.meter(t, "users", "unique")
		ctx, _ := w.key(t, "cus_ada")
		good := func() usage.CloudEvent {
			return event("1", w.Clock.Now(), "a", map[string]any{"n": 1.0, "region": "eu"})
		}
		for name, spoil := range map[string]func(e usage.CloudEvent){
			"version": func(e usage.CloudEvent) { e["specversion"] = "0.3" }, "id": func(e usage.CloudEvent) { delete(e, "id") }, "source": func(e usage.CloudEvent) { e["source"] = "" },
			"type": func(e usage.CloudEvent) { e["type"] = "other" }, "time": func(e usage.CloudEvent) { e["time"] = "yesterday" }, "subject": func(e usage.CloudEvent) { e["subject"] = "ada@example.com" },
			"data": func(e usage.CloudEvent) { e["data"] = "n=1" }, "no number": func(e usage.CloudEvent) { e["data"] = map[string]any{} }, "half": func(e usage.CloudEvent) { e["data"] = map[string]any{"n": 0.5} },
			"negative": func(e usage.CloudEvent) { e["data"] = map[string]any{"n": -1.0} }, "too high": func(e usage.CloudEvent) { e["data"] = map[string]any{"n": 1e14} },
			"group": func(e usage.CloudEvent) { e["data"] = map[string]any{"n": 1.0, "region": "E U"} }, "text": func(e usage.CloudEvent) { e["data"] = map[string]any{"n": "one"} },
		} {
			bad := good()
			spoil(bad)
			_, err := w.Events(ctx, usage.EventsRequest{Events: []usage.CloudEvent{good(), bad}})
			var public *licensing.Error
			if !errors.As(err, &public) || public.Kind != licensing.Invalid || len(public.Fields) == 0 || public.Fields[0].Name[:10] != "/events/1/" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, n := range []int{0, 1001} {
			if _, err := w.Events(ctx, usage.EventsRequest{Events: make([]usage.CloudEvent, n)}); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%d events: %v", n, err)
			}
		}
		if res, err := w.Events(ctx, usage.EventsRequest{Events: []usage.CloudEvent{good()}}); err != nil || res.Counted != 1 {
			t.Errorf("after all that: %+v, %v", res, err)
		}
		w.off = licensing.Fail(licensing.Unavailable, "switched-off", "Switched off.")
		if _, err := w.Events(ctx, usage.EventsRequest{Events: []usage.CloudEvent{good()}}); licensing.KindOf(err) != licensing.Unavailable {
			t.Errorf("switched off: %v", err)
		}
	})
}

// A meter is defined once by its code, changes only as it was looked at, keeps its kind, and is out of reach of another product's token.
func TestMeters_DefineAndChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		m := w.meter(t, "jobs", "sum")
		ctx, r := staff(t.Context()), usage.CreateMeterRequest{ProductID: m.ProductID, Code: "jobs", Name: "Jobs", Kind: "count"}
		if _, err := w.CreateMeter(ctx, r); !errors.Is(err, usage.ErrMeterCode) {
			t.Errorf("a second one: %v", err)
		}
		if r.ProductID, r.Code = w.IDs.New("prod"), "other"; true {
			if _, err := w.CreateMeter(ctx, r); !errors.Is(err, licensing.ErrNotFound) {
				t.Errorf("of no product: %v", err)
			}
		}
		for name, bad := range map[string]usage.CreateMeterRequest{"code": {ProductID: m.ProductID, Code: "A", Name: "x", Kind: "sum"}, "name": {ProductID: m.ProductID, Code: "a", Kind: "sum"},
			"kind": {ProductID: m.ProductID, Code: "a", Name: "x", Kind: "median"}, "product": {ProductID: "x", Code: "a", Name: "x", Kind: "sum"}} {
			if _, err := w.CreateMeter(ctx, bad); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		change := usage.ChangeMeterRequest{ID: m.ID, Version: 1, Name: "Jobs done", Event: "done", Value: "v"}
		if got, err := w.ChangeMeter(staff(t.Context()), change); err != nil || got.Name != "Jobs done" || got.Kind != "sum" || got.Version != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := w.ChangeMeter(staff(t.Context()), change); licensing.KindOf(err) != licensing.Conflict {
			t.Errorf("the same again: %v", err)
		}
		other := machine(t.Context(), w.IDs.New("prod"), "")
		if _, err := w.GetMeter(other, usage.MeterRequest{ID: m.ID}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("another product's: %v", err)
		}
		if list, err := w.ListMeters(other, usage.ListMetersRequest{Product: m.ProductID}); err != nil || len(list.Items) != 0 {
			t.Errorf("another product's: %+v, %v", list, err)
		}
		if list, err := w.ListMeters(staff(t.Context()), usage.ListMetersRequest{Product: m.ProductID}); err != nil || len(list.Items) != 1 || list.Items[0].Event != "done" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
