package app

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/service/jobs"
	"github.com/mintreu/mintreu/service/telemetry"
)

// background registers the jobs, the sweepers that make up for whatever was lost, and the readings behind the alert rules.
func (p *parts) background(context.Context) error {
	if err := p.jobs.Handle(payment.JobProcess, p.payments.ProcessJob, jobs.Options{MaxAttempts: 25}); err != nil {
		return err
	}
	if err := p.jobs.Handle(notice.JobSend, p.notices.Handle, jobs.Options{Queue: "mail", Timeout: 2 * time.Minute}); err != nil {
		return err
	}
	again := p.keyring.WorkOffJob(jobs.Snooze, p.licenses, p.downloads)
	if err := p.jobs.Handle(keyring.JobResign, again, jobs.Options{Timeout: 30 * time.Minute}); err != nil {
		return err
	}
	if err := p.jobs.Handle(bulk.JobWork, p.runs.Work, jobs.Options{Queue: "bulk", Timeout: time.Minute, MaxAttempts: 3}); err != nil {
		return err
	}
	if err := p.webhookJobs(); err != nil {
		return err
	}
	for _, every := range []struct {
		kind     string
		interval time.Duration
		run      func(context.Context) error
	}{
		{"payment.sweep", 30 * time.Second, p.payments.SweepJob},
		{"order.sweep", 15 * time.Second, func(ctx context.Context) error { _, err := p.checkout.Sweep(ctx); return err }},
		{"notice.sweep", time.Minute, p.notices.Sweep},
		{"webhook.sweep", 15 * time.Second, p.webhooks.Sweep},
		{"usage.thresholds", 30 * time.Second, p.usage.Look},
		{"download.sweep", 5 * time.Minute, p.downloads.Sweep},
		{"support.sweep", 10 * time.Minute, p.helpdesk.Sweep},
		{"bulk.sweep", 15 * time.Second, p.runs.Sweep},
		{"activation.cull", time.Minute, func(ctx context.Context) error { _, err := p.activations.Cull(ctx); return err }},
		{"license.lapse", time.Minute, func(ctx context.Context) error { _, err := p.licenses.Lapse(ctx); return err }},
		{"transfer.lapse", 10 * time.Minute, func(ctx context.Context) error { _, err := p.transfers.Lapse(ctx); return err }},
		{"keyring.sweep", 15 * time.Second, p.resignForAWhile},
		{"feed.prune", 10 * time.Minute, func(ctx context.Context) error { _, err := p.feed.Prune(ctx); return err }},
		{"account.prune", 24 * time.Hour, func(ctx context.Context) error { _, err := p.accounts.Prune(ctx); return err }},
		{"idempotency.purge", time.Hour, func(ctx context.Context) error {
			_, err := p.app.storage.store.PurgeIdempotency(ctx)
			return err
		}},
		{"key.holds", 5 * time.Second, func(ctx context.Context) error { _, err := p.keys.EndHolds(ctx); return err }},
		{"usage.purge", 24 * time.Hour, func(ctx context.Context) error { _, err := p.usage.Purge(ctx); return err }},
		{"quota.purge", time.Hour, func(ctx context.Context) error {
			_, err := p.app.storage.store.PurgeQuotas(ctx, p.app.config.Clock.Now().Add(-quotaKept))
			return err
		}},
	} {
		interval := every.interval
		if faster := p.app.config.Seams.SweepEvery; faster > 0 && faster < interval {
			interval = faster
		}
		if err := p.jobs.Every(every.kind, interval, every.run); err != nil {
			return err
		}
	}
	p.readings()
	return nil
}

// resign goes on with what revoked keys left to be signed again, and returns how long to wait before asking again, 0 when nothing is left.
func (p *parts) resign(ctx context.Context) (time.Duration, error) {
	return p.keyring.WorkOff(ctx, p.licenses, p.downloads)
}

// resignForAWhile takes over from a process that died over it; the next turn goes on where this one has to stop.
func (p *parts) resignForAWhile(ctx context.Context) error {
	_, err := p.resign(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func (p *parts) readings() {
	now := p.app.config.Clock.Now
	telemetry.AddReadings(p.metrics,
		telemetry.Reading{Name: "mintreu_paid_without_grants_seconds", Help: "Age of the oldest paid order whose buyer has nothing, 0 without one. Orders held by a kill switch count.",
			Read: func(ctx context.Context) (float64, error) {
				since, found, err := p.app.storage.store.OldestUngranted(ctx)
				if err != nil || !found {
					return 0, err
				}
				return now().Sub(since).Seconds(), nil
			}},
		telemetry.Reading{Name: "mintreu_webhook_lag_seconds", Help: "Age of the oldest payment event that waits to be applied.",
			Read: func(ctx context.Context) (float64, error) {
				b, err := p.payments.Backlog(ctx)
				return b.Lag(now()).Seconds(), err
			}},
		telemetry.Reading{Name: "mintreu_payment_events_parked", Help: "Payment events that wait for a person.",
			Read: func(ctx context.Context) (float64, error) {
				b, err := p.payments.Backlog(ctx)
				return float64(b.Parked), err
			}},
		telemetry.Reading{Name: "mintreu_audit_unnumbered_seconds", Help: "Age of the oldest audit row without a number.",
			Read: func(ctx context.Context) (float64, error) {
				lag, err := p.sequencer.Lag(ctx)
				return lag.Seconds(), err
			}},
	)
}

// check asks the payment provider, once at start, whether key, account and webhook endpoint are what they should be. The sandbox is
// part of this process and not served yet.
func (p *parts) check(ctx context.Context) error {
	if p.sandbox != nil {
		return nil
	}
	return p.gateway.Check(ctx)
}

// replicas counts the replicas that are alive, for the share of a limit that one may admit while Redis is away.
type replicas struct {
	app   *App
	id    string
	count atomic.Int64
}

const (
	replicaBeat = 3 * time.Second
	replicaDead = 10 * time.Second
	quotaKept   = 31 * 24 * time.Hour // how long what was used of a quota is kept after its period
)

func newReplicas(a *App) *replicas { return &replicas{app: a, id: a.config.IDs.New("rep")} }

func (r *replicas) alive() int64 { return r.count.Load() }

// run notes this replica in the database and counts those seen in the last ten seconds; without a database the count falls to zero,
// which closes the degraded mode.
func (r *replicas) run(ctx context.Context) {
	tick := time.NewTicker(replicaBeat)
	defer tick.Stop()
	var last time.Time
	for {
		now := r.app.config.Clock.Now()
		n, err := r.app.storage.store.ReplicaBeat(ctx, r.id, now, now.Add(-replicaDead))
		switch {
		case err == nil:
			r.count.Store(n)
			last = now
		case now.Sub(last) > replicaDead:
			r.count.Store(0)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
