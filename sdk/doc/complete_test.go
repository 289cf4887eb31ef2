package doc_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// optional are the members that a document may be without, by where they stand.
var optional = strings.Fields(`license+jwt/org license+jwt/licensee license+jwt/updates_until license+jwt/max_version license+jwt/ent_until license+jwt/must license+jwt/valid_until
	license+jwt/pol/keep license+jwt/ent/export license+jwt/ent/projects lease+jwt/ent/export lease+jwt/dev/machine lease+jwt/exp release+jwt/files/url`)

// without calls each with a JSON value in which one member is missing, of the value itself or of any object in it, and says which.
func without(at string, value any, each func(at string, less any)) {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			less := maps.Clone(v)
			delete(less, name)
			each(at+"/"+name, less)
			without(at+"/"+name, v[name], func(at string, inner any) {
				less := maps.Clone(v)
				less[name] = inner
				each(at, less)
			})
		}
	case []any:
		for i := range v {
			without(at, v[i], func(at string, inner any) {
				less := slices.Clone(v)
				less[i] = inner
				each(at, less)
			})
		}
	}
}

// A document that lacks a member which is not optional is refused, wherever the member stands and whatever its type: a number that is missing is
// not a zero.
func TestEveryClaimIsNeeded(t *testing.T) {
	t.Parallel()
	entry, err := doc.NewJWK(public(key(1)), t0, doc.TypeLicense)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := doc.PinRoots(public(key(1)))
	if err != nil {
		t.Fatal(err)
	}
	uri := issuer + "/v1/status/0"
	v, root := verifier(t, t0+day), verifier(t, t0+day)
	root.Keys = roots
	for _, c := range []struct {
		d    doc.Document
		read func(text string) error
	}{
		{license(), func(s string) error { _, err := v.License(s); return err }},
		{lease(), func(s string) error { _, err := v.Lease(s); return err }},
		{&doc.StatusList{Issuer: issuer, URI: uri, IssuedAt: t0, Expires: t0 + 9*day, TTL: 300, List: new(doc.StatusBits).Encode()}, func(s string) error { _, err := v.StatusList(s, uri); return err }},
		{&doc.Keyset{Issuer: issuer, IssuedAt: t0, Num: 1, Keys: []doc.JWK{entry}}, func(s string) error { _, err := root.Keyset(s, 0); return err }},
		{&doc.Release{Issuer: issuer, Audience: "editor", Version: "2.0", IssuedAt: t0, Files: []doc.ReleaseFile{{Name: "a.zip", Size: 1, SHA256: strings.Repeat("0", 64), URL: "https://x"}}},
			func(s string) error { _, err := v.Release(s); return err }},
		{&doc.Receipt{Issuer: issuer, Source: "src_1", Seq: 1, SHA: strings.Repeat("0", 64), IssuedAt: t0}, func(s string) error { _, err := v.Receipt(s); return err }},
	} {
		text, err := json.Marshal(c.d)
		if err != nil {
			t.Fatal(err)
		}
		header := strings.Replace(head(""), doc.TypeLicense, c.d.Typ(), 1)
		if err := c.read(raw(key(1), header, string(text))); err != nil {
			t.Fatalf("%s: %v", c.d.Typ(), err)
		}
		var whole map[string]any
		if err := json.Unmarshal(text, &whole); err != nil {
			t.Fatal(err)
		}
		seen := 0
		without(c.d.Typ(), whole, func(at string, less any) {
			if slices.Contains(optional, at) || strings.HasSuffix(at, "keys/for") || strings.HasSuffix(at, "keys/aud") { // a key that may sign nothing signs nothing
				return
			}
			text, err := json.Marshal(less)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.read(raw(key(1), header, string(text))); !errors.Is(err, doc.ErrPayload) {
				t.Errorf("without %s: %v", at, err)
			}
			seen++
		})
		if seen < 5 {
			t.Errorf("%s: only %d members", c.d.Typ(), seen)
		}
	}
}
