package e2e_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const (
	bankKey     = "sk_test_5f0c1d2e3b4a59687786"
	bankSecret  = "whsec_9d8c7b6a5f4e3d2c1b0a99887766"
	bankAccount = "acct_sandbox"
)

// shiftedClock is the system's clock, set forward by what a test says.
type shiftedClock struct{ by atomic.Int64 }

func (c *shiftedClock) Now() time.Time          { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *shiftedClock) Forward(d time.Duration) { c.by.Add(int64(d)) }

// bank is the payment provider outside of the service: the sandbox on a listener of its own, whose requests a test may
// change on their way.
type bank struct {
	*sandbox.Server
	url string

	mu    sync.Mutex
	alter func(*http.Request)
	// unlisted has the provider fail to list its events for the service, which then hears of them by deliveries alone.
	unlisted atomic.Bool
}

// fromTest marks the test's own calls to the provider.
const fromTest = "X-From-Test"

// newBank starts a provider that delivers to hook until the test ends. events are the types it delivers, all without any.
func newBank(t *testing.T, clock *shiftedClock, hook string, events ...string) *bank {
	t.Helper()
	server, err := sandbox.New(sandbox.Config{Store: sandbox.NewMemory(), Clock: clock.Now, IDs: storetest.NewIDs(), APIKey: bankKey, WebhookSecret: bankSecret,
		WebhookURL: hook, Events: events, Account: bankAccount, SettleAfter: time.Hour, RetryAfter: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b := &bank{Server: server}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		alter := b.alter
		b.mu.Unlock()
		if alter != nil {
			alter(r)
		}
		if r.URL.Path == "/v1/events" && r.Header.Get(fromTest) == "" && b.unlisted.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		b.ServeHTTP(w, r)
	}))
	b.url = listener.URL
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Errorf("the payment provider stopped: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		listener.CloseClientConnections()
		listener.Close()
	})
	return b
}

// onRequest has fn see, and change, every request to the provider.
func (b *bank) onRequest(fn func(*http.Request)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.alter = fn
}

// rewriteForm changes the form that opens a payment page, as a forger between shop and provider would.
func (b *bank) rewriteForm(change func(url.Values)) {
	b.onRequest(func(r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/checkout/sessions" {
			return
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		form, err := url.ParseQuery(string(text))
		if err != nil {
			return
		}
		change(form)
		body := form.Encode()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	})
}

// call makes an API call to the provider and returns the answer's text.
func (b *bank) call(t *testing.T, method, at string, form url.Values) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.url+at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bankKey)
	r.Header.Set(fromTest, "yes")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s at the provider answered %d %s (%v)", method, at, res.StatusCode, text, err)
	}
	return string(text)
}

// settle ends the delayed payment of an order's page.
func (b *bank) settle(t *testing.T, o *purchase, outcome string) {
	t.Helper()
	b.call(t, http.MethodPost, "/control/checkout/sessions/"+path.Base(o.url)+"/settle", url.Values{"outcome": {outcome}})
}

// events are the provider's events of a type, newest first.
func (b *bank) events(t *testing.T, kind string) []string {
	t.Helper()
	var list struct {
		Data []struct{ ID string }
	}
	decode(t, b.call(t, http.MethodGet, "/v1/events?limit=100&type="+kind, nil), &list)
	ids := make([]string, len(list.Data))
	for i, e := range list.Data {
		ids[i] = e.ID
	}
	return ids
}

// deliveries are the provider's attempts to deliver an event; of all events when it is "".
func (b *bank) deliveries(t *testing.T, event string) []sandbox.Sent {
	t.Helper()
	all, err := b.Deliveries().All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []sandbox.Sent
	for _, d := range all {
		if event == "" || d.Event == event {
			out = append(out, d)
		}
	}
	return out
}

// settled waits until nothing is on its way any more and n deliveries arrived.
func (b *bank) settled(t *testing.T, n int) {
	t.Helper()
	eventually(t, "every delivery has arrived", 2*time.Minute, func() bool {
		arrived := 0
		for _, d := range b.deliveries(t, "") {
			switch d.State {
			case "delivered":
				arrived++
			case "waiting", "held":
				return false
			}
		}
		return arrived >= n
	})
}
