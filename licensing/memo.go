package licensing

import (
	"context"
	"sync"
)

// memoMost is how many values a [Memo] keeps; with more it starts anew.
const memoMost = 10_000

// Memo keeps by id what is read often and changes seldom. The change feed calls [Memo.Forget]; while the feed is not fresh everything is
// read anew. Values are shared: nobody may change what they point to. The zero Memo keeps nothing. It is safe for concurrent use.
type Memo[V any] struct {
	// Fresh reports whether the change feed can be believed; nil means never.
	Fresh func() bool

	mu    sync.RWMutex
	kept  map[string]V
	round int64 // grows with every Forget, so that what was read before it is not kept
}

// Get returns the value of an id, read by read unless it is kept. Failures are not kept.
func (m *Memo[V]) Get(ctx context.Context, id string, read func(ctx context.Context, id string) (V, error)) (V, error) {
	if m.Fresh == nil || !m.Fresh() {
		return read(ctx, id)
	}
	m.mu.RLock()
	v, ok := m.kept[id]
	round := m.round
	m.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := read(ctx, id)
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.round == round {
		if m.kept == nil || len(m.kept) >= memoMost {
			m.kept = map[string]V{}
		}
		m.kept[id] = v
	}
	return v, nil
}

// Forget drops what is kept of an id, of all ids when it is "".
func (m *Memo[V]) Forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.round++
	if id == "" {
		m.kept = nil
		return
	}
	delete(m.kept, id)
}
