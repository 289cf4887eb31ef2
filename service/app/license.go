package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
)

// licenseAlarm tells people of a license that is being tried with one device after another: the log, a counter for the alert rules,
// and a mail to those of the staff who help.
type licenseAlarm struct {
	p     *parts
	count prometheus.Counter
}

var _ activation.Alarm = licenseAlarm{}

func newLicenseAlarm(p *parts) licenseAlarm {
	count := prometheus.NewCounter(prometheus.CounterOpts{Name: "mintreu_license_stuffing_total",
		Help: "Hours in which one license was asked for seats by more new devices than is allowed."})
	p.metrics.MustRegister(count)
	return licenseAlarm{p, count}
}

// Raised implements [activation.Alarm].
func (a licenseAlarm) Raised(ctx context.Context, l *license.License) {
	a.count.Inc()
	a.p.alert(ctx, "license-stuffing", "license "+l.ID+" is tried with one device after another")
}

// Tell implements [activation.Alarm].
func (a licenseAlarm) Tell(ctx context.Context, l *license.License) error {
	agents, err := helpers{a.p.app.storage.store.People()}.Agents(ctx)
	if err != nil {
		return err
	}
	now := a.p.app.config.Clock.Now()
	for i, agent := range agents {
		if err := a.p.notices.Queue(ctx, notice.Message{Template: notice.LicenseStuffing, Subject: l.ID, Epoch: now.UnixMicro() + int64(i), To: agent.Email,
			Data: notice.Data{Name: agent.Name, Topic: l.ProductSlug + ", …" + l.KeyHint, Link: a.p.app.config.BaseURL + "/admin/licenses/" + l.ID}}); err != nil {
			return err
		}
	}
	return nil
}
