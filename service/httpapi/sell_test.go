package httpapi

import (
	"slices"
	"testing"

	"github.com/mintreu/mintreu/service/kit"
)

// TestSellingRoutesAreWellFormed guarantees that every operation of catalogue, prices, checkout and orders has types that decode strictly
// and texts for the reference.
func TestSellingRoutesAreWellFormed(t *testing.T) {
	t.Parallel()
	routes := slices.Concat(CatalogRoutes(nil), PricingRoutes(nil), CheckoutRoutes(nil), OrderRoutes(nil))
	if _, err := kit.Document(kit.Info{Title: "t", Version: "1"}, routes); err != nil {
		t.Fatal(err)
	}
}
