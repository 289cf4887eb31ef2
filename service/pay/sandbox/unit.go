package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// unit is one piece of work on the store: what it reads is remembered with its revision, what it changes is written at the
// end, all or none.
type unit struct {
	ctx    context.Context
	s      *Server
	now    time.Time
	read   map[string]Record
	writes []string
}

// update runs fn and writes what it changed. When another writer was faster, fn runs again on fresh records, so it must have
// no effect but through the unit.
func (s *Server) update(ctx context.Context, fn func(*unit) error) error {
	for range 100 {
		u := &unit{ctx: ctx, s: s, now: s.Clock.Now(), read: map[string]Record{}}
		if err := fn(u); err != nil {
			return err
		}
		if len(u.writes) == 0 {
			return nil
		}
		records := make([]Record, len(u.writes))
		due := false
		for i, key := range u.writes {
			records[i] = u.read[key]
			due = due || !records[i].Due.IsZero()
		}
		err := s.Store.Write(ctx, records)
		if err == nil && due {
			s.nudge()
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("sandbox: %w again and again", ErrConflict)
}

// get reads one object into v. It returns an API error of status 404 when there is none.
func (u *unit) get(kind, id string, v any) error {
	r, err := u.record(kind, id)
	if errors.Is(err, ErrMissing) {
		return missing(kind, id)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(r.Data, v)
}

func (u *unit) record(kind, id string) (Record, error) {
	if r, ok := u.read[kind+"/"+id]; ok {
		return r, nil
	}
	r, err := u.s.Store.Get(u.ctx, kind, id)
	if err == nil {
		u.read[kind+"/"+id] = r
	}
	return r, err
}

// object is anything kept in the store.
type object interface {
	// record returns the object's kind, id, second key, creation and due instant; the unit adds the rest.
	record() Record
}

// put remembers that an object changed or is new.
func (u *unit) put(o object) error {
	r := o.record()
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	r.Data = data
	key := r.Kind + "/" + r.ID
	if old, ok := u.read[key]; ok {
		r.Rev = old.Rev
	}
	u.read[key] = r
	for _, k := range u.writes {
		if k == key {
			return nil
		}
	}
	u.writes = append(u.writes, key)
	return nil
}

// unix is an instant as Stripe writes it: whole seconds, 0 for none.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// orNull turns the zero value into JSON's null.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}
