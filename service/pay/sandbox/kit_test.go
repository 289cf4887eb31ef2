package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const (
	apiKey = "sk_test_0123456789abcdef"
	secret = "whsec_0123456789abcdef0123456789"
)

func ids(prefix string) string {
	return prefix + "_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
}

// box is a sandbox and a plain HTTP client of it.
type box struct {
	*sandbox.Server
	t     *testing.T
	url   string
	clock *storetest.Clock
}

func newBox(t *testing.T, c sandbox.Config) *box {
	t.Helper()
	b := &box{t: t, clock: storetest.NewClock()}
	if c.Store == nil {
		c.Store = sandbox.NewMemory()
	}
	if c.Clock == nil {
		c.Clock = b.clock.Now
	}
	c.IDs, c.APIKey, c.WebhookSecret = ids, apiKey, secret
	var err error
	if b.Server, err = sandbox.New(c); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b.Server)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

type object = map[string]any

// do makes an API call; headers are pairs.
func (b *box) do(method, path, form string, headers ...string) (int, object) {
	b.t.Helper()
	req, err := http.NewRequest(method, b.url+path, strings.NewReader(form))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out object
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		b.t.Fatalf("%s %s answered %d without JSON: %v", method, path, resp.StatusCode, err)
	}
	return resp.StatusCode, out
}

// must makes an API call that has to succeed.
func (b *box) must(method, path, form string, headers ...string) object {
	b.t.Helper()
	status, out := b.do(method, path, form, headers...)
	if status != 200 {
		b.t.Fatalf("%s %s answered %d %v", method, path, status, out)
	}
	return out
}

// fault is the code or, without one, the type of an error.
func fault(o object) string {
	e, _ := o["error"].(object)
	if code, ok := e["code"].(string); ok {
		return code
	}
	kind, _ := e["type"].(string)
	return kind
}

const session = "mode=payment&success_url=https%3A%2F%2Fshop.example%2Fthanks%3Fs%3D%7BCHECKOUT_SESSION_ID%7D&cancel_url=https%3A%2F%2Fshop.example%2Fcart" +
	"&line_items[0][quantity]=2&line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=1050&line_items[0][price_data][product_data][name]=Plugin"

// page fetches or submits the pay page.
func (b *box) page(id string, form url.Values, headers ...string) (int, http.Header, string) {
	b.t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	req, err := http.NewRequest(method, b.url+"/pay/"+id, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

func form(email, card string) url.Values { return url.Values{"email": {email}, "card": {card}} }

// until polls a condition for up to a minute.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
