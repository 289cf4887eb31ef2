package app

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
)

var (
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	percentForm = regexp.MustCompile(`^([0-9]{1,3})(?:\.([0-9]{1,2}))?$`)
)

// seller is who sells, as every receipt names it.
func (c Config) seller() order.Seller {
	return order.Seller{Name: c.ShopName, Address: c.SellerAddress, VATID: c.SellerVATID, Email: c.SellerEmail}
}

// taxRules reads how tax is decided, and names every fault.
func (c Config) taxRules() (order.TaxRules, error) {
	r := order.TaxRules{Mode: order.NoTax, Inclusive: c.TaxInclusive, Home: c.SellerCountry}
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.SellerCountry != "" && !countryForm.MatchString(c.SellerCountry) {
		bad("--seller-country %q: want two capital letters such as DE", c.SellerCountry)
	}
	switch c.Tax {
	case "", "none":
		if len(c.TaxRate) > 0 || c.TaxInclusive {
			bad("--tax-rate and --tax-inclusive need --tax fixed")
		}
	case "fixed":
		r.Mode, r.Rates = order.FixedTax, map[string]money.BasisPoints{}
		if len(c.TaxRate) == 0 {
			bad("--tax fixed needs --tax-rate, for example DE=19,FI=25.5")
		}
	case "stripe":
		bad("--tax stripe: Mintreu cannot leave the tax to Stripe yet; take fixed with --tax-rate, or none")
	default:
		bad("--tax %q: want none or fixed", c.Tax)
	}
	for _, text := range c.TaxRate {
		country, percent, _ := strings.Cut(strings.TrimSpace(text), "=")
		rate, err := basisPoints(percent)
		switch _, twice := r.Rates[country]; {
		case err != nil || !countryForm.MatchString(country):
			bad("--tax-rate %q: want a country and percent such as DE=19 or FI=25.5", text)
		case twice:
			bad("--tax-rate: %s has two rates", country)
		case r.Rates != nil:
			r.Rates[country] = rate
		}
	}
	return r, errors.Join(faults...)
}

// basisPoints reads a percentage of at most 100 with at most two decimals.
func basisPoints(text string) (money.BasisPoints, error) {
	m := percentForm.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is no percentage", text)
	}
	n, err := strconv.ParseInt(m[1]+(m[2] + "00")[:2], 10, 64)
	if err != nil || n > int64(money.Whole) {
		return 0, fmt.Errorf("%q is more than 100 percent", text)
	}
	return money.BasisPoints(n), nil
}
