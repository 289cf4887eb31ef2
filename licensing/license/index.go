package license

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

const (
	// listFull is how many indexes of a list are given out before the next list is opened; the rest are decoys.
	listFull = 125_000
	// candidates are drawn at once, so that a nearly full list still yields a free one in a round or two.
	candidates = 32
	// holdDrawn is how long, at least, an index drawn for a draft is kept from other drafts of this process.
	holdDrawn = time.Minute
	// recount is how many draws may pass, at least, before the lists are counted again; more while they have more room.
	recount = 500
	// roomPart says which part of the room it is.
	roomPart = 16
)

// slot is a place in a status list.
type slot struct{ list, idx int64 }

// indexes draws free places of the open status lists at random: an ordered index would publish how much is sold.
// The unique key of the token's row is the guarantee; what is remembered here only makes a collision rare.
type indexes struct {
	tokens Tokens
	clock  licensing.Clock

	// stock are free places that were asked for together with one that was drawn, since stocked. They are held, but not for long.
	stocking sync.Mutex
	stock    []slot
	stocked  time.Time

	mu     sync.Mutex
	open   []int64
	below  int64 // lists up to this number are full for good, since no place is ever given back
	left   int
	drawn  map[slot]bool // since turned
	older  map[slot]bool // in the minute before
	turned time.Time
}

// draw returns a place that was free less than a minute ago. One question to the database finds places for many draws.
func (x *indexes) draw(ctx context.Context) (slot, error) {
	x.stocking.Lock() // who comes while somebody asks takes of what he gets
	defer x.stocking.Unlock()
	now := x.clock.Now()
	if gone := now.Sub(x.stocked); gone > holdDrawn || gone < 0 {
		x.stock = nil
	}
	for len(x.stock) == 0 {
		if err := x.restock(ctx); err != nil {
			return slot{}, err
		}
		x.stocked = now
	}
	at := x.stock[len(x.stock)-1]
	x.stock = x.stock[:len(x.stock)-1]
	return at, nil
}

// restock asks which of some places of a list are free, and holds those.
func (x *indexes) restock(ctx context.Context) error {
	list, err := x.list(ctx, candidates)
	if err != nil {
		return err
	}
	among := make([]int64, candidates)
	for i := range among {
		among[i] = int64(random(doc.StatusListSize))
	}
	taken, err := x.tokens.TakenIndexes(ctx, list, among)
	if err != nil {
		return err
	}
	for _, idx := range among {
		if at := (slot{list, idx}); !slices.Contains(taken, idx) && x.hold(at) {
			x.stock = append(x.stock, at)
		}
	}
	return nil
}

// hold keeps a place for a draft of this process, false when another draft has it.
func (x *indexes) hold(at slot) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now := x.clock.Now(); now.Sub(x.turned) > holdDrawn {
		x.turned, x.older, x.drawn = now, x.drawn, map[slot]bool{}
	}
	if x.drawn[at] || x.older[at] {
		return false
	}
	x.drawn[at] = true
	return true
}

// list returns an open list at random for n draws, opening one when all are full.
func (x *indexes) list(ctx context.Context, n int) (int64, error) {
	x.mu.Lock()
	if x.left > 0 {
		x.left -= n
		list := x.open[random(len(x.open))]
		x.mu.Unlock()
		return list, nil
	}
	below := x.below
	x.mu.Unlock()
	counts, err := x.tokens.StatusLists(ctx, below)
	if err != nil {
		return 0, err
	}
	var open []int64
	last, room := below, int64(0)
	for list, used := range counts {
		last = max(last, list)
		if used < listFull {
			open, room = append(open, list), room+listFull-used
		}
	}
	if len(open) == 0 {
		open, room = []int64{last + 1}, listFull
		if err := x.tokens.OpenStatusList(ctx, last+1, x.clock.Now()); err != nil {
			return 0, err
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	// Other processes draw too, so only a part of the room is used up before it is looked at again.
	x.open, x.below, x.left = open, slices.Min(open)-1, max(recount, int(room/roomPart))-n
	return open[random(len(open))], nil
}

// random returns a uniform number below n, a power of two or small.
func random(n int) int {
	var b [8]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return int(binary.LittleEndian.Uint64(b[:]) % uint64(n))
}
