package usage

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// OverviewDays is how many days back an overview looks, today among them.
const OverviewDays = 30

// OverviewRequest asks for everything that an owner uses.
type OverviewRequest struct {
	licensing.Page
	Owner licensing.Owner `query:"owner" doc:"The customer or organisation, by id. Customers see their own; others name one."`
}

// OverviewResponse is everything that an owner uses, at a glance.
type OverviewResponse struct {
	From  time.Time      `json:"from" doc:"Where the first of the days begins, in UTC."`
	Items []CarrierUsage `json:"items" doc:"The licenses, then the API keys, the newest first, of those that counted something or have a quota."`
	Next  string         `json:"next,omitempty" doc:"Cursor of the next page; absent on the last one."`
}

// CarrierUsage is what is used of a license or an API key.
type CarrierUsage struct {
	ID          string        `json:"id" doc:"The license or API key."`
	Name        string        `json:"name,omitempty" doc:"To whom it is licensed, or what the key is called."`
	Product     string        `json:"product" doc:"Id of the product that counts."`
	ProductName string        `json:"product_name" doc:"Name of the product."`
	Plan        string        `json:"plan,omitempty" doc:"Code of the plan."`
	Env         licensing.Env `json:"env" doc:"Environment." enum:"live,test"`
	Over        bool          `json:"over,omitempty" doc:"Whether it is revoked or has expired."`
	Meters      []MeterUsage  `json:"meters" doc:"Its meters, by code."`
}

// MeterUsage is what was counted of a meter in the last 30 days, and how its quota stands.
type MeterUsage struct {
	Meter string     `json:"meter" doc:"Code of the meter."`
	Name  string     `json:"name,omitempty" doc:"Its name, when it is defined."`
	Kind  string     `json:"kind" doc:"Its kind; sum when it is not defined." enum:"count,sum,max,unique,last"`
	Unit  string     `json:"unit,omitempty" doc:"What one is called."`
	Value int64      `json:"value" doc:"The number of all days: their sum, of kind max the highest, of kind unique the most on one day, of kind last the newest."`
	Days  []int64    `json:"days" doc:"The number of each of the 30 days in UTC, the oldest first; today is not over."`
	Quota *QuotaLeft `json:"quota,omitempty" doc:"The license's quota on it, in the present period."`
}

// QuotaLeft is how a quota stands.
type QuotaLeft struct {
	Period string     `json:"period" doc:"The period." enum:"day,week,month,year,term"`
	Ends   *time.Time `json:"ends,omitempty" doc:"When the period ends and all of it is there again, in UTC; absent for a term."`
	Quota  int64      `json:"quota" doc:"How much may be used in it."`
	Used   int64      `json:"used" doc:"How much was counted."`
	Left   int64      `json:"left" doc:"How much is left, never below 0."`
}

// Owned is a license or API key that counted something or has quotas, with its quotas by meter.
type Owned struct {
	Carrier
	Name, ProductName, Plan string
	Over                    bool
	Quotas                  map[string]license.Meter
}

// DaysOf asks for the days of a carrier: of all its meters, and of some how many different values.
type DaysOf struct {
	Carrier string
	Unique  []string
}

// Overview answers what is used of every license and API key of an owner. Two round trips.
func (s *Service) Overview(ctx context.Context, r OverviewRequest) (OverviewResponse, error) {
	now := s.Clock.Now()
	out := OverviewResponse{From: Day.Begin(now).AddDate(0, 0, 1-OverviewDays), Items: []CarrierUsage{}}
	reach, err := license.ReachOf(licensing.ActorFrom(ctx))
	if err != nil {
		return out, err
	}
	if reach.Owner != "" && r.Owner != "" && r.Owner != reach.Owner {
		return out, nil
	}
	if reach.Owner == "" {
		reach.Owner = r.Owner
	}
	if reach.Owner == "" {
		return out, errQuery.With("owner", "say of which customer or organisation")
	}
	owned, all, err := s.Reads.Owned(ctx, reach, now, r.Page)
	if err != nil {
		return out, err
	}
	if out.Next = owned.Next; len(owned.Items) == 0 {
		return out, nil
	}
	v := newOverlook(owned.Items, all, now)
	if err := s.Reads.Days(ctx, v.days, out.From, v.counts, v.day(out.From), v.count); err != nil {
		return out, err
	}
	out.Items = v.items()
	return out, nil
}

// overlook gathers what is counted of a page of carriers.
type overlook struct {
	owned  []Owned
	meters map[string][]Meter // by product
	days   []DaysOf
	counts []Count
	quotas []*quotaSeen // one for each count
	found  []map[string]*meterSeen
}

// meterSeen are the days of a meter.
type meterSeen struct {
	days  [OverviewDays]counted
	quota *quotaSeen
}

type quotaSeen struct {
	view   QuotaLeft
	meter  Meter
	amount counted
}

func newOverlook(owned []Owned, all []Meter, now time.Time) *overlook {
	v := &overlook{owned: owned, meters: map[string][]Meter{}, days: make([]DaysOf, len(owned)), found: make([]map[string]*meterSeen, len(owned))}
	for _, m := range all {
		v.meters[m.ProductID] = append(v.meters[m.ProductID], m)
	}
	for i := range owned {
		o := &owned[i]
		v.days[i].Carrier, v.found[i] = o.ID, map[string]*meterSeen{}
		for _, m := range v.meters[o.ProductID] {
			if m.Kind == KindUnique {
				v.days[i].Unique = append(v.days[i].Unique, m.Code)
			}
		}
		for _, code := range slices.Sorted(maps.Keys(o.Quotas)) {
			m := named(v.meters[o.ProductID], code)
			view, from, to := quotaView(&m, o.Quotas[code], now)
			q := &quotaSeen{view: QuotaLeft{Period: view.Period, Ends: view.Ends, Quota: view.Quota}, meter: m}
			v.of(i, code).quota, v.quotas = q, append(v.quotas, q)
			v.counts = append(v.counts, Count{Carrier: o.ID, Meter: code, Unique: m.Kind == KindUnique, Ranges: cover([]time.Time{from, to})})
		}
	}
	return v
}

// of is what is seen of a meter of the i-th carrier.
func (v *overlook) of(i int, code string) *meterSeen {
	if v.found[i][code] == nil {
		v.found[i][code] = &meterSeen{}
	}
	return v.found[i][code]
}

// day takes what happened on a day; one that is to come is of a clock that goes wrong.
func (v *overlook) day(from time.Time) func(int, string, time.Time, Value, int64) {
	return func(i int, code string, starts time.Time, value Value, unique int64) {
		if n := int(starts.Sub(from) / (24 * time.Hour)); n >= 0 && n < OverviewDays {
			v.of(i, code).days[n].add(value, unique)
		}
	}
}

// count takes what happened in the period of a quota.
func (v *overlook) count(i int, value Value, unique int64) { v.quotas[i].amount.add(value, unique) }

// items are the carriers with what was seen of them.
func (v *overlook) items() []CarrierUsage {
	out := make([]CarrierUsage, len(v.owned))
	for i := range v.owned {
		o := &v.owned[i]
		out[i] = CarrierUsage{ID: o.ID, Name: o.Name, Product: o.ProductID, ProductName: o.ProductName, Plan: o.Plan, Env: o.Env, Over: o.Over, Meters: []MeterUsage{}}
		for _, code := range slices.Sorted(maps.Keys(v.found[i])) {
			m := named(v.meters[o.ProductID], code)
			out[i].Meters = append(out[i].Meters, v.found[i][code].view(&m))
		}
	}
	return out
}

// view is what callers see of a meter.
func (f *meterSeen) view(m *Meter) MeterUsage {
	out := MeterUsage{Meter: m.Code, Name: m.Name, Kind: m.Kind, Unit: m.Unit, Days: make([]int64, OverviewDays)}
	var all counted
	for n := range f.days {
		d := &f.days[n]
		out.Days[n] = d.of(m)
		all.Value, all.unique = all.Plus(d.Value), max(all.unique, d.unique)
	}
	out.Value = all.of(m)
	if q := f.quota; q != nil {
		q.view.Used = q.amount.of(&q.meter)
		q.view.Left = max(q.view.Quota-q.view.Used, 0)
		out.Quota = &q.view
	}
	return out
}
