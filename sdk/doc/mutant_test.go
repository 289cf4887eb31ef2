package doc_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// Every flipped bit, every byte value inserted at every place and every cut of a
// token is refused.
func TestJ49_Mutants(t *testing.T) {
	t.Parallel()
	token := sign(t, key(1), short())
	v := verifier(t, t0+day)
	mutants, accepted := 0, 0
	try := func(b []byte) {
		mutants++
		if _, err := v.License(string(b)); err == nil {
			accepted++
		}
	}
	b := []byte(token)
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			try(b)
			b[i] ^= 1 << bit
		}
	}
	for i := 0; i <= len(token); i++ {
		try(b[:i][:i:i])
		for c := range 256 {
			if testing.Short() && c%16 != 5 {
				continue
			}
			try(append(append([]byte(token[:i]), byte(c)), token[i:]...))
		}
	}
	mutants-- // the cut after the last byte is the token itself
	if accepted != 1 {
		t.Fatalf("%d of %d mutants accepted", accepted-1, mutants)
	}
	t.Logf("%d mutants of a token of %d bytes refused", mutants, len(token))
}

// short is a license of few bytes.
func short() *doc.License {
	l := license()
	l.Type, l.ValidUntil, l.Expires, l.MaxVersion, l.Status, l.Pol.Status = doc.Perpetual, 0, 0, "", doc.StatusClaim{}, doc.StatusOff
	return l
}

// Signatures of a wrong length, with S beyond the group order or with another
// text under them are refused.
func TestJ50_SignatureForms(t *testing.T) {
	t.Parallel()
	good := sign(t, key(1), license())
	i := strings.LastIndexByte(good, '.') + 1
	sig, err := b64.DecodeString(good[i:])
	if err != nil {
		t.Fatal(err)
	}
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}
	plus := bytes.Clone(sig)
	carry := 0
	for j, o := range order {
		sum := int(plus[32+j]) + int(o) + carry
		plus[32+j], carry = byte(sum), sum>>8
	}
	equal := append(bytes.Clone(sig[:32]), order...)
	for name, s := range map[string][]byte{"S+L": plus, "S=L": equal, "S=0": append(bytes.Clone(sig[:32]), make([]byte, 32)...), "zero": make([]byte, 64),
		"R non-canonical": append(bytes.Repeat([]byte{0xff}, 32), sig[32:]...), "swapped": append(bytes.Clone(sig[32:]), sig[:32]...),
		"1": sig[:1], "63": sig[:63], "65": append(bytes.Clone(sig), 0), "128": append(bytes.Clone(sig), sig...)} {
		refuses(t, "J50 "+name, good[:i]+b64.EncodeToString(s), doc.ErrSignature)
	}
	refuses(t, "J50 0", good[:i], doc.ErrMalformed)
}

// A payload with the same claims in another order or with more space is another
// text, so the signature does not hold.
func TestJ52_ReorderedOrSpacedPayload(t *testing.T) {
	t.Parallel()
	good := raw(key(1), head(""), payload(t))
	part := strings.Split(good, ".")
	iss := `"iss":"` + issuer + `",`
	for _, p := range []string{payload(t, `{"iss"`, `{ "iss"`), payload(t, iss, "", `"aud":"editor",`, `"aud":"editor",`+iss)} {
		changed := part[0] + "." + b64.EncodeToString([]byte(p)) + "." + part[2]
		refuses(t, "J52", changed, doc.ErrSignature)
		if _, err := verifier(t, t0+day).License(raw(key(1), head(""), p)); err != nil {
			t.Errorf("J52 signed anew it is good: %v", err)
		}
	}
}

func FuzzLicense(f *testing.F) {
	f.Add(sign(f, key(1), license()))
	f.Add(raw(key(1), head(`,"crit":[]`), "{}"))
	f.Add("a.b.c")
	v := verifier(f, t0+day)
	f.Fuzz(func(t *testing.T, token string) {
		if l, err := v.License(token); (l == nil) == (err == nil) {
			t.Fatal("neither a license nor an error, or both")
		}
	})
}

// FuzzPayload signs whatever it is given: what the strict parser accepts must
// be JSON of which encoding/json reads the same, and signing it again must work.
func FuzzPayload(f *testing.F) {
	f.Add(payload(f))
	f.Add(`{"iss":"x","iss":"y"}`)
	f.Add(`{"a":[[[[[[[[]]]]]]]]}`)
	v := verifier(f, t0+day)
	f.Fuzz(func(t *testing.T, p string) {
		l, err := v.License(raw(key(1), head(""), p))
		if err != nil {
			return
		}
		again, err := v.License(sign(t, key(1), l))
		if err != nil || again.ID != l.ID || again.Expires != l.Expires || len(again.Ent) != len(l.Ent) {
			t.Fatalf("accepted %q but not its copy: %v", p, err)
		}
	})
}
