package order

import (
	"regexp"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// TaxRules are a shop's own tax rates.
type TaxRules struct {
	Mode      TaxMode
	Inclusive bool
	// Rates are the rates by country (ISO 3166, two capital letters); a country without one pays no tax.
	Rates map[string]money.BasisPoints
	// Home is the country of the shop. With one in the European Union, a business in another country of it that gives its VAT id owes
	// the tax itself (reverse charge) and pays the price without any.
	Home string
}

// For decides the tax of a buyer. With fixed tax the country must be known, and a VAT id must be of that country: it decides what is paid.
func (r TaxRules) For(country, vatID string) (Tax, error) {
	if r.Mode != FixedTax {
		return Tax{Mode: NoTax, Country: country}, nil
	}
	if country == "" {
		return Tax{}, licensing.Fail(licensing.Invalid, "country-needed", "Say in which country the buyer is: tax depends on it.").
			With("/country", "must be two capital letters, for example DE")
	}
	t := Tax{Mode: FixedTax, Country: country, Rate: r.Rates[country], Inclusive: r.Inclusive}
	form, within := vatForms[country]
	if _, home := vatForms[r.Home]; vatID == "" || country == r.Home || !within || !home {
		return t, nil
	}
	if !form.MatchString(vatID) {
		return Tax{}, licensing.Fail(licensing.Invalid, "vat-id-form", "The VAT id is not one of the buyer's country.").
			With("/vat_id", "must be a VAT id of %s, or absent", country)
	}
	t.Rate, t.ReverseCharge = 0, true
	return t, nil
}

// vatForms are the forms of VAT ids by country of the European Union. They say that an id may exist, not that it does.
var vatForms = map[string]*regexp.Regexp{
	"AT": regexp.MustCompile(`^ATU[0-9]{8}$`),
	"BE": regexp.MustCompile(`^BE[01][0-9]{9}$`),
	"BG": regexp.MustCompile(`^BG[0-9]{9,10}$`),
	"CY": regexp.MustCompile(`^CY[0-9]{8}[A-Z]$`),
	"CZ": regexp.MustCompile(`^CZ[0-9]{8,10}$`),
	"DE": regexp.MustCompile(`^DE[0-9]{9}$`),
	"DK": regexp.MustCompile(`^DK[0-9]{8}$`),
	"EE": regexp.MustCompile(`^EE[0-9]{9}$`),
	"ES": regexp.MustCompile(`^ES[0-9A-Z][0-9]{7}[0-9A-Z]$`),
	"FI": regexp.MustCompile(`^FI[0-9]{8}$`),
	"FR": regexp.MustCompile(`^FR[0-9A-HJ-NP-Z]{2}[0-9]{9}$`),
	"GR": regexp.MustCompile(`^EL[0-9]{9}$`),
	"HR": regexp.MustCompile(`^HR[0-9]{11}$`),
	"HU": regexp.MustCompile(`^HU[0-9]{8}$`),
	"IE": regexp.MustCompile(`^IE[0-9][0-9A-Z+*][0-9]{5}[A-Z]{1,2}$`),
	"IT": regexp.MustCompile(`^IT[0-9]{11}$`),
	"LT": regexp.MustCompile(`^LT([0-9]{9}|[0-9]{12})$`),
	"LU": regexp.MustCompile(`^LU[0-9]{8}$`),
	"LV": regexp.MustCompile(`^LV[0-9]{11}$`),
	"MT": regexp.MustCompile(`^MT[0-9]{8}$`),
	"NL": regexp.MustCompile(`^NL[0-9A-Z+*]{10}[0-9]{2}$`),
	"PL": regexp.MustCompile(`^PL[0-9]{10}$`),
	"PT": regexp.MustCompile(`^PT[0-9]{9}$`),
	"RO": regexp.MustCompile(`^RO[0-9]{2,10}$`),
	"SE": regexp.MustCompile(`^SE[0-9]{12}$`),
	"SI": regexp.MustCompile(`^SI[0-9]{8}$`),
	"SK": regexp.MustCompile(`^SK[0-9]{10}$`),
}
