package httpapi

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/failpoint"
	"github.com/mintreu/mintreu/service/kit"
)

// PaymentRoutes are the operations on the inbox of the payment provider's events.
func PaymentRoutes(s *payment.Service) []kit.Route {
	return []kit.Route{
		kit.New(kit.Spec{Name: "payment_event.list", Method: "GET", Path: "/v1/payment-events", Summary: "List payment events", Tag: "Payments",
			Detail: "Every event of the payment provider that was delivered or found, newest first. Parked ones wait for a person.",
			Access: kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleSupport, licensing.RoleAuditor}, Machine: "payments:read", Whole: true},
		}, s.List),
		kit.New(kit.Spec{Name: "payment_event.inspect", Method: "GET", Path: "/v1/payment-events/{id}", Summary: "Inspect a payment event", Tag: "Payments",
			Access: kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleAuditor}},
		}, s.Inspect),
		kit.New(kit.Spec{Name: "payment_event.retry", Method: "POST", Path: "/v1/payment-events/{id}/retry", Summary: "Retry a parked payment event", Tag: "Payments",
			Detail: "Puts a parked event back among the pending ones and processes it. It is parked again if its cause stands.",
			Access: kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance}},
		}, s.Retry).Again(s.Retried),
	}
}

// webhookPatience is how long a delivery's body may take to arrive.
const webhookPatience = 9 * time.Second

// StripeWebhook takes Stripe's deliveries: POST /v1/webhooks/stripe. 2xx means durably stored and nothing else; 400 is a
// delivery that is not authentic, 408 one that dawdles, 413 one that is too large, 415 one that is encoded; 5xx asks Stripe to
// deliver again, because storing failed.
func StripeWebhook(s *payment.Service) http.Handler {
	return stripeWebhook(s, webhookPatience)
}

func stripeWebhook(s *payment.Service, patience time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := deliveryBody(w, r, patience)
		if err == nil {
			failpoint.Hit("webhook-received")
			err = receive(s, r, body)
		}
		if err != nil {
			kit.WriteError(w, r, err)
			return
		}
		failpoint.Hit("after-commit")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"received":true}`)) // stored either way
	})
}

// receive stores the delivery even if the provider hangs up now that it has arrived whole, but does not wait for ever.
func receive(s *payment.Service, r *http.Request, body []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), webhookPatience)
	defer cancel()
	return s.Receive(ctx, body, signatureOf(r))
}

// signatureOf is the one signature header; two of them are none.
func signatureOf(r *http.Request) string {
	if given := r.Header.Values("Stripe-Signature"); len(given) == 1 {
		return given[0]
	}
	return ""
}

// deliveryBody reads the raw bytes that the signature was made over.
func deliveryBody(w http.ResponseWriter, r *http.Request, patience time.Duration) ([]byte, error) {
	if err := plainJSON(r.Header); err != nil {
		return nil, err
	}
	control := http.NewResponseController(w)
	// The deadline is the connection's, so it is wall time. A writer without deadlines (a test's recorder) has the body at hand.
	if err := control.SetReadDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, payment.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, licensing.Fail(licensing.TooLarge, "webhook-too-large", "A delivery may have at most %d bytes.", payment.MaxBody)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return nil, licensing.Fail(licensing.Timeout, "webhook-too-slow", "The delivery's body did not arrive in time.")
	case err != nil:
		return nil, licensing.Fail(licensing.Invalid, "webhook-incomplete", "The delivery's body did not arrive whole.").Because(err)
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	return body, nil
}

// plainJSON refuses what is not JSON in UTF-8 without a content encoding.
func plainJSON(h http.Header) error {
	refused := licensing.Fail(licensing.Unsupported, "webhook-unsupported", "A delivery is application/json in UTF-8 without a content encoding.")
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return refused
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return refused
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return refused
	}
	return nil
}
