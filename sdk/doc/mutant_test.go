package doc_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// soak reports whether the long forms of tests are wanted: MINTREU_SOAK=1.
func soak() bool { return os.Getenv("MINTREU_SOAK") == "1" }

// Every flipped bit, every byte value inserted at every place and every cut of
// sixteen documents is refused, over a million in all. Five of them get every byte value, the others
// one of sixteen, and all get all of them in the long form; in the short form, for the race detector, it is one of 128.
func TestJ49_Mutants(t *testing.T) {
	t.Parallel()
	var tried atomic.Int64
	t.Run("of", func(t *testing.T) {
		for i, v := range victims(t) {
			t.Run(v.name, func(t *testing.T) {
				t.Parallel()
				step := 16
				switch {
				case soak() || i < 5 && !testing.Short():
					step = 1
				case testing.Short():
					step = 128
				}
				tried.Add(int64(mutate(t, v.text, step, v.accepts)))
			})
		}
	})
	if n := tried.Load(); n < 1_000_000 && !testing.Short() {
		t.Errorf("only %d mutants", n)
	} else {
		t.Logf("%d mutants refused", n)
	}
}

// mutate tries the mutants of a token with every step-th byte value inserted, and returns how many there were.
func mutate(t *testing.T, token string, step int, accepts func(string) error) (mutants int) {
	t.Helper()
	accepted := 0
	try := func(b []byte) {
		mutants++
		if accepts(string(b)) == nil {
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
		for c := i % step; c < 256; c += step {
			try(append(append([]byte(token[:i]), byte(c)), token[i:]...))
		}
	}
	mutants-- // the cut after the last byte is the token itself
	if accepted != 1 {
		t.Fatalf("%d of %d mutants accepted", accepted-1, mutants)
	}
	t.Logf("%d mutants of a token of %d bytes refused", mutants, len(token))
	return mutants
}

// victim is a good document and the verifier that reads it.
type victim struct {
	name, text string
	accepts    func(string) error
}

// victims are sixteen documents of every type, the shortest of each kind first.
func victims(t testing.TB) []victim {
	t.Helper()
	v := verifier(t, t0+day)
	license1 := func(s string) error { _, err := v.License(s); return err }
	lease1 := func(s string) error { _, err := v.Lease(s); return err }
	receipt := func(s string) error { _, err := v.Receipt(s); return err }
	status := func(s string) error { _, err := v.StatusList(s, issuer+"/v1/status/1"); return err }
	list := []victim{
		{"license", sign(t, key(1), short()), license1},
		{"lease", sign(t, key(1), lease()), lease1},
		{"receipt", sign(t, key(1), &doc.Receipt{Issuer: issuer, Source: "src_1", Seq: 1, SHA: strings.Repeat("0a", 32), IssuedAt: t0}), receipt},
		{"status list", sign(t, key(1), statusList(9)), status},
		{"another status list", sign(t, key(1), statusList(131071)), status},
		{"release", sign(t, key(1), &doc.Release{Issuer: issuer, Audience: "editor", Version: "2.0.0", IssuedAt: t0,
			Files: []doc.ReleaseFile{{Name: "editor.tar.gz", Size: 1 << 20, SHA256: strings.Repeat("5f", 32)}}}),
			func(s string) error { _, err := v.Release(s); return err }},
		{"keyset", sign(t, key(9), oneKey(t)), func(s string) error { _, err := rootVerifier(t).Keyset(s, 1); return err }},
	}
	for i := 1; len(list) < 12; i++ {
		l := license()
		l.TokenID = fmt.Sprint("tok_", i)
		l.Licensee = strings.Repeat("Zoë & Søn ", i)
		l.Ent[fmt.Sprint("n", i)] = doc.Int(int64(i) << 40)
		list = append(list, victim{fmt.Sprint("license ", i), sign(t, key(1), l), license1})
	}
	for i := 1; len(list) < 16; i++ {
		l := lease()
		l.Seq, l.Nonce, l.User = int64(i), fmt.Sprint("nonce", i), doc.UserDigest("editor", fmt.Sprint(i))
		list = append(list, victim{fmt.Sprint("lease ", i), sign(t, key(1), l), lease1})
	}
	for _, v := range list {
		if err := v.accepts(v.text); err != nil {
			t.Fatalf("%s is not good before it is changed: %v", v.name, err)
		}
	}
	return list
}

func statusList(idx int64) *doc.StatusList {
	var bits doc.StatusBits
	bits.Set(idx, doc.StatusInvalid)
	return &doc.StatusList{Issuer: issuer, URI: issuer + "/v1/status/1", IssuedAt: t0, Expires: t0 + 30*day, TTL: 300, List: bits.Encode()}
}

func oneKey(t testing.TB) *doc.Keyset {
	t.Helper()
	j, err := doc.NewJWK(public(key(1)), t0, doc.TypeLicense, doc.TypeLease)
	if err != nil {
		t.Fatal(err)
	}
	return &doc.Keyset{Issuer: issuer, IssuedAt: t0, Num: 1, Keys: []doc.JWK{j}}
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
