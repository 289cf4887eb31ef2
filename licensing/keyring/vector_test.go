package keyring_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/c2sp/wycheproof"

	"github.com/mintreu/mintreu/sdk/doc"
)

// vectors reads a file of Wycheproof vectors.
func vectors(t *testing.T, name string, out any) {
	t.Helper()
	text, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
}

// Of Wycheproof's 151 Ed25519 signatures exactly the valid ones hold under keys that the SDK takes; and none of them, valid or not,
// lets a document through that it was not made for.
func TestJ50_WycheproofEd25519(t *testing.T) {
	t.Parallel()
	var file struct {
		TestGroups []struct {
			PublicKey struct{ PK string }
			Tests     []struct {
				TCID             int
				Msg, Sig, Result string
			}
		}
	}
	vectors(t, "ed25519_test.json", &file)
	own := seeded(t, 1)
	token := documents(t, own)[0]
	head, _ := splitLast(token)
	ran := 0
	for _, group := range file.TestGroups {
		pub := unhex(t, group.PublicKey.PK)
		if err := doc.CheckPublicKey(pub); err != nil {
			t.Errorf("key %s: %v", group.PublicKey.PK, err)
			continue
		}
		theirs := pinned(t, pub)
		for _, c := range group.Tests {
			ran++
			msg, sig := unhex(t, c.Msg), unhex(t, c.Sig)
			if got := ed25519.Verify(pub, msg, sig); got != (c.Result == "valid") {
				t.Errorf("vector %d: verifies %t, it is %s", c.TCID, got, c.Result)
			}
			text := base64.RawURLEncoding.EncodeToString(sig)
			if _, err := pinned(t, own.Public().(ed25519.PublicKey)).License(head + "." + text); err == nil {
				t.Errorf("vector %d: the signature lets a document of another key through", c.TCID)
			}
			header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"` + doc.Thumbprint(pub) + `","typ":"license+jwt"}`))
			if _, err := theirs.License(header + "." + base64.RawURLEncoding.EncodeToString(msg) + "." + text); err == nil {
				t.Errorf("vector %d: a signature over bytes lets a document through", c.TCID)
			}
		}
	}
	if ran != 151 {
		t.Errorf("%d vectors, want 151", ran)
	}
}

// Not one of Wycheproof's 484 signed or encrypted JOSE texts, good under their own keys or not, is a document for us, whatever type one
// takes it for; and none makes the verifier panic.
func TestJ51_WycheproofJOSE(t *testing.T) {
	t.Parallel()
	v := pinned(t, seeded(t, 1).Public().(ed25519.PublicKey))
	ran := 0
	for _, name := range []string{"json_web_signature_test.json", "json_web_crypto_test.json"} {
		var file struct {
			TestGroups []struct {
				Tests []struct {
					TCID     int
					JWS, JWE json.RawMessage
				}
			}
		}
		vectors(t, name, &file)
		for _, group := range file.TestGroups {
			for _, c := range group.Tests {
				ran++
				for _, raw := range []json.RawMessage{c.JWS, c.JWE} {
					text := string(raw) // of the JSON serialization
					var compact string
					if json.Unmarshal(raw, &compact) == nil {
						text = compact
					}
					if typ := acceptedAs(v, text); typ != "" {
						t.Errorf("%s %d is taken for a %s", name, c.TCID, typ)
					}
				}
			}
		}
	}
	if ran != 484 {
		t.Errorf("%d vectors, want 484", ran)
	}
}

// acceptedAs is the type of document that v takes text for, "" when it takes it for none.
func acceptedAs(v *doc.Verifier, text string) string {
	for typ, read := range map[string]func() error{
		doc.TypeLicense:    func() error { _, err := v.License(text); return err },
		doc.TypeLease:      func() error { _, err := v.Lease(text); return err },
		doc.TypeKeyset:     func() error { _, err := v.Keyset(text, 0); return err },
		doc.TypeStatusList: func() error { _, err := v.StatusList(text, issuer+"/v1/status/1"); return err },
		doc.TypeRelease:    func() error { _, err := v.Release(text); return err },
		doc.TypeReceipt:    func() error { _, err := v.Receipt(text); return err },
	} {
		if read() == nil {
			return typ
		}
	}
	return ""
}

// noon is when these tests take place.
var noon = time.Unix(1_800_000_000, 0).UTC()

// seeded is a key that is the same in every run.
func seeded(t *testing.T, n byte) ed25519.PrivateKey {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	return ed25519.NewKeyFromSeed(seed)
}

// pinned trusts one key at noon.
func pinned(t *testing.T, pub ed25519.PublicKey) *doc.Verifier {
	t.Helper()
	keys, err := doc.Pin(pub)
	if err != nil {
		t.Fatal(err)
	}
	return &doc.Verifier{Keys: keys, Issuer: issuer, Audience: "editor", Now: func() time.Time { return noon }}
}

// documents are good licenses signed with a key.
func documents(t *testing.T, key ed25519.PrivateKey) []string {
	t.Helper()
	signer, err := doc.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, jti := range []string{"tok_a", "tok_b"} {
		text, err := signer.Sign(sample(jti, noon.Unix()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	return out
}

func splitLast(token string) (head, sig string) {
	i := strings.LastIndexByte(token, '.')
	return token[:i], token[i+1:]
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
