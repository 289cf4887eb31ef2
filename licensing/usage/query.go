package usage

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
)

// Carrier is what usage counts for, a license or an API key, with the meter that was asked for; its ID is empty when the product has
// none by that code.
type Carrier struct {
	ID        string
	Owner     licensing.Owner
	ProductID string
	Env       licensing.Env
	Meter     Meter
}

// Selection is which sums are asked for: of one carrier, or of a product when Carrier is empty. Empty Subject and Group mean all
// together.
type Selection struct {
	Carrier        string
	Product, Env   string
	Meter          string
	Subject, Group string
}

// MemberScope is the scope of the different values of a product.
func MemberScope(product, env string) string { return strings.TrimSuffix(Scope(product, env, 0), "0") }

// Of narrows a question to a carrier or a product, and to a meter and time.
type Of struct {
	Carrier string    `query:"carrier" doc:"The license or API key whose usage is asked for. Staff and machine tokens may ask for a whole product instead."`
	Product string    `query:"product" doc:"The product (its id) whose usage of all licenses and keys is asked for."`
	Env     string    `query:"env" doc:"Environment, with product; live unless said." enum:"live,test"`
	Meter   string    `query:"meter,required" doc:"Code of the meter."`
	From    time.Time `query:"from,required" doc:"Where the time asked for begins."`
	To      time.Time `query:"to,required" doc:"Where it ends; not part of it."`
	Zone    string    `query:"zone" doc:"Time zone of the windows, by its name in the IANA database; UTC unless said." example:"Asia/Kathmandu"`
}

// QueryRequest asks what was counted, by window.
type QueryRequest struct {
	Of
	Subject string `query:"subject" doc:"Only of this subject; all together unless said."`
	Group   string `query:"group" doc:"Only of this group; all together unless said."`
	Window  string `query:"window" doc:"Length of the windows; a day unless said. Days and months are those of the calendar in the zone, so that a day may have 23 or 25 hours." enum:"quarter,hour,day,month"`
}

// Window is what was counted in one window of time.
type Window struct {
	Starts time.Time `json:"starts" doc:"Where the window begins."`
	Ends   time.Time `json:"ends" doc:"Where it ends; not part of it."`
	Value  int64     `json:"value" doc:"The meter's number: by its kind how many events, their sum, the highest, how many different values, or the newest."`
	Events int64     `json:"events" doc:"How many events happened."`
	Sum    int64     `json:"sum" doc:"The sum of their numbers."`
	Max    int64     `json:"max" doc:"The highest of their numbers."`
	Late   int64     `json:"late" doc:"How many of the events came in more than a day after they happened."`
}

// QueryResponse is the answer to a [QueryRequest].
type QueryResponse struct {
	Meter   string   `json:"meter" doc:"Code of the meter."`
	Name    string   `json:"name,omitempty" doc:"Its name, when it is defined."`
	Kind    string   `json:"kind" doc:"Its kind; sum when it is not defined." enum:"count,sum,max,unique,last"`
	Unit    string   `json:"unit,omitempty" doc:"What one is called."`
	Zone    string   `json:"zone" doc:"The zone of the windows."`
	Windows []Window `json:"windows" doc:"The windows in which something was counted that was not taken back, in order."`
}

// Query answers what was counted of a meter by window of time in any zone. It reads months and days that lie whole in a window as they
// are kept, and quarters of an hour elsewhere.
func (s *Service) Query(ctx context.Context, r QueryRequest) (QueryResponse, error) {
	if r.Window == "" {
		r.Window = windowDay
	}
	sel, m, loc, err := s.choose(ctx, &r.Of)
	if err != nil {
		return QueryResponse{}, err
	}
	if sel.Subject, sel.Group = r.Subject, r.Group; sel.Carrier == "" && (r.Subject != "" || r.Group != "") {
		return QueryResponse{}, errQuery.With("carrier", "must be given with a subject or group")
	}
	for name, v := range map[string]string{"subject": r.Subject, "group": r.Group} {
		if v != "" && !sdk.UsageCode(v) {
			return QueryResponse{}, errQuery.With(name, "must be up to 64 of a-z 0-9 _ . and -")
		}
	}
	cuts, err := Bounds(r.Window, r.From, r.To, loc)
	if err != nil {
		return QueryResponse{}, err
	}
	sums, err := s.windows(ctx, sel, m.Kind, cuts)
	if err != nil {
		return QueryResponse{}, err
	}
	out := QueryResponse{Meter: r.Meter, Name: m.Name, Kind: m.Kind, Unit: m.Unit, Zone: loc.String(), Windows: []Window{}}
	for i, w := range sums {
		if w.Events == 0 && w.Total == 0 && w.unique == 0 {
			continue
		}
		out.Windows = append(out.Windows, Window{Starts: cuts[i].UTC(), Ends: cuts[i+1].UTC(), Value: w.of(&m), Events: w.Events, Sum: w.Total, Max: w.Max, Late: w.Late})
	}
	return out, nil
}

// counted is what happened in a window; unique is only known of meters of that kind.
type counted struct {
	Value
	unique int64
}

func (c *counted) add(v Value, unique int64) { c.Value, c.unique = c.Plus(v), c.unique+unique }

// of is the meter's number of it.
func (c *counted) of(m *Meter) int64 {
	if m.Kind == KindUnique {
		return c.unique
	}
	return m.of(&c.Value)
}

// windows adds up what happened between each two bounds.
func (s *Service) windows(ctx context.Context, sel Selection, kind string, cuts []time.Time) ([]counted, error) {
	ranges, out := cover(cuts), make([]counted, len(cuts)-1)
	err := s.Reads.Values(ctx, sel, ranges, func(starts time.Time, v Value) error {
		w := &out[windowOf(cuts, starts)]
		w.Value = w.Plus(v)
		return nil
	})
	if err != nil || kind != KindUnique {
		return out, err
	}
	return out, s.differing(ctx, sel, cuts, out)
}

// differing counts the different values in each window: as they are kept where a window is one span, else over all that it is made of. The
// database counts, so that no window's values are held in memory.
func (s *Service) differing(ctx context.Context, sel Selection, cuts []time.Time, out []counted) error {
	var runs []Range
	var apart [][]Range
	var index []int
	for i := range out {
		ranges := cover(cuts[i : i+2])
		r := ranges[0]
		if len(ranges) > 1 || r.Span.next(r.From).Before(r.To) {
			apart, index = append(apart, ranges), append(index, i)
			continue
		}
		if n := len(runs); n > 0 && runs[n-1].Span == r.Span && runs[n-1].To.Equal(r.From) {
			runs[n-1].To = r.To
		} else {
			runs = append(runs, r)
		}
	}
	if len(runs) > 0 {
		if err := s.Reads.Differing(ctx, sel, runs, func(starts time.Time, n int64) error {
			out[windowOf(cuts, starts)].unique = n
			return nil
		}); err != nil {
			return err
		}
	}
	if len(apart) == 0 {
		return nil
	}
	return s.Reads.DifferingIn(ctx, sel, apart, func(window int, n int64) error {
		out[index[window]].unique = n
		return nil
	})
}

// choose finds what a question is about, within the caller's reach. A meter that is not defined is a sum.
func (s *Service) choose(ctx context.Context, of *Of) (Selection, Meter, *time.Location, error) {
	bad := errQuery
	loc, ok := licensing.Zone(of.Zone)
	if !ok {
		bad = bad.With("zone", "must be a time zone of the IANA database")
	}
	if !sdk.UsageCode(of.Meter) {
		bad = bad.With("meter", "must be 1 to 64 of a-z 0-9 _ . and -")
	}
	if (of.Carrier == "") == (of.Product == "") {
		bad = bad.With("carrier", "give either a carrier or a product")
	}
	for name, at := range map[string]time.Time{"from": of.From, "to": of.To} {
		if at.Year() < earliest.Year() || at.Year() > 2200 {
			bad = bad.With(name, "must lie between the years 2020 and 2200")
		}
	}
	if len(bad.Fields) > 0 {
		return Selection{}, Meter{}, nil, bad
	}
	if of.Carrier != "" {
		reach, err := license.ReachOf(licensing.ActorFrom(ctx))
		if err != nil {
			return Selection{}, Meter{}, nil, err
		}
		c, err := s.Reads.Carrier(ctx, reach, of.Carrier, of.Meter)
		return Selection{Carrier: c.ID, Product: c.ProductID, Env: string(c.Env), Meter: of.Meter}, orSum(c.Meter, of.Meter), loc, err
	}
	sel, err := ofProduct(ctx, of.Product, of.Env)
	if err != nil {
		return Selection{}, Meter{}, nil, err
	}
	sel.Meter = of.Meter
	meters, err := s.Store.MetersFor(ctx, of.Product)
	return sel, named(meters, of.Meter), loc, err
}

// ofProduct is all usage of a product, of whoever reaches it.
func ofProduct(ctx context.Context, product, env string) (Selection, error) {
	reach, err := license.ReachOf(licensing.ActorFrom(ctx))
	if env == "" {
		env = string(licensing.Live)
	}
	if err == nil && (reach.Owner != "" || reach.Product != "" && reach.Product != product || reach.Env != "" && string(reach.Env) != env) {
		err = licensing.ErrNotFound
	}
	return Selection{Product: product, Env: env}, err
}

// named is the meter of a code; one that is not defined is a sum.
func named(meters []Meter, code string) Meter {
	if i := slices.IndexFunc(meters, func(m Meter) bool { return m.Code == code }); i >= 0 {
		return meters[i]
	}
	return orSum(Meter{}, code)
}

// orSum is a meter, or a sum of the code when there is none.
func orSum(m Meter, code string) Meter {
	if m.ID == "" {
		return Meter{Code: code, Kind: KindSum}
	}
	return m
}

// TopRequest asks who used most.
type TopRequest struct {
	Of
	By    string `query:"by" doc:"What to tell apart: the subjects or groups of a carrier, or the carriers of a product. The subject of a carrier and the carrier of a product unless said." enum:"subject,group,carrier"`
	Limit int64  `query:"limit" doc:"How many, 1 to 100; 20 unless said."`
}

// Consumer is one who used something.
type Consumer struct {
	Name   string `json:"name" doc:"The subject, group or carrier; empty for usage without one."`
	Value  int64  `json:"value" doc:"The meter's number."`
	Events int64  `json:"events" doc:"How many events happened."`
	Sum    int64  `json:"sum" doc:"The sum of their numbers."`
	Max    int64  `json:"max" doc:"The highest of their numbers."`
}

// TopResponse is the answer to a [TopRequest].
type TopResponse struct {
	Meter string     `json:"meter" doc:"Code of the meter."`
	Name  string     `json:"name,omitempty" doc:"Its name, when it is defined."`
	Kind  string     `json:"kind" doc:"Its kind." enum:"count,sum,max,unique,last"`
	Unit  string     `json:"unit,omitempty" doc:"What one is called."`
	Of    int64      `json:"of" doc:"How many there are, of whom these used most."`
	Items []Consumer `json:"items" doc:"Who used most, the most first."`
}

// What to tell consumers apart by.
const (
	bySubject = "subject"
	byGroup   = "group"
	byCarrier = "carrier"
)

// Top answers who used most of a meter.
func (s *Service) Top(ctx context.Context, r TopRequest) (TopResponse, error) {
	if r.By == "" {
		if r.By = bySubject; r.Carrier == "" {
			r.By = byCarrier
		}
	}
	if r.Limit == 0 {
		r.Limit = 20
	}
	if r.Limit < 1 || r.Limit > 100 {
		return TopResponse{}, errQuery.With("limit", "must be 1 to 100")
	}
	sel, m, _, err := s.choose(ctx, &r.Of)
	if err != nil {
		return TopResponse{}, err
	}
	if (r.By == byCarrier) != (sel.Carrier == "") {
		return TopResponse{}, errQuery.With("by", "must be carrier for a product, and subject or group for a carrier")
	}
	from, to := r.From.UTC().Truncate(quarter), r.To.UTC().Add(quarter-1).Truncate(quarter)
	if !from.Before(to) || to.Sub(from) > 10*366*24*time.Hour {
		return TopResponse{}, errQuery.With("to", "must lie after from, within ten years")
	}
	out := TopResponse{Meter: m.Code, Name: m.Name, Kind: m.Kind, Unit: m.Unit, Items: []Consumer{}}
	list, of, err := s.Reads.Consumers(ctx, sel, r.By, m.Kind, cover([]time.Time{from, to}), r.Limit)
	out.Of, out.Items = of, append(out.Items, list...)
	return out, err
}
