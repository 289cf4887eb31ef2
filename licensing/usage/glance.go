package usage

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// GlanceRequest asks what is counted at all, of a license, an API key or a product.
type GlanceRequest struct {
	Carrier string `query:"carrier" doc:"The license or API key whose usage is asked for. Staff and machine tokens may ask for a whole product instead."`
	Product string `query:"product" doc:"The product (its id) whose usage of all licenses and keys is asked for."`
	Env     string `query:"env" doc:"Environment, with product; live unless said." enum:"live,test"`
}

// Glance is a meter with what was counted lately.
type Glance struct {
	Meter  string     `json:"meter" doc:"Code of the meter."`
	Name   string     `json:"name,omitempty" doc:"Its name, when it is defined."`
	Kind   string     `json:"kind" doc:"Its kind; sum when it is not defined." enum:"count,sum,max,unique,last"`
	Unit   string     `json:"unit,omitempty" doc:"What one is called."`
	Month  int64      `json:"month" doc:"The meter's number of the present calendar month in UTC."`
	Before int64      `json:"before" doc:"That of the month before."`
	Quota  *QuotaView `json:"quota,omitempty" doc:"The license's quota on it, and what is used of it in the present period."`
}

// GlanceResponse lists the meters.
type GlanceResponse struct {
	Product string    `json:"product_id" doc:"The product that counts them."`
	Items   []Glance  `json:"items" doc:"Every meter that counted something or has a quota, by code; of a product also those that are defined and counted nothing yet."`
	Since   time.Time `json:"since" doc:"Where the present month began, in UTC."`
}

// Count is what one question of [Reads.Glance] and [Reads.Counts] asks for: what was counted of a carrier's meter in ranges of time, or of the
// selection's when no carrier is named. Unique counts different values.
type Count struct {
	Carrier string
	Meter   string
	Unique  bool
	Ranges  []Range
}

// Glance answers which meters count something, with the numbers of this month and the last and what is used of quotas. At most three round
// trips beside the product's meters, which are remembered.
func (s *Service) Glance(ctx context.Context, r GlanceRequest) (GlanceResponse, error) {
	sel, quotas, err := s.glanced(ctx, r)
	if err != nil {
		return GlanceResponse{}, err
	}
	meters, err := s.metersFor(ctx, sel.Product)
	if err != nil {
		return GlanceResponse{}, err
	}
	now := s.Clock.Now()
	out := GlanceResponse{Product: sel.Product, Since: Month.Begin(now)}
	found := map[string]*Glance{}
	of := func(code string) *Glance {
		if found[code] == nil {
			m := named(meters, code)
			found[code] = &Glance{Meter: code, Name: m.Name, Kind: m.Kind, Unit: m.Unit}
		}
		return found[code]
	}
	if sel.Carrier == "" {
		for i := range meters {
			of(meters[i].Code)
		}
	}
	var views []*QuotaView
	codes, asked := slices.Sorted(maps.Keys(quotas)), []Count{}
	for _, code := range codes {
		m := named(meters, code)
		v, from, to := quotaView(&m, quotas[code], now)
		of(code).Quota, views = &v, append(views, &v)
		asked = append(asked, Count{Meter: code, Unique: m.Kind == KindUnique, Ranges: cover([]time.Time{from, to})})
	}
	if err := s.alert(ctx, sel.Carrier, views); err != nil {
		return GlanceResponse{}, err
	}
	months, used := map[string]*[2]counted{}, make([]counted, len(codes))
	err = s.Reads.Glance(ctx, sel, out.Since.AddDate(0, -1, 0), asked, func(meter string, starts time.Time, v Value, unique int64) {
		if months[meter] == nil {
			months[meter] = new([2]counted)
		}
		if starts.Before(out.Since) {
			months[meter][1].add(v, unique)
		} else if starts.Equal(out.Since) { // a later one is of a clock that goes wrong
			months[meter][0].add(v, unique)
		}
	}, func(i int, v Value, unique int64) { used[i].add(v, unique) })
	for code, sums := range months {
		g, m := of(code), named(meters, code)
		g.Month, g.Before = sums[0].of(&m), sums[1].of(&m)
	}
	for i, code := range codes {
		m := named(meters, code)
		views[i].Used = used[i].of(&m)
	}
	out.Items = make([]Glance, 0, len(found))
	for _, g := range found {
		out.Items = append(out.Items, *g)
	}
	slices.SortFunc(out.Items, func(a, b Glance) int { return strings.Compare(a.Meter, b.Meter) })
	return out, err
}

// glanced finds what a glance is at, within the caller's reach, and the quotas on it.
func (s *Service) glanced(ctx context.Context, r GlanceRequest) (Selection, map[string]license.Meter, error) {
	if (r.Carrier == "") == (r.Product == "") {
		return Selection{}, nil, errQuery.With("carrier", "give either a carrier or a product")
	}
	if strings.HasPrefix(r.Carrier, "lic_") {
		l, err := s.Licenses.Get(ctx, license.GetRequest{ID: r.Carrier})
		return Selection{Carrier: l.ID, Product: l.ProductID, Env: string(l.Env)}, l.Terms.Meters, err
	}
	if r.Product != "" {
		sel, err := ofProduct(ctx, r.Product, r.Env)
		return sel, nil, err
	}
	reach, err := license.ReachOf(licensing.ActorFrom(ctx))
	if err != nil {
		return Selection{}, nil, err
	}
	c, err := s.Reads.Carrier(ctx, reach, r.Carrier, "")
	return Selection{Carrier: c.ID, Product: c.ProductID, Env: string(c.Env)}, nil, err
}
