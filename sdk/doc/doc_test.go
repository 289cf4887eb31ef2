package doc_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
)

const (
	issuer = "https://licenses.example.com"
	t0     = int64(1_800_000_000)
	day    = int64(86400)
)

// key returns a signing key that is the same in every run.
func key(n byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	return ed25519.NewKeyFromSeed(seed)
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func license() *doc.License {
	return &doc.License{
		Issuer: issuer, Audience: "editor", ID: "lic_0192f0c1a2b37c44", TokenID: "tok_0192f0c1a2b37c45",
		IssuedAt: t0, NotBefore: t0, Expires: t0 + 373*day, Env: doc.EnvLive, Type: doc.Timed, Plan: "pro",
		Customer: "cus_0192f0c1a2b37c46", ValidUntil: t0 + 366*day, MaxVersion: "2",
		Seats: doc.Seats{N: 5, By: doc.ByDevice}, Ent: map[string]doc.Value{"export": doc.On(), "projects": doc.Int(25)},
		Pol: doc.Policy{Expired: doc.ExpiredRestrict, ExpiryGrace: 7 * day, Activation: doc.ActivationRequired, Match: 2,
			Recheck: day, Fresh: 7 * day, Stale: 7 * day, Grace: 7 * day, Then: doc.ThenStop,
			Status: doc.StatusWarn, StatusMaxAge: 7 * day},
		Status: doc.StatusClaim{List: doc.StatusRef{Index: 4711, URI: issuer + "/v1/status/0"}},
	}
}

func lease() *doc.Lease {
	return &doc.Lease{
		Issuer: issuer, Audience: "editor", License: "lic_0192f0c1a2b37c44", TokenID: "les_1", IssuedAt: t0,
		Expires: t0 + 21*day, Env: doc.EnvLive, Activation: "act_1", Token: "tok_0192f0c1a2b37c45", Seq: 1,
		Device: map[string]string{"machine": doc.DeviceDigest("editor", "machine", "m1")}, Match: 1,
		RecheckAt: t0 + day, FreshUntil: t0 + 7*day, Ent: map[string]doc.Value{"export": doc.On()},
	}
}

func sign(t testing.TB, k ed25519.PrivateKey, d doc.Document) string {
	t.Helper()
	s, err := doc.NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Sign(d)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// verifier trusts key 1 for the product editor at an instant.
func verifier(t testing.TB, at int64) *doc.Verifier {
	t.Helper()
	keys, err := doc.Pin(public(key(1)))
	if err != nil {
		t.Fatal(err)
	}
	return &doc.Verifier{Keys: keys, Issuer: issuer, Audience: "editor", Now: func() time.Time { return time.Unix(at, 0) }}
}

// What was signed is read back, claim by claim.
func TestLicense_SignedIsReadBack(t *testing.T) {
	t.Parallel()
	token := sign(t, key(1), license())
	got, err := verifier(t, t0+day).License(token)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := doc.Payload(license())
	b, _ := doc.Payload(got)
	if string(a) != string(b) || len(got.Ent) != 2 || got.Pol.Recheck != day || got.Status.List.Index != 4711 {
		t.Fatalf("signed %s\nread   %s", a, b)
	}
	if _, err := verifier(t, t0+day).Lease(token); !errors.Is(err, doc.ErrHeader) {
		t.Fatalf("license taken as a lease: %v", err)
	}
	l, err := verifier(t, t0+day).Lease(sign(t, key(1), lease()))
	if err != nil || l.RestsOn(got) != nil {
		t.Fatal(err, l.RestsOn(got))
	}
}

// A license file carries its documents unchanged through mail that rewrites
// line ends.
func TestFile_RoundTrip(t *testing.T) {
	t.Parallel()
	in := doc.File{License: sign(t, key(1), license()), Keyset: "k", Lease: sign(t, key(1), lease())}
	text, err := doc.EncodeFile(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := doc.DecodeFile("\n  " + strings.ReplaceAll(text, "\n", "\r\n") + "\n")
	in.Version = 1
	if err != nil || out != in {
		t.Fatalf("%v\n%+v\n%+v", err, in, out)
	}
}
