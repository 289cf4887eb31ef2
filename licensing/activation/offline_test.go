package activation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// ask is the request of machine n, with what a test changes.
func (w *world) ask(t *testing.T, d *license.Draft, n int, nonce string, change ...func(*doc.OfflineRequest)) string {
	t.Helper()
	q := doc.OfflineRequest{Key: doc.KeyDigest("editor", d.Key), Product: "editor", Device: device(n), Nonce: strings.Repeat(nonce, 16), At: w.Clock.Now().Unix(), SDK: "test"}
	for _, c := range change {
		c(&q)
	}
	text, err := doc.EncodeOfflineRequest(q)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// owner is a context in which the license's owner acts.
func owner(ctx context.Context, id licensing.Owner) context.Context {
	return licensing.WithCall(ctx, &licensing.Call{Operation: "test", Mutating: true, Actor: licensing.Actor{Kind: licensing.Customer, ID: string(id), Owner: id}})
}

// leaseOf reads the lease of an answered file, and demands that the keyset in it verifies all of it.
func (w *world) leaseOf(t *testing.T, file string) (*doc.Lease, string) {
	t.Helper()
	f, err := doc.DecodeFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return w.lease(t, f.Lease), f.Lease
}

// A license up to a version is answered as any other: a request names no version, and the product on the machine looks at its own. So is the replay
// of an activation under its Idempotency-Key, which knows the version no more.
func TestAirGap_LicenseUpToAVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	terms := terms(1)
	terms.MaxVersion = "2.5"
	d := w.issue(t, terms)
	out, err := w.Answer(owner(t.Context(), "cus_ada"), activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "a")})
	if err != nil || !out.Decision.Allowed {
		t.Fatalf("%+v, %v", out.Decision, err)
	}
	f, err := doc.DecodeFile(out.File)
	if err != nil {
		t.Fatal(err)
	}
	lic, err := w.keys.VerifyLicense(t.Context(), f.License)
	if err != nil {
		t.Fatal(err)
	}
	lease, _ := w.leaseOf(t, out.File)
	for version, code := range map[string]eval.Code{"2.5": eval.Valid, "2.5.1": eval.Valid, "2.6": eval.VersionNotCovered, "": eval.VersionRequired} {
		got := eval.Evaluate(eval.Input{License: lic, Lease: lease, Now: w.Clock.Now().Unix(), Request: eval.Request{Product: "editor", Version: version, Device: device(1)}})
		if got.Code != code {
			t.Errorf("version %q on the machine: %s, want %s", version, got.Code, code)
		}
	}
	if again, err := w.ActivateAgain(t.Context(), out.Activation, ""); err != nil || !again.Decision.Allowed {
		t.Errorf("the replay: %+v, %v", again.Decision, err)
	}
}

// A machine without a network gets a file whose lease carries its nonce and ends with the policy's offline time; asking again with the same text
// is answered with the same lease, with a new one by the same activation; it holds one seat throughout.
func TestAirGap_AnswerIsIdempotent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(2))
		ctx := owner(t.Context(), "cus_ada")
		text := w.ask(t, d, 1, "a")
		out, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: " " + text[:50] + "\n" + text[50:]})
		if err != nil {
			t.Fatal(err)
		}
		l, leaseText := w.leaseOf(t, out.File)
		if l.Nonce != strings.Repeat("a", 16) || l.Expires != w.Clock.Now().Unix()+3*license.Day || !out.Decision.Allowed || out.Until.Unix() != l.Expires || !strings.HasPrefix(out.Name, "editor-") {
			t.Fatalf("lease %+v of answer %+v", l, out)
		}
		w.Clock.Advance(time.Hour)
		again, err := w.replicas[1].Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: text})
		if _, same := w.leaseOf(t, again.File); err != nil || same != leaseText {
			t.Errorf("the same request has another lease: %v", err)
		}
		if file, err := w.AnswerFile(ctx, activation.GetRequest{ID: out.Activation}); err != nil || file.File != again.File {
			t.Errorf("the file is not given again: %v", err)
		}
		newer, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "b")})
		if l, _ := w.leaseOf(t, newer.File); err != nil || newer.Activation != out.Activation || l.Seq != 2 {
			t.Errorf("a new request of the machine: %v %+v", err, l)
		}
		if _, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: text}); !errors.Is(err, activation.ErrRequestUsed) {
			t.Errorf("the old request after the new one: %v", err)
		}
		if used, held := w.seats(t, d.License.ID); used != 1 || held != 1 {
			t.Errorf("%d seats used, %d held", used, held)
		}
		if rows := w.trail(t, "activation.answer"); len(rows) != 2 || rows[0].Target != out.Activation {
			t.Errorf("audit rows %+v", rows)
		}
	})
}

// The file of before is not handed out once more when no product takes it: after the license was changed, whose old token the lease rests on, when
// its time is over, and while the license is suspended. The machine's request has a new lease then, as long as it is its newest.
func TestAirGap_OldFileIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(2))
		ctx := owner(t.Context(), "cus_ada")
		request := activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "a")}
		out, err := w.Answer(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		file := activation.GetRequest{ID: out.Activation}
		good := func(what, text string) {
			t.Helper()
			f, err := doc.DecodeFile(text)
			if err != nil {
				t.Fatal(err)
			}
			l, err := w.keys.VerifyLicense(t.Context(), f.License)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.lease(t, f.Lease).RestsOn(l); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		seats := int64(3)
		if _, err := w.licenses.Change(staff(t.Context()), license.ChangeRequest{ID: d.License.ID, Reason: "more", Seats: &seats}); err != nil {
			t.Fatal(err)
		}
		if again, err := w.AnswerFile(ctx, file); err == nil {
			good("after a change", again.File)
		} else if !errors.Is(err, activation.ErrAnswerOld) {
			t.Errorf("after a change: %v", err)
		}
		if out, err = w.Answer(ctx, request); err != nil {
			t.Fatal(err)
		}
		good("the request anew", out.File)
		again, err := w.AnswerFile(ctx, file)
		if err != nil {
			t.Fatal(err)
		}
		good("its file", again.File)
		if _, err := w.licenses.Suspend(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "late"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.AnswerFile(ctx, file); !errors.Is(err, activation.ErrSuspended) {
			t.Errorf("while suspended: %v", err)
		}
		if _, err := w.licenses.Reinstate(staff(t.Context()), license.StateRequest{ID: d.License.ID, Reason: "paid"}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(3 * day)
		if _, err := w.AnswerFile(ctx, file); !errors.Is(err, activation.ErrAnswerOld) {
			t.Errorf("when its time is over: %v", err)
		}
	})
}

// The request of a user's machine has the same answer whatever the user's other devices do meanwhile, and the file is given again.
func TestAirGap_MachineOfAUserWithOtherDevices(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		p := terms(1)
		p.Seats.By = doc.ByUser
		d := w.issue(t, p)
		ada, ctx := doc.UserDigest("editor", "ada"), owner(t.Context(), "cus_ada")
		request := activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "a", func(q *doc.OfflineRequest) { q.User = ada })}
		out, err := w.Answer(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		_, lease := w.leaseOf(t, out.File)
		online, err := w.holder(t.Context(), d.Key)
		if err != nil {
			t.Fatal(err)
		}
		other, err := w.Activate(online, sdk.ActivateRequest{Product: "editor", Device: device(2), User: ada})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.beat(t.Context(), other.Lease); err != nil {
			t.Fatal(err)
		}
		again, err := w.Answer(ctx, request)
		if err != nil {
			t.Fatalf("the same request: %v", err)
		}
		if _, same := w.leaseOf(t, again.File); same != lease {
			t.Error("the same request has another lease")
		}
		if file, err := w.AnswerFile(ctx, activation.GetRequest{ID: out.Activation}); err != nil || file.File != again.File {
			t.Errorf("the file is not given again: %v", err)
		}
		if _, err := w.Release(staff(t.Context()), activation.ReleaseRequest{ID: out.Activation}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Answer(ctx, request); !errors.Is(err, activation.ErrRequestUsed) {
			t.Errorf("after the seat was given back: %v", err)
		}
	})
}

// The return of a machine frees its seat once and early; shown again it changes nothing, also after the seat was taken anew, by this machine or another; a return that
// was changed anywhere, is of another machine, or was made without the lease gives nothing back.
func TestAirGap_ReturnFreesTheSeatOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		terms := terms(1)
		terms.ReviveWithin = 3600
		d := w.issue(t, terms)
		ctx := owner(t.Context(), "cus_ada")
		out, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "a")})
		if err != nil {
			t.Fatal(err)
		}
		l, text := w.leaseOf(t, out.File)
		good, err := doc.NewOfflineReturn(l, text)
		if err != nil {
			t.Fatal(err)
		}
		forged, _ := doc.NewOfflineReturn(l, "not "+text)
		later := *l
		later.Seq++
		ahead, _ := doc.NewOfflineReturn(&later, text)
		for name, text := range map[string]string{"made without the lease": forged, "of a later seq": ahead, "cut": good[:len(good)-1], "a request": w.ask(t, d, 1, "a"), "nothing": ""} {
			if _, err := w.Return(ctx, activation.ReturnRequest{ID: d.License.ID, Return: text}); !errors.Is(err, activation.ErrReturn) {
				t.Errorf("%s: %v", name, err)
			}
		}
		other := w.issue(t, terms)
		if _, err := w.Return(ctx, activation.ReturnRequest{ID: other.License.ID, Return: good}); !errors.Is(err, activation.ErrReturn) {
			t.Errorf("on another license: %v", err)
		}
		if _, err := w.Return(owner(t.Context(), "cus_eve"), activation.ReturnRequest{ID: d.License.ID, Return: good}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("by somebody else: %v", err)
		}
		if used, _ := w.seats(t, d.License.ID); used != 1 {
			t.Fatal("a bad return freed the seat")
		}
		for range 2 {
			back, err := w.Return(ctx, activation.ReturnRequest{ID: d.License.ID, Return: good})
			if err != nil || back.State != string(activation.Released) {
				t.Fatal(back, err)
			}
			if used, held := w.seats(t, d.License.ID); used != 0 || held != 0 {
				t.Fatalf("%d seats used, %d held", used, held)
			}
		}
		if rows := w.trail(t, "activation.release"); len(rows) != 1 {
			t.Errorf("%d rows of release", len(rows))
		}
		if _, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "a")}); !errors.Is(err, activation.ErrRequestUsed) {
			t.Errorf("the request it gave back is answered once more: %v", err)
		}
		if anew, err := w.activate(t.Context(), d.Key, device(1)); err != nil || anew.Activation != out.Activation {
			t.Fatal(anew, err)
		}
		if _, err := w.Return(ctx, activation.ReturnRequest{ID: d.License.ID, Return: good}); !errors.Is(err, activation.ErrReturnOld) {
			t.Errorf("replayed after the machine came back: %v", err)
		}
		if used, _ := w.seats(t, d.License.ID); used != 1 {
			t.Error("a replayed return freed a seat that was taken anew")
		}
	})
}

// What is too old, from the future, of another license, product or owner, no request at all, or for a license that is out of use is refused for
// its reason, and no seat is taken.
func TestAirGap_RequestsRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d, other := w.issue(t, terms(1)), w.issue(t, terms(1))
		ctx := owner(t.Context(), "cus_ada")
		now := w.Clock.Now().Unix()
		at := func(s int64) func(*doc.OfflineRequest) { return func(q *doc.OfflineRequest) { q.At = s } }
		good := w.ask(t, d, 1, "a")
		cases := map[string]struct {
			text string
			want error
		}{
			"30 days old":           {w.ask(t, d, 1, "a", at(now-doc.OfflineRequestLife)), activation.ErrRequestOld},
			"from the future":       {w.ask(t, d, 1, "a", at(now+86401)), activation.ErrRequestClock},
			"of another license":    {w.ask(t, other, 1, "a"), activation.ErrRequestKey},
			"of another product":    {w.ask(t, d, 1, "a", func(q *doc.OfflineRequest) { q.Product = "player" }), activation.ErrRequestKey},
			"with a bare key":       {w.ask(t, d, 1, "a", func(q *doc.OfflineRequest) { q.Key = "MINT-1" }), activation.ErrRequestKey},
			"nothing":               {"", activation.ErrRequest},
			"a return":              {"MREL1.e30", activation.ErrRequest},
			"with a character more": {good + "A", activation.ErrRequest},
		}
		for i := 0; i < len(good); i += 7 {
			cases[fmt.Sprint("cut at ", i)] = struct {
				text string
				want error
			}{good[:i], activation.ErrRequest}
		}
		for name, c := range cases {
			if _, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: c.text}); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if _, err := w.Answer(owner(t.Context(), "cus_eve"), activation.AnswerRequest{ID: d.License.ID, Request: good}); !errors.Is(err, licensing.ErrNotFound) {
			t.Errorf("by somebody else: %v", err)
		}
		if _, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "c", at(now-doc.OfflineRequestLife+1))}); err != nil {
			t.Errorf("in its last second: %v", err)
		}
		if _, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 2, "d")}); !errors.Is(err, activation.ErrSeats) {
			t.Errorf("a second machine on one seat: %v", err)
		}
		reason := license.StateRequest{ID: d.License.ID, Reason: "r"}
		if _, err := w.licenses.Suspend(staff(t.Context()), reason); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "e")}); !errors.Is(err, activation.ErrSuspended) {
			t.Errorf("suspended: %v", err)
		}
		if _, err := w.licenses.Revoke(staff(t.Context()), reason); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Answer(ctx, activation.AnswerRequest{ID: d.License.ID, Request: w.ask(t, d, 1, "e")}); !errors.Is(err, activation.ErrRevoked) {
			t.Errorf("revoked: %v", err)
		}
	})
}

// However many ask at once, by pages and by the network, from two replicas, a license never has more machines than seats, and each machine one.
func TestS01_AirGapTakesSeatsExactly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		d := w.issue(t, terms(3))
		texts := make([]string, 24)
		for i := range texts {
			texts[i] = w.ask(t, d, i%8, string(rune('a'+i)))
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string]bool{}
		for i, text := range texts {
			wg.Add(1)
			go func() {
				defer wg.Done()
				out, err := w.replicas[i%2].Answer(owner(t.Context(), "cus_ada"), activation.AnswerRequest{ID: d.License.ID, Request: text})
				if err != nil && !errors.Is(err, activation.ErrSeats) {
					t.Errorf("request %d: %v", i, err)
				}
				if err == nil {
					mu.Lock()
					got[out.Activation] = true
					mu.Unlock()
				}
			}()
		}
		wg.Wait()
		if used, held := w.seats(t, d.License.ID); used != 3 || held != 3 || len(got) != 3 {
			t.Errorf("%d seats used, %d held, %d machines answered", used, held, len(got))
		}
	})
}
