// Package guard finds statements that were meant for a transaction and would have run beside it. Within [db.DB.InTx] the
// transaction travels in the context handed to fn; a statement run there with the outer context would wait for ever on
// SQLite, whose only writer is taken by that very transaction, and would silently escape the transaction on PostgreSQL.
// Both adapters ask the guard and answer [db.ErrOuterContext] instead.
package guard

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/mintreu/mintreu/service/db"
)

// Guard remembers which goroutines are inside a transaction. The zero Guard is ready; it is safe for concurrent use.
type Guard struct {
	active  atomic.Int64
	holders sync.Map // goroutine number -> struct{}
}

// Enter marks the calling goroutine as being inside a transaction until leave is called, on whichever goroutine.
func (g *Guard) Enter() (leave func()) {
	n := goroutine()
	g.active.Add(1)
	g.holders.Store(n, struct{}{})
	return func() {
		g.holders.Delete(n)
		g.active.Add(-1)
	}
}

// Check returns [db.ErrOuterContext] when the calling goroutine is inside a transaction. Adapters call it for statements
// whose context carries none. It costs nothing while no transaction is open.
func (g *Guard) Check() error {
	if g.active.Load() == 0 {
		return nil
	}
	if _, inside := g.holders.Load(goroutine()); inside {
		return db.ErrOuterContext
	}
	return nil
}

// goroutine is the number of the calling goroutine, read from the head of its stack trace ("goroutine 17 [running]:").
// Numbers are never used twice in a process.
func goroutine() uint64 {
	var buf [40]byte
	text := buf[:runtime.Stack(buf[:], false)]
	var n uint64
	for _, c := range text[len("goroutine "):] {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}
