package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// gate is a [bulk.Joint] that lets the first transaction go only when it is told to, so that those who come meanwhile gather.
type gate struct {
	bulk.Joint
	first   chan struct{} // closed when the first has come
	open    chan struct{}
	once    sync.Once
	mu      sync.Mutex
	batches []int
}

func newGate(j bulk.Joint) *gate {
	return &gate{Joint: j, first: make(chan struct{}), open: make(chan struct{})}
}

// InTxFor implements [bulk.Joint].
func (g *gate) InTxFor(ctx context.Context, calls []*licensing.Call, fn func(context.Context) error) error {
	g.once.Do(func() {
		close(g.first)
		select {
		case <-g.open:
		case <-ctx.Done(): // the test is over
		case <-time.After(patience):
		}
	})
	g.mu.Lock()
	g.batches = append(g.batches, len(calls))
	g.mu.Unlock()
	return g.Joint.InTxFor(ctx, calls, fn)
}

// patience bounds every wait of these tests.
const patience = time.Minute

// come waits for the first transaction.
func (g *gate) come(t *testing.T) {
	t.Helper()
	select {
	case <-g.first:
	case <-time.After(patience):
		t.Fatal("no transaction begins")
	}
}

// together is a crowd of callers who ask while the only lane is taken.
type together struct {
	*world
	requests []bulk.IssueRequest
	calls    []*licensing.Call
	out      []bulk.IssueResponse
	errs     []error
	gate     *gate
}

// ask adds a caller.
func (c *together) ask(key string, change func(r *bulk.IssueRequest)) int {
	r := bulk.IssueRequest{From: c.from(), Whom: bulk.Whom{Owner: reseller}}
	r.Reason = fmt.Sprint("reason ", len(c.requests))
	if change != nil {
		change(&r)
	}
	c.requests = append(c.requests, r)
	n := len(c.calls)
	c.calls = append(c.calls, &licensing.Call{Operation: "license.issue", Mutating: true, RequestID: fmt.Sprint("req_", n), IdempotencyKey: key, RequestHash: []byte("hash of " + key),
		Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleAdmin}})
	return n
}

// run has all of them ask, the first one alone and the rest while he is held up.
func (c *together) run(t *testing.T, joint bulk.Joint, alone licensing.Transactor) {
	t.Helper()
	c.gate = newGate(joint)
	c.Service.Joint, c.Service.Tx, c.Service.Small = c.gate, alone, true // one lane
	c.out, c.errs = make([]bulk.IssueResponse, len(c.calls)), make([]error, len(c.calls))
	var wg sync.WaitGroup
	for i := range c.calls {
		wg.Go(func() { c.out[i], c.errs[i] = c.IssueOne(licensing.WithCall(t.Context(), c.calls[i]), c.requests[i]) })
		if i == 0 {
			c.gate.come(t)
		}
	}
	until(t, func() bool { return c.Service.Waiting() == len(c.calls)-1 })
	close(c.gate.open)
	wg.Wait()
}

// crowd is who is in whose way: those who ask alike, for the same reference, with the same Idempotency-Key, for nobody, and with a text that no
// engine takes, if somebody does.
type crowd struct {
	alike, reference, key []int
	nobody, broken        int
}

func crowded(w *world, others, broken bool) (c *together, who crowd) {
	c, who = &together{world: w}, crowd{nobody: -1, broken: -1}
	for i := range 20 {
		who.alike = append(who.alike, c.ask(fmt.Sprint("key ", i), nil))
	}
	if !others {
		return c, who
	}
	for range 6 {
		who.reference = append(who.reference, c.ask("", func(r *bulk.IssueRequest) { r.Reference = "order 1" }))
	}
	for range 6 {
		who.key = append(who.key, c.ask("same key", nil))
	}
	who.nobody = c.ask("", func(r *bulk.IssueRequest) { r.Owner = "cus_00000000000070008000000000000009" })
	if broken {
		who.broken = c.ask("", func(r *bulk.IssueRequest) { r.Reference = "a\x00b" })
	}
	return c, who
}

// fault says what of a crowd is not as if each had been alone; nil when all is well.
func (c *together) fault(t *testing.T, who crowd) error {
	t.Helper()
	for _, i := range who.alike {
		if c.errs[i] != nil || c.out[i].Key == "" || c.out[i].Existing || !c.calls[i].KeyKept {
			return fmt.Errorf("caller %d got %+v, %v", i, c.out[i], c.errs[i])
		}
		holder, err := c.licenses.ByCredential(t.Context(), c.out[i].Key)
		if err != nil || holder.License != c.out[i].ID {
			return fmt.Errorf("the key of caller %d finds %+v, %v", i, holder, err)
		}
		var request, reason string
		if err := c.DB.QueryRow(t.Context(), `SELECT request, reason FROM audit WHERE action = 'license.issue' AND target = $1`, c.out[i].ID).Scan(&request, &reason); err != nil ||
			request != c.calls[i].RequestID || reason != c.requests[i].Reason {
			return fmt.Errorf("the trail of caller %d says %q %q, %v", i, request, reason, err)
		}
		_, id, secret, found, err := c.sealed().Find(t.Context(), "staff:cus_staff", "license.issue", c.calls[i].IdempotencyKey)
		if err != nil || !found || id != c.out[i].ID || secret != c.out[i].Key {
			return fmt.Errorf("the key of caller %d led to %q, %q, %v", i, id, secret, err)
		}
	}
	made := 0
	for _, i := range who.reference {
		if c.errs[i] != nil || c.out[i].ID != c.out[who.reference[0]].ID || c.out[i].Existing != (c.out[i].Key == "") {
			return fmt.Errorf("caller %d of the reference got %+v, %v", i, c.out[i], c.errs[i])
		}
		if !c.out[i].Existing {
			made++
		}
	}
	once := 0
	for _, i := range who.key {
		if c.errs[i] == nil {
			once++
		} else if !errors.Is(c.errs[i], licensing.ErrIdempotent) {
			return fmt.Errorf("caller %d of the same key: %v", i, c.errs[i])
		}
	}
	if made > 1 || once > 1 || made+once < len(who.reference)/6+len(who.key)/6 {
		return fmt.Errorf("%d licenses for one reference, %d for one Idempotency-Key", made, once)
	}
	var e *licensing.Error
	if who.nobody >= 0 && (!errors.As(c.errs[who.nobody], &e) || e.Code != "no-such-owner") || who.broken >= 0 && c.errs[who.broken] == nil {
		return fmt.Errorf("for nobody or with a broken text: %v", c.errs[who.nobody:])
	}
	want := int64(len(who.alike) + made + once)
	for _, table := range []string{`license`, `license_token WHERE current`, `audit WHERE action = 'license.issue'`} {
		if n := c.number(t, `SELECT count(*) FROM `+table); n != want {
			return fmt.Errorf("%d of %s, want %d", n, table, want)
		}
	}
	if n := c.number(t, `SELECT count(*) FROM change WHERE kind = 'license'`); n == 0 || n > want { // one tells of all that were made together
		return fmt.Errorf("the feed tells %d times of %d licenses", n, want)
	}
	return nil
}

// Licenses that are asked for at the same time share transactions, and nobody notices: each caller has his own license, audit row and
// Idempotency-Key; a reference and a key lead to one license; who asks for something impossible fails alone.
func TestIssue_TogetherAsIfAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		c, who := crowded(w, false, false)
		c.run(t, w.sealed(), nil) // nobody has a transaction of his own
		if err := c.fault(t, who); err != nil {
			t.Error(err)
		}
		if !slices.Equal(c.gate.batches, []int{1, len(who.alike) - 1}) {
			t.Errorf("transactions of %v licenses", c.gate.batches)
		}
		w.sound(t)
	})
}

// Callers who are in each other's way, or ask for what cannot be stored, get what each would have got alone.
func TestIssue_TogetherInEachOthersWay(t *testing.T) {
	t.Parallel()
	for _, broken := range []bool{false, true} {
		t.Run(fmt.Sprint("broken-", broken), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, e storetest.Env) {
				w := newWorld(t, e)
				c, who := crowded(w, true, broken)
				c.run(t, w.sealed(), w.sealed())
				if err := c.fault(t, who); err != nil {
					t.Error(err)
				}
				w.sound(t)
			})
		})
	}
}

// forgetful is a transaction for several calls that does not keep their Idempotency-Keys.
type forgetful struct{ *store.Store }

// InTxFor implements [bulk.Joint].
func (f forgetful) InTxFor(ctx context.Context, calls []*licensing.Call, fn func(context.Context) error) error {
	err := f.Store.InTx(ctx, fn)
	for _, call := range calls {
		call.KeyKept = err == nil
	}
	return err
}

// The test above finds a transaction that forgets the calls it is for.
func TestIssue_PlantedForgetfulTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	c, who := crowded(w, true, false)
	c.run(t, forgetful{w.sealed()}, w.sealed())
	if c.fault(t, who) == nil {
		t.Error("a transaction that keeps no Idempotency-Key was not found out")
	}
}

// torn is a transaction that is undone at its very end, as by a power failure, so that nobody can say what became of it.
type torn struct{ *store.Store }

var errTorn = errors.New("torn")

// InTxFor implements [bulk.Joint].
func (s torn) InTxFor(ctx context.Context, calls []*licensing.Call, fn func(context.Context) error) error {
	return s.Store.InTx(ctx, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			return err
		}
		return errTorn
	})
}

// No license is acknowledged before it is durable: when the commit fails, every caller learns of it and has nothing.
func TestIssue_TogetherNothingBeforeTheCommit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		c := &together{world: w}
		for range 12 {
			c.ask("", nil)
		}
		c.run(t, torn{w.sealed()}, nil)
		for i, err := range c.errs {
			if !errors.Is(err, errTorn) || c.out[i].Key != "" {
				t.Errorf("caller %d got %+v, %v", i, c.out[i], err)
			}
		}
		if n := w.number(t, `SELECT count(*) FROM license`); n != 0 {
			t.Errorf("%d licenses", n)
		}
	})
}

// A caller who gives up while he waits gets no license, and the others get theirs.
func TestIssue_TogetherGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	g := newGate(w.sealed())
	w.Service.Joint, w.Service.Small = g, true
	ask := func(ctx context.Context) error {
		_, err := w.IssueOne(w.as(licensing.Actor{Kind: licensing.Staff, ID: "cus_staff"}, ctx), bulk.IssueRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}})
		return err
	}
	var wg sync.WaitGroup
	stay := func() {
		wg.Go(func() {
			if err := ask(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	stay()
	g.come(t)
	stay()
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if err := ask(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
	})
	until(t, func() bool { return w.Service.Waiting() == 2 })
	cancel()
	until(t, func() bool { return w.Service.Waiting() == 1 })
	close(g.open)
	wg.Wait()
	if n := w.number(t, `SELECT count(*) FROM license`); n != 2 {
		t.Errorf("%d licenses", n)
	}
}

// A license whose place in a status list somebody else took meanwhile, also while it was stored alone, is made anew and stored with others.
func TestIssue_PlaceTaken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		w.licenses.Many, w.licenses.Store = &takenMany{ManyStore: w.licenses.Many}, &taken{Store: w.licenses.Store}
		out, err := w.IssueOne(w.ctx, bulk.IssueRequest{From: w.from(), Whom: bulk.Whom{Owner: reseller}})
		if err != nil || out.Key == "" || w.number(t, `SELECT count(*) FROM license`) != 1 {
			t.Errorf("%+v, %v", out, err)
		}
		w.sound(t)
	})
}

// takenMany and taken have the first license's place taken.
type takenMany struct {
	license.ManyStore
	once sync.Once
}

// AddLicenses implements [license.ManyStore].
func (s *takenMany) AddLicenses(ctx context.Context, ls []license.License) (err error) {
	s.once.Do(func() { err = license.ErrCollision })
	if err != nil {
		return err
	}
	return s.ManyStore.AddLicenses(ctx, ls)
}

type taken struct {
	license.Store
	once sync.Once
}

// AddLicense implements [license.Store].
func (s *taken) AddLicense(ctx context.Context, l license.License) (added bool, err error) {
	s.once.Do(func() { err = license.ErrCollision })
	if err != nil {
		return false, err
	}
	return s.Store.AddLicense(ctx, l)
}

// until waits for a condition.
func until(t *testing.T, met func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !met(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing comes of it")
		}
	}
}

// sealed is the database's store with the master key, as the service has it.
func (w *world) sealed() *store.Store { return w.Env.Store.WithSeal(w.seal) }
