package money

// stripeExponents are the currencies that Stripe counts in other units than ISO 4217: it keeps two decimals for the Icelandic
// króna and the Ugandan shilling, whose last two digits must be zero, and none for the Malagasy ariary.
var stripeExponents = map[Currency]int{"ISK": 2, "UGX": 2, "MGA": 0}

// stripeStep is what a Stripe amount of a currency must be a multiple of, where that is not one.
var stripeStep = map[Currency]int64{"ISK": 100, "UGX": 100, "BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10}

// Step is how many minor units of ISO 4217 the amounts that can be charged differ by: 10 of the currencies whose third decimal Stripe does not
// charge, 100 of the ariary, 1 of nearly all.
func (c Currency) Step() int64 {
	step := max(stripeStep[c], 1)
	for e := stripeExponent(c); e < c.Exponent(); e++ {
		step *= 10
	}
	for e := stripeExponent(c); e > c.Exponent(); e-- {
		step /= 10
	}
	return max(step, 1)
}

// ToStripe returns a in Stripe's units for its currency. [ErrFormat] means that Stripe cannot charge such an amount (a fraction
// of an ariary, or the third decimal of a dinar).
func ToStripe(a Amount) (int64, error) {
	if !a.Currency.Valid() {
		return 0, ErrUnknownCurrency
	}
	v, err := rescale(a.Minor, a.Currency.Exponent(), stripeExponent(a.Currency))
	if err != nil {
		return 0, err
	}
	if step, ok := stripeStep[a.Currency]; ok && v%step != 0 {
		return 0, ErrFormat
	}
	return v, nil
}

// FromStripe returns the amount that Stripe expresses as units of c. [ErrFormat] means that it has no whole number of ISO minor
// units.
func FromStripe(units int64, c Currency) (Amount, error) {
	if !c.Valid() {
		return Amount{}, ErrUnknownCurrency
	}
	v, err := rescale(units, stripeExponent(c), c.Exponent())
	return Amount{v, c}, err
}

func stripeExponent(c Currency) int {
	if e, ok := stripeExponents[c]; ok {
		return e
	}
	return c.Exponent()
}

// rescale moves v from one number of decimals to another without losing anything.
func rescale(v int64, from, to int) (int64, error) {
	for ; from < to; from++ {
		w := v * 10
		if w/10 != v {
			return 0, ErrOverflow
		}
		v = w
	}
	for ; from > to; from-- {
		if v%10 != 0 {
			return 0, ErrFormat
		}
		v /= 10
	}
	return v, nil
}
