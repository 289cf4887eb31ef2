package usage

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk"
)

// The kinds of meter: how the numbers of events become one.
const (
	KindCount  = "count"  // how many events
	KindSum    = "sum"    // the sum of their numbers
	KindMax    = "max"    // the highest of their numbers
	KindUnique = "unique" // how many different values
	KindLast   = "last"   // the number of the newest
)

// Meter is something that a product counts, as staff defined it. What products report under a code that is not defined is counted as
// well, as a sum, so that nothing is lost until somebody defines it.
type Meter struct {
	ID        string
	ProductID string
	Code      string
	Name      string
	Kind      string
	Unit      string // what one is called, for people
	Event     string // the type of the CloudEvents that feed it
	Value     string // the member of their data that holds the number, or the value that is to differ
	Group     string // the member of their data that holds the group; empty for none
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// of is the meter's number of what happened. Of the kind unique it is not known from here.
func (m *Meter) of(v *Value) int64 {
	switch m.Kind {
	case KindCount:
		return v.Events
	case KindMax:
		return v.Max
	case KindLast:
		return v.Last
	}
	return v.Total
}

// MeterView is a meter as staff see it.
type MeterView struct {
	ID        string    `json:"id" doc:"The meter."`
	ProductID string    `json:"product_id" doc:"The product that counts it."`
	Code      string    `json:"code" doc:"Its code, by which products report it."`
	Name      string    `json:"name" doc:"Its name."`
	Kind      string    `json:"kind" doc:"How the numbers of events become one." enum:"count,sum,max,unique,last"`
	Unit      string    `json:"unit,omitempty" doc:"What one is called."`
	Event     string    `json:"event" doc:"Type of the CloudEvents that feed it."`
	Value     string    `json:"value" doc:"Member of their data that holds the number, or the value that is to differ."`
	Group     string    `json:"group,omitempty" doc:"Member of their data that holds the group, if they have one."`
	Version   int64     `json:"version" doc:"Grows with every change."`
	CreatedAt time.Time `json:"created_at" doc:"When it was made."`
	UpdatedAt time.Time `json:"updated_at" doc:"When it last changed."`
}

func (m *Meter) view() MeterView { return MeterView(*m) }

// CreateMeterRequest defines a meter.
type CreateMeterRequest struct {
	ProductID string `json:"product_id" doc:"The product that counts it."`
	Code      string `json:"code" doc:"Its code, unique in the product: 1 to 64 of a-z 0-9 _ . and -" example:"pages.rendered"`
	Name      string `json:"name" doc:"Its name." example:"Pages rendered"`
	Kind      string `json:"kind" doc:"How the numbers of events become one: how many there were, their sum, the highest, how many different values, the newest. The last two go by single events. It does not change." enum:"count,sum,max,unique,last"`
	Unit      string `json:"unit,omitempty" doc:"What one is called." example:"page"`
	Event     string `json:"event,omitempty" doc:"Type of the CloudEvents that feed it; the code unless said." example:"com.example.page.rendered"`
	Value     string `json:"value,omitempty" doc:"Member of their data that holds the number, or the value that is to differ; value unless said." example:"pages"`
	Group     string `json:"group,omitempty" doc:"Member of their data that holds the group." example:"region"`
}

// CreateMeter defines a meter of a product.
func (s *Service) CreateMeter(ctx context.Context, r CreateMeterRequest) (MeterView, error) {
	now := s.Clock.Now()
	m := Meter{ID: s.IDs.New("met"), ProductID: r.ProductID, Code: r.Code, Name: r.Name, Kind: r.Kind, Unit: r.Unit, Event: r.Event, Value: r.Value, Group: r.Group,
		Version: 1, CreatedAt: now, UpdatedAt: now}
	if m.Event == "" {
		m.Event = m.Code
	}
	if m.Value == "" {
		m.Value = "value"
	}
	if err := m.check(); err != nil {
		return MeterView{}, err
	}
	if !licensing.ActorFrom(ctx).Reaches(m.ProductID) {
		return MeterView{}, licensing.ErrNotFound
	}
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Meters.AddMeter(ctx, m); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "meter.create", Target: m.ID, Product: m.ProductID, Detail: map[string]any{"code": m.Code, "kind": m.Kind}})
	})
	s.memory.forgetMeters(m.ProductID)
	return m.view(), err
}

// check refuses a meter that breaks a rule of form.
func (m *Meter) check() error {
	bad := errMeter
	if !licensing.ValidID("prod", m.ProductID) {
		bad = bad.With("/product_id", "must be a product's id")
	}
	if !sdk.UsageCode(m.Code) {
		bad = bad.With("/code", "must be 1 to 64 of a-z 0-9 _ . and -")
	}
	switch m.Kind {
	case KindCount, KindSum, KindMax, KindUnique, KindLast:
	default:
		bad = bad.With("/kind", "must be count, sum, max, unique or last")
	}
	for _, f := range []struct {
		name, text string
		least      int
	}{{"/name", m.Name, 1}, {"/unit", m.Unit, 0}, {"/event", m.Event, 1}, {"/value", m.Value, 1}, {"/group", m.Group, 0}} {
		if len(f.text) < f.least || len(f.text) > maxName {
			bad = bad.With(f.name, "must have %d to %d bytes", f.least, maxName)
		}
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

const maxName = 200

// MeterRequest names a meter.
type MeterRequest struct {
	ID string `path:"id" doc:"The meter."`
}

// GetMeter returns a meter.
func (s *Service) GetMeter(ctx context.Context, r MeterRequest) (MeterView, error) {
	m, err := s.meter(ctx, r.ID)
	return m.view(), err
}

// MeterAgain answers a replay of an operation whose result is the meter with the given id.
func (s *Service) MeterAgain(ctx context.Context, id, _ string) (MeterView, error) {
	return s.GetMeter(ctx, MeterRequest{ID: id})
}

func (s *Service) meter(ctx context.Context, id string) (Meter, error) {
	m, err := s.Meters.Meter(ctx, id)
	if err == nil && !licensing.ActorFrom(ctx).Reaches(m.ProductID) {
		return Meter{}, licensing.ErrNotFound
	}
	return m, err
}

// ListMetersRequest narrows and pages a list of meters.
type ListMetersRequest struct {
	licensing.Page
	Product string `query:"product" doc:"Only those of this product (its id)."`
}

// ListMeters returns meters, newest first; a machine token that is narrowed to a product sees that product's alone.
func (s *Service) ListMeters(ctx context.Context, r ListMetersRequest) (licensing.List[MeterView], error) {
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Machine && a.Product != "" {
		r.Product = a.Product
	}
	page, err := s.Meters.ListMeters(ctx, r.Product, r.Page)
	if err != nil {
		return licensing.List[MeterView]{}, err
	}
	out := licensing.List[MeterView]{Items: make([]MeterView, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].view()
	}
	return out, nil
}

// ChangeMeterRequest replaces what may change of a meter: how it is called and what feeds it from now on.
type ChangeMeterRequest struct {
	ID      string `path:"id" doc:"The meter."`
	Version int64  `json:"version" doc:"The version that was looked at; another one refuses the change."`
	Name    string `json:"name" doc:"Its name."`
	Unit    string `json:"unit,omitempty" doc:"What one is called."`
	Event   string `json:"event" doc:"Type of the CloudEvents that feed it."`
	Value   string `json:"value" doc:"Member of their data that holds the number, or the value that is to differ."`
	Group   string `json:"group,omitempty" doc:"Member of their data that holds the group."`
}

// ChangeMeter changes a meter. What was counted stays as it is.
func (s *Service) ChangeMeter(ctx context.Context, r ChangeMeterRequest) (MeterView, error) {
	var m Meter
	err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		if m, err = s.meter(ctx, r.ID); err != nil {
			return err
		}
		m.Name, m.Unit, m.Event, m.Value, m.Group, m.Version, m.UpdatedAt = r.Name, r.Unit, r.Event, r.Value, r.Group, r.Version, s.Clock.Now()
		if err := m.check(); err != nil {
			return err
		}
		saved, err := s.Meters.SaveMeter(ctx, m)
		if err != nil {
			return err
		}
		if !saved {
			return errChanged
		}
		m.Version++
		return s.Audit.Record(ctx, licensing.Event{Action: "meter.change", Target: m.ID, Product: m.ProductID, Detail: map[string]any{"was": r.Version}})
	})
	s.memory.forgetMeters(m.ProductID)
	return m.view(), err
}

var (
	// ErrMeterCode refuses a second meter with the same code in a product.
	ErrMeterCode = licensing.Fail(licensing.Conflict, "meter-code-taken", "The product already has a meter with this code.")

	errMeter   = licensing.Fail(licensing.Invalid, "meter-form", "The meter cannot be kept as described; see the fields.")
	errChanged = licensing.Fail(licensing.Conflict, "meter-changed", "The meter was changed meanwhile. Look at it again.")
)
