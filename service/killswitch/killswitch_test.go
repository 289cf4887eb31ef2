package killswitch_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/feed"
	"github.com/mintreu/mintreu/service/killswitch"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const product = "prod_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"

// replica is one process: its own feed and its own reader.
type replica struct {
	feed   *feed.Feed
	reader *killswitch.Reader
}

func newReplica(e storetest.Env, s killswitch.Store) replica {
	f := feed.New(feed.Deps{Store: e.Store.Changes(), Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	return replica{f, killswitch.NewReader(killswitch.ReaderDeps{Store: s, Feed: f, Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler)})}
}

func (r replica) poll(t *testing.T) {
	t.Helper()
	if err := r.feed.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (r replica) off(t *testing.T, s licensing.Switch, product string) bool {
	t.Helper()
	err := r.reader.Check(t.Context(), s, product)
	if err != nil && licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("refused with %v", err)
	}
	return err != nil
}

func newService(e storetest.Env) *killswitch.Service {
	return killswitch.New(killswitch.Deps{
		Store: e.Store.Switches(), Tx: e.Store, Clock: e.Clock.Now,
		Audit: audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs}),
	})
}

func owner(t *testing.T) context.Context {
	return licensing.WithCall(t.Context(), &licensing.Call{Operation: "switch.flip", Mutating: true, Actor: licensing.Actor{Kind: licensing.Staff, ID: "cus_1", Role: licensing.RoleOwner}})
}

func flip(t *testing.T, s *killswitch.Service, r killswitch.FlipRequest) {
	t.Helper()
	r.Reason = "drill"
	if _, err := s.Flip(owner(t), r); err != nil {
		t.Fatal(err)
	}
}

// A switch flipped on one replica is in force on both at their next reading of the feed, for all products or for the one; it ends at
// its end, and a replica that starts later knows it from the first request on.
func TestM11_InForceOnEveryReplica(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		a, b := newReplica(e, e.Store.Switches()), newReplica(e, e.Store.Switches())
		if !a.off(t, licensing.SwitchPayments, "") {
			t.Error("a replica that never read the switches lets work go on")
		}
		a.poll(t)
		b.poll(t)
		s := newService(e)
		until := e.Clock.Now().Add(time.Hour)
		flip(t, s, killswitch.FlipRequest{Switch: "payments", Off: true})
		flip(t, s, killswitch.FlipRequest{Switch: "licensing", Product: product, Off: true, Until: &until})
		e.Clock.Advance(feed.Every)
		a.poll(t)
		b.poll(t)
		late := newReplica(e, e.Store.Switches())
		if err := late.reader.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]replica{"a": a, "b": b, "late": late} {
			if !r.off(t, licensing.SwitchPayments, "") || !r.off(t, licensing.SwitchPayments, product) {
				t.Errorf("%s: payments are on", name)
			}
			if r.off(t, licensing.SwitchLicensing, "") || r.off(t, licensing.SwitchLicensing, "prod_other") || !r.off(t, licensing.SwitchLicensing, product) {
				t.Errorf("%s: licensing is not off for the one product alone", name)
			}
			if r.off(t, licensing.SwitchDownloads, product) {
				t.Errorf("%s: downloads are off", name)
			}
		}
		e.Clock.Set(until)
		if a.off(t, licensing.SwitchLicensing, product) {
			t.Error("the switch is off after its end")
		}
		flip(t, s, killswitch.FlipRequest{Switch: "payments"})
		a.poll(t)
		if a.off(t, licensing.SwitchPayments, "") {
			t.Error("the released switch is off")
		}
	})
}

// flaky is a database that is away while down.
type flaky struct {
	killswitch.Store
	down bool
}

func (f *flaky) Switches(ctx context.Context) ([]killswitch.State, error) {
	if f.down {
		return nil, errors.New("down")
	}
	return f.Store.Switches(ctx)
}

// Without a database the switches stay as last known, and a change that could not be read is read as soon as it can be.
func TestM11_LastKnownWithoutDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newService(e)
		flip(t, s, killswitch.FlipRequest{Switch: "downloads", Off: true})
		database := &flaky{Store: e.Store.Switches()}
		r := newReplica(e, database)
		r.poll(t)
		database.down = true
		flip(t, s, killswitch.FlipRequest{Switch: "payments", Off: true})
		r.poll(t)
		if !r.off(t, licensing.SwitchDownloads, "") || r.off(t, licensing.SwitchPayments, "") {
			t.Error("the switches are not as last known")
		}
		database.down = false
		r.poll(t)
		if !r.off(t, licensing.SwitchPayments, "") {
			t.Error("the change was forgotten")
		}
	})
}

// A flip without a reason, of no switch, or with an end in the past is refused; every flip leaves an audit row; releasing asks no
// switch, so all nine off can be released.
func TestM12_ReasonNeededAndReleaseNeverLocked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s, past := newService(e), e.Clock.Now()
		for name, r := range map[string]killswitch.FlipRequest{
			"no reason":    {Switch: "payments", Off: true, Reason: " \n"},
			"no switch":    {Switch: "everything", Off: true, Reason: "x"},
			"past end":     {Switch: "payments", Off: true, Reason: "x", Until: &past},
			"end of on":    {Switch: "payments", Reason: "x", Until: &past},
			"odd product":  {Switch: "payments", Off: true, Reason: "x", Product: "' OR 1=1 --"},
			"long reasons": {Switch: "payments", Off: true, Reason: string(make([]byte, 501))},
		} {
			if _, err := s.Flip(owner(t), r); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, off := range []bool{true, false} {
			for _, name := range licensing.AllSwitches() {
				flip(t, s, killswitch.FlipRequest{Switch: string(name), Off: off})
			}
		}
		list, err := s.List(owner(t), killswitch.ListRequest{})
		if err != nil || len(list.Switches) != 9 {
			t.Fatal(list, err)
		}
		for _, v := range list.Switches {
			if v.Off || v.Reason != "drill" || v.Actor != "staff:cus_1" || v.At == nil {
				t.Errorf("switch %+v", v)
			}
		}
		trail, err := e.Store.Audit().ListAudit(t.Context(), audit.Filter{Action: "switch.press"}, licensing.Page{})
		if err != nil || len(trail.Items) != 9 || trail.Items[0].Reason != "drill" {
			t.Errorf("%d audit rows, %v", len(trail.Items), err)
		}
	})
}

// TestCheckProduct: the press on one product is told apart from a press for all, and ends with its time.
func TestCheckProduct(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, s := newReplica(e, e.Store.Switches()), newService(e)
		r.poll(t)
		off := func() bool { return r.reader.CheckProduct(t.Context(), licensing.SwitchAPI, product) != nil }
		flip(t, s, killswitch.FlipRequest{Switch: "api", Off: true})
		e.Clock.Advance(time.Second)
		r.poll(t)
		if off() || !r.off(t, licensing.SwitchAPI, product) {
			t.Error("a press for all counts as one on the product, or not at all")
		}
		until := e.Clock.Now().Add(time.Minute)
		flip(t, s, killswitch.FlipRequest{Switch: "api", Product: product, Off: true, Until: &until})
		e.Clock.Advance(time.Second)
		r.poll(t)
		if !off() || r.reader.CheckProduct(t.Context(), licensing.SwitchAPI, "prod_other") != nil || r.reader.CheckProduct(t.Context(), licensing.SwitchAPI, "") != nil {
			t.Error("a press on the product is not told from others")
		}
		e.Clock.Advance(time.Minute)
		if off() {
			t.Error("off beyond its time")
		}
	})
}

// A machine token that is narrowed to a product learns of the switches for all products and of its own product's, and of no other's: neither that
// it is stopped nor why. One for all products, and staff, see every one.
func TestR04_NarrowedTokenSeesItsOwnSwitches(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		const other = "prod_0190a1b2c3d47e5f8a9b0c1d2e3f4a5c"
		s := newService(e)
		for _, p := range []string{product, other, ""} {
			flip(t, s, killswitch.FlipRequest{Switch: "downloads", Product: p, Off: true})
		}
		for who, c := range map[string]struct {
			actor licensing.Actor
			want  []string
		}{
			"narrowed":       {licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Product: product}, []string{product}},
			"of neither":     {licensing.Actor{Kind: licensing.Machine, ID: "mtk_1", Product: "prod_none"}, nil},
			"for everything": {licensing.Actor{Kind: licensing.Machine, ID: "mtk_1"}, []string{product, other}},
			"staff":          {licensing.Actor{Kind: licensing.Staff, ID: "cus_1", Role: licensing.RoleAuditor}, []string{product, other}},
		} {
			list, err := s.List(licensing.WithCall(t.Context(), &licensing.Call{Operation: "switch.list", Actor: c.actor}), killswitch.ListRequest{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			off := 0
			for _, v := range list.Switches {
				switch {
				case v.Product != "":
					got = append(got, v.Product)
				case v.Off:
					off++
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) || off != 1 || len(list.Switches) != 9+len(c.want) {
				t.Errorf("%s: sees %q and %d of those for all off", who, got, off)
			}
		}
	})
}
