//go:build failpoint

package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/failpoint"
)

// used is how much was used: how many events, and the sum of their numbers.
type used struct{ events, sum int64 }

func (u used) plus(o used) used { return used{u.events + o.events, u.sum + o.sum} }

// reporter is a producer of usage. It makes up nothing new before what it sent last was acknowledged.
type reporter struct {
	name, carrier string
	make          func() (used, error)            // makes up what is to be sent
	send          func(ctx context.Context) error // sends it once; nil when it was acknowledged

	acknowledged, pending used
}

// try sends once what is to be sent.
func (r *reporter) try(ctx context.Context) (err error) {
	if r.pending == (used{}) {
		if r.pending, err = r.make(); err != nil {
			return err
		}
	}
	if err := r.send(ctx); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	r.acknowledged, r.pending = r.acknowledged.plus(r.pending), used{}
	return nil
}

// settle sends what was not acknowledged until it is.
func (r *reporter) settle(t *testing.T) {
	t.Helper()
	var last error
	if r.pending != (used{}) && !within(t, func() bool { last = r.try(t.Context()); return last == nil }) {
		t.Fatalf("never acknowledged: %v", last)
	}
}

// within tries 50 milliseconds apart until it works, for at most as long as a recovery may take and more.
func within(t *testing.T, ok func() bool) bool {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * recovery); time.Now().Before(end); <-tick.C {
		if ok() {
			return true
		}
	}
	return false
}

// fate is what may have become of a batch whose sender was not answered.
type fate int

const (
	either fate = iota
	lost
	kept
)

// judge compares what was counted with what was acknowledged: each acknowledged batch is counted exactly once, and what was sent
// without being acknowledged once or not at all. It returns what is wrong, or "".
func (r *reporter) judge(got used, f fate) string {
	whole := r.acknowledged.plus(r.pending)
	if got == r.acknowledged && f != kept || got == whole && f != lost {
		return ""
	}
	return fmt.Sprintf("%s: counted %+v; acknowledged %+v, on its way %+v", r.name, got, r.acknowledged, r.pending)
}

// step is where ingestion is killed: the first time a point is reached by what a reporter sends, which is then counted or not.
type step struct {
	by    *reporter
	point string
	fate  fate
}

// killing is a service that dies while reporters send usage.
type killing struct {
	*plant
	armed   string
	counted func(t *testing.T, carrier string) used
	report  func(n int64) error // of the product whose spool reports
}

// dies starts the service to be killed at a point once that is armed, which is what do has to do, and waits for its death. Whoever is not yet
// acknowledged sends again before.
func (k *killing) dies(t *testing.T, point string, before, do func()) {
	t.Helper()
	if k.running != nil {
		k.running.kill()
	}
	victim, err := k.start(t.Context(), failpoint.Variable+"="+point+"=kill@1", failpoint.WhenVariable+"="+k.armed)
	if err == nil {
		before()
		do()
		eventually(t, "the death at "+point, 3*recovery, func() bool {
			select {
			case <-victim.ended:
				return true
			default:
				return false
			}
		})
	}
	if victim != nil && !victim.killed() || victim == nil && !strings.Contains(err.Error(), "status -1") {
		t.Fatalf("%s did not kill the process: %v", point, err)
	}
}

func (k *killing) arm(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(k.armed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (k *killing) disarm(t *testing.T) {
	t.Helper()
	if err := os.Remove(k.armed); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// through has the service killed at each step in turn and returns what was wrong after it, before and after what was on its way was sent
// again.
func (k *killing) through(t *testing.T, steps []step) (wrong []string) {
	t.Helper()
	var last *step
	look := func(when string, f fate) {
		if fault := last.by.judge(k.counted(t, last.by.carrier), f); fault != "" {
			wrong = append(wrong, fmt.Sprintf("%s %s: %s", when, last.point, fault))
		}
	}
	settle := func() {
		if last == nil {
			return
		}
		look("killed at", last.fate)
		last.by.settle(t)
		look("sent again after", either)
	}
	for i := range steps {
		s := &steps[i]
		k.dies(t, s.point, settle, func() {
			k.arm(t)
			if err := s.by.try(t.Context()); err == nil {
				t.Errorf("%s was acknowledged though the process was to die at %s", s.by.name, s.point)
			}
		})
		k.disarm(t)
		last = s
	}
	if _, err := k.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle()
	return wrong
}

// post sends JSON with a credential.
func post(ctx context.Context, at, credential string, in, out any) error {
	status, text, err := fetch(ctx, http.MethodPost, at, http.Header{"Authorization": {"Bearer " + credential}}, in)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s answered %d %s", at, status, text)
	}
	return json.Unmarshal([]byte(text), out)
}

// batchReporter sends numbered batches as a back end does that has an API key.
func batchReporter(name, base, secret, carrier string) *reporter {
	nonce, batch := rand.Text(), sdk.UsageRequest{}
	return &reporter{name: name, carrier: carrier, make: func() (used, error) {
		batch.Seq++
		n := batch.Seq%4 + 1
		batch.Rows = []sdk.UsageRow{{Meter: "pages", At: time.Now().Truncate(15 * time.Minute).Unix(), Events: n, Sum: n * (n + 1) / 2, Max: n}}
		return used{n, batch.Rows[0].Sum}, nil
	}, send: func(ctx context.Context) error {
		if batch.Source == "" {
			var source sdk.SourceResponse
			if err := post(ctx, base+sdk.PathUsageSources, secret, sdk.SourceRequest{Nonce: nonce}, &source); err != nil {
				return err
			}
			batch.Source = source.Source
		}
		var answer sdk.UsageResponse
		if err := post(ctx, base+sdk.PathUsage, secret, batch, &answer); err != nil {
			return err
		}
		if answer.LastSeq != batch.Seq {
			return fmt.Errorf("batch %d was acknowledged as %d", batch.Seq, answer.LastSeq)
		}
		return nil
	}}
}

// eventReporter sends single events.
func eventReporter(name, base, secret, carrier string) *reporter {
	var events []map[string]any
	round := 0
	return &reporter{name: name, carrier: carrier, make: func() (u used, err error) {
		round++
		events = nil
		for n := range int64(round%4 + 1) {
			u = u.plus(used{1, n})
			events = append(events, map[string]any{"specversion": "1.0", "id": rand.Text(), "source": "/render", "type": "rendered", "data": map[string]any{"pages": n}})
		}
		return u, nil
	}, send: func(ctx context.Context) error {
		var answer struct{ Counted, Duplicates int }
		if err := post(ctx, base+"/v1/usage/events", secret, map[string]any{"events": events}, &answer); err != nil {
			return err
		}
		if answer.Counted+answer.Duplicates != len(events) {
			return fmt.Errorf("of %d events %+v were acknowledged", len(events), answer)
		}
		return nil
	}}
}

// F13, F14, INV5: killed at each step of counting usage that a product's spool and a back end's single events send: with the source made and
// nobody told, the request read, the source read, the source moved up, the events noted as seen, the sums added, before and after the commit,
// and with the answer made and not sent. What was acknowledged is counted exactly once, and what was not comes to be by being sent again.
// After that, killed with a part of a quota noted as told and nobody told, and with its owner told and that not looked past: told once.
func TestKill_F13_F14_EachStepOfIngestion(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			k := newKilling(t, newPlant(t, engine))
			license, key := k.shelf(t)
			spool := k.spoolReporter(t, license, 4)
			events := eventReporter("events", k.balancer.url, key.secret, key.id)
			steps := []step{ // a commit may be that of something else
				{spool, "usage-source-made", lost}, {events, "usage-source-made", lost},
				{spool, "request-read", lost}, {spool, "usage-source-read", lost}, {spool, "usage-source-row", lost}, {spool, "usage-batch-row", lost},
				{spool, "before-commit", either}, {spool, "after-commit", either}, {spool, "answer-made", kept},
				{events, "usage-event-row", lost}, {events, "usage-source-row", lost}, {events, "usage-batch-row", lost},
				{events, "after-commit", either}, {events, "answer-made", kept},
			}
			for _, fault := range k.through(t, steps) {
				t.Error(fault)
			}
			k.crosses(t, license.id, spool)
			k.verify(t)
		})
	}
}

// crosses has the owner told of half a quota while the service dies over it.
func (k *killing) crosses(t *testing.T, license string, by *reporter) {
	t.Helper()
	send := func() {
		k.arm(t)
		by.make = func() (used, error) { return used{1, quota / 2}, k.report(quota / 2) }
		_ = by.try(t.Context()) // it may die before it answers
	}
	k.dies(t, "usage-crossing-row", func() {}, send)
	if n := number(t, k.rows, `SELECT count(*) FROM usage_crossing`); n != 0 {
		t.Errorf("%d parts are noted as told by a process that was killed before it told anybody", n)
	}
	k.dies(t, "usage-watch", func() {}, func() {}) // armed from its beginning
	k.disarm(t)
	if _, err := k.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	by.settle(t)
	if fault := by.judge(k.counted(t, by.carrier), either); fault != "" {
		t.Error(fault)
	}
	began := time.Now()
	eventually(t, "usage was looked through again", 3*recovery, func() bool {
		return number(t, k.rows, `SELECT count(*) FROM usage_watch WHERE at > $1`, began) == 1
	})
	for what, sql := range map[string]string{
		"parts that were told of": `SELECT count(*) FROM usage_crossing WHERE license_id = $1 AND percent = 50`,
		"mails to the owner":      `SELECT count(*) FROM notice WHERE template = 'usage_threshold' AND subject LIKE $1 || '/%'`,
		"entries of the trail":    `SELECT count(*) FROM audit WHERE action = 'usage.threshold' AND target = $1`,
	} {
		if n := number(t, k.rows, sql, license); n != 1 {
			t.Errorf("%d %s, want 1", n, what)
		}
	}
}

// newKilling prepares a plant to be killed.
func newKilling(t *testing.T, p *plant) *killing {
	k := &killing{plant: p, armed: filepath.Join(shortDir(t), "armed")}
	k.counted = k.asks
	return k
}
