package keyring_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	lestrrat "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
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
		"jwx v3": func(token string) error {
			_, err := lestrrat.Parse([]byte(token), lestrrat.WithKey(jwa.EdDSA(), pub), lestrrat.WithIssuer(issuer), lestrrat.WithAudience("editor"),
				lestrrat.WithAcceptableSkew(leeway), lestrrat.WithClock(lestrrat.ClockFunc(clock)))
			return err
		},
	}
}

// corpus is tokens of a type and every kind: good ones, ones at the edges of their times, ones with claims of a wrong type, missing, twice or in
// another case, payloads that are no JSON to everybody, headers that ask for something, other spellings of a token, and good ones that were
// changed by chance, most of them signed anew.
func corpus(t *testing.T, key ed25519.PrivateKey, typ string, claims doc.Document) []string {
	t.Helper()
	raw, err := doc.Payload(claims)
	if err != nil {
		t.Fatal(err)
	}
	payload := string(raw)
	header := `{"alg":"EdDSA","kid":"` + doc.Thumbprint(key.Public().(ed25519.PublicKey)) + `","typ":"` + typ + `"}`
	signed := func(header, payload string) string {
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(text)))
	}
	good := signed(header, payload)
	out := []string{good}
	for _, p := range payloads(t, payload) {
		out = append(out, signed(header, p))
	}
	for _, h := range headers(header) {
		out = append(out, signed(h, payload))
	}
	out = append(out, spellings(good)...)
	r := rand.New(rand.NewPCG(53, 53))
	changed := func(text string, alphabet int) string {
		b := []byte(text)
		for range 1 + r.IntN(2) {
			switch i := r.IntN(len(b)); r.IntN(4) {
			case 0:
				b = append(b[:i:i], b[i+1:]...)
			case 1:
				b = append(b[:i:i], append([]byte{byte(r.IntN(alphabet))}, b[i:]...)...)
			case 2:
				b[i] ^= 1 << r.IntN(8)
			default:
				b[i] = byte(32 + r.IntN(95))
			}
		}
		return string(b)
	}
	for range chances(t) {
		out = append(out, changed(good, 128), signed(header, changed(payload, 256)), signed(changed(header, 256), payload))
	}
	return out
}

// chances is how many tokens of each kind are changed by chance.
func chances(t *testing.T) int {
	if testing.Short() {
		return 300
	}
	return storetest.Soak(1000, 30_000)
}

// payloads are what may become of a payload: each of its claims at the edge of time, of another type, gone, twice and in another case; and texts
// that are no JSON, or not to everybody.
func payloads(t *testing.T, payload string) []string {
	t.Helper()
	var out []string
	now := noon.Unix()
	for _, name := range claimNames(t, payload) {
		for _, at := range []int64{now - 3600, now - 61, now - 60, now - 59, now - 1, now, now + 1, now + 59, now + 60, now + 61, now + 3500} {
			out = append(out, with(t, payload, name, fmt.Sprint(at)))
		}
		for _, odd := range []string{`""`, `"other"`, `"1800000000"`, "1e18", "18e8", "1.5", "1800000000.0", "-0", "-1", "0", "9007199254740993", "1e400", "null", "true", "[]", "{}",
			`["editor"]`, `["editor","viewer"]`, `[null]`, `{"a":1}`, "0x10", "01", "+1", "NaN", "'x'", `"\ud800"`, `"\u0000"`, strings.Repeat("[", 30) + strings.Repeat("]", 30)} {
			out = append(out, with(t, payload, name, odd))
		}
		out = append(out, with(t, payload, name, ""), payload[:1]+`"`+name+`":null,`+payload[1:], payload[:1]+`"`+name+`":1,`+payload[1:], payload[:len(payload)-1]+`,"`+name+`":1}`,
			payload[:1]+`"`+strings.ToUpper(name)+`":1,`+payload[1:], strings.Replace(payload, `"`+name+`"`, `"`+strings.ToUpper(name)+`"`, 1), strings.Replace(payload, `"`+name+`"`, `"\u00`+fmt.Sprintf("%02x", name[0])+name[1:]+`"`, 1))
	}
	out = append(out, "", " ", "null", "[]", "{}", `"x"`, "1", "true", payload+"{}", payload+"x", payload+"\x00", payload+"\n", " "+payload, "\ufeff"+payload, payload[:len(payload)-1], payload[:len(payload)-1]+",}",
		"["+payload+"]", strings.ReplaceAll(payload, `,`, " ,\t"), "/**/"+payload, payload[:1]+"\"x\":\"\xff\","+payload[1:], payload[:1]+"\"x\":\"\x01\","+payload[1:],
		payload[:1]+`"x":`+strings.Repeat(`{"x":`, 20)+"1"+strings.Repeat("}", 20)+","+payload[1:], payload[:1]+`"__proto__":{"exp":1},`+payload[1:], payload[:1]+`"":1,`+payload[1:])
	return out
}

// headers are what a header may ask for beside what ours says.
func headers(header string) []string {
	bare := header[:len(header)-1]
	out := []string{`{"alg":"none"}`, `{"alg":"HS256","typ":"license+jwt"}`, `{"alg":"EdDSA"}`, `{}`, `[]`, "null", header + header, header + " ", " " + header, "\ufeff" + header, bare, bare + ",}"}
	for _, alg := range []string{"none", "None", "NONE", "", "HS256", "ES256", "RS256", "Ed25519", "eddsa", "EDDSA", "EdDSA "} {
		out = append(out, strings.Replace(header, "EdDSA", alg, 1))
	}
	for _, alg := range []string{"null", "1", `["EdDSA"]`, "{}", "true"} {
		out = append(out, strings.Replace(header, `"EdDSA"`, alg, 1))
	}
	for _, more := range []string{`"crit":["x"],"x":1`, `"crit":[]`, `"crit":["b64"],"b64":false`, `"crit":["b64"],"b64":true`, `"b64":false`, `"alg":"none"`, `"alg":"EdDSA"`, `"ALG":"none"`, `"kid":"other"`, `"zip":"DEF"`, `"cty":"JWT"`,
		`"jku":"http://127.0.0.1/keys"`, `"x5u":"http://127.0.0.1/keys"`, `"jwk":{"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, `"x5c":["junk"]`, `"x5t":"x"`, `"exp":1`, `"typ":"JWT"`, `"typ":1`, `"enc":"A128GCM"`} {
		out = append(out, bare+","+more+"}", "{"+more+","+header[1:])
	}
	for _, typ := range []string{`"JWT"`, `"at+jwt"`, `"application/license+jwt"`, `"LICENSE+JWT"`, "null", `""`} {
		out = append(out, header[:strings.LastIndexByte(header, ':')+1]+typ+"}")
	}
	return out
}

// spellings are other texts of one token.
func spellings(token string) []string {
	part := strings.Split(token, ".")
	out := []string{"Bearer " + token, token + "=", token + "==", token + "\n", " " + token, token + "\x00", token + ".", "." + token, token + "." + part[2], part[0] + "." + part[1], part[0] + ".." + part[2], part[0] + "." + part[1] + ".",
		strings.ReplaceAll(token, ".", ". "), strings.ReplaceAll(strings.ReplaceAll(token, "-", "+"), "_", "/"), strings.ToUpper(token), `"` + token + `"`,
		`{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`, `{"payload":"` + part[1] + `","signatures":[{"protected":"` + part[0] + `","signature":"` + part[2] + `"}]}`}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range part { // the last character's unused bits set, padding, and a line break within
		p := append([]string(nil), part...)
		last := strings.IndexByte(alphabet, p[i][len(p[i])-1])
		for bits := 1; bits < 4; bits++ {
			p[i] = part[i][:len(part[i])-1] + string(alphabet[last^bits])
			out = append(out, strings.Join(p, "."))
		}
		for _, other := range []string{part[i] + "=", part[i] + "==", part[i][:9] + "\n" + part[i][9:], part[i][:9] + "%" + part[i][10:], ""} {
			p[i] = other
			out = append(out, strings.Join(p, "."))
		}
	}
	return out
}

// claimNames are the names of the claims at a payload's top.
func claimNames(t *testing.T, payload string) []string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(m))
}

// with is a payload with another value of a claim at its top, or without the claim when the value is "". The other claims stay as they are spelt.
func with(t *testing.T, payload, claim, value string) string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		t.Fatal(err)
	}
	members := []string{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		text := string(m[name])
		if name == claim {
			text = value
		}
		if text != "" {
			members = append(members, `"`+name+`":`+text)
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// What any of four JOSE libraries refuses, the SDK refuses: it is never the most lenient reader. The corpus has enough that it takes for
// this to say something, and enough that each library takes and it does not.
func TestJ53_NeverTheMostLenient(t *testing.T) {
	t.Parallel()
	key := seeded(t, 1)
	pub := key.Public().(ed25519.PublicKey)
	v, libraries := pinned(t, pub), others(pub)
	jwks := fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":%q,"x":%q}]}`, doc.Thumbprint(pub), doc.FormatPublicKey(pub))
	license := sample("tok_c", noon.Unix()-100)
	lease := &doc.Lease{Issuer: issuer, Audience: "editor", License: license.ID, TokenID: "lse_1", IssuedAt: noon.Unix() - 100, Expires: noon.Unix() + 1700, Env: doc.EnvLive, Activation: "act_1", Token: license.TokenID,
		Seq: 3, Device: map[string]string{"board": "x"}, Match: 1, RecheckAt: noon.Unix() - 40, FreshUntil: noon.Unix() + 500, Ent: license.Ent}
	accepted, stricter, read := map[string]int{}, map[string]int{}, 0
	for typ, kind := range map[string]struct {
		claims doc.Document
		read   func(token string) error
	}{
		doc.TypeLicense: {license, func(token string) error { _, err := v.License(token); return err }},
		doc.TypeLease:   {lease, func(token string) error { _, err := v.Lease(token); return err }},
	} {
		tokens := corpus(t, key, typ, kind.claims)
		read += len(tokens)
		ours := make([]error, len(tokens))
		compare := func(t *testing.T, name string, i int, theirs error) {
			switch {
			case ours[i] == nil && theirs != nil:
				t.Errorf("%s refuses a %s that the SDK accepts: %v\n%s", name, typ, theirs, tokens[i])
			case ours[i] != nil && theirs == nil:
				stricter[name]++
				if errors.Is(ours[i], doc.ErrSignature) {
					t.Errorf("%s accepts a signature that the SDK refuses\n%s", name, tokens[i])
				}
			}
		}
		for i, token := range tokens {
			if ours[i] = kind.read(token); ours[i] == nil {
				accepted[typ]++
			}
			for name, read := range libraries {
				compare(t, name, i, read(token))
			}
		}
		t.Run("jose of "+typ, func(t *testing.T) { // the one that needs Node.js
			for i, a := range inNode(t, jwks, typ, noon, tokens) {
				var theirs error
				if a.Error != "" {
					theirs = errors.New(a.Error)
				}
				compare(t, "jose", i, theirs)
			}
			if stricter["jose"] == 0 {
				t.Error("jose takes nothing that the SDK refuses: too little to compare")
			}
		})
	}
	delete(stricter, "jose")
	if accepted[doc.TypeLicense] < 50 || accepted[doc.TypeLease] < 50 || len(stricter) != len(libraries) {
		t.Errorf("of %d tokens the SDK accepts %v; stricter than %v: too little to compare", read, accepted, stricter)
	}
	t.Logf("of %d tokens the SDK accepts %v; it is stricter than %v", read, accepted, stricter)
}
