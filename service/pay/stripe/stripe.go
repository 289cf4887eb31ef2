// Package stripe is the payment gateway on Stripe's API (stripe-go v76, API version 2023-10-16). It turns the port
// [payment.Gateway] into calls of Stripe and back, and holds everything that is peculiar to Stripe: its units of money, its
// errors, its signature. The sandbox of Mintreu speaks the same API, so the same adapter runs against both.
//
// A call is made with the caller's idempotency key, under a timeout, on a client of its own: nothing of stripe-go's
// package-wide state is used, and stripe-go's own retries are off. (net/http sends a request again when a kept-alive
// connection turns out to be dead; it bears the same key.) Whatever leaves the outcome open (timeout, lost connection, 5xx, an answer that is no JSON or
// not the object asked for) is [payment.ErrUnknown].
package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhookendpoint"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/dial"
)

// Version is the API version that the adapter speaks and that the webhook endpoint must be made with.
const Version = stripe.APIVersion

// Types are the events that the webhook endpoint should be subscribed to, and that [Gateway.Events] lists. stripe-go has no
// constant for refund.failed.
func Types() []string {
	return []string{
		"checkout.session.completed", "checkout.session.expired", "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed",
		"charge.refunded", "charge.refund.updated", "refund.created", "refund.updated", "refund.failed",
		"charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
	}
}

// Secret is a webhook signing secret, "whsec_…". While one is rolled two hold; the old one until its end.
type Secret struct {
	Value string
	Until time.Time // exclusive; zero means without end
}

// Config is what a [Gateway] needs. Key and Secrets are required.
type Config struct {
	Key     string // sk_live_…, sk_test_…, rk_live_… or rk_test_…
	Secrets []Secret
	// Account is the account's id; when given, [Gateway.Check] and every delivery that names an account must agree with it.
	Account string
	// WebhookURL is our own endpoint's address; when given, Check looks it up at Stripe and compares its API version.
	WebhookURL string
	BaseURL    string        // https://api.stripe.com unless said
	Client     *http.Client  // a client of its own unless given; its redirects are refused in any case
	Timeout    time.Duration // of one call, 20 seconds unless said
}

// Gateway implements [payment.Gateway]. It is safe for concurrent use.
type Gateway struct {
	config  Config
	live    bool
	backend stripe.Backend
}

var _ payment.Gateway = (*Gateway)(nil)

var (
	keyForm    = regexp.MustCompile(`^(?:sk|rk)_(live|test)_[A-Za-z0-9_]{8,}$`)
	secretForm = regexp.MustCompile(`^whsec_[A-Za-z0-9+/=_-]{16,}$`)
)

// New checks the configuration without calling anybody. It refuses to make a gateway whose webhooks could be forged: one
// without a secret, or with one that is empty, short or not of the form whsec_….
func New(c Config) (*Gateway, error) {
	mode := keyForm.FindStringSubmatch(c.Key)
	if mode == nil {
		return nil, errors.New("stripe: the API key must be sk_live_…, sk_test_…, rk_live_… or rk_test_…")
	}
	if len(c.Secrets) == 0 {
		return nil, errors.New("stripe: a webhook secret (whsec_…) is required")
	}
	for _, s := range c.Secrets {
		if !secretForm.MatchString(s.Value) {
			return nil, errors.New("stripe: a webhook secret must be whsec_ and at least 16 more characters")
		}
	}
	if c.BaseURL == "" {
		c.BaseURL = stripe.APIURL
	}
	if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("stripe: the base URL %q is not absolute http or https", c.BaseURL)
	}
	if strings.HasPrefix(c.Key, "sk_live_") || strings.HasPrefix(c.Key, "rk_live_") {
		if !strings.HasPrefix(c.BaseURL, "https://") {
			return nil, errors.New("stripe: a live key must not be sent over plain http")
		}
	}
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	g := &Gateway{config: c, live: mode[1] == "live"}
	g.backend = stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(c.BaseURL), HTTPClient: client(c), MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return g, nil
}

// client returns a copy of the configured client that follows no redirect, gives up in time and reads no endless answer.
func client(c Config) *http.Client {
	out := dial.TrustedClient()
	if c.Client != nil {
		transport := out.Transport
		*out = *c.Client
		if out.Transport == nil {
			out.Transport = transport
		}
	}
	out.Transport = bounded{out.Transport}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if out.Timeout == 0 || out.Timeout > c.Timeout {
		out.Timeout = c.Timeout
	}
	return out
}

// bounded limits how much of an answer is read.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, 16<<20)
	}
	return resp, err
}

// Env implements [payment.Gateway]: test keys make test licenses.
func (g *Gateway) Env() licensing.Env {
	if g.live {
		return licensing.Live
	}
	return licensing.Test
}

// Check implements [payment.Gateway]. Errors wrap [payment.ErrConfig] when only the operator can mend them.
func (g *Gateway) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.config.Timeout)
	defer cancel()
	account := &stripe.Account{}
	err := g.backend.Call(http.MethodGet, "/v1/account", g.config.Key, &stripe.AccountParams{Params: stripe.Params{Context: ctx}}, account)
	if err = outcome(err, account.Object == "account" && account.ID != ""); err != nil {
		return fmt.Errorf("stripe: account: %w", err)
	}
	if g.config.Account != "" && account.ID != g.config.Account {
		return fmt.Errorf("%w: the API key belongs to account %s, configured is %s", payment.ErrConfig, account.ID, g.config.Account)
	}
	if g.config.WebhookURL == "" {
		return nil
	}
	return g.checkEndpoint(ctx)
}

// checkEndpoint finds our webhook endpoint and compares its API version and subscriptions.
func (g *Gateway) checkEndpoint(ctx context.Context) error {
	list := webhookendpoint.Client{B: g.backend, Key: g.config.Key}.List(&stripe.WebhookEndpointListParams{
		ListParams: stripe.ListParams{Context: ctx, Limit: stripe.Int64(100), Single: true},
	})
	if err := outcome(list.Err(), list.WebhookEndpointList().URL != ""); err != nil {
		return fmt.Errorf("stripe: webhook endpoints: %w", err)
	}
	for _, e := range list.WebhookEndpointList().Data {
		switch {
		case e.URL != g.config.WebhookURL:
		case e.APIVersion != Version:
			return fmt.Errorf("%w: the webhook endpoint %s sends API version %q; make it anew with %s", payment.ErrConfig, e.ID, e.APIVersion, Version)
		case e.Status != "enabled":
			return fmt.Errorf("%w: the webhook endpoint %s is %s", payment.ErrConfig, e.ID, e.Status)
		default:
			return nil
		}
	}
	return fmt.Errorf("%w: no webhook endpoint at Stripe has the address %s", payment.ErrConfig, g.config.WebhookURL)
}

// outcome turns what a call returned into the port's errors. sound reports whether the answer was the object asked for: an
// answer of another shape is as good as none.
func outcome(err error, sound bool) error {
	if err == nil {
		if sound {
			return nil
		}
		return away(errors.New("the answer is not the object asked for"))
	}
	var e *stripe.Error
	if !errors.As(err, &e) {
		return away(err) // connection, timeout, HTML or broken JSON
	}
	switch {
	case e.HTTPStatusCode == http.StatusUnauthorized || e.HTTPStatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: %s", payment.ErrConfig, e.Msg)
	case e.HTTPStatusCode == http.StatusNotFound || e.Code == stripe.ErrorCodeResourceMissing:
		return fmt.Errorf("%w: %s", payment.ErrNoObject, e.Msg)
	case e.HTTPStatusCode == http.StatusTooManyRequests, e.HTTPStatusCode == http.StatusConflict, e.HTTPStatusCode >= 500:
		return away(err)
	}
	return fmt.Errorf("%w: %s (%s %s)", payment.ErrRefused, e.Msg, e.Type, e.Code)
}

// away is the failure of a call that may or may not have taken effect.
func away(err error) error {
	return licensing.Fail(licensing.Unavailable, "payment-provider-away", "The payment provider does not answer. Nothing was charged twice; try again in a moment.").
		After(5 * time.Second).Because(fmt.Errorf("%w: %w", payment.ErrUnknown, err))
}
