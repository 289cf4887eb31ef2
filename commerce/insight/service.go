package insight

import (
	"context"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
)

// Deps is what a [Service] needs.
type Deps struct {
	Store Store
	Clock licensing.Clock
	// Off lists the kill switches that are off, from memory.
	Off func() []Off
	// Probes are asked at once, each within a second.
	Probes []Probe
	// Keys tells how the signing keys stand.
	Keys func(ctx context.Context) (Keys, error)
	// Holdings and Judge answer [Service.Mine]. Judge decides on a license as a product does on a device that holds a seat.
	Holdings Holdings
	Judge    func(l *license.License, now time.Time) eval.Decision
}

// Service answers the overview. It is safe for concurrent use.
type Service struct {
	Deps

	mu   sync.Mutex
	last Overview
}

// New makes a Service.
func New(d Deps) *Service {
	if d.Off == nil {
		d.Off = func() []Off { return nil }
	}
	if d.Keys == nil {
		d.Keys = func(context.Context) (Keys, error) { return Keys{RootOnline: true, Standby: 2}, nil }
	}
	return &Service{Deps: d}
}

// keptFor is how old an answer may be.
const keptFor = 5 * time.Second

// Days is how many days the series have, today included.
const Days = 30

// GetRequest asks for the overview.
type GetRequest struct{}

// Overview is how the shop goes.
type Overview struct {
	At          time.Time `json:"at" doc:"When the figures were counted; they are kept for five seconds."`
	State       State     `json:"state" doc:"The worst state of a step." enum:"ok,warn,bad,idle"`
	Steps       []Step    `json:"steps" doc:"The golden path, step by step, then what carries it."`
	Sales       []Series  `json:"sales" doc:"What was sold a day, by environment and currency; live first, then by amount."`
	Customers   Lately    `json:"customers" doc:"New customers."`
	Orders      Lately    `json:"orders" doc:"Orders made, paid or not."`
	Paid        Lately    `json:"paid" doc:"Orders paid."`
	Licenses    Lately    `json:"licenses" doc:"Licenses issued."`
	Keys        Lately    `json:"keys" doc:"API keys issued."`
	Activations Lately    `json:"activations" doc:"Devices and users activated."`
	Downloads   Lately    `json:"downloads" doc:"Downloads begun."`
}

// Get returns the overview. One caller counts, the others of the next five seconds share what it found.
func (s *Service) Get(ctx context.Context, _ GetRequest) (Overview, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Clock.Now()
	if age := now.Sub(s.last.At); !s.last.At.IsZero() && age >= 0 && age < keptFor {
		return s.last, nil
	}
	o, err := s.count(ctx, now)
	if err == nil {
		s.last = o
	}
	return o, err
}

func (s *Service) count(ctx context.Context, now time.Time) (Overview, error) {
	c, err := s.Store.Counts(ctx, now)
	if err != nil {
		return Overview{}, err
	}
	sales, err := s.Store.Sales(ctx, firstDay(now))
	if err != nil {
		return Overview{}, err
	}
	support, err := s.Store.Support(ctx, now)
	if err != nil {
		return Overview{}, err
	}
	h := health{Counts: c, now: now, off: s.Off(), support: support}
	if k, err := s.Keys(ctx); err == nil {
		h.keys = &k
	}
	o := Overview{At: now, State: OK, Steps: append(h.steps(), s.probe(ctx)...), Sales: series(sales, now),
		Customers: c.Customers, Orders: c.Orders, Paid: c.Paid, Licenses: c.Licenses, Keys: c.Keys, Activations: c.Activations, Downloads: c.Downloads}
	for _, step := range o.Steps {
		if step.State.worse(o.State) {
			o.State = step.State
		}
	}
	return o, nil
}

// probeTime is how long something may take to say that it is there.
const probeTime = time.Second

func (s *Service) probe(ctx context.Context) []Step {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	steps := make([]Step, len(s.Probes))
	var wg sync.WaitGroup
	for i, p := range s.Probes {
		wg.Go(func() {
			steps[i] = Step{Name: "probe", Title: p.Name, State: OK, Text: "Answers."}
			if p.Run(ctx) != nil {
				steps[i].State, steps[i].Text = Bad, "Does not answer. The log says why."
			}
		})
	}
	wg.Wait()
	return steps
}
