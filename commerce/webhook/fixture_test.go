package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	signed "github.com/mintreu/mintreu/sdk/webhook"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// message is one that arrived.
type message struct {
	url  string
	id   string
	h    http.Header
	body string
	at   time.Time
}

// receivers stands in for the network: what is sent arrives at answer, which a test may change.
type receivers struct {
	mu     sync.Mutex
	got    []message
	answer func(m message) (webhook.Answer, error)
	clock  *storetest.Clock
}

func (r *receivers) Send(_ context.Context, url string, h http.Header, body []byte) (webhook.Answer, error) {
	m := message{url, h.Get(signed.HeaderID), h, string(body), r.clock.Now()}
	r.mu.Lock()
	r.got = append(r.got, m)
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		return answer(m)
	}
	return webhook.Answer{Status: 204}, nil
}

func (r *receivers) to(f func(m message) (webhook.Answer, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// take returns what arrived since the last time.
func (r *receivers) take() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func status(n int) func(message) (webhook.Answer, error) {
	return func(message) (webhook.Answer, error) { return webhook.Answer{Status: n}, nil }
}

// queue is the outbox; each job is kept until work does it.
type queue struct {
	mu   sync.Mutex
	jobs map[string]licensing.Job
}

func (q *queue) Enqueue(_ context.Context, j licensing.Job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs[j.Kind+" "+j.Unique] = j
	return nil
}

// take returns the jobs that are due, and drops them.
func (q *queue) take(now time.Time) (due []licensing.Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for key, j := range q.jobs {
		if !j.At.After(now) {
			due = append(due, j)
			delete(q.jobs, key)
		}
	}
	return due
}

// bell keeps whom the staff were told of.
type bell struct{ told []webhook.Endpoint }

func (b *bell) EndpointDisabled(_ context.Context, e webhook.Endpoint, _ time.Time) error {
	b.told = append(b.told, e)
	return nil
}

// world is the service over a real database.
type world struct {
	storetest.Env
	*webhook.Service
	net       *receivers
	queue     *queue
	bell      *bell
	killed    *storetest.Switches
	trail     *audit.Recorder
	sequencer *audit.Sequencer
	staff     context.Context
}

func newWorld(t testing.TB, e storetest.Env) *world {
	t.Helper()
	w := &world{Env: e, net: &receivers{clock: e.Clock}, queue: &queue{jobs: map[string]licensing.Job{}}, bell: new(bell), killed: new(storetest.Switches)}
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.trail = audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	if w.sequencer, err = audit.NewSequencer(t.Context(), audit.SequencerDeps{Tx: e.Store, Log: e.Store.Audit(), Settings: e.Store, Seal: key, Clock: e.Clock.Now}); err != nil {
		t.Fatal(err)
	}
	st := e.Store.Webhooks()
	w.Service = webhook.New(webhook.Deps{Endpoints: st, Deliveries: st, Repeats: st, Claims: st, Trail: st, Sender: w.net, Notices: w.bell, Seal: key, Clock: e.Clock.Now, IDs: e.IDs,
		Tx: e.Store, Audit: w.trail, Jobs: w.queue, Switches: w.killed})
	w.staff = licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Actor: licensing.Actor{Kind: licensing.Staff, ID: e.IDs.New("cus"), Role: licensing.RoleOwner}})
	return w
}

// endpoint makes one, and returns its id and secret.
func (w *world) endpoint(t testing.TB, types ...string) (id, secret string) {
	t.Helper()
	out, err := w.Create(w.staff, webhook.CreateRequest{URL: fmt.Sprintf("https://hooks.example.com/%s", w.IDs.New("x")), Types: types})
	if err != nil {
		t.Fatal(err)
	}
	return out.Endpoint.ID, out.Secret
}

// happens writes a change into the trail, as whatever changed something does.
func (w *world) happens(t testing.TB, action, target string, detail map[string]any) {
	t.Helper()
	if err := w.Store.InTx(w.staff, func(ctx context.Context) error {
		return w.trail.Record(ctx, licensing.Event{Action: action, Target: target, Detail: detail})
	}); err != nil {
		t.Fatal(err)
	}
}

// relayed numbers the trail and makes its events.
func (w *world) relayed(t testing.TB) int {
	t.Helper()
	if _, err := w.sequencer.Sequence(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := w.Relay(licensing.AsSystem(t.Context(), "relay"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// work does the jobs that are due until there are none, and returns what arrived.
func (w *world) work(t testing.TB) []message {
	t.Helper()
	for {
		due := w.queue.take(w.Clock.Now())
		if len(due) == 0 {
			return w.net.take()
		}
		for _, j := range due {
			handle := w.Handle
			if j.Kind == webhook.JobProbe {
				handle = w.Probe
			}
			args, err := json.Marshal(j.Args)
			if err == nil {
				err = handle(licensing.AsSystem(t.Context(), j.Kind), args)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (w *world) deliveries(t testing.TB, state webhook.State) []webhook.DeliveryView {
	t.Helper()
	list, err := w.ListDeliveries(w.staff, webhook.DeliveriesRequest{State: state, Page: licensing.Page{Limit: 100}})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}
