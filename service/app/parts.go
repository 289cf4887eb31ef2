package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/blob"
	"github.com/mintreu/mintreu/service/feed"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/jobs"
	"github.com/mintreu/mintreu/service/killswitch"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/redis"
	"github.com/mintreu/mintreu/service/mail"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/telemetry"
)

// parts are the services of a process and what runs beside them, made in the order of newParts: each step uses only what the steps
// before it made.
type parts struct {
	app *App

	feed      *feed.Feed
	switches  *killswitch.Reader
	flips     *killswitch.Service
	audit     *audit.Recorder
	sequencer *audit.Sequencer
	trail     *audit.Service
	jobs      *jobs.Runner
	metrics   *prometheus.Registry
	limiter   *limit.Keeper

	countersAway func() bool // nil while they are in the process

	keyring     *keyring.Service
	licenses    *license.Service
	activations *activation.Service
	usage       *usage.Service
	runs        *bulk.Service
	transfers   *transfer.Service
	keys        *apikey.Service
	accounts    *account.Service
	notices     *notice.Service
	mails       *mail.Service
	catalog     *catalog.Service
	prices      *pricing.Service
	gateway     payment.Gateway
	sandbox     *sandbox.Server // nil when payments are real
	payments    *payment.Service
	checkout    *checkout.Service
	files       blob.Store
	downloads   *download.Service
	overview    *insight.Service
	explains    *access.Service
	work        *jobs.Service
	helpdesk    *support.Service
	webhooks    *webhook.Service

	handler    http.Handler
	opsHandler http.Handler
	loops      []func(context.Context)
	closers    []func() error
}

func newParts(ctx context.Context, a *App, readiness *httpapi.Readiness) (*parts, error) {
	p := &parts{app: a}
	for _, step := range []struct {
		name string
		make func(context.Context) error
	}{
		{"platform", p.platform}, {"limits", p.limits}, {"licensing", p.licensing}, {"people", p.people}, {"transfers", p.transfer}, {"work on many licenses", p.bulk}, {"payments", p.pay}, {"shop", p.shop}, {"downloads", p.download}, {"support", p.support}, {"overview", p.insight}, {"access", p.access}, {"webhooks", p.webhook},
		{"work in the background", p.background},
	} {
		if err := step.make(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", step.name, err), p.close())
		}
	}
	if err := p.serve(readiness); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *parts) close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	return errors.Join(errs...)
}

// platform makes what every module stands on: the change feed, kill switches, the audit trail, jobs and metrics.
func (p *parts) platform(ctx context.Context) (err error) {
	a, s := p.app, p.app.storage
	clock, ids := a.config.Clock, a.config.IDs
	p.feed = feed.New(feed.Deps{Store: s.store.Changes(), Clock: clock, Logger: a.log})
	p.switches = killswitch.NewReader(killswitch.ReaderDeps{Store: s.store.Switches(), Feed: p.feed, Clock: clock, Logger: a.log})
	if err := p.switches.Load(ctx); err != nil {
		return err
	}
	p.audit = audit.New(audit.Deps{Store: s.store.Audit(), Clock: clock, IDs: ids})
	files, err := a.config.openFiles(ctx)
	if err != nil {
		return err
	}
	p.files = files
	p.closers = append(p.closers, files.Close)
	p.sequencer, err = audit.NewSequencer(ctx, audit.SequencerDeps{Tx: s.store, Log: s.store.Audit(), Settings: s.store, Seal: s.key, Blobs: files, Clock: clock, Logger: a.log})
	if err != nil {
		return err
	}
	p.trail = audit.NewService(audit.ServiceDeps{Store: s.store.Audit(), Key: p.sequencer.VerifierKey(), Anchor: audit.AnchorIn(files)})
	p.flips = killswitch.New(killswitch.Deps{Store: s.store.Switches(), Tx: s.store, Audit: p.audit, Clock: clock,
		Product: func(ctx context.Context, id string) error { _, err := s.store.Catalog().Product(ctx, id); return err }})
	var driver jobs.Driver = s.pg
	if s.lite != nil {
		driver = s.lite
	}
	p.metrics = telemetry.NewRegistry(Version())
	p.jobs, err = jobs.New(jobs.Config{Driver: driver, Logger: a.log, OnDone: jobMetrics(p.metrics)})
	p.loops = append(p.loops, p.feed.Run, p.sequencer.Run)
	return err
}

func jobMetrics(r prometheus.Registerer) func(kind string, took time.Duration, err error) {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mintreu_job_seconds", Help: "How long jobs took, by kind and result.",
		Buckets: []float64{.005, .025, .1, .5, 2, 10, 60}}, []string{"kind", "result"})
	r.MustRegister(h)
	return func(kind string, took time.Duration, err error) {
		result := "done"
		if err != nil {
			result = "failed"
		}
		h.WithLabelValues(kind, result).Observe(took.Seconds())
	}
}

// limits makes the counters, in the process or shared by replicas on Redis, and writes down what they must not lose.
func (p *parts) limits(context.Context) error {
	c := p.app.config
	replicas := newReplicas(p.app)
	var engine limit.Engine = limit.NewLocal(c.Clock)
	if c.RedisURL != "" {
		l, err := redis.New(redis.Config{URL: c.RedisURL, Prefix: c.KeyPrefix, Clock: c.Clock, Replicas: replicas.alive, Logger: p.app.log, Budget: c.RedisBudget})
		if err != nil {
			return err
		}
		engine = l
		p.countersAway = l.Away
		telemetry.AddReadings(p.metrics,
			telemetry.Reading{Name: "mintreu_limit_degraded_checks", Help: "Checks of limits that were answered by their degraded mode since the start.",
				Read: func(context.Context) (float64, error) { return float64(l.Degraded()), nil }},
			telemetry.Reading{Name: "mintreu_limit_scripts", Help: "Scripts that were sent to Redis since the start; each decides what many callers ask for.",
				Read: func(context.Context) (float64, error) { return float64(l.Scripts()), nil }})
		p.loops = append(p.loops, replicas.run)
		p.closers = append(p.closers, l.Close)
	}
	telemetry.AddReadings(p.metrics,
		telemetry.Reading{Name: "mintreu_limit_counters_away", Help: "1 while counters of limits are away, or were in the last seconds; limits follow their degraded mode. In the process they never are.",
			Read: func(context.Context) (float64, error) {
				if p.countersAway != nil && p.countersAway() {
					return 1, nil
				}
				return 0, nil
			}})
	p.limiter = limit.NewKeeper(engine, p.app.storage.store.Quotas(), replicas.id, c.Clock, p.app.log)
	p.loops = append(p.loops, p.limiter.Run)
	return nil
}

// licensing makes signing keys, licenses, seats and API keys.
func (p *parts) licensing(ctx context.Context) (err error) {
	a, st, seal := p.app, p.app.storage.store, p.app.storage.key
	clock, ids := a.config.Clock, a.config.IDs
	p.keyring = keyring.New(keyring.Deps{Store: st.Keyring(), Seal: seal, Clock: clock, Tx: st, Audit: p.audit,
		Works: st.Resignings(), Requests: st.KeysetRequests(), Exports: st.RootExports(), IDs: ids, Jobs: p.jobs, Alone: a.config.Embedded() || a.config.SingleOperator})
	issuer := a.config.Issuer
	if issuer == "" {
		issuer = a.config.BaseURL
	}
	if err := p.keyring.Ensure(licensing.AsSystem(ctx, "keyring.ensure"), issuer); err != nil {
		return err
	}
	if stored := p.keyring.Issuer(); a.config.Production && !strings.HasPrefix(stored, "https://") {
		return fmt.Errorf("--production: the issuer of this installation is %s, as its first start set it; every license names it for good. Start anew in an empty place with --issuer https://…", stored)
	}
	p.licenses = license.New(license.Deps{Store: st.Licenses(), Policies: st.Policies(), Tokens: st.LicenseTokens(), Renewals: st.LicenseRenewals(), Seating: st.LicenseSeats(), Transfers: st.LicenseOwners(), Trials: st.LicenseOwners(), Many: st.ManyLicenses(), Trail: p.audit, Signer: p.keyring, Verifier: p.keyring,
		Seal: seal, Clock: clock, IDs: ids, Tx: st, Audit: p.audit, Switches: p.switches, Logger: a.log, Fresh: p.feed.Fresh})
	p.usage = usage.New(usage.Deps{Store: st.Usage(), Meters: st.Meters(), Reads: st.UsageReads(), Accounts: st.UsageAccounts(), Thresholds: st.UsageThresholds(), Notices: usageNotices{p}, Licenses: p.licenses, Audit: p.audit, Keyring: p.keyring, Clock: clock, IDs: ids, Tx: st, Switches: p.switches, Logger: a.log})
	p.activations = activation.New(activation.Deps{Store: st.Activations(), Lends: st.Lender(), Answers: st.OfflineAnswers(), Seal: seal, Licenses: p.licenses, Signer: p.keyring, Verifier: p.keyring,
		Clock: clock, IDs: ids, Tx: st, Audit: p.audit, Switches: p.switches, Logger: a.log,
		Throttle: limit.Throttle{Limiter: p.limiter}, Alarm: newLicenseAlarm(p), Usage: p.usage, Fresh: p.feed.Fresh})
	p.keys, err = apikey.New(apikey.Deps{Store: st.APIKeys(), Changer: st.KeyChanges(), Credits: st.KeyCredits(), Uses: st.KeyUses(), Templates: st.KeyTemplates(), Holds: st.KeyHolds(), Imports: st.KeyImports(), From: from, Known: st.KeyNames, Leaked: p.leaked, Limiter: p.limiter, Clock: clock, IDs: ids, Tx: st, Audit: p.audit, Switches: p.switches,
		Prefix: a.config.KeyPrefix, FeedAlive: p.feed.Fresh})
	if err != nil {
		return err
	}
	p.feed.Subscribe("license", func(context.Context, string) { p.licenses.Forget() })
	for _, kind := range []string{"license", "activation"} {
		p.feed.Subscribe(kind, drop(p.activations.Forget))
		st.Watch(kind, p.activations.Forget)
	}
	p.feed.Subscribe("license", drop(p.licenses.ForgetHolder))
	st.Watch("license", p.licenses.ForgetHolder)
	p.feed.Subscribe("policy", drop(p.licenses.ForgetPolicy))
	p.feed.Subscribe("signing_key", func(context.Context, string) { p.keyring.Forget(); p.licenses.Forget() })
	p.feed.Subscribe("api_key", drop(p.keys.Invalidate))
	st.Watch("api_key", p.keys.Invalidate)
	p.loops = append(p.loops, p.noteKeys)
	return nil
}

// drop makes a subscriber that forgets one object; [feed.Everything] as id forgets all.
func drop(one func(id string)) func(context.Context, string) {
	return func(_ context.Context, id string) { one(id) }
}

// people makes accounts, and the mail that reaches them.
func (p *parts) people(context.Context) (err error) {
	a, st := p.app, p.app.storage.store
	clock, ids := a.config.Clock, a.config.IDs
	p.mails = &mail.Service{Store: st.Mails()}
	var sender notice.Sender = mail.Kept{Store: st.Mails()}
	if a.config.SMTPURL != "" {
		if sender, err = a.smtp(); err != nil {
			return err
		}
	}
	p.notices, err = notice.New(notice.Deps{Store: st.Notices(), Jobs: p.jobs, Seal: a.storage.key, Sender: sender, Clock: clock, IDs: ids, Tx: st, Audit: p.audit, Logger: a.log,
		From: a.config.MailFrom, Shop: a.config.ShopName, BaseURL: a.config.BaseURL, Expand: map[string]notice.Expand{"purchase": p.expandPurchase, "license": p.expandLicense}})
	if err != nil {
		return err
	}
	p.accounts, err = account.New(account.Deps{People: st.People(), Crowd: st.Crowd(), Tokens: st.Tokens(), Factors: st.Factors(), Customers: st.Customers(), Personal: st.Personal(), Sessions: st.Sessions(), Renewals: st.Renewals(), Machines: st.Machines(),
		Organisations: st.Organisations(), Members: st.Members(), Invites: st.Invites(), Notices: accountNotices{p.notices, a.config.BaseURL},
		Throttle: limit.Throttle{Limiter: p.limiter}, Clock: clock, IDs: ids, Tx: st, Audit: p.audit, FeedAlive: p.feed.Fresh,
		Settings: st, Seal: a.storage.key, BaseURL: a.config.BaseURL, Shop: a.config.ShopName, RequireTOTP: a.config.RequireStaffTOTP, Agent: kit.UserAgent, From: from,
		Product: func(ctx context.Context, id string) (bool, error) {
			_, there, err := st.KeyNames(ctx, "", id)
			return there, err
		}})
	if err != nil {
		return err
	}
	for _, kind := range []string{"customer", "session", "machine_token", "organisation"} {
		p.feed.Subscribe(kind, drop(p.accounts.Invalidate))
	}
	return nil
}

// from tells where a request comes from, for those who count attempts by place; "" in process.
func from(ctx context.Context) string {
	if ip := kit.ClientIP(ctx); ip.IsValid() {
		return ip.String()
	}
	return ""
}

// shop makes catalogue, prices and checkout, and tells the intake of payments what its events mean.
func (p *parts) shop(context.Context) error {
	a, st := p.app, p.app.storage.store
	clock, ids := a.config.Clock, a.config.IDs
	tax, err := a.config.taxRules()
	if err != nil {
		return err
	}
	p.prices = pricing.NewService(pricing.Deps{Store: st.Pricing(), Clock: clock, IDs: ids, Tx: st, Audit: p.audit, SingleOperator: a.config.SingleOperator,
		Changed: func() { p.catalog.Forget() }})
	p.catalog = catalog.NewService(catalog.Deps{Store: st.Catalog(), Offers: st.Offers(), Policies: st.GrantPolicies(), Prices: p.prices, Clock: clock, IDs: ids, Tx: st, Audit: p.audit, FeedAlive: p.feed.Fresh})
	for _, kind := range []string{"product", "policy"} {
		p.feed.Subscribe(kind, func(context.Context, string) { p.catalog.Forget() })
	}
	p.checkout = checkout.NewService(checkout.Deps{Orders: st.Orders(), Credits: st.Credits(), Sessions: st.CheckoutSessions(), Grants: st.OrderGrants(), Queue: st.OrderQueue(),
		Shop: p.catalog, Prices: p.prices, Gateway: p.gateway, Givers: checkout.NewGivers(p.licenses, p.keys), Licenses: p.licenses, Buyers: p.accounts, Notices: checkoutNotices{p.notices, a.config.BaseURL}, Throttle: limit.Throttle{Limiter: p.limiter}, From: network,
		Switches: p.switches, Clock: clock, IDs: ids, Tx: st, Audit: p.audit, Seal: a.storage.key, Log: a.log, Alert: p.alert, Tax: tax, Seller: a.config.seller(),
		BaseURL: a.config.BaseURL, Origins: a.config.StorefrontOrigin})
	for _, kind := range []string{"checkout.session", "charge", "refund", "dispute"} {
		p.payments.Handle(kind, p.checkout.Applier())
	}
	return nil
}

// alert is where the services say that a person is needed: the log at its highest level, and a counter for the alert rules.
func (p *parts) alert(ctx context.Context, code, text string) {
	p.app.log.ErrorContext(ctx, "needs a person", "alert", code, "text", text)
}

// cursorKey authenticates page cursors; every replica derives the same.
func (p *parts) cursorKey() []byte {
	sum := sha256.Sum256(p.app.storage.key.Derive("page cursors"))
	return sum[:]
}
