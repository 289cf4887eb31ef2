package usage

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
)

// Correction is a negative batch: what staff took back of what was counted in a quarter of an hour. Events and Total are 0 or less.
// Corrections are added and never changed.
type Correction struct {
	ID             string
	Carrier, Meter string
	Subject, Group string
	Starts         time.Time
	Events, Total  int64
	Reason, Actor  string
	At             time.Time
	Product, Env   string // of the carrier, for the sums of its product
}

// Accounts keeps corrections and reads the accounts of carriers.
type Accounts interface {
	// Correct takes a correction from every sum that it is part of, and reports false, changing nothing, when less was counted there. In
	// the caller's transaction.
	Correct(ctx context.Context, c Correction) (bool, error)
	Correction(ctx context.Context, id string) (Correction, error)
	// Account returns what was counted of a carrier's meter before the day from and, by line, from then to the day to; and the corrections
	// made meanwhile. At most limit lines and corrections each.
	Account(ctx context.Context, carrier, meter string, from, to time.Time, limit int) (Account, error)
}

// Account is what happened of a carrier's meter in the order in which it was counted.
type Account struct {
	Events, Total int64 // before it
	Lines         []Line
	Corrections   []Correction
}

// CorrectRequest takes back what was counted wrongly.
type CorrectRequest struct {
	Carrier string    `json:"carrier" doc:"The license or API key."`
	Meter   string    `json:"meter" doc:"Code of the meter, of kind count or sum."`
	Subject string    `json:"subject,omitempty" doc:"The subject it was counted for."`
	Group   string    `json:"group,omitempty" doc:"The group it was counted for."`
	At      time.Time `json:"at" doc:"An instant in the quarter of an hour that it was counted in."`
	Events  int64     `json:"events" doc:"How many events to take back; 0 for none."`
	Sum     int64     `json:"sum" doc:"How much of their sum to take back; 0 for nothing."`
	Reason  string    `json:"reason" doc:"Why, for the audit trail and the account; its owner reads it."`
}

// CorrectionView is a correction.
type CorrectionView struct {
	ID      string    `json:"id" doc:"The correction."`
	Carrier string    `json:"carrier" doc:"The license or API key."`
	Meter   string    `json:"meter" doc:"Code of the meter."`
	Subject string    `json:"subject,omitempty" doc:"The subject."`
	Group   string    `json:"group,omitempty" doc:"The group."`
	Starts  time.Time `json:"starts" doc:"The quarter of an hour that it was taken from."`
	Events  int64     `json:"events" doc:"How many events; negative."`
	Sum     int64     `json:"sum" doc:"How much of their sum; negative."`
	Reason  string    `json:"reason" doc:"Why."`
	At      time.Time `json:"at" doc:"When."`
}

func (c *Correction) view() CorrectionView {
	return CorrectionView{ID: c.ID, Carrier: c.Carrier, Meter: c.Meter, Subject: c.Subject, Group: c.Group, Starts: c.Starts, Events: c.Events, Sum: c.Total, Reason: c.Reason, At: c.At}
}

// Correct adds a negative batch. What was counted is never edited: the correction has a line of its own in the account, and no more can be
// taken back than was counted. What is highest, different or newest cannot be taken back by a number.
func (s *Service) Correct(ctx context.Context, r CorrectRequest) (CorrectionView, error) {
	now, bad := s.Clock.Now(), errCorrection
	if !sdk.UsageCode(r.Meter) {
		bad = bad.With("/meter", "must be 1 to 64 of a-z 0-9 _ . and -")
	}
	if r.Events < 0 || r.Events > sdk.MaxUsageSum || r.Sum < 0 || r.Sum > sdk.MaxUsageSum || r.Events == 0 && r.Sum == 0 {
		bad = bad.With("/events", "say how many events or how much of their sum to take back, as a number above 0")
	}
	if r.Reason == "" {
		bad = bad.With("/reason", "must be given")
	}
	if r.At.After(now) || r.At.Before(earliest) {
		bad = bad.With("/at", "must lie between the year 2020 and now")
	}
	if len(bad.Fields) > 0 {
		return CorrectionView{}, bad
	}
	if err := licensing.CheckReason(r.Reason); err != nil {
		return CorrectionView{}, err
	}
	actor := licensing.ActorFrom(ctx)
	reach, err := license.ReachOf(actor)
	if err != nil {
		return CorrectionView{}, err
	}
	of, err := s.Reads.Carrier(ctx, reach, r.Carrier, r.Meter)
	if err != nil {
		return CorrectionView{}, err
	}
	if m := orSum(of.Meter, r.Meter); m.Kind != KindCount && m.Kind != KindSum {
		return CorrectionView{}, errCorrection.With("/meter", "is of kind %s; only counts and sums can be corrected", m.Kind)
	}
	c := Correction{ID: s.IDs.New("cor"), Carrier: of.ID, Meter: r.Meter, Subject: r.Subject, Group: r.Group, Starts: Quarter.Begin(r.At), Events: -r.Events, Total: -r.Sum,
		Reason: r.Reason, Actor: actor.String(), At: now, Product: of.ProductID, Env: string(of.Env)}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		done, err := s.Accounts.Correct(ctx, c)
		if err != nil {
			return err
		}
		if !done {
			return errTooMuch
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "usage.correct", Target: c.ID, Product: c.Product, Reason: c.Reason,
			Detail: map[string]any{"carrier": c.Carrier, "meter": c.Meter, "starts": c.Starts, "events": c.Events, "sum": c.Total}})
	})
	if err != nil {
		return CorrectionView{}, err
	}
	s.memory.forget(c.Carrier)
	return c.view(), nil
}

// CorrectionAgain answers a replay of an operation whose result is the correction with the given id.
func (s *Service) CorrectionAgain(ctx context.Context, id, _ string) (CorrectionView, error) {
	c, err := s.Accounts.Correction(ctx, id)
	return c.view(), err
}

// ExplainRequest asks for an account.
type ExplainRequest struct {
	Carrier string    `query:"carrier,required" doc:"The license or API key."`
	Meter   string    `query:"meter,required" doc:"Code of the meter."`
	From    time.Time `query:"from,required" doc:"The first day, in UTC, by when usage was counted and not by when it happened."`
	To      time.Time `query:"to,required" doc:"The day after the last one."`
}

// Balance is what an account had come to.
type Balance struct {
	Events int64 `json:"events" doc:"How many events."`
	Sum    int64 `json:"sum" doc:"The sum of their numbers."`
}

// Entry is what a source counted on a day for a calendar month.
type Entry struct {
	Day     time.Time `json:"day" doc:"The day on which it was counted, in UTC."`
	Month   time.Time `json:"month" doc:"The calendar month in which it happened, in UTC."`
	Source  string    `json:"source,omitempty" doc:"The source of the batches; absent for what was counted before accounts were kept."`
	First   int64     `json:"first,omitempty" doc:"Number of the first of the batches; absent for single events."`
	Last    int64     `json:"last,omitempty" doc:"Number of the last."`
	Batches int64     `json:"batches" doc:"How many batches, or requests with events."`
	Events  int64     `json:"events" doc:"How many events."`
	Sum     int64     `json:"sum" doc:"The sum of their numbers."`
	Late    int64     `json:"late" doc:"How many of the events came in more than a day after they happened."`
}

// ExplainResponse is an account whose parts add up exactly: the opening balance, the batches and the corrections are the closing balance.
type ExplainResponse struct {
	Carrier     string           `json:"carrier" doc:"The license or API key."`
	Meter       string           `json:"meter" doc:"Code of the meter."`
	Unit        string           `json:"unit,omitempty" doc:"What one is called."`
	Opening     Balance          `json:"opening" doc:"What had been counted before the first day."`
	Batches     []Entry          `json:"batches" doc:"What was counted, by day, source and the month in which it happened."`
	Corrections []CorrectionView `json:"corrections" doc:"What was taken back, and why."`
	Closing     Balance          `json:"closing" doc:"What had been counted at the end of the last day."`
}

// maxLines bounds an account.
const maxLines = 5000

// Explain answers how the usage of a license or API key came to be: the account of a meter from day to day.
func (s *Service) Explain(ctx context.Context, r ExplainRequest) (ExplainResponse, error) {
	of := Of{Carrier: r.Carrier, Meter: r.Meter, From: r.From, To: r.To}
	if r.Carrier == "" {
		return ExplainResponse{}, errQuery.With("carrier", "must be given")
	}
	sel, m, _, err := s.choose(ctx, &of)
	if err != nil {
		return ExplainResponse{}, err
	}
	from, to := Day.Begin(r.From), Day.Begin(r.To)
	if !from.Before(to) {
		return ExplainResponse{}, errQuery.With("to", "must be a day after from")
	}
	a, err := s.Accounts.Account(ctx, sel.Carrier, sel.Meter, from, to, maxLines+1)
	if err != nil {
		return ExplainResponse{}, err
	}
	if len(a.Lines) > maxLines || len(a.Corrections) > maxLines {
		return ExplainResponse{}, errQuery.With("to", "there are more than %d lines; ask for fewer days", maxLines)
	}
	out := ExplainResponse{Carrier: sel.Carrier, Meter: sel.Meter, Unit: m.Unit, Opening: Balance{a.Events, a.Total}, Batches: make([]Entry, len(a.Lines)),
		Corrections: make([]CorrectionView, len(a.Corrections)), Closing: Balance{a.Events, a.Total}}
	for i, l := range a.Lines {
		out.Batches[i] = Entry{Day: l.Day, Month: l.Month, Source: l.Source, First: l.First, Last: l.Last, Batches: l.Batches, Events: l.Events, Sum: l.Total, Late: l.Late}
		out.Closing.Events += l.Events
		out.Closing.Sum += l.Total
	}
	for i := range a.Corrections {
		out.Corrections[i] = a.Corrections[i].view()
		out.Closing.Events += a.Corrections[i].Events
		out.Closing.Sum += a.Corrections[i].Total
	}
	return out, nil
}

var (
	errCorrection = licensing.Fail(licensing.Invalid, "usage-correction", "The usage cannot be corrected like this; see the fields.")
	errTooMuch    = licensing.Fail(licensing.Conflict, "usage-not-counted", "Less than that was counted for this meter, subject and group in that quarter of an hour.")
)
