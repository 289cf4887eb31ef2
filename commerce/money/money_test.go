package money

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestC04_ArithmeticMatchesReference guarantees that every operation either gives what unbounded arithmetic gives or reports overflow:
// nothing ever wraps round.
func TestC04_ArithmeticMatchesReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		rate := BasisPoints(rapid.Int64Range(0, 100_000).Draw(t, "rate"))
		x, y := big.NewInt(a), big.NewInt(b)
		got, err := New(a, "EUR").Add(New(b, "EUR"))
		same(t, "add", got, err, new(big.Int).Add(x, y))
		got, err = New(a, "EUR").Sub(New(b, "EUR"))
		same(t, "sub", got, err, new(big.Int).Sub(x, y))
		got, err = New(a, "EUR").Mul(b)
		same(t, "mul", got, err, new(big.Int).Mul(x, y))
		got, err = New(a, "EUR").Share(rate)
		same(t, "share", got, err, halfUp(new(big.Int).Mul(x, big.NewInt(int64(rate))), 10_000))
		got, err = New(a, "EUR").Included(rate)
		same(t, "included", got, err, halfUp(new(big.Int).Mul(x, big.NewInt(int64(rate))), 10_000+int64(rate)))
	})
}

// halfUp is n ÷ d rounded to the nearest, halves away from zero.
func halfUp(n *big.Int, d int64) *big.Int {
	twice := new(big.Int).Add(new(big.Int).Mul(new(big.Int).Abs(n), big.NewInt(2)), big.NewInt(d))
	q := twice.Quo(twice, big.NewInt(2*d))
	if n.Sign() < 0 {
		q.Neg(q)
	}
	return q
}

func same(t *rapid.T, op string, got Amount, err error, want *big.Int) {
	switch {
	case !want.IsInt64():
		if !errors.Is(err, ErrOverflow) {
			t.Fatalf("%s: got %v %v, want overflow", op, got, err)
		}
	case err != nil || got.Minor != want.Int64():
		t.Fatalf("%s: got %v %v, want %s", op, got, err, want)
	}
}

// TestC04_SplitSumsToTotal guarantees that parts always sum to the total, differ from the exact share by less than one minor unit, and
// are equal for equal weights up to one unit.
func TestC04_SplitSumsToTotal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := New(rapid.Int64().Draw(t, "total"), "JPY")
		weights := rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64), 1, 20).Draw(t, "weights")
		weightSum := new(big.Int)
		for _, w := range weights {
			weightSum.Add(weightSum, big.NewInt(w))
		}
		parts, err := Split(total, weights)
		if weightSum.Sign() == 0 {
			if !errors.Is(err, ErrWeights) {
				t.Fatalf("no weight at all: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		sum := new(big.Int)
		for i, p := range parts {
			sum.Add(sum, big.NewInt(p.Minor))
			off := new(big.Int).Mul(big.NewInt(p.Minor), weightSum)
			off.Sub(off, new(big.Int).Mul(big.NewInt(total.Minor), big.NewInt(weights[i])))
			if off.CmpAbs(weightSum) >= 0 {
				t.Fatalf("part %d is %v of %v by %v", i, p, total, weights)
			}
		}
		if sum.Cmp(big.NewInt(total.Minor)) != 0 {
			t.Fatalf("parts %v sum to %s, not %v", parts, sum, total)
		}
	})
}

// TestTextRoundTrip guarantees that every amount of every currency is read back from what is written, in text and in JSON.
func TestTextRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := New(rapid.Int64().Draw(t, "minor"), rapid.SampledFrom(Currencies()).Draw(t, "currency"))
		back, err := Parse(a.Decimal(), a.Currency)
		if err != nil || back != a {
			t.Fatalf("%q is read as %v %v", a.Decimal(), back, err)
		}
		text, err := json.Marshal(a)
		var fromJSON Amount
		if err != nil || json.Unmarshal(text, &fromJSON) != nil || fromJSON != a {
			t.Fatalf("%s is read as %v", text, fromJSON)
		}
	})
}

// TestExponents guarantees the decimals of the currencies that are not like euros, how they are written, and what is refused.
func TestExponents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		minor    int64
		currency Currency
		decimal  string
		text     string
	}{
		{5, "EUR", "0.05", "0.05 EUR"}, {-123456, "USD", "-1234.56", "-1,234.56 USD"}, {5000, "JPY", "5000", "5,000 JPY"},
		{1234567, "KWD", "1234.567", "1,234.567 KWD"}, {12345, "CLF", "1.2345", "1.2345 CLF"}, {0, "ISK", "0", "0 ISK"}, {math.MinInt64, "EUR", "-92233720368547758.08", "-92,233,720,368,547,758.08 EUR"},
	} {
		a := New(c.minor, c.currency)
		if a.Decimal() != c.decimal || a.String() != c.text {
			t.Errorf("%d %s is written %q and %q", c.minor, c.currency, a.Decimal(), a.String())
		}
	}
	for _, bad := range []string{"", "-", ".5", "5.", "1.234", "1,5", "1e2", "+1", " 1", "1 ", "0x10", "1.-5", "99999999999999999999", "１"} {
		if a, err := Parse(bad, "EUR"); err == nil {
			t.Errorf("%q is read as %v", bad, a)
		}
	}
	if _, err := ParseCurrency("eur"); !errors.Is(err, ErrUnknownCurrency) {
		t.Error("eur is a currency")
	}
}

// TestStripeUnits guarantees that the currencies which Stripe counts differently are translated both ways without loss, and that what
// Stripe could not charge exactly is refused.
func TestStripeUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a     Amount
		units int64
	}{
		{New(1999, "EUR"), 1999}, {New(500, "JPY"), 500}, {New(500, "ISK"), 50000}, {New(500, "UGX"), 50000}, {New(500, "MGA"), 5}, {New(1230, "KWD"), 1230}, {New(1230, "BHD"), 1230},
	} {
		units, err := ToStripe(c.a)
		if err != nil || units != c.units {
			t.Errorf("%v is %d %v at Stripe, want %d", c.a, units, err, c.units)
		}
		if s := c.a.Currency.Step(); c.a.Minor%s != 0 {
			t.Errorf("%v can be charged and is no multiple of %d", c.a, s)
		}
		if back, err := FromStripe(c.units, c.a.Currency); err != nil || back != c.a {
			t.Errorf("%d comes back as %v %v, want %v", c.units, back, err, c.a)
		}
	}
	for _, a := range []Amount{New(1, "MGA"), New(1231, "KWD"), New(math.MaxInt64, "ISK"), New(1, "XXX")} {
		if units, err := ToStripe(a); err == nil {
			t.Errorf("%v is %d at Stripe", a, units)
		}
	}
	if a, err := FromStripe(50001, "ISK"); err == nil {
		t.Errorf("a hundredth of a króna is %v", a)
	}
	rapid.Check(t, func(t *rapid.T) {
		a := New(rapid.Int64().Draw(t, "minor"), rapid.SampledFrom(Currencies()).Draw(t, "currency"))
		if _, err := ToStripe(a); a.Minor > -1e15 && a.Minor < 1e15 && (err == nil) != (a.Minor%a.Currency.Step() == 0) {
			t.Fatalf("%v can be charged is %t, a step is %d", a, err == nil, a.Currency.Step())
		}
		if units, err := ToStripe(a); err == nil {
			if back, err := FromStripe(units, a.Currency); err != nil || back != a {
				t.Fatalf("%v comes back as %v %v", a, back, err)
			}
		}
	})
}

// TestCurrenciesDoNotMix guarantees that no sum has two currencies.
func TestCurrenciesDoNotMix(t *testing.T) {
	t.Parallel()
	if _, err := New(1, "EUR").Add(New(1, "USD")); !errors.Is(err, ErrCurrency) {
		t.Error(err)
	}
	if _, err := Sum("EUR", New(1, "EUR"), New(1, "USD")); !errors.Is(err, ErrCurrency) {
		t.Error(err)
	}
	if _, err := New(1, "EUR").Share(-1); !errors.Is(err, ErrRate) {
		t.Error(err)
	}
}
