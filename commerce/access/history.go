package access

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// The sources of a [Record].
const (
	fromTrail = "audit"
	fromOrder = "order"
	fromMail  = "mail"
	fromUsage = "usage"
)

// Record is something that happened to a license, as its source wrote it down. Key orders records of all sources by age: the part of an
// id that grows with time.
type Record struct {
	Key, Source  string
	At           time.Time
	Kind         string // what was done: the action, the step of the order, the template of the mail
	By           string // who, as kind:id
	Target       string // the license, the activation, the order
	Name         string // of the device
	Reason, Text string
	Detail       string // JSON of the audit trail
	Count, Sum   int64  // of usage: batches, events
	Last         time.Time
}

// History reads what happened to a license within reach, the newest first, at most limit+1 records before the key that the page's cursor is. What
// happened before an owner got the license is not theirs to read. One round trip.
type History interface {
	Records(ctx context.Context, reach license.Reach, id string, page licensing.Page) (licensing.List[Record], error)
}

// TimelineRequest asks what happened to a license.
type TimelineRequest struct {
	licensing.Page
	License string `path:"id" doc:"The license."`
}

// Event is something that happened to a license.
type Event struct {
	At     time.Time `json:"at" doc:"When it happened."`
	Kind   string    `json:"kind" doc:"What happened, for programs: an action of the audit trail, or order., mail. and usage. with what it was." example:"license.renew"`
	Title  string    `json:"title" doc:"What happened, in a word or two." example:"Renewed"`
	Text   string    `json:"text,omitempty" doc:"What else is to be said."`
	By     string    `json:"by" doc:"Who did it: for staff as kind:id, for customers in words." example:"you"`
	Reason string    `json:"reason,omitempty" doc:"The reason a person gave; for staff alone."`
	Target string    `json:"target" doc:"Id of what it was done to: the license, a device, the order."`
	Tone   string    `json:"tone" doc:"Whether it gives access, takes it away, or neither." enum:"good,bad,none"`
}

// Timeline returns what happened to a license, the newest first: to staff everything, by whom and why; to its owner what concerns them,
// since it is theirs, without names and reasons of the staff.
func (s *Service) Timeline(ctx context.Context, r TimelineRequest) (licensing.List[Event], error) {
	actor := licensing.ActorFrom(ctx)
	reach, err := license.ReachOf(actor)
	if err != nil {
		return licensing.List[Event]{}, err
	}
	out := licensing.List[Event]{Items: []Event{}}
	for range rounds {
		page, err := s.History.Records(ctx, reach, r.License, r.Page)
		if err != nil {
			return licensing.List[Event]{}, err
		}
		for i := range page.Items {
			if e, ok := told(&page.Items[i], actor); ok {
				out.Items = append(out.Items, e)
			}
		}
		if out.Next = page.Next; out.Next == "" || len(out.Items) > 0 {
			break
		}
		r.Cursor = out.Next // nothing of the page is for a customer
	}
	return out, nil
}

// rounds is how many pages are looked through for one event that a customer may read.
const rounds = 2

// told makes an event of a record, and reports whether the actor may read it.
func told(r *Record, actor licensing.Actor) (Event, bool) {
	customer := actor.Kind == licensing.Customer
	w := wordsFor(r)
	if customer && w.staff {
		return Event{}, false
	}
	e := Event{At: r.At, Kind: r.Kind, Title: w.title, Text: w.text(r, !customer), By: r.By, Reason: r.Reason, Target: r.Target, Tone: w.tone}
	if r.Source != fromTrail {
		e.Kind = r.Source + "." + r.Kind
	}
	if e.Tone == "" {
		e.Tone = "none"
	}
	if customer {
		e.By, e.Reason = byWhom(r.By, actor), ""
	}
	return e, true
}

// byWhom says to a customer who did something.
func byWhom(by string, actor licensing.Actor) string {
	kind, id, _ := strings.Cut(by, ":")
	switch licensing.ActorKind(kind) {
	case licensing.Customer:
		if id == actor.ID {
			return "you"
		}
		if actor.Org != "" {
			return "somebody of your organisation"
		}
		return "the account"
	case licensing.Holder, licensing.Device:
		return "the device"
	case licensing.System:
		return "by itself"
	}
	return "us"
}

// words are how a kind of record is told.
type words struct {
	title, tone string
	staff       bool // not for customers
	say         func(r *Record, d map[string]any, staff bool) string
}

func (w words) text(r *Record, staff bool) string {
	if w.say == nil {
		return ""
	}
	d := map[string]any{}
	_ = json.Unmarshal([]byte(r.Detail), &d) // a detail of another shape says nothing
	return w.say(r, d, staff)
}

// wordsFor finds the words of a record. A kind without words of its own is for staff, under its own name.
func wordsFor(r *Record) words {
	var w words
	var known bool
	switch r.Source {
	case fromTrail:
		w, known = trailWords(r.Kind)
	case fromOrder:
		w, known = orderWords(r.Kind)
	case fromMail:
		w, known = mailWords(r.Kind)
	default:
		return words{title: "Usage reported", say: sayUsage}
	}
	if !known {
		name := strings.NewReplacer(".", ": ", "_", " ").Replace(r.Kind)
		return words{title: name, staff: true, say: func(*Record, map[string]any, bool) string { return "" }}
	}
	return w
}

// Merged puts the records of all sources in order, the newest first, and cuts them to a page.
func Merged(records []Record, limit int) licensing.List[Record] {
	slices.SortStableFunc(records, func(a, b Record) int { return strings.Compare(b.Key, a.Key) })
	out := licensing.List[Record]{Items: records}
	if len(records) > limit {
		out.Items, out.Next = records[:limit], records[limit-1].Key
	}
	return out
}
