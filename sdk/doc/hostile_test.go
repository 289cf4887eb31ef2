package doc_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

var b64 = base64.RawURLEncoding

// raw signs any header and payload with a key.
func raw(k ed25519.PrivateKey, header, payload string) string {
	text := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	return text + "." + b64.EncodeToString(ed25519.Sign(k, []byte(text)))
}

func kid() string { return doc.Thumbprint(public(key(1))) }

// head is a good header with further members.
func head(more string) string {
	return `{"alg":"EdDSA","kid":"` + kid() + `","typ":"license+jwt"` + more + `}`
}

// payload is a good license payload with replacements, which must apply.
func payload(t testing.TB, oldnew ...string) string {
	t.Helper()
	b, err := doc.Payload(license())
	if err != nil {
		t.Fatal(err)
	}
	s := string(b)
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(s, oldnew[i]) {
			t.Fatalf("payload has no %s", oldnew[i])
		}
		s = strings.Replace(s, oldnew[i], oldnew[i+1], 1)
	}
	return s
}

// refuses demands that a license token is refused for the given reason.
func refuses(t testing.TB, name, token string, want error) {
	t.Helper()
	l, err := verifier(t, t0+day).License(token)
	if l != nil || !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", name, err, want)
	}
}

// A token is refused whatever its header says but the one thing it must say:
// other algorithms, with or without a signature, and every way to bring one's
// own key.
func TestJ01_J02_J03_J04_J05_J07_J08_AlgorithmsRefused(t *testing.T) {
	t.Parallel()
	p := payload(t)
	good := raw(key(1), head(""), p)
	if _, err := verifier(t, t0+day).License(good); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	alg := func(a string) string { return strings.Replace(head(""), `"EdDSA"`, a, 1) }
	none := b64.EncodeToString([]byte(alg(`"none"`))) + "." + parts[1] + "."
	refuses(t, "J01 none without signature", none, doc.ErrMalformed)
	refuses(t, "J01 none without dot", strings.TrimSuffix(none, "."), doc.ErrMalformed)
	for _, a := range []string{`"None"`, `"nOnE"`, `"none"`, `"HS256"`, `"ES256"`, `"RS256"`, `"PS256"`, `"Ed25519"`, `"Ed448"`,
		`"eddsa"`, `"EDDSA"`, `"EdDSA "`, `"EdDSA\u0000"`, `"\u0045dDSA"`, `["EdDSA"]`, `7`, `null`, `true`, `{}`, `""`} {
		refuses(t, "alg "+a, raw(key(1), alg(a), p), doc.ErrHeader)
	}
	for i, secret := range [][]byte{public(key(1)), []byte(doc.FormatPublicKey(public(key(1)))),
		[]byte("-----BEGIN PUBLIC KEY-----\n" + base64.StdEncoding.EncodeToString(public(key(1))) + "\n-----END PUBLIC KEY-----\n"),
		[]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + doc.FormatPublicKey(public(key(1))) + `"}`)} {
		text := b64.EncodeToString([]byte(alg(`"HS256"`))) + "." + parts[1]
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(text))
		refuses(t, fmt.Sprintf("J04 HMAC with the public key %d", i), text+"."+b64.EncodeToString(m.Sum(nil)), doc.ErrHeader)
	}
	refuses(t, "J08 huge alg", raw(key(1), alg(`"`+strings.Repeat("A", 1<<20)+`"`), p), doc.ErrTooLong)
	refuses(t, "J08 big alg", raw(key(1), alg(`"`+strings.Repeat("A", 1<<10)+`"`), p), doc.ErrHeader)
}

// The key is chosen by kid among those trusted for the type, and by nothing
// else.
func TestJ09_J10_J11_KeySelection(t *testing.T) {
	t.Parallel()
	p := payload(t)
	with := func(k string) string { return strings.Replace(head(""), `"`+kid()+`"`, k, 1) }
	refuses(t, "J09 without kid", raw(key(1), strings.Replace(head(""), `"kid":"`+kid()+`",`, "", 1), p), doc.ErrHeader)
	refuses(t, "J09 empty kid", raw(key(1), with(`""`), p), doc.ErrHeader)
	refuses(t, "J09 kid of another", raw(key(1), with(`"`+doc.Thumbprint(public(key(2)))+`"`), p), doc.ErrUnknownKey)
	refuses(t, "J09 other key under our kid", raw(key(2), head(""), p), doc.ErrSignature)
	for _, k := range []string{"../../etc/passwd", "/dev/null", "k1\x01", "' OR 1=1--", "{$ne:1}", strings.ToLower(kid()), kid() + " ", kid()[:42]} {
		want := doc.ErrUnknownKey
		if strings.Contains(k, "\x01") {
			want = doc.ErrHeader
		}
		refuses(t, "J10 J11 kid "+k, raw(key(1), with(`"`+k+`"`), p), want)
	}
	refuses(t, "J10 escaped NUL", raw(key(1), with(`"k1\u0000"`), p), doc.ErrHeader)
	refuses(t, "J09 kid null", raw(key(1), with(`null`), p), doc.ErrHeader)
	refuses(t, "J09 kid array", raw(key(1), with(`["`+kid()+`"]`), p), doc.ErrHeader)
}

// No header member beside alg, kid and typ is taken, even under a good
// signature, and no address in one is ever called.
func TestJ13_J14_J15_J16_J17_J19_J20_J21_J22_HeaderMembersRefused(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer srv.Close()
	p := payload(t)
	jwk := func(k ed25519.PrivateKey) string {
		return `{"kty":"OKP","crv":"Ed25519","x":"` + doc.FormatPublicKey(public(k)) + `"}`
	}
	for _, more := range []string{
		`,"jku":"` + srv.URL + `"`, `,"x5u":"` + srv.URL + `"`, `,"jwk":` + jwk(key(1)), `,"jwk":` + jwk(key(2)),
		`,"x5c":["AAAA"]`, `,"x5t":"AAAA"`, `,"x5t#S256":"AAAA"`, `,"crit":["exp"],"exp":1`, `,"crit":["foo"],"foo":1`, `,"crit":[]`,
		`,"b64":false,"crit":["b64"]`, `,"b64":false`, `,"b64":true`, `,"zip":"DEF"`, `,"cty":"JWT"`, `,"x":1`, `,"Alg":"EdDSA"`,
		`,"alg":"EdDSA"`, `,"kid":"` + kid() + `"`, `,"":""`, `,"iss":"x"`, ` , `, `,`,
	} {
		refuses(t, "good signature, "+more, raw(key(1), head(more), p), doc.ErrHeader)
		refuses(t, "attacker, "+more, raw(key(2), head(more), p), doc.ErrHeader)
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d connections to the address in the header", n)
	}
}

// A document is read only as what its typ says.
func TestJ23_TypesAreNotInterchangeable(t *testing.T) {
	t.Parallel()
	p := payload(t)
	for _, typ := range []string{`"at+jwt"`, `"JWT"`, `"jwt"`, `"LICENSE+JWT"`, `"application/license+jwt"`, `""`, `null`, `"lease+jwt"`} {
		refuses(t, "typ "+typ, raw(key(1), strings.Replace(head(""), `"license+jwt"`, typ, 1), p), doc.ErrHeader)
	}
	refuses(t, "no typ", raw(key(1), `{"alg":"EdDSA","kid":"`+kid()+`"}`, p), doc.ErrHeader)
	v := verifier(t, t0+day)
	tokens := map[string]string{}
	for _, d := range documents() {
		tokens[d.Typ()] = sign(t, key(1), d)
	}
	for typ, token := range tokens {
		reads := map[string]error{}
		_, reads[doc.TypeLicense] = v.License(token)
		_, reads[doc.TypeLease] = v.Lease(token)
		_, reads[doc.TypeStatusList] = v.StatusList(token, issuer+"/v1/status/0")
		_, reads[doc.TypeRelease] = v.Release(token)
		_, reads[doc.TypeReceipt] = v.Receipt(token)
		_, reads[doc.TypeKeyset] = v.Keyset(token, 0)
		for as, err := range reads {
			if as == typ && err != nil || as != typ && !errors.Is(err, doc.ErrHeader) && !errors.Is(err, doc.ErrTooLong) {
				t.Errorf("%s read as %s: %v", typ, as, err)
			}
		}
	}
}

// documents is one of each type that a pinned key signs.
func documents() []doc.Document {
	var bits doc.StatusBits
	bits.Set(4711, doc.StatusSuspended)
	return []doc.Document{license(), lease(),
		&doc.StatusList{Issuer: issuer, URI: issuer + "/v1/status/0", IssuedAt: t0, Expires: t0 + 2*day, TTL: 3600, List: bits.Encode()},
		&doc.Release{Issuer: issuer, Audience: "editor", Version: "2.1.0", IssuedAt: t0,
			Files: []doc.ReleaseFile{{Name: "editor.zip", Size: 1 << 30, SHA256: strings.Repeat("0a", 32)}}},
		&doc.Receipt{Issuer: issuer, Source: "src_1", Seq: 1, SHA: strings.Repeat("ff", 32), IssuedAt: t0}}
}

// No member appears twice, in no spelling.
func TestJ26_DuplicateAndTwinMembers(t *testing.T) {
	t.Parallel()
	for _, twin := range []string{`"exp":1900000000,`, `"EXP":1900000000,`, `"Seats":{"n":9,"by":"device","floating":false},`,
		`"seats":{"n":9,"by":"device","floating":false},`, `"\u0065xp":1900000000,`, `"i\u017Fs":"x",`, "\"i\u017fs\":\"x\",", `"x":1,"x":1,`,
		`"x":{"y":1,"y":2},`, `"x":[{"y":1,"\u0079":2}],`, `"Must":["x"],`} {
		refuses(t, twin, raw(key(1), head(""), payload(t, `{"iss"`, `{`+twin+`"iss"`)), doc.ErrPayload)
	}
	refuses(t, "twin within pol", raw(key(1), head(""), payload(t, `"then":"stop"`, `"then":"stop","THEN":"advisory"`)), doc.ErrPayload)
	refuses(t, "twin entitlement", raw(key(1), head(""), payload(t, `"export":true`, `"export":true,"export":true`)), doc.ErrPayload)
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintf(&many, `"m%d":0,`, i)
	}
	if _, err := verifier(t, t0+day).License(raw(key(1), head(""), payload(t, `{"iss"`, `{`+many.String()+`"iss"`))); err != nil {
		t.Errorf("300 unknown members: %v", err)
	}
	refuses(t, "far duplicate", raw(key(1), head(""), payload(t, `{"iss"`, `{`+many.String()+`"m7":1,"iss"`)), doc.ErrPayload)
	refuses(t, "far duplicate of a known one", raw(key(1), head(""), payload(t, `{"iss"`, `{`+many.String()+`"iss":"x","iss"`)), doc.ErrPayload)
}

// One signature has one text: no padding, no unused bits, no space, no other
// number of parts, no other serialisation.
func TestJ27_J29_J30_J31_J32_J33_J34_OneSpelling(t *testing.T) {
	t.Parallel()
	// a payload of 3n+1 bytes has unused bits in its last character
	var good string
	for _, pad := range []string{"", " ", "  "} {
		good = raw(key(1), head(pad), payload(t)+pad)
		part := strings.Split(good, ".")
		for i := range part {
			refuses(t, "J27 padded", strings.Join(append(append(append([]string{}, part[:i]...), part[i]+"="), part[i+1:]...), "."), doc.ErrMalformed)
			for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
				other := part[i][:len(part[i])-1] + string(c)
				if other == part[i] {
					continue
				}
				changed := append([]string{}, part...)
				changed[i] = other
				if _, err := verifier(t, t0+day).License(strings.Join(changed, ".")); err == nil {
					t.Errorf("J29 part %d with last character %c accepted", i, c)
				}
			}
		}
		for _, space := range []string{"\r", "\n", "\t", " ", "\r\n", "\x00", "\ufeff", "\u00a0", "+", "/", "%2e"} {
			for i := 0; i <= len(good); i += 37 {
				refuses(t, "J30 J31 inserted", good[:i]+space+good[i:], doc.ErrMalformed)
			}
			refuses(t, "J30 after", good+space, doc.ErrMalformed)
		}
	}
	part := strings.Split(good, ".")
	for _, text := range []string{good + ".", good + ".AAAA", "." + good, part[0] + "." + part[1], part[0] + ".." + part[2], "." + part[1] + "." + part[2],
		part[0] + "." + part[1] + ".", "", ".", "..", "...", payload(t),
		`{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`,
		`{"payload":"` + part[1] + `","signatures":[{"protected":"` + part[0] + `","signature":"` + part[2] + `"},{"protected":"` + part[0] + `","signature":"AAAA"}]}`,
		`{"payload":"` + part[1] + `","header":{"alg":"EdDSA"},"signature":"` + part[2] + `"}`} {
		refuses(t, "J31 J32 J33 J34 "+text[:min(30, len(text))], text, doc.ErrMalformed)
	}
}

// The payload is one JSON object in UTF-8, shallow, with nothing after it.
func TestJ36_J37_J38_PayloadShape(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"", "[]", "null", `"x"`, "1", "true", "{}", "{} {}", "{", `{"iss":}`, "[" + payload(t) + "]", payload(t) + "x",
		payload(t) + "{}", payload(t) + "\x00", "\ufeff" + payload(t), strings.Replace(payload(t), ",", ",,", 1), strings.Replace(payload(t), "}", ",}", 1),
		strings.Replace(payload(t), `"iss"`, `'iss'`, 1), "/**/" + payload(t)} {
		want := doc.ErrPayload
		if p == "" {
			want = doc.ErrMalformed
		}
		refuses(t, "J37 "+p[:min(20, len(p))], raw(key(1), head(""), p), want)
	}
	for _, bad := range []string{"\xff", "\xc0\xaf", "\xed\xa0\x80", `\ud800`, `\udc00`, `\ud800x`, `\ud800\ud800`, `\ud800\u0041`, `\u12`, `\x41`, "\n", "\t", "\x01", `\`} {
		refuses(t, fmt.Sprintf("J36 %q", bad), raw(key(1), head(""), payload(t, `{"iss"`, `{"x":"`+bad+`","iss"`)), doc.ErrPayload)
		refuses(t, fmt.Sprintf("J36 name %q", bad), raw(key(1), head(""), payload(t, `{"iss"`, `{"`+bad+`":1,"iss"`)), doc.ErrPayload)
	}
	for _, good := range []string{`\ud83d\ude00`, "\U0001F600", `\"\\\/\b\f\n\r\t\u0000`} {
		if _, err := verifier(t, t0+day).License(raw(key(1), head(""), payload(t, `{"iss"`, `{"x":"`+good+`","iss"`))); err != nil {
			t.Errorf("unknown member with %q: %v", good, err)
		}
	}
	nest := func(n int) string {
		return payload(t, `{"iss"`, `{"x":`+strings.Repeat("[", n-1)+strings.Repeat("]", n-1)+`,"iss"`)
	}
	for depth, want := range map[int]error{7: nil, 8: nil, 9: doc.ErrPayload, 1000: doc.ErrPayload, 9_000: doc.ErrTooLong, 100_000: doc.ErrTooLong} {
		refusesOrNot(t, fmt.Sprintf("J38 %d deep", depth), raw(key(1), head(""), nest(depth)), want)
	}
	for _, n := range []string{"01", "-", "1.", ".5", "1e", "+1", "NaN", "Infinity", "0x1", "1_0"} {
		refuses(t, "number "+n, raw(key(1), head(""), payload(t, `{"iss"`, `{"x":`+n+`,"iss"`)), doc.ErrPayload)
	}
}

func refusesOrNot(t testing.TB, name, token string, want error) {
	t.Helper()
	if _, err := verifier(t, t0+day).License(token); !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", name, err, want)
	}
}
