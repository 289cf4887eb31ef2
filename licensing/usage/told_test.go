package usage_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What is told of a correction is of the environment and the owner of what it corrects, so that no endpoint hears of another environment's.
func TestCorrect_IsToldInItsEnvironment(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		key, err := seal.New(bytes.Repeat([]byte{7}, 32))
		if err != nil {
			t.Fatal(err)
		}
		sequencer, err := audit.NewSequencer(t.Context(), audit.SequencerDeps{Tx: e.Store, Log: e.Store.Audit(), Settings: e.Store, Seal: key, Clock: e.Clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		w.counts(t, 3, w.Clock.Now())
		correct := func(carrier string) {
			t.Helper()
			if _, err := w.Correct(staff(t.Context()), usage.CorrectRequest{Carrier: carrier, Meter: "pages", At: w.Clock.Now(), Events: 1, Sum: 1, Reason: "twice by mistake"}); err != nil {
				t.Fatal(err)
			}
		}
		correct(w.license)
		w.meter(t, "pages", "sum")
		ctx, id := w.key(t, "cus_bob")
		b := w.batch(w.open(t, ctx), 1, 5)
		if _, err := w.Count(ctx, b); err != nil {
			t.Fatal(err)
		}
		correct(id)
		for _, table := range []string{"license", "api_key"} {
			if _, err := e.DB.Exec(t.Context(), `UPDATE `+table+` SET env = 'test'`); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sequencer.Sequence(t.Context()); err != nil {
			t.Fatal(err)
		}
		changes, err := e.Store.Webhooks().Changes(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range changes {
			if c.Action == "usage.correct" {
				got = append(got, fmt.Sprint(c.Env, " ", c.Owner, " ", c.License == w.license, " ", c.State))
			}
		}
		if !slices.Equal(got, []string{"test cus_ada true ", "test cus_bob false "}) {
			t.Errorf("%q", got)
		}
	})
}
