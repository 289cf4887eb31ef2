package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/service/dial"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/pay/stripe"
)

const (
	webhookPath = "/v1/webhooks/stripe"
	sandboxPath = "/sandbox"
)

// pay makes the payment gateway, always the Stripe adapter: on Stripe itself, or on the sandbox that this process then also serves.
func (p *parts) pay(ctx context.Context) error {
	a, st := p.app, p.app.storage.store
	c, err := a.stripeConfig()
	if err != nil {
		return err
	}
	if a.config.Sandbox() {
		if c, err = p.openSandbox(ctx, c); err != nil {
			return err
		}
	}
	c.Client = dial.TrustedClient()
	if p.sandbox != nil && a.server == nil { // nothing listens: an operator's command without a running service
		c.Client = dial.InProcess(http.StripPrefix(sandboxPath, p.sandbox))
	}
	gateway, err := stripe.New(c)
	if err != nil {
		return err
	}
	p.gateway = gateway
	p.licenses.Env = gateway.Env() // trials are for whom they may be sold to later
	p.payments = payment.New(payment.Deps{Store: st.Payments(), Gateway: gateway, APIVersion: stripe.Version, Clock: a.config.Clock, Tx: st, Audit: p.audit, Jobs: p.jobs, Alert: p.alert, Log: a.log})
	return nil
}

// stripeConfig reads what the configuration says of Stripe.
func (a *App) stripeConfig() (c stripe.Config, err error) {
	c = stripe.Config{Account: a.config.StripeAccount, BaseURL: a.config.StripeURL}
	if a.config.Sandbox() {
		return c, nil
	}
	if a.config.Seams.StripeKey != "" {
		c.Key, c.Secrets = a.config.Seams.StripeKey, []stripe.Secret{{Value: a.config.Seams.StripeSecret}}
		return c, nil
	}
	if c.Key, err = readSecret(a.config.StripeKeyFile); err != nil {
		return c, err
	}
	text, err := readSecret(a.config.StripeWebhookSecretFile)
	if err != nil {
		return c, err
	}
	if c.Secrets, err = parseSecrets(text); err != nil {
		return c, fmt.Errorf("--stripe-webhook-secret-file: %w", err)
	}
	if a.config.https() {
		c.WebhookURL = a.config.BaseURL + webhookPath
	}
	return c, nil
}

// parseSecrets reads webhook secrets, one a line; while one is rolled, the old one has the instant of its end behind it.
func parseSecrets(text string) ([]stripe.Secret, error) {
	var out []stripe.Secret
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		s := stripe.Secret{Value: words[0]}
		if len(words) > 1 {
			until, err := time.Parse(time.RFC3339, words[1])
			if err != nil {
				return nil, errors.New("behind a secret stands the instant it ends, for example 2026-12-01T00:00:00Z")
			}
			s.Until = until
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errors.New("the file has no secret; payments cannot be taken without one")
	}
	return out, nil
}

// openSandbox makes the built-in payment provider. Its keys are drawn at the first start and kept sealed, so that all replicas and
// restarts agree.
func (p *parts) openSandbox(ctx context.Context, c stripe.Config) (stripe.Config, error) {
	key, err := p.keptSecret(ctx, "sandbox.key", "sk_test_")
	if err != nil {
		return c, err
	}
	secret, err := p.keptSecret(ctx, "sandbox.webhook", "whsec_")
	if err != nil {
		return c, err
	}
	base := p.app.config.BaseURL
	// Calls of this process to its own sandbox go by its own listener, whatever name customers know it by.
	own := base
	if p.app.server != nil {
		own = "http://" + p.app.publicHost()
	}
	p.sandbox, err = sandbox.New(sandbox.Config{Store: p.app.storage.store.Sandbox(), Clock: p.app.config.Clock, IDs: p.app.config.IDs,
		APIKey: key, WebhookSecret: secret, WebhookURL: own + webhookPath, Events: stripe.Types(), PublicURL: base + sandboxPath,
		Client: dial.TrustedClient(), Log: p.app.log})
	if err != nil {
		return c, err
	}
	p.loops = append(p.loops, func(ctx context.Context) {
		if err := p.sandbox.Run(ctx); err != nil && ctx.Err() == nil {
			p.app.log.ErrorContext(ctx, "the sandbox stopped", "err", err)
		}
	})
	c.Key, c.Secrets, c.Account, c.BaseURL = key, []stripe.Secret{{Value: secret}}, "acct_sandbox", own+sandboxPath
	return c, nil
}

// keptSecret reads a secret of this installation, drawing it the first time.
func (p *parts) keptSecret(ctx context.Context, name, prefix string) (string, error) {
	place := "setting/" + name + "/value"
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	fresh, err := p.app.storage.key.Seal([]byte(prefix+hex.EncodeToString(random)), place)
	if err != nil {
		return "", err
	}
	kept, err := p.app.storage.store.KeepSetting(ctx, name, fresh)
	if err != nil {
		return "", err
	}
	text, err := p.app.storage.key.Open(kept, place)
	return string(text), err
}
