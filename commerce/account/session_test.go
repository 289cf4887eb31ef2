package account_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// later lets time pass in steps short enough for the feed to stay alive.
func (r *rig) later(t *testing.T, d time.Duration) {
	t.Helper()
	r.Clock.Advance(d)
	r.poll(t)
}

func (r *rig) renew(t *testing.T, renewal string) account.SignInResponse {
	t.Helper()
	out, err := r.Renew(as(t, nobody), account.RenewRequest{Renewal: renewal})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestU18_AStolenRenewalEndsTheSession: a renewal works once. Used again after half a minute it ends the session on every replica, whoever
// of the two holders comes second, tells the person by mail and the trail; within half a minute it gets a second tab a pass and nothing more.
func TestU18_AStolenRenewalEndsTheSession(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, two := newRig(t, e), newRig(t, e)
		id := r.signUp(t, "ada@example.com")
		in, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: "ada@example.com", Password: password, Remember: true})
		if err != nil || !strings.HasPrefix(in.Renewal, "mtn_") || in.RenewalExpiresAt == nil {
			t.Fatalf("%+v, %v", in, err)
		}
		other := r.signIn(t, "ada@example.com")
		r.later(t, 40*time.Minute)
		next := r.renew(t, in.Renewal)
		if next.ID != in.ID || next.Token == in.Token || next.Renewal == in.Renewal || next.Renewal == "" {
			t.Fatalf("%+v after %+v", next, in)
		}
		if a := r.actor(t, next.Token); a.ID != id || a.Session != in.ID || a.Fresh {
			t.Errorf("a renewed session is %+v", a)
		}
		r.later(t, 29*time.Second)
		tab := r.renew(t, in.Renewal)
		if tab.Renewal != "" || tab.RenewalExpiresAt != nil || r.actor(t, tab.Token).Session != in.ID {
			t.Errorf("a second tab got %+v", tab)
		}
		r.later(t, time.Second)
		two.poll(t)
		two.actor(t, next.Token)
		mails := len(r.mail.mails)
		_, err = r.Renew(as(t, nobody), account.RenewRequest{Renewal: in.Renewal})
		fails(t, "a spent renewal", err, account.ErrRenewal)
		if m := r.mail.last(t); len(r.mail.mails) != mails+1 || m.to != "ada@example.com" || m.note == "" {
			t.Errorf("the person was mailed %+v", m)
		}
		for what, text := range map[string]string{"the first": in.Token, "the next": next.Token, "the tab's": tab.Token} {
			r.dead(t, what, text)
		}
		e.Clock.Advance(500 * time.Millisecond)
		two.poll(t)
		two.dead(t, "the next, elsewhere", next.Token)
		_, err = r.Renew(as(t, nobody), account.RenewRequest{Renewal: next.Renewal})
		fails(t, "the renewal of an ended session", err, account.ErrRenewal)
		if len(r.mail.mails) != mails+1 {
			t.Error("the person was mailed twice")
		}
		r.actor(t, other.Token)
		var seen int64
		if err := e.DB.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE action = 'session.replayed' AND target = $1`, in.ID).Scan(&seen); err != nil || seen != 1 {
			t.Errorf("the trail tells it %d times, %v", seen, err)
		}
	})
}

// TestU18_OneOfManyRenews: of many uses of one renewal at the same moment one gets the next renewal, the others a pass each.
func TestU18_OneOfManyRenews(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.signUp(t, "ada@example.com")
		in := r.signIn(t, "ada@example.com")
		var mu sync.Mutex
		var renewals []string
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				out, err := r.Renew(as(t, nobody), account.RenewRequest{Renewal: in.Renewal})
				if err != nil {
					t.Error(err)
					return
				}
				r.actor(t, out.Token)
				mu.Lock()
				defer mu.Unlock()
				if out.Renewal != "" {
					renewals = append(renewals, out.Renewal)
				}
			})
		}
		wg.Wait()
		if len(renewals) != 1 {
			t.Fatalf("%d renewals came of one", len(renewals))
		}
		r.renew(t, renewals[0])
	})
}

// TestU12_IdleAndAbsoluteEnd: a session ends when it was not renewed for long enough and at its last day however often it is renewed, for
// each kind of it, and a restart in between changes nothing.
func TestU12_IdleAndAbsoluteEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.signUp(t, "ada@example.com")
		r.staff(t, "grace@example.com", licensing.RoleSupport)
		for _, c := range []struct {
			what, email string
			remember    bool
			whole, idle time.Duration
		}{
			{"a customer", "ada@example.com", false, 12 * time.Hour, 2 * time.Hour}, {"one to be remembered", "ada@example.com", true, 30 * 24 * time.Hour, 14 * 24 * time.Hour},
			{"staff", "grace@example.com", false, 12 * time.Hour, time.Hour}, {"staff, who are not remembered", "grace@example.com", true, 12 * time.Hour, time.Hour},
		} {
			begin := func() account.SignInResponse {
				r.later(t, time.Minute)
				out, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: c.email, Password: password, Remember: c.remember})
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			in := begin()
			r = newRig(t, e)
			r.later(t, c.idle-time.Microsecond)
			in = r.renew(t, in.Renewal)
			r = newRig(t, e)
			r.later(t, c.idle)
			_, err := r.Renew(as(t, nobody), account.RenewRequest{Renewal: in.Renewal})
			fails(t, c.what+" who was idle", err, account.ErrRenewal)

			in = begin()
			start := e.Clock.Now()
			for e.Clock.Now().Before(start.Add(c.whole - c.idle/2)) {
				r.later(t, c.idle/2)
				in = r.renew(t, in.Renewal)
			}
			if end := start.Add(c.whole); !in.RenewalExpiresAt.Equal(end) || in.ExpiresAt.After(end) {
				t.Errorf("%s: the last renewal goes on until %v and %v, the session until %v", c.what, in.RenewalExpiresAt, in.ExpiresAt, end)
			}
			r = newRig(t, e)
			r.later(t, start.Add(c.whole).Sub(e.Clock.Now()))
			_, err = r.Renew(as(t, nobody), account.RenewRequest{Renewal: in.Renewal})
			fails(t, c.what+" at the last day", err, account.ErrRenewal)
			r.dead(t, c.what+" at the last day", in.Token)
		}
	})
}

// TestU02_SignOutEndsRenewalToo: whoever signs out, ends a session or all others, leaves neither a bearer text nor a renewal of it that
// works, on any replica.
func TestU02_SignOutEndsRenewalToo(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, two := newRig(t, e), newRig(t, e)
		r.agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
		r.from = "192.0.2.1"
		r.signUp(t, "ada@example.com")
		var in [5]account.SignInResponse
		for i := range in {
			in[i] = r.signIn(t, "ada@example.com")
			two.actor(t, in[i].Token)
		}
		me := func() licensing.Actor { return r.actor(t, in[4].Token) }
		if _, err := r.SignOut(as(t, r.actor(t, in[0].Token)), account.SignOutRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.EndSession(as(t, me()), account.EndSessionRequest{ID: in[1].ID}); err != nil {
			t.Fatal(err)
		}
		list, err := r.ListSessions(as(t, me()), account.ListSessionsRequest{})
		if err != nil || len(list.Items) != 3 {
			t.Fatalf("%+v, %v", list, err)
		}
		if v := list.Items[0]; !v.Current || v.ID != in[4].ID || v.Browser != "Firefox on Linux" || !v.SamePlace || v.Remembered || !v.EndsAt.Equal(v.SignedInAt.Add(12*time.Hour)) {
			t.Errorf("%+v", v)
		}
		_, err = r.EndOthers(as(t, me()), account.EndOthersRequest{})
		if licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("without a word: %v", err)
		}
		if _, err := r.EndOthers(as(t, me()), account.EndOthersRequest{Confirm: "others"}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(500 * time.Millisecond)
		two.poll(t)
		for i := range 4 {
			r.dead(t, "ended", in[i].Token)
			two.dead(t, "ended, elsewhere", in[i].Token)
			_, err := two.Renew(as(t, nobody), account.RenewRequest{Renewal: in[i].Renewal})
			fails(t, "its renewal", err, account.ErrRenewal)
		}
		me()
		r.renew(t, in[4].Renewal)
	})
}

// TestFreshen: the password opens sensitive acts for ten minutes, with the bearer text it was entered for alone; a wrong one does not, and
// the sixth try in a minute waits.
func TestFreshen(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.signUp(t, "ada@example.com")
		in := r.signIn(t, "ada@example.com")
		r.later(t, 20*time.Minute)
		tab := r.renew(t, in.Renewal)
		a := r.actor(t, in.Token)
		if a.Fresh {
			t.Fatal("fresh after twenty minutes")
		}
		_, err := r.Freshen(as(t, a), account.FreshenRequest{Password: "not " + password})
		fails(t, "a wrong password", err, account.ErrPassword)
		out, err := r.Freshen(as(t, a), account.FreshenRequest{Password: password})
		if err != nil || !out.FreshUntil.Equal(e.Clock.Now().Add(10*time.Minute)) || !r.actor(t, in.Token).Fresh {
			t.Errorf("%+v, %v", out, err)
		}
		if again, err := r.FreshenAgain(as(t, a), a.Session, ""); err != nil || !again.FreshUntil.Equal(out.FreshUntil) {
			t.Errorf("a replay answers %+v, %v", again, err)
		}
		if r.actor(t, tab.Token).Fresh || r.actor(t, r.renew(t, tab.Renewal).Token).Fresh {
			t.Error("another text of the session became fresh too")
		}
		r.later(t, 10*time.Minute)
		if r.actor(t, in.Token).Fresh {
			t.Error("fresh after ten minutes more")
		}
		for range 5 {
			if _, err = r.Freshen(as(t, a), account.FreshenRequest{Password: "wrong"}); errors.Is(err, account.ErrSlowDown) {
				t.Error("slowed down too early")
			}
		}
		_, err = r.Freshen(as(t, a), account.FreshenRequest{Password: password})
		fails(t, "the sixth", err, account.ErrSlowDown)
	})
}

// TestU01_ATextIsNeverAdopted: whatever bearer text or renewal a client brings along, signing in makes new ones, and the one it brought opens
// nothing afterwards.
func TestU01_ATextIsNeverAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.signUp(t, "ada@example.com")
	preset, renewal := "mts_"+strings.Repeat("p", 43), "mtn_"+strings.Repeat("p", 43)
	r.dead(t, "preset", preset)
	first := r.signIn(t, "ada@example.com")
	second, err := r.SignIn(as(t, r.actor(t, first.Token)), account.SignInRequest{Email: "ada@example.com", Password: password})
	if err != nil || second.ID == first.ID || second.Token == first.Token || second.Renewal == first.Renewal {
		t.Errorf("%+v after %+v, %v", second, first, err)
	}
	r.later(t, time.Minute)
	r.dead(t, "preset, after the sign-in", preset)
	_, err = r.Renew(as(t, nobody), account.RenewRequest{Renewal: renewal})
	fails(t, "a preset renewal", err, account.ErrRenewal)
}

// TestASignInDoesNotOutliveANewPassword: a session whose password was compared before a new one was set does not begin after it.
func TestASignInDoesNotOutliveANewPassword(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id := r.signUp(t, "ada@example.com")
		slow := &changing{People: e.Store.People(), then: func() {
			if _, err := e.DB.Exec(t.Context(), `UPDATE customer SET password = 'another' WHERE id = $1`, id); err != nil {
				t.Error(err)
			}
		}}
		r.Service.People = slow
		_, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: "ada@example.com", Password: password})
		fails(t, "the old password", err, account.ErrSignIn)
	})
}
