package e2e_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mintreu/mintreu/service/walk"
)

// The golden path holds from the catalogue to the offline check, on SQLite and, with every request at the other of two replicas
// than the one before, on PostgreSQL and Redis. A second walk over the same shop holds as well.
func TestPath_Walk(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		roots, err := s.replicas[0].Roots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			summary, err := walk.Run(t.Context(), walk.Params{BaseURL: s.url, Operator: s.operator, Roots: roots, Invariants: s.invariants})
			if err != nil {
				t.Fatal(err)
			}
			if !summary.OK || len(summary.Steps) < 14 || summary.Order == "" || summary.License == "" {
				t.Errorf("the walk's summary: %+v", summary)
			}
			if got, want := accountOf(t, s.rows, summary.Order), granted(1); got != want {
				t.Errorf("the walk's order led to %+v, want %+v", got, want)
			}
		}
	})
}

// invariants runs the checker at every replica.
func (s *site) invariants(ctx context.Context) (out []string, err error) {
	for _, a := range s.replicas {
		found, err := a.Verify(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range found {
			out = append(out, fmt.Sprint(v.Invariant, " ", v.Object, " ", v.Text))
		}
	}
	return out, nil
}
