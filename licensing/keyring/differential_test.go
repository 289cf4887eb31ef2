package keyring_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v2/jwa"
	lestrrat "github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/mintreu/mintreu/sdk/doc"
)

// leeway is the tolerance on times, in all libraries alike.
const leeway = doc.Skew * time.Second

// others are the libraries that vendors' back ends use, each told what the SDK knows: key, algorithm, issuer, audience and time.
func others(pub ed25519.PublicKey) map[string]func(token string) error {
	clock := func() time.Time { return noon }
	return map[string]func(string) error{
		"golang-jwt": func(token string) error {
			_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return pub, nil }, jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer(issuer),
				jwt.WithAudience("editor"), jwt.WithLeeway(leeway), jwt.WithIssuedAt(), jwt.WithTimeFunc(clock))
			return err
		},
		"go-jose": func(token string) error {
			parsed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
			if err != nil {
				return err
			}
			var claims josejwt.Claims
			if err := parsed.Claims(pub, &claims); err != nil {
				return err
			}
			return claims.ValidateWithLeeway(josejwt.Expected{Issuer: issuer, AnyAudience: josejwt.Audience{"editor"}, Time: noon}, leeway)
		},
		"jwx": func(token string) error {
			_, err := lestrrat.Parse([]byte(token), lestrrat.WithKey(jwa.EdDSA, pub), lestrrat.WithIssuer(issuer), lestrrat.WithAudience("editor"),
				lestrrat.WithAcceptableSkew(leeway), lestrrat.WithClock(lestrrat.ClockFunc(clock)))
			return err
		},
	}
}

// corpus is tokens of every kind: good ones, ones at the edges of their times, ones with claims of a wrong type, and good ones that were
// changed by chance, some of them signed anew.
func corpus(t *testing.T, key ed25519.PrivateKey) []string {
	t.Helper()
	pub := key.Public().(ed25519.PublicKey)
	signed := func(header, payload string) string {
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(text)))
	}
	header := `{"alg":"EdDSA","kid":"` + doc.Thumbprint(pub) + `","typ":"license+jwt"}`
	out := documents(t, key)
	raw, err := doc.Payload(sample("tok_c", noon.Unix()-100))
	if err != nil {
		t.Fatal(err)
	}
	payload := string(raw)
	now := noon.Unix()
	for _, claim := range []string{"exp", "nbf", "iat", "valid_until"} {
		for _, at := range []int64{now - 61, now - 60, now - 59, now - 1, now, now + 1, now + 59, now + 60, now + 61, now + 3500} {
			out = append(out, signed(header, replaced(t, payload, claim, fmt.Sprint(at))))
		}
		for _, odd := range []string{`"1800000000"`, "1e18", "1.5", "-1", "null", "true", "[]", "{}", "0"} {
			out = append(out, signed(header, replaced(t, payload, claim, odd)))
		}
	}
	for _, claim := range []string{"iss", "aud", "sub", "jti", "env"} {
		for _, odd := range []string{`""`, `"other"`, "null", "7", `["editor"]`, `["editor","viewer"]`, `{"a":1}`} {
			out = append(out, signed(header, replaced(t, payload, claim, odd)))
		}
	}
	for _, h := range []string{`{"alg":"none"}`, `{"alg":"HS256","typ":"license+jwt"}`, header[:len(header)-1] + `,"crit":["x"],"x":1}`,
		header[:len(header)-1] + `,"b64":false,"crit":["b64"]}`, header[:len(header)-1] + `,"alg":"none"}`, strings.Replace(header, "EdDSA", "Ed25519", 1)} {
		out = append(out, signed(h, payload))
	}
	r := rand.New(rand.NewPCG(53, 53))
	good := out[0]
	for range 3000 {
		b := []byte(good)
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		out = append(out, string(b))
		p := []byte(payload)
		p[r.IntN(len(p))] = byte(32 + r.IntN(95))
		out = append(out, signed(header, string(p)))
	}
	return out
}

// replaced is a payload with another value of a claim at its top.
func replaced(t *testing.T, payload, claim, value string) string {
	t.Helper()
	i := strings.Index(payload, `"`+claim+`":`)
	if i < 0 {
		t.Fatalf("no claim %s", claim)
	}
	i += len(claim) + 3
	end := i + strings.IndexByte(payload[i:], ',')
	return payload[:i] + value + payload[end:]
}

// What any of three JOSE libraries refuses, the SDK refuses: it is never the most lenient reader. The corpus has enough that it takes for
// this to say something.
func TestJ53_NeverTheMostLenient(t *testing.T) {
	t.Parallel()
	key := seeded(t, 1)
	pub := key.Public().(ed25519.PublicKey)
	v, libraries := pinned(t, pub), others(pub)
	accepted, stricter := 0, map[string]int{}
	tokens := corpus(t, key)
	for _, token := range tokens {
		_, err := v.License(token)
		if err == nil {
			accepted++
		}
		for name, read := range libraries {
			switch theirs := read(token); {
			case err == nil && theirs != nil:
				t.Errorf("%s refuses what the SDK accepts: %v\n%s", name, theirs, token)
			case err != nil && theirs == nil:
				stricter[name]++
				if errors.Is(err, doc.ErrSignature) {
					t.Errorf("%s accepts a signature that the SDK refuses\n%s", name, token)
				}
			}
		}
	}
	if accepted < 20 || len(stricter) == 0 {
		t.Errorf("of %d tokens the SDK accepts %d; stricter than %v: too little to compare", len(tokens), accepted, stricter)
	}
	t.Logf("of %d tokens the SDK accepts %d; it is stricter than %v", len(tokens), accepted, stricter)
}
