package usage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What a correction left is answered: of a window whose events are taken back and whose sum is not, that sum, as the quota on it and the account have
// it; of one of which nothing is left, nothing.
func TestQuery_TellsWhatACorrectionLeft(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		device := w.seat(t, "act_1", "held")
		w.meter(t, "bytes", usage.KindSum)
		at := w.Clock.Now().Truncate(15 * time.Minute)
		if _, err := w.Count(device, sdk.UsageRequest{Source: w.open(t, device), Seq: 1, Rows: []sdk.UsageRow{{Meter: "bytes", At: at.Unix(), Events: 2, Sum: 50, Max: 30}}}); err != nil {
			t.Fatal(err)
		}
		of := usage.Of{Carrier: w.license, Meter: "bytes", From: at.Add(-time.Hour), To: at.Add(time.Hour)}
		left := func(what string, take usage.CorrectRequest, want int64) {
			t.Helper()
			take.Carrier, take.Meter, take.At, take.Reason = w.license, "bytes", at, "try"
			if _, err := w.Correct(staff(t.Context()), take); err != nil {
				t.Fatal(err)
			}
			q, err := w.Query(staff(t.Context()), usage.QueryRequest{Of: of, Window: "quarter"})
			if err != nil {
				t.Fatal(err)
			}
			got := int64(0)
			for _, v := range q.Windows {
				got += v.Value
			}
			x, err := w.Explain(staff(t.Context()), usage.ExplainRequest{Carrier: w.license, Meter: "bytes", From: at, To: at.AddDate(0, 0, 1)})
			if err != nil || got != want || x.Closing.Sum != want || (want == 0) != (len(q.Windows) == 0) {
				t.Errorf("%s: the windows have %d (%+v), the account %d, %v; want %d", what, got, q.Windows, x.Closing.Sum, err, want)
			}
		}
		left("events alone", usage.CorrectRequest{Events: 2}, 50)
		left("the rest", usage.CorrectRequest{Sum: 50}, 0)
	})
}

// Different values count as different ones: numbers that JSON readers take for each other are refused, and the same digits as a text are not.
func TestEvents_LargeNumbersAreNotTakenForEachOther(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	w := newWorld(t, e)
	ctx, key := w.key(t, "cus_ada")
	w.meter(t, "users", usage.KindUnique)
	send := func(values ...any) error {
		var r usage.EventsRequest
		for _, v := range values {
			r.Events = append(r.Events, usage.CloudEvent{"specversion": "1.0", "id": w.IDs.New("ev"), "source": "app", "type": "job", "data": map[string]any{"n": v}})
		}
		_, err := w.Events(ctx, r)
		return err
	}
	for _, n := range []float64{9007199254740993, 1 << 53, -1 << 53, 1e300} {
		if err := send(n); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%v: %v", n, err)
		}
	}
	negative := 0.0
	negative = -negative
	if err := send("9007199254740993", "9007199254740992", float64(1<<53-1), -float64(1<<53-1), 0.5, 0.0, negative, "0"); err != nil {
		t.Fatal(err)
	}
	now := w.Clock.Now()
	q, err := w.Query(staff(t.Context()), usage.QueryRequest{Of: usage.Of{Carrier: key, Meter: "users", From: now.Add(-time.Hour), To: now.Add(time.Hour)}, Window: "month"})
	if err != nil || len(q.Windows) != 1 || q.Windows[0].Value != 6 {
		t.Errorf("%s, %v; want 6 different ones", fmt.Sprint(q.Windows), err)
	}
}
