package app

import (
	"context"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/service/jobs"
)

// insight makes the overview, over everything that can be well or not.
func (p *parts) insight(context.Context) error {
	st := p.app.storage.store
	probes := []insight.Probe{{Name: "Database", Run: p.app.storage.db.Ping}}
	if redis, ok := p.limiter.Engine().(interface{ Ping(context.Context) error }); ok {
		probes = append(probes, insight.Probe{Name: "Redis", Run: redis.Ping})
	}
	p.overview = insight.New(insight.Deps{Store: st.Insight(), Holdings: st.Holdings(), Judge: p.licenses.Judge, Clock: p.app.config.Clock, Probes: probes, Off: func() []insight.Off {
		var out []insight.Off
		for _, s := range p.switches.Off() {
			out = append(out, insight.Off{Switch: s.Switch, Product: s.Product, Reason: s.Reason, Until: s.Until})
		}
		return out
	}, Keys: func(ctx context.Context) (k insight.Keys, err error) {
		k.RootOnline, k.Standby, k.Resigning, err = p.keyring.RootOnline(ctx)
		return k, err
	}})
	p.work = &jobs.Service{Runner: p.jobs, Tx: st, Audit: p.audit}
	return nil
}
