package keyring_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	jwk3 "github.com/lestrrat-go/jwx/v3/jwk"
	jws3 "github.com/lestrrat-go/jwx/v3/jws"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/e2e/npmtest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// answer is what the npm package jose says of a token: why it refuses it, or the SHA-256 of the payload that it read.
type answer struct{ Error, Payload string }

// inNode reads tokens of a type with the npm package jose, under a JWK set and nothing else, at a time.
func inNode(t *testing.T, jwks []byte, typ string, now time.Time, tokens []string) []answer {
	t.Helper()
	in, err := json.Marshal(map[string]any{"jwks": json.RawMessage(jwks), "issuer": issuer, "audience": "editor", "typ": typ, "now": now.Unix(),
		"tolerance": doc.Skew, "tokens": tokens})
	if err != nil {
		t.Fatal(err)
	}
	text, err := npmtest.Run(t.Context(), npmtest.Need(t, npmtest.Jose), "testdata/jose.mjs", in)
	if err != nil {
		t.Fatal(err)
	}
	var out []answer
	if err := json.Unmarshal(text, &out); err != nil || len(out) != len(tokens) {
		t.Fatalf("jose answered %d of %d tokens: %v", len(out), len(tokens), err)
	}
	return out
}

// Every token that is minted verifies in the SDK and, with nothing but the published JWK set, in four other JOSE libraries, which
// read the same payload.
func TestJ54_MintedTokensVerifyEverywhere(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	k := founded(t, e)
	v := &doc.Verifier{Keys: trust(t, k, e, 0), Audience: "editor", Now: e.Clock.Now}
	text, err := k.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lestrrat, err := jwk.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var square jose.JSONWebKeySet
	if err := json.Unmarshal(text, &square); err != nil {
		t.Fatal(err)
	}
	third, err := jwk3.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	n := 10_000
	if testing.Short() {
		n = 500
	}
	var tokens []string
	var digests []string
	for i := range n {
		claims := sample(fmt.Sprintf("tok_%032x", i), e.Clock.Now().Unix())
		claims.Ent["n"] = doc.Int(int64(i))
		claims.Licensee = fmt.Sprintf("Ünïcode & <Sons> %d \" \\ ", i)
		token, kid, err := k.SignLicense(t.Context(), claims)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.License(token)
		if err != nil || got.TokenID != claims.TokenID || got.Licensee != claims.Licensee {
			t.Fatalf("token %d in the SDK: %v", i, err)
		}
		payload, err := jws.Verify([]byte(token), jws.WithKeySet(lestrrat))
		if err != nil {
			t.Fatalf("token %d in jwx: %v", i, err)
		}
		parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
		if err != nil {
			t.Fatalf("token %d in go-jose: %v", i, err)
		}
		same, err := parsed.Verify(square.Key(kid)[0].Key)
		if err != nil || string(same) != string(payload) {
			t.Fatalf("token %d in go-jose: %v", i, err)
		}
		if same, err = jws3.Verify([]byte(token), jws3.WithKeySet(third)); err != nil || string(same) != string(payload) {
			t.Fatalf("token %d in jwx v3: %v", i, err)
		}
		sum := sha256.Sum256(payload)
		tokens, digests = append(tokens, token), append(digests, hex.EncodeToString(sum[:]))
	}
	t.Run("jose", func(t *testing.T) {
		for i, a := range inNode(t, text, doc.TypeLicense, e.Clock.Now(), tokens) {
			if a.Error != "" || a.Payload != digests[i] {
				t.Fatalf("token %d in jose: %+v", i, a)
			}
		}
	})
	if key, ok := lestrrat.Key(0); !ok || key.Algorithm() != jwa.EdDSA {
		t.Error("the JWK set does not name the algorithm")
	}
}
