package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// atOnce starts each of the calls n times together, and counts by their index which of them went well. Failures must be ones that a caller
// could be told.
func atOnce(t *testing.T, n int, calls ...func() error) []int {
	t.Helper()
	won := make([]int, len(calls))
	var wg sync.WaitGroup
	var mu sync.Mutex
	start := make(chan struct{})
	for range n {
		for i, call := range calls {
			wg.Go(func() {
				<-start
				err := call()
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won[i]++
				} else if licensing.KindOf(err) == licensing.Internal {
					t.Error(err)
				}
			})
		}
	}
	close(start)
	wg.Wait()
	return won
}

// rounds is how often a race is run on each engine, at its least loaded.
const rounds = 8

// Of an acceptance, a cancellation and a lot of each at the same moment exactly one comes true, and the license is where it says; of many
// who ask at once one is told yes.
func TestRaceOfSteps(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(false))
		for i := range rounds {
			if wrong := w.stepRace(t, w.Service, i); wrong != "" {
				t.Error(wrong)
			}
		}
	})
}

// own is a context with a call of its own: one that is shared by callers at once would be theirs to change.
func own(ctx context.Context) context.Context {
	call := *licensing.CallFrom(ctx)
	return licensing.WithCall(ctx, &call)
}

// stepRace asks, accepts and cancels at once, and says what is wrong afterwards.
func (w *world) stepRace(t *testing.T, s *transfer.Service, n int) string {
	t.Helper()
	name := fmt.Sprint("r", n, ".")
	ada, bob := w.person(t, name+"da@example.com", licensing.Customer), w.person(t, name+"ob@example.com", licensing.Customer)
	d := w.give(t, ada, "line/"+name+"/1")
	email := name + "ob@example.com"
	won := atOnce(t, 3, func() error {
		_, err := s.Ask(own(ada), transfer.AskRequest{ID: d.License.ID, Email: email})
		return err
	})
	if won[0] != 1 {
		return "asked for more than once"
	}
	_, token := w.post.take()
	list, err := w.List(ada, transfer.ListRequest{License: d.License.ID})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	q := list.Items[0].ID
	won = atOnce(t, 4, func() error {
		_, err := s.Accept(own(bob), transfer.TokenRequest{Token: token})
		return err
	}, func() error {
		_, err := s.Cancel(own(ada), transfer.CancelRequest{ID: q})
		return err
	})
	moved := w.owner(t, d.License.ID) == licensing.ActorFrom(bob).Owner
	switch state := w.state(t, q); {
	case won[0]+won[1] != 1:
		return "more than one step, or none, was told that it came true"
	case moved != (state == "done") || moved != (won[0] == 1):
		return "the license is not where the request says"
	}
	return ""
}

// naiveSteps takes steps as one would at first: the service looked at the state a moment ago, so it is written.
type naiveSteps struct {
	transfer.Store
	w *world
}

// Take implements [transfer.Store], wrongly.
func (n naiveSteps) Take(ctx context.Context, s transfer.Step) (bool, error) {
	_, err := n.w.DB.Exec(ctx, `UPDATE transfer_request SET state = $2, to_owner = CASE WHEN $3 = '' THEN to_owner ELSE $3 END, ended_at = $4, email = '' WHERE id = $1`, s.ID, s.To, s.Owner, s.At)
	return err == nil, err
}

// The race of steps finds a store that writes a state without asking whether it is still the one that was looked at.
func TestRaceOfStepsFindsLookThenWrite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(false))
		deps := w.Deps
		deps.Store = naiveSteps{deps.Store, w}
		s := transfer.New(deps)
		for i := range 100 {
			if w.stepRace(t, s, i) != "" {
				return
			}
		}
		t.Error("the race did not find it in 100 rounds")
	})
}

// A license changes hands exactly as often as its policy allows in a period, also when its owner's offer is accepted, many times, while staff
// transfer it elsewhere.
func TestRaceForTheLimit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(false))
		for i := range rounds {
			if moved, told := w.limitRace(t, w.licenses, i); moved != 2 || told != moved {
				t.Errorf("it changed hands %d times, which %d were told; want 2", moved, told)
			}
		}
	})
}

// patience bounds how often staff try again.
const patience = time.Minute

// limitRace accepts an offer while staff transfer the license, and counts how often it changed hands, and how many were told that it did.
func (w *world) limitRace(t *testing.T, l *license.Service, n int) (moved, told int) {
	t.Helper()
	name := fmt.Sprint("r", n, ".")
	ada, bob := w.person(t, name+"da@example.com", licensing.Customer), w.person(t, name+"ob@example.com", licensing.Customer)
	d := w.give(t, ada, "line/"+name+"/1")
	s := w.serve(l)
	if _, err := s.Ask(ada, transfer.AskRequest{ID: d.License.ID, Email: name + "ob@example.com"}); err != nil {
		t.Fatal(err)
	}
	_, token := w.post.take()
	calls := []func() error{func() error {
		_, err := s.Accept(own(bob), transfer.TokenRequest{Token: token})
		return err
	}}
	for _, who := range []string{"c", "d", "f"} {
		to := licensing.ActorFrom(w.person(t, name+who+"x@example.com", licensing.Customer)).ID
		calls = append(calls, func() error {
			for end := time.Now().Add(patience); ; {
				if _, err := l.Transferable(own(w.staff), d.License.ID); err != nil {
					return err
				}
				_, err := l.Transfer(own(w.staff), license.TransferRequest{ID: d.License.ID, To: to, Reason: "test"})
				if (errors.Is(err, license.ErrChanged) || errors.Is(err, license.ErrCollision)) && time.Now().Before(end) {
					continue
				}
				return err
			}
		})
	}
	for _, n := range atOnce(t, 3, calls...) {
		told += n
	}
	if err := w.DB.QueryRow(t.Context(), `SELECT count(*) FROM license_transfer WHERE license_id = $1`, d.License.ID).Scan(&moved); err != nil {
		t.Fatal(err)
	}
	return moved, told
}

// naiveLicenses saves what it computed from what it read, whatever happened to the row meanwhile; naiveTokens does so with its token; and
// uncounted trusts the count that was taken before.
type (
	naiveLicenses struct{ license.Store }
	naiveTokens   struct {
		license.Tokens
		licenses license.Store
	}
	uncounted struct{ license.Transfers }
)

// SaveLicense implements [license.Store], wrongly.
func (n naiveLicenses) SaveLicense(ctx context.Context, l license.License, _ int64) (bool, error) {
	now, err := n.LicenseByID(ctx, l.ID)
	if err != nil {
		return false, err
	}
	return n.Store.SaveLicense(ctx, l, now.Version)
}

// ReplaceToken implements [license.Tokens], wrongly.
func (n naiveTokens) ReplaceToken(ctx context.Context, _ string, t license.Token) (bool, error) {
	now, err := n.licenses.LicenseByID(ctx, t.LicenseID)
	if err != nil {
		return false, err
	}
	return n.Tokens.ReplaceToken(ctx, now.Token.JTI, t)
}

// AddTransfer implements [license.Transfers], wrongly.
func (n uncounted) AddTransfer(ctx context.Context, t license.Transferred, _ int64, _ time.Time) (bool, error) {
	return n.Transfers.AddTransfer(ctx, t, 0, t.At)
}

// The race for the limit finds a service that counts first and transfers afterwards.
func TestRaceForTheLimitFindsCountThenTransfer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(false))
		deps := w.deps
		deps.Store = naiveLicenses{deps.Store}
		deps.Tokens = naiveTokens{deps.Tokens, deps.Store}
		deps.Transfers = uncounted{deps.Transfers}
		l := license.New(deps)
		for i := range 100 {
			if moved, _ := w.limitRace(t, l, i); moved > 2 {
				return
			}
		}
		t.Error("the race did not find it in 100 rounds")
	})
}
