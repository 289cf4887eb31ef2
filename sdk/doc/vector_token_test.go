package doc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// tokens is the table of documents: whose they are, what is wrong with them, and how they are then refused.
func tokens(t *testing.T) *tokenFile {
	t.Helper()
	f := &tokenFile{About: "Documents of every type, good and bad, and how a strict reader answers.", Issuer: issuer, Audience: "editor", Now: t0 + day,
		Roots: []string{doc.FormatPublicKey(public(key(9)))}, Trust: trusts(t)}
	f.goodCases(t)
	f.textCases(t)
	f.headerCases(t)
	f.payloadCases(t)
	f.claimCases(t)
	f.timeCases(t)
	f.keyCases(t)
	f.otherCases(t)
	return f
}

// trusts are the sets of keys that cases name.
func trusts(t *testing.T) map[string][]doc.JWK {
	entry := func(n byte, change func(*doc.JWK)) doc.JWK {
		j, err := doc.NewJWK(public(key(n)), t0, doc.TypeLicense, doc.TypeLease, doc.TypeStatusList, doc.TypeRelease, doc.TypeReceipt)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(&j)
		}
		return j
	}
	one := func(change func(*doc.JWK)) []doc.JWK { return []doc.JWK{entry(1, change)} }
	return map[string][]doc.JWK{
		"usual":   {entry(1, nil), entry(3, func(j *doc.JWK) { j.State = doc.KeyStandby })},
		"retired": one(func(j *doc.JWK) { j.State = doc.KeyRetired }),
		"revoked": one(func(j *doc.JWK) { j.State, j.RevokedAt = doc.KeyRevoked, t0+1 }),
		"leases":  one(func(j *doc.JWK) { j.For = []string{doc.TypeLease} }),
		"player":  one(func(j *doc.JWK) { j.Aud = []string{"player"} }),
		"both":    one(func(j *doc.JWK) { j.Aud = []string{"player", "editor"} }),
		"later":   one(func(j *doc.JWK) { j.NotBefore = t0 + 61 }),
		"skewed":  one(func(j *doc.JWK) { j.NotBefore = t0 + 60 }),
		"nobody":  {},
	}
}

// add appends a case of a license; change alters what is usual of it.
func (f *tokenFile) add(name, says, token, err string, change ...func(*tokenCase)) {
	c := tokenCase{Name: name, Says: says, Typ: doc.TypeLicense, Token: token, Error: err}
	for _, ch := range change {
		ch(&c)
	}
	f.Cases = append(f.Cases, c)
}

func of(typ string) func(*tokenCase) { return func(c *tokenCase) { c.Typ = typ } }

func under(trust string) func(*tokenCase) { return func(c *tokenCase) { c.Trust = trust } }

func at(now int64) func(*tokenCase) { return func(c *tokenCase) { c.Now = now } }

func from(uri string) func(*tokenCase) {
	return func(c *tokenCase) { c.Typ, c.URI = doc.TypeStatusList, uri }
}

func (f *tokenFile) goodCases(t *testing.T) {
	f.add("license", "A license with everything usual.", sign(t, key(1), license()), "")
	f.add("license-short", "A perpetual license with few claims.", sign(t, key(1), short()), "")
	l := license()
	l.Organisation, l.Licensee, l.UpdatesUntil, l.EntUntil = "org_1", "Zoë & Søn <Ltd> \"x\" \\ 😀", t0+90*day, map[string]int64{"export": t0 + 30*day}
	l.Pol.Then, l.Pol.Keep, l.Must = doc.ThenDegrade, []string{"export"}, []string{"exp", "ent_until"}
	f.add("license-long", "A license with every optional claim, and names in must that are known.", sign(t, key(1), l), "")
	f.add("license-unknown-claims", "Unknown claims are ignored, whatever they hold.", raw(key(1), head(""), payload(t, `{"iss"`, `{"new":{"a":[1,2.5,-3e2,null,true,"x"]},"iss"`)), "")
	f.add("license-spaced", "White space between tokens of JSON is no fault.", raw(key(1), head(""), " \n\t\r"+payload(t, `{"iss"`, "{ \n\"iss\"")+"\n"), "")
	f.add("license-escaped", "Claims may be escaped as JSON allows.", raw(key(1), head(""), payload(t, `"iss"`, `"\u0069ss"`, `"editor"`, `"\u0065dit\u006fr"`)), "")
	f.add("license-emoji", "A surrogate pair is one character.", raw(key(1), head(""), payload(t, `{"iss"`, `{"x":"\ud83d\ude00","iss"`)), "")
	f.add("header-order", "The members of a header have no order, and white space between them is no fault.", raw(key(1), `{ "typ":"license+jwt", "kid":"`+kid()+`" ,"alg":"EdDSA"}`, payload(t)), "")
	f.add("license-depth-8", "A payload may nest eight deep.", raw(key(1), head(""), payload(t, `{"iss"`, `{"x":[[[[[[[]]]]]]],"iss"`)), "")
	f.add("license-test", "A test license where test licenses are wanted.", raw(key(1), head(""), payload(t, `"env":"live"`, `"env":"test"`)), "", func(c *tokenCase) { c.Env = "test" })
	f.add("standby-key", "A standby key verifies.", raw(key(3), strings.Replace(head(""), kid(), doc.Thumbprint(public(key(3))), 1), payload(t)), "")
	f.add("retired-key", "A retired key verifies.", sign(t, key(1), license()), "", under("retired"))
	f.add("lease", "A lease.", sign(t, key(1), lease()), "", of(doc.TypeLease))
	e := lease()
	e.Borrowed, e.Nonce, e.User, e.EntUntil = true, "n-1", doc.UserDigest("editor", "ada"), map[string]int64{"export": t0 + day}
	f.add("lease-long", "A lease with every optional claim.", sign(t, key(1), e), "", of(doc.TypeLease))
	for _, d := range append([]doc.Document{vectorList()}, documents()[3:]...) {
		f.add(strings.TrimSuffix(d.Typ(), "+jwt"), "A document of type "+d.Typ()+".", sign(t, key(1), d), "", of(d.Typ()), func(c *tokenCase) {
			if d.Typ() == doc.TypeStatusList {
				c.URI = issuer + "/v1/status/0"
			}
		})
	}
}

func (f *tokenFile) textCases(t *testing.T) {
	good := sign(t, key(1), license())
	part := strings.Split(good, ".")
	for _, c := range []struct{ name, says, token, err string }{
		{"text-empty", "Nothing.", "", "malformed"}, {"text-dots", "Two dots and nothing else.", "..", "malformed"},
		{"text-two-parts", "The signature is missing.", part[0] + "." + part[1], "malformed"}, {"text-empty-signature", "The signature is empty.", part[0] + "." + part[1] + ".", "malformed"},
		{"text-empty-payload", "The payload is empty.", part[0] + ".." + part[2], "malformed"}, {"text-empty-header", "The header is empty.", "." + part[1] + "." + part[2], "malformed"},
		{"text-four-parts", "There is a fourth part.", good + ".AAAA", "malformed"}, {"text-trailing-dot", "There is a dot at the end.", good + ".", "malformed"},
		{"text-space-before", "A space stands before the text.", " " + good, "malformed"}, {"text-newline-after", "A line end stands behind the text.", good + "\n", "malformed"},
		{"text-newline-within", "A line end stands in the payload.", part[0] + "." + part[1][:9] + "\n" + part[1][9:] + "." + part[2], "malformed"},
		{"text-padded", "The signature is padded.", good + "=", "malformed"}, {"text-standard-alphabet", "The header has a character of standard base64.", "+" + good, "malformed"},
		{"text-nul", "A NUL stands in the text.", part[0] + "\x00." + part[1] + "." + part[2], "malformed"},
		{"text-json", "The flattened JSON form.", `{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`, "malformed"},
		{"text-claims-only", "Bare claims without a signature.", payload(t), "malformed"},
		{"text-unused-bits", "The last character of the signature has unused bits set.", good[:len(good)-1] + next(good[len(good)-1]), "malformed"},
		{"text-too-long", "The text is a byte longer than its type allows.", strings.Repeat("A", doc.MaxLicense+1), "too_long"},
		{"text-good-but-long", "A well-signed text is refused for its length.", raw(key(1), head(""), payload(t, `{"iss"`, `{"x":"`+strings.Repeat("x", 6000)+`","iss"`)), "too_long"},
		{"text-garbage-at-the-cap", "A text as long as allowed that is nothing.", strings.Repeat("A", doc.MaxLicense), "malformed"},
	} {
		f.add(c.name, c.says, c.token, c.err)
	}
	flipped := []byte(good)
	flipped[len(part[0])+20] ^= 3
	f.add("text-payload-changed", "A character of the payload was changed.", string(flipped), "signature")
	f.add("text-signature-of-another", "The signature is of another document.", part[0]+"."+part[1]+"."+strings.Split(sign(t, key(1), short()), ".")[2], "signature")
	sig, err := b64.DecodeString(part[2])
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string][]byte{"short": sig[:63], "long": append(append([]byte{}, sig...), 0), "twice": append(append([]byte{}, sig...), sig...), "zero": make([]byte, 64),
		"swapped": append(append([]byte{}, sig[32:]...), sig[:32]...), "s-plus-order": plusOrder(sig)} {
		f.add("signature-"+name, "The signature's bytes are wrong: "+name+".", part[0]+"."+part[1]+"."+b64.EncodeToString(s), "signature")
	}
	sortCases(f.Cases)
}

// next is the character of base64url after c whose value has the lowest bit set.
func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)|1])
}

func (f *tokenFile) headerCases(t *testing.T) {
	p := payload(t)
	alg := func(a string) string { return strings.Replace(head(""), `"EdDSA"`, a, 1) }
	for i, a := range []string{`"none"`, `"None"`, `"HS256"`, `"ES256"`, `"Ed25519"`, `"eddsa"`, `["EdDSA"]`, `7`, `null`, `""`, `"\u0045dDSA"`} {
		f.add(fmt.Sprintf("alg-%02d", i+1), "The algorithm is "+a+", whatever the signature.", raw(key(1), alg(a), p), "header")
	}
	for i, more := range []string{`,"crit":["exp"],"exp":1`, `,"crit":[]`, `,"b64":false`, `,"b64":false,"crit":["b64"]`, `,"zip":"DEF"`, `,"cty":"JWT"`, `,"jku":"https://evil.example.com/k"`,
		`,"x5u":"https://evil.example.com/c"`, `,"jwk":{"kty":"OKP","crv":"Ed25519","x":"` + doc.FormatPublicKey(public(key(1))) + `"}`, `,"x5c":["AAAA"]`, `,"x":1`, `,"Alg":"EdDSA"`, `,"alg":"EdDSA"`, `,"kid":"` + kid() + `"`} {
		f.add(fmt.Sprintf("header-member-%02d", i+1), "The header has one member more, under a good signature: "+more[1:], raw(key(1), head(more), p), "header")
	}
	for i, typ := range []string{`"JWT"`, `"at+jwt"`, `"LICENSE+JWT"`, `"application/license+jwt"`, `"lease+jwt"`, `""`, `null`} {
		f.add(fmt.Sprintf("typ-%02d", i+1), "The type is "+typ+" where a license is wanted.", raw(key(1), strings.Replace(head(""), `"license+jwt"`, typ, 1), p), "header")
	}
	f.add("typ-missing", "The header has no type.", raw(key(1), `{"alg":"EdDSA","kid":"`+kid()+`"}`, p), "header")
	f.add("kid-missing", "The header has no kid.", raw(key(1), `{"alg":"EdDSA","typ":"license+jwt"}`, p), "header")
	f.add("header-array", "The header is no object.", raw(key(1), `[]`, p), "header")
	f.add("header-trailing", "Text stands behind the header's object.", raw(key(1), head("")+"x", p), "header")
	for i, k := range []string{"../../etc/passwd", "' OR 1=1--", kid() + " ", kid()[:42], strings.ToLower(kid())} {
		f.add(fmt.Sprintf("kid-%02d", i+1), "The kid is "+k+", which names no key.", raw(key(1), strings.Replace(head(""), kid(), k, 1), p), "unknown_key")
	}
	f.add("lease-as-license", "A lease is presented as a license.", sign(t, key(1), lease()), "header")
	f.add("license-as-lease", "A license is presented as a lease.", sign(t, key(1), license()), "header", of(doc.TypeLease))
}

func (f *tokenFile) payloadCases(t *testing.T) {
	p := payload(t)
	for i, c := range []struct{ says, payload string }{
		{"an array", "[]"}, {"null", "null"}, {"a string", `"x"`}, {"an empty object", "{}"}, {"two objects", p + "{}"}, {"text behind the object", p + "x"}, {"a byte order mark", "\ufeff" + p},
		{"a comma too many", strings.Replace(p, ",", ",,", 1)}, {"a comma before the end", strings.Replace(p, "}", ",}", 1)}, {"an open object", strings.TrimSuffix(p, "}")},
		{"a member twice", payload(t, `{"iss"`, `{"exp":1900000000,"iss"`)}, {"a member twice, once escaped", payload(t, `{"iss"`, `{"\u0065xp":1900000000,"iss"`)},
		{"a member that differs in case alone", payload(t, `{"iss"`, `{"EXP":1900000000,"iss"`)}, {"a member that folds to a known one", payload(t, `{"iss"`, `{"iſs":"x","iss"`)},
		{"an unknown member twice", payload(t, `{"iss"`, `{"x":1,"x":1,"iss"`)}, {"a member twice in an unknown object", payload(t, `{"iss"`, `{"x":{"y":1,"y":2},"iss"`)},
		{"a twin within pol", payload(t, `"then":"stop"`, `"then":"stop","THEN":"advisory"`)}, {"invalid UTF-8", payload(t, `{"iss"`, "{\"x\":\"\xff\",\"iss\"")},
		{"an overlong form of UTF-8", payload(t, `{"iss"`, "{\"x\":\"\xc0\xaf\",\"iss\"")}, {"a surrogate in UTF-8", payload(t, `{"iss"`, "{\"x\":\"\xed\xa0\x80\",\"iss\"")},
		{"a lone high surrogate", payload(t, `{"iss"`, `{"x":"\ud800","iss"`)}, {"a lone low surrogate", payload(t, `{"iss"`, `{"x":"\udc00","iss"`)}, {"a bad escape", payload(t, `{"iss"`, `{"x":"\x41","iss"`)},
		{"a control character", payload(t, `{"iss"`, "{\"x\":\"\n\",\"iss\"")}, {"nine levels", payload(t, `{"iss"`, `{"x":[[[[[[[[]]]]]]]],"iss"`)}, {"a number with a leading zero", payload(t, `{"iss"`, `{"x":01,"iss"`)},
		{"NaN", payload(t, `{"iss"`, `{"x":NaN,"iss"`)}, {"Infinity", payload(t, `{"iss"`, `{"x":Infinity,"iss"`)}, {"a number without digits behind its point", payload(t, `{"iss"`, `{"x":1.,"iss"`)},
		{"single quotes", strings.Replace(p, `"iss"`, `'iss'`, 1)}, {"a comment", "/**/" + p},
	} {
		f.add(fmt.Sprintf("payload-%02d", i+1), "The payload, well signed, is or has "+c.says+".", raw(key(1), head(""), c.payload), "payload")
	}
}

func (f *tokenFile) claimCases(t *testing.T) {
	exp := fmt.Sprintf(`"exp":%d`, t0+373*day)
	for i, bad := range []string{`"1893456000"`, `1e18`, `1e400`, `-1`, `null`, `true`, `1893456000.0`, `1893456000.5`, `0`, `253402300800`, `9223372036854775808`, `[]`, `{}`, `-0`} {
		f.add(fmt.Sprintf("exp-%02d", i+1), "The exp is "+bad+".", raw(key(1), head(""), payload(t, exp, `"exp":`+bad)), "payload")
	}
	f.add("exp-missing", "A license that ends has no exp.", raw(key(1), head(""), payload(t, exp+`,`, ``)), "payload")
	for _, name := range []string{"iss", "aud", "sub", "jti", "iat", "nbf", "env", "type", "plan", "cus", "seats", "ent", "pol", "status"} {
		f.add("without-"+name, "The claim "+name+" is missing.", raw(key(1), head(""), payload(t, `"`+name+`":`, `"other":`)), "payload")
		f.add(name+"-null", "The claim "+name+" is null.", raw(key(1), head(""), payload(t, `"`+name+`":`, `"`+name+`":null,"other":`)), "payload")
	}
	for _, name := range []string{"n", "by", "floating", "expired", "expiry_grace", "activation", "match", "recheck", "fresh", "stale", "grace", "then", "status_max_age", "idx", "uri", "status_list"} {
		f.add("without-member-"+name, "The member "+name+" is missing where it is needed; a number that is missing is not a zero.", raw(key(1), head(""), payload(t, `"`+name+`":`, `"other":`)), "payload")
	}
	for i, c := range []struct{ says, old, new, err string }{
		{"The audience is a list.", `"aud":"editor"`, `"aud":["editor"]`, "payload"}, {"A feature is false.", `"export":true`, `"export":false`, "payload"},
		{"A feature is null.", `"export":true`, `"export":null`, "payload"}, {"A feature is a fraction.", `"export":true`, `"export":1.5`, "payload"},
		{"A feature is beyond 2^53.", `"export":true`, `"export":9007199254740993`, "payload"}, {"A feature's code has upper case.", `"export":true`, `"Export":true`, "payload"},
		{"The seats are negative.", `"n":`, `"n":-1,"m":`, "payload"}, {"The index of the status list is beyond it.", `"idx":4711`, `"idx":131072`, "payload"},
		{"The license ends before it begins.", fmt.Sprintf(`"nbf":%d`, t0), fmt.Sprintf(`"nbf":%d`, t0+400*day), "payload"},
		{"The commercial end is behind the hard end.", fmt.Sprintf(`"valid_until":%d`, t0+366*day), fmt.Sprintf(`"valid_until":%d`, t0+374*day), "payload"},
		{"The environment is unknown.", `"env":"live"`, `"env":"LIVE"`, "unsupported"}, {"What happens then is unknown.", `"then":"stop"`, `"then":"explode"`, "unsupported"},
		{"The type is unknown.", `"type":"timed"`, `"type":"weekly"`, "unsupported"}, {"What takes a seat is unknown.", `"by":"device"`, `"by":"room"`, "unsupported"},
		{"A name in must is unknown.", `{"iss"`, `{"geo":"DE","must":["exp","geo"],"iss"`, "unsupported"},
		{"The issuer has a slash at its end.", `"iss":"` + issuer + `"`, `"iss":"` + issuer + `/"`, "issuer"}, {"The issuer is in upper case.", `"iss":"https://l`, `"iss":"HTTPS://l`, "issuer"},
		{"The license is for another product.", `"aud":"editor"`, `"aud":"player"`, "audience"}, {"The product differs in case.", `"aud":"editor"`, `"aud":"Editor"`, "audience"},
		{"The product is a star.", `"aud":"editor"`, `"aud":"*"`, "audience"}, {"A test license in live use.", `"env":"live"`, `"env":"test"`, "env"},
	} {
		f.add(fmt.Sprintf("claim-%02d", i+1), c.says, raw(key(1), head(""), payload(t, c.old, c.new)), c.err)
	}
	f.add("issuer-of-the-reader", "The reader expects another issuer.", sign(t, key(1), license()), "issuer", func(c *tokenCase) { c.Issuer = "https://other.example.com" })
	f.add("live-in-test", "A live license where test licenses are wanted.", sign(t, key(1), license()), "env", func(c *tokenCase) { c.Env = "test" })
}

func (f *tokenFile) timeCases(t *testing.T) {
	good := sign(t, key(1), license())
	for _, c := range []struct {
		name, says string
		now        int64
		err        string
	}{
		{"iat-61-early", "61 seconds before nbf and iat.", t0 - 61, "not_yet_valid"}, {"iat-60-early", "60 seconds before them, which is the skew.", t0 - 60, ""}, {"begin", "At nbf.", t0, ""},
		{"exp-before", "A second before exp.", t0 + 373*day - 1, ""}, {"exp-at", "At exp.", t0 + 373*day, ""}, {"exp-59-late", "59 seconds behind exp.", t0 + 373*day + 59, ""},
		{"exp-60-late", "60 seconds behind exp, where the skew ends.", t0 + 373*day + 60, "expired"}, {"exp-61-late", "61 seconds behind exp.", t0 + 373*day + 61, "expired"}, {"exp-year-late", "A year behind exp.", t0 + 730*day, "expired"},
	} {
		f.add("time-"+c.name, c.says, good, c.err, at(c.now))
	}
	ahead := license()
	ahead.IssuedAt = t0 + day + 61
	f.add("time-issued-ahead", "The license was issued 61 seconds from now.", sign(t, key(1), ahead), "not_yet_valid")
	f.add("time-lease-end", "A lease 60 seconds behind its exp.", sign(t, key(1), lease()), "expired", of(doc.TypeLease), at(t0+21*day+60))
	f.add("time-lease-last", "A lease 59 seconds behind its exp.", sign(t, key(1), lease()), "", of(doc.TypeLease), at(t0+21*day+59))
}

func (f *tokenFile) keyCases(t *testing.T) {
	good := sign(t, key(1), license())
	f.add("key-unknown", "The key is not trusted at all.", good, "unknown_key", under("nobody"))
	f.add("key-other-installation", "The license is of another installation, signed by its own key.", raw(key(2), strings.Replace(head(""), kid(), doc.Thumbprint(public(key(2))), 1), payload(t)), "unknown_key")
	f.add("key-under-our-kid", "Another key signed under our kid.", raw(key(2), head(""), payload(t)), "signature")
	f.add("key-revoked", "The key was revoked.", good, "key_revoked", under("revoked"))
	f.add("key-for-leases", "The key may sign leases alone.", good, "unknown_key", under("leases"))
	f.add("key-of-another-product", "The key is of another product.", good, "unknown_key", under("player"))
	f.add("key-of-two-products", "The key is of two products, this one among them.", good, "", under("both"))
	f.add("key-later", "The license was issued more than 60 seconds before its key was valid.", good, "unknown_key", under("later"))
	f.add("key-skewed", "The license was issued 60 seconds before its key was valid.", good, "", under("skewed"))
}
