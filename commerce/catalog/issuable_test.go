package catalog_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What the catalogue takes can be issued once it is paid for: every prefix it allows makes a license key, every scope and rate it allows
// makes an API key, and what could not be issued is refused when it is written down.
func TestNothingIsForSaleThatCannotBeIssued(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), false)
	product := must(s.CreateProduct(s.ada, catalog.CreateProductRequest{Slug: "viewer", Name: "Viewer", Purpose: catalog.Revenue}))(t)
	for prefix, want := range map[string]bool{"MINT": true, "QU": true, "A1234567": true, "3DMAX": false, "1A": false, "A": false, "ABCDEFGHI": false, "Mint": false} {
		_, err := s.CreateProduct(s.ada, catalog.CreateProductRequest{Slug: "p-" + strings.ToLower(prefix), Name: "P", Purpose: catalog.Revenue, KeyPrefix: prefix})
		if (err == nil) != want {
			t.Errorf("prefix %q: %v", prefix, err)
		}
		if _, issue := doc.NewLicenseKey(prefix, bytes.NewReader(make([]byte, 64))); err == nil && issue != nil {
			t.Errorf("prefix %q is for sale: %v", prefix, issue)
		}
	}
	for name, c := range map[string]struct {
		grant catalog.APIKeyGrant
		want  bool
	}{
		"usual":          {catalog.APIKeyGrant{Scopes: []string{"docs:read", "docs"}, RateCount: 60, RatePeriod: 60}, true},
		"fastest":        {catalog.APIKeyGrant{RateCount: 1_000_000, RatePeriod: 1}, true},
		"too fast":       {catalog.APIKeyGrant{RateCount: 1_000_001, RatePeriod: 1}, false},
		"three words":    {catalog.APIKeyGrant{Scopes: []string{"a:b:c"}, RateCount: 1, RatePeriod: 1}, false},
		"no verb":        {catalog.APIKeyGrant{Scopes: []string{"docs:"}, RateCount: 1, RatePeriod: 1}, false},
		"the same twice": {catalog.APIKeyGrant{Scopes: []string{"docs", "docs"}, RateCount: 1, RatePeriod: 1}, false},
	} {
		_, err := s.CreatePlan(s.ada, catalog.CreatePlanRequest{Product: product.ID, Code: strings.ReplaceAll(name, " ", "-"), Name: "P", Type: catalog.Perpetual,
			Grants: []catalog.Grant{{APIKey: &c.grant}}})
		if (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		limit := apikey.Limit{Name: "rate", Count: c.grant.RateCount, Seconds: c.grant.RatePeriod, Burst: c.grant.RateCount}
		if err == nil && limit.Rate().Validate() != nil {
			t.Errorf("%s is for sale and cannot be counted", name)
		}
	}
}
