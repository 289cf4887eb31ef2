package account_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// code is what the authenticator of a secret shows a while from now.
func (r *rig) code(t *testing.T, secret string, ahead time.Duration) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, r.Clock.Now().Add(ahead))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrol turns one-time codes on for whoever holds a session.
func (r *rig) enrol(t *testing.T, in account.SignInResponse) (secret string, recovery []string) {
	t.Helper()
	a := as(t, r.actor(t, in.Token))
	started, err := r.StartTOTP(a, account.StartTOTPRequest{})
	if err != nil || !strings.HasPrefix(started.URI, "otpauth://totp/") || !strings.Contains(started.URI, "secret="+started.Secret) {
		t.Fatalf("%+v, %v", started, err)
	}
	_, err = r.ConfirmTOTP(a, account.CodeRequest{Code: "000000"})
	fails(t, "a wrong first code", err, account.ErrCode)
	out, err := r.ConfirmTOTP(a, account.CodeRequest{Code: r.code(t, started.Secret, 0)})
	if err != nil || len(out.RecoveryCodes) != 10 {
		t.Fatalf("%+v, %v", out, err)
	}
	return started.Secret, out.RecoveryCodes
}

// TestU10_OneTimeCodes: with one-time codes on, the password gets a challenge and no session; a code of now or of the steps beside it ends it,
// once, as does a recovery code, once; another person's recovery code, an older code and a challenge that is over do not.
func TestU10_OneTimeCodes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.staff(t, "grace@example.com", licensing.RoleAdmin)
		r.signUp(t, "ada@example.com")
		secret, recovery := r.enrol(t, r.signIn(t, "grace@example.com"))
		_, adas := r.enrol(t, r.signIn(t, "ada@example.com"))
		challenge := func() string {
			t.Helper()
			r.later(t, 10*time.Minute)
			in := r.signIn(t, "grace@example.com")
			if in.Token != "" || in.Renewal != "" || !strings.HasPrefix(in.Challenge, "mtc_") || in.Role != "" {
				t.Fatalf("the password alone got %+v", in)
			}
			return in.Challenge
		}
		verify := func(challenge, code string) error {
			out, err := r.Verify(as(t, nobody), account.VerifyRequest{Challenge: challenge, Code: code})
			if err == nil && (out.Role != licensing.RoleAdmin || r.actor(t, out.Token).Kind != licensing.Staff || out.Renewal == "") {
				t.Errorf("%+v", out)
			}
			return err
		}
		c := challenge()
		r.dead(t, "a challenge as bearer", c)
		for what, code := range map[string]string{"two steps ago": r.code(t, secret, -time.Minute), "in two steps": r.code(t, secret, time.Minute), "another's recovery code": adas[0]} {
			fails(t, what, verify(c, code), account.ErrCode)
		}
		if err := verify(c, r.code(t, secret, 30*time.Second)); err != nil {
			t.Errorf("the step ahead: %v", err)
		}
		fails(t, "the challenge again", verify(c, r.code(t, secret, time.Minute)), account.ErrChallenge)
		second := r.signIn(t, "grace@example.com").Challenge
		fails(t, "the same code", verify(second, r.code(t, secret, 30*time.Second)), account.ErrCode)
		r.later(t, 30*time.Second)
		fails(t, "an older step", verify(r.signIn(t, "grace@example.com").Challenge, r.code(t, secret, -30*time.Second)), account.ErrSlowDown)

		c = challenge()
		code := r.code(t, secret, 0)
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs {
			own := r.signIn(t, "grace@example.com").Challenge
			wg.Go(func() { errs[i] = verify(own, code) })
		}
		wg.Wait()
		good := 0
		for _, err := range errs {
			if err == nil {
				good++
			} else if !errors.Is(err, account.ErrCode) {
				t.Error(err)
			}
		}
		if good != 1 {
			t.Errorf("one code was good %d times", good)
		}
		if err := verify(c, strings.ReplaceAll(recovery[3], "-", " ")); err != nil {
			t.Errorf("a recovery code: %v", err)
		}
		fails(t, "the recovery code again", verify(challenge(), recovery[3]), account.ErrCode)
		c = challenge()
		r.later(t, 5*time.Minute)
		fails(t, "after five minutes", verify(c, r.code(t, secret, 0)), account.ErrChallenge)
	})
}

// TestU10_GuessingCodes: the sixth guess in ten minutes waits, for this person alone.
func TestU10_GuessingCodes(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	for _, email := range []string{"ada@example.com", "bob@example.com"} {
		r.signUp(t, email)
	}
	adas, _ := r.enrol(t, r.signIn(t, "ada@example.com"))
	bobs, _ := r.enrol(t, r.signIn(t, "bob@example.com"))
	r.later(t, 10*time.Minute)
	c := r.signIn(t, "ada@example.com").Challenge
	for i := range 6 {
		_, err := r.Verify(as(t, nobody), account.VerifyRequest{Challenge: c, Code: "000000"})
		fails(t, "a guess", err, map[bool]error{true: account.ErrSlowDown, false: account.ErrCode}[i == 5])
	}
	_, err := r.Verify(as(t, nobody), account.VerifyRequest{Challenge: c, Code: r.code(t, adas, 0)})
	fails(t, "the right one, too early", err, account.ErrSlowDown)
	if _, err := r.Verify(as(t, nobody), account.VerifyRequest{Challenge: r.signIn(t, "bob@example.com").Challenge, Code: r.code(t, bobs, 0)}); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

// TestTOTPOnAndOff: entering the password again asks for a code too; a code turns codes off, and then the password is enough; secret and
// recovery codes are nowhere in the database.
func TestTOTPOnAndOff(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id := r.signUp(t, "ada@example.com")
		in := r.signIn(t, "ada@example.com")
		secret, recovery := r.enrol(t, in)
		var sealed []byte
		if err := e.DB.QueryRow(t.Context(), `SELECT secret FROM totp WHERE customer_id = $1`, id).Scan(&sealed); err != nil || strings.Contains(string(sealed), secret) {
			t.Errorf("the secret lies open, %v", err)
		}
		a := as(t, r.actor(t, in.Token))
		_, err := r.StartTOTP(a, account.StartTOTPRequest{})
		fails(t, "once more", err, account.ErrTOTPOn)
		r.later(t, 10*time.Minute)
		_, err = r.Freshen(a, account.FreshenRequest{Password: password})
		fails(t, "without a code", err, account.ErrCode)
		if _, err := r.Freshen(a, account.FreshenRequest{Password: password, Code: recovery[0]}); err != nil {
			t.Error(err)
		}
		if me, err := r.Me(a, account.MeRequest{}); err != nil || !me.TOTP {
			t.Errorf("%+v, %v", me, err)
		}
		if _, err := r.RemoveTOTP(a, account.CodeRequest{Code: r.code(t, secret, 0)}); err != nil {
			t.Fatal(err)
		}
		if again := r.signIn(t, "ada@example.com"); again.Token == "" || again.Challenge != "" {
			t.Errorf("%+v", again)
		}
	})
}

// TestStaffMustEnrol: where the shop asks for it, staff without one-time codes are marked until they have them; customers never are.
func TestStaffMustEnrol(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.Service.RequireTOTP = true
	r.staff(t, "grace@example.com", licensing.RoleAdmin)
	r.signUp(t, "ada@example.com")
	if r.actor(t, r.signIn(t, "ada@example.com").Token).Unenrolled {
		t.Error("a customer is marked")
	}
	in := r.signIn(t, "grace@example.com")
	if !r.actor(t, in.Token).Unenrolled {
		t.Error("staff without codes are not marked")
	}
	r.enrol(t, in)
	if r.actor(t, in.Token).Unenrolled {
		t.Error("staff with codes are marked")
	}
}
