package keyring_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// Every token that is minted verifies in the SDK and, with nothing but the published JWK set, in two other JOSE libraries, which
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
	n := 10_000
	if testing.Short() {
		n = 500
	}
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
	}
	if key, ok := lestrrat.Key(0); !ok || key.Algorithm() != jwa.EdDSA {
		t.Error("the JWK set does not name the algorithm")
	}
}
