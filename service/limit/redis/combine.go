package redis

import (
	"slices"

	"github.com/mintreu/mintreu/licensing/combine"
	"github.com/mintreu/mintreu/service/limit"
)

// call is one caller's groups on their way through the combiner.
type call struct {
	groups  []group
	checks  int
	known   limit.Known
	results [][]limit.Result
	single  [1]group  // where groups lies when it is one
	names   [2]string // where its counters lie when they are few
}

// combiner lets one batch be under way at a time, and gathers those who come meanwhile. One who is under way already gets his results, which the
// budget bounds.
type combiner = combine.Group[*call]

// work is a batch of checks.
func (l *Limiter) work() *combine.Work[*call] {
	return &combine.Work[*call]{Lanes: 1, Most: maxBatch, Size: func(c *call) int { return c.checks }, Run: l.run}
}

// Busy reports whether a batch is under way.
func (l *Limiter) Busy() bool {
	return slices.ContainsFunc(l.combiners, (*combiner).Busy)
}
