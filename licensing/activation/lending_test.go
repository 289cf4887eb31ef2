package activation_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What a device of the storm of borrowers asks for; lendLend and lendRecall are the owner's, for a device that says nothing.
const (
	lendAsk = iota
	lendBeat
	lendLeave
	lendReturn
	lendBorrow
	lendLend
	lendRecall
)

// lendStep is one request at an hour; until is the hour to which a seat is borrowed.
type lendStep struct{ what, device, now, until int }

// The storm of borrowers has fewer seats than devices. A round is longer than the shortest borrowing and shorter than a lease.
const (
	lendSeats   = 2
	lendDevices = 5
	lendRound   = 25
	lendLease   = 72 // hours of a lease, and of silence until a seat is free
)

// lentSeat is a seat that is held: the hour in which it is free without its device's doing, the last hour of any lease that may still be in
// use, that of the newest one, until when it is borrowed, 0 for not, and the hour of the last contact.
type lentSeat struct {
	held                            bool
	dies, end, newest, borrow, seen int
}

// lendState is a license whose seats are borrowed as one would specify it.
type lendState [lendDevices]lentSeat

// taken is how many seats are held, and how many of them by devices whose time is not over.
func (s *lendState) taken(now int) (held, alive int) {
	for _, d := range s {
		if d.held {
			held++
			if d.dies > now {
				alive++
			}
		}
	}
	return held, alive
}

// lease gives a seat its next lease, borrowed until an hour or, when that is past, not. shown says that the newest lease was presented, which
// puts all before it out of use.
func (d *lentSeat) lease(now, until int, shown bool) {
	d.borrow = until
	if until <= now {
		d.borrow = 0
	}
	next := now + lendLease
	if d.borrow > 0 {
		next = d.borrow
	}
	if shown {
		d.end = max(next, d.newest)
	} else {
		d.end = max(next, d.end)
	}
	d.dies, d.newest, d.seen = d.end, next, now
}

// next is the state after a request that got what it asked for, or did not; ok is false when that cannot be.
func (s lendState) next(in lendStep, got bool) (_ lendState, ok bool) {
	mine := &s[in.device]
	switch held, alive := s.taken(in.now); {
	case in.what == lendAsk && mine.held:
		mine.lease(in.now, mine.borrow, false)
		return s, got
	case in.what == lendAsk && got:
		*mine = lentSeat{held: true, dies: in.now + lendLease, end: in.now + lendLease, newest: in.now + lendLease, seen: in.now}
		return s, held < lendSeats
	case in.what == lendAsk: // dead seats are no reason to refuse
		return s, alive >= lendSeats
	case in.what == lendLeave:
		*mine = lentSeat{}
		return s, got
	case !mine.held:
		return s, !got
	case in.what == lendBeat:
		mine.lease(in.now, mine.borrow, true)
	case in.what == lendReturn:
		mine.lease(in.now, 0, true)
	case in.what == lendLend: // no contact, so silence goes on, and no lease
		mine.borrow, mine.dies = in.until, max(mine.end, in.until)
	case in.what == lendRecall:
		if mine.borrow > in.now {
			mine.borrow, mine.dies = 0, max(mine.end, mine.seen+lendLease)
		}
	default:
		mine.lease(in.now, in.until, true)
	}
	return s, got
}

var lendModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{lendState{}} },
	Step: func(state, input, output any) (out []any) {
		in, seen := input.(lendStep), map[lendState]bool{}
		faded := []lendState{state.(lendState)}
		for i, d := range faded[0] { // a seat whose time is over may go at any instant, and need not
			if d.held && d.dies <= in.now {
				for _, s := range faded[:len(faded):len(faded)] {
					s[i] = lentSeat{}
					faded = append(faded, s)
				}
			}
		}
		for _, s := range faded {
			if after, ok := s.next(in, output.(bool)); ok && !seen[after] {
				seen[after] = true
				out = append(out, after)
			}
		}
		return out
	},
}).ToModel()

// borrowers lets devices come, borrow, give back, renew, leave and fall silent at once through the replicas, while the owner lends seats and
// calls them back, for some rounds of a day and an hour, and returns what everybody was told. Time moves between rounds alone. A device that
// comes again has the activation that it had.
func (w *world) borrowers(t *testing.T, seed uint64, replicas []*replica) []porcupine.Operation {
	t.Helper()
	terms := floating(lendSeats)
	terms.ReviveWithin = 365 * license.Day
	d := w.issue(t, terms)
	begin := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	did := func(client int, in lendStep, do func() (bool, error)) {
		op := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(begin))}
		got, err := do()
		op.Output, op.Return = got, int64(time.Since(begin))
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		history = append(history, op)
	}
	leases := make([]string, lendDevices)
	var known [lendDevices]atomic.Pointer[string] // the activation of each device
	for round := range 10 {
		now := round * lendRound
		var wg sync.WaitGroup
		for i := range lendDevices {
			rnd := rand.New(rand.NewPCG(seed, uint64(round*100+i)))
			if rnd.IntN(2) == 0 { // silent, perhaps for rounds to come
				continue
			}
			wg.Go(func() {
				r := replicas[(i+round)%len(replicas)]
				for range 3 {
					in := lendStep{lendAsk, i, now, now + []int{24, 49, 70}[rnd.IntN(3)]}
					if leases[i] != "" {
						in.what = []int{lendAsk, lendBeat, lendLeave, lendReturn, lendBorrow, lendBorrow, lendBorrow}[rnd.IntN(7)]
					}
					did(i, in, func() (bool, error) {
						lease, err := w.lends(t.Context(), r, in, d.Key, leases[i])
						leases[i] = lease
						return in.what == lendLeave || lease != "", err
					})
					if leases[i] != "" {
						known[i].Store(&w.lease(t, leases[i]).Activation)
					}
				}
			})
		}
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(round*100+lendDevices)))
			for range 3 {
				in := lendStep{lendLend + rnd.IntN(2), rnd.IntN(lendDevices), now, now + []int{24, 49, 70}[rnd.IntN(3)]}
				if id := known[in.device].Load(); id != nil {
					did(lendDevices, in, func() (bool, error) { return replicas[round%len(replicas)].afar(t.Context(), in, *id) })
				}
			}
		})
		wg.Wait()
		w.Clock.Advance(lendRound * time.Hour)
	}
	return history
}

// lends is a device's request; it returns the lease that the device has afterwards, "" for none.
func (w *world) lends(ctx context.Context, r *replica, in lendStep, key, lease string) (string, error) {
	at := *w
	at.replica = r
	var out sdk.HeartbeatResponse
	var err error
	switch in.what {
	case lendAsk:
		var got sdk.ActivateResponse
		got, err = r.activate(ctx, key, device(in.device))
		out.Lease = got.Lease
	case lendBeat:
		out, err = r.beat(ctx, lease)
	case lendBorrow:
		out, err = at.borrow(ctx, lease, time.Duration(in.until-in.now)*time.Hour)
	case lendReturn:
		out, err = at.giveBack(ctx, lease)
	case lendLeave:
		_, err = r.leave(ctx, lease)
	}
	if errors.Is(err, activation.ErrSeats) || errors.Is(err, activation.ErrReleased) {
		return "", nil
	}
	return out.Lease, err
}

// afar lends the seat of an activation or calls it back, as its owner, and reports whether the activation has one.
func (r *replica) afar(ctx context.Context, in lendStep, id string) (bool, error) {
	ctx = owner(ctx, "cus_ada")
	var err error
	if in.what == lendLend {
		_, err = r.Lend(ctx, activation.LendRequest{ID: id, Until: r.deps.Clock.Now().Add(time.Duration(in.until-in.now) * time.Hour)})
	} else {
		_, err = r.Recall(ctx, activation.RecallRequest{ID: id})
	}
	if errors.Is(err, activation.ErrReleased) {
		return false, nil
	}
	return err == nil, err
}

// What devices are told while they borrow seats, give them back, come and fall silent at once, through two replicas, and while their owner lends
// seats and calls them back, is what some one order of their requests would have told them: a borrowed seat is nobody else's before its date, or before the end of a lease that may still be
// in use, and is no reason to refuse anybody afterwards.
func TestS03_BorrowingIsLinearizable(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		for seed := range storetest.Soak(uint64(3), 300) {
			history := w.borrowers(t, seed, w.replicas)
			if got := porcupine.CheckOperationsTimeout(lendModel, history, time.Minute); got != porcupine.Ok {
				t.Fatalf("seed %d: the history of %d requests is %s", seed, len(history), got)
			}
		}
	})
}

// hasty lends as one would at first: the seat is free at the date, whatever lease the device had before.
type hasty struct {
	activation.Store
	db db.DB
}

// Renew implements [activation.Store], wrongly.
func (h hasty) Renew(ctx context.Context, r activation.Renewal) (int64, error) {
	if err := lockFirst(ctx, h.db, r.ID); err != nil {
		return 0, err
	}
	seq, err := h.Store.Renew(ctx, r)
	if err == nil && seq > 0 {
		_, err = h.db.Exec(ctx, `UPDATE activation SET lease_until = $2, dies_at = $3 WHERE id = $1`, r.ID, r.LeaseUntil, r.DiesAt)
	}
	return seq, err
}

// lockFirst locks the license of an activation. A row that its own transaction has changed has its foreign key checked when it is changed once
// more, and that waits for whoever holds the license and wants the row.
func lockFirst(ctx context.Context, d db.DB, activation string) error {
	_, err := d.Exec(ctx, `SELECT id FROM license WHERE id = (SELECT license_id FROM activation WHERE id = $1) FOR UPDATE`, activation)
	return err
}

// rash lends from afar as one would at first: the seat is free at the date, whatever lease the device has, and calling it back begins its silence
// anew.
type rash struct {
	activation.Lender
	db    db.DB
	clock licensing.Clock
}

// Lend implements [activation.Lender], wrongly.
func (r rash) Lend(ctx context.Context, l activation.Loan) (bool, error) {
	if err := lockFirst(ctx, r.db, l.ID); err != nil {
		return false, err
	}
	lent, err := r.Lender.Lend(ctx, l)
	if l.Borrowed.IsZero() {
		l.DiesAt = r.clock.Now().Add(lendLease * time.Hour)
	}
	if err == nil && lent {
		_, err = r.db.Exec(ctx, `UPDATE activation SET dies_at = $2 WHERE id = $1`, l.ID, l.DiesAt)
	}
	return lent, err
}

// The storm finds a store that frees a borrowed seat at its date while an earlier lease of it still runs, when the device borrows it and
// when its owner lends it.
func TestS03_StormFindsForgottenLease(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		for name, plant := range map[string]func(d *activation.Deps){
			"hasty": func(d *activation.Deps) { d.Store = hasty{d.Store, e.DB} },
			"rash":  func(d *activation.Deps) { d.Lends = rash{d.Lends, e.DB, d.Clock} },
		} {
			good := newReplica(t, e, e.DB)
			w := &world{Env: e, replica: good, replicas: []*replica{good}}
			bad, found := *good, false
			plant(&bad.deps)
			bad.Service = activation.New(bad.deps)
			for seed := uint64(0); seed < 20 && !found; seed++ {
				found = porcupine.CheckOperationsTimeout(lendModel, w.borrowers(t, seed, []*replica{&bad}), time.Minute) == porcupine.Illegal
			}
			if !found {
				t.Errorf("the storm did not find it in 20 storms of %s", name)
			}
		}
	})
}
