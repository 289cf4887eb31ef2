package usage_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestUsage_SourcesAreBounded: a credential opens so many sources within a day and no more, is told why and when it may again, and goes on under those it
// has; another credential of the same license is not in its way.
func TestUsage_SourcesAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx, other := w.seat(t, "act_1", "held"), w.seat(t, "act_2", "held")
		src := w.open(t, ctx)
		w.Clock.Advance(time.Hour)
		w.plant(t, "act_1", usage.MostSources-2)
		last := sdk.SourceRequest{Nonce: w.IDs.New("nonce")}
		made, err := w.Open(ctx, last)
		if err != nil {
			t.Fatalf("the last: %v", err)
		}
		_, err = w.Open(ctx, sdk.SourceRequest{Nonce: w.IDs.New("nonce")})
		var told *licensing.Error
		if !errors.As(err, &told) || !errors.Is(err, usage.ErrSources) || told.Kind != licensing.TooMany || told.RetryAfter != 23*time.Hour {
			t.Errorf("one more: %+v", err)
		}
		if again, err := w.Open(ctx, last); err != nil || again != made {
			t.Errorf("the last again: %+v, %v", again, err)
		}
		if _, err := w.Count(ctx, w.batch(src, 1, 3)); err != nil {
			t.Errorf("under the first: %v", err)
		}
		w.open(t, other)
		w.Clock.Advance(23*time.Hour + time.Second)
		w.open(t, ctx)
		_, err = w.Open(ctx, sdk.SourceRequest{Nonce: w.IDs.New("nonce")})
		if !errors.Is(err, usage.ErrSources) {
			t.Errorf("a day after the first: %v", err)
		}
	})
}

// plant makes sources of a holder now.
func (w *world) plant(t *testing.T, holder string, n int) {
	t.Helper()
	for from := 0; from < n; from += 100 {
		var rows []string
		for i := from; i < min(from+100, n); i++ {
			rows = append(rows, fmt.Sprintf("('src_planted%[1]d', $1, 'nonce%[1]d', $2, 'prd_a', 'live', $3)", i))
		}
		if _, err := w.DB.Exec(t.Context(), `INSERT INTO usage_source (id, holder, nonce, carrier, product_id, env, created_at) VALUES `+strings.Join(rows, ", "), holder, w.license, w.Clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUsage_IdleSources: a source that was opened and never used is forgotten after a week, and its batch counts once under the next; one that counted is
// kept however long it is idle, so that a batch whose answer was lost is known when it comes again.
func TestUsage_IdleSources(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx := w.seat(t, "act_1", "held")
		idle, used := w.open(t, ctx), w.open(t, ctx)
		lost := w.batch(used, 1, 3)
		if _, err := w.Count(ctx, lost); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(6 * 24 * time.Hour)
		if n, err := w.Purge(t.Context()); err != nil || n != 0 {
			t.Errorf("%d forgotten within the week, %v", n, err)
		}
		w.Clock.Advance(40 * 24 * time.Hour)
		if n, err := w.Purge(t.Context()); err != nil || n != 1 {
			t.Errorf("%d forgotten after it, %v", n, err)
		}
		before := w.total(t)
		if res, err := w.Count(ctx, lost); err != nil || res.LastSeq != 1 || w.total(t) != before {
			t.Errorf("what was counted, again: %+v, %v", res, err)
		}
		_, err := w.Count(ctx, w.batch(idle, 1, 2))
		if !errors.Is(err, usage.ErrUnknown) {
			t.Errorf("under the one that is gone: %v", err)
		}
		if _, err := w.Count(ctx, w.batch(w.open(t, ctx), 1, 2)); err != nil || w.total(t) != before+2 {
			t.Errorf("under the next: %d, %v", w.total(t)-before, err)
		}
	})
}
