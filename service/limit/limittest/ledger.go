package limittest

import (
	"context"
	"errors"
	"sync"

	"github.com/mintreu/mintreu/service/limit"
)

// ErrAway is what a [Ledger] answers while it is away.
var ErrAway = errors.New("away")

// Ledger is a limit.Ledger in memory that can be away, or lose its answers. It is safe for concurrent use.
type Ledger struct {
	mu         sync.Mutex
	rows       map[[2]string]limit.Spent
	seqs       map[[2]string]int64
	away, lost bool
	reads      int
}

var _ limit.Ledger = (*Ledger)(nil)

// NewLedger makes an empty one.
func NewLedger() *Ledger {
	return &Ledger{rows: map[[2]string]limit.Spent{}, seqs: map[[2]string]int64{}}
}

// Keep implements [limit.Ledger].
func (l *Ledger) Keep(_ context.Context, process string, seq int64, spent []limit.Spent) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return ErrAway
	}
	for _, s := range spent {
		at := [2]string{s.Counter, process}
		if l.seqs[at] < seq {
			l.rows[at], l.seqs[at] = s, seq
		}
	}
	if l.lost {
		return ErrAway
	}
	return nil
}

// Used implements [limit.Ledger].
func (l *Ledger) Used(_ context.Context, counters []string, but string) (map[string]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reads++; l.away {
		return nil, ErrAway
	}
	out := map[string]int64{}
	for _, c := range counters {
		for at, s := range l.rows {
			if at[0] == c && at[1] != but {
				out[c] += s.Used
			}
		}
	}
	return out, nil
}

// Set has the ledger be away, or write what it is told and lose the answer.
func (l *Ledger) Set(away, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away, l.lost = away, lost
}

// Row is what a process has written of a counter.
func (l *Ledger) Row(counter, process string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows[[2]string{counter, process}].Used
}

// Total is what all processes have written of all counters.
func (l *Ledger) Total() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.rows {
		n += s.Used
	}
	return n
}

// Reads is how often somebody asked what is used.
func (l *Ledger) Reads() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}
