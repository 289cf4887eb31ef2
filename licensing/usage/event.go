package usage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk"
)

// mostExact is the largest number of JSON that no other one is read as.
const mostExact = 1<<53 - 1

// maxEvents is how many events one request may have.
const maxEvents = 1000

// CloudEvent is an event as CloudEvents 1.0 spells it in JSON: specversion, id, source, type, and if wanted subject, time and data.
// Extension attributes are allowed and say nothing here.
type CloudEvent map[string]any

// EventsRequest reports single events.
type EventsRequest struct {
	Events []CloudEvent `json:"events" doc:"1 to 1000 CloudEvents 1.0. The type finds the meters, the subject is what usage is told apart by, data holds the number and the group. An event with the source and id of one that was counted changes nothing."`
}

// EventsResponse says what became of events.
type EventsResponse struct {
	Counted    int64 `json:"counted" doc:"How many were counted now."`
	Duplicates int64 `json:"duplicates" doc:"How many had been counted before."`
}

// event is one that can be counted.
type event struct {
	digest  []byte // of carrier, source and id
	id      string
	subject string
	at      time.Time
	parts   []part
}

// part is what an event means to one meter.
type part struct {
	meter, group string
	value        Value
	member       []byte
}

// Events counts events, each exactly once by its source and id, however often and by whichever replica it is reported: what is new is
// found in the transaction that counts it.
func (s *Service) Events(ctx context.Context, r EventsRequest) (EventsResponse, error) {
	if len(r.Events) == 0 || len(r.Events) > maxEvents {
		return EventsResponse{}, errEvent.With("/events", "must be 1 to %d", maxEvents)
	}
	src, err := s.open(ctx, eventSource(r.Events))
	if err != nil {
		return EventsResponse{}, err
	}
	if err := s.Switches.Check(ctx, licensing.SwitchAPI, src.ProductID); err != nil {
		return EventsResponse{}, err
	}
	meters, err := s.metersFor(ctx, src.ProductID)
	if err != nil {
		return EventsResponse{}, err
	}
	events, err := read(r.Events, src.Carrier, meters)
	if err != nil {
		return EventsResponse{}, err
	}
	slices.SortFunc(events, func(a, b event) int { return bytes.Compare(a.digest, b.digest) })
	events = slices.CompactFunc(events, func(a, b event) bool { return bytes.Equal(a.digest, b.digest) })
	digests := make([][]byte, len(events))
	for i := range events {
		digests[i] = events[i].digest
	}
	now, counted := s.Clock.Now(), int64(0)
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		counted = 0
		fresh, err := s.Store.Fresh(ctx, digests)
		if err != nil {
			return err
		}
		sums := newAdder(&src, 0, now)
		for i := range events {
			if fresh[i] {
				counted++
				sums.event(&events[i])
			}
		}
		if counted == 0 {
			return nil
		}
		t := sums.tally()
		if err := s.Store.Tick(ctx, src.ID, &t, now); err != nil {
			return err
		}
		return s.Store.Add(ctx, Batch{Source: src, At: now, Tally: t})
	})
	if err != nil {
		return EventsResponse{}, err
	}
	s.memory.forget(src.Carrier)
	return EventsResponse{Counted: counted, Duplicates: int64(len(r.Events)) - counted}, nil
}

// event adds an event to each of its meters.
func (a *adder) event(e *event) {
	at := e.at
	if at.IsZero() {
		at = a.now
	}
	for _, p := range e.parts {
		if p.value.LastID != "" {
			p.value.LastAt = a.clamped(at) // what is to come would stay the newest until then
		}
		a.add(p.meter, e.subject, p.group, a.instant(at), p.value, p.member)
	}
}

// eventSource names one of the sources that a caller's events are counted by: a few, so that many requests at once do not wait for one
// row. The name is too short for a nonce, so no caller has a source by it.
func eventSource(events []CloudEvent) string {
	id, _ := events[0]["id"].(string)
	return "events/" + strconv.Itoa(shardOf(id))
}

// read takes events apart, all or none.
func read(list []CloudEvent, carrier string, meters []Meter) ([]event, error) {
	bad := errEvent
	out := make([]event, 0, len(list))
	for i, raw := range list {
		p := parser{raw: raw, at: fmt.Sprintf("/events/%d", i), bad: bad}
		out = append(out, p.event(carrier, meters))
		bad = p.bad
	}
	if len(bad.Fields) > 0 {
		return nil, bad
	}
	return out, nil
}

// parser reads one event and gathers what is wrong with it.
type parser struct {
	raw CloudEvent
	at  string
	bad *licensing.Error
}

// text reads a text of 1 to 256 bytes.
func (p *parser) text(name string, required bool) string {
	v, there := p.raw[name]
	s, ok := v.(string)
	if !there && !required {
		return ""
	}
	if !ok || s == "" || len(s) > 256 {
		p.bad = p.bad.With(p.at+"/"+name, "must be a text of 1 to 256 bytes")
	}
	return s
}

func (p *parser) event(carrier string, meters []Meter) event {
	if v, _ := p.raw["specversion"].(string); v != "1.0" {
		p.bad = p.bad.With(p.at+"/specversion", `must be "1.0"`)
	}
	e := event{id: p.text("id", true), subject: p.text("subject", false)}
	sum := sha256.Sum256([]byte(carrier + "\x00" + p.text("source", true) + "\x00" + e.id))
	e.digest = sum[:memberLen]
	if e.subject != "" && !sdk.UsageCode(e.subject) {
		p.bad = p.bad.With(p.at+"/subject", "must be up to 64 of a-z 0-9 _ . and -")
	}
	if text := p.text("time", false); text != "" {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			p.bad = p.bad.With(p.at+"/time", `must be a time such as "2027-01-31T09:00:00Z"`)
		}
		e.at = at.UTC().Truncate(time.Microsecond)
	}
	data, ok := p.raw["data"].(map[string]any)
	if v, there := p.raw["data"]; there && v != nil && !ok {
		p.bad = p.bad.With(p.at+"/data", "must be an object")
	}
	kind := p.text("type", true)
	for i := range meters {
		if meters[i].Event == kind {
			e.parts = append(e.parts, p.part(&meters[i], data, e.id))
		}
	}
	if len(e.parts) == 0 && kind != "" {
		p.bad = p.bad.With(p.at+"/type", "no meter of the product counts events of this type")
	}
	return e
}

// part reads what a meter wants of the event's data.
func (p *parser) part(m *Meter, data map[string]any, id string) part {
	out := part{meter: m.Code, value: Value{Events: 1}}
	if m.Group != "" {
		if v, there := data[m.Group]; there {
			group, ok := v.(string)
			if !ok || group != "" && !sdk.UsageCode(group) {
				p.bad = p.bad.With(p.at+"/data/"+m.Group, "must be up to 64 of a-z 0-9 _ . and -")
			}
			out.group = group
		}
	}
	if m.Kind == KindCount {
		out.value.Total, out.value.Max = 1, 1
		return out
	}
	v := data[m.Value]
	if m.Kind == KindUnique {
		text, ok := v.(string)
		if n, number := v.(float64); number {
			text, ok = strconv.FormatFloat(n+0, 'g', -1, 64), math.Abs(n) <= mostExact // -0 is 0
		}
		if !ok || text == "" || len(text) > 1024 {
			p.bad = p.bad.With(p.at+"/data/"+m.Value, "must be a text of 1 to 1024 bytes or a number of at most %d either side of 0, since larger ones would be taken for each other: the meter %s counts different ones",
				int64(mostExact), m.Code)
		}
		sum := sha256.Sum256([]byte(text))
		out.member = sum[:memberLen]
		return out
	}
	n, ok := v.(float64)
	if !ok || n != math.Trunc(n) || n < 0 || n > sdk.MaxUsageSum {
		p.bad = p.bad.With(p.at+"/data/"+m.Value, "must be a whole number of 0 to %d, for the meter %s", int64(sdk.MaxUsageSum), m.Code)
		return out
	}
	out.value.Total, out.value.Max = int64(n), int64(n)
	if m.Kind == KindLast {
		out.value.LastID, out.value.Last = id, int64(n)
	}
	return out
}

var errEvent = licensing.Fail(licensing.Invalid, "usage-event", "The events cannot be counted; see the fields. None of them was.")
