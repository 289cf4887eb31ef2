package money

import (
	"fmt"
	"strconv"
	"strings"
)

// Decimal writes the amount in major units with the currency's decimals and a point: "19.99", "-0.05", "500" (JPY).
func (a Amount) Decimal() string {
	digits := strconv.FormatUint(magnitude(a.Minor), 10)
	e := a.Currency.Exponent()
	if len(digits) <= e {
		digits = strings.Repeat("0", e-len(digits)+1) + digits
	}
	sign := ""
	if a.Minor < 0 {
		sign = "-"
	}
	if e == 0 {
		return sign + digits
	}
	return sign + digits[:len(digits)-e] + "." + digits[len(digits)-e:]
}

// String is [Amount.Decimal] with thousands set apart by commas and the currency code behind: "1,234.50 EUR".
func (a Amount) String() string {
	s := a.Decimal()
	sign, fraction := "", ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	if i := strings.IndexByte(s, '.'); i >= 0 {
		s, fraction = s[:i], s[i:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return strings.TrimSpace(sign + s + fraction + " " + string(a.Currency))
}

// Parse reads what [Amount.Decimal] writes: an optional minus, digits, and up to the currency's number of decimals behind a point.
// It refuses signs, spaces, exponents, separators and more decimals than the currency has, with [ErrFormat].
func Parse(decimal string, c Currency) (Amount, error) {
	if !c.Valid() {
		return Amount{}, ErrUnknownCurrency
	}
	digits, negative := strings.CutPrefix(decimal, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	e := c.Exponent()
	if whole == "" || point && (fraction == "" || len(fraction) > e) {
		return Amount{}, ErrFormat
	}
	digits = whole + fraction + strings.Repeat("0", e-len(fraction))
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return Amount{}, ErrFormat
		}
	}
	if negative {
		digits = "-" + digits
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return Amount{}, ErrOverflow
	}
	return Amount{v, c}, nil
}

// String writes the rate in percent: "19 %", "7.25 %".
func (r BasisPoints) String() string {
	s := fmt.Sprintf("%d.%02d", int64(r)/100, max(int64(r), -int64(r))%100)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + " %"
}
