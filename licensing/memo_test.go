package licensing_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mintreu/mintreu/licensing"
)

// A memo reads once while the feed is fresh, each time while it is not, and never keeps a failure.
func TestMemo_ReadsOnce(t *testing.T) {
	t.Parallel()
	fresh, reads, fails := true, 0, errors.New("away")
	m := licensing.Memo[int]{Fresh: func() bool { return fresh }}
	read := func(context.Context, string) (int, error) { reads++; return reads, nil }
	get := func(want int) {
		t.Helper()
		if v, err := m.Get(t.Context(), "a", read); err != nil || v != want {
			t.Errorf("%d, %v, want %d", v, err, want)
		}
	}
	if _, err := m.Get(t.Context(), "a", func(context.Context, string) (int, error) { return 0, fails }); !errors.Is(err, fails) {
		t.Error(err)
	}
	get(1)
	get(1)
	fresh = false
	get(2)
	fresh = true
	get(1)
	m.Forget("b")
	get(1)
	m.Forget("a")
	get(3)
	m.Forget("")
	get(4)
	var none licensing.Memo[int]
	if v, err := none.Get(t.Context(), "a", read); err != nil || v != 5 {
		t.Errorf("a memo without a feed gave %d, %v", v, err)
	}
}

// What was read before a change was told is not kept after it.
func TestMemo_NothingStale(t *testing.T) {
	t.Parallel()
	m := licensing.Memo[string]{Fresh: func() bool { return true }}
	stale := func(context.Context, string) (string, error) {
		m.Forget("a") // the change is told while its old state is on the way
		return "old", nil
	}
	if v, err := m.Get(t.Context(), "a", stale); err != nil || v != "old" {
		t.Error(v, err)
	}
	if v, err := m.Get(t.Context(), "a", func(context.Context, string) (string, error) { return "new", nil }); err != nil || v != "new" {
		t.Error(v, err)
	}
}
