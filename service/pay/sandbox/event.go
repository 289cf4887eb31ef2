package sandbox

import (
	"encoding/json"
	"slices"
	"time"
)

// event is something that happened, with the object as it was then. While Fresh it waits to be scheduled for delivery.
type event struct {
	ID, Type string
	Object   json.RawMessage
	Pending  int
	Fresh    bool
	Created  time.Time
}

func (e *event) record() Record {
	r := Record{Kind: "event", ID: e.ID, At: e.Created}
	if e.Fresh {
		r.Due = e.Created
	}
	return r
}

func (e *event) show() fields {
	return fields{
		"id": e.ID, "object": "event", "api_version": APIVersion, "type": e.Type, "created": unix(e.Created), "livemode": false,
		"data": fields{"object": e.Object}, "pending_webhooks": e.Pending, "request": fields{"id": nil, "idempotency_key": nil},
	}
}

// emit records that something happened to an object.
func (u *unit) emit(typ string, o shower) error {
	data, err := encode(o.show())
	if err != nil {
		return err
	}
	return u.put(&event{ID: u.s.IDs("evt"), Type: typ, Object: data, Fresh: true, Created: u.now})
}

func (s *Server) listEvents(r *request) (any, error) {
	types, err := r.strings("types")
	if err != nil {
		return nil, err
	}
	if one := r.str("type"); one != "" {
		types = append(types, one)
	}
	if len(types) > 20 {
		return nil, invalid("", "types", "You can pass at most 20 types.")
	}
	return r.page("event", "/v1/events", Query{}, func(o shower) bool {
		return len(types) == 0 || slices.Contains(types, o.(*event).Type)
	})
}
