// Package walk goes the golden path against a running service, over real HTTP and through the real SDK: sign up, browse, checkout, pay on
// the payment page, signed webhook, fulfilment, download, activation, offline verification, an API key up to its limit, a ticket answered,
// and the invariants. The demo shows it to people; end-to-end tests run the same steps.
package walk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mintreu/mintreu/sdk"
)

// Params say which service to walk and how.
type Params struct {
	// BaseURL is the service's address.
	BaseURL string
	// Operator calls an operation as the person at the machine: what a founder does in the console.
	Operator func(ctx context.Context, method, path string, in, out any) error
	// Roots are the root public keys that the product would have built in.
	Roots []string
	// Invariants runs the checker and returns what it found wrong.
	Invariants func(ctx context.Context) ([]string, error)
	// Report is told of every step as it ends; nil tells nobody.
	Report func(Step)
	// Clock measures steps; nil is the system's.
	Clock func() time.Time
}

// Step is one step of the walk.
type Step struct {
	Name   string        `json:"name"`
	Detail string        `json:"detail"` // what was seen, for people
	Took   time.Duration `json:"-"`
	Millis float64       `json:"ms"`
	Err    string        `json:"error,omitempty"`
}

// Summary is the whole walk.
type Summary struct {
	OK      bool    `json:"ok"`
	BaseURL string  `json:"base_url"`
	Steps   []Step  `json:"steps"`
	Millis  float64 `json:"ms"`
	Order   string  `json:"order,omitempty"`
	License string  `json:"license,omitempty"`
}

// settle is how long the walk waits for what happens by itself: delivery of a webhook, fulfilment.
const settle = 30 * time.Second

// walker is one walk under way.
type walker struct {
	Params
	http    *http.Client
	product product
	email   string
	session string // of the customer, "" for a guest
	access  string // of the checkout
	order   string
	pay     string // payment page
	key     string // license key
	license string
	apiKey  string
	store   *sdk.MemoryStore // the product's state between its two starts
}

func newWalker(p Params) *walker {
	if p.Clock == nil {
		p.Clock = time.Now
	}
	if p.Report == nil {
		p.Report = func(Step) {}
	}
	return &walker{Params: p, email: "ada@example.com", store: &sdk.MemoryStore{}, http: &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// errNotYet makes wait look again.
var errNotYet = errors.New("not yet")

// Run walks. The error is that of the first step that did not hold; the summary has every step that ran.
func Run(ctx context.Context, p Params) (Summary, error) {
	w := newWalker(p)
	p = w.Params
	defer w.http.CloseIdleConnections()
	start := p.Clock()
	s := Summary{BaseURL: p.BaseURL}
	var failed error
	for _, step := range []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"set up a product", w.setUp},
		{"upload and publish a release", w.publish},
		{"sign up, by the mailed link", w.signUp},
		{"browse", w.browse},
		{"check out", w.checkOut},
		{"pay on the payment page", w.payNow},
		{"signed webhook", w.webhook},
		{"license and API key", w.fulfilled},
		{"download, bytes checked", w.download},
		{"activate a device", w.activate},
		{"verify offline, network off", w.offline},
		{"API key until its limit", w.limit},
		{"ticket answered", w.ticket},
		{"invariants", w.invariants},
	} {
		began := p.Clock()
		detail, err := step.run(ctx)
		took := p.Clock().Sub(began)
		done := Step{Name: step.name, Detail: detail, Took: took, Millis: millis(took)}
		if err != nil {
			done.Err = err.Error()
			failed = fmt.Errorf("%s: %w", step.name, err)
		}
		s.Steps = append(s.Steps, done)
		p.Report(done)
		if err != nil {
			break
		}
	}
	s.OK, s.Order, s.License, s.Millis = failed == nil, w.order, w.license, millis(p.Clock().Sub(start))
	return s, failed
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// wait runs look until it succeeds, fails otherwise than with errNotYet, or the time is over.
func wait(ctx context.Context, look func() error) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := look()
		if err == nil || !errors.Is(err, errNotYet) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s: %w", settle, err)
		case <-tick.C:
		}
	}
}
