package money

import (
	"math/big"
	"slices"
)

// Split divides total in proportion to weights by largest remainder: each part is the exact share rounded down or up by less
// than one minor unit, ties go to the earlier part, and the parts always sum to total. Weights are not negative and not all zero.
// A negative total gives the mirror image of its opposite.
func Split(total Amount, weights []int64) ([]Amount, error) {
	sum := new(big.Int)
	for _, w := range weights {
		if w < 0 {
			return nil, ErrWeights
		}
		sum.Add(sum, big.NewInt(w))
	}
	if sum.Sign() == 0 {
		return nil, ErrWeights
	}
	magnitude := new(big.Int).Abs(big.NewInt(total.Minor))
	left := new(big.Int).Set(magnitude)
	parts, order := make([]*big.Int, len(weights)), make([]int, len(weights))
	remainders := make([]*big.Int, len(weights))
	for i, w := range weights {
		exact := new(big.Int).Mul(magnitude, big.NewInt(w))
		parts[i], remainders[i] = exact.QuoRem(exact, sum, new(big.Int))
		left.Sub(left, parts[i])
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return remainders[b].Cmp(remainders[a]) })
	for _, i := range order[:left.Int64()] {
		parts[i].Add(parts[i], big.NewInt(1))
	}
	out := make([]Amount, len(weights))
	for i, p := range parts {
		if total.Minor < 0 {
			p.Neg(p)
		}
		out[i] = Amount{p.Int64(), total.Currency}
	}
	return out, nil
}
