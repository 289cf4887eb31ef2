package webhook_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// Every type of the catalogue has a name of its own, of a family and a part, a summary, and members that differ; an endpoint may ask for it by
// its name and by its family. A change of each action that makes a type is told of under that type's name.
func TestCatalogueIsSound(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	w := newWorld(t, e)
	list, err := w.Catalogue(w.staff, webhook.TypesRequest{})
	if err != nil || len(list.Items) < 25 {
		t.Fatalf("%d types, %v", len(list.Items), err)
	}
	seen, asked := map[string]bool{}, []string{}
	for _, it := range list.Items {
		family, part, two := strings.Cut(it.Name, ".")
		members := slices.Compact(slices.Sorted(slices.Values(it.Change)))
		if seen[it.Name] || it.Summary == "" || !two || family == "" || part == "" || strings.Contains(part, ".") || len(members) != len(it.Change) {
			t.Errorf("%+v", it)
		}
		seen[it.Name] = true
		asked = append(asked, it.Name)
		if !slices.Contains(asked, family+".*") {
			asked = append(asked, family+".*")
		}
	}
	if _, err := w.Create(w.staff, webhook.CreateRequest{URL: "https://hooks.example.com/", Types: asked}); err != nil {
		t.Errorf("an endpoint cannot ask for one of %q: %v", asked, err)
	}
	order := map[string]any{"from": "pending", "was_refunded": 0, "refunded": 0, "was_disputed": 0, "disputed": 0}
	told := map[string]bool{}
	for action, details := range map[string][]map[string]any{
		"order.create": {nil}, "order.resolve": {nil},
		"order.update":  {with(order, "paid", true), with(order, "to", "fulfilled"), with(order, "refunded", 5), with(order, "disputed", 5), with(order, "was_disputed", 5), with(order, "to", "closed"), with(order, "to", "parked")},
		"license.issue": {nil}, "license.renew": {nil}, "license.unrenew": {nil}, "license.change": {nil}, "license.transfer": {nil}, "license.suspend": {nil}, "license.reinstate": {nil}, "license.revoke": {nil}, "license.lapse": {nil},
		"activation.create": {nil}, "activation.release": {nil}, "key.issue": {nil}, "key.rotate": {nil}, "key.rehome": {nil}, "key.disable": {nil}, "key.enable": {nil}, "key.revoke": {nil}, "key.leak": {nil},
		"usage.threshold": {nil}, "usage.correct": {nil}, "ticket.create": {nil}, "ticket.reply": {nil}, "ticket.answer": {nil},
	} {
		for _, d := range details {
			w.happens(t, action, "x_1", d)
		}
	}
	w.relayed(t)
	for _, m := range w.work(t) {
		var p struct{ Type string }
		if err := json.Unmarshal([]byte(m.body), &p); err != nil {
			t.Fatal(err)
		}
		told[p.Type] = true
	}
	for name := range seen {
		if !told[name] {
			t.Errorf("no change makes %s", name)
		}
	}
}

// with is a detail with one more member.
func with(d map[string]any, member string, v any) map[string]any {
	out := maps.Clone(d)
	out[member] = v
	return out
}

// Money that goes back in parts is told of each time, a dispute when it begins and when it ends, and what did not change is not told of.
func TestOrdersTellWhatChanged(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	w := newWorld(t, e)
	w.endpoint(t)
	for _, d := range []map[string]any{
		{"from": "fulfilled", "to": "fulfilled", "was_refunded": 0, "refunded": 500, "was_disputed": 0, "disputed": 0, "paid": false},
		{"from": "fulfilled", "to": "fulfilled", "was_refunded": 500, "refunded": 500, "was_disputed": 0, "disputed": 700, "paid": false},
		{"from": "fulfilled", "to": "fulfilled", "was_refunded": 500, "refunded": 500, "was_disputed": 700, "disputed": 0, "paid": false},
		{"from": "fulfilled", "to": "fulfilled", "was_refunded": 500, "refunded": 500, "was_disputed": 0, "disputed": 0, "paid": false},
	} {
		w.happens(t, "order.update", "ord_1", d)
	}
	w.relayed(t)
	var got []string
	for _, m := range w.work(t) {
		var p struct{ Type string }
		_ = json.Unmarshal([]byte(m.body), &p)
		got = append(got, p.Type)
	}
	slices.Sort(got)
	if want := []string{"order.dispute_ended", "order.disputed", "order.refunded"}; !slices.Equal(got, want) {
		t.Errorf("told %v", got)
	}
}
