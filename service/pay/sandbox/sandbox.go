// Package sandbox is a payment provider that moves no money: a stateful server which speaks the part of Stripe's API
// (version 2023-10-16) that a shop needs, shows a pay page with test cards, and sends signed webhooks with retries. The real
// Stripe adapter runs against it unchanged, in the demo, on a developer's machine and in tests.
//
// One [Server] is an http.Handler with three groups of routes: /v1/… is the API, /pay/… the page a buyer sees, /control/…
// tells the server to misbehave: see [Behaviour] for deliveries and [Fault] for the API. [Server.Run] does what time brings:
// deliveries and their retries, expiry of sessions, the outcome of delayed payments. All state lives in a [Store], so a
// restart loses nothing and several servers may share one.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/dial"
)

// APIVersion is the version of Stripe's API that the sandbox speaks.
const APIVersion = "2023-10-16"

// Config is what a [Server] needs. Store, Clock, IDs, APIKey and WebhookSecret are required.
type Config struct {
	Store Store
	Clock licensing.Clock
	IDs   licensing.IDs
	// APIKey is the secret key that calls must present; it starts with "sk_test_".
	APIKey string
	// WebhookSecret signs deliveries to WebhookURL; it starts with "whsec_".
	WebhookSecret string
	// WebhookURL receives events; see also [Server.SetWebhookURL]. Empty sends none.
	WebhookURL string
	// Events are the types sent to WebhookURL; none means all.
	Events []string
	// Account is the account's id, "acct_sandbox" unless said.
	Account string
	// PublicURL is where buyers reach this server, without a slash at its end; by default the host of the API call.
	PublicURL string
	// Client sends the deliveries; by default one with a timeout of ten seconds.
	Client *http.Client
	// SettleAfter is how long a delayed payment takes, ten seconds unless said.
	SettleAfter time.Duration
	// RetryAfter is the pause before the second attempt of a delivery, one second unless said. It doubles each time, up to
	// an hour, for three days.
	RetryAfter time.Duration
	Log        *slog.Logger // by default discards
}

// Server is the sandbox. It is safe for concurrent use.
type Server struct {
	Config
	mux        *http.ServeMux
	deliveries Deliveries
	faults     Faults
	wake       chan struct{}
	hook       sync.Mutex // guards Config.WebhookURL
}

var _ http.Handler = (*Server)(nil)

// New checks the configuration and returns a server that answers at once and delivers once [Server.Run] runs.
func New(c Config) (*Server, error) {
	switch {
	case c.Store == nil || c.Clock == nil || c.IDs == nil:
		return nil, errors.New("sandbox: Store, Clock and IDs are required")
	case !strings.HasPrefix(c.APIKey, "sk_test_") || len(c.APIKey) < 16:
		return nil, errors.New("sandbox: APIKey must be sk_test_… of at least 16 characters")
	case !strings.HasPrefix(c.WebhookSecret, "whsec_") || len(c.WebhookSecret) < 22:
		return nil, errors.New("sandbox: WebhookSecret must be whsec_… of at least 22 characters")
	}
	if c.Account == "" {
		c.Account = "acct_sandbox"
	}
	if c.Client == nil {
		c.Client = dial.TrustedClient()
		c.Client.Timeout = 10 * time.Second
	}
	if c.SettleAfter == 0 {
		c.SettleAfter = 10 * time.Second
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Config: c, wake: make(chan struct{}, 1)}
	s.deliveries.server = s
	s.routes()
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// SetWebhookURL says where events go from now on; "" stops sending. It is for callers who learn their own address late.
func (s *Server) SetWebhookURL(url string) {
	s.hook.Lock()
	defer s.hook.Unlock()
	s.WebhookURL = url
}

func (s *Server) webhookURL() string {
	s.hook.Lock()
	defer s.hook.Unlock()
	return s.WebhookURL
}

// Deliveries tells how webhooks are delivered.
func (s *Server) Deliveries() *Deliveries { return &s.deliveries }

// Faults tells how API calls fail.
func (s *Server) Faults() *Faults { return &s.faults }

// nudge wakes Run after a change that made something due.
func (s *Server) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	for pattern, h := range map[string]handler{
		"POST /v1/customers":                            s.createCustomer,
		"GET /v1/customers":                             s.list("customer", "/v1/customers"),
		"GET /v1/customers/{id}":                        s.retrieve("customer"),
		"POST /v1/products":                             s.createProduct,
		"GET /v1/products":                              s.list("product", "/v1/products"),
		"GET /v1/products/{id}":                         s.retrieve("product"),
		"POST /v1/prices":                               s.createPrice,
		"GET /v1/prices":                                s.list("price", "/v1/prices"),
		"GET /v1/prices/{id}":                           s.retrieve("price"),
		"POST /v1/coupons":                              s.createCoupon,
		"GET /v1/coupons":                               s.list("coupon", "/v1/coupons"),
		"GET /v1/coupons/{id}":                          s.retrieve("coupon"),
		"POST /v1/checkout/sessions":                    s.createSession,
		"GET /v1/checkout/sessions":                     s.listSessions,
		"GET /v1/checkout/sessions/{id}":                s.retrieveSession,
		"POST /v1/checkout/sessions/{id}/expire":        s.expireSession,
		"GET /v1/checkout/sessions/{id}/line_items":     s.listLineItems,
		"GET /v1/payment_intents/{id}":                  s.retrieveIntent,
		"GET /v1/charges/{id}":                          s.retrieve("charge"),
		"POST /v1/refunds":                              s.createRefund,
		"GET /v1/refunds":                               s.listRefunds,
		"GET /v1/refunds/{id}":                          s.retrieve("refund"),
		"GET /v1/disputes":                              s.listDisputes,
		"GET /v1/disputes/{id}":                         s.retrieve("dispute"),
		"GET /v1/events":                                s.listEvents,
		"GET /v1/events/{id}":                           s.retrieve("event"),
		"POST /v1/webhook_endpoints":                    s.createEndpoint,
		"GET /v1/webhook_endpoints":                     s.listEndpoints,
		"GET /v1/account":                               s.account,
		"GET /control/deliveries":                       s.controlListDeliveries,
		"POST /control/deliveries":                      s.controlDeliveries,
		"DELETE /control/deliveries":                    s.controlClear,
		"POST /control/faults":                          s.controlFaults,
		"POST /control/events/{id}/resend":              s.controlResend,
		"POST /control/events/{id}/replay":              s.controlReplay,
		"POST /control/charges/{id}/dispute":            s.controlDispute,
		"POST /control/disputes/{id}/decide":            s.controlDecide,
		"POST /control/checkout/sessions/{id}/complete": s.controlComplete,
		"POST /control/checkout/sessions/{id}/settle":   s.controlSettle,
	} {
		s.mux.Handle(pattern, s.api(h))
	}
	s.mux.Handle("/v1/", s.api(func(r *request) (any, error) {
		return nil, &apiError{status: 404, Type: "invalid_request_error", Message: fmt.Sprintf("Unrecognized request URL (%s: %s).", r.http.Method, r.http.URL.Path)}
	}))
	s.payRoutes()
}

// Run does what is due until ctx ends: it schedules and sends deliveries, expires sessions, settles delayed payments.
func (s *Server) Run(ctx context.Context) error {
	// The store's instants come from the injected clock, which in tests stands still; the pace of looking is real time.
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	var sending sync.WaitGroup
	defer sending.Wait()
	for {
		if _, err := s.tick(ctx, &sending); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "sandbox: what is due could not be done", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-pace.C:
		}
	}
}

// Flush does everything that is due now and waits until it is done, deliveries included. It returns how many things it did.
func (s *Server) Flush(ctx context.Context) (int, error) {
	total := 0
	for {
		var sending sync.WaitGroup
		n, err := s.tick(ctx, &sending)
		sending.Wait()
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}
