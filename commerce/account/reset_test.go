package account_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

func (r *rig) reset(t *testing.T, email string) account.ResetResponse {
	t.Helper()
	out, err := r.Reset(as(t, nobody), account.ResetRequest{Email: email})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestU05_ResetOfAnUnknownAddress: asking for a new password answers a known and an unknown address, a disabled one and a guest's the same;
// the known one and the guest get a link, the others leave nothing behind: no mail, no person, no token.
func TestU05_ResetOfAnUnknownAddress(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.signUp(t, "known@example.com")
		disabled := r.signUp(t, "disabled@example.com")
		if _, err := e.DB.Exec(t.Context(), `UPDATE customer SET disabled_at = $2 WHERE id = $1`, disabled, e.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Guest(t.Context(), "guest@example.com"); err != nil {
			t.Fatal(err)
		}
		count := func() (n [2]int64) {
			for i, table := range []string{"customer", "account_token"} {
				if err := e.DB.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n[i]); err != nil {
					t.Fatal(err)
				}
			}
			return n
		}
		answers := map[account.ResetResponse]bool{}
		for email, mailed := range map[string]bool{"known@example.com": true, "guest@example.com": true, "unknown@example.com": false, "disabled@example.com": false} {
			before, mails := count(), len(r.mail.mails)
			answers[r.reset(t, email)] = true
			after := count()
			if got := len(r.mail.mails) - mails; (got == 1) != mailed || after[0] != before[0] || (after[1] != before[1]) != mailed {
				t.Errorf("%s: %d mails, rows were %v and are %v", email, got, before, after)
			}
			if mailed && r.mail.last(t).reset != (email == "known@example.com") {
				t.Errorf("%s was mailed %+v", email, r.mail.last(t))
			}
		}
		if len(answers) != 1 {
			t.Errorf("%d different answers", len(answers))
		}
	})
}

// TestU05_KnownAndUnknownTakeAsLong: signing in to a known and to an unknown address, in turn, takes as long: the quickest of each, which no
// other load on the machine delayed, are less than a tenth apart. Without the work done for nobody the unknown one would be ten times as quick.
func TestU05_KnownAndUnknownTakeAsLong(t *testing.T) {
	r := newRig(t, storetest.SQLite(t))
	r.signUp(t, "known@example.com")
	var least [2]time.Duration
	for i := range 200 {
		r.later(t, 10*time.Second)
		r.from = fmt.Sprintf("192.0.2.%d", i%2) // each of the two its own slow-down
		start := time.Now()
		_, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: []string{"known@example.com", "unknown@example.com"}[i%2], Password: "wrong " + password})
		took := time.Since(start)
		fails(t, "a wrong password", err, account.ErrSignIn)
		if least[i%2] == 0 || took < least[i%2] {
			least[i%2] = took
		}
		if i >= 19 && i%2 == 1 && 10*(max(least[0], least[1])-min(least[0], least[1])) < least[0] {
			return
		}
	}
	t.Errorf("known takes %v, unknown %v", least[0], least[1])
}

// TestU07_ResetTokens: a reset token sets one password of one person, once and for a day; the person's other token dies with it; whoever
// guesses is slowed down.
func TestU07_ResetTokens(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.from = "192.0.2.1"
		id := r.signUp(t, "ada@example.com")
		other := r.signUp(t, "bob@example.com")
		in := r.signIn(t, "ada@example.com")
		r.reset(t, "bob@example.com")
		bobs := r.mail.lastTo(t, "bob@example.com").token
		var tokens []string
		for range 2 {
			r.reset(t, "ada@example.com")
			tokens = append(tokens, r.mail.lastTo(t, "ada@example.com").token)
		}
		confirm := func(token string) (string, error) {
			out, err := r.Confirm(as(t, nobody), account.ConfirmRequest{Token: token, Password: "another good password"})
			return out.ID, err
		}
		if got, err := confirm(tokens[0]); err != nil || got != id {
			t.Fatalf("%s, %v", got, err)
		}
		if m := r.mail.last(t); m.to != "ada@example.com" || m.note == "" {
			t.Errorf("the person was mailed %+v", m)
		}
		r.dead(t, "the session of before", in.Token)
		_, err := r.Renew(as(t, nobody), account.RenewRequest{Renewal: in.Renewal})
		fails(t, "its renewal", err, account.ErrRenewal)
		for what, token := range map[string]string{"used": tokens[0], "the second": tokens[1]} {
			_, err := confirm(token)
			fails(t, what, err, account.ErrToken)
		}
		if got, err := confirm(bobs); err != nil || got != other {
			t.Errorf("another person's token is of %s, %v", got, err)
		}
		r.reset(t, "ada@example.com")
		r.later(t, 24*time.Hour)
		_, err = confirm(r.mail.lastTo(t, "ada@example.com").token)
		fails(t, "a day later", err, account.ErrToken)
		slowed := 0
		for i := range 200 {
			if _, err := confirm(fmt.Sprintf("%043d", i)); errors.Is(err, account.ErrSlowDown) {
				slowed++
			}
		}
		if slowed < 160 { // thirty a minute
			t.Errorf("%d of 200 guesses were slowed down", slowed)
		}
	})
}

// TestU02_ChangingThePassword: the password of now sets another; every other session ends on every replica, links mailed before are void,
// and the person is told.
func TestU02_ChangingThePassword(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, two := newRig(t, e), newRig(t, e)
		r.signUp(t, "ada@example.com")
		in, other := r.signIn(t, "ada@example.com"), r.signIn(t, "ada@example.com")
		two.actor(t, other.Token)
		r.reset(t, "ada@example.com")
		a := as(t, r.actor(t, in.Token))
		_, err := r.ChangePassword(a, account.PasswordRequest{Current: "not " + password, Password: "another good password"})
		fails(t, "a wrong password", err, account.ErrPassword)
		if _, err := r.ChangePassword(a, account.PasswordRequest{Current: password, Password: "Password123"}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("a weak one: %v", err)
		}
		if _, err := r.ChangePassword(a, account.PasswordRequest{Current: password, Password: "another good password"}); err != nil {
			t.Fatal(err)
		}
		if r.mail.last(t).note == "" {
			t.Error("nobody was told")
		}
		e.Clock.Advance(500 * time.Millisecond)
		two.poll(t)
		two.dead(t, "the other session", other.Token)
		r.actor(t, in.Token)
		r.renew(t, in.Renewal)
		_, err = r.Confirm(as(t, nobody), account.ConfirmRequest{Token: r.mail.lastTo(t, "ada@example.com").token, Password: password})
		fails(t, "a link of before", err, account.ErrToken)
		r.later(t, time.Minute)
		if _, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: "ada@example.com", Password: "another good password"}); err != nil {
			t.Error(err)
		}
	})
}

// TestU14_ChangingTheAddress: the address changes once both mailboxes agreed, in either order; then every session ends and the old address
// is told. A new password in between voids the wish, a newer wish the older one, and of two people who want one address one gets it.
func TestU14_ChangingTheAddress(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.signUp(t, "ada@example.com")
		r.signUp(t, "bob@example.com")
		wish := func(from, to string) (older, newer string) {
			t.Helper()
			r.later(t, time.Hour)
			a := r.actor(t, r.signIn(t, from).Token)
			if _, err := r.ChangeEmail(as(t, a), account.EmailRequest{Email: to}); err != nil {
				t.Fatal(err)
			}
			return r.mail.lastTo(t, from).token, r.mail.lastTo(t, to).token
		}
		confirm := func(token string) (bool, error) {
			out, err := r.ConfirmEmail(as(t, nobody), account.ConfirmEmailRequest{Token: token})
			return out.Done, err
		}
		in := r.signIn(t, "ada@example.com")
		older, newer := wish("ada@example.com", "lovelace@example.com")
		if done, err := confirm(newer); err != nil || done {
			t.Fatalf("one side: %t, %v", done, err)
		}
		if done, err := confirm(newer); err != nil || done {
			t.Errorf("the same side twice: %t, %v", done, err)
		}
		r.signIn(t, "ada@example.com")
		if done, err := confirm(older); err != nil || !done {
			t.Fatalf("both sides: %t, %v", done, err)
		}
		if m := r.mail.last(t); m.to != "ada@example.com" || m.token != "" {
			t.Errorf("the old address was told %+v", m)
		}
		r.dead(t, "a session of before", in.Token)
		r.signIn(t, "lovelace@example.com")
		_, err := confirm(older)
		fails(t, "once more", err, account.ErrToken)

		older, newer = wish("lovelace@example.com", "third@example.com")
		r.reset(t, "lovelace@example.com")
		if _, err := r.Confirm(as(t, nobody), account.ConfirmRequest{Token: r.mail.lastTo(t, "lovelace@example.com").token, Password: password}); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{older, newer} {
			_, err := confirm(token)
			fails(t, "after a reset", err, account.ErrToken)
		}

		adasOld, adasNew := wish("lovelace@example.com", "wanted@example.com")
		bobsOld, bobsNew := wish("bob@example.com", "wanted@example.com")
		for _, token := range []string{adasNew, bobsNew} {
			if _, err := confirm(token); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, token := range []string{adasOld, bobsOld} {
			wg.Go(func() { _, errs[i] = confirm(token) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), account.ErrTaken) {
			t.Errorf("two want one address: %v", errs)
		}
	})
}

// TestU05_AChangeToATakenAddress: wishing for an address that somebody has answers as for any other, and that mailbox hears nothing.
func TestU05_AChangeToATakenAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.signUp(t, "ada@example.com")
	r.signUp(t, "bob@example.com")
	a := as(t, r.actor(t, r.signIn(t, "ada@example.com").Token))
	free, err1 := r.ChangeEmail(a, account.EmailRequest{Email: "free@example.com"})
	mails := len(r.mail.mails)
	taken, err2 := r.ChangeEmail(a, account.EmailRequest{Email: "bob@example.com"})
	if err := errors.Join(err1, err2); err != nil || free != taken {
		t.Errorf("%+v and %+v, %v", free, taken, err)
	}
	if len(r.mail.mails) != mails+1 || r.mail.last(t).to != "ada@example.com" {
		t.Errorf("%+v", r.mail.mails[mails:])
	}
	stale := r.actor(t, r.renew(t, r.signIn(t, "ada@example.com").Renewal).Token)
	_, err := r.ChangeEmail(as(t, stale), account.EmailRequest{Email: "free@example.com"})
	fails(t, "without a password", err, account.ErrPassword)
}

// TestProfile: a person's name changes and is what is told next; a name with a link does not.
func TestProfile(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.signUp(t, "ada@example.com")
	a := as(t, r.actor(t, r.signIn(t, "ada@example.com").Token))
	p, err := r.SetProfile(a, account.ProfileRequest{Name: "Ada Lovelace"})
	me, err2 := r.Me(a, account.MeRequest{})
	if err := errors.Join(err, err2); err != nil || p.Name != "Ada Lovelace" || me.Name != p.Name || p.Email != "ada@example.com" {
		t.Errorf("%+v and %+v, %v", p, me, err)
	}
	if _, err := r.SetProfile(a, account.ProfileRequest{Name: "https://evil.example"}); licensing.KindOf(err) != licensing.Invalid {
		t.Error(err)
	}
}

// TestU09_ManySignInsTakeLittleMemory: two hundred sign-ins at once, known and unknown, hash a few at a time: the heap grows by what those
// few take and not by two hundred times 19 MiB.
func TestU09_ManySignInsTakeLittleMemory(t *testing.T) {
	r := newRig(t, storetest.SQLite(t))
	r.signUp(t, "p0@example.com")
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		var m runtime.MemStats
		var high uint64
		for {
			select {
			case <-stop:
				most <- high
				return
			case <-time.After(5 * time.Millisecond):
				runtime.ReadMemStats(&m)
				high = max(high, m.HeapInuse)
			}
		}
	}()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			_, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: fmt.Sprintf("p%d@example.com", i), Password: strings.Repeat("wrong ", 5)})
			fails(t, "parallel", err, account.ErrSignIn)
		})
	}
	wg.Wait()
	close(stop)
	if high := <-most; high > before.HeapInuse+256<<20 {
		t.Errorf("the heap grew from %d to %d MiB", before.HeapInuse>>20, high>>20)
	}
}
