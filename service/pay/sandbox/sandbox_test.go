package sandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/pay/sandbox"
)

// hook receives deliveries.
type hook struct {
	url    string
	mu     sync.Mutex
	got    []string
	answer func(n int) int // status of the n-th delivery, from 1
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{answer: func(int) int { return 200 }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e struct{ Type string }
		_ = json.Unmarshal(body, &e)
		h.mu.Lock()
		h.got = append(h.got, e.Type)
		status := h.answer(len(h.got))
		h.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *hook) types() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := slices.Clone(h.got)
	slices.Sort(out)
	return out
}

// TestNew guarantees that a sandbox is not made with credentials that would work nowhere else or protect nothing.
func TestNew(t *testing.T) {
	t.Parallel()
	good := sandbox.Config{Store: sandbox.NewMemory(), Clock: time.Now, IDs: ids, APIKey: apiKey, WebhookSecret: secret}
	if _, err := sandbox.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*sandbox.Config){
		"no store": func(c *sandbox.Config) { c.Store = nil }, "no clock": func(c *sandbox.Config) { c.Clock = nil },
		"live key": func(c *sandbox.Config) { c.APIKey = "sk_live_0123456789abcdef" }, "short key": func(c *sandbox.Config) { c.APIKey = "sk_test_1" },
		"no secret": func(c *sandbox.Config) { c.WebhookSecret = "" }, "short secret": func(c *sandbox.Config) { c.WebhookSecret = "whsec_1" },
	} {
		c := good
		spoil(&c)
		if _, err := sandbox.New(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestRequestsAreChecked guarantees that what Stripe would refuse is refused: wrong key, unknown and missing parameters, bad
// numbers, addresses that are not http, mixed currencies, objects that do not exist.
func TestRequestsAreChecked(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	swap := func(old, new string) string {
		if !strings.Contains(session, old) {
			t.Fatalf("the request has no %q", old)
		}
		return strings.Replace(session, old, new, 1)
	}
	for name, c := range map[string]struct {
		method, path, form, want string
		status                   int
	}{
		"unknown path":     {"GET", "/v1/nothing", "", "invalid_request_error", 404},
		"unknown object":   {"GET", "/v1/charges/ch_1", "", "resource_missing", 404},
		"unknown param":    {"POST", "/v1/checkout/sessions", session + "&colour=red", "parameter_unknown", 400},
		"unknown deep":     {"POST", "/v1/checkout/sessions", session + "&line_items[0][price_data][colour]=red", "parameter_unknown", 400},
		"twice":            {"POST", "/v1/customers", "email=a@example.com&email=b@example.com", "invalid_request_error", 400},
		"malformed name":   {"POST", "/v1/customers", "metadata[a=1", "invalid_request_error", 400},
		"no lines":         {"POST", "/v1/checkout/sessions", "mode=payment&success_url=https%3A%2F%2Fshop.example", "parameter_missing", 400},
		"no success":       {"POST", "/v1/checkout/sessions", swap("success_url=", "cancel_url2="), "parameter_missing", 400},
		"script success":   {"POST", "/v1/checkout/sessions", swap("success_url=https%3A", "success_url=javascript%3A"), "url_invalid", 400},
		"relative cancel":  {"POST", "/v1/checkout/sessions", swap("cancel_url=https%3A%2F%2Fshop.example", "cancel_url="), "url_invalid", 400},
		"host with header": {"POST", "/v1/checkout/sessions", swap("success_url=https%3A%2F%2Fshop.example", "success_url=https%3A%2F%2Fx%3Bscript-src"), "url_invalid", 400},
		"mode":             {"POST", "/v1/checkout/sessions", swap("mode=payment", "mode=setup"), "invalid_request_error", 400},
		"negative":         {"POST", "/v1/checkout/sessions", swap("unit_amount]=1050", "unit_amount]=-1"), "parameter_invalid_integer", 400},
		"fraction":         {"POST", "/v1/checkout/sessions", swap("unit_amount]=1050", "unit_amount]=10.5"), "parameter_invalid_integer", 400},
		"too much":         {"POST", "/v1/checkout/sessions", swap("quantity]=2", "quantity]=999999"), "amount_too_large", 400},
		"no quantity":      {"POST", "/v1/checkout/sessions", swap("line_items[0][quantity]=2&", ""), "parameter_missing", 400},
		"two currencies":   {"POST", "/v1/checkout/sessions", session + "&line_items[1][quantity]=1&line_items[1][price_data][currency]=usd&line_items[1][price_data][unit_amount]=1&line_items[1][price_data][product_data][name]=X", "invalid_request_error", 400},
		"expiry":           {"POST", "/v1/checkout/sessions", session + "&expires_at=1", "invalid_request_error", 400},
		"e-mail":           {"POST", "/v1/checkout/sessions", session + "&customer_email=nobody", "email_invalid", 400},
		"no such coupon":   {"POST", "/v1/checkout/sessions", session + "&discounts[0][coupon]=NONE", "resource_missing", 404},
		"coupon of both":   {"POST", "/v1/coupons", "amount_off=1&currency=eur&percent_off=5", "invalid_request_error", 400},
		"bad query":        {"POST", "/v1/customers", "a;b=%zz", "invalid_request_error", 400},
		"page size":        {"GET", "/v1/events?limit=101", "", "invalid_request_error", 400},
		"refund of none":   {"POST", "/v1/refunds", "payment_intent=pi_1", "resource_missing", 404},
	} {
		status, out := b.do(c.method, c.path, c.form)
		if status != c.status || fault(out) != c.want {
			t.Errorf("%s: %d %v", name, status, out)
		}
	}
	for _, key := range []string{"", "Bearer sk_test_wrong", "Bearer " + apiKey + "0"} {
		if status, out := b.do("GET", "/v1/account", "", "Authorization", key); status != 401 {
			t.Errorf("key %q answered %d %v", key, status, out)
		}
		if status, _ := b.do("POST", "/control/faults", "{}", "Authorization", key, "Content-Type", "application/json"); status != 401 {
			t.Errorf("key %q controls the sandbox: %d", key, status)
		}
	}
}

// TestIdempotencyKeys guarantees that a key gives its first answer for a day, also to callers at the same time, refuses other
// parameters, is not used up by a refused request, remembers a failure of the server, and is forgotten after a day.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, s sandbox.Store) {
		b := newBox(t, sandbox.Config{Store: s})
		key := []string{"Idempotency-Key", "k1"}
		if status, _ := b.do("POST", "/v1/checkout/sessions", "mode=payment", key...); status != 400 {
			t.Fatal("an incomplete session was made")
		}
		var mu sync.Mutex
		seen := map[any]bool{}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				status, out := b.do("POST", "/v1/checkout/sessions", session, key...)
				mu.Lock()
				defer mu.Unlock()
				if status != 200 {
					t.Errorf("answered %d %v", status, out)
				}
				seen[out["id"]] = true
			})
		}
		all.Wait()
		if len(seen) != 1 {
			t.Errorf("one key made %d sessions", len(seen))
		}
		if status, out := b.do("POST", "/v1/checkout/sessions", session+"&client_reference_id=x", key...); status != 400 || fault(out) != "idempotency_error" {
			t.Errorf("other parameters: %d %v", status, out)
		}
		if status, out := b.do("POST", "/v1/customers", session, key...); fault(out) != "idempotency_error" {
			t.Errorf("another path: %d %v", status, out)
		}
		broken := []string{"Idempotency-Key", "k2"}
		if err := b.Faults().Add(sandbox.Fault{Kind: sandbox.ServerError, Method: "POST"}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if status, out := b.do("POST", "/v1/checkout/sessions", session, broken...); status != 500 {
				t.Errorf("the key of a call that broke answers %d %v", status, out)
			}
		}
		b.clock.Advance(24 * time.Hour)
		b.must("POST", "/v1/checkout/sessions", session, broken...)
		if late := b.must("POST", "/v1/checkout/sessions", session, key...); seen[late["id"]] {
			t.Error("the key was not forgotten after a day")
		}
	})
}

// TestCatalogueObjects guarantees that products, prices, customers and coupons can be made, read and listed, and used by a session.
func TestCatalogueObjects(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	product := b.must("POST", "/v1/products", "name=Editor&metadata[k]=v")["id"].(string)
	price := b.must("POST", "/v1/prices", "product="+product+"&currency=EUR&unit_amount=4900")["id"].(string)
	customer := b.must("POST", "/v1/customers", "email=c%40example.com")["id"].(string)
	coupon := b.must("POST", "/v1/coupons", "percent_off=12.5&max_redemptions=1")["id"].(string)
	c := b.must("POST", "/v1/checkout/sessions", "mode=payment&success_url=https%3A%2F%2Fshop.example&line_items[0][price]="+price+"&line_items[0][quantity]=3&customer="+customer+"&discounts[0][coupon]="+coupon)
	if c["amount_subtotal"] != 14700.0 || c["amount_total"] != 12862.0 || c["currency"] != "eur" || c["customer_email"] != "c@example.com" {
		t.Errorf("session %v", c)
	}
	if status, _, _ := b.page(c["id"].(string), form("c@example.com", "4242 4242 4242 4242")); status != 303 {
		t.Fatalf("paying answered %d", status)
	}
	if got := b.must("GET", "/v1/coupons/"+coupon, ""); got["valid"] != false || got["times_redeemed"] != 1.0 {
		t.Errorf("coupon %v", got)
	}
	for kind, id := range map[string]string{"products": product, "prices": price, "customers": customer, "coupons": coupon} {
		if got := b.must("GET", "/v1/"+kind+"/"+id, ""); got["id"] != id {
			t.Errorf("%s is %v", id, got)
		}
		if list := b.must("GET", "/v1/"+kind, "")["data"].([]any); len(list) != 1 || list[0].(object)["id"] != id {
			t.Errorf("%s are %v", kind, list)
		}
	}
}

// TestDeliveryRetries guarantees that Run delivers without being asked, tries again after failures until a 2xx, and keeps count.
func TestDeliveryRetries(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	h.answer = func(n int) int { return []int{500, 302, 404, 200}[min(n-1, 3)] }
	b := newBox(t, sandbox.Config{WebhookURL: h.url, Events: []string{"checkout.session.expired"}, RetryAfter: time.Millisecond, Clock: time.Now,
		Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	c := b.must("POST", "/v1/checkout/sessions", session)
	b.must("POST", "/v1/checkout/sessions/"+c["id"].(string)+"/expire", "")
	until(t, "delivered", func() bool {
		all, err := b.Deliveries().All(t.Context())
		return err == nil && len(all) == 1 && all[0].State == "delivered" && all[0].Attempts == 4 && all[0].Status == 200
	})
	if e := b.must("GET", "/v1/events?type=checkout.session.expired", "")["data"].([]any)[0].(object); e["pending_webhooks"] != 0.0 || e["api_version"] != sandbox.APIVersion {
		t.Errorf("event %v", e)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRetryPauses guarantees the pauses between attempts, doubling from a second to an hour, and the end after three days.
func TestRetryPauses(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	h.answer = func(int) int { return 500 }
	b := newBox(t, sandbox.Config{WebhookURL: h.url, Events: []string{"checkout.session.expired"}})
	c := b.must("POST", "/v1/checkout/sessions", session)
	b.must("POST", "/v1/checkout/sessions/"+c["id"].(string)+"/expire", "")
	start, attempts := b.clock.Now(), []time.Duration{}
	for b.clock.Now().Sub(start) < 80*time.Hour {
		before := len(h.types())
		if _, err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(h.types()) > before {
			attempts = append(attempts, b.clock.Now().Sub(start))
		}
		step := time.Second
		if b.clock.Now().Sub(start) > time.Minute {
			step = time.Minute
		}
		b.clock.Advance(step)
	}
	if want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}; !slices.Equal(attempts[:5], want) {
		t.Errorf("attempts at %v", attempts[:5])
	}
	if last := attempts[len(attempts)-1]; last > 72*time.Hour || last < 70*time.Hour || len(attempts) > 90 {
		t.Errorf("%d attempts, the last after %v", len(attempts), last)
	}
	if all, err := b.Deliveries().All(t.Context()); err != nil || all[0].State != "failed" {
		t.Errorf("deliveries %+v, %v", all, err)
	}
}

// TestControl guarantees that a sandbox can be told over HTTP to pay, settle, misdeliver, fail and resend, and that it refuses
// orders it does not understand.
func TestControl(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	b := newBox(t, sandbox.Config{WebhookURL: h.url, Events: []string{"checkout.session.completed", "checkout.session.async_payment_failed"}})
	asJSON := []string{"Content-Type", "application/json"}
	b.must("POST", "/control/deliveries", `{"copies":3,"events":1}`, asJSON...)
	c := b.must("POST", "/v1/checkout/sessions", session+"&customer_email=a%40example.com")["id"].(string)
	if done := b.must("POST", "/control/checkout/sessions/"+c+"/complete", "card=debit_succeeds"); done["status"] != "complete" || done["payment_status"] != "unpaid" {
		t.Fatalf("completed %v", done)
	}
	b.must("POST", "/control/checkout/sessions/"+c+"/settle", "outcome=failed")
	if status, _ := b.do("POST", "/control/checkout/sessions/"+c+"/settle", "outcome=failed"); status != 400 {
		t.Error("settled twice")
	}
	if _, err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.types(); fmt.Sprint(got) != "[checkout.session.async_payment_failed checkout.session.completed checkout.session.completed checkout.session.completed]" {
		t.Errorf("delivered %v", got)
	}
	event := b.must("GET", "/v1/events?type=checkout.session.completed", "")["data"].([]any)[0].(object)["id"].(string)
	b.must("POST", "/control/events/"+event+"/resend", "")
	if out := b.must("POST", "/control/events/"+event+"/replay", ""); out["status"] != 200.0 {
		t.Errorf("replayed %v", out)
	}
	if _, err := b.Flush(t.Context()); err != nil || len(h.types()) != 6 {
		t.Errorf("delivered %v, %v", h.types(), err)
	}
	if list := b.must("GET", "/control/deliveries?event="+event, "")["data"].([]any); len(list) != 4 {
		t.Errorf("%d deliveries", len(list))
	}
	b.must("POST", "/control/faults", `{"kind":"rate_limited","path":"/v1/account","calls":2}`, asJSON...)
	if status, _ := b.do("GET", "/v1/account", ""); status != 429 {
		t.Errorf("a call that should fail answered %d", status)
	}
	b.must("DELETE", "/control/deliveries", "")
	b.must("GET", "/v1/account", "")
	for _, bad := range []string{`{"kind":"meteor"}`, `{"sort":"reset"}`, `[]`, ``} {
		if status, _ := b.do("POST", "/control/faults", bad, asJSON...); status != 400 {
			t.Errorf("%s was answered %d", bad, status)
		}
	}
	if status, _ := b.do("POST", "/control/deliveries", `{"copies":100000}`, asJSON...); status != 400 {
		t.Error("a hundred thousand copies were accepted")
	}
}

// TestPayPage guarantees what the buyer sees: the order as it is, text escaped, the sandbox named; problems are said beside the
// field and keep what was entered; what is over says so; other sites cannot submit the form.
func TestPayPage(t *testing.T) {
	t.Parallel()
	b := newBox(t, sandbox.Config{})
	c := b.must("POST", "/v1/checkout/sessions", strings.Replace(session, "=Plugin", "=%3Cb%3EPlugin", 1)+"&customer_email=a%40example.com")
	id := c["id"].(string)
	status, h, text := b.page(id, nil)
	for _, want := range []string{"21.00 EUR", "10.50 EUR", "&lt;b&gt;Plugin", "No real money", "4242 4242 4242 4242", `value="a@example.com"`, `<html lang="en">`, `href="https://shop.example/cart"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if csp := h.Get("Content-Security-Policy"); status != 200 || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "form-action 'self' https://shop.example;") || strings.Contains(text, "<script") || strings.Contains(text, "style=") {
		t.Errorf("%d, policy %q", status, csp)
	}
	for name, f := range map[string]url.Values{"no e-mail": form("", sandbox.CardSucceeds), "bad e-mail": form("a b", sandbox.CardSucceeds), "no card": form("b@example.com", ""), "other card": form("b@example.com", "4111111111111111")} {
		status, _, text := b.page(id, f)
		if status != 422 || !strings.Contains(text, "<title>Problem: Pay") || !strings.Contains(text, `value="`+f.Get("email")+`"`) || strings.Contains(name, "e-mail") != strings.Contains(text, `aria-describedby="email-error"`) {
			t.Errorf("%s answered %d %s", name, status, text)
		}
	}
	if status, _, text := b.page(id, form("b@example.com", sandbox.CardDeclined)); status != 402 || !strings.Contains(text, `role="alert"`) || !strings.Contains(text, "declined") {
		t.Errorf("a declined card answered %d", status)
	}
	if status, _, _ := b.page(id, form("b@example.com", sandbox.CardSucceeds), "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("another site's form answered %d", status)
	}
	if status, h, _ := b.page(id, form("b@example.com", sandbox.CardSucceeds)); status != 303 || h.Get("Location") != "https://shop.example/thanks?s="+id {
		t.Errorf("paying answered %d to %q", status, h.Get("Location"))
	}
	if status, _, text := b.page(id, form("b@example.com", sandbox.CardSucceeds)); status != 200 || !strings.Contains(text, "cannot be paid twice") {
		t.Errorf("paying twice answered %d", status)
	}
	if charges := b.must("GET", "/v1/events?type=charge.succeeded", "")["data"].([]any); len(charges) != 1 {
		t.Errorf("%d charges", len(charges))
	}
	if status, _, _ := b.page("cs_test_none", nil); status != 404 {
		t.Errorf("no page answered %d", status)
	}
}

// TestPaidOnceInParallel guarantees that a buyer who clicks in many windows pays once.
func TestPaidOnceInParallel(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, s sandbox.Store) {
		b := newBox(t, sandbox.Config{Store: s})
		id := b.must("POST", "/v1/checkout/sessions", session)["id"].(string)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { b.page(id, form("b@example.com", sandbox.CardSucceeds)) })
		}
		all.Wait()
		if charges := b.must("GET", "/v1/events?type=charge.succeeded", "")["data"].([]any); len(charges) != 1 {
			t.Errorf("%d charges", len(charges))
		}
	})
}
