package keyring_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// The JWK set has the signing keys, no root, and nothing private.
func TestJWKSIsPublic(t *testing.T) {
	t.Parallel()
	k := founded(t, storetest.SQLite(t))
	text, err := k.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	roots, err := k.Roots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 3 || strings.Contains(string(text), roots[0]) {
		t.Errorf("JWKS %s", text)
	}
	for _, key := range set.Keys {
		if key["d"] != nil || key["crv"] != "Ed25519" || key["alg"] != "EdDSA" || key["use"] != "sig" {
			t.Errorf("key %v", key)
		}
	}
	if keys, err := keyring.ParseJWKS(text); err != nil || len(keys) != 3 {
		t.Errorf("our own set: %d keys, %v", len(keys), err)
	}
}

// jwkOf is a set of one Ed25519 key.
func jwkOf(pub []byte) string {
	return `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + doc.FormatPublicKey(pub) + `"}]}`
}

// Keys of small order and encodings that are not canonical are refused on import: signatures under them can be forged.
func TestK01_WeakKeysRefused(t *testing.T) {
	t.Parallel()
	weak := [][]byte{
		make([]byte, 32), append([]byte{1}, make([]byte, 31)...), // order 4 and 1
		append(bytes.Repeat([]byte{0}, 31), 0x80), append(append([]byte{1}, make([]byte, 30)...), 0x80),
	}
	p := append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f) // 2^255-19
	for d := byte(0); d < 3; d++ {                                             // p-1 (order 2), p, p+1
		low := append([]byte{}, p...)
		low[0] = 0xec + d
		high := append([]byte{}, low...)
		high[31] |= 0x80
		weak = append(weak, low, high)
	}
	for _, y := range []string{
		"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
		"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
	} {
		high := []byte(y)
		high[31] |= 0x80
		weak = append(weak, []byte(y), high)
	}
	if len(weak) != 14 {
		t.Fatalf("%d keys, want the 14", len(weak))
	}
	for _, key := range weak {
		if _, err := keyring.ParseJWKS([]byte(jwkOf(key))); !errors.Is(err, doc.ErrKey) {
			t.Errorf("%x: %v", key, err)
		}
	}
	good, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := keyring.ParseJWKS([]byte(jwkOf(good))); err != nil || !keys[0].Equal(good) {
		t.Errorf("a good key: %v", err)
	}
}

// One bad member refuses the whole set.
func TestK02_BadMemberRefusesTheSet(t *testing.T) {
	t.Parallel()
	pub, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	x := doc.FormatPublicKey(pub)
	good := `{"kty":"OKP","crv":"Ed25519","x":"` + x + `","kid":"` + doc.Thumbprint(pub) + `"}`
	for name, bad := range map[string]string{
		"twice":       good,
		"private":     `{"kty":"OKP","crv":"Ed25519","x":"` + x + `","d":"` + doc.FormatPublicKey(private.Seed()) + `"}`,
		"other curve": `{"kty":"OKP","crv":"Ed448","x":"` + x + `"}`,
		"X25519":      `{"kty":"OKP","crv":"X25519","x":"` + x + `"}`,
		"RSA":         `{"kty":"RSA","n":"` + strings.Repeat("A", 342) + `","e":"AQAB"}`,
		"secret":      `{"kty":"oct","k":"` + x + `"}`,
		"wrong kid":   `{"kty":"OKP","crv":"Ed25519","x":"` + doc.FormatPublicKey(mustKey(t)) + `","kid":"1"}`,
		"short":       `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`,
	} {
		if keys, err := keyring.ParseJWKS([]byte(`{"keys":[` + good + `,` + bad + `]}`)); !errors.Is(err, doc.ErrKey) || keys != nil {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	for name, text := range map[string]string{"nothing": "", "no keys": `{"keys":[]}`, "long": strings.Repeat(" ", 40<<10) + `{"keys":[` + good + `]}`} {
		if _, err := keyring.ParseJWKS([]byte(text)); !errors.Is(err, doc.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mustKey(t *testing.T) ed25519.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// No private seed lies in the database in the clear.
func TestK10_SeedsAreSealed(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	founded(t, e)
	keys, err := e.Store.Keyring().Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	master, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		seed, err := master.Open(k.Sealed, "signing_key/"+k.KID+"/sealed")
		if err != nil {
			t.Fatal(err)
		}
		if len(seed) != ed25519.SeedSize || bytes.Contains(k.Sealed, seed) {
			t.Errorf("key %s lies open", k.KID)
		}
		if _, err := master.Open(k.Sealed, "signing_key/other/sealed"); err == nil {
			t.Error("a sealed key opens elsewhere")
		}
	}
}
