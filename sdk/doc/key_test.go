package doc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// Keys under which signatures can be forged, and other spellings of keys, are
// refused on entry.
func TestK01_SmallOrderAndNonCanonicalKeys(t *testing.T) {
	t.Parallel()
	for _, h := range []string{
		// the eight points of small order, with both signs where they have one
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		// encodings beyond the prime
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		// not on the curve
		"0200000000000000000000000000000000000000000000000000000000000000",
		"", "00", strings.Repeat("11", 31), strings.Repeat("11", 33),
	} {
		b, err := hex.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.CheckPublicKey(b); !errors.Is(err, doc.ErrKey) {
			t.Errorf("%s: %v", h, err)
		}
		if _, err := doc.Pin(b); err == nil {
			t.Errorf("%s pinned", h)
		}
		if _, err := doc.NewJWK(b, 1, doc.TypeLicense); err == nil {
			t.Errorf("%s in a keyset", h)
		}
	}
	for n := range byte(100) {
		if err := doc.CheckPublicKey(public(key(n))); err != nil {
			t.Errorf("good key %d: %v", n, err)
		}
	}
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if _, err := doc.NewSigner(other); !errors.Is(err, doc.ErrKey) {
		t.Errorf("signer of another kind: %v", err)
	}
	if _, err := doc.NewSigner(nil); !errors.Is(err, doc.ErrKey) {
		t.Errorf("no signer: %v", err)
	}
}

// The thumbprint is that of RFC 7638; the example is that of RFC 8037.
func TestThumbprint_RFC8037(t *testing.T) {
	t.Parallel()
	pub, err := doc.ParsePublicKey("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil || doc.Thumbprint(pub) != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Fatal(doc.Thumbprint(pub), err)
	}
}

func entry(t testing.TB, n byte) doc.JWK {
	t.Helper()
	j, err := doc.NewJWK(public(key(n)), t0, doc.TypeLicense, doc.TypeLease)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// keysetOf signs a keyset's payload, whatever it is, with root 9.
func keysetOf(payload string) string {
	return raw(key(9), `{"alg":"EdDSA","kid":"`+doc.Thumbprint(public(key(9)))+`","typ":"keyset+jwt"}`, payload)
}

func rootVerifier(t testing.TB) *doc.Verifier {
	t.Helper()
	roots, err := doc.PinRoots(public(key(9)))
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, t0+day)
	v.Keys = roots
	return v
}

// A keyset with one bad key in it is refused whole.
func TestK02_BadKeysetRefusedWhole(t *testing.T) {
	t.Parallel()
	v := rootVerifier(t)
	b, err := doc.Payload(&doc.Keyset{Issuer: issuer, IssuedAt: t0, Num: 3, Keys: []doc.JWK{entry(t, 1), entry(t, 2)}})
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	set, err := v.Keyset(keysetOf(good), 3)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := set.Trust()
	if err != nil || keys.Num() != 3 || keys.Issuer() != issuer || keys.Get(kid()) == nil {
		t.Fatal(keys, err)
	}
	two := entry(t, 2)
	for name, change := range map[string][2]string{
		"same key twice":      {two.KID + `","kty":"OKP","crv":"Ed25519","x":"` + two.X, entry(t, 1).KID + `","kty":"OKP","crv":"Ed25519","x":"` + entry(t, 1).X},
		"private d":           {`"kty":"OKP"`, `"d":"AAAA","kty":"OKP"`},
		"symmetric k":         {`"kty":"OKP"`, `"k":"AAAA","kty":"OKP"`},
		"RSA":                 {`"kty":"OKP"`, `"kty":"RSA"`},
		"X25519":              {`"crv":"Ed25519"`, `"crv":"X25519"`},
		"Ed448":               {`"crv":"Ed25519"`, `"crv":"Ed448"`},
		"other alg":           {`"alg":"EdDSA"`, `"alg":"HS256"`},
		"for encryption":      {`"use":"sig"`, `"use":"enc"`},
		"kid of another":      {`"kid":"` + two.KID, `"kid":"` + doc.Thumbprint(public(key(3)))},
		"other key":           {`"x":"` + two.X, `"x":"` + entry(t, 3).X},
		"zero key":            {`"x":"` + two.X, `"x":"` + strings.Repeat("A", 43)},
		"padded key":          {`"x":"` + two.X, `"x":"` + two.X + "="},
		"duplicate member":    {`"use":"sig"`, `"use":"sig","use":"sig"`},
		"twin member":         {`"use":"sig"`, `"use":"sig","Use":"sig"`},
		"roots empty":         {`"keys":`, `"roots":[],"keys":`},
		"root of small order": {`"keys":`, `"roots":[{"kid":"x","kty":"OKP","crv":"Ed25519","x":"` + strings.Repeat("A", 43) + `","alg":"EdDSA","use":"sig","state":"active","nbf":0}],"keys":`},
		"no state":            {`"state":"active",`, ""},
		"no number":           {`"num":3`, `"num":0`},
	} {
		if !strings.Contains(good, change[0]) {
			t.Fatalf("%s: keyset has no %s", name, change[0])
		}
		if _, err := v.Keyset(keysetOf(strings.Replace(good, change[0], change[1], 1)), 0); !errors.Is(err, doc.ErrPayload) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := verifier(t, t0+day).Keyset(keysetOf(good), 0); !errors.Is(err, doc.ErrUnknownKey) {
		t.Errorf("without roots: %v", err)
	}
	// neither a signing key nor a root does the other's work
	pinned, _ := doc.Pin(public(key(9)))
	v.Keys = pinned
	if _, err := v.Keyset(keysetOf(good), 0); !errors.Is(err, doc.ErrUnknownKey) {
		t.Errorf("keyset under a signing key: %v", err)
	}
	v = rootVerifier(t)
	if _, err := v.License(sign(t, key(9), license())); !errors.Is(err, doc.ErrUnknownKey) {
		t.Errorf("license under a root: %v", err)
	}
}

// A keyset below the highest number seen is refused; a revoked key is refused
// for everything it ever signed, a retired one for nothing.
func TestK12_J47_J48_KeysetNumberAndStates(t *testing.T) {
	t.Parallel()
	v := rootVerifier(t)
	set := &doc.Keyset{Issuer: issuer, IssuedAt: t0, Num: 7, Keys: []doc.JWK{entry(t, 1)}}
	text := sign(t, key(9), set)
	for floor, want := range map[int64]error{0: nil, 7: nil, 8: doc.ErrRollback} {
		if _, err := v.Keyset(text, floor); !errors.Is(err, want) {
			t.Errorf("floor %d: %v", floor, err)
		}
	}
	token := sign(t, key(1), license())
	for state, want := range map[string]error{doc.KeyActive: nil, doc.KeyStandby: nil, doc.KeyRetired: nil, doc.KeyRevoked: doc.ErrKeyRevoked} {
		set.Keys[0].State = state
		got, err := v.Keyset(sign(t, key(9), set), 0)
		if err != nil {
			t.Fatal(err)
		}
		w := verifier(t, t0+day)
		if w.Keys, err = got.Trust(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.License(token); !errors.Is(err, want) {
			t.Errorf("%s key: %v", state, err)
		}
	}
}

// A time of revocation alone revokes a key, whatever its state says.
func TestJ47_RevokedAtAlone(t *testing.T) {
	t.Parallel()
	k := doc.Key{KID: kid(), Public: public(key(1)), For: []string{doc.TypeLicense}, Aud: []string{"editor"}, State: doc.KeyActive}
	for at, want := range map[int64]error{0: nil, t0 + 2*day: doc.ErrKeyRevoked} {
		k.RevokedAt = at
		v := verifier(t, t0+day)
		v.Keys, _ = doc.NewKeys(k)
		if _, err := v.License(sign(t, key(1), license())); !errors.Is(err, want) {
			t.Errorf("revoked at %d: %v", at, err)
		}
	}
}

// Roots in a keyset replace the pinned ones, and may sign keysets alone.
func TestKeyset_RootsReplacePins(t *testing.T) {
	t.Parallel()
	set := &doc.Keyset{Issuer: issuer, IssuedAt: t0, Num: 1, Keys: []doc.JWK{entry(t, 1)}, Roots: []doc.JWK{entry(t, 8)}}
	got, err := rootVerifier(t).Keyset(sign(t, key(9), set), 0)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := got.TrustRoots()
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, t0+day)
	v.Keys = roots
	set.Num, set.Roots = 2, nil
	if _, err := v.Keyset(sign(t, key(8), set), 1); err != nil {
		t.Errorf("keyset under the new root: %v", err)
	}
	if _, err := v.Keyset(sign(t, key(9), set), 1); !errors.Is(err, doc.ErrUnknownKey) {
		t.Errorf("keyset under the old root: %v", err)
	}
	if _, err := v.License(sign(t, key(8), license())); !errors.Is(err, doc.ErrUnknownKey) {
		t.Errorf("license under the new root: %v", err)
	}
}
