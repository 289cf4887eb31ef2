package app

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/telemetry"
	"github.com/mintreu/mintreu/service/web"
	"github.com/mintreu/mintreu/service/web/my"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// serve makes the handlers: operations, webhooks, documents and pages on the public one; metrics, profiles and alert rules on
// the operator's.
func (p *parts) serve(readiness *httpapi.Readiness) error {
	services := p.services()
	if err := services.Complete(); err != nil {
		return err
	}
	stack, err := p.stack()
	if err != nil {
		return err
	}
	routes := httpapi.Routes(services)
	p.accounts.Scopes = httpapi.MachineScopes(routes)
	lic := httpapi.Licensing{Licenses: p.licenses, Activations: p.activations, Keys: p.keyring, Usage: p.usage}
	raws := []httpapi.Raw{
		{Name: "webhook.stripe", Pattern: "POST " + webhookPath, Handler: httpapi.StripeWebhook(p.payments)},
	}
	raws = append(raws, httpapi.LicensingRaws(lic)...)
	raws = append(raws, httpapi.ReceiptFiles(p.checkout)...)
	pages, err := p.site(routes)
	if err != nil {
		return err
	}
	files, err := httpapi.DownloadRaws(httpapi.Downloads{Service: p.downloads, Stack: stack, Metrics: p.metrics,
		Page: func(w http.ResponseWriter, r *http.Request, status int, v httpapi.DownloadView) {
			my.ShowLink(pages, w, r, status, my.Link(v))
		}})
	if err != nil {
		return err
	}
	raws = append(raws, files...)
	raws = append(raws, httpapi.SupportRaws(httpapi.Support{Service: p.helpdesk, Stack: stack})...)
	if p.sandbox != nil {
		raws = append(raws, httpapi.Raw{Name: "sandbox", Pattern: sandboxPath + "/", Handler: withoutControl(http.StripPrefix(sandboxPath, p.sandbox))})
	}
	mounts, err := web.Pages(pages)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		raws = append(raws, httpapi.Raw(m))
	}
	p.handler, err = httpapi.Handler(httpapi.Deps{Stack: stack, Routes: routes, Raws: raws, Readiness: readiness})
	if err != nil {
		return err
	}
	p.handler = httpapi.ForwardAuth(p.handler)
	if p.app.config.OTLPEndpoint != "" {
		p.handler = otelhttp.NewHandler(p.handler, "http", otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + r.Pattern }))
	}
	p.opsHandler = httpapi.OpsHandler(p.metrics, readiness, httpapi.Raw{Name: "alerts", Pattern: "GET /alerts.yml", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(telemetry.Alerts())
	})})
	return nil
}

// site makes what the pages stand on, over the operations that they call.
func (p *parts) site(routes []kit.Route) (*site.Site, error) {
	c := p.app.config
	return site.New(site.Config{Shop: ui.Shopfront{Name: c.ShopName, Tagline: c.ShopTagline, Terms: c.TermsURL, Privacy: c.PrivacyURL, Imprint: c.ImprintURL}, BaseURL: c.BaseURL, Key: p.app.storage.key.Derive("pages"), Auth: authenticator{p}, Routes: routes, Clock: c.Clock,
		Warning:     p.warning,
		Upload:      httpapi.Downloads{Service: p.downloads}.Take,
		Attachments: site.Attachments{Take: p.helpdesk.Attach, Send: httpapi.Support{Service: p.helpdesk}.Send}, Logger: p.app.log, PayOrigins: p.payOrigins()})
}

// warning is what staff must know on every page of the console.
func (p *parts) warning() string {
	if p.countersAway == nil || !p.countersAway() {
		return ""
	}
	return "Redis does not answer, so limits follow their degraded mode: each API key is refused, or let through up to its share, as its limits say. Look after Redis; this ends by itself."
}

// payOrigins is where forms may lead besides the service itself: the payment provider's page.
func (p *parts) payOrigins() []string {
	if p.sandbox != nil {
		return nil
	}
	return []string{"https://checkout.stripe.com"}
}

func (p *parts) services() httpapi.Services {
	return httpapi.Services{Account: p.accounts, Catalog: p.catalog, Pricing: p.prices, Checkout: p.checkout, Order: order.NewService(order.Deps{Store: p.app.storage.store.Orders(), Credits: p.app.storage.store.Credits()}),
		Payment: p.payments, Licensing: httpapi.Licensing{Licenses: p.licenses, Activations: p.activations, Keys: p.keyring, Usage: p.usage}, Transfer: p.transfers, Bulk: p.runs, APIKey: p.keys, Download: p.downloads, Support: p.helpdesk, Access: p.explains, Webhook: p.webhooks, Insight: p.overview,
		Platform: httpapi.Platform{Switches: p.flips, Audit: p.trail, Mail: p.mails, Jobs: p.work, Notices: p.notices}}
}

func (p *parts) stack() (kit.Stack, error) {
	c := p.app.config
	proxies, err := prefixes(c.TrustedProxy)
	if err != nil {
		return kit.Stack{}, err
	}
	forwarders, err := c.forwarders(proxies)
	if err != nil {
		return kit.Stack{}, err
	}
	return kit.Stack{Auth: authenticator{p}, Switches: p.switches, Replays: p.app.storage.store, Clock: c.Clock, IDs: c.IDs, Logger: p.app.log, Metrics: p.metrics,
		CursorKey: p.cursorKey(), Rate: float64(c.Ceiling), Origins: c.StorefrontOrigin, TrustedProxies: proxies, Forwarders: forwarders}, nil
}

// forwarders are the networks whose proxies may ask about API keys. Unless said it is this machine, but not when a proxy on it brings
// the requests of everybody.
func (c *Config) forwarders(trusted []netip.Prefix) ([]netip.Prefix, error) {
	if len(c.AuthorizeFrom) > 0 {
		return prefixes(c.AuthorizeFrom)
	}
	own := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if slices.ContainsFunc(trusted, func(t netip.Prefix) bool { return t.Overlaps(own[0]) || t.Overlaps(own[1]) }) {
		return nil, nil
	}
	return own, nil
}

// withoutControl keeps the sandbox's levers for misbehaviour off the public listener; tests hold the sandbox itself.
func withoutControl(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, sandboxPath+"/control") {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// authenticator sends each kind of credential to the module that issued it (keys-and-usage §5).
type authenticator struct{ p *parts }

var _ kit.Authenticator = authenticator{}

// Authenticate implements [kit.Authenticator].
func (a authenticator) Authenticate(ctx context.Context, scheme, credential string) (licensing.Actor, error) {
	switch scheme {
	case "License":
		return a.p.licenses.ByCredential(ctx, credential)
	case "Lease":
		return a.p.activations.ByLease(ctx, credential)
	case "Bearer":
		if _, ours := a.p.keys.Format().Parse(credential); ours || !account.Bears(credential) && a.p.keys.Takes(ctx, credential) {
			return a.p.keys.ByCredential(ctx, credential, kit.ClientIP(ctx))
		}
		return a.p.accounts.ByBearer(ctx, credential)
	}
	return licensing.Actor{}, licensing.Fail(licensing.Unauthorized, "unauthorized", "This kind of credential is not known here.")
}
