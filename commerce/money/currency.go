package money

import "slices"

// Currency is an ISO 4217 code in capital letters. "" means none.
type Currency string

// exponents gives the number of decimals of each active currency that differs from two; codes lists those with two.
var exponents = func() map[Currency]int {
	m := make(map[Currency]int, 170)
	for exponent, codes := range map[int]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
		2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK " +
			"DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL " +
			"MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP " +
			"SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
		3: "BHD IQD JOD KWD LYD OMR TND",
		4: "CLF UYW",
	} {
		for i := 0; i+3 <= len(codes); i += 4 {
			m[Currency(codes[i:i+3])] = exponent
		}
	}
	return m
}()

// ParseCurrency returns the currency of a code in capital letters, or [ErrUnknownCurrency].
func ParseCurrency(code string) (Currency, error) {
	if c := Currency(code); c.Valid() {
		return c, nil
	}
	return "", ErrUnknownCurrency
}

// Valid reports whether c is an active ISO 4217 currency.
func (c Currency) Valid() bool { _, ok := exponents[c]; return ok }

// Exponent is the number of decimals that ISO 4217 gives the currency: EUR 2, JPY 0, KWD 3. An unknown currency has 2.
func (c Currency) Exponent() int {
	if e, ok := exponents[c]; ok {
		return e
	}
	return 2
}

// Currencies lists every active currency in alphabetical order.
func Currencies() []Currency {
	out := make([]Currency, 0, len(exponents))
	for c := range exponents {
		out = append(out, c)
	}
	slices.Sort(out)
	return out
}
