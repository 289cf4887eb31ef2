package usage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// world is a database with a service that counts usage on it and a license.
type world struct {
	storetest.Env
	*usage.Service
	deps    usage.Deps
	keys    *keyring.Service
	license string
	off     error // what the kill switch says

	mu   sync.Mutex
	told []usage.Crossing
}

// Threshold keeps what the owner was told.
func (w *world) Threshold(_ context.Context, c usage.Crossing) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, c)
	return nil
}

func (w *world) Check(context.Context, licensing.Switch, string) error { return w.off }

func newWorld(t *testing.T, e storetest.Env) *world {
	t.Helper()
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := e.Store.WithSeal(key)
	trail := audit.New(audit.Deps{Store: s.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	w := &world{Env: e}
	w.keys = keyring.New(keyring.Deps{Store: s.Keyring(), Seal: key, Clock: e.Clock.Now, Tx: s, Audit: trail})
	if err := w.keys.Ensure(t.Context(), "https://licenses.example.com"); err != nil {
		t.Fatal(err)
	}
	licenses := license.New(license.Deps{Store: s.Licenses(), Policies: s.Policies(), Tokens: s.LicenseTokens(), Signer: w.keys, Verifier: w.keys,
		Seal: key, Clock: e.Clock.Now, IDs: e.IDs, Tx: s, Audit: trail, Switches: w})
	w.deps = usage.Deps{Store: s.Usage(), Meters: s.Meters(), Reads: s.UsageReads(), Accounts: s.UsageAccounts(), Thresholds: s.UsageThresholds(), Notices: w, Licenses: licenses, Audit: trail, Keyring: w.keys, Clock: e.Clock.Now, IDs: e.IDs, Tx: s, Switches: w}
	w.Service = usage.New(w.deps)
	ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Mutating: true,
		Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleAdmin}})
	p, err := licenses.CreatePolicy(ctx, license.CreatePolicyRequest{ProductID: e.IDs.New("prod"), Code: "p", Name: "P",
		Terms: license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 5, By: doc.ByDevice}, Match: 1}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := licenses.Draft(ctx, license.IssueSpec{Source: license.Source{Kind: license.FromOrderUnit, ID: "line/1"}, ProductID: p.ProductID, ProductSlug: "editor",
		PlanID: "plan_1", PlanCode: "pro", PolicyID: p.ID, Owner: "cus_ada", Env: licensing.Live})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.InTx(ctx, func(ctx context.Context) error { _, err := licenses.Issue(ctx, d); return err }); err != nil {
		t.Fatal(err)
	}
	w.license = d.License.ID
	t.Cleanup(func() {
		found, err := w.Store.LicenseViolations(context.Background(), w.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range found {
			t.Errorf("%s: %s: %s", v.Invariant, v.Object, v.Text)
		}
	})
	return w
}

// seat puts an activation of the license into the table, as a device has it, and returns a context in which it calls.
func (w *world) seat(t *testing.T, id, state string) context.Context {
	t.Helper()
	if _, err := w.DB.Exec(t.Context(), `INSERT INTO activation (id, license_id, subject, state, name, dev, usr, seq, seq_seen, activated_at, last_seen_at, released_by)
		VALUES ($1, $2, $1, $3, '', '{}', '', 1, 0, $4, $4, '')`, id, w.license, state, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	if state == "held" {
		if _, err := w.DB.Exec(t.Context(), `UPDATE license SET seats_used = seats_used + 1 WHERE id = $1`, w.license); err != nil {
			t.Fatal(err)
		}
	}
	return device(t.Context(), id, w.license)
}

func device(ctx context.Context, id, license string) context.Context {
	return licensing.WithCall(ctx, &licensing.Call{Operation: "usage.count", Actor: licensing.Actor{Kind: licensing.Device, ID: id, License: license}})
}

func (w *world) open(t *testing.T, ctx context.Context) string {
	t.Helper()
	res, err := w.Open(ctx, sdk.SourceRequest{Nonce: w.IDs.New("nonce")})
	if err != nil {
		t.Fatal(err)
	}
	return res.Source
}

// batch is a batch of n events of one page each, now.
func (w *world) batch(source string, seq, n int64) sdk.UsageRequest {
	at := w.Clock.Now().Unix()
	return sdk.UsageRequest{Source: source, Seq: seq, Rows: []sdk.UsageRow{{Meter: "pages", At: at - at%sdk.UsageBucket, Events: n, Sum: n, Max: 1}}}
}

// total reads what is counted of the license's only meter this month.
func (w *world) total(t *testing.T) int64 {
	t.Helper()
	ctx := licensing.WithCall(t.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"}})
	list, err := w.OfLicense(ctx, usage.OfLicenseRequest{License: w.license})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, m := range list.Items {
		n += m.Sum
	}
	return n
}

// A batch counts once, however often it is sent, and each answer carries a receipt of it that verifies; the next one counts on.
func TestL19_BatchCountsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx := w.seat(t, "act_1", "held")
		src := w.open(t, ctx)
		for seq := int64(1); seq <= 3; seq++ {
			b := w.batch(src, seq, 10)
			for range 3 {
				res, err := w.Count(ctx, b)
				if err != nil || res.LastSeq != seq {
					t.Fatalf("batch %d: %+v, %v", seq, res, err)
				}
				r, err := w.keys.VerifyReceipt(ctx, res.Receipt)
				if err != nil || r.Source != src || r.Seq != seq || r.SHA != b.Digest() {
					t.Fatalf("its receipt: %+v, %v", r, err)
				}
				w.Clock.Advance(time.Minute)
			}
			if n := w.total(t); n != 10*seq {
				t.Fatalf("after batch %d: %d counted", seq, n)
			}
		}
		again, err := w.Open(ctx, sdk.SourceRequest{Nonce: "the same nonce twice"})
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := w.Open(ctx, sdk.SourceRequest{Nonce: "the same nonce twice"}); err != nil || twice != again || again.Source == src {
			t.Fatalf("%v and %v, %v", again, twice, err)
		}
	})
}

// racing sends each of a source's batches from many goroutines at once and returns what was counted of 20 batches of 7.
func racing(t *testing.T, w *world, s *usage.Service) int64 {
	t.Helper()
	ctx := w.seat(t, w.IDs.New("act"), "held")
	src := w.open(t, ctx)
	before := w.total(t)
	for seq := int64(1); seq <= 20; seq++ {
		b := w.batch(src, seq, 7)
		var wg sync.WaitGroup
		for range 12 {
			call := *licensing.CallFrom(ctx) // each caller has its own
			wg.Go(func() {
				if _, err := s.Count(licensing.WithCall(ctx, &call), b); err != nil && licensing.KindOf(err) != licensing.Unavailable {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	return w.total(t) - before
}

// The same batch from many at once counts once.
func TestINV5_RacingBatchCountsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		if n := racing(t, w, w.Service); n != 140 {
			t.Fatalf("%d counted, want 140", n)
		}
	})
}

// looking is a naive store: it looks whether the number is the next one, and then counts.
type looking struct{ usage.Store }

func (s looking) Advance(ctx context.Context, b usage.Batch) (bool, error) {
	src, err := s.Source(ctx, b.Source.ID)
	if err != nil || src.Seq != b.From {
		return false, err
	}
	b.From = src.Seq
	if _, err := s.Store.Advance(ctx, b); err != nil {
		return false, err
	}
	return true, nil
}

// The race above finds a store that looks first and counts then, on the engine where transactions overlap.
func TestINV5_PlantedLookFirstFails(t *testing.T) {
	t.Parallel()
	e := storetest.Postgres(t)
	w := newWorld(t, e)
	deps := w.deps
	deps.Store = looking{deps.Store}
	if n := racing(t, w, usage.New(deps)); n <= 140 {
		t.Fatalf("%d counted: the race finds nothing", n)
	}
	for _, change := range []string{`DELETE FROM usage_total`, `DELETE FROM usage_rollup`, `DELETE FROM usage_line`, `UPDATE usage_mark SET events = 0, total = 0`} {
		if _, err := e.DB.Exec(t.Context(), change); err != nil { // or the invariants say so, as they must
			t.Fatal(err)
		}
	}
}

// A number used for another batch flags the source and is refused, whether it is the last one or an older one.
func TestUsage_ForkedSource(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx := w.seat(t, "act_1", "held")
		src := w.open(t, ctx)
		first := w.batch(src, 1, 1)
		for _, b := range []sdk.UsageRequest{first, w.batch(src, 2, 1)} {
			if _, err := w.Count(ctx, b); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range []sdk.UsageRequest{w.batch(src, 2, 5), first, w.batch(src, 1, 5)} {
			if _, err := w.Count(ctx, b); !errors.Is(err, usage.ErrForked) {
				t.Fatalf("batch %d: %v", b.Seq, err)
			}
		}
		if s, err := w.deps.Store.Source(ctx, src); err != nil || s.ForkedAt.IsZero() || s.Seq != 2 {
			t.Fatalf("%+v, %v", s, err)
		}
		if n := w.total(t); n != 2 {
			t.Fatalf("%d counted", n)
		}
	})
}

// A number too high is refused with the one that is expected, unless our own receipt of the batch before comes with it: then this
// server was restored from an older backup, and the gap is kept.
func TestUsage_Gap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx := w.seat(t, "act_1", "held")
		src, other := w.open(t, ctx), w.open(t, ctx)
		receipts := map[int64]string{}
		for seq := int64(1); seq <= 4; seq++ {
			res, err := w.Count(ctx, w.batch(src, seq, 1))
			if err != nil {
				t.Fatal(err)
			}
			receipts[seq] = res.Receipt
		}
		foreign, err := w.Count(ctx, w.batch(other, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.DB.Exec(ctx, `UPDATE usage_mark SET last_seq = 2 WHERE source = $1`, src); err != nil { // the older backup
			t.Fatal(err)
		}
		b := w.batch(src, 5, 1)
		for _, bad := range []string{"", receipts[3], foreign.Receipt, "x.y.z"} {
			b.Receipt = bad
			_, err := w.Count(ctx, b)
			var public *licensing.Error
			if !errors.Is(err, usage.ErrGap) || !errors.As(err, &public) || public.Fields[0].Detail != "expected 3" {
				t.Fatalf("receipt %.10q: %v", bad, err)
			}
		}
		b.Receipt = receipts[4]
		if res, err := w.Count(ctx, b); err != nil || res.LastSeq != 5 {
			t.Fatalf("%+v, %v", res, err)
		}
		var from, to int64
		if err := e.DB.QueryRow(ctx, `SELECT from_seq, to_seq FROM usage_gap WHERE source_id = $1`, src).Scan(&from, &to); err != nil || from != 3 || to != 4 {
			t.Fatalf("gap %d to %d, %v", from, to, err)
		}
	})
}

// A source is its holder's alone: another license's and an unknown one answer the same. When the holder's seat is gone, the
// activation in its place on the same license takes it over, and then the old one has it no longer.
func TestR02_SourceOfAnother(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx, beside := w.seat(t, "act_1", "held"), w.seat(t, "act_2", "held")
		src := w.open(t, ctx)
		stranger := device(t.Context(), "act_9", "lic_of_somebody")
		for name, who := range map[string]context.Context{"another license": stranger, "another seat": beside} {
			_, theirs := w.Count(who, w.batch(src, 1, 1))
			_, none := w.Count(who, w.batch("src_none", 1, 1))
			if !errors.Is(theirs, usage.ErrUnknown) || theirs.Error() != none.Error() {
				t.Fatalf("%s: %v and %v", name, theirs, none)
			}
		}
		if _, err := w.Open(stranger, sdk.SourceRequest{Nonce: "sixteen characters"}); !errors.Is(err, licensing.ErrNotFound) {
			t.Fatalf("a source for a license that is not there: %v", err)
		}
		if _, err := w.Count(ctx, w.batch(src, 1, 1)); err != nil {
			t.Fatal(err)
		}
		for _, change := range []string{`UPDATE activation SET state = 'released' WHERE id = 'act_1'`, `UPDATE license SET seats_used = 1`} {
			if _, err := e.DB.Exec(ctx, change); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Count(ctx, w.batch(src, 2, 1)); err != nil {
			t.Fatalf("what was used before the seat was given back: %v", err)
		}
		if _, err := w.Count(beside, w.batch(src, 3, 1)); err != nil {
			t.Fatalf("handed over: %v", err)
		}
		if _, err := w.Count(ctx, w.batch(src, 4, 1)); !errors.Is(err, usage.ErrUnknown) {
			t.Fatalf("the holder before: %v", err)
		}
		other := licensing.WithCall(t.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_eve", Owner: "cus_eve"}})
		if _, err := w.OfLicense(other, usage.OfLicenseRequest{License: w.license}); !errors.Is(err, licensing.ErrNotFound) {
			t.Fatalf("read by another customer: %v", err)
		}
	})
}

// Rows land in the month in which they happened, late ones marked; an instant that cannot be counts as now; the list pages.
func TestUsage_Periods(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e) // the clock stands at 2026-03-01 12:00
		ctx := w.seat(t, "act_1", "held")
		at := func(month time.Month, day, hour int) int64 {
			return time.Date(2026, month, day, hour, 0, 0, 0, time.UTC).Unix()
		}
		b := sdk.UsageRequest{Source: w.open(t, ctx), Seq: 1, Rows: []sdk.UsageRow{
			{Meter: "pages", At: at(3, 1, 11), Events: 1, Sum: 1, Max: 1},
			{Meter: "pages", At: at(2, 28, 13), Events: 2, Sum: 20, Max: 15},
			{Meter: "pages", At: at(2, 1, 0), Events: 4, Sum: 40, Max: 30},
			{Meter: "pages", At: at(9, 1, 0), Events: 8, Sum: 80, Max: 60},
			{Meter: "pages", At: 900, Events: 16, Sum: 160, Max: 16},
			{Meter: "pages", Subject: "a", Group: "eu", At: at(3, 1, 0), Events: 32, Sum: 32, Max: 1},
		}}
		if _, err := w.Count(ctx, b); err != nil {
			t.Fatal(err)
		}
		staff := licensing.WithCall(t.Context(), &licensing.Call{Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_staff", Role: licensing.RoleSupport}})
		got, cursor := "", ""
		for {
			r := usage.OfLicenseRequest{License: w.license}
			r.Limit, r.Cursor = 1, cursor
			list, err := w.OfLicense(staff, r)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range list.Items {
				got += fmt.Sprintf("%s %s/%s/%s %d %d %d late %d\n", m.Month.Format("2006-01"), m.Meter, m.Subject, m.Group, m.Events, m.Sum, m.Max, m.Late)
			}
			if cursor = list.Next; cursor == "" {
				break
			}
		}
		want := "2026-03 pages// 25 241 60 late 0\n2026-03 pages/a/eu 32 32 1 late 0\n2026-02 pages// 6 60 30 late 4\n"
		if got != want {
			t.Fatalf("got\n%swant\n%s", got, want)
		}
	})
}

// What breaks a rule of form is refused and counts nothing; the kill switch stops sources and batches, and what comes again
// after it is counted once.
func TestUsage_RefusedAndSwitchedOff(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		ctx := w.seat(t, "act_1", "held")
		src := w.open(t, ctx)
		for name, spoil := range map[string]func(*sdk.UsageRequest){
			"no source":    func(r *sdk.UsageRequest) { r.Source = "" },
			"seq 0":        func(r *sdk.UsageRequest) { r.Seq = 0 },
			"no rows":      func(r *sdk.UsageRequest) { r.Rows = nil },
			"many rows":    func(r *sdk.UsageRequest) { r.Rows = make([]sdk.UsageRow, sdk.MaxUsageRows+1) },
			"meter":        func(r *sdk.UsageRequest) { r.Rows[0].Meter = "Pages\t" },
			"subject":      func(r *sdk.UsageRequest) { r.Rows[0].Subject = "a@example.com" },
			"group":        func(r *sdk.UsageRequest) { r.Rows[0].Group = "A" },
			"time":         func(r *sdk.UsageRequest) { r.Rows[0].At++ },
			"no events":    func(r *sdk.UsageRequest) { r.Rows[0].Events = 0 },
			"negative":     func(r *sdk.UsageRequest) { r.Rows[0].Sum = -1 },
			"too high":     func(r *sdk.UsageRequest) { r.Rows[0].Sum = sdk.MaxUsageSum + 1 },
			"max":          func(r *sdk.UsageRequest) { r.Rows[0].Max = 2 },
			"long receipt": func(r *sdk.UsageRequest) { r.Receipt = string(make([]byte, doc.MaxReceipt+1)) },
		} {
			b := w.batch(src, 1, 1)
			spoil(&b)
			if _, err := w.Count(ctx, b); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, nonce := range []string{"", "short", string(make([]byte, 65))} {
			if _, err := w.Open(ctx, sdk.SourceRequest{Nonce: nonce}); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("nonce of %d: %v", len(nonce), err)
			}
		}
		w.off = licensing.Fail(licensing.Unavailable, "switched-off", "Switched off.")
		if _, err := w.Count(ctx, w.batch(src, 1, 1)); licensing.KindOf(err) != licensing.Unavailable {
			t.Errorf("switched off: %v", err)
		}
		if _, err := w.Open(ctx, sdk.SourceRequest{Nonce: "sixteen characters"}); licensing.KindOf(err) != licensing.Unavailable {
			t.Errorf("switched off: %v", err)
		}
		if n := w.total(t); n != 0 {
			t.Fatalf("%d counted", n)
		}
		w.off = nil
		if _, err := w.Count(ctx, w.batch(src, 1, 1)); err != nil || w.total(t) != 1 {
			t.Fatalf("%v, %d counted", err, w.total(t))
		}
	})
}
