package app

import (
	"context"

	"github.com/mintreu/mintreu/commerce/access"
)

// access makes the explanation of access, over everything that gives it or stands in its way.
func (p *parts) access(context.Context) error {
	p.explains = access.New(access.Deps{Store: p.app.storage.store.Access(), History: p.app.storage.store.History(), Clock: p.app.config.Clock, Decide: p.licenses.ViewOf, Look: p.keys.Look, Used: p.usage.UsedOf, Off: func() []access.Off {
		var out []access.Off
		for _, s := range p.switches.Off() {
			out = append(out, access.Off{Switch: s.Switch, Product: s.Product, Reason: s.Reason, Until: s.Until})
		}
		return out
	}})
	return nil
}
