package app

import (
	"context"
	"net/url"
	"time"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/hook"
	"github.com/mintreu/mintreu/service/jobs"
)

// webhook makes what tells the shop's own systems what happened.
func (p *parts) webhook(context.Context) error {
	a, st := p.app, p.app.storage.store
	w := st.Webhooks()
	p.webhooks = webhook.New(webhook.Deps{Endpoints: w, Deliveries: w, Repeats: w, Claims: w, Trail: w, Sender: hook.New(a.config.WebhookLoopback), Notices: webhookNotices{p}, Seal: a.storage.key,
		Clock: a.config.Clock, IDs: a.config.IDs, Tx: st, Audit: p.audit, Jobs: p.jobs, Switches: p.switches, Logger: a.log, Loopback: a.config.WebhookLoopback})
	p.loops = append(p.loops, p.webhooks.Run)
	return nil
}

// webhookWorkers are how many endpoints that do well are sent to at once; they wait for the network.
const webhookWorkers = 32

func (p *parts) webhookJobs() error {
	if err := p.jobs.Handle(webhook.JobSend, p.webhooks.Handle, jobs.Options{Queue: "webhook", Workers: webhookWorkers, Timeout: 2 * time.Minute}); err != nil {
		return err
	}
	return p.jobs.Handle(webhook.JobProbe, p.webhooks.Probe, jobs.Options{Queue: "webhook_probe", Workers: webhookWorkers, Timeout: 2 * time.Minute})
}

// webhookNotices tells the owners and admins among the staff.
type webhookNotices struct{ p *parts }

var _ webhook.Notices = webhookNotices{}

// EndpointDisabled implements [webhook.Notices].
func (n webhookNotices) EndpointDisabled(ctx context.Context, e webhook.Endpoint, at time.Time) error {
	staff, err := n.p.app.storage.store.People().ListStaff(ctx)
	if err != nil {
		return err
	}
	note := "It took nothing for three days."
	if e.DisabledWhy == webhook.ByGone {
		note = "It answered that it is gone for good."
	}
	topic := e.Description
	if u, err := url.Parse(e.URL); err == nil && topic == "" {
		topic = u.Hostname()
	}
	for i, person := range staff {
		if person.Role != licensing.RoleOwner && person.Role != licensing.RoleAdmin || person.ConfirmedAt.IsZero() || !person.DisabledAt.IsZero() {
			continue
		}
		if err := n.p.notices.Queue(ctx, notice.Message{Template: notice.WebhookDisabled, Subject: e.ID, Epoch: at.UnixMicro() + int64(i), To: person.Email,
			Data: notice.Data{Name: person.Name, Topic: topic, Note: note, Link: n.p.app.config.BaseURL + "/admin/webhooks/" + e.ID}}); err != nil {
			return err
		}
	}
	return nil
}
