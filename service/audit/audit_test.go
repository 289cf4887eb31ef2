package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// blobs is a blob store in memory.
type blobs struct {
	mu sync.Mutex
	m  map[string]string
}

func (b *blobs) Put(_ context.Context, name string, content []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.m[name] = string(content)
	return nil
}

type rig struct {
	storetest.Env
	recorder  *audit.Recorder
	sequencer *audit.Sequencer
	blobs     *blobs
}

func newRig(t *testing.T, e storetest.Env) *rig {
	t.Helper()
	key, err := seal.New(make([]byte, seal.Size))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Env: e, blobs: &blobs{m: map[string]string{}}}
	r.recorder = audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	r.sequencer, err = audit.NewSequencer(t.Context(), audit.SequencerDeps{
		Tx: e.Store, Log: e.Store.Audit(), Settings: e.Store, Seal: key, Blobs: r.blobs, Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) record(t *testing.T, n int) {
	t.Helper()
	for range n {
		err := r.Store.InTx(t.Context(), func(ctx context.Context) error {
			return r.recorder.Record(ctx, licensing.Event{Action: "thing.change", Target: r.IDs.New("thg"), Detail: map[string]any{"n": n}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (r *rig) sequence(t *testing.T) int {
	t.Helper()
	n, err := r.sequencer.Sequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (r *rig) verify(t *testing.T, anchors ...string) audit.Report {
	t.Helper()
	report, err := audit.Verify(t.Context(), r.Store.Audit(), r.sequencer.VerifierKey(), anchors...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (r *rig) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := r.DB.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// tamper does what an intruder with the database's own rights can: it takes the triggers away first.
func (r *rig) tamper(t *testing.T) {
	t.Helper()
	for _, table := range []string{"audit", "audit_seq", "audit_hash", "audit_checkpoint"} {
		if r.DB.Engine() == db.Postgres {
			r.exec(t, "ALTER TABLE "+table+" DISABLE TRIGGER ALL")
			continue
		}
		for _, on := range []string{"_no_update", "_no_delete", "_no_replace"} {
			r.exec(t, "DROP TRIGGER "+table+on)
		}
	}
	if r.DB.Engine() == db.Postgres {
		r.exec(t, "ALTER TABLE audit_seq DROP CONSTRAINT audit_seq_audit_id_fkey")
	}
}

func (r *rig) idAt(t *testing.T, num int64) (id string) {
	t.Helper()
	if err := r.DB.QueryRow(t.Context(), `SELECT audit_id FROM audit_seq WHERE num = $1`, num).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// A row commits and vanishes with the change it tells of, also in a nested transaction, and cannot be written outside one.
func TestM07_AuditRowInTheTransactionOfItsChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		event := licensing.Event{Action: "thing.change", Target: "thg_1"}
		stop := errors.New("stop")
		if err := e.Store.InTx(t.Context(), func(ctx context.Context) error {
			return errors.Join(r.recorder.Record(ctx, event), e.Store.PutSetting(ctx, "a", []byte("1")), stop)
		}); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		if _, err := e.Store.Setting(t.Context(), "a"); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("the change stayed: %v", err)
		}
		if n := r.sequence(t); n != 0 {
			t.Errorf("%d rows of a change that was rolled back", n)
		}
		if err := r.recorder.Record(t.Context(), event); err == nil {
			t.Error("a row was written outside a transaction")
		}
		mutating := licensing.WithCall(t.Context(), &licensing.Call{Operation: "thing.change", Mutating: true})
		err := e.Store.InTx(mutating, func(ctx context.Context) error {
			_ = e.Store.InTx(ctx, func(ctx context.Context) error { return errors.Join(r.recorder.Record(ctx, event), stop) })
			return e.Store.PutSetting(ctx, "a", []byte("1"))
		})
		if err == nil {
			t.Error("a mutating operation committed although its only audit row was undone")
		}
		if err := e.Store.InTx(mutating, func(ctx context.Context) error { return e.Store.PutSetting(ctx, "a", []byte("1")) }); err == nil {
			t.Error("a mutating operation committed without an audit row")
		}
		if _, err := e.Store.Setting(t.Context(), "a"); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("the unaudited change stayed: %v", err)
		}
		if err := e.Store.InTx(mutating, func(ctx context.Context) error {
			return errors.Join(r.recorder.Record(ctx, event), e.Store.PutSetting(ctx, "a", []byte("1")))
		}); err != nil {
			t.Error(err)
		}
	})
}

// Rows get numbers without gaps whoever numbers them, each head is signed and copied outside, and an honest trail verifies
// at every size, also while rows wait.
func TestM08_HonestTrailVerifies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		other := newRig(t, e)
		other.blobs = r.blobs
		total := 0
		for _, n := range []int{1, 1, 2, 3, 7, 1} {
			r.record(t, n)
			total += n
			var wg sync.WaitGroup
			for _, s := range []*rig{r, other} {
				wg.Go(func() {
					if _, err := s.sequencer.Sequence(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		r.record(t, 2)
		if r.sequencer.VerifierKey() != other.sequencer.VerifierKey() {
			t.Fatal("two processes sign with two keys")
		}
		report := r.verify(t, r.blobs.m["audit/checkpoint"])
		if len(report.Faults) > 0 || report.Size != int64(total) || report.Waiting != 2 || report.Checkpoints < 6 {
			t.Errorf("report %+v", report)
		}
	})
}

// growing is a reader whose trail grows before each read, as that of a live service may.
type growing struct {
	audit.Reader
	grow func()
}

func (g growing) Head(ctx context.Context) (int64, error) {
	defer g.grow()
	return g.Reader.Head(ctx)
}

func (g growing) PlacedAfter(ctx context.Context, num int64, limit int) ([]audit.Placed, error) {
	g.grow()
	return g.Reader.PlacedAfter(ctx, num, limit)
}

func (g growing) CheckpointsAfter(ctx context.Context, size int64, limit int) ([]audit.Checkpoint, error) {
	g.grow()
	return g.Reader.CheckpointsAfter(ctx, size, limit)
}

func (g growing) WaitingRows(ctx context.Context, limit int) ([]audit.Row, error) {
	g.grow()
	return g.Reader.WaitingRows(ctx, limit)
}

// An honest trail verifies while rows are written, numbered and signed between the reads of the verification.
func TestM08_HonestTrailVerifiesWhileItGrows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		grow := func() {
			r.record(t, 2)
			r.sequence(t)
			r.record(t, 1)
		}
		grow()
		report, err := audit.Verify(t.Context(), growing{r.Store.Audit(), grow}, r.sequencer.VerifierKey(), r.blobs.m["audit/checkpoint"])
		if err != nil || len(report.Faults) > 0 || report.Size != 2 || report.Waiting != 1 {
			t.Errorf("report %+v: %v", report, err)
		}
	})
}

// Neither engine lets a row of the trail be updated, deleted, replaced or truncated.
func TestM08_R12_TriggersRefuseChanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.record(t, 3)
		r.sequence(t)
		statements := []string{
			`UPDATE audit SET reason = 'x'`, `DELETE FROM audit`, `UPDATE audit_seq SET num = num + 10`, `DELETE FROM audit_seq`,
			`UPDATE audit_hash SET hash = hash`, `DELETE FROM audit_hash`, `UPDATE audit_checkpoint SET note = ''`, `DELETE FROM audit_checkpoint`,
		}
		if e.DB.Engine() == db.Postgres {
			statements = append(statements, `TRUNCATE audit CASCADE`, `TRUNCATE audit_seq`, `TRUNCATE audit_hash`, `TRUNCATE audit_checkpoint`)
		} else {
			statements = append(statements, `INSERT OR REPLACE INTO audit SELECT id, at, actor, request, operation, action, 'x', product, reason, detail, leaf FROM audit`,
				`INSERT OR REPLACE INTO audit_hash SELECT idx, 'x' FROM audit_hash`, `INSERT OR REPLACE INTO audit_seq (num, audit_id) SELECT num + 100, audit_id FROM audit_seq`)
		}
		for _, s := range statements {
			if _, err := e.DB.Exec(t.Context(), s); !errors.Is(err, db.ErrImmutable) {
				t.Errorf("%s: %v", s, err)
			}
		}
		if report := r.verify(t); len(report.Faults) > 0 || report.Size != 3 {
			t.Errorf("report %+v", report)
		}
	})
}

// Whoever gets around the triggers is found out: the verification names the row that was altered, removed, or moved, a tail cut
// off together with its hashes and heads disagrees with the copy kept outside, and a forged head is not signed.
func TestM08_TamperingIsNamed(t *testing.T) {
	cases := map[string]struct {
		do   func(t *testing.T, r *rig)
		num  int64
		what string
	}{
		"altered": {func(t *testing.T, r *rig) {
			r.exec(t, `UPDATE audit SET reason = 'better' WHERE id = $1`, r.idAt(t, 4))
		}, 4, "altered"},
		"altered in time": {func(t *testing.T, r *rig) {
			r.exec(t, `UPDATE audit SET at = $2 WHERE id = $1`, r.idAt(t, 4), r.Clock.Now().Add(1e6))
		}, 4, "altered"},
		"removed":        {func(t *testing.T, r *rig) { r.exec(t, `DELETE FROM audit WHERE id = $1`, r.idAt(t, 6)) }, 6, "gone"},
		"hash removed":   {func(t *testing.T, r *rig) { r.exec(t, `DELETE FROM audit_hash WHERE idx = 0`) }, 0, "hashes"},
		"number removed": {func(t *testing.T, r *rig) { r.exec(t, `DELETE FROM audit_seq WHERE num = 3`) }, 3, "numbers 3 to 3 are gone"},
		"moved": {func(t *testing.T, r *rig) {
			a, b := r.idAt(t, 2), r.idAt(t, 5)
			r.exec(t, `UPDATE audit_seq SET audit_id = 'x' WHERE num = 2`)
			r.exec(t, `UPDATE audit_seq SET audit_id = $1 WHERE num = 5`, a)
			r.exec(t, `UPDATE audit_seq SET audit_id = $1 WHERE num = 2`, b)
		}, 2, "moved"},
		"tail with all its traces": {func(t *testing.T, r *rig) {
			for _, s := range []string{`DELETE FROM audit_checkpoint WHERE size > 5`, `DELETE FROM audit WHERE id IN (SELECT audit_id FROM audit_seq WHERE num >= 5)`,
				`DELETE FROM audit_seq WHERE num >= 5`, `UPDATE audit_head SET size = 5`} {
				r.exec(t, s)
			}
		}, 5, "the anchor has seen 9 rows"},
		"tail of the log": {func(t *testing.T, r *rig) {
			r.exec(t, `DELETE FROM audit_seq WHERE num >= 5`)
			r.exec(t, `UPDATE audit_head SET size = 5`)
		}, 5, "tail"},
		"forged head": {func(t *testing.T, r *rig) { r.exec(t, `UPDATE audit_checkpoint SET note = 'x' WHERE size = 9`) }, 8, "not signed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, e storetest.Env) {
				r := newRig(t, e)
				if r.DB.Engine() == db.SQLite {
					r.exec(t, `PRAGMA foreign_keys = OFF`)
				}
				for range 9 {
					r.record(t, 1)
					r.sequence(t)
				}
				r.tamper(t)
				row := r.idAt(t, c.num%9)
				c.do(t, r)
				report := r.verify(t, r.blobs.m["audit/checkpoint"])
				for _, f := range report.Faults {
					if f.Num == c.num && strings.Contains(f.What, c.what) && (f.Row == "" || f.Row == row || name == "moved") {
						return
					}
				}
				t.Errorf("no fault at %d with %q in %+v", c.num, c.what, report.Faults)
			})
		})
	}
}

// Text from outside stays on one line of visible text, whatever control, escape, separator or direction marks it holds, and
// detail stays JSON with the same value.
func TestM09_TextIsEscaped(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		evil := "a\r\nFAKE \x1b[31mred\x00 \u2028 \u202egnp.exe \u0085 \x7f \xff \"}"
		call := licensing.WithCall(t.Context(), &licensing.Call{RequestID: "req\n1", Actor: licensing.Actor{Kind: licensing.CLI, ID: "ro\not"}})
		if err := e.Store.InTx(call, func(ctx context.Context) error {
			return r.recorder.Record(ctx, licensing.Event{
				Action: "thing.change", Target: "t", Reason: evil + strings.Repeat("é", 9000),
				Detail: map[string]string{"name": "a\r\n\u202e\u0085\x1b\""},
			})
		}); err != nil {
			t.Fatal(err)
		}
		list, err := e.Store.Audit().ListAudit(t.Context(), audit.Filter{}, licensing.Page{})
		if err != nil || len(list.Items) != 1 {
			t.Fatal(list, err)
		}
		row := list.Items[0].Row
		for _, s := range []string{row.Reason, row.Actor, row.Request, row.Detail} {
			if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x202e }); i >= 0 {
				t.Errorf("%q holds a control character at %d", s, i)
			}
		}
		if !strings.HasPrefix(row.Reason, `a\u000d\u000aFAKE \u001b[31mred\u0000`) || len(row.Reason) > 5000 {
			t.Errorf("reason %.80q of %d bytes", row.Reason, len(row.Reason))
		}
		var detail map[string]string
		if err := json.Unmarshal([]byte(row.Detail), &detail); err != nil || detail["name"] != "a\r\n\u202e\u0085\x1b\"" {
			t.Errorf("detail %q: %v", row.Detail, err)
		}
		r.sequence(t)
		if report := r.verify(t); len(report.Faults) > 0 {
			t.Errorf("faults %+v", report.Faults)
		}
	})
}
