package stripe_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/pay/stripe"
)

const (
	apiKey = "sk_test_0123456789abcdef"
	secret = "whsec_0123456789abcdef0123456789"
)

// shop is the real adapter in front of a sandbox, with a clock of the test's own and a receiver of webhooks.
type shop struct {
	t       *testing.T
	box     *sandbox.Server
	server  *httptest.Server
	gateway *stripe.Gateway
	mu      sync.Mutex
	now     time.Time
	got     []payment.Event // verified deliveries
	refused []error
}

func (s *shop) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *shop) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func ids(prefix string) string {
	return prefix + "_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
}

func open(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	receiver := httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(receiver.Close)
	var err error
	s.box, err = sandbox.New(sandbox.Config{
		Store: sandbox.NewMemory(), Clock: s.clock, IDs: ids, APIKey: apiKey, WebhookSecret: secret, WebhookURL: receiver.URL + "/hook", Events: stripe.Types(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewServer(s.box)
	t.Cleanup(s.server.Close)
	s.gateway = s.adapter(stripe.Config{WebhookURL: receiver.URL + "/hook"})
	return s
}

// adapter makes a gateway for this sandbox; what c leaves empty is filled in.
func (s *shop) adapter(c stripe.Config) *stripe.Gateway {
	s.t.Helper()
	if c.Key == "" {
		c.Key = apiKey
	}
	if c.Secrets == nil {
		c.Secrets = []stripe.Secret{{Value: secret}}
	}
	c.BaseURL = s.server.URL
	g, err := stripe.New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

func (s *shop) receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e, err := s.gateway.Verify(body, r.Header.Get("Stripe-Signature"), s.clock())
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.refused = append(s.refused, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.got = append(s.got, e)
}

// flush does what is due at the sandbox and returns the types of what was delivered since the last call.
func (s *shop) flush() []string {
	s.t.Helper()
	if _, err := s.box.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.got {
		out = append(out, e.Type)
	}
	s.got = nil
	return out
}

// request is a session of two lines, 49.00 + 2 × 10.50 EUR.
func (s *shop) request(order string) payment.SessionRequest {
	return payment.SessionRequest{
		Key: "mintreu:session:" + order + ":0", Order: order, Email: "buyer@example.com",
		Lines: []payment.Line{
			{Name: "Editor Pro", Unit: money.New(4900, "EUR"), Quantity: 1},
			{Name: "Plugin", Unit: money.New(1050, "EUR"), Quantity: 2},
		},
		SuccessURL: "https://shop.example/thanks?session={CHECKOUT_SESSION_ID}", CancelURL: "https://shop.example/cart", ExpiresAt: s.clock().Add(time.Hour),
	}
}

func (s *shop) open(r payment.SessionRequest) payment.Session {
	s.t.Helper()
	out, err := s.gateway.OpenSession(context.Background(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// pay submits the pay page's form and returns the answer's status and Location.
func (s *shop) pay(session payment.Session, card string) (int, string) {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(session.URL, url.Values{"email": {"payer@example.com"}, "card": {card}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Location")
}

func (s *shop) session(id string) payment.Session {
	s.t.Helper()
	out, err := s.gateway.Session(context.Background(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// call makes a plain API call with a form.
func (s *shop) call(method, path, form string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.server.URL+path, strings.NewReader(form))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
