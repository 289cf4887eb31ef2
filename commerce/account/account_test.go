package account_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestLifeOfASession: sign up, confirm, sign in, be somebody, be fresh for ten minutes, sign out; nothing works after that.
func TestLifeOfASession(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id := r.signUp(t, "Ada@Example.com ")
		in := r.signIn(t, "ada@example.COM")
		a := r.actor(t, in.Token)
		if a.Kind != licensing.Customer || a.ID != id || a.Owner != licensing.Owner(id) || a.Session != in.ID || !a.Fresh || a.Role != "" {
			t.Fatalf("%+v", a)
		}
		me, err := r.Me(as(t, a), account.MeRequest{})
		if err != nil || me.Email != "ada@example.com" || me.ID != id {
			t.Fatalf("%+v, %v", me, err)
		}
		e.Clock.Advance(10*time.Minute - time.Microsecond)
		r.poll(t)
		if !r.actor(t, in.Token).Fresh {
			t.Error("stale before ten minutes")
		}
		e.Clock.Advance(time.Microsecond)
		if r.actor(t, in.Token).Fresh {
			t.Error("fresh after ten minutes")
		}
		other := r.signIn(t, "ada@example.com")
		list, err := r.ListSessions(as(t, a), account.ListSessionsRequest{})
		if err != nil || len(list.Items) != 2 || list.Items[0].ID != other.ID || !list.Items[1].Current {
			t.Fatalf("%+v, %v", list, err)
		}
		if _, err := r.SignOut(as(t, a), account.SignOutRequest{}); err != nil {
			t.Fatal(err)
		}
		r.dead(t, "signed out", in.Token)
		_, err = r.SignOut(as(t, a), account.SignOutRequest{})
		fails(t, "signing out again", err, licensing.ErrNotFound)
		e.Clock.Advance(time.Hour - time.Microsecond)
		r.poll(t)
		r.actor(t, other.Token)
		e.Clock.Advance(time.Microsecond)
		r.dead(t, "over", other.Token)
	})
}

// TestU05_KnownAndUnknownLookAlike: sign-up answers a known address as an unknown one and only the mailbox differs; sign-in answers an
// unknown address, an unconfirmed one, a disabled one and a wrong password as the same.
func TestU05_KnownAndUnknownLookAlike(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.signUp(t, "known@example.com")
		known, err1 := r.SignUp(as(t, nobody), account.SignUpRequest{Email: "known@example.com"})
		exists := r.mail.last(t)
		unknown, err2 := r.SignUp(as(t, nobody), account.SignUpRequest{Email: "unknown@example.com"})
		if err := errors.Join(err1, err2); err != nil || known != unknown {
			t.Errorf("%+v and %+v, %v", known, unknown, err)
		}
		if !exists.exists || exists.to != "known@example.com" || r.mail.last(t).exists {
			t.Error("the mailboxes were told the same")
		}
		disabled := r.signUp(t, "disabled@example.com")
		if _, err := e.DB.Exec(t.Context(), `UPDATE customer SET disabled_at = $2 WHERE id = $1`, disabled, e.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		for what, req := range map[string]account.SignInRequest{
			"unknown": {Email: "nobody@example.com", Password: password}, "unconfirmed": {Email: "unknown@example.com", Password: password},
			"wrong": {Email: "known@example.com", Password: password + "!"}, "empty": {Email: "known@example.com"}, "disabled": {Email: "disabled@example.com", Password: password},
			"no address": {Email: "x", Password: password}, "too long": {Email: "known@example.com", Password: strings.Repeat("x", 1<<20)},
		} {
			_, err := r.SignIn(as(t, nobody), req)
			var told *licensing.Error
			if !errors.As(err, &told) || told.Code != account.ErrSignIn.Code || told.Text != account.ErrSignIn.Text || len(told.Fields) != 0 {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// TestU06_SlowedNotLockedOut: the sixth attempt in a minute from one place waits and the wait ends by itself; a flood from a thousand
// places slows the address down for strangers, and whoever signed in from a place before still can.
func TestU06_SlowedNotLockedOut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.from = "192.0.2.1"
		r.signUp(t, "ada@example.com")
		r.signIn(t, "ada@example.com")
		wrong := func(from string) error {
			r.from = from
			_, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: "ada@example.com", Password: "wrong password"})
			return err
		}
		for i := range 6 {
			err := wrong("198.51.100.1")
			var told *licensing.Error
			if slowed := errors.As(err, &told) && told.Kind == licensing.TooMany && told.RetryAfter > 0 && told.RetryAfter <= time.Minute; slowed != (i == 5) {
				t.Fatalf("attempt %d: %v", i, err)
			}
		}
		slowed := 0
		for i := range 40 {
			if errors.Is(wrong(fmt.Sprintf("203.0.113.%d", i)), account.ErrSlowDown) {
				slowed++
			}
		}
		if slowed == 0 {
			t.Error("many places together are not slowed down")
		}
		fails(t, "a stranger's place", wrong("203.0.113.200"), account.ErrSlowDown)
		r.from = "192.0.2.1"
		r.signIn(t, "ada@example.com")
		r.from = "203.0.113.201"
		e.Clock.Advance(time.Minute)
		r.signIn(t, "ada@example.com")
	})
}

// TestTokenOfAMailWorksOnce: of many uses at once one succeeds; the person's other links die with it, and one that is a day old is over.
func TestTokenOfAMailWorksOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		var tokens []string
		for range 2 {
			if _, err := r.SignUp(as(t, nobody), account.SignUpRequest{Email: "ada@example.com"}); err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, r.mail.last(t).token)
		}
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				switch _, err := r.Confirm(as(t, nobody), account.ConfirmRequest{Token: tokens[1], Password: password}); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, account.ErrToken):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d confirmations with one token", won.Load())
		}
		for what, token := range map[string]string{"older": tokens[0], "unknown": strings.Repeat("a", 43), "empty": "", "long": strings.Repeat("a", 1000)} {
			_, err := r.Confirm(as(t, nobody), account.ConfirmRequest{Token: token, Password: password})
			fails(t, what, err, account.ErrToken)
		}
		if _, err := r.SignUp(as(t, nobody), account.SignUpRequest{Email: "late@example.com"}); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(24 * time.Hour)
		_, err := r.Confirm(as(t, nobody), account.ConfirmRequest{Token: r.mail.last(t).token, Password: password})
		fails(t, "a day later", err, account.ErrToken)
	})
}

// TestU02_NewPasswordEndsSessions: a password set through the mailed link ends every session, on every replica.
func TestU02_NewPasswordEndsSessions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		one, two := newRig(t, e), newRig(t, e)
		one.signUp(t, "ada@example.com")
		in := one.signIn(t, "ada@example.com")
		one.actor(t, in.Token)
		two.actor(t, in.Token)
		if _, err := one.SignUp(as(t, nobody), account.SignUpRequest{Email: "ada@example.com"}); err != nil {
			t.Fatal(err)
		}
		if _, err := one.Confirm(as(t, nobody), account.ConfirmRequest{Token: one.mail.last(t).token, Password: "another good password"}); err != nil {
			t.Fatal(err)
		}
		one.dead(t, "here", in.Token)
		e.Clock.Advance(500 * time.Millisecond)
		two.poll(t)
		two.dead(t, "there", in.Token)
		_, err := one.SignIn(as(t, nobody), account.SignInRequest{Email: "ada@example.com", Password: password})
		fails(t, "the old password", err, account.ErrSignIn)
	})
}

// TestU09_Passwords: what is no password is refused before it costs a hash, and parallel hashing is bounded yet everybody is served.
func TestU09_Passwords(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	for what, bad := range map[string]string{
		"one character": "x", "nine": "123456789", "a megabyte": strings.Repeat("ab", 1<<19), "NUL": "good password\x00", "not text": "good password\xff",
		"repeated": strings.Repeat("z", 20), "listed": "Password123", "the address": "ada.lovelace@example.com", "its local part": "ada.lovelace",
	} {
		if _, err := r.SignUp(as(t, nobody), account.SignUpRequest{Email: "ada.lovelace@example.com"}); err != nil && !errors.Is(err, account.ErrSlowDown) {
			t.Fatal(err)
		}
		_, err := r.Confirm(as(t, nobody), account.ConfirmRequest{Token: r.mail.last(t).token, Password: bad})
		if licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	var hash string
	id := r.signUp(t, "grace@example.com")
	if err := r.DB.QueryRow(t.Context(), `SELECT password FROM customer WHERE id = $1`, id).Scan(&hash); err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored as %q, %v", hash, err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: fmt.Sprintf("p%d@example.com", i), Password: password})
			fails(t, "parallel", err, account.ErrSignIn)
		})
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(as(t, nobody))
	cancel()
	if _, err := r.SignIn(ctx, account.SignInRequest{Email: "x@example.com", Password: password}); err == nil {
		t.Error("a caller who went away was served")
	}
}

// TestU13_Q01_TheDatabaseLogsNobodyIn: no session, machine token, mailed link or password is in the database, and what is there opens
// nothing.
func TestU13_Q01_TheDatabaseLogsNobodyIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.signUp(t, "ada@example.com")
		in := r.signIn(t, "ada@example.com")
		machine, err := r.CreateMachine(as(t, operator), account.CreateMachineRequest{Name: "ci", Scopes: []string{"keys:verify"}})
		if err != nil {
			t.Fatal(err)
		}
		secrets := []string{password, in.Token, in.Renewal, machine.Secret, r.mail.last(t).token}
		for _, c := range []struct{ table, blobs, texts string }{
			{"session_pass", "hash, head", "id || session_id"}, {"session_renewal", "hash, head", "session_id"}, {"session", "source, source", "id || customer_id || browser"}, {"machine_secret", "hash, head", "id || hint"},
			{"account_token", "hash, hash", "id || customer_id"}, {"customer", "NULL, NULL", "email || name || password"}, {"audit", "NULL, NULL", "detail || target"},
		} {
			rows, err := e.DB.Query(t.Context(), `SELECT `+c.blobs+`, `+c.texts+` FROM `+c.table)
			found, err := db.Collect(rows, err, func(s db.Row) (out []string, err error) {
				var a, b []byte
				var text string
				err = s.Scan(&a, &b, &text)
				return []string{string(a), fmt.Sprintf("%x", a), string(b), fmt.Sprintf("%x", b), text}, err
			})
			if err != nil || len(found) == 0 {
				t.Fatalf("%s: %d rows, %v", c.table, len(found), err)
			}
			for _, row := range found {
				for _, cell := range row {
					for _, secret := range secrets {
						if strings.Contains(cell, secret) {
							t.Errorf("%s holds a secret", c.table)
						}
					}
					r.dead(t, "stolen from "+c.table, cell)
					r.dead(t, "stolen from "+c.table, "mts_"+cell)
					_, err := r.Renew(as(t, nobody), account.RenewRequest{Renewal: "mtn_" + cell})
					fails(t, "a renewal stolen from "+c.table, err, account.ErrRenewal)
				}
			}
		}
	})
}

// TestGuest: the same customer for every spelling of an address, made once however many buy at once, unconfirmed and claimable.
func TestGuest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		var mu sync.Mutex
		owners := map[licensing.Owner]bool{}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := e.Store.InTx(t.Context(), func(ctx context.Context) error {
					owner, err := r.Guest(ctx, []string{"buyer@example.com", " Buyer@Example.Com"}[i%2])
					mu.Lock()
					defer mu.Unlock()
					owners[owner] = true
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(owners) != 1 {
			t.Fatalf("%d customers: %v", len(owners), owners)
		}
		_, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: "buyer@example.com", Password: ""})
		fails(t, "signing in as a guest", err, account.ErrSignIn)
		if id := r.signUp(t, "buyer@example.com"); !owners[licensing.Owner(id)] {
			t.Error("the claimed account is another")
		}
		for _, bad := range []string{"", "x", "a@b", "a@b@c.de", "Ada <ada@example.com>", "a\nb@example.com", "a\u202eb@example.com", strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b", 250) + ".com", "a@.com", "a@example.com."} {
			if _, err := r.Guest(t.Context(), bad); licensing.KindOf(err) != licensing.Invalid {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

// TestU06_AnIPv6NetworkIsOnePlace: attempts from addresses of one /64 count as from one place, those of another do not.
func TestU06_AnIPv6NetworkIsOnePlace(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	attempt := func(from string) error {
		r.from = from
		_, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: "ada@example.com", Password: password})
		return err
	}
	for i := range 5 {
		fails(t, "within", attempt(fmt.Sprintf("2001:db8:0:1::%x", i)), account.ErrSignIn)
	}
	fails(t, "the same network", attempt("2001:db8:0:1:ffff::1"), account.ErrSlowDown)
	fails(t, "another network", attempt("2001:db8:0:2::1"), account.ErrSignIn)
}

// TestNamesCarryNoLinks: a stranger cannot put a link or markup into a mail to somebody else through the name.
func TestNamesCarryNoLinks(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	for _, bad := range []string{"win at https://evil.example", "<b>x</b>", "a\nb", "a\u202eb", "mail me@example.com", strings.Repeat("x", 101), "\xff"} {
		if _, err := r.SignUp(as(t, nobody), account.SignUpRequest{Email: "ada@example.com", Name: bad}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := r.SignUp(as(t, nobody), account.SignUpRequest{Email: "ada@example.com", Name: "Ada Lovelace-O'Neill, 李"}); err != nil {
		t.Error(err)
	}
}
