package license_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// fetch asks for the current token by a credential, as the transport does: first who it is, then the operation. before comes between the two.
func (w *world) fetch(t *testing.T, credential string, before ...func()) (*doc.License, error) {
	t.Helper()
	actor, err := w.ByCredential(t.Context(), credential)
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range before {
		do()
	}
	out, err := w.Current(licensing.WithCall(t.Context(), &licensing.Call{Operation: "license.current", Actor: actor}), struct{}{})
	if err != nil {
		if out.License != "" {
			t.Errorf("a refusal carries a token")
		}
		return nil, err
	}
	claims, err := (&doc.Verifier{Keys: w.trust(t), Audience: "editor", Now: w.Clock.Now}).License(out.License)
	if err != nil {
		t.Fatalf("the token that was answered: %v", err)
	}
	return claims, nil
}

// token is the current token of a license.
func (w *world) token(t *testing.T, id string) license.Token {
	t.Helper()
	l, err := w.Store.Licenses().LicenseByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return l.Token
}

// answers demands that a credential is answered with the license's current token.
func (w *world) answers(t *testing.T, what, credential, id string) {
	t.Helper()
	want := w.token(t, id).JTI
	if got, err := w.fetch(t, credential); err != nil || got.TokenID != want || got.ID != id {
		t.Errorf("%s: %v, %v; want token %s of %s", what, got, err, want, id)
	}
}

// Whatever changed a license and left it in the same hands, each of its tokens, however old, and its key fetch the one that is current, and no
// other operation takes one that has ended. A transfer and a new key end all that was known before, also when the license is renewed afterwards.
func TestCurrentToken_SpeaksInTheSameHands(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(license.KeepExpiry))
		d, other := w.issue(t, w.spec("line/1/1")), w.issue(t, w.spec("line/1/2"))
		id, seats := d.License.ID, int64(5)
		ctx := w.ctx
		changes := map[string]func() error{
			"renew": func() error { _, err := w.Renew(ctx, license.RenewRequest{ID: id, Reason: "paid"}); return err },
			"override": func() error {
				seats++
				_, err := w.Change(ctx, license.ChangeRequest{ID: id, Reason: "more", Seats: &seats})
				return err
			},
			"bulk override": func() error {
				seats++
				commit, err := w.PrepareChange(ctx, license.ChangeRequest{ID: id, Reason: "more", Seats: &seats})
				if err == nil {
					err = w.Store.InTx(ctx, func(ctx context.Context) error { _, err := commit(ctx); return err })
				}
				return err
			},
			"re-policy": func() error {
				look, err := w.LookRepolicy(ctx, license.RepolicyLookRequest{ID: id, Policy: w.policy.ID})
				if err == nil {
					_, err = w.Repolicy(ctx, license.RepolicyRequest{ID: id, Policy: w.policy.ID, Reason: "new terms", Version: look.Version, PolicyVersion: look.PolicyVersion})
				}
				return err
			},
		}
		known := []string{d.License.Token.Text}
		for range 3 {
			for name, change := range changes {
				e.Clock.Advance(time.Hour)
				was := w.token(t, id).JTI
				if err := change(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				now := w.token(t, id)
				if now.JTI == was {
					t.Fatalf("%s made no new token", name)
				}
				known = append(known, now.Text)
				for _, text := range known {
					w.answers(t, "after "+name, text, id)
					if a, err := w.ByCredential(t.Context(), text); err != nil || (a.License == id) != (text == now.Text) {
						t.Errorf("after %s another operation takes the token for %q, %v", name, a.License, err)
					}
				}
				w.answers(t, "the key after "+name, d.Key, id)
			}
		}
		w.answers(t, "another license", other.License.Token.Text, other.License.ID)

		reason := license.StateRequest{ID: id, Reason: "test"}
		if _, err := w.Suspend(ctx, reason); err != nil { // a suspension is told by the status list, of the token that is current
			t.Fatal(err)
		}
		w.answers(t, "while suspended", known[0], id)
		if _, err := w.Reinstate(ctx, reason); err != nil {
			t.Fatal(err)
		}

		keys := []string{d.Key}
		for name, part := range map[string]func() error{
			"transfer": func() error {
				_, err := w.Transfer(ctx, license.TransferRequest{ID: id, To: w.person(t), Reason: "sold"})
				return err
			},
			"new key": func() error {
				out, err := w.Reissue(ctx, reason)
				keys = append(keys, out.Key)
				return err
			},
		} {
			// Between who asks and what is answered, the license is parted from those who knew it.
			if got, err := w.fetch(t, known[len(known)-1], func() {
				if err := part(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				w.ForgetHolder(id)
			}); !errors.Is(err, license.ErrCredential) {
				t.Errorf("a %s while it was asked: %v, %v", name, got, err)
			}
			for i, text := range append(known, keys[0]) {
				if got, err := w.fetch(t, text); !errors.Is(err, license.ErrCredential) {
					t.Errorf("after the %s, credential %d: %v, %v", name, i, got, err)
				}
			}
			known = append(known, w.token(t, id).Text)
			w.answers(t, "the new token", known[len(known)-1], id)
			if err := changes["renew"](); err != nil {
				t.Fatal(err)
			}
			w.answers(t, "the new token when it has ended", known[len(known)-1], id)
			for i, text := range known[:len(known)-1] {
				if got, err := w.fetch(t, text); !errors.Is(err, license.ErrCredential) {
					t.Errorf("renewed after the %s, credential %d: %v, %v", name, i, got, err)
				}
			}
		}
	})
}

// What is no credential, was not given out by us, or is of a license that was revoked, fetches nothing; only the very credentials of a revoked
// license are told so, as when it is validated.
func TestS08_CurrentTokenIsNoOracle(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, timed(license.FromExpiry))
		d := w.issue(t, w.spec("line/1/1"))
		old := d.License.Token.Text
		if _, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "paid"}); err != nil {
			t.Fatal(err)
		}
		last := w.token(t, d.License.ID).Text
		if _, err := w.Revoke(w.ctx, license.StateRequest{ID: d.License.ID, Reason: "refund"}); err != nil {
			t.Fatal(err)
		}
		flipped := []byte(old)
		flipped[len(flipped)-10] ^= 1
		for what, c := range map[string]struct {
			credential string
			want       error
		}{
			"the token before":   {old, license.ErrCredential},
			"the last token":     {last, license.ErrRevoked},
			"the key":            {d.Key, license.ErrRevoked},
			"a forged token":     {string(flipped), license.ErrCredential},
			"a key of nobody":    {"MINT-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA", license.ErrCredential},
			"a license's id":     {d.License.ID, license.ErrCredential},
			"a token's id":       {d.License.Token.JTI, license.ErrCredential},
			"dots":               {"..", license.ErrCredential},
			"more than fits":     {strings.Repeat("A", doc.MaxLicense+1), license.ErrCredential},
			"a token in a token": {old + "." + old, license.ErrCredential},
		} {
			if got, err := w.fetch(t, c.credential); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, %v; want %v", what, got, err, c.want)
			}
		}
		for _, actor := range []licensing.Actor{{}, {Kind: licensing.Anonymous}, {Kind: licensing.Staff, Line: d.License.Token.JTI}, {Kind: licensing.Holder, License: d.License.ID}} {
			if _, err := w.Current(w.as(actor), struct{}{}); !errors.Is(err, license.ErrCredential) {
				t.Errorf("%+v: %v", actor, err)
			}
		}
	})
}

// A token that has ended and was signed by a key that is revoked since speaks only if it is known that this very text was ours: whoever stole
// the key can sign the id of any token, and gets nothing by it.
func TestJ47_CurrentTokenAfterACompromise(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, timed(license.FromExpiry))
		d := w.keys.Deps
		d.Works, d.IDs, d.Jobs = e.Store.Resignings(), e.IDs, nudges{}
		w.keys = keyring.New(d)
		w = w.replica(t)
		kept, gone := w.issue(t, w.spec("line/1/1")).License, w.issue(t, w.spec("line/1/2")).License
		renew := func(l license.License) {
			if _, err := w.Renew(w.ctx, license.RenewRequest{ID: l.ID, Reason: "paid"}); err != nil {
				t.Fatal(err)
			}
		}
		renew(gone)
		if _, err := w.keys.Compromise(w.ctx, keyring.CompromiseRequest{KID: kept.Token.KID, Reason: "stolen"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.keys.WorkOff(t.Context(), w.Service); err != nil {
			t.Fatal(err)
		}
		w.answers(t, "the text that was signed again", kept.Token.Text, kept.ID)
		renew(kept)
		w.answers(t, "that text when the token has ended", kept.Token.Text, kept.ID)
		if got, err := w.fetch(t, gone.Token.Text); !errors.Is(err, license.ErrCredential) {
			t.Errorf("a token that nobody signed again: %v, %v", got, err)
		}
		forged := []byte(kept.Token.Text)
		forged[len(forged)-10] ^= 1
		if got, err := w.fetch(t, string(forged)); !errors.Is(err, license.ErrCredential) {
			t.Errorf("another text under the same id: %v, %v", got, err)
		}
	})
}

// While a license is renewed again and again, whoever asks with its first token is always answered with one that was current at that time, and
// never with an older one than before.
func TestCurrentToken_RacesRenewals(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, timed(license.FromExpiry))
		d := w.issue(t, w.spec("line/1/1"))
		renewed := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				until := int64(0)
				for done := false; !done; {
					select {
					case <-renewed:
						done = true
					default:
					}
					got, err := w.fetch(t, d.License.Token.Text)
					if err != nil || got.ValidUntil < until {
						t.Errorf("%v, %v after one until %d", got, err, until)
						return
					}
					until = got.ValidUntil
				}
			})
		}
		for range 20 {
			if _, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "paid"}); err != nil {
				t.Error(err)
			}
		}
		close(renewed)
		wg.Wait()
		if got, err := w.fetch(t, d.License.Token.Text); err != nil || got.ValidUntil != d.License.ValidUntil.Add(20*30*day).Unix() {
			t.Errorf("in the end: %v, %v", got, err)
		}
	})
}

// Beside a process of the version before, which writes no lines, the token of the old owner fetches nothing once it has transferred the license,
// though a process of this version renews the license again and again.
func TestCurrentToken_BesideTheVersionBefore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(license.KeepExpiry))
		d := w.issue(t, w.spec("line/1/1"))
		renew := func() string {
			if _, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "paid"}); err != nil {
				t.Fatal(err)
			}
			return w.token(t, d.License.ID).Text
		}
		before := func(text string) string {
			if _, err := w.DB.Exec(t.Context(), `UPDATE license_token SET first_jti = '' WHERE jti = (SELECT token_jti FROM license WHERE id = $1)`, d.License.ID); err != nil {
				t.Fatal(err)
			}
			return text
		}
		theirs := []string{d.License.Token.Text, renew(), renew()}
		w.answers(t, "renewed twice", theirs[0], d.License.ID)
		if _, err := w.Transfer(w.ctx, license.TransferRequest{ID: d.License.ID, To: w.person(t), Reason: "sold"}); err != nil {
			t.Fatal(err)
		}
		before("")
		mine := w.token(t, d.License.ID).Text
		refused := func(when string) {
			t.Helper()
			for i, text := range theirs {
				if got, err := w.fetch(t, text); !errors.Is(err, license.ErrCredential) {
					t.Errorf("%s, token %d: %v, %v", when, i, got, err)
				}
			}
		}
		refused("transferred")
		renew()
		refused("renewed by this version")
		w.answers(t, "the new owner's", mine, d.License.ID)
		before(renew())
		refused("renewed by the version before")
		last := w.token(t, d.License.ID).Text
		renew()
		renew()
		refused("renewed by this version again")
		w.answers(t, "the one of the version before", last, d.License.ID)
	})
}
