package usage_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// huge is a batch of the most that one can say of a meter now.
func (w *world) huge(source string, seq int64, meter string) sdk.UsageRequest {
	at := w.Clock.Now().Unix()
	rows := make([]sdk.UsageRow, sdk.MaxUsageRows)
	for i := range rows {
		rows[i] = sdk.UsageRow{Meter: meter, At: at - at%sdk.UsageBucket, Events: 1, Sum: sdk.MaxUsageSum, Max: sdk.MaxUsageSum}
	}
	return sdk.UsageRequest{Source: source, Seq: seq, Rows: rows}
}

// Who reports more than numbers hold is refused, whole and for himself alone, before anything that is added up comes near the end of what a number
// holds: neither other sources of the same license nor later months nor the product's own sums know of it.
func TestUsage_MoreThanNumbersHold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx := w.seat(t, "act_1", "held")
		src := w.open(t, ctx)
		one := w.huge(src, 1, "bytes")
		sum := int64(sdk.MaxUsageRows) * sdk.MaxUsageSum
		if _, err := w.Count(ctx, one); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := w.Count(ctx, w.huge(src, 2, "bytes")); !errors.Is(err, usage.ErrTooMuch) {
				t.Fatalf("twice what fits: %v", err)
			}
		}
		other := w.open(t, ctx)
		if _, err := w.Count(ctx, w.huge(other, 1, "bytes")); !errors.Is(err, usage.ErrTooMuch) {
			t.Fatalf("by another source: %v", err)
		}
		if got := w.total(t); got != sum {
			t.Errorf("%d are counted, want %d", got, sum)
		}
		small := w.batch(src, 2, 5)
		small.Rows[0].Meter = "bytes"
		if _, err := w.Count(ctx, small); err != nil {
			t.Errorf("the same number with what fits: %v", err)
		}
		if _, err := w.Count(ctx, w.huge(other, 1, "words")); err != nil {
			t.Errorf("another meter: %v", err)
		}
		w.Clock.Advance(32 * 24 * time.Hour)
		if _, err := w.Count(ctx, w.huge(src, 3, "bytes")); err != nil {
			t.Errorf("another month: %v", err)
		}
		if got := w.total(t); got != 3*sum+5 {
			t.Errorf("%d are counted, want %d", got, 3*sum+5)
		}
	})
}

// A source that reports of ever more meters comes to an end, too, and says so; others go on.
func TestUsage_MoreThanASourceHolds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx := w.seat(t, "act_1", "held")
		src := w.open(t, ctx)
		refused := false
		for seq := int64(1); seq < 300 && !refused; seq++ {
			_, err := w.Count(ctx, w.huge(src, seq, fmt.Sprint("m", seq)))
			if refused = errors.Is(err, usage.ErrTooMuch); err != nil && !refused {
				t.Fatalf("batch %d: %v", seq, err)
			}
		}
		if !refused {
			t.Error("one source counted more than the sums of all can hold")
		}
		if _, err := w.Count(ctx, w.huge(w.open(t, ctx), 1, "m1000")); err != nil {
			t.Errorf("another source: %v", err)
		}
	})
}
