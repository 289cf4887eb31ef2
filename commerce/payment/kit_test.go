package payment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/pay/stripe"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const (
	apiKey = "sk_test_0123456789abcdef"
	secret = "whsec_0123456789abcdef0123456789"
)

// shop is two replicas of the intake over one database, fed by a sandbox through the real adapter and the real webhook
// handler. Its applier writes one row of the table effect for each paid session, without any uniqueness of its own: only the
// intake keeps the effects apart.
type shop struct {
	t        *testing.T
	env      storetest.Env
	box      *sandbox.Server
	api      *httptest.Server
	hook     *httptest.Server
	gateway  *stripe.Gateway
	replicas []*payment.Service
	turn     int

	mu     sync.Mutex
	jobs   []licensing.Job
	lost   bool // jobs are lost
	alerts []string
	status []int // answers of the webhook handler
	before func(payment.Event) error
}

func newShop(t *testing.T, e storetest.Env) *shop {
	t.Helper()
	s := &shop{t: t, env: e}
	if _, err := e.DB.Exec(t.Context(), `CREATE TABLE effect (session text COLLATE "C" NOT NULL, event text COLLATE "C" NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	s.hook = httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(s.hook.Close)
	var err error
	s.box, err = sandbox.New(sandbox.Config{
		Store: e.Store.Sandbox(), Clock: e.Clock.Now, IDs: e.IDs, APIKey: apiKey, WebhookSecret: secret, WebhookURL: s.hook.URL, Events: stripe.Types(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.api = httptest.NewServer(s.box)
	t.Cleanup(s.api.Close)
	s.gateway, err = stripe.New(stripe.Config{Key: apiKey, Secrets: []stripe.Secret{{Value: secret}}, BaseURL: s.api.URL, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p := payment.New(payment.Deps{
			Store: e.Store.Payments(), Gateway: s.gateway, APIVersion: stripe.Version, Clock: e.Clock.Now, Tx: e.Store,
			Audit: audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs}), Jobs: s, Alert: s.alert,
		})
		p.Handle("checkout.session", s)
		s.replicas = append(s.replicas, p)
	}
	return s
}

// Enqueue implements licensing.Enqueuer: it keeps the jobs, or loses them.
func (s *shop) Enqueue(_ context.Context, j licensing.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost {
		return errors.New("the job table is away")
	}
	s.jobs = append(s.jobs, j)
	return nil
}

func (s *shop) alert(_ context.Context, code, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alerts = append(s.alerts, code)
}

// Apply implements payment.Applier: a paid session takes effect, an unpaid one has none.
func (s *shop) Apply(ctx context.Context, e payment.Event) (func(context.Context) error, error) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(e); err != nil {
			return nil, err
		}
	}
	c, err := s.gateway.Session(ctx, e.Object)
	if errors.Is(err, payment.ErrNoObject) {
		return nil, payment.ErrPending
	}
	if err != nil || c.Payment != payment.Paid {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := s.env.DB.Exec(ctx, `INSERT INTO effect (session, event) VALUES ($1, $2)`, c.ID, e.ID)
		return err
	}, nil
}

// receive hands deliveries to the replicas in turn.
func (s *shop) receive(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.turn++
	p := s.replicas[s.turn%2]
	s.mu.Unlock()
	rec := &statusWriter{ResponseWriter: w, status: 200}
	httpapi.StripeWebhook(p).ServeHTTP(rec, r)
	s.mu.Lock()
	s.status = append(s.status, rec.status)
	s.mu.Unlock()
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// paid opens a session and pays it on the pay page.
func (s *shop) paid(order, card string) payment.Session {
	s.t.Helper()
	c, err := s.gateway.OpenSession(s.t.Context(), payment.SessionRequest{
		Key: "mintreu:session:" + order + ":0", Order: order, Email: "buyer@example.com", SuccessURL: "https://shop.example/thanks",
		Lines: []payment.Line{{Name: "Editor", Unit: money.New(4900, "EUR"), Quantity: 1}}, ExpiresAt: s.env.Clock.Now().Add(time.Hour),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(c.URL, url.Values{"email": {"buyer@example.com"}, "card": {card}})
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("paying answered %d", resp.StatusCode)
	}
	return c
}

// deliver lets the sandbox do what is due.
func (s *shop) deliver() {
	s.t.Helper()
	if _, err := s.box.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// work runs every job that is due, each on every replica at once, until none is left.
func (s *shop) work() {
	s.t.Helper()
	for {
		s.mu.Lock()
		var due, later []licensing.Job
		for _, j := range s.jobs {
			if j.At.After(s.env.Clock.Now()) {
				later = append(later, j)
			} else {
				due = append(due, j)
			}
		}
		s.jobs = later
		s.mu.Unlock()
		if len(due) == 0 {
			return
		}
		for _, j := range due {
			s.everywhere(func(p *payment.Service) error { return p.Process(s.t.Context(), j.Args.(payment.ProcessArgs).Event) })
		}
	}
}

// everywhere runs fn on all replicas at once.
func (s *shop) everywhere(fn func(*payment.Service) error) {
	s.t.Helper()
	var all sync.WaitGroup
	for _, p := range s.replicas {
		all.Go(func() {
			if err := fn(p); err != nil {
				s.t.Error(err)
			}
		})
	}
	all.Wait()
}

// effects counts the effects of a session; "" counts all.
func (s *shop) effects(session string) int {
	s.t.Helper()
	var n int
	if err := s.env.DB.QueryRow(s.t.Context(), `SELECT count(*) FROM effect WHERE $1 = '' OR session = $1`, session).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// rows lists the inbox, newest first.
func (s *shop) rows(state payment.State) []payment.EventView {
	s.t.Helper()
	list, err := s.replicas[0].List(s.t.Context(), payment.ListRequest{State: string(state), Page: licensing.Page{Limit: 100}})
	if err != nil {
		s.t.Fatal(err)
	}
	return list.Items
}

func (s *shop) answers() map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int]int{}
	for _, status := range s.status {
		out[status]++
	}
	return out
}

func (s *shop) alerted(code string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.alerts {
		if c == code {
			n++
		}
	}
	return n
}

// event is an event as the provider sends it.
func event(id, object, version string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","api_version":%q,"type":"checkout.session.completed","created":1772366400,"livemode":false,"data":{"object":{"id":%q,"object":"checkout.session"}}}`, id, version, object)
}

// send posts a signed delivery and returns the answer's status.
func (s *shop) send(body []byte) int {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.hook.URL, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Stripe-Signature", sandbox.Sign(body, secret, s.env.Clock.Now()))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
