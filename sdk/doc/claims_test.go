package doc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
)

// A text beyond the cap of its type is refused before anything of it is decoded
// or copied.
func TestJ39_LengthCaps(t *testing.T) {
	v := verifier(t, t0+day)
	reads := map[int]func(string) error{
		doc.MaxLicense:    func(s string) error { _, err := v.License(s); return err },
		doc.MaxKeyset:     func(s string) error { _, err := v.Keyset(s, 0); return err },
		doc.MaxStatusList: func(s string) error { _, err := v.StatusList(s, ""); return err },
		doc.MaxFile:       func(s string) error { _, err := doc.DecodeFile(s); return err },
	}
	for limit, read := range reads {
		at := strings.Repeat("A", limit)
		if err := read(at); errors.Is(err, doc.ErrTooLong) || err == nil {
			t.Errorf("at the cap %d: %v", limit, err)
		}
		for _, n := range []int{limit + 1, 2 << 20, 32 << 20} {
			long := strings.Repeat("A", n)
			if err := read(long); !errors.Is(err, doc.ErrTooLong) {
				t.Errorf("%d bytes over the cap %d: %v", n, limit, err)
			}
			if allocs := testing.AllocsPerRun(10, func() { read(long) }); allocs != 0 {
				t.Errorf("%d bytes over the cap %d: %v allocations", n, limit, allocs)
			}
		}
	}
	// the largest license there is room for is read
	l := license()
	l.Licensee = strings.Repeat("x", 500)
	for i := 0; ; i++ {
		l.Ent[fmt.Sprintf("feature-%d", i)] = doc.Int(int64(i))
		s, _ := doc.NewSigner(key(1))
		text, err := s.Sign(l)
		if errors.Is(err, doc.ErrTooLong) {
			break
		}
		if err != nil || len(text) > doc.MaxLicense {
			t.Fatalf("%d bytes: %v", len(text), err)
		}
		if _, err := v.License(text); err != nil {
			t.Fatalf("%d bytes: %v", len(text), err)
		}
	}
}

// Times are whole seconds and nothing else, and there where the type needs one.
func TestJ41_TimesAreIntegers(t *testing.T) {
	t.Parallel()
	exp := fmt.Sprintf(`"exp":%d`, t0+373*day)
	for _, bad := range []string{`"1893456000"`, `1e18`, `1e400`, `-1`, `null`, `true`, `1893456000.0`, `1893456000.5`, `0`, `253402300800`, `9223372036854775808`, `[]`, `{}`, `-0`} {
		refuses(t, "J41 exp "+bad, raw(key(1), head(""), payload(t, exp, `"exp":`+bad)), doc.ErrPayload)
	}
	refuses(t, "J41 exp missing", raw(key(1), head(""), payload(t, exp+`,`, ``)), doc.ErrPayload)
	for _, name := range []string{"iss", "aud", "sub", "jti", "iat", "nbf", "env", "type", "plan", "cus", "seats", "ent", "pol", "status"} {
		refuses(t, "without "+name, raw(key(1), head(""), payload(t, `"`+name+`":`, `"other":`)), doc.ErrPayload)
		refuses(t, name+" null", raw(key(1), head(""), payload(t, `"`+name+`":`, `"`+name+`":null,"other":`)), doc.ErrPayload)
	}
	l := license()
	l.Expires, l.ValidUntil, l.Type = 0, 0, doc.Perpetual
	if _, err := verifier(t, t0+day).License(sign(t, key(1), l)); err != nil {
		t.Errorf("perpetual license without an end: %v", err)
	}
	keep := lease()
	keep.Expires = 0
	if err := keep.RestsOn(license()); !errors.Is(err, doc.ErrMismatch) {
		t.Errorf("lease without an end: %v", err)
	}
}

// Every boundary of nbf, exp and iat, with and without skew.
func TestJ42_J43_TimeBoundaries(t *testing.T) {
	t.Parallel()
	at := func(skew time.Duration, nbf, exp, iat int64) error {
		l := license()
		l.Type, l.Pol.Expired, l.ValidUntil = doc.Perpetual, doc.ExpiredAllow, 0
		l.NotBefore, l.Expires, l.IssuedAt = nbf, exp, iat
		v := verifier(t, t0)
		v.Skew = skew
		_, err := v.License(sign(t, key(1), l))
		return err
	}
	none, usual := -time.Second, time.Duration(0)
	for _, c := range []struct {
		skew          time.Duration
		nbf, exp, iat int64
		want          error
	}{
		{none, t0 - 9, t0 - 1, t0 - 9, doc.ErrExpired}, {none, t0 - 9, t0, t0 - 9, doc.ErrExpired}, {none, t0 - 9, t0 + 1, t0 - 9, nil},
		{usual, t0 - 99, t0 - 61, t0 - 99, doc.ErrExpired}, {usual, t0 - 99, t0 - 60, t0 - 99, doc.ErrExpired}, {usual, t0 - 99, t0 - 59, t0 - 99, nil},
		{none, t0 + 1, t0 + 9, t0, doc.ErrNotYetValid}, {none, t0, t0 + 9, t0, nil},
		{usual, t0 + 61, t0 + 99, t0, doc.ErrNotYetValid}, {usual, t0 + 60, t0 + 99, t0, nil},
		{none, t0, t0 + 9, t0 + 1, doc.ErrNotYetValid}, {none, t0, t0 + 9, t0, nil},
		{usual, t0, t0 + 9, t0 + 61, doc.ErrNotYetValid}, {usual, t0, t0 + 9, t0 + 60, nil},
		{time.Minute, t0 - 99, t0 - 60, t0 - 99, doc.ErrExpired}, {2 * time.Minute, t0 - 199, t0 - 119, t0 - 199, nil},
	} {
		if err := at(c.skew, c.nbf, c.exp, c.iat); !errors.Is(err, c.want) {
			t.Errorf("skew %v nbf %+d exp %+d iat %+d: got %v, want %v", c.skew, c.nbf-t0, c.exp-t0, c.iat-t0, err, c.want)
		}
	}
	refuses(t, "J43 nbf after exp", raw(key(1), head(""), payload(t, fmt.Sprintf(`"nbf":%d`, t0), fmt.Sprintf(`"nbf":%d`, t0+400*day))), doc.ErrPayload)
	long := lease()
	long.Expires++
	if err := long.RestsOn(license()); !errors.Is(err, doc.ErrMismatch) {
		t.Errorf("J43 lease longer than offline_max: %v", err)
	}
	keys, err := doc.NewKeys(doc.Key{KID: kid(), Public: public(key(1)), For: []string{doc.TypeLicense}, Aud: []string{"*"}, NotBefore: t0 + 61})
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, t0+day)
	v.Keys = keys
	if _, err := v.License(sign(t, key(1), license())); !errors.Is(err, doc.ErrUnknownKey) {
		t.Errorf("issued before its key: %v", err)
	}
}

// A document of another issuer, product or environment is refused, and so is
// one of another installation that has the same product.
func TestJ44_J45_IssuerAudienceEnvironment(t *testing.T) {
	t.Parallel()
	for _, iss := range []string{issuer + "/", "HTTPS://licenses.example.com", "https://Licenses.example.com", "http://licenses.example.com", "https://other.example.com", issuer[:len(issuer)-1]} {
		refuses(t, "J44 iss "+iss, raw(key(1), head(""), payload(t, `"iss":"`+issuer+`"`, `"iss":"`+iss+`"`)), doc.ErrIssuer)
	}
	for _, aud := range []string{"player", "Editor", "editor2", "edito", "*"} {
		refuses(t, "J44 aud "+aud, raw(key(1), head(""), payload(t, `"aud":"editor"`, `"aud":"`+aud+`"`)), doc.ErrAudience)
	}
	refuses(t, "J44 aud list", raw(key(1), head(""), payload(t, `"aud":"editor"`, `"aud":["editor"]`)), doc.ErrPayload)
	refuses(t, "env", raw(key(1), head(""), payload(t, `"env":"live"`, `"env":"test"`)), doc.ErrEnv)
	refuses(t, "unknown env", raw(key(1), head(""), payload(t, `"env":"live"`, `"env":"LIVE"`)), doc.ErrUnsupported)
	other := strings.ReplaceAll(head(""), kid(), doc.Thumbprint(public(key(2))))
	refuses(t, "J45", raw(key(2), other, payload(t)), doc.ErrUnknownKey)
	v := verifier(t, t0+day)
	v.Issuer = ""
	if _, err := v.License(sign(t, key(1), license())); !errors.Is(err, doc.ErrIssuer) {
		t.Errorf("no issuer known: %v", err)
	}
	v = verifier(t, t0+day)
	v.Audience, v.Env = doc.Any, doc.Any
	if _, err := v.License(sign(t, key(1), license())); err != nil {
		t.Errorf("the issuer itself: %v", err)
	}
	v.Keys, _ = doc.NewKeys(doc.Key{KID: kid(), Public: public(key(1)), For: []string{doc.TypeLicense}, Aud: []string{"player"}})
	if _, err := v.License(sign(t, key(1), license())); !errors.Is(err, doc.ErrUnknownKey) {
		t.Errorf("key of another product, read by the issuer: %v", err)
	}
	v.Audience = "editor"
	if _, err := v.License(sign(t, key(1), license())); !errors.Is(err, doc.ErrUnknownKey) {
		t.Errorf("key of another product: %v", err)
	}
	v = verifier(t, t0+day)
	v.Keys, _ = doc.NewKeys(doc.Key{KID: kid(), Public: public(key(1)), For: []string{doc.TypeLease}, Aud: []string{"*"}})
	if _, err := v.License(sign(t, key(1), license())); !errors.Is(err, doc.ErrUnknownKey) {
		t.Errorf("key for leases alone: %v", err)
	}
}

// A demand that this release does not know is refused as such; an unknown claim
// is not.
func TestMust_UnknownDemandRefused(t *testing.T) {
	t.Parallel()
	refuses(t, "must", raw(key(1), head(""), payload(t, `{"iss"`, `{"geo":"DE","must":["exp","geo"],"iss"`)), doc.ErrUnsupported)
	refuses(t, "word", raw(key(1), head(""), payload(t, `"then":"stop"`, `"then":"explode"`)), doc.ErrUnsupported)
	for _, good := range []string{`{"geo":{"a":[1,2.5e3,null,false]},"iss"`, `{"must":["exp","pol"],"iss"`} {
		if _, err := verifier(t, t0+day).License(raw(key(1), head(""), payload(t, `{"iss"`, good))); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}
