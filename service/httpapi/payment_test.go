package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/httpapi"
)

// inbox is the part of the intake that a delivery reaches: a gateway that accepts what is signed "good" and a store that counts.
type inbox struct {
	payment.Gateway
	payment.Store
	stored atomic.Int64
	seen   atomic.Int64
	broken error
}

func (i *inbox) Verify(body []byte, signature string, _ time.Time) (payment.Event, error) {
	i.seen.Add(1)
	if signature != "good" {
		return payment.Event{}, payment.ErrSignature
	}
	return payment.Event{ID: "evt_1", Raw: body}, nil
}

func (i *inbox) AddEvent(context.Context, payment.Row) (bool, error) {
	if i.broken != nil {
		return false, i.broken
	}
	return i.stored.Add(1) == 1, nil
}

func (i *inbox) Enqueue(context.Context, licensing.Job) error { return errors.New("no jobs today") }

func (i *inbox) serve(t *testing.T, patience time.Duration) string {
	t.Helper()
	s := payment.New(payment.Deps{Store: i, Gateway: i, Jobs: i, Clock: time.Now})
	server := httptest.NewServer(httpapi.Webhook(s, patience))
	t.Cleanup(server.Close)
	return server.URL
}

func post(t *testing.T, url string, body io.Reader, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Stripe-Signature", "good")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestW18_OversizedAndEncoded guarantees the edges of what a delivery may be: 1 MiB is taken, one byte more is 413, compressed or
// in another charset is 415 without being unpacked, and none of the refused reaches the intake.
func TestW18_OversizedAndEncoded(t *testing.T) {
	t.Parallel()
	var i inbox
	url := i.serve(t, time.Minute)
	if status, text := post(t, url, bytes.NewReader(bytes.Repeat([]byte(" "), payment.MaxBody))); status != 200 || i.stored.Load() != 1 {
		t.Fatalf("1 MiB answered %d %s", status, text)
	}
	for name, body := range map[string]io.Reader{
		"announced": bytes.NewReader(bytes.Repeat([]byte(" "), payment.MaxBody+1)),
		"chunked":   io.MultiReader(bytes.NewReader(bytes.Repeat([]byte(" "), payment.MaxBody)), strings.NewReader(" ")),
	} {
		if status, text := post(t, url, body); status != 413 {
			t.Errorf("%s: 1 MiB and a byte answered %d %s", name, status, text)
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 64<<20)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for _, h := range [][2]string{{"Content-Encoding", "gzip"}, {"Content-Encoding", "br"}, {"Content-Type", "application/json; charset=utf-16"}, {"Content-Type", "text/plain"}, {"Content-Type", ""}, {"Content-Type", "application/x-www-form-urlencoded"}} {
		if status, text := post(t, url, bytes.NewReader(bomb.Bytes()), h[0], h[1]); status != 415 {
			t.Errorf("%v answered %d %s", h, status, text)
		}
	}
	if i.seen.Load() != 1 {
		t.Errorf("%d deliveries reached the intake", i.seen.Load())
	}
}

// TestW18_SlowBody guarantees that a body which does not arrive in time is answered 408 and takes no place for longer.
func TestW18_SlowBody(t *testing.T) {
	t.Parallel()
	var i inbox
	url := i.serve(t, 50*time.Millisecond)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nStripe-Signature: good\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // ends when the server closes
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || i.seen.Load() != 0 {
		t.Errorf("answered %q, %v", answer, err)
	}
}

// TestW01_AnswersOfTheWebhook guarantees what each outcome is answered: 400 the same for every delivery that is not authentic,
// 5xx when storing failed, and 200 though the job could not be enqueued, because the row is what counts.
func TestW01_AnswersOfTheWebhook(t *testing.T) {
	t.Parallel()
	var i inbox
	url := i.serve(t, time.Minute)
	status, first := post(t, url, strings.NewReader("{}"), "Stripe-Signature", "bad")
	if status != 400 || !strings.Contains(first, "webhook-refused") {
		t.Errorf("a bad signature answered %d %s", status, first)
	}
	if status, again := post(t, url, strings.NewReader("{"), "Stripe-Signature", ""); status != 400 || again != first {
		t.Errorf("no signature answered %d %s", status, again)
	}
	if status, text := post(t, url, strings.NewReader("{}")); status != 200 {
		t.Errorf("a good delivery answered %d %s", status, text)
	}
	i.broken = db.ErrUnavailable
	if status, text := post(t, url, strings.NewReader("{}")); status != 503 {
		t.Errorf("a store that is away answered %d %s", status, text)
	}
	i.broken = errors.New("secret detail")
	if status, text := post(t, url, strings.NewReader("{}")); status != 500 || strings.Contains(text, "secret") {
		t.Errorf("a broken store answered %d %s", status, text)
	}
}

// TestPaymentRoutes guarantees that the inbox is open to staff with money or support duties only, and that retrying is not for
// support or auditors.
func TestPaymentRoutes(t *testing.T) {
	t.Parallel()
	may := map[string][]licensing.Role{
		"payment_event.list":    {licensing.RoleOwner, licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleSupport, licensing.RoleAuditor},
		"payment_event.inspect": {licensing.RoleOwner, licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleAuditor},
		"payment_event.retry":   {licensing.RoleOwner, licensing.RoleAdmin, licensing.RoleFinance},
	}
	routes := httpapi.PaymentRoutes(payment.New(payment.Deps{}))
	if len(routes) != len(may) {
		t.Fatalf("%d routes", len(routes))
	}
	for _, route := range routes {
		access := route.Spec().Access
		var got []licensing.Role
		for _, role := range licensing.AllRoles() {
			if access.Permits(licensing.Actor{Kind: licensing.Staff, Role: role}) {
				got = append(got, role)
			}
		}
		want := may[route.Spec().Name]
		if len(got) != len(want) || access.Permits(licensing.Actor{Kind: licensing.Customer}) || access.Anonymous {
			t.Errorf("%s is open to %v", route.Spec().Name, got)
		}
	}
}
