package download_test

import (
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/sdk/doc"
)

// What a license gives: by state, product, updates, version, and by what follows its term.
func TestGrantCovers(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	good := download.Grant{License: "lic", ProductID: "p", Active: true, Expired: doc.ExpiredRestrict}
	with := func(change func(g *download.Grant)) download.Grant {
		g := good
		change(&g)
		return g
	}
	timed := func(expired string, grace time.Duration) download.Grant {
		return with(func(g *download.Grant) { g.ValidUntil, g.Expired, g.ExpiryGrace = start.Add(30*day), expired, grace })
	}
	for name, c := range map[string]struct {
		grant    download.Grant
		version  string
		released time.Time
		now      time.Time
		want     bool
	}{
		"perpetual":            {good, "9.0", start, start.Add(9000 * day), true},
		"not active":           {with(func(g *download.Grant) { g.Active = false }), "1.0", start, start, false},
		"other product":        {with(func(g *download.Grant) { g.ProductID = "q" }), "1.0", start, start, false},
		"last day of updates":  {with(func(g *download.Grant) { g.UpdatesUntil = start }), "1.0", start, start.Add(90 * day), true},
		"after updates":        {with(func(g *download.Grant) { g.UpdatesUntil = start }), "1.0", start.Add(time.Second), start.Add(90 * day), false},
		"within max version":   {with(func(g *download.Grant) { g.MaxVersion = "2" }), "2.9.1", start, start, true},
		"beyond max version":   {with(func(g *download.Grant) { g.MaxVersion = "2" }), "3.0", start, start, false},
		"in term":              {timed(doc.ExpiredRestrict, 0), "1.0", start, start.Add(30 * day), true},
		"after term":           {timed(doc.ExpiredRestrict, 0), "1.0", start, start.Add(30*day + time.Second), false},
		"in grace":             {timed(doc.ExpiredRestrict, day), "1.0", start, start.Add(31 * day), true},
		"after grace":          {timed(doc.ExpiredRevoke, day), "1.0", start, start.Add(31*day + time.Second), false},
		"allowed after term":   {timed(doc.ExpiredAllow, 0), "1.0", start.Add(90 * day), start.Add(99 * day), true},
		"kept after term":      {timed(doc.ExpiredMaintain, 0), "1.0", start.Add(30 * day), start.Add(99 * day), true},
		"too new to be kept":   {timed(doc.ExpiredMaintain, 0), "1.0", start.Add(31 * day), start.Add(99 * day), false},
		"new in a kept term's": {timed(doc.ExpiredMaintain, 0), "1.0", start.Add(20 * day), start.Add(21 * day), true},
	} {
		r := download.Release{ProductID: "p", Version: c.version, ReleasedAt: c.released}
		if got := c.grant.Covers(&r, c.now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A release needs a version that can be compared, words for channel and access, and bounds.
func TestCreateRequestIsChecked(t *testing.T) {
	t.Parallel()
	for _, good := range []download.CreateRequest{{Version: "1"}, {Version: "v2.4.0-rc1", Channel: "beta", Access: "free", FromMin: "1.0", FromMax: "2.3", UsesMax: 3}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []download.CreateRequest{{}, {Version: "latest"}, {Version: "1..0"}, {Version: "1.0\n"}, {Version: "1.0/../2"}, {Version: "1", Channel: "Beta!"}, {Version: "1", Access: "all"},
		{Version: "1", FromMin: "x"}, {Version: "1", FromMax: "x"}, {Version: "1", UsesMax: -1}} {
		if err := bad.Validate(); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
