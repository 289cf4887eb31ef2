package usage

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// Licenses answers what a caller may know of a license.
type Licenses interface {
	Get(ctx context.Context, r license.GetRequest) (license.View, error)
}

// remembered is how old what is known of a quota may be: as long as anything takes to be known everywhere.
const remembered = 2 * time.Second

// maxRemembered bounds how many quotas are remembered.
const maxRemembered = 20_000

// memory keeps what was used of quotas a short while, so that a product that asks again and again asks the database once.
type memory struct {
	mu     sync.Mutex
	used   map[string]map[string]held // by license and meter
	size   int
	meters map[string]heldMeters // by product
}

type held struct {
	n        int64
	at, till time.Time
}

type heldMeters struct {
	list []Meter
	at   time.Time
}

func (m *memory) get(carrier, meter string, now time.Time) (int64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.used[carrier][meter]
	return h.n, ok && now.Sub(h.at) < remembered && !now.Before(h.at) && (h.till.IsZero() || now.Before(h.till))
}

func (m *memory) put(carrier, meter string, h held) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size >= maxRemembered || m.used == nil {
		m.used, m.size = map[string]map[string]held{}, 0
	}
	if m.used[carrier] == nil {
		m.used[carrier] = map[string]held{}
	}
	m.used[carrier][meter] = h
	m.size++
}

// forget drops what is known of a carrier whose usage this process just changed.
func (m *memory) forget(carrier string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.used, carrier)
}

// forgetMeters drops what is known of the meters of a product of which this process just changed one, and of every quota, since a sum may
// have become another number.
func (m *memory) forgetMeters(product string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.meters, product)
	m.used, m.size = nil, 0
}

// metersFor returns every meter of a product, as they were a moment ago.
func (s *Service) metersFor(ctx context.Context, product string) ([]Meter, error) {
	now := s.Clock.Now()
	s.memory.mu.Lock()
	h, ok := s.memory.meters[product]
	s.memory.mu.Unlock()
	if ok && now.Sub(h.at) < remembered && !now.Before(h.at) {
		return h.list, nil
	}
	list, err := s.Store.MetersFor(ctx, product)
	if err != nil {
		return nil, err
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if s.memory.meters == nil || len(s.memory.meters) > maxRemembered {
		s.memory.meters = map[string]heldMeters{}
	}
	s.memory.meters[product] = heldMeters{list, now}
	return list, nil
}

// period is the present period of a quota, in UTC; a term is all time, and its end is zero.
func period(name string, now time.Time) (from, to time.Time) {
	if every := licensing.Every(name); every.Valid() {
		return every.Period(now, time.UTC)
	}
	return earliest, time.Time{}
}

// Used is what a license used of the quota on one of its meters in the present period: what was counted, as of two seconds ago at most. From
// memory, or one round trip.
func (s *Service) Used(ctx context.Context, l *license.License, meter string) (int64, error) {
	now := s.Clock.Now()
	if n, ok := s.memory.get(l.ID, meter, now); ok {
		return n, nil
	}
	meters, err := s.metersFor(ctx, l.ProductID)
	if err != nil {
		return 0, err
	}
	n, err := s.used(ctx, l.ID, meter, l.Terms.Meters[meter].Period, meters, now)
	if err != nil {
		return 0, err
	}
	_, till := period(l.Terms.Meters[meter].Period, now)
	s.memory.put(l.ID, meter, held{n: n, at: now, till: till})
	return n, nil
}

// UsedOf is [Service.Used] of every quota of licenses, by license and meter. From memory, or one round trip, beside the meters of each
// product, which are remembered.
func (s *Service) UsedOf(ctx context.Context, ls []*license.License) (map[string]map[string]int64, error) {
	type missing struct {
		of     string
		meter  Meter
		till   time.Time
		amount counted
	}
	now, out := s.Clock.Now(), map[string]map[string]int64{}
	var asked []Count
	var read []missing
	for _, l := range ls {
		used := map[string]int64{}
		out[l.ID] = used
		for code, q := range l.Terms.Meters {
			n, ok := s.memory.get(l.ID, code, now)
			if ok {
				used[code] = n
				continue
			}
			meters, err := s.metersFor(ctx, l.ProductID)
			if err != nil {
				return nil, err
			}
			m := named(meters, code)
			from, till := period(q.Period, now)
			asked = append(asked, Count{Carrier: l.ID, Meter: code, Unique: m.Kind == KindUnique, Ranges: cover([]time.Time{from, endOf(till, now)})})
			read = append(read, missing{of: l.ID, meter: m, till: till})
		}
	}
	if len(asked) == 0 {
		return out, nil
	}
	if err := s.Reads.Counts(ctx, asked, func(i int, v Value, unique int64) { read[i].amount.add(v, unique) }); err != nil {
		return nil, err
	}
	for i := range read {
		r, code := &read[i], asked[i].Meter
		n := r.amount.of(&r.meter)
		s.memory.put(r.of, code, held{n: n, at: now, till: r.till})
		out[r.of][code] = n
	}
	return out, nil
}

// endOf is where what is read of a period ends; that of a term is after all that was counted.
func endOf(till, now time.Time) time.Time {
	if till.IsZero() {
		return Month.next(Month.Begin(now))
	}
	return till
}

// used reads what was counted of a carrier's meter in the period in which an instant lies.
func (s *Service) used(ctx context.Context, carrier, meter, in string, meters []Meter, now time.Time) (int64, error) {
	m := named(meters, meter)
	from, to := period(in, now)
	sums, err := s.windows(ctx, Selection{Carrier: carrier, Meter: meter}, m.Kind, []time.Time{from, endOf(to, now)})
	if err != nil {
		return 0, err
	}
	return sums[0].of(&m), nil
}

// QuotasRequest asks for the quotas of a license.
type QuotasRequest struct {
	License string `path:"id" doc:"The license."`
}

// QuotaView is a quota and what was used of it.
type QuotaView struct {
	Meter  string     `json:"meter" doc:"Code of the meter."`
	Name   string     `json:"name,omitempty" doc:"Its name, when it is defined."`
	Unit   string     `json:"unit,omitempty" doc:"What one is called."`
	Period string     `json:"period" doc:"The period." enum:"day,week,month,year,term"`
	Starts *time.Time `json:"starts,omitempty" doc:"Where the present period began, in UTC; absent for a term."`
	Ends   *time.Time `json:"ends,omitempty" doc:"Where it ends."`
	Quota  int64      `json:"quota" doc:"How much may be used in it."`
	Used   int64      `json:"used" doc:"How much was counted."`
	// Thresholds are the parts of the quota that the owner is told of.
	Thresholds []int64 `json:"thresholds" doc:"Parts of the quota, in percent, at which its owner is told."`
	// Reached are those that the owner was told of in the present period, the lowest first.
	Reached []ReachedView `json:"reached" doc:"Those of which the owner was told in the present period."`
}

// QuotasResponse lists the quotas of a license.
type QuotasResponse struct {
	Items []QuotaView `json:"items" doc:"The quotas, by code."`
}

// quotaView is a quota of which nothing is said to be used yet, with the time in which that counts.
func quotaView(m *Meter, q license.Meter, now time.Time) (v QuotaView, from, to time.Time) {
	v = QuotaView{Meter: m.Code, Name: m.Name, Unit: m.Unit, Period: q.Period, Quota: q.Quota}
	if from, to = period(q.Period, now); !to.IsZero() {
		v.Starts, v.Ends = &from, &to
	} else {
		to = Month.next(Month.Begin(now))
	}
	return v, from, to
}

// Quotas answers how much of each quota of a license is used in the present period.
func (s *Service) Quotas(ctx context.Context, r QuotasRequest) (QuotasResponse, error) {
	l, err := s.Licenses.Get(ctx, license.GetRequest{ID: r.License})
	if err != nil {
		return QuotasResponse{}, err
	}
	out := QuotasResponse{Items: []QuotaView{}}
	if len(l.Terms.Meters) == 0 {
		return out, nil
	}
	meters, err := s.metersFor(ctx, l.ProductID)
	if err != nil {
		return out, err
	}
	now := s.Clock.Now()
	for _, code := range slices.Sorted(maps.Keys(l.Terms.Meters)) {
		q := l.Terms.Meters[code]
		m := named(meters, code)
		v, _, _ := quotaView(&m, q, now)
		if v.Used, err = s.used(ctx, l.ID, code, q.Period, meters, now); err != nil {
			return out, err
		}
		out.Items = append(out.Items, v)
	}
	views := make([]*QuotaView, len(out.Items))
	for i := range out.Items {
		views[i] = &out.Items[i]
	}
	return out, s.alert(ctx, l.ID, views)
}
