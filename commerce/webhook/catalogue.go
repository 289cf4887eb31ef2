package webhook

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Type is a type of event. Of a change whose action it names, and for which when holds, it tells the members of the detail that it lists.
type Type struct {
	Name    string
	Summary string
	actions []string
	members []string
	when    func(detail map[string]any) bool
}

// Test is the type of the event that is sent to try an endpoint; it is sent whatever the endpoint wants.
const Test = "webhook.test"

// Types is the catalogue: everything that endpoints can be told of. A name that was published stays, and so do its members.
func Types() []Type {
	plain := func(name, summary, action string, members ...string) Type {
		return Type{Name: name, Summary: summary, actions: []string{action}, members: members}
	}
	order := []string{"order.update", "order.paid", "order.fulfilled", "order.refunded", "order.parked", "order.closed", "order.awaiting_funds", "order.pending"}
	of := func(name, summary string, when func(d map[string]any) bool, members ...string) Type {
		return Type{Name: name, Summary: summary, actions: order, members: members, when: when}
	}
	changed := func(d map[string]any) bool { return d["changed"] != false }
	// A license that something else suspends as well stays as it is.
	moved := func(d map[string]any) bool { return d["from"] == nil || d["from"] != d["to"] }
	// An API key that something else stops as well stays as it is, and the keys made by its plan may not.
	swayed := func(d map[string]any) bool { return changed(d) && (moved(d) || d["children"] != nil) }
	list := []Type{
		plain("order.created", "Somebody ordered; nothing is paid yet.", "order.create"),
		of("order.paid", "The money of an order arrived.", func(d map[string]any) bool { return d["paid"] == true }),
		of("order.fulfilled", "Everything that was bought is given.", became("fulfilled"), "from", "to"),
		of("order.refunded", "Money of an order went back, all of it or a part.", grew("refunded"), "was_refunded", "refunded"),
		of("order.disputed", "The buyer disputes the payment; what was bought is suspended.", grew("disputed"), "was_disputed", "disputed"),
		of("order.dispute_ended", "A dispute is over: won, or lost, and then what was bought is revoked.", func(d map[string]any) bool { return d["lost"] == true || fell("disputed")(d) },
			"was_disputed", "disputed", "lost"),
		of("order.closed", "An order came to nothing: it was abandoned, or its payment failed.", became("closed"), "from", "to"),
		of("order.parked", "An order waits for a person.", became("parked"), "from", "to"),
		plain("order.resolved", "A person dealt with an order that was parked.", "order.resolve", "from", "to"),

		plain("license.issued", "A license was issued.", "license.issue", "source", "source_id"),
		plain("license.renewed", "A license is valid for longer.", "license.renew", "valid_until", "updates_until"),
		plain("license.unrenewed", "A renewal was taken back together with its payment.", "license.unrenew", "valid_until", "updates_until"),
		{Name: "license.changed", Summary: "A license has other terms, another name, or a new key, or its term began.",
			actions: []string{"license.change", "license.repolicy", "license.reissue", "license.start"}, members: []string{"seats", "valid_until", "changes"}},
		plain("license.transferred", "A license belongs to somebody else.", "license.transfer", "from", "to"),
		{Name: "license.suspended", Summary: "A license is suspended.", actions: []string{"license.suspend", "license.dispute"}, members: []string{"from", "to"}, when: moved},
		{Name: "license.reinstated", Summary: "A suspended license is good again.", actions: []string{"license.reinstate", "license.dispute-end"}, members: []string{"from", "to"}, when: moved},
		plain("license.revoked", "A license is revoked for good.", "license.revoke", "from", "to"),
		plain("license.expired", "A license ended by its terms.", "license.lapse"),

		plain("activation.created", "A device was activated.", "activation.create", "license", "revived"),
		{Name: "activation.released", Summary: "A device gave its seat back, or lost it after a long silence.", actions: []string{"activation.release", "activation.die"}, members: []string{"license"}},

		plain("key.issued", "An API key was issued.", "key.issue"),
		plain("key.rotated", "An API key has a new secret.", "key.rotate", "overlap_seconds"),
		{Name: "key.disabled", Summary: "An API key is stopped, by its owner, the shop or a dispute. Children are the keys that stand still with it.", actions: []string{"key.disable", "key.dispute"}, members: []string{"from", "to", "children"}, when: swayed},
		{Name: "key.enabled", Summary: "A stopped API key is good again. Children are the keys that go on with it.", actions: []string{"key.enable", "key.dispute-end"}, members: []string{"from", "to", "children"}, when: swayed},
		{Name: "key.revoked", Summary: "An API key is revoked for good. Children are the keys that ended with it.", actions: []string{"key.revoke"}, members: []string{"children"},
			when: func(d map[string]any) bool { return changed(d) || d["children"] != nil }},
		plain("key.moved", "An API key that its owner made by his plan goes on under another key that he bought, since the one before is stopped or has ended.", "key.rehome", "from", "under"),
		plain("key.leaked", "The text of an API key was found in public; action says what became of the key.", "key.leak", "action"),

		plain("usage.threshold", "A license used a part of one of its quotas that was to be told of.", "usage.threshold", "meter", "percent", "quota", "used", "period", "starts", "ends"),
		plain("usage.corrected", "Something was taken back of what was counted.", "usage.correct", "carrier", "meter", "starts", "events", "sum"),

		plain("ticket.created", "Somebody asked for help.", "ticket.create"),
		plain("ticket.replied", "The customer wrote in a ticket.", "ticket.reply"),
		plain("ticket.answered", "The staff answered in a ticket.", "ticket.answer", "status"),
	}
	return list
}

// became, grew and fell are conditions on what an order's change says.
func became(state string) func(map[string]any) bool {
	return func(d map[string]any) bool { return d["to"] == state && d["from"] != state }
}

func grew(member string) func(map[string]any) bool {
	return func(d map[string]any) bool { return number(d[member]) > number(d["was_"+member]) }
}

func fell(member string) func(map[string]any) bool {
	return func(d map[string]any) bool { return number(d[member]) < number(d["was_"+member]) }
}

func number(v any) float64 { n, _ := v.(float64); return n }

// catalogue finds the types by the action of a change.
func catalogue() map[string][]Type {
	out := map[string][]Type{}
	for _, t := range Types() {
		for _, action := range t.actions {
			out[action] = append(out[action], t)
		}
	}
	return out
}

// wants reports whether an endpoint is to be told of an event.
func (e *Endpoint) wants(ev *Event) bool {
	if ev.Env != "" && ev.Env != e.Env || ev.At.Before(e.CreatedAt) {
		return false
	}
	family, _, _ := strings.Cut(ev.Type, ".")
	return len(e.Types) == 0 || slices.Contains(e.Types, ev.Type) || slices.Contains(e.Types, family+".*")
}

// wantable reports whether an endpoint may ask for a name: a type, or a family of types.
func wantable(name string) bool {
	return slices.ContainsFunc(Types(), func(t Type) bool {
		family, _, _ := strings.Cut(t.Name, ".")
		return name == t.Name || name == family+".*"
	})
}

// payload is what is sent.
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

// data is what is told of the object. Personal data is not: whoever may have it asks for the object.
type data struct {
	ID         string          `json:"id"`
	Object     string          `json:"object"`
	Env        licensing.Env   `json:"env,omitempty"`
	ProductID  string          `json:"product_id,omitempty"`
	Owner      licensing.Owner `json:"owner,omitempty"`
	License    string          `json:"license,omitempty"`
	Plan       string          `json:"plan,omitempty"`
	State      string          `json:"state,omitempty"`
	ValidUntil *time.Time      `json:"valid_until,omitempty"`
	Currency   string          `json:"currency,omitempty"`
	Total      *int64          `json:"total,omitempty"`
	Refunded   *int64          `json:"refunded,omitempty"`
	Disputed   *int64          `json:"disputed,omitempty"`
	Change     map[string]any  `json:"change,omitempty"`
}

// objects are what the prefixes of ids stand for.
func objects() map[string]string {
	return map[string]string{"ord": "order", "lic": "license", "act": "activation", "key": "api_key", "tkt": "ticket", "cor": "correction", "wep": "webhook_endpoint"}
}

// object is what an id names.
func object(id string) string {
	prefix, _, _ := strings.Cut(id, "_")
	if name := objects()[prefix]; name != "" {
		return name
	}
	return prefix
}

// events are those of a change, one for each type that fits.
func (s *Service) events(c *Change, types []Type) ([]Event, error) {
	var detail map[string]any
	if err := json.Unmarshal([]byte(c.Detail), &detail); err != nil {
		return nil, err
	}
	var out []Event
	for _, t := range types {
		if t.when != nil && !t.when(detail) {
			continue
		}
		p := payload{Type: t.Name, Timestamp: c.At, Data: data{ID: c.Target, Object: object(c.Target), Env: c.Env, ProductID: c.Product, Owner: c.Owner, License: c.License,
			Plan: c.Plan, State: c.State, Currency: c.Currency}}
		if !c.ValidUntil.IsZero() {
			p.Data.ValidUntil = &c.ValidUntil
		}
		if c.Currency != "" {
			p.Data.Total, p.Data.Refunded, p.Data.Disputed = &c.Total, &c.Refunded, &c.Disputed
		}
		for _, m := range t.members {
			if v, there := detail[m]; there {
				if p.Data.Change == nil {
					p.Data.Change = map[string]any{}
				}
				p.Data.Change[m] = v
			}
		}
		ev, err := s.event(p, c.Env)
		if err != nil {
			return nil, err
		}
		out = append(out, ev)
	}
	return out, nil
}

func (s *Service) event(p payload, env licensing.Env) (Event, error) {
	body, err := json.Marshal(p)
	return Event{ID: s.IDs.New("wev"), Type: p.Type, Env: env, Body: string(body), At: p.Timestamp}, err
}

// TypesRequest asks for the catalogue.
type TypesRequest struct{}

// TypeView is a type of event.
type TypeView struct {
	Name    string   `json:"name" doc:"Name of the type."`
	Summary string   `json:"summary" doc:"When such an event is sent."`
	Change  []string `json:"change" doc:"What data.change may say."`
}

// TypesResponse is the catalogue.
type TypesResponse struct {
	Items []TypeView `json:"items" doc:"The types."`
}

// Catalogue lists the types of events.
func (s *Service) Catalogue(context.Context, TypesRequest) (TypesResponse, error) {
	var out TypesResponse
	for _, t := range Types() {
		out.Items = append(out.Items, TypeView{Name: t.Name, Summary: t.Summary, Change: append([]string{}, t.members...)})
	}
	return out, nil
}
