// Package money counts money: an [Amount] is a whole number of minor units (cents, yen, fils) of one ISO 4217 [Currency].
// There is no floating point anywhere, every operation reports overflow and mixed currencies instead of wrapping round, rates
// are basis points, rounding is half-up and happens once a line, and a total that is divided ([Split]) always adds up again.
//
// Payment providers do not all count in ISO's minor units: [ToStripe] and [FromStripe] translate.
package money

import (
	"errors"
	"math"
	"math/bits"
)

// Failures of arithmetic.
var (
	// ErrOverflow means that the result does not fit 63 bits.
	ErrOverflow = errors.New("money: amount too large")
	// ErrCurrency means that two currencies were mixed.
	ErrCurrency = errors.New("money: currencies differ")
	// ErrUnknownCurrency means that a code is not one of ISO 4217's active currencies.
	ErrUnknownCurrency = errors.New("money: unknown currency")
	// ErrFormat means that a text is not an amount.
	ErrFormat = errors.New("money: not an amount")
	// ErrWeights means that a split has no positive weight, a negative one, or weights whose sum overflows.
	ErrWeights = errors.New("money: weights must not be negative and must not all be zero")
	// ErrRate means that a rate is negative.
	ErrRate = errors.New("money: rate must not be negative")
)

// BasisPoints is a rate in hundredths of a percent: 1900 is 19 %.
type BasisPoints int64

// Whole is 100 %.
const Whole BasisPoints = 10_000

// Amount is a number of minor units of a currency. The zero Amount is no money of no currency. It is a value: operations return
// a new one. On the wire it is {"amount": 1999, "currency": "EUR"}.
type Amount struct {
	Minor    int64    `json:"amount" doc:"Amount in minor units (cents) of the currency."`
	Currency Currency `json:"currency" doc:"ISO 4217 code, three capital letters." example:"EUR"`
}

// New returns minor units of c.
func New(minor int64, c Currency) Amount { return Amount{Minor: minor, Currency: c} }

// Zero returns nothing of c.
func Zero(c Currency) Amount { return Amount{Currency: c} }

// IsZero reports whether there is no money, whatever the currency.
func (a Amount) IsZero() bool { return a.Minor == 0 }

// Add returns a + b, [ErrCurrency] or [ErrOverflow].
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, ErrCurrency
	}
	sum := a.Minor + b.Minor
	if (sum > a.Minor) != (b.Minor > 0) {
		return Amount{}, ErrOverflow
	}
	return Amount{sum, a.Currency}, nil
}

// Sub returns a − b, [ErrCurrency] or [ErrOverflow].
func (a Amount) Sub(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, ErrCurrency
	}
	diff := a.Minor - b.Minor
	if (diff < a.Minor) != (b.Minor > 0) {
		return Amount{}, ErrOverflow
	}
	return Amount{diff, a.Currency}, nil
}

// Neg returns −a; the smallest int64 has no opposite and gives [ErrOverflow].
func (a Amount) Neg() (Amount, error) {
	if a.Minor == math.MinInt64 {
		return Amount{}, ErrOverflow
	}
	return Amount{-a.Minor, a.Currency}, nil
}

// Mul returns n times a, or [ErrOverflow].
func (a Amount) Mul(n int64) (Amount, error) {
	v, err := mulDiv(a.Minor, n, 1)
	return Amount{v, a.Currency}, err
}

// Share returns rate of a, rounded half-up (a half goes away from zero, so that a credit mirrors its charge).
func (a Amount) Share(rate BasisPoints) (Amount, error) {
	if rate < 0 {
		return Amount{}, ErrRate
	}
	v, err := mulDiv(a.Minor, int64(rate), int64(Whole))
	return Amount{v, a.Currency}, err
}

// ShareIn is [Amount.Share] in whole steps of so many minor units, a positive number: what has to be charged comes in steps of [Currency.Step].
func (a Amount) ShareIn(rate BasisPoints, step int64) (Amount, error) {
	if rate < 0 {
		return Amount{}, ErrRate
	}
	steps, err := mulDiv(a.Minor, int64(rate), int64(Whole)*step)
	if err != nil {
		return Amount{}, err
	}
	return Amount{steps, a.Currency}.Mul(step)
}

// Included returns how much of a is tax when a includes tax at rate: a × rate ÷ (1 + rate), rounded half-up.
func (a Amount) Included(rate BasisPoints) (Amount, error) {
	if rate < 0 || rate > math.MaxInt64-Whole {
		return Amount{}, ErrRate
	}
	v, err := mulDiv(a.Minor, int64(rate), int64(Whole+rate))
	return Amount{v, a.Currency}, err
}

// Sum adds amounts of currency c; no amounts give zero.
func Sum(c Currency, amounts ...Amount) (Amount, error) {
	total := Zero(c)
	for _, a := range amounts {
		var err error
		if total, err = total.Add(a); err != nil {
			return Amount{}, err
		}
	}
	return total, nil
}

// mulDiv returns a × b ÷ c rounded half away from zero, with a 128-bit product; c is positive.
func mulDiv(a, b, c int64) (int64, error) {
	negative := (a < 0) != (b < 0)
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	// Adding half the divisor before the floor rounds a half up; an odd divisor has no exact half, and its floor does too.
	lo, carry := bits.Add64(lo, uint64(c)/2, 0)
	hi += carry // the product is at most 2^126, so there is room
	if hi >= uint64(c) {
		return 0, ErrOverflow
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	switch {
	case negative && q == 1<<63:
		return math.MinInt64, nil
	case q > math.MaxInt64:
		return 0, ErrOverflow
	case negative:
		return -int64(q), nil
	}
	return int64(q), nil
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
