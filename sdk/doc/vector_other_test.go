package doc_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// otherCases has leases, keysets, status lists, releases and receipts that are refused, and keysets that are taken.
func (f *tokenFile) otherCases(t *testing.T) {
	uri := issuer + "/v1/status/0"
	signed := func(n byte, typ, body string) string {
		return raw(key(n), `{"alg":"EdDSA","kid":"`+doc.Thumbprint(public(key(n)))+`","typ":"`+typ+`"}`, body)
	}
	text := func(d doc.Document, oldnew ...string) string {
		b, err := doc.Payload(d)
		if err != nil {
			t.Fatal(err)
		}
		s := string(b)
		for i := 0; i < len(oldnew); i += 2 {
			if !strings.Contains(s, oldnew[i]) {
				t.Fatalf("%s has no %s", s, oldnew[i])
			}
			s = strings.Replace(s, oldnew[i], oldnew[i+1], 1)
		}
		return s
	}
	bad := func(n byte, name, says string, d doc.Document, err string, oldnew ...string) {
		f.add(name, says, signed(n, d.Typ(), text(d, oldnew...)), err, of(d.Typ()), func(c *tokenCase) {
			if c.Typ == doc.TypeStatusList {
				c.URI = uri
			}
		})
	}
	list, release, receipt := vectorList(), documents()[3], documents()[4]
	bad(1, "lease-seq-0", "The seq of a lease is 0.", lease(), "payload", `"seq":1`, `"seq":0`)
	bad(1, "lease-without-act", "A lease without an activation.", lease(), "payload", `"act":`, `"acts":`)
	bad(1, "lease-of-player", "A lease of another product.", lease(), "audience", `"aud":"editor"`, `"aud":"player"`)
	bad(1, "lease-must", "A lease demands what is unknown.", lease(), "unsupported", `{"iss"`, `{"must":["floor"],"iss"`)
	bad(1, "status-one-bit", "A status list of one bit each.", list, "payload", `"bits":2`, `"bits":1`)
	bad(1, "status-without-list", "A status list without its list.", list, "payload", `"lst":`, `"list":`)
	f.add("status-of-another-address", "A status list that says it is of another address.", sign(t, key(1), list), "mismatch", from(issuer+"/v1/status/1"))
	f.add("status-late", "A status list a minute behind its end.", sign(t, key(1), list), "expired", from(uri), at(t0+2*day+60))
	f.add("status-too-long", "A status list longer than its type allows.", strings.Repeat("A", doc.MaxStatusList+1), "too_long", from(uri))
	bad(1, "release-sha-upper", "The hash of a file is in upper case.", release, "payload", `"sha256":"0a`, `"sha256":"0A`)
	bad(1, "release-of-player", "A release of another product.", release, "audience", `"aud":"editor"`, `"aud":"player"`)
	bad(1, "receipt-sha-short", "The hash of a receipt is too short.", receipt, "payload", `"sha":"ff`, `"sha":"f`)
	bad(1, "receipt-of-another", "A receipt of another issuer.", receipt, "issuer", `"iss":"https://licenses`, `"iss":"https://other`)

	set := oneKey(t)
	set.Num = 7
	f.add("keyset", "A keyset, signed by a root.", sign(t, key(9), set), "", of(doc.TypeKeyset))
	f.add("keyset-again", "The keyset seen last is taken again.", sign(t, key(9), set), "", of(doc.TypeKeyset), func(c *tokenCase) { c.Floor = 7 })
	f.add("keyset-rollback", "A keyset older than one seen.", sign(t, key(9), set), "rollback", of(doc.TypeKeyset), func(c *tokenCase) { c.Floor = 8 })
	f.add("keyset-by-signing-key", "A keyset signed by a signing key.", sign(t, key(1), set), "unknown_key", of(doc.TypeKeyset))
	bad(9, "keyset-private", "A keyset with the private half of a key.", set, "payload", `"x":`, `"d":"AAAA","x":`)
	bad(9, "keyset-bad-kid", "A key whose kid is not its thumbprint.", set, "payload", `"kid":"`+kid()[:4], `"kid":"AAAA`)
	of1 := set.Keys[0]
	bad(9, "keyset-no-kid", "A key without its thumbprint.", set, "payload", `"kid":"`+of1.KID+`",`, ``)
	bad(9, "keyset-no-x", "A key without what it is.", set, "payload", `"x":"`+of1.X+`",`, ``)
	bad(9, "keyset-no-kty", "A key that does not say of which kind it is.", set, "payload", `"kty":"OKP",`, ``)
	bad(9, "keyset-kid-null", "A thumbprint that is null.", set, "payload", `"kid":"`+of1.KID+`"`, `"kid":null`)
	bad(9, "keyset-kid-number", "A thumbprint that is a number.", set, "payload", `"kid":"`+of1.KID+`"`, `"kid":7`)
	bad(9, "keyset-x-list", "A key that is a list.", set, "payload", `"x":"`+of1.X+`"`, `"x":["`+of1.X+`"]`)
	bad(9, "keyset-x-empty", "A key that is empty.", set, "payload", `"x":"`+of1.X+`"`, `"x":""`)
	bad(9, "keyset-x-padded", "A key in base64 with padding.", set, "payload", `"x":"`+of1.X+`"`, `"x":"`+of1.X+`="`)
	bad(9, "keyset-for-text", "A key for a text in place of a list.", set, "payload", `"for":[`, `"for":"license+jwt","form":[`)
	bad(9, "keyset-entry-text", "A text in place of a key.", set, "payload", `"keys":[`, `"keys":["key",`)
	bad(9, "keyset-keys-object", "An object in place of the keys.", set, "payload", `"keys":[`, `"keys":{"0":[]},"more":[`)
	bad(9, "keyset-roots-null", "Roots that are null.", set, "payload", `"keys":[`, `"roots":null,"keys":[`)
	bad(9, "keyset-rsa", "A key of another kind.", set, "payload", `"kty":"OKP"`, `"kty":"RSA"`)
	bad(9, "keyset-x25519", "A key of another curve.", set, "payload", `"crv":"Ed25519"`, `"crv":"X25519"`)
	bad(9, "keyset-state", "A key in an unknown state.", set, "unsupported", `"state":"active"`, `"state":"sleeping"`)
	bad(9, "keyset-num-0", "A keyset without a number.", set, "payload", `"num":7`, `"num":0`)
	twice := oneKey(t)
	twice.Keys = append(twice.Keys, twice.Keys[0])
	bad(9, "keyset-key-twice", "A keyset with a key twice.", twice, "payload")
	small := oneKey(t)
	small.Keys[0].X = strings.Repeat("A", 43)
	bad(9, "keyset-small-order", "A key of small order.", small, "payload")
	roots := oneKey(t)
	roots.Roots = slices.Clone(roots.Keys)
	roots.Roots[0].KID, roots.Roots[0].X = doc.Thumbprint(public(key(8))), doc.FormatPublicKey(public(key(8)))
	f.add("keyset-new-roots", "A keyset that replaces the roots.", sign(t, key(9), roots), "", of(doc.TypeKeyset))
}

func sortCases(cases []tokenCase) {
	slices.SortStableFunc(cases, func(a, b tokenCase) int { return strings.Compare(a.Name, b.Name) })
}

// plusOrder is a signature whose S is the same number modulo the order, in a longer spelling.
func plusOrder(sig []byte) []byte {
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}
	out, carry := bytes.Clone(sig), 0
	for j, o := range order {
		sum := int(out[32+j]) + int(o) + carry
		out[32+j], carry = byte(sum), sum>>8
	}
	return out
}

type fileCase struct {
	Name  string    `json:"name"`
	Says  string    `json:"says"`
	Text  string    `json:"text"`
	Error string    `json:"error,omitempty"`
	File  *doc.File `json:"file,omitempty"`
}

func licenseFiles(t testing.TB) []fileCase {
	t.Helper()
	full := doc.File{Version: 1, License: sign(t, key(1), short()), Keyset: sign(t, key(9), oneKey(t)), Lease: sign(t, key(1), lease()), StatusList: "s.t.l"}
	bare := doc.File{Version: 1, License: full.License, Keyset: full.Keyset}
	text, err := doc.EncodeFile(full)
	if err != nil {
		t.Fatal(err)
	}
	short, err := doc.EncodeFile(bare)
	if err != nil {
		t.Fatal(err)
	}
	armour := func(json string) string {
		return "-----BEGIN MINTREU LICENSE-----\n" + base64.StdEncoding.EncodeToString([]byte(json)) + "\n-----END MINTREU LICENSE-----\n"
	}
	return []fileCase{
		{"full", "A file with all its parts.", text, "", &full},
		{"bare", "A file with the license and its keyset alone.", short, "", &bare},
		{"mailed", "A file that travelled by mail: other line ends, space around it.", "\n  " + strings.ReplaceAll(short, "\n", "\r\n") + "\n", "", &bare},
		{"one-line", "A file whose lines were joined.", strings.ReplaceAll(short, "\n", " "), "", &bare},
		{"unknown-member", "A member from a later version is ignored.", armour(`{"v":1,"license":"a.b.c","keyset":"d.e.f","more":{"x":1}}`), "", &doc.File{Version: 1, License: "a.b.c", Keyset: "d.e.f"}},
		{"empty", "Nothing.", "", "malformed", nil},
		{"no-end", "The last line is missing.", strings.TrimSuffix(short, "-----END MINTREU LICENSE-----\n"), "malformed", nil},
		{"other-armour", "The armour of something else.", strings.ReplaceAll(short, "LICENSE", "CERTIFICATE"), "malformed", nil},
		{"text-before", "Text stands before the armour.", "Dear Ada,\n" + short, "malformed", nil},
		{"not-base64", "The body is not base64.", strings.Replace(short, "\ney", "\n*y", 1), "malformed", nil},
		{"url-alphabet", "The body is in the alphabet of URLs.", strings.Replace(short, "\ney", "\n-_", 1), "malformed", nil},
		{"not-json", "The body is no JSON.", armour("license"), "payload", nil},
		{"duplicate", "A member appears twice.", armour(`{"v":1,"license":"a","license":"b","keyset":"k"}`), "payload", nil},
		{"twin", "A member differs from a known one in case alone.", armour(`{"v":1,"license":"a","License":"b","keyset":"k"}`), "payload", nil},
		{"trailing", "Text stands behind the object.", armour(`{"v":1,"license":"a","keyset":"k"}{}`), "payload", nil},
		{"no-license", "The license is missing.", armour(`{"v":1,"keyset":"k"}`), "payload", nil},
		{"no-keyset", "The keyset is missing.", armour(`{"v":1,"license":"a"}`), "payload", nil},
		{"version-2", "A version that is not known.", armour(`{"v":2,"license":"a","keyset":"k"}`), "unsupported", nil},
	}
}

type statusCase struct {
	Name   string         `json:"name"`
	Says   string         `json:"says"`
	List   string         `json:"lst"`
	Error  string         `json:"error,omitempty"`
	Values map[int64]byte `json:"values,omitempty"`
}

// stored is a zlib stream of stored blocks, which is the same whatever compressor made it.
func stored(raw []byte) string {
	var b bytes.Buffer
	z, _ := zlib.NewWriterLevel(&b, zlib.NoCompression)
	z.Write(raw) // a bytes.Buffer takes everything
	z.Close()
	return b64.EncodeToString(b.Bytes())
}

// vectorList is a status list whose text does not depend on a compressor.
func vectorList() *doc.StatusList {
	list := documents()[2].(*doc.StatusList)
	list.List.List = stored([]byte{0xc9, 0x44, 0xf9})
	return list
}

func statusBits(t testing.TB) []statusCase {
	t.Helper()
	full := make([]byte, doc.StatusListSize/4)
	full[0], full[len(full)-1] = 0b11_10_01_00, 0b10_00_00_00
	good := stored([]byte{0xc9, 0x44, 0xf9})
	return []statusCase{
		{"draft", "The example of two-bit statuses in the Token Status List draft.", good, "", map[int64]byte{0: 1, 1: 2, 2: 0, 3: 3, 4: 0, 5: 1, 6: 0, 7: 1, 8: 1, 9: 2, 10: 3, 11: 3}},
		{"short", "An index beyond a short list is invalid, and so is one beyond any list.", good, "", map[int64]byte{12: 1, 131071: 1, 131072: 1, -1: 1}},
		{"full", "A full list has 131072 indexes, the lowest bits of a byte first.", stored(full), "", map[int64]byte{0: 0, 1: 1, 2: 2, 3: 3, 4: 0, 131070: 0, 131071: 2}},
		{"empty", "A stream of nothing is no list.", stored(nil), "payload", nil},
		{"too-long", "A list that inflates to one byte more than a full one.", stored(append(full, 0)), "payload", nil},
		{"cut", "A stream that is cut off.", good[:len(good)-6], "payload", nil},
		{"checksum", "A stream whose checksum is wrong.", good[:len(good)-1] + next(good[len(good)-1]^4), "payload", nil},
		{"not-zlib", "No zlib stream.", "AAAA", "payload", nil},
		{"padded", "Padded base64.", good + "=", "payload", nil},
		{"nothing", "No text.", "", "payload", nil},
	}
}

type digestCase struct {
	Name      string `json:"name"`
	Says      string `json:"says"`
	Product   string `json:"product"`
	Component string `json:"component"`
	Value     string `json:"value"`
	Digest    string `json:"digest"`
}

func digests() []digestCase {
	cases := []digestCase{
		{"machine", "A machine's id.", "editor", "machine", "4c4c4544-0042", ""}, {"other-product", "The same id in another product has another digest.", "player", "machine", "4c4c4544-0042", ""},
		{"other-component", "The same value in another component has another digest.", "editor", "disk", "4c4c4544-0042", ""}, {"user", "A user.", "editor", "user", "ada@example.com", ""},
		{"unicode", "Values are UTF-8, as they are.", "editor", "host", "Zoë’s laptop", ""}, {"empty", "An empty value.", "editor", "host", "", ""}, {"equals", "A value with an equals sign.", "editor", "host", "a=b", ""},
	}
	for i := range cases {
		cases[i].Digest = doc.DeviceDigest(cases[i].Product, cases[i].Component, cases[i].Value)
	}
	return cases
}

type keyCase struct {
	Name    string `json:"name"`
	Says    string `json:"says"`
	Text    string `json:"text"`
	Checked bool   `json:"checked"`
	Key     string `json:"key"`
}

func licenseKeys(t testing.TB) []keyCase {
	t.Helper()
	k, err := doc.NewLicenseKey("EDIT", bytes.NewReader([]byte{0, 1, 2, 3, 24, 25, 26, 27, 28, 29, 30, 31, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0, 1}))
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.ReplaceAll(k[5:], "-", "")
	same := func(name, says, text string) keyCase { return keyCase{name, says, text, true, k} }
	other := func(name, says, text string) keyCase { return keyCase{name, says, text, false, text} }
	return []keyCase{
		same("canonical", "The one spelling.", k), same("lower", "In lower case.", strings.ToLower(k)), same("spaces", "With spaces around it.", "  "+k+"\n"),
		same("spaced", "With spaces for dashes.", k[:5]+strings.ReplaceAll(k[5:], "-", " ")), same("flat", "Without dashes behind the prefix.", "EDIT-"+flat),
		same("letters", "With O for 0 and I for 1.", k[:5]+strings.ReplaceAll(strings.ReplaceAll(k[5:], "0", "O"), "1", "I")),
		same("small-letters", "With o for 0 and l for 1.", k[:5]+strings.ReplaceAll(strings.ReplaceAll(k[5:], "0", "o"), "1", "l")),
		same("tabs", "With tabs between the groups.", k[:5]+strings.ReplaceAll(k[5:], "-", "\t")), same("odd-dashes", "With dashes in odd places.", "EDIT-"+flat[:3]+"--"+flat[3:]+"-"),
		other("empty", "Nothing.", ""), other("imported", "A key of another shape is meant byte for byte.", "old key 1234"), other("short", "A character is missing.", k[:len(k)-1]),
		other("long", "A character too many.", k+"0"), other("other-prefix", "Another prefix does not fit the check characters.", "EDIS"+k[4:]),
		other("wrong-character", "A character that is not in the alphabet.", k[:6]+"U"+k[7:]), other("slip", "A character was mistyped.", k[:5]+"2"+k[6:]),
		other("no-prefix", "The prefix is missing.", flat), other("prefix-digit", "A prefix begins with a letter.", "1DIT"+k[4:]), other("dotted", "Dots are no dashes.", strings.ReplaceAll(k, "-", ".")),
	}
}

type publicCase struct {
	Name  string `json:"name"`
	Says  string `json:"says"`
	X     string `json:"x"`
	KID   string `json:"kid,omitempty"`
	Error string `json:"error,omitempty"`
}

func publicKeys() []publicCase {
	cases := []publicCase{
		{"good", "A public key and its RFC 7638 thumbprint.", doc.FormatPublicKey(public(key(1))), doc.Thumbprint(public(key(1))), ""},
		{"another", "Another public key.", doc.FormatPublicKey(public(key(2))), doc.Thumbprint(public(key(2))), ""},
		{"short", "31 bytes.", strings.Repeat("A", 42), "", "key"}, {"padded", "Padded base64.", doc.FormatPublicKey(public(key(1))) + "=", "", "key"},
		{"standard-alphabet", "A character of standard base64.", "+" + doc.FormatPublicKey(public(key(1)))[1:], "", "key"}, {"empty", "Nothing.", "", "", "key"},
	}
	for i, h := range []string{"0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "0200000000000000000000000000000000000000000000000000000000000000"} {
		raw, _ := hex.DecodeString(h)
		cases = append(cases, publicCase{"refused-" + string(rune('a'+i)), "A point of small order, one beyond the prime, or none of the curve: " + h + ".", b64.EncodeToString(raw), "", "key"})
	}
	return cases
}

type airgapCase struct {
	Name    string `json:"name"`
	Says    string `json:"says"`
	Kind    string `json:"kind"` // request or return
	Text    string `json:"text"`
	Lease   string `json:"lease,omitempty"` // of a return
	Proves  bool   `json:"proves,omitempty"`
	Error   string `json:"error,omitempty"`
	Content any    `json:"content,omitempty"`
}

// airgapTexts are requests and returns of machines without a network.
func airgapTexts(t testing.TB) []airgapCase {
	t.Helper()
	request, back, lease := offlineTexts(t)
	q, err := doc.DecodeOfflineRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	r, err := doc.DecodeOfflineReturn(back)
	if err != nil {
		t.Fatal(err)
	}
	as := func(prefix, json string) string { return prefix + b64.EncodeToString([]byte(json)) }
	bad := func(name, says, kind, text, class string) airgapCase {
		return airgapCase{Name: name, Says: says, Kind: kind, Text: text, Error: class}
	}
	return []airgapCase{
		{Name: "request", Says: "A request.", Kind: "request", Text: request, Content: q},
		{Name: "request-wrapped", Says: "White space anywhere is skipped.", Kind: "request", Text: " " + request[:33] + "\r\n\t" + request[33:] + "\n", Content: q},
		{Name: "return", Says: "A return, with the lease that it gives back.", Kind: "return", Text: back, Lease: lease, Proves: true, Content: r},
		{Name: "return-without-lease", Says: "A return proves nothing beside another lease.", Kind: "return", Text: back, Lease: lease + "A", Content: r},
		bad("request-cut", "The last character is missing.", "request", request[:len(request)-1], class(errOf(doc.DecodeOfflineRequest(request[:len(request)-1])))),
		bad("request-as-return", "A request is no return.", "return", request, "malformed"), bad("return-as-request", "A return is no request.", "request", back, "malformed"),
		bad("request-padded", "Padded base64.", "request", request+"=", "malformed"), bad("request-version", "A version that is not known.", "request", "MREQ2."+request[6:], "malformed"),
		bad("request-empty", "Nothing.", "request", "", "malformed"), bad("request-too-long", "Longer than 2048 characters.", "request", "MREQ1."+strings.Repeat("A", 2100), "too_long"),
		bad("request-duplicate", "A member appears twice.", "request", as("MREQ1.", `{"key":"k","key":"k","product":"p","dev":{},"nonce":"0123456789abcdef","at":1}`), "payload"),
		bad("request-short-nonce", "The nonce has fewer than 16 characters.", "request", as("MREQ1.", `{"key":"k","product":"p","dev":{},"nonce":"0123456789abcde","at":1}`), "payload"),
		bad("request-without-device", "The device is missing.", "request", as("MREQ1.", `{"key":"k","product":"p","nonce":"0123456789abcdef","at":1}`), "payload"),
		bad("return-seq-0", "The seq is 0.", "return", as("MREL1.", `{"act":"act_1","seq":0,"nonce":"n","mac":"m"}`), "payload"),
		bad("return-without-mac", "The MAC is missing.", "return", as("MREL1.", `{"act":"act_1","seq":1,"nonce":"n"}`), "payload"),
	}
}

func errOf[T any](_ T, err error) error { return err }
