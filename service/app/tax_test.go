package app_test

import (
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
)

// TestTaxIsValidatedAtStart guarantees that a process does not start on tax settings that it would not follow, and that it says what is wrong.
func TestTaxIsValidatedAtStart(t *testing.T) {
	t.Parallel()
	good := app.Config{DataDir: t.TempDir(), Addr: "127.0.0.1:0", OpsAddr: "off", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop"}
	for name, c := range map[string]struct {
		change func(*app.Config)
		fault  string
	}{
		"none": {func(c *app.Config) { c.Tax = "none" }, ""},
		"fixed": {func(c *app.Config) {
			c.Tax, c.TaxRate, c.SellerCountry = "fixed", []string{"DE=19", "FI=25.5", "US=0"}, "DE"
		}, ""},
		"stripe":          {func(c *app.Config) { c.Tax = "stripe" }, "cannot leave the tax to Stripe yet"},
		"no rates":        {func(c *app.Config) { c.Tax = "fixed" }, "needs --tax-rate"},
		"rates unused":    {func(c *app.Config) { c.TaxRate = []string{"DE=19"} }, "need --tax fixed"},
		"twice":           {func(c *app.Config) { c.Tax, c.TaxRate = "fixed", []string{"DE=19", "DE=7"} }, "two rates"},
		"no percentage":   {func(c *app.Config) { c.Tax, c.TaxRate = "fixed", []string{"DE=1.234"} }, "want a country and percent"},
		"more than all":   {func(c *app.Config) { c.Tax, c.TaxRate = "fixed", []string{"DE=101"} }, "want a country and percent"},
		"small letters":   {func(c *app.Config) { c.Tax, c.TaxRate = "fixed", []string{"de=19"} }, "want a country and percent"},
		"odd mode":        {func(c *app.Config) { c.Tax = "some" }, "want none or fixed"},
		"odd country":     {func(c *app.Config) { c.SellerCountry = "Germany" }, "two capital letters"},
		"odd sell. email": {func(c *app.Config) { c.SellerEmail = "billing" }, "--seller-email"},
	} {
		config := good
		c.change(&config)
		err := config.Check()
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
